//! Names as the least discerning system compares them, and patterns over them.
//!
//! Beside letter case and Unicode form these do not count: a dotless `ı` and a long `ſ` (some programs fold them), trailing
//! dots and blanks and the name of a stream (Windows), and characters that show nothing (HFS+, casefolding ext4). The short
//! names of FAT (`SETTIN~1.JSO`) match the names they can stand for.

use crate::gateway::name::fold;

/// Folds one name of a path.
pub(super) fn fold_part(name: &[u8]) -> Vec<u8> {
    let stream = name.iter().skip(1).position(|b| *b == b':').map_or(name.len(), |at| at + 1);
    let mut folded = match std::str::from_utf8(&name[..stream]) {
        // Some programs take an `i` with or without its dot for one letter, whatever Unicode says.
        Ok(text) => fold(text.replace(['İ', 'ı'], "i").replace('ſ', "s").as_bytes()),
        Err(_) => fold(&name[..stream]),
    };
    while matches!(folded.last(), Some(b'.' | b' ')) && folded.len() > 1 {
        folded.pop();
    }
    folded
}

/// The folded names of a path, from the outermost folder on.
pub(super) struct Parts<'a> {
    pub names: &'a [Vec<u8>],
    /// Whether one of them may be a short name of FAT.
    pub has_short: bool,
}

impl<'a> Parts<'a> {
    pub fn new(names: &'a [Vec<u8>]) -> Parts<'a> {
        let has_short = names.iter().any(|name| Short::parse(name).is_some());
        Parts { names, has_short }
    }
}

/// A pattern over the end of a path: names with `*` in them, and `**` for folders.
#[derive(Clone, Debug)]
pub(super) struct Pattern(Vec<Vec<u8>>);

impl Pattern {
    pub fn parse(text: &str) -> Pattern {
        Pattern(
            text.split('/')
                .map(|part| if part == "**" { b"**".to_vec() } else { fold_part(part.as_bytes()) })
                .collect(),
        )
    }

    /// The last name, which is that of the file.
    pub fn last(&self) -> &[u8] {
        self.0.last().map_or(b"", |last| last)
    }

    /// The first folder that is named in full.
    pub fn folder(&self) -> Option<&[u8]> {
        self.0[..self.0.len() - 1].iter().find(|part| !part.contains(&b'*')).map(Vec::as_slice)
    }

    /// Returns `true` if the path ends in what the pattern says.
    pub fn matches(&self, parts: &Parts<'_>) -> bool {
        (0..parts.names.len()).any(|start| matches_all(&self.0, &parts.names[start..]))
    }

    /// Returns `true` if the path ends in a folder that the pattern names: as a link it gives files behind it names that
    /// match.
    pub fn leads_through(&self, parts: &Parts<'_>) -> bool {
        (0..parts.names.len()).any(|start| leads_through(&self.0, &parts.names[start..], false))
    }
}

fn matches_all(pattern: &[Vec<u8>], names: &[Vec<u8>]) -> bool {
    match (pattern.split_first(), names.split_first()) {
        (None, None) => true,
        (Some((first, [])), Some(_)) if first == b"**" => true,
        (Some((first, rest)), _) if first == b"**" => {
            (0..names.len()).any(|at| matches_all(rest, &names[at..]))
        }
        (Some((first, rest)), Some((name, names))) => matches_one(first, name) && matches_all(rest, names),
        _ => false,
    }
}

fn leads_through(pattern: &[Vec<u8>], names: &[Vec<u8>], is_named: bool) -> bool {
    match (pattern.split_first(), names.split_first()) {
        (Some(_), None) => is_named,
        (Some((first, rest)), Some(_)) if first == b"**" => {
            (0..=names.len()).any(|at| leads_through(rest, &names[at..], is_named))
        }
        (Some((first, rest)), Some((name, names))) => {
            matches_one(first, name) && leads_through(rest, names, is_named || first != b"*")
        }
        _ => false,
    }
}

fn matches_one(pattern: &[u8], name: &[u8]) -> bool {
    glob(pattern, name) || Short::parse(name).is_some_and(|short| short.can_stand_for(pattern))
}

/// Matches a name against a pattern in which `*` stands for any characters.
pub(super) fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let Some(star) = pattern.iter().position(|b| *b == b'*') else { return pattern == name };
    let Some(rest) = name.strip_prefix(&pattern[..star]) else { return false };
    let pattern = &pattern[star + 1..];
    (0..=rest.len()).any(|at| glob(pattern, &rest[at..]))
}

/// A short name of FAT: up to six characters, `~`, a number, up to three characters behind a dot.
struct Short<'a> {
    stem: &'a [u8],
    digits: usize,
    extension: &'a [u8],
}

