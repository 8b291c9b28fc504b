//! `log`: the history, newest first.

use std::path::PathBuf;

use super::changes::{changes_json, patch_lines, tell_patch};
use super::commit::session_id;
use super::telling::{Names, commit_json, in_full, one_line};
use super::{CommandError, CommandResult, Context, Exit};
use crate::object::{Commit, CommitId, DeviceName};
use crate::ui::Palette;
use crate::ui::graph::{Glyphs, Graph};
use crate::vault::difference::{Difference, between};
use crate::vault::history::{Filter, Known, Walk, told_with_descent};
use crate::vault::{Access, Vault, revision};

/// Arguments of `log`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault log --oneline -n 10           the last ten commits
  mvault log --graph                   with the lines of descent of all devices
  mvault log --device pixel --since yesterday
  mvault log -p -- continuity.md       how one file came to be what it is
  mvault log --json | jq -r .message

No commit stands before one of its descendants; what happened at the same time on two devices is ordered
by Lamport stamp and id, the same everywhere. Commits that reconcile made are told with --graph, with
--all, and where the history begins at one.")]
pub struct LogArgs {
    /// Where to begin; the present head without it
    #[arg(value_name = "REV")]
    from: Option<String>,
    /// At most so many commits
    #[arg(short = 'n', long = "max-count", value_name = "N")]
    count: Option<usize>,
    /// One line a commit
    #[arg(long)]
    oneline: bool,
    /// Draw the lines of descent
    #[arg(long)]
    graph: bool,
    /// Show what each commit changed
    #[arg(short, long)]
    patch: bool,
    /// Only what this device made
    #[arg(long, value_name = "D")]
    device: Option<String>,
    /// Only what was made in this session
    #[arg(long, value_name = "S")]
    session: Option<String>,
    /// Only what was made at this time or later: `yesterday`, `2 days ago`, `2026-11-22`
    #[arg(long, value_name = "T")]
    since: Option<String>,
    /// From all branches, tags and devices, with every commit that reconcile made and the root
    #[arg(long)]
    all: bool,
    /// Only what changed these files and folders
    #[arg(value_name = "PATH", last = true)]
    paths: Vec<PathBuf>,
}

/// Tells the history.
pub fn run(cx: &mut Context<'_>, args: &LogArgs) -> CommandResult {
    let vault = cx.open_vault(Access::Store)?;
    let filter = filter(cx, &vault, args)?;
    let heads = heads(&vault, args)?;
    cx.ui.page()?;
    let now = cx.env.clock.now().seconds();
    let mut teller =
        Teller { names: Names::of(&vault), vault: &vault, args, told: 0, now, text: String::new() };
    let is_told = |id: CommitId, commit: &Commit| {
        let is_root = commit.parents.is_empty() && commit.vault.is_some();
        args.all || (!is_root && (args.graph || !commit.is_derived() || heads.contains(&id)))
    };
    let mut known = Known::default();
    let limit = args.count.unwrap_or(usize::MAX);
    if args.graph && !cx.ui.is_json() {
        let mut wanted = |id: CommitId, commit: &Commit| {
            Ok(is_told(id, commit) && filter.takes(vault.store(), &mut known, commit)?)
        };
        let mut graph = Graph::new(cx.ui.glyphs());
        for told in told_with_descent(&vault, &heads, &mut wanted)?.into_iter().take(limit) {
            teller.draw(cx, &mut graph, told.id, &told.commit, &told.before)?;
        }
        return Ok(Exit::Done);
    }
    for step in Walk::new(vault.store(), heads.iter().copied())? {
        if teller.told == limit {
            break;
        }
        let (id, commit) = step?;
        if is_told(id, &commit) && filter.takes(vault.store(), &mut known, &commit)? {
            teller.tell(cx, id, &commit)?;
        }
    }
    Ok(Exit::Done)
}

fn heads(vault: &Vault, args: &LogArgs) -> Result<Vec<CommitId>, CommandError> {
    let mut heads = match &args.from {
        Some(revision) => vec![vault.resolve(revision)?],
        None => vec![vault.head()?],
    };
    if args.all && args.from.is_none() {
        let refs = vault.log().refs();
        heads.extend(refs.branches().map(|(_, id)| id));
        heads.extend(refs.tags().map(|(_, id)| id));
        heads.extend(refs.remotes().flat_map(|(_, _, heads)| heads.iter().copied()));
    }
    Ok(heads)
}

