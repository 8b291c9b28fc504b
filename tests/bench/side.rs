//! The sides of a race: a program with its options in a folder, and what is asked of it.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Bench, Done};

/// Which column a side's figures go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// mvault.
    Mvault,
    /// git, configured for the durability that mvault always has.
    Synced,
    /// git as it comes.
    Default,
    /// git with every cache it offers switched on.
    Cached,
    /// A connection that does nothing.
    SshTrue,
    /// The files alone, without any history.
    Rsync,
    /// The start of a program that does nothing.
    Start,
    /// mvault in another state or form, told beside.
    Variant,
    /// What cannot be left out; its program does nothing, so that a run of it is the start of a program.
    Floor,
}

impl Lane {
    /// Returns the name of a side in running text.
    pub fn name(self) -> &'static str {
        match self {
            Lane::Mvault => "mvault",
            Lane::Synced => "git synced",
            Lane::Default => "git default",
            Lane::Cached => "git, every cache on",
            Lane::SshTrue => "`ssh host true`",
            Lane::Rsync => "rsync",
            Lane::Start => "`mvault --version`",
            Lane::Variant => "variant",
            Lane::Floor => "floor",
        }
    }

    fn options(self) -> &'static [&'static str] {
        match self {
            Lane::Synced => &["-c", "core.fsync=all", "-c", "core.fsyncMethod=batch"],
            Lane::Cached => &[
                "-c",
                "feature.manyFiles=true",
                "-c",
                "core.untrackedCache=true",
                "-c",
                "index.version=4",
                "-c",
                "core.fsmonitor=false",
            ],
            _ => &[],
        }
    }
}

/// One side in one folder.
#[derive(Clone)]
pub struct Side {
    /// Its column.
    pub lane: Lane,
    /// Where it runs.
    pub folder: PathBuf,
    program: PathBuf,
    home: PathBuf,
    variables: Vec<(String, String)>,
    /// Whether runs are watched for their memory.
    pub is_watched: Cell<bool>,
    /// The most memory of a watched run, in KiB.
    pub peak_kib: Cell<Option<u64>>,
}

impl Side {
    /// A side in the folder `name` below `root`, whose `home` is that of all sides.
    pub fn new(bench: &Bench, lane: Lane, root: &Path, name: &str) -> Side {
        let program = match lane {
            Lane::Mvault | Lane::Start | Lane::Variant => bench.program.clone(),
            Lane::SshTrue => "ssh".into(),
            Lane::Rsync => "rsync".into(),
            Lane::Floor => "true".into(),
            Lane::Synced | Lane::Default | Lane::Cached => "git".into(),
        };
        Side {
            lane,
            folder: root.join(name),
            program,
            home: root.join("home"),
            variables: Vec::new(),
            is_watched: Cell::new(false),
            peak_kib: Cell::new(None),
        }
    }

    /// The same in another folder.
    pub fn at(&self, folder: PathBuf) -> Side {
        Side { folder, ..self.clone() }
    }

    /// The same with another HOME.
    pub fn of_home(self, home: PathBuf) -> Side {
        Side { home, ..self }
    }

    /// The same in another column.
    pub fn as_lane(&self, lane: Lane) -> Side {
        Side { lane, ..self.clone() }
    }

    /// Sets a variable of its surroundings.
    pub fn variable(mut self, name: &str, value: String) -> Side {
        self.variables.push((name.to_owned(), value));
        self
    }

    /// Returns whether it is git in some form.
    pub fn is_git(&self) -> bool {
        matches!(self.lane, Lane::Synced | Lane::Default | Lane::Cached)
    }

