//! How differences are told by `diff`, `show` and `log`: as a patch, for a terminal, counted, as JSON.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{CommandError, Context};
use crate::object::ObjectId;
use crate::ui::diff::{Counts, FileDiff, Side, patch, terminal};
use crate::ui::{Palette, Style, json};
use crate::vault::Vault;
use crate::vault::difference::{Difference, Version, content, is_purged};

/// A difference with the bytes of both sides.
pub struct Loaded<'d> {
    difference: &'d Difference,
    old: Option<(ObjectId, Option<Arc<[u8]>>)>,
    new: Option<(ObjectId, Option<Arc<[u8]>>)>,
    is_purged: bool,
}

/// What is shown where the content is gone.
const PURGED: &str = "(purged)";

impl<'d> Loaded<'d> {
    /// Reads both sides.
    pub fn read(vault: &Vault, difference: &'d Difference) -> Result<Loaded<'d>, CommandError> {
        let read = |side: &Option<Version>| side.as_ref().map(|version| content(vault, version)).transpose();
        let is_purged =
            [&difference.old, &difference.new].into_iter().flatten().any(|version| is_purged(vault, version));
        Ok(Loaded { difference, old: read(&difference.old)?, new: read(&difference.new)?, is_purged })
    }

    /// Returns it as the voice wants it.
    pub fn as_diff(&self) -> FileDiff<'_> {
        fn side<'a>(
            version: &'a Option<Version>,
            read: &'a Option<(ObjectId, Option<Arc<[u8]>>)>,
        ) -> Option<Side<'a>> {
            let (version, (id, data)) = (version.as_ref()?, read.as_ref()?);
            Some(Side { path: version.path.as_bytes(), mode: version.mode, id: *id, data: data.as_deref() })
        }
        FileDiff { old: side(&self.difference.old, &self.old), new: side(&self.difference.new, &self.new) }
    }
}

/// Tells differences as a patch that git applies, or with colours where a person looks.
pub fn tell_patch(
    cx: &mut Context<'_>,
    vault: &Vault,
    differences: &[Difference],
) -> Result<(), CommandError> {
    let palette = cx.ui.palette();
    for difference in differences {
        let loaded = Loaded::read(vault, difference)?;
        if cx.ui.is_terminal() || palette.is_on() {
            for line in terminal(&loaded.as_diff(), palette) {
                cx.ui.line(line)?;
            }
        } else {
            cx.ui.bytes(&patch(&loaded.as_diff()))?;
        }
        if loaded.is_purged {
            cx.ui.line(PURGED)?;
        }
    }
    Ok(())
}

/// Returns the patch as harmless lines, to stand beside a graph.
pub fn patch_lines(
    vault: &Vault,
    differences: &[Difference],
    palette: Palette,
) -> Result<Vec<String>, CommandError> {
    let mut lines = Vec::new();
    for difference in differences {
        let loaded = Loaded::read(vault, difference)?;
        lines.extend(terminal(&loaded.as_diff(), palette));
        lines.extend(loaded.is_purged.then(|| PURGED.to_owned()));
    }
    Ok(lines)
}

/// Returns differences as JSON: path, blob ids and modes of both sides, status, lines added and removed
/// (null for binary content); a renamed file has `old_path` too.
pub fn changes_json(vault: &Vault, differences: &[Difference]) -> Result<Vec<Value>, CommandError> {
    differences.iter().map(|difference| change_json(vault, difference)).collect()
}

fn change_json(vault: &Vault, difference: &Difference) -> Result<Value, CommandError> {
    let loaded = Loaded::read(vault, difference)?;
    let diff = loaded.as_diff();
    let counts = diff.counts();
    let mut object = Map::new();
    json::put_path(&mut object, "path", difference.path().as_bytes());
    if let (Some(old), "renamed") = (&difference.old, difference.status()) {
        json::put_path(&mut object, "old_path", old.path.as_bytes());
    }
    let id = |side: &Option<Side<'_>>| side.map(|side| side.id.to_string());
    let mode = |side: &Option<Side<'_>>| side.map(|side| side.mode.as_octal());
    object.insert("old".into(), id(&diff.old).into());
    object.insert("new".into(), id(&diff.new).into());
    object.insert("old_mode".into(), mode(&diff.old).into());
    object.insert("new_mode".into(), mode(&diff.new).into());
    object.insert("purged".into(), loaded.is_purged.into());
    object.insert("status".into(), difference.status().into());
    object.insert("added".into(), counts.map(|counts| counts.added).into());
    object.insert("removed".into(), counts.map(|counts| counts.removed).into());
    Ok(Value::Object(object))
}

/// Tells how many lines came and went, file by file.
pub fn tell_stat(
    cx: &mut Context<'_>,
    vault: &Vault,
    differences: &[Difference],
) -> Result<(), CommandError> {
    let mut rows = Vec::new();
    for difference in differences {
        let counts = Loaded::read(vault, difference)?.as_diff().counts();
        let name = match (&difference.old, difference.status()) {
            (Some(old), "renamed") => format!("{} => {}", old.path, difference.path()),
            _ => difference.path().to_string(),
        };
        rows.push((name, counts));
    }
    let name_width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let total = |counts: &Counts| counts.added + counts.removed;
    let most = rows.iter().filter_map(|(_, counts)| counts.as_ref().map(total)).max().unwrap_or(0);
    let number_width = most.to_string().len();
    let bar = cx.ui.columns().saturating_sub(name_width + number_width + 5).clamp(10, 60);
    let palette = cx.ui.palette();
    for (name, counts) in &rows {
        let pad = " ".repeat(name_width - name.chars().count());
        let told = match counts {
            None => "binary".to_owned(),
            Some(counts) => {
                let scale = |n: usize| if most > bar { (n * bar).div_ceil(most) } else { n };
                let added = palette.paint(Style::Added, &"+".repeat(scale(counts.added)));
                let removed = palette.paint(Style::Removed, &"-".repeat(scale(counts.removed)));
                format!("{:>number_width$} {added}{removed}", total(counts))
            }
        };
        cx.ui.line(format!(" {name}{pad} | {told}").trim_end())?;
    }
    let sum = |of: fn(&Counts) -> usize| -> usize {
        rows.iter().filter_map(|(_, counts)| counts.as_ref()).map(of).sum()
    };
    let (added, removed) = (sum(|counts| counts.added), sum(|counts| counts.removed));
    let files = if rows.len() == 1 { "1 file".to_owned() } else { format!("{} files", rows.len()) };
    Ok(cx.ui.line(format_args!(" {files} changed, {added} added, {removed} removed"))?)
}
