//! REMOTE strings: what a person types for "the other side", parsed before any process starts.
//!
//! One rule a form, in this order:
//!
//! | text | is |
//! |---|---|
//! | empty, above 4,096 bytes, or with a control character | refused |
//! | `/…`, `./…`, `../…`, `~/…`, `.`, `..` | a local path, colons and all |
//! | begins with a dash | refused: write `./-x` |
//! | `word://…`, `word::…` | refused, and never echoed: it may hold a password |
//! | `X:\…`, `X:/…` with one letter X | refused: a drive to some, a host to others; write `user@X:/…` |
//! | `[ADDRESS]:[PATH]`, `USER@[ADDRESS]:[PATH]` | ssh to an IPv6 address |
//! | `[USER@]HOST:[PATH]`, up to the first colon | ssh; what follows is the far path, literally |
//! | anything else | a local path |
//!
//! Names of configured remotes come before all of this and are looked up by the caller;
//! [`is_remote_name`] says what may be one.
//!
//! - A host never begins with a dash and holds nothing that a shell, or a `ProxyCommand` with `%h`,
//!   could take for more than a letter.
//! - The far path is never part of a command line. It travels in a frame.

use std::net::Ipv6Addr;
use std::path::PathBuf;

/// The longest remote string, in bytes.
pub const REMOTE_BYTES_MAX: usize = 4096;
const HOST_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;
const USER_BYTES_MAX: usize = 64;
const NAME_BYTES_MAX: usize = 64;

/// Why a text is no remote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// Nothing was given.
    #[error("the remote is empty")]
    Empty,
    /// Longer than any remote.
    #[error("the remote is {0} bytes long; at most {REMOTE_BYTES_MAX} are allowed")]
    TooLong(usize),
    /// A newline, an escape or another control character.
    #[error("the remote holds a control character")]
    Control,
    /// Begins with a dash.
    #[error("{0:?} begins with a dash, which programs take for an option")]
    Dash(String),
    /// A URL or a helper's name. The text is not repeated: it may hold a password.
    #[error("URLs are not remotes here")]
    Url,
    /// `C:\…` or `c:/…`.
    #[error("{0:?} is a drive on some systems and a host on others")]
    Drive(String),
    /// No host before the colon.
    #[error("there is no host before the colon")]
    NoHost,
    /// A host with characters that are not allowed in one.
    #[error("{host:?} is not a host name: {why}")]
    BadHost {
        /// The host as typed, shortened.
        host: String,
        /// Which rule it breaks.
        why: &'static str,
    },
    /// A user name with characters that are not allowed in one.
    #[error("{0:?} is not a user name")]
    BadUser(String),
}

impl RemoteError {
    /// Returns what to type instead.
    pub fn hint(&self) -> &'static str {
        match self {
            RemoteError::Empty | RemoteError::NoHost => "write HOST:, HOST:PATH or a local path",
            RemoteError::TooLong(_) | RemoteError::Control => "write HOST:PATH on one line",
            RemoteError::Dash(_) => "write ./-NAME for a local path; no host begins with a dash",
            RemoteError::Url => {
                "write HOST:PATH for ssh, or a path; ports and keys belong into ~/.ssh/config"
            }
            RemoteError::Drive(_) => "write USER@HOST:/PATH for a host, ./PATH for a local path",
            RemoteError::BadHost { .. } | RemoteError::BadUser(_) => {
                "a host is letters, digits, dots, dashes and underscores, or [IPv6]; give odd ones a name in \
                 ~/.ssh/config"
            }
        }
    }
}

/// A host that ssh may be given: checked, and safe on a command line and in a `ProxyCommand`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshHost {
    user: Option<String>,
    host: String,
    is_address: bool,
}

impl SshHost {
    /// Parses `[USER@]HOST` or `[USER@][IPv6]`.
    pub fn parse(text: &str) -> Result<SshHost, RemoteError> {
        let (user, host) = match text.rsplit_once('@') {
            Some((user, host)) => (Some(check_user(user)?), host),
            None => (None, text),
        };
        if let Some(inner) = host.strip_prefix('[') {
            let address = inner.strip_suffix(']').ok_or_else(|| bad(host, "the bracket is not closed"))?;
            check_address(address)?;
            return Ok(SshHost { user, host: address.to_owned(), is_address: true });
        }
        check_host(host)?;
        Ok(SshHost { user, host: host.to_owned(), is_address: false })
    }

    /// Returns the one argument ssh gets: `[USER@]HOST`, an address without its brackets.
    pub fn as_ssh_argument(&self) -> String {
        match &self.user {
            Some(user) => format!("{user}@{}", self.host),
            None => self.host.clone(),
        }
    }
}

impl std::fmt::Display for SshHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        if self.is_address { write!(f, "[{}]", self.host) } else { f.write_str(&self.host) }
    }
}

