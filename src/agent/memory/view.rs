//! `view`: a folder as a list with sizes, a file with numbered lines.

use serde_json::Value;

use super::Told;
use super::path::{MemoryPath, Standing};
use crate::fs::{Dir, FileKind};
use crate::ui::harmless_line;
use crate::vault::Vault;

/// So many lines have a number of six digits.
const LINES_MAX: usize = 999_999;
/// So many levels of folders are listed.
const LEVELS: usize = 2;

pub(super) fn view(vault: &Vault, path: &MemoryPath, range: Option<&Value>) -> Told {
    let given = path.given();
    match path.look(vault)? {
        Standing::Folder(folder, stat) => Ok(listing(given, stat.size, Some(&folder))),
        // It is there before anything was put into it.
        Standing::Nothing if path.is_root() => Ok(listing(given, 0, None)),
        Standing::File(..) => {
            let bytes = path.read(vault)?.map(|(_, bytes)| bytes).unwrap_or_default();
            numbered(given, &String::from_utf8_lossy(&bytes), range)
        }
        Standing::Nothing | Standing::Other => {
            Err(format!("The path {given} does not exist. Please provide a valid path."))
        }
    }
}

fn listing(given: &str, bytes: u64, folder: Option<&Dir>) -> String {
    let mut lines = vec![
        format!(
            "Here're the files and directories up to 2 levels deep in {given}, excluding hidden items and \
             node_modules:"
        ),
        format!("{}\t{given}", size(bytes)),
    ];
    if let Some(folder) = folder {
        list(folder, given.trim_end_matches('/'), LEVELS, &mut lines);
    }
    lines.join("\n")
}

/// Lists a folder in the order of names, what is in a folder right after it. What cannot be looked at is left
/// out.
fn list(folder: &Dir, shown: &str, levels: usize, lines: &mut Vec<String>) {
    let Ok(found) = folder.list() else { return };
    let mut names: Vec<_> = found.into_iter().map(|(name, _)| name).collect();
    names.sort();
    for name in names {
        let is_hidden = name.as_encoded_bytes().starts_with(b".") || name == "node_modules";
        let Some(stat) = folder.try_stat(&name).ok().flatten().filter(|_| !is_hidden) else { continue };
        let shown = format!("{shown}/{}", harmless_line(name.as_encoded_bytes()));
        match stat.kind {
            FileKind::File => lines.push(format!("{}\t{shown}", size(stat.size))),
            FileKind::Dir => {
                lines.push(format!("{}\t{shown}/", size(stat.size)));
                if levels > 1
                    && let Ok(inner) = folder.open_dir(&name)
                {
                    list(&inner, &shown, levels - 1, lines);
                }
            }
            FileKind::Symlink | FileKind::Special => {}
        }
    }
}

/// Writes a length as people read it: `512B`, `1.5K`, `4.0K`, `1.2M`.
pub(super) fn size(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let units = ["K", "M", "G"];
    let unit = ((bytes.ilog2() / 10) as usize).min(units.len());
    #[allow(clippy::cast_precision_loss)] // one digit is shown
    let number = bytes as f64 / 1024_f64.powi(i32::try_from(unit).expect("at most 3"));
    format!("{number:.1}{}", units[unit - 1])
}

fn numbered(given: &str, text: &str, range: Option<&Value>) -> Told {
    let lines: Vec<&str> = text.split('\n').collect();
    if lines.len() > LINES_MAX {
        return Err(format!("File {given} exceeds maximum line limit of 999,999 lines."));
    }
    let (start, end) = span(range, lines.len())?;
    let shown = lines.get(start..end).unwrap_or_default();
    let shown: Vec<String> =
        shown.iter().enumerate().map(|(n, line)| line_with(start + n + 1, line)).collect();
    Ok(format!("Here's the content of {given} with line numbers:\n{}", shown.join("\n")))
}

/// Returns which lines are wanted, counted from 0, the last one not included.
fn span(range: Option<&Value>, count: usize) -> Result<(usize, usize), String> {
    let Some(range) = range.filter(|range| !range.is_null()) else { return Ok((0, count)) };
    let numbers: Option<Vec<i64>> =
        range.as_array().and_then(|list| list.iter().map(Value::as_i64).collect());
    let Some(&[first, last]) = numbers.as_deref() else {
        return Err(
            "Error: Invalid `view_range` parameter: it should be a list of two whole numbers".to_owned()
        );
    };
    let start = usize::try_from(first.max(1) - 1).unwrap_or(usize::MAX).min(count);
    let end = match last {
        -1 => count,
        last => usize::try_from(last).unwrap_or_default().min(count),
    };
    Ok((start, end.max(start)))
}

/// Puts its number before a line.
pub(super) fn line_with(number: usize, line: &str) -> String {
    format!("{number:>6}\t{line}")
}
