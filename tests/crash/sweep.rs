//! One command, killed at each of its points, and what must hold afterwards.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use super::errors::Failure;
use super::kill::{Point, fail_at, kill_at, mvault, points};
use crate::support::Place;

/// A file or link below the work folder; folders count by what is in them.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    File { bytes: Vec<u8>, executable: bool },
    Link(PathBuf),
}

type Files = BTreeMap<PathBuf, Entry>;

/// What a person can see: the files, and what `status` says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    files: Files,
    status: Value,
}

impl State {
    /// Tells whether this is the other state but for what is known of other devices: a fetch is an
    /// operation of its own and is kept when the pull that began with it is cut.
    fn is(&self, other: &State) -> bool {
        let without = |state: &State| {
            let mut status = state.status.clone();
            status["remotes"].take();
            status
        };
        self.files == other.files && without(self) == without(other)
    }
}

/// A place on a file system in memory, where there is one: a sweep copies it hundreds of times.
pub fn fast_place() -> Place {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { Place::new_in(memory) } else { Place::new() }
}

pub fn copy(from: &Place) -> Place {
    let place = fast_place();
    for name in ["home", "work"] {
        std::fs::remove_dir(place.root().join(name)).expect("an empty folder");
    }
    copy_folder(from.root(), place.root());
    place
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        let kind = entry.file_type().expect("a kind");
        if kind.is_dir() {
            std::fs::create_dir(&target).expect("a folder");
            copy_folder(&entry.path(), &target);
        } else if kind.is_symlink() {
            let link = std::fs::read_link(entry.path()).expect("a link");
            std::os::unix::fs::symlink(link, target).expect("a link");
        } else {
            std::fs::copy(entry.path(), target).expect("a file");
        }
    }
}

fn files(place: &Place) -> Files {
    use std::os::unix::fs::PermissionsExt;
    let mut files = Files::new();
    let walk = walkdir::WalkDir::new(place.work()).into_iter();
    for entry in walk.filter_entry(|entry| entry.file_name() != ".mvault") {
        let entry = entry.expect("can be walked");
        let path = entry.path().strip_prefix(place.work()).expect("below").to_path_buf();
        if entry.file_type().is_symlink() {
            files.insert(path, Entry::Link(std::fs::read_link(entry.path()).expect("a link")));
        } else if entry.file_type().is_file() {
            let bytes = std::fs::read(entry.path()).expect("a file");
            let mode = entry.metadata().expect("a file").permissions().mode();
            files.insert(path, Entry::File { bytes, executable: mode & 0o100 != 0 });
        }
    }
    files
}

fn state(place: &Place) -> State {
    let status = mvault(place, &["status"]).json();
    State { files: files(place), status }
}

/// A command to kill, and the states before and after it.
pub struct Sweep<'a> {
    template: &'a Place,
    args: Vec<&'a str>,
    old: State,
    old_files: Files,
    new: State,
    points: Vec<Point>,
    keeps: Vec<&'a str>,
    is_repeatable: bool,
    others: Vec<&'a str>,
    bundles: Vec<&'a str>,
    points_max: Option<usize>,
}

/// How often a sweep ended in which state.
#[derive(Debug, Default)]
pub struct Swept {
    old: usize,
    new: usize,
}

impl Swept {
    #[track_caller]
    pub fn assert_at_least(&self, count: usize) {
        let expected = points_asked().map_or(count, |limit| limit.min(count));
        assert!(self.old + self.new >= expected, "too few points for this to be a sweep: {self:?}");
    }

    #[track_caller]
    pub fn assert_both_ends_and_at_least(&self, count: usize) {
        self.assert_at_least(count);
        assert!(self.old > 0 && self.new > 0, "one side of the commit point was never tried: {self:?}");
    }
}

/// Returns how many points of a sweep `MVAULT_KILL_POINTS` asks for; `all` is every one.
pub fn points_asked() -> Option<usize> {
    let text = std::env::var("MVAULT_KILL_POINTS").ok()?;
    let number =
        || text.parse().unwrap_or_else(|_| panic!("MVAULT_KILL_POINTS is not a number or `all`: {text}"));
    Some(if text == "all" { usize::MAX } else { number() })
}

