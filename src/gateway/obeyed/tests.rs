//! Each name of the table in each place a vault can lie, and which part of a file counts.

use super::*;
use crate::object::{Kind, hash_object};

fn found_in(root: &str, path: &str, mode: Mode, bytes: &[u8]) -> Found {
    let path = VaultPath::parse(path).expect("a path");
    let blob = BlobId::new(hash_object(Kind::Blob, bytes));
    look(&Place::of(Path::new(root)), &path, mode).judge(blob, Content::Whole(bytes))
}

fn found(path: &str, text: &str) -> Found {
    found_in("/home/ann/vault", path, Mode::File, text.as_bytes())
}

fn runs(path: &str, text: &str) -> Runs {
    match found(path, text) {
        Found::Runs(runs) => runs,
        other => panic!("{path}: {other:?}"),
    }
}

fn part(path: &str, text: &str) -> Digest256 {
    runs(path, text).part
}

/// For names that are held for some content only: content that is.
fn content_for(name: &str) -> &'static str {
    match name {
        name if name.ends_with(".md") => "---\nname: x\nallowed-tools: Bash(*)\n---\ntext !`id`\n",
        name if name.starts_with("commands/") => "prompt = \"\"\"look !{id}\"\"\"\n",
        ".gitattributes" | "info/attributes" => "* filter=x\n",
        _ => {
            "{\"hooks\": {\"a\": [{\"command\": \"id\"}]}, \"mcpServers\": {\"a\": {\"command\": \"id\"}}, \
              \"scripts\": {\"a\": \"id\"}, \"mcp\": {\"a\": 1}, \"tasks\": [{\"command\": \"id\"}], \"configurations\": [1], \
              \"model_providers\": {\"a\": {\"base_url\": \"x\"}}, \"x\": \"[core exec listen unit=\"}\n"
        }
    }
}

/// A path that a pattern of the table matches.
fn example(pattern: &str) -> String {
    let name = pattern.replace("/**/", "/deep/er/").replace("/**", "/some/file");
    name.replace('*', "x")
}

/// Each name of the table holds a file of that name in the root of a vault, in a folder, and deep in one, in another
/// letter case; and in a vault that lies in the very folder that a path of the table names.
#[test]
fn every_name_of_the_table_is_known_wherever_the_vault_lies() {
    let text = include_str!("table.toml");
    let document: toml_edit::DocumentMut = text.parse().expect("a table");
    let rows = document["row"].as_array_of_tables().expect("rows");
    let mut count = 0;
    for row in rows {
        for name in row["names"].as_array().expect("names").iter().filter_map(|name| name.as_str()) {
            let path = example(name);
            let content = content_for(name);
            let steers = row.get("part").and_then(|part| part.as_str()) == Some("steers");
            let check = |root: &str, path: &str| {
                let is_known = match found_in(root, path, Mode::File, content.as_bytes()) {
                    Found::Runs(_) => !steers || name.ends_with(".md") || path.contains(".cl"),
                    Found::Steers => steers,
                    Found::Nothing => false,
                };
                assert!(is_known, "{name}: {path} in {root}");
            };
            check("/srv/vault", &path);
            check("/srv/vault", &format!("home/{path}"));
            check("/srv/vault", &format!("a/b/c/d/{path}"));
            check("/srv/vault", &path.to_uppercase());
            if let Some((folder, rest)) = path.split_once('/') {
                check(&format!("/home/ann/{folder}"), rest);
            }
            count += 1;
        }
    }
    assert!(count > 300, "{count}");
}

#[test]
fn ordinary_files_run_nothing() {
    for (path, text) in [
        ("settings.json", "{\"theme\": \"dark\", \"model\": \"opus\"}"),
        ("settings.json", "{}"),
        (".claude/settings.json", "{\"theme\": \"dark\", \"hooks\": {}}"),
        ("config.toml", "title = \"a page\"\n[params]\nx = 1\n"),
        ("config", "colour = blue\n"),
        ("notes/a.md", "# A note\n\n```sh\n!`ls`\n```\n"),
        ("notes/b.md", "---\ntitle: x\ntags:\n  - a\ntools: hammer\n---\ntext\n"),
        ("notes/c.md", "---\n\nhooks are fine things\n"),
        ("notes/d.md", "#!/bin/sh is how a script begins\n"),
        ("skills/x/SKILL.md", "---\nname: x\ndescription: how to fish\n---\n# Fishing\n"),
        ("skills/cooking/soup.md", "# Soup\n"),
        ("agents/anna.md", "# Anna\n\nlikes soup\n"),
        ("commands/fish.toml", "description = \"x\"\nprompt = \"how to fish\"\n"),
        ("Startup/ideas.md", "# Ideas\n"),
        ("ranger/trip.md", "# By the river\n"),
        ("sway/dance.md", "# Steps\n"),
        ("tasks.json", "{\"tasks\": [{\"title\": \"buy milk\"}]}"),
        ("package.json", "{\"name\": \"x\", \"version\": \"1\"}"),
        ("memory/MEMORY.md", "---\nname: x\ndescription: y\ntype: user\n---\ntext\n"),
        ("continuity.md", "# Continuity\n"),
        ("events/mac.jsonl", "{\"hooks\":1}\n"),
        ("vault.toml", "[limits]\nfile_mib = 1\n"),
        ("a.txt", "MZ is no program here"),
        ("notes.pdf", "%PDF"),
        (".bash_history", "ls\n"),
    ] {
        assert_eq!(found(path, text), Found::Nothing, "{path}");
    }
    assert_eq!(found("CLAUDE.md", "# Rules\n"), Found::Steers);
    assert_eq!(found("x/AGENTS.md", "# Rules\n"), Found::Steers);
}

