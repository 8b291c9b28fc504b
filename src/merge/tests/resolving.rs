//! Resolution: choices, what they are kept by, when they lapse, and what they come to.

use super::{TestBook, World};
use crate::merge::{
    BaseValue, Choices, Conflict, Resolution, ResolveError, Take, choose, derive, reconcile, resolve,
};
use crate::object::{CommitId, DeviceName, Entry};

struct Scene {
    world: World,
    heads: [CommitId; 2],
}

/// `a` and `b` changed on both devices, `gone` deleted on one and edited on the other, `calm` merges.
fn scene() -> Scene {
    let world = World::default();
    let base = [("a", "1\nend\n"), ("b", "1\n"), ("calm", "1\n2\n3\n4\n"), ("gone", "1\n")];
    let mac = [("a", "mac\nend\n"), ("b", "mac\n"), ("calm", "one\n2\n3\n4\n")];
    let pixel = [("a", "pixel\nend\n"), ("b", "pixel\n"), ("calm", "1\n2\n3\nfour\n"), ("gone", "2\n")];
    let base = world.files("mac", &[world.root()], &base);
    let heads = [world.files("mac", &[base], &mac), world.files("pixel", &[base], &pixel)];
    Scene { world, heads }
}

impl Scene {
    fn resolve(&self, choices: &Choices) -> Resolution {
        resolve(&self.world.objects, &TestBook, &self.heads, choices).expect("works")
    }

    fn conflict(&self, path: &str) -> Conflict {
        let all = self.resolve(&Choices::new()).remaining;
        all.into_iter().find(|c| c.path.as_bytes() == path.as_bytes()).expect("in conflict")
    }

    fn take(&self, path: &str, take: Take) -> Result<(String, Option<Entry>), ResolveError> {
        let conflict = self.conflict(path);
        let chosen = choose(&self.world.objects, &conflict, take)?;
        if let Some(blob) = chosen.blob {
            self.world.objects.put(blob.kind, &blob.data);
        }
        Ok((conflict.key(), chosen.entry))
    }
}

fn device(name: &str) -> Take {
    Take::Device(DeviceName::parse(name).expect("a name"))
}

#[test]
fn choices_for_all_conflicts_make_the_tree_of_the_resolution() {
    let scene = scene();
    let mut choices = Choices::new();
    assert_eq!(scene.resolve(&choices).remaining.len(), 3);
    choices.extend([scene.take("a", Take::Both).expect("text")]);
    choices.extend([scene.take("b", device("pixel")).expect("a side")]);
    let part = scene.resolve(&choices);
    assert_eq!((part.remaining.len(), part.chosen.len(), part.tree), (1, 2, None));
    choices.extend([scene.take("gone", device("mac")).expect("a side")]);
    let whole = scene.resolve(&choices);
    assert_eq!(whole.parents, derive(&scene.world.objects, &TestBook, &scene.heads).expect("works").frontier);
    scene.world.keep(&whole.objects);
    let files = scene.world.list(whole.tree.expect("all chosen"));
    let wanted = [("a", "mac\npixel\nend\n"), ("b", "pixel\n"), ("calm", "one\n2\n3\nfour\n")];
    let both_orders = [("a", "pixel\nmac\nend\n"), wanted[1], wanted[2]];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    assert!(files == wanted || files == both_orders, "{files:?}");
    let resolved = scene.world.commit("pixel", &whole.parents, whole.tree.expect("all chosen"));
    let after = reconcile(&scene.world.objects, &TestBook, scene.heads[0], &[resolved]).expect("works");
    assert_eq!((after.head, after.pending.len()), (resolved, 0));
}

