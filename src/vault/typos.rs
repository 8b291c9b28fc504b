//! What of a `vault.toml` is most likely a slip: asked where somebody commits one, and nowhere else.
//!
//! A file that is valid to a merge can still be one that nobody means. A key that this program does not know
//! protects nothing here, so it is refused where it is written; another device may have a later program.
//! A merge rule that this program does not know would part this device from all others.

use std::collections::BTreeSet;
use std::ops::Range;

use toml_edit::{Array, Item, Table};

use super::admission::Finding;
use super::rules::{RULES_FILE, RulesError, VaultRules, did_you_mean, document_of, line_of, nearest};
use crate::gateway::Reason;
use crate::merge::RULE_VERSION;

const TOP_KEYS: [&str; 5] = ["reconcile", "path", "limits", "secrets", "boot"];
const PATH_KEYS: [&str; 5] = ["match", "class", "driver", "syntax", "allow"];
const LIMIT_KEYS: [&str; 3] = ["file_mib", "delete_files", "delete_percent"];
const SECRET_KEYS: [&str; 1] = ["allow"];
const BOOT_KEYS: [&str; 3] = ["files", "distillates", "events"];

/// Judges what is to be `vault.toml`: a slip in it would change what holds on every device. `bytes` is
/// `None` for a file that is too long to be in memory. Names that stood in the version `before` were judged then.
pub(super) fn look(bytes: Option<&[u8]>, before: Option<&[u8]>, names: Names) -> Option<Finding> {
    let fault = match bytes {
        Some(bytes) => fault(bytes, before, names)?,
        None => "it is too long".to_owned(),
    };
    Some(Finding::new(Reason::InvalidRules).detail(fault))
}

/// Which names that this program does not know are slips.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// All: somebody here wrote them.
    Written,
    /// Those that are nearly a known one: the file comes from another device, whose program may be a later one.
    Arriving,
}

/// Returns what is wrong with a `vault.toml` that somebody wants to commit, with its line; `None` if nothing is.
fn fault(bytes: &[u8], before: Option<&[u8]>, names: Names) -> Option<String> {
    if let Some(version) = VaultRules::version_asked(bytes).filter(|version| *version != RULE_VERSION) {
        let line = line_of_key(bytes, "reconcile").map(|line| format!("line {line}: ")).unwrap_or_default();
        return Some(format!(
            "{line}merge rule {version} is not known to this mvault, which knows {RULE_VERSION}"
        ));
    }
    if let Err(error) = VaultRules::parse(Some(bytes)) {
        return Some(error.to_string());
    }
    let before: BTreeSet<String> =
        before.map(unknown_names).unwrap_or_default().into_iter().map(|unknown| unknown.name).collect();
    let slip = unknown_names(bytes).into_iter().find(|unknown| {
        !before.contains(&unknown.name) && (names == Names::Written || unknown.meant.is_some())
    })?;
    let (line, key, problem) = (line_of(bytes, slip.span), slip.key, slip.problem);
    Some(RulesError::Value { line, key, problem }.to_string())
}

fn line_of_key(bytes: &[u8], key: &str) -> Option<usize> {
    let table = document_of(std::str::from_utf8(bytes).ok()?).ok()?;
    line_of(bytes, table.get(key)?.span())
}

/// A key or code that this program does not know.
struct Unknown {
    /// What it is, with the place it stands in.
    name: String,
    key: String,
    problem: String,
    /// The known one that it nearly is.
    meant: Option<&'static str>,
    span: Option<Range<usize>>,
}

/// Lists the keys and codes of a `vault.toml` that this program does not know, in the order they are looked for.
fn unknown_names(bytes: &[u8]) -> Vec<Unknown> {
    let table = std::str::from_utf8(bytes).ok().and_then(|text| document_of(text).ok());
    let Some(table) = table else { return Vec::new() };
    let mut found = unknown_keys("", &table, &TOP_KEYS);
    for (name, known) in [("limits", &LIMIT_KEYS[..]), ("secrets", &SECRET_KEYS), ("boot", &BOOT_KEYS)] {
        match table.get(name) {
            Some(Item::Table(table)) => found.extend(unknown_keys(name, table, known)),
            Some(item) => {
                let inline = item.as_inline_table().map(|table| table.clone().into_table());
                found.extend(inline.iter().flat_map(|table| unknown_keys(name, table, known)));
            }
            None => {}
        }
    }
    for rule in table.get("path").and_then(Item::as_array_of_tables).into_iter().flatten() {
        found.extend(unknown_keys("path", rule, &PATH_KEYS));
        found.extend(rule.get("allow").and_then(Item::as_array).into_iter().flat_map(unknown_codes));
    }
    found
}

fn unknown_keys(name: &str, table: &Table, known: &'static [&'static str]) -> Vec<Unknown> {
    let unknown = table.iter().filter(|(key, _)| !known.contains(key)).map(|(key, item)| {
        let meant = nearest(key, known.iter().copied());
        let span = table.key(key).and_then(toml_edit::Key::span).or_else(|| item.span());
        let key = if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
        let problem = match meant {
            Some(_) => format!("is no key of {RULES_FILE}{}", did_you_mean(meant)),
            None => format!("is not a key that this mvault knows; it knows {}", known.join(", ")),
        };
        Unknown { name: key.clone(), key, problem, meant, span }
    });
    unknown.collect()
}