impl<'a> Sweep<'a> {
    /// Prepares a sweep of `mvault ARGS…` in copies of `template`: runs it once untouched.
    pub fn of(template: &'a Place, args: &[&'a str]) -> Sweep<'a> {
        let before = copy(template);
        let old_files = files(&before);
        let old = state(&before);
        let counted = copy(template);
        let points = points(&counted, args);
        let new = state(&counted);
        let args = args.to_vec();
        Sweep {
            template,
            args,
            old,
            old_files,
            new,
            points,
            keeps: Vec::new(),
            is_repeatable: true,
            others: Vec::new(),
            bundles: Vec::new(),
            points_max: points_asked(),
        }
    }

    /// Tries so many points at most, spread evenly, unless `MVAULT_KILL_POINTS` says how many.
    pub fn at_most(mut self, points: usize) -> Self {
        self.points_max.get_or_insert(points);
        self
    }

    /// Demands that the object is never lost.
    pub fn keeps(mut self, id: &'a str) -> Self {
        self.keeps.push(id);
        self
    }

    /// Demands that another vault, in a folder beside `work`, is whole at any time as well.
    pub fn beside(mut self, folder: &'a str) -> Self {
        self.others.push(folder);
        self
    }

    /// Demands that a bundle is whole at any time, and that in the end nothing unfinished lies beside it.
    pub fn bundle(mut self, path: &'a str) -> Self {
        self.bundles.push(path);
        self
    }

    /// Says that the command finishes what another one began: files may be of that one's old state.
    pub fn recovering(mut self, cut: &Sweep<'_>) -> Self {
        self.old_files = cut.old_files.clone();
        self
    }

    /// Kills at every point; the command can be given again whatever happened.
    pub fn run(self) -> Swept {
        let chosen = match self.points_max {
            Some(limit) if limit < self.points.len() => {
                (0..limit).map(|n| self.points[n * self.points.len() / limit].clone()).collect()
            }
            _ => self.points.clone(),
        };
        let (next, swept) = (AtomicUsize::new(0), Mutex::new(Swept::default()));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while let Some(point) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let is_new = self.try_point(point);
                        let mut swept = swept.lock().expect("the other thread panicked");
                        if is_new { swept.new += 1 } else { swept.old += 1 }
                    }
                });
            }
        });
        let swept = swept.into_inner().expect("no thread panicked");
        self.tell(&swept);
        swept
    }

    #[allow(clippy::print_stdout)] // cargo shows it with --nocapture
    fn tell(&self, swept: &Swept) {
        let (Swept { old, new }, all) = (swept, self.points.len());
        println!("mvault {}: killed at {} of {all} points; {old} old, {new} new", self.command(), old + new);
    }

    /// The same for a command that does its work again if it is given again.
    pub fn run_once(mut self) -> Swept {
        self.is_repeatable = false;
        self.run()
    }

    /// Kills at one point and looks; tells whether the new state was reached.
    fn try_point(&self, point: &Point) -> bool {
        let place = copy(self.template);
        kill_at(&place, &self.args, point);
        self.look_after(&place, &format!("killed {:?} before {}", self.args, point.line))
    }

    /// The words of the command.
    pub fn command(&self) -> String {
        self.args.join(" ")
    }

    /// The calls at which the command can be stopped.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// Lets one call fail and looks; tells whether the command failed.
    pub fn try_failure(&self, point: &Point, failure: Failure) -> bool {
        let place = copy(self.template);
        let output = fail_at(&place, &self.args, point, failure.errno);
        let stderr = String::from_utf8_lossy(&output.stderr);
        let code = output.status.code();
        let at = format!("{} for {:?} at {}: exit {code:?}\n{stderr}", failure.errno, self.args, point.line);
        let is_new = self.look_after(&place, &at);
        if code == Some(0) {
            assert!(is_new, "it said that all was done: {at}");
            return false;
        }
        assert!(code.is_some_and(|code| code != 101), "not an orderly end: {at}");
        assert!(stderr.to_lowercase().contains(failure.words), "what happened is not told: {at}");
        let is_moved = is_new && self.old != self.new;
        assert!(!(is_moved && stderr.contains("nothing was changed")), "something was: {at}");
        true
    }

    /// Looks at what a stopped command left; tells whether the new state was reached.
    fn look_after(&self, place: &Place, stopped: &str) -> bool {
        let at = |what: &str| format!("{stopped}: {what}");
        self.look_at_files(&files(place), &at("before anything else ran"));
        let found = state(place);
        let is_new = found.is(&self.new);
        if !is_new && !found.is(&self.old) {
            panic!("{}", at(&format!("neither old nor new: {}", self.differences(&found))));
        }
        for folder in self.others.iter().chain(&["work"]) {
            for check in [&["status"][..], &["verify"], &["audit", "--verify"]] {
                let outcome = mvault(place, check).dir(format!("../{folder}")).run();
                assert_eq!(outcome.code, Some(0), "{}", at(&outcome.describe()));
            }
        }
        for path in &self.bundles {
            let outcome = mvault(place, &["bundle", "verify", path]).run();
            assert_eq!(outcome.code, Some(0), "{}", at(&outcome.describe()));
        }
        if self.is_repeatable || !is_new {
            let outcome = mvault(place, &self.args).run();
            assert_eq!(outcome.code, Some(0), "{}", at(&outcome.describe()));
            let last = state(place);
            assert!(last == self.new, "{}", at(&format!("given again: {}", self.differences(&last))));
        }
        for path in &self.bundles {
            let folder = place.work().join(path);
            let beside = std::fs::read_dir(folder.parent().expect("it lies in a folder")).expect("listed");
            let names = beside.map(|entry| entry.expect("listed").file_name());
            let left: Vec<_> =
                names.filter(|name| name.to_string_lossy().starts_with(".mvault-bundle-")).collect();
            assert!(left.is_empty(), "{}", at(&format!("{left:?} is left")));
        }
        for id in &self.keeps {
            let outcome = mvault(place, &["cat", id]).run();
            assert_eq!(outcome.code, Some(0), "{}", at(&outcome.describe()));
        }
        is_new
    }

    /// Each file is the old or the new one, whole, and there are no others.
    fn look_at_files(&self, found: &Files, at: &str) {
        let paths = self.old_files.keys().chain(self.new.files.keys()).chain(found.keys());
        for path in paths {
            let now = found.get(path);
            let is_either = now == self.old_files.get(path) || now == self.new.files.get(path);
            assert!(is_either, "{at}: {} is neither old nor new", path.display());
        }
    }

    fn differences(&self, found: &State) -> String {
        let mut text = String::new();
        for (name, state) in [("old", &self.old), ("new", &self.new)] {
            let paths = state.files.keys().chain(found.files.keys());
            let mut paths: Vec<_> =
                paths.filter(|path| found.files.get(*path) != state.files.get(*path)).collect();
            paths.dedup();
            text += &format!("\n{name}: files that differ {paths:?}, status {}", state.status);
        }
        format!("{text}\nfound: {}", found.status)
    }

    /// Makes places in which the command was killed at `count` points after its operation was in the
    /// log and before it was done.
    pub fn cuts_after_the_operation(&self, count: usize) -> Vec<Place> {
        let is_journal =
            |point: &&Point| point.line.contains("/.mvault/journal") && point.line.contains("unlink");
        let end = self.points.iter().position(|p| is_journal(&p)).expect("a journal is removed");
        let in_log = |point: &Point| point.line.contains("/.mvault/oplog") && point.line.contains("sync");
        let begin = self.points.iter().position(in_log).expect("the log is synced") + 1;
        assert!(begin + count <= end, "{begin} to {end} of {:?}", self.points);
        let chosen = (0..count).map(|n| begin + n * (end - begin) / count);
        chosen
            .map(|n| {
                let place = copy(self.template);
                kill_at(&place, &self.args, &self.points[n]);
                place
            })
            .collect()
    }
}