    /// Prepares the program with its options.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = match self.is_watched.get() {
            true => {
                let mut time = Command::new("/usr/bin/time");
                time.args(["-f", "%M", "-o"]).arg(self.note()).arg(&self.program);
                time
            }
            false => Command::new(&self.program),
        };
        command.args(self.lane.options()).args(args).current_dir(&self.folder).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", &self.home).env("LC_ALL", "C").env("GIT_CONFIG_NOSYSTEM", "1");
        for who in ["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"] {
            command.env(who, "bench@localhost");
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdout(Stdio::null()).stderr(Stdio::piped()).stdin(Stdio::null());
        command
    }

    fn note(&self) -> PathBuf {
        self.home.join("peak")
    }

    /// Runs the program and wants it to succeed.
    pub fn run(&self, args: &[&str]) -> Done {
        let name = || format!("{} {}", self.lane.name(), args.join(" "));
        let output = self.command(args).output().map_err(|e| format!("{}: {e}", name()))?;
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{}: {}: {}", name(), output.status, complaint.trim()).into());
        }
        if self.is_watched.get() {
            let text = std::fs::read_to_string(self.note())?;
            let kib = text.lines().last().and_then(|line| line.trim().parse().ok());
            self.peak_kib.set(self.peak_kib.get().max(kib));
        }
        Ok(())
    }

    /// Makes its folder a vault or a repository; git never collects by itself.
    pub fn init(&self) -> Done {
        std::fs::create_dir_all(&self.folder)?;
        if !self.is_git() {
            let device = self.folder.file_name().and_then(|name| name.to_str()).unwrap_or("bench");
            return self.run(&["init", "--device", device]);
        }
        self.run(&["init", "-q", "-b", "main"])?;
        self.settle()
    }

    /// Switches git's own collection off.
    pub fn settle(&self) -> Done {
        self.run(&["config", "gc.auto", "0"])?;
        self.run(&["config", "maintenance.auto", "false"])
    }

    /// Commits everything; for git that takes `add` and `commit`, and both count.
    pub fn commit(&self) -> Done {
        if self.is_git() {
            self.run(&["add", "-A"])?;
            return self.run(&["commit", "-q", "-m", "x"]);
        }
        self.run(&["commit", "-q", "-m", "x"])
    }

    /// Goes to the commit before the last, or back.
    pub fn checkout(&self, to_older: bool) -> Done {
        match (self.is_git(), to_older) {
            (false, true) => self.run(&["checkout", "-q", "main~1"]),
            (false, false) => self.run(&["checkout", "-q", "main"]),
            (true, true) => self.run(&["checkout", "-q", "HEAD~1"]),
            (true, false) => self.run(&["checkout", "-q", "main"]),
        }
    }

    /// Checks everything that is kept.
    pub fn verify(&self) -> Done {
        self.run(if self.is_git() { &["fsck", "--full", "--no-progress"] } else { &["verify", "-q"] })
    }

    /// Collects.
    pub fn collect(&self) -> Done {
        self.run(&["gc", "-q"])
    }

    /// Returns the length of all files that it keeps, in MB.
    pub fn store_mb(&self) -> Done<f64> {
        let dot = self.folder.join(if self.is_git() { ".git" } else { ".mvault" });
        let mut bytes = 0;
        for entry in walkdir::WalkDir::new(dot) {
            let entry = entry?;
            bytes += if entry.file_type().is_file() { entry.metadata()?.len() } else { 0 };
        }
        Ok(bytes as f64 / 1e6)
    }

    /// Makes a copy of its folder, times kept, in place of what is there.
    pub fn copy_to(&self, folder: &Path) -> Done {
        if folder.symlink_metadata().is_ok() {
            std::fs::remove_dir_all(folder)?;
        }
        let status = Command::new("cp").arg("-a").arg(&self.folder).arg(folder).status()?;
        if !status.success() {
            return Err(format!("cp: {status}").into());
        }
        // A copy inside of this project's own checkout is somebody else's until it is confirmed.
        match self.lane {
            Lane::Mvault | Lane::Start | Lane::Variant => self.at(folder.to_path_buf()).run(&["trust", "-q"]),
            _ => Ok(()),
        }
    }
}