fn filter(cx: &Context<'_>, vault: &Vault, args: &LogArgs) -> Result<Filter, CommandError> {
    let device = args.device.as_ref().map(|name| {
        DeviceName::parse(name).ok_or_else(|| {
            CommandError::usage("that is no device name").hint("`mvault status` names this device")
        })
    });
    let since = args.since.as_ref().map(|text| {
        revision::parse_moment(text, cx.env.clock.now()).ok_or_else(|| {
            CommandError::usage("that is no time mvault understands")
                .hint("write it like yesterday, \"2 days ago\", 2026-11-22 or 2026-11-22T08:00")
        })
    });
    Ok(Filter {
        device: device.transpose()?,
        session: args.session.as_ref().map(|text| session_id(text)).transpose()?,
        since: since.transpose()?,
        paths: cx.vault_paths(vault, &args.paths)?,
    })
}

/// Returns what a commit changed; nothing for one with several parents, which made no change of its own
/// to any one of them.
fn differences(
    vault: &Vault,
    commit: &Commit,
    filter: &[PathBuf],
    cx: &Context<'_>,
) -> Result<Vec<Difference>, CommandError> {
    let parent_tree = match commit.parents.as_slice() {
        [] => crate::object::TreeId::empty(),
        [parent] => vault.tree_of(*parent)?,
        _ => return Ok(Vec::new()),
    };
    Ok(between(vault, parent_tree, commit.tree, &cx.vault_paths(vault, filter)?)?)
}

/// Tells one commit after the other.
struct Teller<'a> {
    vault: &'a Vault,
    names: Names,
    args: &'a LogArgs,
    told: usize,
    /// What ages are counted from, in seconds since 1970.
    now: i64,
    text: String,
}

impl Teller<'_> {
    fn tell(&mut self, cx: &mut Context<'_>, id: CommitId, commit: &Commit) -> Result<(), CommandError> {
        self.told += 1;
        let changed = match self.args.patch {
            true => differences(self.vault, commit, &self.args.paths, cx)?,
            false => Vec::new(),
        };
        if cx.ui.is_json() {
            let mut object = commit_json(id, commit);
            if self.args.patch {
                object["changes"] = changes_json(self.vault, &changed)?.into();
            }
            return Ok(cx.ui.json(&object)?);
        }
        let palette = cx.ui.palette();
        cx.ui.bytes(self.text(palette, id, commit).as_bytes())?;
        tell_patch(cx, self.vault, &changed)?;
        if !changed.is_empty() && !self.args.oneline {
            cx.ui.line("")?;
        }
        Ok(())
    }

    /// Returns what is told of a commit, as whole lines, in memory that the next one takes again.
    fn text(&mut self, palette: Palette, id: CommitId, commit: &Commit) -> &str {
        self.text.clear();
        if self.args.oneline {
            one_line(&mut self.text, id, commit, &self.names, palette);
        } else {
            in_full(&mut self.text, id, commit, &self.names, self.now, palette)
                .expect("a string takes everything");
        }
        &self.text
    }

    fn draw(
        &mut self,
        cx: &mut Context<'_>,
        graph: &mut Graph<CommitId>,
        id: CommitId,
        commit: &Commit,
        before: &[CommitId],
    ) -> Result<(), CommandError> {
        self.told += 1;
        let mut text: Vec<String> =
            self.text(cx.ui.palette(), id, commit).lines().map(str::to_owned).collect();
        if self.args.patch {
            let changed = differences(self.vault, commit, &self.args.paths, cx)?;
            text.extend(patch_lines(self.vault, &changed, cx.ui.palette())?);
        }
        let node = match (cx.ui.glyphs(), commit.is_derived()) {
            (Glyphs::Unicode, false) => '●',
            (Glyphs::Unicode, true) => '○',
            (Glyphs::Ascii, false) => '*',
            (Glyphs::Ascii, true) => 'o',
        };
        for line in graph.draw(&id, before, node, &text) {
            cx.ui.line(line)?;
        }
        Ok(())
    }
}