/// The other side, as a person names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remote {
    /// A vault on another machine, reached by the user's own ssh.
    Ssh {
        /// Where.
        host: SshHost,
        /// Which vault there, relative to the home folder; `None` is the far device's default vault.
        path: Option<String>,
    },
    /// A folder of this machine that holds a vault.
    Local(PathBuf),
}

impl Remote {
    /// Parses a remote by the rules at the head of this file.
    pub fn parse(text: &str) -> Result<Remote, RemoteError> {
        if text.is_empty() {
            return Err(RemoteError::Empty);
        }
        if text.len() > REMOTE_BYTES_MAX {
            return Err(RemoteError::TooLong(text.len()));
        }
        if text.chars().any(char::is_control) {
            return Err(RemoteError::Control);
        }
        let is_path = ["/", "./", "../", "~/"].iter().any(|p| text.starts_with(p));
        if is_path || text == "." || text == ".." {
            return Ok(Remote::Local(text.into()));
        }
        if text.starts_with('-') {
            return Err(RemoteError::Dash(shorten(text)));
        }
        let word = text.len() - text.trim_start_matches(|c: char| c.is_ascii_alphanumeric()).len();
        if word > 0 && (text[word..].starts_with("://") || text[word..].starts_with("::")) {
            return Err(RemoteError::Url);
        }
        let bytes = text.as_bytes();
        let is_drive = bytes[0].is_ascii_alphabetic() && bytes.get(1) == Some(&b':');
        if is_drive && matches!(bytes.get(2), Some(b'\\' | b'/')) {
            return Err(RemoteError::Drive(shorten(text)));
        }
        let Some(colon) = colon_after_host(text) else {
            return if text.contains('[') && text.contains(':') {
                Err(bad(text, "an address in brackets is followed by a colon"))
            } else {
                Ok(Remote::Local(text.into()))
            };
        };
        if colon == 0 {
            return Err(RemoteError::NoHost);
        }
        let host = SshHost::parse(&text[..colon])?;
        let path = &text[colon + 1..];
        Ok(Remote::Ssh { host, path: (!path.is_empty()).then(|| path.to_owned()) })
    }
}

/// Finds the colon that ends the host: the one after the bracket, else the first.
fn colon_after_host(text: &str) -> Option<usize> {
    let bracket = text.find('[').filter(|at| !text[..*at].contains([':', '/']));
    match bracket {
        Some(_) => text.find("]:").map(|at| at + 1),
        None => text.find(':'),
    }
}

impl std::fmt::Display for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Remote::Ssh { host, path } => write!(f, "{host}:{}", path.as_deref().unwrap_or_default()),
            Remote::Local(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Tells whether `text` may name a configured remote: `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`.
pub fn is_remote_name(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    first && text.len() <= NAME_BYTES_MAX && text.bytes().all(allowed)
}

/// Tells whether `text` may be the far program: a path or name that every shell leaves as it is.
pub fn is_far_program(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/' | b'+');
    let rest = text.strip_prefix("~/").unwrap_or(text);
    !rest.is_empty() && !rest.starts_with('-') && text.len() <= 1024 && rest.bytes().all(allowed)
}

fn shorten(text: &str) -> String {
    text.chars().take(80).collect()
}

fn bad(host: &str, why: &'static str) -> RemoteError {
    RemoteError::BadHost { host: shorten(host), why }
}

fn check_user(user: &str) -> Result<String, RemoteError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let fits = (1..=USER_BYTES_MAX).contains(&user.len()) && !user.starts_with('-');
    if fits && user.bytes().all(allowed) {
        Ok(user.to_owned())
    } else {
        Err(RemoteError::BadUser(shorten(user)))
    }
}

fn check_host(host: &str) -> Result<(), RemoteError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if host.is_empty() {
        return Err(RemoteError::NoHost);
    }
    if host.len() > HOST_BYTES_MAX {
        return Err(bad(host, "it is longer than 253 bytes"));
    }
    if !host.is_ascii() {
        return Err(bad(host, "write international names in their xn-- form"));
    }
    if !host.bytes().all(allowed) {
        return Err(bad(host, "only letters, digits, dots, dashes and underscores are allowed"));
    }
    for label in host.strip_suffix('.').unwrap_or(host).split('.') {
        if label.is_empty() || label.starts_with('-') {
            return Err(bad(host, "a part between dots is empty or begins with a dash"));
        }
        if label.len() > LABEL_BYTES_MAX {
            return Err(bad(host, "a part between dots is longer than 63 bytes"));
        }
    }
    Ok(())
}

