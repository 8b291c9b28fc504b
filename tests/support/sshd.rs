//! A real sshd for a test: own configuration, host key and user key, on a port of the loopback or without
//! any port, as the `ProxyCommand` of one connection.
//!
//! Both forms log in as the user that runs the tests, with a HOME and a PATH of their own, so that nothing
//! of the machine's settings is seen on the far side either.
//!
//! Needs `sshd`, `ssh` and `ssh-keygen` (tests/run.sh installs them); as root also the folder `/run/sshd`,
//! which is made.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{MVAULT, Place, Run};

/// What a test may want otherwise.
#[derive(Clone, Debug)]
pub struct Wishes {
    /// Lines of sshd's own configuration that come before ours: the first one counts.
    pub sshd_lines: String,
    /// What a login shell prints before it runs a command.
    pub banner: String,
    /// Whether `mvault` is on the far PATH.
    pub has_mvault: bool,
    /// Whether the user's key is let in.
    pub lets_in: bool,
}

impl Default for Wishes {
    fn default() -> Wishes {
        Wishes { sshd_lines: String::new(), banner: String::new(), has_mvault: true, lets_in: true }
    }
}

/// A far device. The hosts `far` (by its port) and `piped` (by `ProxyCommand`) lead there; `stranger` has
/// another key than the one known, `nobody` is a port where nobody listens.
pub struct Sshd {
    folder: PathBuf,
    daemon: Child,
}

fn sshd_program() -> PathBuf {
    ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd", "/opt/homebrew/sbin/sshd"]
        .into_iter()
        .map(PathBuf::from)
        .find(|path| path.is_file())
        .expect("sshd is installed; tests/run.sh does that")
}

fn make_key(path: &Path) -> String {
    let status = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"])
        .arg(path)
        .stdin(Stdio::null())
        .status()
        .expect("ssh-keygen is installed; tests/run.sh does that");
    assert!(status.success());
    std::fs::read_to_string(path.with_extension("pub")).expect("the public key").trim().to_owned()
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port of the loopback");
    listener.local_addr().expect("bound").port()
}

fn user() -> String {
    let output = Command::new("id").arg("-un").output().expect("id");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

impl Sshd {
    /// Starts an sshd in a folder of `place`.
    pub fn start(place: &Place, wishes: &Wishes) -> Sshd {
        let folder = place.root().join("sshd");
        for name in ["home", "bin", "empty"] {
            std::fs::create_dir_all(folder.join(name)).expect("folders");
        }
        let _only_root_needs_it = std::fs::create_dir_all("/run/sshd");
        let host_key = make_key(&folder.join("host_key"));
        let other_key = make_key(&folder.join("other_key"));
        let user_key = make_key(&folder.join("user_key"));
        let authorized = if wishes.lets_in { user_key } else { other_key.clone() };
        std::fs::write(folder.join("authorized_keys"), authorized + "\n").expect("written");
        if wishes.has_mvault {
            std::os::unix::fs::symlink(MVAULT, folder.join("bin/mvault")).expect("linked");
        }
        let mut daemon = None;
        for _ in 0..5 {
            let port = free_port();
            write_configuration(&folder, wishes, port);
            write_client(&folder, port, &host_key, &other_key);
            daemon = start_daemon(&folder, port);
            if daemon.is_some() {
                break;
            }
        }
        let daemon = daemon.unwrap_or_else(|| {
            let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            panic!("sshd does not start:\n{log}")
        });
        Sshd { folder, daemon }
    }

    /// The far HOME.
    pub fn home(&self) -> PathBuf {
        self.folder.join("home")
    }

    /// Gives a command of the near side its way here.
    pub fn reach(&self, run: Run) -> Run {
        run.env("MVAULT_SSH_ARGS", format!("-F {}", self.folder.join("ssh_config").display()))
    }

    /// Prepares `mvault ARGS…` as somebody on the far device would run it.
    pub fn far_mvault<'a>(&self, place: &Place, args: impl IntoIterator<Item = &'a str>) -> Run {
        place.mvault(args).env("HOME", self.home())
    }

    /// Runs a command over ssh itself, without mvault.
    pub fn ssh(&self, args: &[&str]) -> std::process::Output {
        let config = self.folder.join("ssh_config");
        Command::new("ssh").arg("-F").arg(config).args(args).stdin(Stdio::null()).output().expect("ssh")
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _it_may_have_ended = self.daemon.kill();
        let _reaped = self.daemon.wait();
    }
}

fn write_configuration(folder: &Path, wishes: &Wishes, port: u16) {
    let at = |name: &str| folder.join(name).display().to_string();
    let mut text = format!(
        "{}\nPort {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\nPubkeyAuthentication yes\nUsePAM no\n\
         PermitRootLogin prohibit-password\nPrintMotd no\nLogLevel ERROR\n\
         SetEnv HOME={} PATH={}:/usr/bin:/bin LC_ALL=C MVAULT_TEST_CLOCK=2026-11-22T09:00:00+01:00\n",
        wishes.sshd_lines,
        at("host_key"),
        at("authorized_keys"),
        at("home"),
        at("bin"),
    );
    if !wishes.banner.is_empty() {
        std::fs::write(folder.join("banner"), &wishes.banner).expect("written");
        // What a talkative start-up file does, for every command that comes.
        let script = format!("#!/bin/sh\ncat {}\nexec /bin/sh -c \"$SSH_ORIGINAL_COMMAND\"\n", at("banner"));
        std::fs::write(folder.join("talkative"), script).expect("written");
        let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
        std::fs::set_permissions(folder.join("talkative"), mode).expect("executable");
        text.push_str(&format!("ForceCommand {}\n", at("talkative")));
    }
    std::fs::write(folder.join("sshd_config"), text).expect("written");
}

fn write_client(folder: &Path, port: u16, host_key: &str, other_key: &str) {
    let at = |name: &str| folder.join(name).display().to_string();
    let known = format!("far {host_key}\npiped {host_key}\nstranger {other_key}\n");
    std::fs::write(folder.join("known_hosts"), known).expect("written");
    let text = format!(
        "Host far\n  HostKeyAlias far\nHost stranger\n  HostKeyAlias stranger\n\
         Host far stranger\n  HostName 127.0.0.1\n  Port {port}\n\
         Host nobody\n  HostName 127.0.0.1\n  Port {}\n\
         Host unknown\n  HostName no-such-host.invalid\n\
         Host piped\n  HostKeyAlias piped\n  ProxyCommand {} -i -f {}\n\
         Host *\n  User {}\n  IdentityFile {}\n  IdentitiesOnly yes\n  IdentityAgent none\n\
         \x20 UserKnownHostsFile {}\n  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n\
         \x20 BatchMode yes\n  LogLevel ERROR\n",
        free_port(),
        sshd_program().display(),
        at("sshd_config"),
        user(),
        at("user_key"),
        at("known_hosts"),
    );
    std::fs::write(folder.join("ssh_config"), text).expect("written");
}

/// Starts the daemon and waits until it listens; `None` if it ended, since the port was taken meanwhile.
fn start_daemon(folder: &Path, port: u16) -> Option<Child> {
    let log = std::fs::File::create(folder.join("log")).expect("a log");
    let mut daemon = Command::new(sshd_program())
        .args(["-D", "-e", "-f"])
        .arg(folder.join("sshd_config"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("sshd starts");
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(20) {
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Some(daemon);
        }
        if daemon.try_wait().expect("asked").is_some() {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    daemon.kill().expect("it was alive");
    daemon.wait().expect("reaped");
    None
}
