//! Rows over a real ssh: what a connection costs, and what is on top of it.
//!
//! The far device is an sshd on the loopback with a HOME of its own. The near one begins each round from a
//! copy of what it was before, so that every round brings the same.

use std::path::{Path, PathBuf};

use crate::bench::measure::Race;
use crate::bench::page::Section;
use crate::bench::row::{Row, Unit};
use crate::bench::side::{Lane, Side};
use crate::bench::streams;
use crate::bench::workload::Notes;
use crate::bench::{Bench, Done};
use crate::support::Place;
use crate::support::sshd::{Sshd, Wishes};

/// A side with its far and its near device.
struct Pair {
    far: Side,
    near: Side,
    /// What the far folder is called over ssh.
    url: String,
}

impl Pair {
    fn new(bench: &Bench, lane: Lane, root: &Path, name: &str) -> Pair {
        let config = format!("-F {}", root.join("sshd/ssh_config").display());
        let side = |place: PathBuf| {
            let side = Side::new(bench, lane, root, name).at(place);
            let side = side.variable("MVAULT_SSH_ARGS", config.clone());
            side.variable("GIT_SSH_COMMAND", format!("ssh {config}"))
                .variable("RSYNC_RSH", format!("ssh {config}"))
        };
        Pair {
            // What it makes is known where its programs run.
            far: side(root.join("sshd/home").join(name)).of_home(root.join("sshd/home")),
            near: side(root.join("near").join(name)),
            // sshd starts in the home of the user database, not in this HOME: the whole path says which.
            url: format!("far:{}", root.join("sshd/home").join(name).display()),
        }
    }

    fn clone(&self) -> Done {
        if self.near.folder.symlink_metadata().is_ok() {
            std::fs::remove_dir_all(&self.near.folder)?;
        }
        let folder = self.near.folder.to_str().ok_or("the folder's name is not UTF-8")?;
        match self.near.lane {
            Lane::Mvault => {
                let near = self.near.at(self.far.folder.clone());
                near.run(&["clone", "-q", &self.url, folder, "--device", "near"])
            }
            Lane::Rsync => self.far.run(&["-a", &format!("{}/", self.url), folder]),
            _ => {
                self.far.run(&["clone", "-q", &self.url, folder])?;
                self.near.settle()
            }
        }
    }

    fn pull(&self) -> Done {
        match self.near.lane {
            Lane::Mvault => self.near.run(&["pull", "-q", &self.url]),
            Lane::Rsync => self.near.run(&["-a", &format!("{}/", self.url), "."]),
            Lane::SshTrue => self.near.run(&["-F", "../../sshd/ssh_config", "far", "true"]),
            _ => self.near.run(&["pull", "-q", "origin", "main"]),
        }
    }

    /// Makes a commit of five lines more; rsync has the files alone.
    fn add(&self, round: u64) -> Done {
        streams::add_lines(&self.far.folder, round, 5)?;
        if self.far.lane == Lane::Rsync { Ok(()) } else { self.far.commit() }
    }

    fn begin(&self, notes: Notes) -> Done {
        std::fs::create_dir_all(&self.far.folder)?;
        std::fs::create_dir_all(&self.near.folder)?;
        match self.far.lane {
            Lane::SshTrue => return Ok(()),
            Lane::Rsync => {}
            _ => self.far.init()?,
        }
        notes.write(&self.far.folder)?;
        self.add(0)?;
        self.clone()
    }

    /// A copy of the near device, as it was before anything came.
    fn kept(&self) -> PathBuf {
        self.near.folder.with_extension("kept")
    }
}

/// The far device. sshd's first `SetEnv` counts: the surroundings that its programs run in.
fn far(bench: &Bench, place: &Place) -> Done<Sshd> {
    let folder = place.root().join("sshd");
    let path = std::env::var("PATH").unwrap_or_default();
    let sshd_lines = format!(
        "SetEnv HOME={} PATH={}:{path} LC_ALL=C GIT_CONFIG_NOSYSTEM=1",
        folder.join("home").display(),
        folder.join("bin").display()
    );
    let sshd = Sshd::start(place, &Wishes { sshd_lines, has_mvault: false, ..Wishes::default() });
    std::os::unix::fs::symlink(&bench.program, folder.join("bin/mvault"))?;
    Ok(sshd)
}

