//! Tests of names, targets and changes of refs.

use super::*;

fn id(n: u8) -> CommitId {
    CommitId::parse(&format!("{n:064x}")).expect("64 digits")
}

#[test]
fn names_that_git_or_a_shell_would_misread_are_refused() {
    let bad = [
        "../x",
        "heads/../../config.toml",
        "/heads/x",
        "heads//x",
        "heads/",
        "heads/.x",
        "heads/x.lock",
        "heads/x.LOCK",
        "heads/x.",
        "heads/a..b",
        "heads/@{",
        "heads/a@{1}",
        "heads/@",
        "heads/-x",
        "heads/a b",
        "heads/a~1",
        "heads/a^",
        "heads/a:b",
        "heads/a?",
        "heads/*",
        "heads/[a",
        "heads/a\\b",
        "heads/a\u{1b}[31m",
        "heads/a\nb",
        "heads/a\u{202e}b",
        "heads/HEAD",
        "heads/at",
        "saved/01",
        "saved/-1",
        "saved/",
        "saved/x",
        "remotes/pixel",
        "remotes/Pixel/main",
        "remotes/../main",
        "remotes/main/main",
        "head",
        "HEAD/x",
        "at/x",
        "",
        "refs/heads/main",
    ];
    for name in bad {
        assert!(RefName::parse(name).is_err(), "{name:?} was taken");
    }
    assert!(RefName::parse(&format!("heads/{}", "a".repeat(64))).is_err());
    assert!(RefName::parse(&format!("heads/{}", "x".repeat(65_536))).is_err());
}

#[test]
fn names_come_back_as_they_were_written() {
    for name in ["HEAD", "at", "heads/main", "heads/idea/lamp", "remotes/pixel/main", "tags/v1.0", "saved/12"]
    {
        assert_eq!(RefName::parse(name).map(|n| n.to_string()), Ok(name.to_owned()));
    }
    assert!(RefName::parse("heads/größe").is_ok());
}

#[test]
fn each_name_takes_its_own_kind_of_target() {
    let refs = Refs::default();
    let set = RefTarget::Set([id(1)].into());
    let name = |text: &str| RefName::parse(text).expect("a ref");
    let try_one = |n: &str, target: RefTarget| refs.changes(&[(name(n), Some(target))]);
    assert!(try_one("HEAD", RefTarget::Branch(Label::main())).is_ok());
    assert!(try_one("remotes/pixel/main", set.clone()).is_ok());
    assert!(try_one("HEAD", id(1).into()).is_err());
    assert!(try_one("heads/main", set.clone()).is_err());
    assert!(try_one("at", RefTarget::Branch(Label::main())).is_err());
    assert!(try_one("remotes/pixel/main", id(1).into()).is_err());
    assert!(try_one("remotes/pixel/main", RefTarget::Set(BTreeSet::new())).is_err());
}

#[test]
fn a_new_branch_may_not_be_a_folder_or_another_spelling_of_one_there_is() {
    let name = |text: &str| RefName::parse(text).expect("a ref");
    let mut refs = Refs::default();
    assert!(refs.insert_new(name("heads/idea"), id(1).into()));
    for bad in ["heads/idea/lamp", "heads/Idea"] {
        let clash = refs.changes(&[(name(bad), Some(id(2).into()))]);
        assert!(matches!(clash, Err(RefError::Clash { .. })), "{bad}");
    }
    assert!(refs.changes(&[(name("tags/idea/lamp"), Some(id(2).into()))]).is_ok());
    assert!(refs.changes(&[(name("heads/idea"), Some(id(2).into()))]).is_ok());
    // Making room and taking it may be one operation.
    let moved = [(name("heads/idea"), None), (name("heads/Idea"), Some(id(1).into()))];
    assert!(refs.changes(&moved).is_ok());
}

#[test]
fn changes_leave_out_what_is_so_already_and_refuse_a_name_twice() {
    let mut refs = Refs::default();
    assert!(refs.insert_new(RefName::At, id(1).into()));
    assert_eq!(refs.changes(&[(RefName::At, Some(id(1).into()))]), Ok(vec![]));
    let twice = [(RefName::At, Some(id(2).into())), (RefName::At, None)];
    assert_eq!(refs.changes(&twice), Err(RefError::Doubled(RefName::At)));
}

#[test]
fn saved_states_are_numbered_on() {
    let mut refs = Refs::default();
    assert_eq!(refs.next_saved(), RefName::Saved(1));
    assert!(refs.insert_new(RefName::Saved(9), id(1).into()));
    assert!(refs.insert_new(RefName::Saved(10), id(1).into()));
    assert_eq!(refs.next_saved(), RefName::Saved(11));
}
