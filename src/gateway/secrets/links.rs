//! Passwords beside the name they belong to: in URLs (`scheme://user:password@host`), in options of commands
//! (`curl -u user:password`), in lines of `.pgpass`.

use super::{Certainty, Hit, Look, judge};

/// How long the part between `://` and the path may be.
const AUTHORITY_MAX: usize = 320;

/// Passwords of documents and of machines that nobody else reaches.
const TRIVIAL: [&str; 34] = [
    "admin", "root", "user", "username", "pass", "pw", "pwd", "guest", "postgres", "mysql", "redis", "mongo",
    "rabbit", "rabbitmq", "minio", "test", "demo", "foo", "bar", "baz", "abc", "hello", "welcome", "dev",
    "local", "db", "key", "1234", "123", "qwe", "docker", "elastic", "neo4j", "sesame",
];

/// Hosts of documents.
const HOSTS_OF_DOCUMENTS: [&str; 5] = ["example.com", "example.org", "example.net", ".example", ".test"];

/// Looks for a password before the host of a URL.
pub(super) fn password(look: Look<'_>) -> Option<Hit> {
    let slashes = look.place + 4;
    let rest = look.text.get(slashes..)?;
    let is_end = |b: u8| {
        b <= b' ' || matches!(b, b'/' | b'?' | b'#' | b'"' | b'\'' | b'`' | b'<' | b'>' | b'\\' | b')')
    };
    let length = rest.iter().take(AUTHORITY_MAX).position(|b| is_end(*b)).unwrap_or(rest.len());
    let authority = rest.get(..length.min(AUTHORITY_MAX))?;
    let at = authority.iter().rposition(|b| *b == b'@')?;
    let colon = authority[..at].iter().position(|b| *b == b':')?;
    let (user, secret, host) = (&authority[..colon], &authority[colon + 1..at], &authority[at + 1..]);
    if !is_secret(user, secret) || !is_real(host) {
        return None;
    }
    let start = slashes + colon + 1;
    let (rule, what) = ("url-password", "a password in a URL");
    Some(Hit { rule, what, start, end: start + secret.len(), certainty: Certainty::Place })
}

/// Looks for `user:password` behind `-u` or `--user` of curl; the needle is the blank and the beginning of the option.
pub(super) fn option(look: Look<'_>) -> Option<Hit> {
    let rest = &look.text[look.place..];
    let option = [&b" -u "[..], b" --user "].into_iter().find(|option| rest.starts_with(option))?;
    let before = &look.text[look.place.saturating_sub(200)..look.place];
    let line = before.rsplit(|b| *b == b'\n').next().unwrap_or_default();
    if !line.windows(4).any(|at| at == b"curl") {
        return None;
    }
    let quotes = rest[option.len()..].iter().take_while(|b| matches!(b, b'"' | b'\'')).count();
    let start = look.place + option.len() + quotes;
    let value = &look.text[start..];
    let is_end = |b: &u8| *b <= b' ' || matches!(b, b'"' | b'\'' | b'`' | b'\\');
    let value =
        &value[..value.iter().take(AUTHORITY_MAX).position(is_end).unwrap_or(value.len().min(AUTHORITY_MAX))];
    let colon = value.iter().position(|b| *b == b':')?;
    let (user, secret) = (&value[..colon], &value[colon + 1..]);
    let (rule, what) = ("command-login", "a password on a command line");
    let start = start + colon + 1;
    let hit = Hit { rule, what, start, end: start + secret.len(), certainty: Certainty::Place };
    (!user.is_empty() && is_secret(user, secret)).then_some(hit)
}

/// Looks for a line of `.pgpass`, `host:port:database:user:password`, round the beginning of its port.
pub(super) fn pgpass(look: Look<'_>) -> Option<Hit> {
    let is_end = |b: &u8| *b <= b' ' || matches!(b, b'"' | b'\'' | b'`' | b'\\' | b'/');
    let host = look.text[..look.place].iter().rev().take(AUTHORITY_MAX).take_while(|b| !is_end(b)).count();
    let line = &look.text[look.place - host..];
    let line =
        &line[..line.iter().take(AUTHORITY_MAX).position(is_end).unwrap_or(line.len().min(AUTHORITY_MAX))];
    let fields: Vec<&[u8]> = line.split(|b| *b == b':').collect();
    let &[host, port, database, user, secret] = &fields[..] else { return None };
    let is_port = port.len() == 4 && port.iter().all(u8::is_ascii_digit);
    if host.is_empty() || !is_port || database.is_empty() || user.is_empty() || !is_secret(user, secret) {
        return None;
    }
    let end = look.place - host.len() + line.len();
    let (rule, what) = ("pgpass-password", "a password of .pgpass");
    Some(Hit { rule, what, start: end - secret.len(), end, certainty: Certainty::Place })
}

/// Says whether this is a password that somebody chose or drew, rather than a word in its place.
fn is_secret(user: &[u8], secret: &[u8]) -> bool {
    let is_template =
        |b: &u8| matches!(b, b'$' | b'{' | b'}' | b'[' | b']' | b'(' | b'*' | b'|' | b',') || !b.is_ascii();
    let escapes = secret.iter().enumerate().filter(|(_, b)| **b == b'%');
    let has_format = escapes
        .into_iter()
        .any(|(n, _)| !secret.get(n + 1..n + 3).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit)));
    if secret.len() < 6 || secret.iter().any(is_template) || has_format || judge::is_stand_in(secret) {
        return false;
    }
    let secret = &without_escapes(secret)[..];
    let lower = secret.to_ascii_lowercase();
    let lower = String::from_utf8_lossy(&lower);
    let word = lower.trim_end_matches(|c: char| !c.is_ascii_alphabetic());
    if TRIVIAL.contains(&word) || word.is_empty() || secret.eq_ignore_ascii_case(user) {
        return false;
    }
    if judge::is_stand_in(secret) || lower.contains("pass") {
        return false;
    }
    let has_digit = secret.iter().any(u8::is_ascii_digit);
    let has_letter = secret.iter().any(u8::is_ascii_alphabetic);
    has_letter && (has_digit || secret.len() >= 16) && judge::surprise(secret) >= 0.35
}

/// Returns a text with its `%2F` as bytes.
fn without_escapes(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let code = after.first_chunk::<2>().and_then(|two| std::str::from_utf8(two).ok());
        let code = code.and_then(|two| u8::from_str_radix(two, 16).ok()).filter(|_| *first == b'%');
        plain.push(code.unwrap_or(*first));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    plain
}

fn is_real(host: &[u8]) -> bool {
    let name = host.split(|b| *b == b':').next().unwrap_or_default().to_ascii_lowercase();
    let is_template = name.iter().any(|b| matches!(b, b'$' | b'{' | b'<' | b'%' | b'*'));
    let in_documents = HOSTS_OF_DOCUMENTS.iter().any(|end| name.ends_with(end.as_bytes()));
    !name.is_empty() && !is_template && !in_documents
}