fn check_address(text: &str) -> Result<(), RemoteError> {
    let (address, zone) = text.split_once('%').map_or((text, None), |(a, z)| (a, Some(z)));
    if address.parse::<Ipv6Addr>().is_err() {
        return Err(bad(text, "what stands in brackets is no IPv6 address"));
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    match zone {
        Some(zone) if zone.is_empty() || zone.len() > 32 || !zone.bytes().all(allowed) => {
            Err(bad(text, "the zone after % is not a network interface"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ssh(text: &str) -> (String, Option<String>) {
        match Remote::parse(text) {
            Ok(Remote::Ssh { host, path }) => (host.as_ssh_argument(), path),
            other => panic!("{text:?} gave {other:?}"),
        }
    }

    #[test]
    fn each_form_has_its_one_rule() {
        assert_eq!(ssh("pixel:"), ("pixel".into(), None));
        assert_eq!(ssh("pixel:v"), ("pixel".into(), Some("v".into())));
        assert_eq!(ssh("me@pixel:/srv/v"), ("me@pixel".into(), Some("/srv/v".into())));
        assert_eq!(ssh("a:b:c"), ("a".into(), Some("b:c".into())));
        assert_eq!(ssh("a:[x]"), ("a".into(), Some("[x]".into())));
        assert_eq!(ssh("c:v"), ("c".into(), Some("v".into())));
        assert_eq!(ssh("me@c:/v"), ("me@c".into(), Some("/v".into())));
        assert_eq!(ssh("[::1]:v"), ("::1".into(), Some("v".into())));
        assert_eq!(ssh("me@[fe80::1%eth0]:"), ("me@fe80::1%eth0".into(), None));
        assert_eq!(ssh("mac.tail-net.ts.net:"), ("mac.tail-net.ts.net".into(), None));
        for path in ["/v", "./a:b", "../x:y", "~/v", ".", "..", "vault", "a/b", "v.bundle"] {
            assert_eq!(Remote::parse(path), Ok(Remote::Local(path.into())), "{path}");
        }
        assert_eq!(Remote::parse("me@[::1]:v").expect("valid").to_string(), "me@[::1]:v");
    }

    #[test]
    fn the_far_path_is_taken_literally_whatever_it_holds() {
        for path in ["a b", "'; rm -rf x", "-x", "../..", "$(touch x)"] {
            assert_eq!(ssh(&format!("pixel:{path}")).1.as_deref(), Some(path));
        }
    }

    #[test]
    fn what_a_program_or_shell_could_misread_is_refused() {
        let long_label = format!("{}:", "a".repeat(300));
        let long = "a".repeat(REMOTE_BYTES_MAX + 1);
        for text in [
            "-oProxyCommand=touch x:",
            "u@-oX:",
            "--:",
            "-:",
            "-x",
            "a;b:",
            "$(x):",
            "a$b:",
            "`x`:",
            "a'b:",
            "a\"b:",
            "a|b:",
            "%h:",
            "a%h:",
            "a b:",
            "a\nb:",
            "a\0b:",
            "u;v@h:",
            "-u@h:",
            "u@h@i:",
            "@h:",
            "u@:",
            ":",
            ":x",
            "",
            "ext::sh -c x",
            "file:///x",
            "ssh://h:-1/",
            "https://user:secret@s3/x",
            "C:\\v",
            "c:/v",
            "::1:v",
            "[::1:v",
            "[::1]v:x",
            "[x]:v",
            "[::1%]:v",
            "[::1%a;b]:v",
            "[-oX]:v",
            "b\u{fc}cher:",
            "p\u{456}xel:",
            "a..b:",
            ".a:",
            "..:x",
            "a.-b:",
            "a\u{1b}[2J:",
            "./a\u{7}",
            long_label.as_str(),
            long.as_str(),
        ] {
            let error = Remote::parse(text).expect_err(text);
            assert!(!error.to_string().contains("secret"), "{error}");
            assert!(!error.to_string().contains('\u{1b}'), "{error}");
            assert!(!error.hint().is_empty());
        }
    }

    #[test]
    fn names_and_far_programs_are_plain_words() {
        assert!(is_remote_name("pixel") && is_remote_name("Mac.2_x-y"));
        for name in ["", "../x", "-o", ".x", "a/b", "a b", "a:", &"a".repeat(65)] {
            assert!(!is_remote_name(name), "{name:?}");
        }
        assert!(
            is_far_program("mvault") && is_far_program("~/.cargo/bin/mvault") && is_far_program("/opt/m+1/x")
        );
        for program in ["", "-x", "~/", "~/-x", "a b", "x;y", "$(x)", "a~b", "x\n"] {
            assert!(!is_far_program(program), "{program:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_host_that_passes_is_one_plain_word(text in "[-\\[\\]@:%a-c.;$ \u{fc}]{0,12}") {
            if let Ok(Remote::Ssh { host, .. }) = Remote::parse(&text) {
                let word = host.as_ssh_argument();
                let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-@:%".contains(&b);
                proptest::prop_assert!(!word.starts_with('-') && word.bytes().all(plain), "{}", word);
                proptest::prop_assert!(!word.contains("@-"));
            }
        }
    }
}