#[test]
fn programs_are_known_by_mode_and_by_their_first_bytes() {
    let is_held =
        |path: &str, mode: Mode, bytes: &[u8]| matches!(found_in("/v", path, mode, bytes), Found::Runs(_));
    assert!(is_held("notes/a.md", Mode::Executable, b"# A note\n"));
    for bytes in [&b"#!/bin/sh\nid\n"[..], b"\x7fELF\x02", b"\xcf\xfa\xed\xfe", b"MZ\x90\0\x03"] {
        assert!(is_held("notes/tool", Mode::File, bytes), "{bytes:?}");
    }
    assert!(!is_held("notes/tool", Mode::File, b"MZ\n"));
    assert!(!is_held("notes/tool", Mode::Symlink, b"#!"));
}

/// The rest of a file changes every day: a theme, a counter, the prose of a skill. Only what runs is asked about.
#[test]
fn the_part_that_runs_is_the_same_until_it_changes() {
    let hook = "{\"theme\": 1, \"hooks\": {\"Stop\": [{\"command\": \"id\"}]}}";
    for (path, one, same, other) in [
        (
            "settings.json",
            hook,
            "{\n  \"hooks\" : {\"Stop\":[ {\"command\":\"\\u0069d\"}]},\n \"theme\": 2}",
            "{\"theme\": 1, \"hooks\": {\"Stop\": [{\"command\": \"id; id\"}]}}",
        ),
        (
            "settings.json",
            hook,
            "{\"model\": \"x\", \"hooks\": {\"Stop\": [{\"command\": \"id\"}]}}",
            "{\"env\": {\"PATH\": \"/\"}}",
        ),
        (
            "x/config.toml",
            "model = 'a'\nnotify = ['sh']\n",
            "# a comment\nnotify=[ \"sh\" ]\nmodel = 'b'\n",
            "model = 'a'\nnotify = ['sh', '-c']\n",
        ),
        (
            "skills/x/SKILL.md",
            "---\nname: x\nhooks:\n  Stop:\n    - command: id\n---\nprose !`date`\n",
            "---\nhooks:\n  Stop:\n    - command: id\nname: y\n---\nother prose !`date` and more\n",
            "---\nname: x\nhooks:\n  Stop:\n    - command: id; id\n---\nprose !`date`\n",
        ),
        ("commands/a.md", "look !`date`\n", "# Look\nhere !`date`\n", "look !`date` !`id`\n"),
        (
            "commands/a.toml",
            "prompt = 'a !{date}'\n",
            "prompt = 'b !{date} c'\n",
            "prompt = 'a !{date; id}'\n",
        ),
        (
            "notes/a.md",
            "---\nallowed-tools: Bash\n---\na\n",
            "---\nallowed-tools: Bash\n---\nb\n",
            "---\nallowed-tools: Bash\n---\na !`id`\n",
        ),
    ] {
        assert_eq!(part(path, one), part(path, same), "{path}");
        assert_ne!(part(path, one), part(path, other), "{path}");
    }
}

#[test]
fn what_cannot_be_taken_apart_counts_whole() {
    for text in [
        "{\"theme\": 1} // a comment",
        "{\"theme\": 1, \"theme\": 2}",
        "\u{feff}{\"theme\": 1}",
        "[1]",
        "{\"theme\": 1,}",
        "{\"theme\": \"\\ud800\"}",
    ] {
        let one = part("settings.json", text);
        assert_ne!(one, part("settings.json", &format!("{text} ")), "{text}");
    }
    let long = [b"{\"theme\":\"".as_slice(), &vec![b'x'; PART_BYTES_MAX as usize], b"\"}"].concat();
    let whole = found_in("/v", "settings.json", Mode::File, &long);
    assert!(matches!(whole, Found::Runs(_)));
    let blob = BlobId::new(hash_object(Kind::Blob, &long));
    let path = VaultPath::parse("settings.json").expect("a path");
    let head = look(&Place::default(), &path, Mode::File).judge(blob, Content::Long(&long[..64]));
    let part = |found: Found| if let Found::Runs(runs) = found { runs.part } else { panic!("{found:?}") };
    assert_eq!(part(whole), part(head), "however it was read");
}