pub fn run(bench: &Bench, section: &mut Section) -> Done {
    let place = bench.place();
    let _sshd = far(bench, &place)?;
    let has_rsync = std::process::Command::new("rsync").arg("--version").output().is_ok();
    let mut pairs: Vec<Pair> = [
        (Lane::Mvault, "mvault"),
        (Lane::Default, "git"),
        (Lane::SshTrue, "nothing"),
        (Lane::Rsync, "rsync"),
    ]
    .into_iter()
    .filter(|(lane, _)| *lane != Lane::Rsync || has_rsync)
    .map(|(lane, name)| Pair::new(bench, lane, place.root(), name))
    .collect();
    if !has_rsync {
        section.say("rsync is not installed: nothing was compared with it.".to_owned());
    }
    let notes = Notes { count: bench.count(1000) };
    pairs.iter().try_for_each(|pair| pair.begin(notes))?;
    small_pulls(bench, section, &pairs)?;
    pairs.retain(|pair| pair.near.lane != Lane::SshTrue);
    many_commits(bench, section, &pairs)
}

fn of<'a>(pairs: &'a [Pair], side: &Side) -> Done<&'a Pair> {
    pairs.iter().find(|pair| pair.near.lane == side.lane).ok_or_else(|| "every side has a pair".into())
}

fn small_pulls(bench: &Bench, section: &mut Section, pairs: &[Pair]) -> Done {
    let near = || pairs.iter().map(|pair| &pair.near);
    let timings = Race::new(bench, near()).run(|_, _| Ok(()), |side, _| of(pairs, side)?.pull())?;
    section.row(Row::times("pull, nothing new", &timings).within(Lane::SshTrue, 0.050));
    let add = |side: &Side, round: usize| match side.lane {
        Lane::SshTrue => Ok(()),
        _ => of(pairs, side)?.add(1 + round as u64),
    };
    let timings = Race::new(bench, near()).run(add, |side, _| of(pairs, side)?.pull())?;
    section.row(Row::times("pull, 1 commit", &timings).within(Lane::SshTrue, 0.050));
    Ok(())
}

fn many_commits(bench: &Bench, section: &mut Section, pairs: &[Pair]) -> Done {
    let near = || pairs.iter().map(|pair| &pair.near);
    let commits = bench.count(1000);
    for pair in pairs {
        pair.near.copy_to(&pair.kept())?;
        for round in 0..commits {
            pair.add(1000 + round)?;
        }
    }
    let restore = |side: &Side, _| side.at(of(pairs, side)?.kept()).copy_to(&side.folder);
    let pulled = Race::new(bench, near()).watched().run(restore, |side, _| of(pairs, side)?.pull())?;
    let within = "at most 2 x rsync's time";
    let row = Row::times(&format!("pull, {commits} commits of 5 lines"), &pulled);
    section.row(row.faster(Lane::Default, 10.0).aims(within, Lane::Rsync, 0.5));
    section.row(Row::peaks("pull: peak memory here", &pulled).under(128.0));
    let cloned = Race::new(bench, near()).run(|_, _| Ok(()), |side, _| of(pairs, side)?.clone())?;
    section.row(Row::times(&format!("clone of {commits} commits"), &cloned).faster(Lane::Default, 2.0));
    let kept = pairs.iter().filter(|pair| pair.near.lane != Lane::Rsync);
    let sizes = kept.map(|pair| Ok((pair.near.lane, pair.near.store_mb()?))).collect::<Done<Vec<_>>>()?;
    section.row(Row::figures("store of the clone", Unit::Megabytes, sizes));
    bundles(bench, section, pairs)
}

/// The whole history as one file.
fn bundles(bench: &Bench, section: &mut Section, pairs: &[Pair]) -> Done {
    if !bench.has("bundle", "") {
        section.row(Row::missing("bundle of all of it", "`mvault bundle`"));
        return Ok(());
    }
    let far = pairs.iter().map(|pair| &pair.far).filter(|side| side.lane != Lane::Rsync);
    let bundle = |side: &Side, round: usize| {
        let file = side.folder.with_extension(format!("{round}.bundle"));
        let file = file.to_str().ok_or("the file's name is not UTF-8")?;
        let words = ["bundle", "create", "-q", file, "main"];
        side.run(if side.is_git() { &words } else { &words[..4] })
    };
    let timings = Race::new(bench, far).run(|_, _| Ok(()), bundle)?;
    section.row(Row::times("bundle of all of it", &timings));
    Ok(())
}
