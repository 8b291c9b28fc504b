//! What changed in a Markdown text, in words: sections by their headings, and lines.

use similar::{ChangeTag, TextDiff};

use crate::agent::boot::pack::{sections, title};

/// So many sections of a kind are named.
const NAMED_MAX: usize = 6;
/// Longer texts are not compared line by line.
const COMPARED_BYTES_MAX: usize = 1 << 20;

/// Tells what `new` has that `old` has not, and the other way round: which sections were added, changed and
/// removed, and how many lines.
pub fn changes(old: &str, new: &str) -> String {
    let (before, after) = (named(old), named(new));
    let find = |within: &[(String, &str)], name: &str| within.iter().position(|(known, _)| known == name);
    let added = after.iter().filter(|(name, _)| find(&before, name).is_none());
    let removed = before.iter().filter(|(name, _)| find(&after, name).is_none());
    let changed = after.iter().filter_map(|(name, text)| {
        let old = before[find(&before, name)?].1;
        (old != *text).then(|| format!("{name}{}", counted(old, text)))
    });
    let parts = [
        ("changed", changed.collect::<Vec<_>>()),
        ("added", added.map(|(name, _)| name.clone()).collect()),
        ("removed", removed.map(|(name, _)| name.clone()).collect()),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(word, names)| format!("{word} {}", listed(&names)))
        .collect();
    let lines = counted(old, new);
    match parts.is_empty() {
        true if lines.is_empty() => "only the order of its sections changed".to_owned(),
        true => format!("sections in another order{lines}"),
        false => format!("{}; in all{lines}", parts.join("; ")),
    }
}

/// Returns the sections with their headings in quotation marks; of equal headings the second has a number.
fn named(text: &str) -> Vec<(String, &str)> {
    let mut found: Vec<(String, &str)> = Vec::new();
    for section in sections(text) {
        let name = match section.starts_with('#') {
            true => format!("“{}”", title(section)),
            false => "the beginning".to_owned(),
        };
        let same = found.iter().filter(|(known, _)| known.split(" (#").next() == Some(&name)).count();
        let name = if same == 0 { name } else { format!("{name} (#{})", same + 1) };
        found.push((name, section));
    }
    found
}

fn listed(names: &[String]) -> String {
    let mut text = names[..names.len().min(NAMED_MAX)].join(", ");
    if names.len() > NAMED_MAX {
        text.push_str(&format!(" and {} more", names.len() - NAMED_MAX));
    }
    text
}

/// Returns lines added and removed as ` (+3 −1)`.
fn counted(old: &str, new: &str) -> String {
    if old.len().max(new.len()) > COMPARED_BYTES_MAX {
        return " (many lines)".to_owned();
    }
    let diff = TextDiff::from_lines(old, new);
    let count = |tag: ChangeTag| diff.iter_all_changes().filter(|change| change.tag() == tag).count();
    match (count(ChangeTag::Insert), count(ChangeTag::Delete)) {
        (0, 0) => String::new(),
        (plus, 0) => format!(" (+{plus})"),
        (0, minus) => format!(" (−{minus})"),
        (plus, minus) => format!(" (+{plus} −{minus})"),
    }
}

/// Returns what a text is about: its first heading, else its first line.
pub fn subject(text: &str) -> String {
    let body = match text.strip_prefix("---\n").and_then(|rest| rest.split_once("\n---\n")) {
        Some((_, body)) => body,
        None => text,
    };
    let heading = body.lines().find(|line| line.starts_with('#'));
    let line = heading.or_else(|| body.lines().find(|line| !line.trim().is_empty())).unwrap_or_default();
    line.trim_start_matches('#').trim().chars().take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_by_heading() {
        let old = "# Continuity\n\n## Now\n\none\ntwo\n\n## Old\n\ngone\n";
        let new = "# Continuity\n\n## Now\n\none\nthree\nfour\n\n## Ideas\n\nnew\n";
        let told = changes(old, new);
        assert!(told.contains("changed “Now” (+2 −1)"), "{told}");
        assert!(told.contains("added “Ideas”") && told.contains("removed “Old”"), "{told}");
        assert!(told.ends_with("in all (+4 −3)"), "{told}");
    }

    #[test]
    fn texts_without_headings_and_equal_headings_are_told_apart() {
        assert_eq!(changes("a\n", "a\nb\n"), "changed the beginning (+1); in all (+1)");
        let told = changes("# A\n1\n# A\n2\n", "# A\n1\n# A\n3\n");
        assert!(told.contains("“A” (#2) (+1 −1)"), "{told}");
        assert!(changes("# A\n# B\n", "# B\n# A\n").contains("order"));
        assert_eq!(changes("", "# A\n"), "added “A”; in all (+1)");
    }

    #[test]
    fn a_text_is_about_its_heading() {
        assert_eq!(subject("---\nid: 1\n---\nwords\n# Session: parser\n"), "Session: parser");
        assert_eq!(subject("\n\nfirst words\nmore"), "first words");
        assert_eq!(subject(""), "");
    }
}