/// YAML can write a key in many ways; in a file that is meant for a program none of them passes.
#[test]
fn a_key_in_another_spelling_is_found() {
    for front in [
        "\"hooks\":\n  a: 1",
        "'hooks': 1",
        "? hooks\n: 1",
        "{hooks: 1}",
        "!!str hooks: 1",
        "\"h\\x6foks\": 1",
        "&a hooks: 1",
        "hooks : 1",
        "HOOKS: 1",
    ] {
        let text = format!("---\nname: x\n{front}\n---\nprose\n");
        assert!(matches!(found("skills/x/SKILL.md", &text), Found::Runs(_)), "{front}");
        assert_ne!(
            part("skills/x/SKILL.md", &text),
            part("skills/x/SKILL.md", &text.replace('1', "2")),
            "{front}"
        );
    }
    for text in ["---\nhooks: 1\n", "\u{feff}---\r\nhooks: 1\r\n---\r\n", "---\nname: x\n...\n!`id`\n"] {
        assert!(matches!(found("skills/x/SKILL.md", text), Found::Runs(_)), "{text:?}");
    }
}

/// Readers take frontmatter in more forms than the plain one: all of it indented, after blank lines, with other ends of
/// lines, in another language (one of which they run), and up to the first `---` even within a line.
#[test]
fn what_other_readers_take_for_frontmatter_is_looked_at() {
    for text in [
        "---\n  name: x\n  hooks: 1\n---\n",
        "---\n# mine\n\n\thooks: 1\n---\n",
        "\n \r\n---\nhooks: 1\n---\n",
        "---\nname: x\rhooks: 1\n---\n",
        "---\nname: x\u{2028}hooks: 1\n---\n",
        "---json\n{\"hooks\": 1}\n---\n",
        "--- js\n{hooks: 1}\n---\n",
        "+++\nhooks = 1\n+++\n",
        "---\nname: x --- !`id 1`\n---\n",
    ] {
        assert!(matches!(found("skills/x/SKILL.md", text), Found::Runs(_)), "{text:?}");
        assert_ne!(
            part("skills/x/SKILL.md", text),
            part("skills/x/SKILL.md", &text.replace('1', "2")),
            "{text:?}"
        );
    }
    assert!(matches!(found("notes/a.md", "---js\nprocess.exit()\n---\n"), Found::Runs(_)));
    for text in
        ["--- a rule, then text\nhooks: 1\n", "-----\nhooks: 1\n", "---\n  name: x\n  more: 1\n---\nprose\n"]
    {
        assert_eq!(found("skills/x/SKILL.md", text), Found::Nothing, "{text:?}");
    }
    for text in ["---toml\nhooks = 1\n---\n", "+++\nhooks = 1\n+++\n", "\n---\nhooks: 1\n---\n"] {
        assert_eq!(found("notes/a.md", text), Found::Nothing, "{text:?}");
    }
}

#[test]
fn what_runs_is_shown_without_anything_that_steers_a_terminal() {
    let shown = |path: &str, text: &str| runs(path, text).shown;
    assert_eq!(
        shown("settings.json", "{\"hooks\": {\"Stop\": [{\"command\": \"curl x | sh\"}]}}"),
        "Claude Code: hooks `curl x | sh`"
    );
    assert_eq!(shown(".envrc", "# mine\n\nexport A=1\n"), "shells: `export A=1`");
    assert_eq!(
        shown(".mcp.json", "{\"mcpServers\": {\"a\": {\"command\": \"npx\", \"args\": [\"-y\", \"x\"]}}}"),
        "servers of tools: mcpServers `npx -y x`"
    );
    let odd = shown("settings.json", "{\"apiKeyHelper\": \"a\\u001b[31m\\u202eb\\nc\"}");
    assert_eq!(odd, "Claude Code: apiKeyHelper `a\\u{1b}[31m\\u{202e}b c`");
    let token = ["ghp_", "aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789"].concat();
    let env = shown("settings.json", &format!("{{\"env\": {{\"TOKEN\": \"{token}\"}}}}"));
    assert_eq!(env, "Claude Code: env");
}