#[test]
fn every_way_to_take_gives_what_it_says() {
    let scene = scene();
    let text = |take| {
        let (_, entry) = scene.take("a", take).expect("taken");
        let bytes = crate::object::Source::find_blob(
            &scene.world.objects,
            crate::object::BlobId::new(entry.expect("a file").id),
        );
        String::from_utf8(bytes.expect("kept").to_vec()).expect("text")
    };
    assert_eq!(text(device("mac")), "mac\nend\n");
    assert_eq!(text(Take::Head(scene.heads[1])), "pixel\nend\n");
    assert_eq!(text(Take::Base), "1\nend\n");
    assert_eq!(text(Take::Bytes(b"own\n".to_vec())), "own\n");
    assert_eq!(scene.take("gone", device("mac")).expect("taken").1, None);
    assert!(matches!(scene.take("a", device("studio")), Err(ResolveError::NoSuchSide(_))));
    assert!(matches!(scene.take("gone", Take::Both), Err(ResolveError::NotText)));
}

#[test]
fn a_choice_lapses_when_a_side_or_the_base_changes_and_not_before() {
    let scene = scene();
    let (key, entry) = scene.take("a", device("mac")).expect("a side");
    let choices = Choices::from([(key, entry)]);
    let remaining = |heads: &[CommitId]| {
        let found = resolve(&scene.world.objects, &TestBook, heads, &choices).expect("works").remaining;
        found.iter().map(|c| c.path.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(remaining(&scene.heads), ["b", "gone"]);
    let files = |a: &str, calm: &str| {
        let files = [("a", a), ("b", "pixel\n"), ("calm", calm), ("gone", "2\n")];
        scene.world.files("pixel", &[scene.heads[1]], &files)
    };
    let elsewhere = files("pixel\nend\n", "1\n2\n3\n5\n");
    assert_eq!(remaining(&[scene.heads[0], elsewhere]), ["b", "gone"], "a is as it was");
    let here = files("pixel again\nend\n", "1\n2\n3\nfour\n");
    assert_eq!(remaining(&[scene.heads[0], here]), ["a", "b", "gone"]);
}

#[test]
fn rules_are_chosen_first_and_say_what_else_is_in_conflict() {
    let world = World::default();
    let base = [("a.u", "1\n"), ("b", "1\n"), ("vault.toml", "# 1\n")];
    let base = world.files("mac", &[world.root()], &base);
    let mac = [("a.u", "mac\n"), ("b", "mac\n"), ("vault.toml", "# mac\n")];
    let pixel = [("a.u", "pixel\n"), ("b", "pixel\n"), ("vault.toml", "union .u\n")];
    let heads = [world.files("mac", &[base], &mac), world.files("pixel", &[base], &pixel)];
    let ask = |choices: &Choices| resolve(&world.objects, &TestBook, &heads, choices).expect("works");
    let first = ask(&Choices::new());
    assert_eq!(first.remaining.iter().map(|c| c.path.to_string()).collect::<Vec<_>>(), ["vault.toml"]);
    for (rules, left) in [("pixel", vec!["b"]), ("mac", vec!["a.u", "b"])] {
        let chosen = choose(&world.objects, &first.remaining[0], device(rules)).expect("a side");
        let next = ask(&Choices::from([(first.remaining[0].key(), chosen.entry)]));
        assert_eq!(next.remaining.iter().map(|c| c.path.to_string()).collect::<Vec<_>>(), left);
        assert_eq!(next.chosen.len(), 1);
    }
    let chosen =
        choose(&world.objects, &first.remaining[0], Take::Bytes(b"nonsense\n".to_vec())).expect("bytes");
    let blob = chosen.blob.expect("new");
    world.objects.put(blob.kind, &blob.data);
    let next = ask(&Choices::from([(first.remaining[0].key(), chosen.entry)]));
    assert_eq!(next.remaining[0].reason.as_deref(), Some("no rule: nonsense"));
    assert_eq!(next.tree, None);
}

#[test]
fn what_several_devices_merged_cleanly_is_taken_together() {
    // tablet and mac changed different lines, pixel contradicts mac: to take mac must not drop tablet's.
    let world = World::default();
    let text = |one: &str, five: &str| format!("{one}\n2\n3\n4\n{five}\n6\n");
    let base = world.files("mac", &[world.root()], &[("a", &text("1", "5"))]);
    let tablet = world.files("tablet", &[base], &[("a", &text("1", "tablet"))]);
    let mac = world.files("mac", &[base], &[("a", &text("mac", "5"))]);
    let mut pixel = world.files("pixel", &[base], &[("a", &text("pixel", "5"))]);
    pixel = world.files("pixel", &[pixel], &[("a", &text("pixel", "5"))]);
    let heads = [tablet, mac, pixel];
    let first = resolve(&world.objects, &TestBook, &heads, &Choices::new()).expect("works");
    let [conflict] = &first.remaining[..] else { panic!("one conflict: {:?}", first.remaining) };
    assert_eq!(conflict.sides.len(), 3);
    // No commit holds what the two merged into, and yet it can be shown and kept together with both.
    let shown = conflict.sides[0].entry.expect("a file");
    let bytes = conflict.read(&world.objects, shown).expect("made on the way");
    assert_eq!(&bytes[..], text("mac", "tablet").as_bytes());
    let both = choose(&world.objects, conflict, Take::Both).expect("text").blob.expect("new");
    assert!(String::from_utf8_lossy(&both.data).contains("tablet"));
    let chosen = choose(&world.objects, conflict, device("mac")).expect("a side");
    let whole = resolve(&world.objects, &TestBook, &heads, &Choices::from([(conflict.key(), chosen.entry)]));
    let whole = whole.expect("works");
    world.keep(&whole.objects);
    assert_eq!(world.list(whole.tree.expect("chosen"))[0].1, text("mac", "tablet"));
}

#[test]
fn a_base_without_value_cannot_be_taken() {
    let scene = scene();
    let all = |a: &str, b: &str| {
        let files = [("a", a), ("b", b), ("calm", "one\n2\n3\nfour\n")];
        scene.world.files("mac", &scene.heads, &files)
    };
    let (one, other) = (all("x\nend\n", "same\n"), all("y\nend\n", "same\n"));
    let resolution = resolve(&scene.world.objects, &TestBook, &[one, other], &Choices::new()).expect("works");
    let [conflict] = &resolution.remaining[..] else { panic!("one conflict: {:?}", resolution.remaining) };
    assert_eq!(conflict.base, BaseValue::NoValue);
    assert!(matches!(choose(&scene.world.objects, conflict, Take::Base), Err(ResolveError::NoBase)));
}

#[test]
fn a_moved_file_in_conflict_is_one_conflict_at_its_new_place() {
    let world = World::default();
    let text = |line: &str| format!("1\n2\n3\n{line}\n5\n6\n7\n8\n");
    let base = world.files("mac", &[world.root()], &[("old", &text("4"))]);
    let mac = world.files("mac", &[base], &[("new", &text("mac"))]);
    let pixel = world.files("pixel", &[base], &[("old", &text("pixel"))]);
    let heads = [mac, pixel];
    let first = resolve(&world.objects, &TestBook, &heads, &Choices::new()).expect("works");
    let [conflict] = &first.remaining[..] else { panic!("one conflict: {:?}", first.remaining) };
    assert_eq!((conflict.path.to_string(), conflict.clears.len()), ("new".into(), 1));
    assert_eq!(conflict.base.entry().map(|e| e.id), Some(world.blob(text("4"))));
    let chosen = choose(&world.objects, conflict, device("pixel")).expect("a side");
    let whole = resolve(&world.objects, &TestBook, &heads, &Choices::from([(conflict.key(), chosen.entry)]));
    let whole = whole.expect("works");
    world.keep(&whole.objects);
    assert_eq!(world.list(whole.tree.expect("chosen")), [("new".to_owned(), text("pixel"))]);
}

#[test]
fn entries_survive_being_written_as_text() {
    let world = World::default();
    let entry = Entry { mode: crate::object::Mode::Executable, id: world.blob("x") };
    assert_eq!(Entry::from_text(&entry.to_text()), Some(entry));
    assert_eq!(Entry::from_text("100664 abc"), None);
}