fn unknown_codes(codes: &Array) -> Vec<Unknown> {
    let texts = codes.iter().map(|value| (value.as_str().unwrap_or_default(), value.span()));
    let unknown = texts.filter(|(typed, _)| Reason::from_code(typed).is_none()).map(|(typed, span)| {
        let meant = nearest(typed, Reason::all().map(Reason::code));
        let problem = format!("has `{}`, which is no code{}", typed.escape_debug(), did_you_mean(meant));
        Unknown { name: format!("path.allow {typed}"), key: "path.allow".to_owned(), problem, meant, span }
    });
    unknown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A typo in `vault.toml` was committed without a word, and from the next pull on every change of the other
    /// devices waited. Each of these must be refused with its line, and with the nearest name where there is one.
    #[test]
    fn what_nobody_means_is_found_with_its_line() {
        for (text, wanted) in [
            ("this is = = not toml\n", "line 1: not valid TOML"),
            ("# a\n\n[[path]]\nmatch = 'a'\ndriver = 'markdown'\n", "line 5: path.driver is none of: text"),
            ("[[path]]\nmatch = 'a'\ndriver = 'evnets'\n", "did you mean `events`?"),
            ("[[path]]\nmatch = 'a'\nclass = 'canonicl'\n", "line 3: path.class is none of: canonical"),
            ("[[path]]\nmatch = 'a'\nsyntax = 'yaml'\n", "line 3: path.syntax"),
            ("[limits]\ndelete_files = 0\n", "line 2: limits.delete_files is no number from 1"),
            (
                "[limits]\ndelete_file = 9\n",
                "line 2: limits.delete_file is no key of vault.toml; did you mean `delete_files`?",
            ),
            (
                "\n[limit]\ndelete_files = 9\n",
                "line 2: limit is no key of vault.toml; did you mean `limits`?",
            ),
            ("limits = { filemib = 9 }\n", "did you mean `file_mib`?"),
            ("[[paths]]\nmatch = 'a'\n", "line 1: paths is no key of vault.toml; did you mean `path`?"),
            ("[[path]]\nmatch = 'a'\ndrivr = 'text'\n", "line 3: path.drivr is no key"),
            ("[[path]]\nclass = 'note'\n", "line 1: path.match is missing"),
            ("[[path]]\nmatch = 'a'\nallow = ['secrte']\n", "line 3: path.allow has `secrte`"),
            ("reconcile = 2\n", "line 1: merge rule 2 is not known to this mvault, which knows 1"),
            ("reconcile = 2\n[[path]]\nmatch='a'\ndriver='later'\n", "line 1: merge rule 2"),
            ("reconcil = 1\n", "did you mean `reconcile`?"),
            ("reconcile = 0\n", "line 1: "),
            ("a = 1\na = 2\n", "line 2: not valid TOML"),
            ("[boot]\nfile = ['a']\n", "did you mean `files`?"),
            ("[path]\nmatch = 'a'\n", "line 1: path is not a list of tables"),
            (
                "[limits]\nmass_delete = 9\n",
                "line 2: limits.mass_delete is not a key that this mvault knows; it knows file_mib, delete_files, \
                 delete_percent",
            ),
            (
                "[later]\nkey = 1\n",
                "line 1: later is not a key that this mvault knows; it knows reconcile, path",
            ),
            (
                "[[path]]\nmatch = 'a'\nallow = ['one of tomorrow']\n",
                "line 3: path.allow has `one of tomorrow`",
            ),
        ] {
            let found =
                fault(text.as_bytes(), None, Names::Written).unwrap_or_else(|| panic!("{text:?} is taken"));
            assert!(found.contains(wanted), "{text:?}: {found}");
        }
        assert!(
            fault(b"a = 1\nb = '\xff'\n", None, Names::Written)
                .is_some_and(|found| found.starts_with("line 2: "))
        );
    }

    /// `[limits] mass_delete` was committed without a word: nothing was limited by it.
    #[test]
    fn what_a_later_program_may_know_comes_from_other_devices_alone() {
        for text in
            ["", "# nothing\n", "reconcile = 1\n", "[secrets]\nallow = ['00']\n[boot]\nfiles = ['a']\n"]
        {
            assert_eq!(fault(text.as_bytes(), None, Names::Written), None, "{text}");
        }
        for text in [
            "[later]\nkey = 1\n",
            "[[path]]\nmatch = 'a'\nencrypt = true\nallow = ['one of tomorrow', 'secret']\n",
            "[limits]\nfile_mib = 9\nopen_sessions = 4\n",
        ] {
            let bytes = text.as_bytes();
            assert!(fault(bytes, None, Names::Written).is_some(), "{text}");
            assert_eq!(fault(bytes, None, Names::Arriving), None, "{text}");
            let edited = format!("{text}# an edit\n");
            assert_eq!(
                fault(edited.as_bytes(), Some(bytes), Names::Written),
                None,
                "it stood there before: {text}"
            );
        }
        assert!(fault(b"[limit]\n", None, Names::Arriving).is_some(), "it is nearly a known one");
    }
}