impl<'a> Short<'a> {
    fn parse(name: &'a [u8]) -> Option<Short<'a>> {
        let tilde = name.iter().position(|b| *b == b'~').filter(|at| (1..=6).contains(at))?;
        let rest = &name[tilde + 1..];
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let extension = match &rest[digits..] {
            [] => &rest[..0],
            [b'.', extension @ ..] => extension,
            _ => return None,
        };
        (digits > 0 && tilde + digits < 8 && extension.len() <= 3).then_some(Short {
            stem: &name[..tilde],
            digits,
            extension,
        })
    }

    /// Returns `true` if the system may give this name to a file that matches the pattern.
    fn can_stand_for(&self, pattern: &[u8]) -> bool {
        let start = pattern.iter().position(|b| *b != b'.').unwrap_or(0);
        let pattern = &pattern[start..];
        let dot = pattern.iter().rposition(|b| *b == b'.').filter(|at| *at > 0);
        let (stem, extension) =
            dot.map_or((pattern, &pattern[..0]), |at| (&pattern[..at], &pattern[at + 1..]));
        let short = |text: &[u8], length: usize| -> Vec<u8> {
            let kept = text.iter().filter(|b| !matches!(b, b'.' | b' '));
            kept.map(|b| if b"+,;=[]".contains(b) { b'_' } else { *b }).take(length).collect()
        };
        let open = stem.iter().position(|b| *b == b'*');
        let extension_fits = extension.contains(&b'*') || short(extension, 3) == self.extension;
        if let Some(open) = open {
            let known = short(&stem[..open], 7 - self.digits.min(6));
            return extension_fits && (open > 0 || !extension.is_empty()) && self.stem.starts_with(&known);
        }
        // The stem is cut to make room, or after many such names it is two characters and a hash.
        let cut = short(stem, 7 - self.digits.min(6));
        let is_hash = self.stem.len() == 6
            && self.stem[2..].iter().all(u8::is_ascii_hexdigit)
            && self.stem[..2] == short(stem, 2)[..];
        extension_fits && (self.stem == &cut[..] || is_hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        let names: Vec<Vec<u8>> = path.split('/').map(|part| fold_part(part.as_bytes())).collect();
        Pattern::parse(pattern).matches(&Parts::new(&names))
    }

    #[test]
    fn patterns_match_the_end_of_a_path() {
        for (pattern, path) in [
            (".envrc", ".envrc"),
            (".envrc", "a/b/.envrc"),
            (".vscode/*.json", "x/.vscode/tasks.json"),
            ("commands/**/*.md", "commands/a.md"),
            ("commands/**/*.md", "x/commands/a/b/c.md"),
            (".idea/**", ".idea/a/b.xml"),
            ("skills/*/**", "skills/x/run.py"),
            ("*mcp*.json", "my-mcp-servers.json"),
        ] {
            assert!(matches(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            (".envrc", "x.envrc"),
            (".envrc", ".envrc/a"),
            (".vscode/*.json", ".vscode/a/tasks.json"),
            (".vscode/*.json", "vscode/tasks.json"),
            (".idea/**", ".idea"),
            ("skills/*/**", "skills/x"),
            ("commands/**/*.md", "commands.md"),
        ] {
            assert!(!matches(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn a_link_leads_through_the_folders_of_a_pattern() {
        let leads = |pattern: &str, path: &str| {
            let names: Vec<Vec<u8>> = path.split('/').map(|part| fold_part(part.as_bytes())).collect();
            Pattern::parse(pattern).leads_through(&Parts::new(&names))
        };
        for (pattern, path) in [
            (".vscode/*.json", ".VSCode"),
            (".idea/**", "x/.idea"),
            ("skills/*/**", "skills/x"),
            ("commands/**/*.md", "commands/a/b"),
            ("fish/**/*.fish", ".config/fish"),
        ] {
            assert!(leads(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            (".envrc", ".envrc"),
            ("*.app/**", "x"),
            (".vscode/*.json", ".vscode/a"),
            (".vscode/*.json", "vscode"),
            ("skills/*/**", "notes/x"),
        ] {
            assert!(!leads(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn names_match_as_the_least_discerning_system_compares_them() {
        for path in [
            "SETTINGS.JSON",
            "settıngs.json",
            "ſettings.json",
            "settİngs.json",
            "settings.json.",
            "settings.json . ",
            "settings.json::$DATA",
            "set\u{200d}tings.json",
            "SETTIN~1.JSO",
            "settin~9.jso",
            "SETTI~10.JSO",
            "SE12AB~1.JSO",
        ] {
            assert!(matches("settings.json", path), "{path}");
        }
        assert!(matches(".claude/hooks/**", "CLAUDE~1/hooks/a"));
        assert!(matches(".mcp.json", "MCP~1.JSO"));
        assert!(matches("*.command", "START~1.COM"));
        assert!(matches(".envrc", "ENVRC~1"));
        for path in
            ["settings~.json", "settin~1.txt", "notes~1.jso", "settings.json.md", "a:settings.json", "~1.jso"]
        {
            assert!(!matches("settings.json", path), "{path}");
        }
    }
}
