//! What of a `vault.toml` is most likely a slip: asked where somebody commits one, and nowhere else.
//!
//! A file that is valid to a merge can still be none that anybody means. A key that no program knows means nothing
//! and may be one of a later program; one that is nearly a known key is taken for that, mistyped. A merge rule that
//! this program does not know would part this device from all others.

use toml_edit::{Array, Item, Table};

use super::admission::Finding;
use super::rules::{RULES_FILE, RulesError, VaultRules, did_you_mean, document_of, line_of, nearest};
use crate::gateway::Reason;
use crate::merge::RULE_VERSION;
use crate::object::VaultPath;

const TOP_KEYS: [&str; 5] = ["reconcile", "path", "limits", "secrets", "boot"];
const PATH_KEYS: [&str; 5] = ["match", "class", "driver", "syntax", "allow"];
const LIMIT_KEYS: [&str; 3] = ["file_mib", "delete_files", "delete_percent"];
const SECRET_KEYS: [&str; 1] = ["allow"];
const BOOT_KEYS: [&str; 3] = ["files", "distillates", "events"];

/// Judges what is to stand at a path: a slip in `vault.toml` would change what holds on every device. `bytes` is
/// `None` for a file that is too long to be in memory.
pub(super) fn look(path: &VaultPath, bytes: Option<&[u8]>) -> Option<Finding> {
    if path.as_bytes() != RULES_FILE.as_bytes() {
        return None;
    }
    let fault = bytes.map_or_else(|| Some("it is too long".to_owned()), fault)?;
    Some(Finding::new(Reason::InvalidRules).detail(fault))
}

/// Returns what is wrong with a `vault.toml` that somebody wants to commit, with its line; `None` if nothing is.
fn fault(bytes: &[u8]) -> Option<String> {
    if let Some(version) = VaultRules::version_asked(bytes).filter(|version| *version != RULE_VERSION) {
        let line = line_of_key(bytes, "reconcile").map(|line| format!("line {line}: ")).unwrap_or_default();
        return Some(format!(
            "{line}merge rule {version} is not known to this mvault, which knows {RULE_VERSION}"
        ));
    }
    if let Err(error) = VaultRules::parse(Some(bytes)) {
        return Some(error.to_string());
    }
    let table = document_of(std::str::from_utf8(bytes).ok()?).ok()?;
    mistyped_in(bytes, &table).map(|error| error.to_string())
}

fn line_of_key(bytes: &[u8], key: &str) -> Option<usize> {
    let table = document_of(std::str::from_utf8(bytes).ok()?).ok()?;
    line_of(bytes, table.get(key)?.span())
}

fn mistyped_in(bytes: &[u8], table: &Table) -> Option<RulesError> {
    let keys = |name: &str, table: &Table, known: &[&str]| mistyped_key(bytes, name, table, known);
    if let Some(error) = keys("", table, &TOP_KEYS) {
        return Some(error);
    }
    for (name, known) in [("limits", &LIMIT_KEYS[..]), ("secrets", &SECRET_KEYS), ("boot", &BOOT_KEYS)] {
        let Some(item) = table.get(name) else { continue };
        if let Some(error) = with_table(item, |table| keys(name, table, known)) {
            return Some(error);
        }
    }
    for rule in table.get("path").and_then(Item::as_array_of_tables).into_iter().flatten() {
        if let Some(error) = keys("path", rule, &PATH_KEYS) {
            return Some(error);
        }
        let codes = rule.get("allow").and_then(Item::as_array).and_then(|codes| mistyped_code(bytes, codes));
        if codes.is_some() {
            return codes;
        }
    }
    None
}

fn with_table<T>(item: &Item, look: impl Fn(&Table) -> Option<T>) -> Option<T> {
    match item {
        Item::Table(table) => look(table),
        item => item.as_inline_table().and_then(|table| look(&table.clone().into_table())),
    }
}

fn mistyped_key(bytes: &[u8], name: &str, table: &Table, known: &[&str]) -> Option<RulesError> {
    for (key, item) in table.iter().filter(|(key, _)| !known.contains(key)) {
        let Some(meant) = nearest(key, known.iter().copied()) else { continue };
        let span = table.key(key).and_then(toml_edit::Key::span).or_else(|| item.span());
        let key = if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
        let problem = format!("is no key of {RULES_FILE}{}", did_you_mean(Some(meant)));
        return Some(RulesError::Value { line: line_of(bytes, span), key, problem });
    }
    None
}

fn mistyped_code(bytes: &[u8], codes: &Array) -> Option<RulesError> {
    for value in codes.iter() {
        let typed = value.as_str().unwrap_or_default();
        if Reason::from_code(typed).is_some() {
            continue;
        }
        let Some(meant) = nearest(typed, Reason::all().map(Reason::code)) else { continue };
        let problem =
            format!("has `{}`, which is no code{}", typed.escape_debug(), did_you_mean(Some(meant)));
        let (line, key) = (line_of(bytes, value.span()), "path.allow".to_owned());
        return Some(RulesError::Value { line, key, problem });
    }
    None
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
        ] {
            let found = fault(text.as_bytes()).unwrap_or_else(|| panic!("{text:?} is taken"));
            assert!(found.contains(wanted), "{text:?}: {found}");
        }
        assert!(fault(b"a = 1\nb = '\xff'\n").is_some_and(|found| found.starts_with("line 2: ")));
    }

    #[test]
    fn what_a_later_program_may_know_is_taken() {
        for text in [
            "",
            "# nothing\n",
            "reconcile = 1\n",
            "[later]\nkey = 1\n",
            "[[path]]\nmatch = 'a'\nencrypt = true\nallow = ['one of tomorrow', 'secret']\n",
            "[limits]\nfile_mib = 9\nopen_sessions = 4\n",
            "[secrets]\nallow = ['00']\n[boot]\nfiles = ['a']\nwords = 3\n",
        ] {
            assert_eq!(fault(text.as_bytes()), None, "{text}");
        }
    }
}
