//! Where a link leads: out of the vault, or into its own folder.
//!
//! A target is read as the system reads it, through every link on its way. Two things keep that simple:
//!
//! - `..` behind a name counts as leading out. Where it goes depends on what the name is, and that can change without
//!   the link: a folder can become a link later, and `d/e/..` is another place then. Links that people make have their
//!   `..` at the beginning, where they count from the folder in which the link lies, and that is never a link.
//! - So a link that stays inside stays inside whatever becomes of other paths, unless one of them becomes a link that
//!   leads out, and that one is judged as well.

use std::collections::HashSet;
use std::sync::Arc;

use crate::object::{VaultPath, check_link, is_reserved_name};

/// The maximum number of links on a way. Systems follow 40, and programs that look for themselves no more than this.
const FOLLOWED_MAX: usize = 1024;

/// Returns the target of the link at a path of the vault, or `None` if something else or nothing is there.
pub type LinkAt<'a, E> = dyn FnMut(&VaultPath) -> Result<Option<Arc<[u8]>>, E> + 'a;

enum Step {
    Up,
    Name(Vec<u8>),
    /// The end of what a link on the way said.
    Behind(VaultPath),
}

/// Returns `true` if a link's target leads out of the vault or into its own folder, by itself or through the links
/// that `link_at` finds on the way. Links in a circle lead nowhere.
pub fn leads_outside<E>(link: &VaultPath, target: &[u8], link_at: &mut LinkAt<'_, E>) -> Result<bool, E> {
    let mut here: Vec<u8> = link.parent().map(|folder| folder.as_bytes().to_vec()).unwrap_or_default();
    let Some(mut ahead) = steps(target) else { return Ok(true) };
    let mut within = HashSet::from([link.clone()]);
    let mut followed = 0;
    while let Some(step) = ahead.pop() {
        let name = match step {
            Step::Name(name) => name,
            Step::Up if here.is_empty() => return Ok(true),
            Step::Up => {
                here.truncate(here.iter().rposition(|byte| *byte == b'/').unwrap_or(0));
                continue;
            }
            Step::Behind(link) => {
                within.remove(&link);
                continue;
            }
        };
        let folder = here.len();
        if folder > 0 {
            here.push(b'/');
        }
        here.extend_from_slice(&name);
        // What cannot be a path of the vault is nothing that it holds, and opens nothing in it.
        let Ok(path) = VaultPath::parse(here.clone()) else { return Ok(false) };
        if let Some(target) = link_at(&path)? {
            if !within.insert(path.clone()) {
                return Ok(false);
            }
            followed += 1;
            let next = steps(&target).filter(|_| followed <= FOLLOWED_MAX);
            let Some(next) = next else { return Ok(true) };
            here.truncate(folder);
            ahead.push(Step::Behind(path));
            ahead.extend(next);
        }
    }
    Ok(false)
}

/// Returns the steps of a target, the last one first; `None` if it leads out whatever the vault holds.
fn steps(target: &[u8]) -> Option<Vec<Step>> {
    if check_link(target).is_err() || target[0] == b'/' {
        return None;
    }
    let mut steps = Vec::new();
    for part in target.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if matches!(steps.last(), Some(Step::Name(_))) => return None,
            b".." => steps.push(Step::Up),
            name if is_reserved_name(name) => return None,
            name => steps.push(Step::Name(name.to_vec())),
        }
    }
    steps.reverse();
    Some(steps)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::convert::Infallible;

    use super::*;

    fn path(text: &str) -> VaultPath {
        VaultPath::parse(text).expect("a path")
    }

    fn leads(link: &str, target: &str, others: &[(&str, &str)]) -> bool {
        let others: HashMap<&str, &str> = others.iter().copied().collect();
        let mut link_at = |path: &VaultPath| {
            let target = others.get(path.to_str().expect("text"));
            Ok::<_, Infallible>(target.map(|target| Arc::from(target.as_bytes())))
        };
        leads_outside(&path(link), target.as_bytes(), &mut link_at).expect("is looked up")
    }

    #[test]
    fn links_out_of_the_vault_are_found_by_what_they_say() {
        for (link, target) in [
            ("a", "/etc/passwd"),
            ("a", ".."),
            ("d/a", "../../x"),
            ("a", ""),
            ("a", "x/../../y"),
            ("a", "x/../y"),
            ("d/a", ".././x/./../y"),
            ("a", ".mvault/lock"),
            ("a", "d/.MVAULT./lock"),
            ("a", "b\0c"),
        ] {
            assert!(leads(link, target, &[]), "{link} -> {target}");
        }
        for (link, target) in [
            ("a", "b"),
            ("d/a", "../b"),
            ("d/e/a", "../../b"),
            ("a", "missing/x"),
            ("a", "./b"),
            ("d/a", ".."),
        ] {
            assert!(!leads(link, target, &[]), "{link} -> {target}");
        }
    }

    #[test]
    fn a_chain_of_links_is_followed_to_its_end() {
        // A peer sent `d/e -> ..` and `x.md -> d/e/../outside.txt`: each stays inside as text, and the second one
        // opened a file beside the vault.
        assert!(leads("x.md", "d/e/../outside.txt", &[("d/e", "..")]));
        assert!(!leads("d/e", "..", &[]));
        assert!(!leads("x.md", "d/e/inside.txt", &[("d/e", "..")]));
        // Through a link that a person let lead out.
        assert!(leads("x", "ext/secret", &[("ext", "/elsewhere")]));
        assert!(leads("x", "ext/secret", &[("ext", "../elsewhere")]));
        assert!(leads("x", "one/two/three", &[("one", "d"), ("d/two", "../up"), ("up", "..")]));
        assert!(leads("x", "one", &[("one", "two"), ("two", "d/../../y")]));
        assert!(!leads("x", "one/two/three", &[("one", "d"), ("d/two", "../up"), ("up", "below")]));
        // `..` counts from where the link on the way lies, and not from where it was met.
        assert!(!leads("x", "deep/in/it", &[("deep", "a/b/c"), ("a/b/c/in", "../../..")]));
        assert!(leads("x", "deep/in/it", &[("deep", "a/b/c"), ("a/b/c/in", "../../../..")]));
    }

    #[test]
    fn links_in_a_circle_lead_nowhere_and_long_ways_have_an_end() {
        assert!(!leads("x", "y", &[("x", "y"), ("y", "x")]));
        assert!(!leads("x", "x/x/x", &[("x", "x/x/x")]));
        assert!(!leads("x", "y/z", &[("y", "y/z")]));
        // A link that is met again is no circle if it was left before.
        assert!(!leads("x", "here/here/here/a", &[("here", ".")]));
        assert!(leads("x", "here/here/out/a", &[("here", "."), ("out", "..")]));
        // Each link is met twice as often as the one before.
        let names: Vec<(String, String)> =
            (0..30).map(|n| (format!("l{n}"), format!("l{}/l{}", n + 1, n + 1))).collect();
        let mut links: Vec<(&str, &str)> =
            names.iter().map(|(link, to)| (link.as_str(), to.as_str())).collect();
        links.push(("l30", "."));
        assert!(leads("x", "l0", &links));
    }
}
