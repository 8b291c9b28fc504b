//! What of a command line the operation log keeps.

use mvault::cli::definition;
use mvault::commands::logged::{LEFT_OUT, is_text, words};

fn logged(line: &[&str]) -> Vec<String> {
    let definition = definition();
    let typed = ["mvault"].iter().chain(line);
    let matches = definition.clone().try_get_matches_from(typed).unwrap_or_else(|e| panic!("{line:?}: {e}"));
    words(&definition, &matches)
}

/// `commit -qm X` put its message into the log, which cannot forget: the command line was parsed a second time, by
/// hand, and one spelling was missed.
#[test]
fn no_spelling_of_a_text_reaches_the_log() {
    for line in [
        &["commit", "-m", "WORD"][..],
        &["commit", "-mWORD"],
        &["commit", "-qm", "WORD"],
        &["commit", "-qmWORD"],
        &["commit", "-qm=WORD"],
        &["commit", "--message", "WORD"],
        &["commit", "--message=WORD"],
        &["rollback", "main~1", "-qm", "WORD"],
        &["rollback", "main~1", "-mWORD"],
        &["purge", "a.md", "-mWORD"],
        &["note", "WORD", "WORD"],
        &["note", "--stream", "team", "WORD"],
        &["events", "add", "WORD"],
        &["handoff", "create", "WORD"],
    ] {
        let logged = logged(line);
        assert!(logged.iter().all(|word| !word.contains("WORD")), "{line:?}: {logged:?}");
        assert!(logged.iter().any(|word| word == LEFT_OUT), "{line:?}: {logged:?}");
    }
}

#[test]
fn everything_else_is_kept_in_its_order() {
    let line = ["-C", "x", "commit", "--allow", "secret:a", "-qm", "WORD", "b.md", "--strict", "c.md"];
    assert_eq!(
        logged(&line),
        ["commit", "--allow", "secret:a", "--message", "…", "b.md", "--strict", "c.md"]
    );
    assert_eq!(logged(&["checkout", "main~1", "--", "a b.md"]), ["checkout", "main~1", "a b.md"]);
    assert_eq!(logged(&["session", "end", "s1"]), ["session", "end", "s1"]);
}

/// A tag called like a key stood in the log for ever.
#[test]
fn a_word_that_looks_like_a_credential_is_left_out() {
    let key = ["AKIA", "3KQ7ZP2V", "XWN5LT6R"].concat();
    assert_eq!(logged(&["tag", &key]), ["tag", "…"]);
    assert_eq!(logged(&["write", &format!("w/{key}.md")]), ["write", "…"]);
}

/// Every argument of every verb, so that a new one cannot be forgotten.
#[test]
fn every_free_text_is_known_by_the_name_of_its_value() {
    fn walk(command: &clap::Command, found: &mut Vec<String>) {
        for argument in command.get_arguments().filter(|argument| argument.get_action().takes_values()) {
            let id = argument.get_id().as_str();
            let sounds_free = ["message", "text", "reason", "summary", "body", "words", "notes", "pending"];
            if sounds_free.contains(&id) && !is_text(argument) {
                found.push(format!("{} {id}", command.get_name()));
            }
        }
        command.get_subcommands().for_each(|command| walk(command, found));
    }
    let mut found = Vec::new();
    walk(&definition(), &mut found);
    assert_eq!(found, [""; 0]);
}
