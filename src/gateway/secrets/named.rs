//! Values behind telling names: `API_KEY=…`, `"password": "…"`, `Authorization: Bearer …`.
//!
//! - The name must end with a telling word, so `max_tokens`, `password_hash` and `secret_name` tell nothing.
//! - The value must look drawn at random. Everything that a program or a document puts there instead (references,
//!   calls, paths, templates, ids, digests) is known by its form.

use super::shape::{is_word, starts_alone};
use super::{Certainty, Hit, Look, judge, keys};

/// A telling word at the end of a name.
pub(super) struct Word {
    /// The four bytes looked for.
    pub(super) needle: &'static [u8; 4],
    /// Where the needle is in the word.
    at: usize,
    /// How many bytes of the needle stand before the word.
    lead: usize,
    word: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Password,
    /// The same, as a whole word alone: `pass` but not `bypass`.
    ShortPassword,
    Secret,
    Token,
    /// Behind a word that says what the key is for.
    Key,
    Bearer,
    Basic,
    Auth,
    /// A session, where cookies are.
    Cookie,
}

const fn word(needle: &'static [u8; 4], lead: usize, word: &'static str, kind: Kind) -> Word {
    Word { needle, at: 0, lead, word, kind }
}

/// The telling words.
pub(super) static WORDS: &[Word] = &[
    word(b"pass", 0, "password", Kind::Password),
    word(b"pass", 0, "passwd", Kind::Password),
    word(b"pass", 0, "passphrase", Kind::Password),
    word(b"pass", 0, "passwort", Kind::Password),
    word(b"pass", 0, "pass", Kind::ShortPassword),
    word(b"_pwd", 1, "pwd", Kind::ShortPassword),
    word(b"pwd=", 0, "pwd", Kind::ShortPassword),
    word(b"pwd:", 0, "pwd", Kind::ShortPassword),
    word(b"pwd\"", 0, "pwd", Kind::ShortPassword),
    word(b"secr", 0, "secret", Kind::Secret),
    word(b"toke", 0, "token", Kind::Token),
    word(b"_key", 1, "key", Kind::Key),
    word(b"-key", 1, "key", Kind::Key),
    word(b" key", 1, "key", Kind::Key),
    word(b"ikey", 1, "key", Kind::Key),
    word(b"skey", 1, "key", Kind::Key),
    word(b"tkey", 1, "key", Kind::Key),
    word(b"ekey", 1, "key", Kind::Key),
    word(b"nkey", 1, "key", Kind::Key),
    word(b"gkey", 1, "key", Kind::Key),
    word(b"rkey", 1, "key", Kind::Key),
    word(b"pkey", 1, "key", Kind::Key),
    Word { needle: b"eare", at: 1, lead: 0, word: "bearer", kind: Kind::Bearer },
    word(b"basi", 0, "basic", Kind::Basic),
    word(b"auth", 0, "auth", Kind::Auth),
    word(b"sess", 0, "sessionid", Kind::Cookie),
];

/// Makers whose keys are UUIDs; anywhere else a UUID is the number of a thing.
const UUID_KEYS: [&str; 7] = ["heroku", "snyk", "hubspot", "kucoin", "squarespace", "authtoken", "pipedrive"];
/// How far before a password the rest of an entry of `.netrc` may begin.
const NETRC_ENTRY_MAX: usize = 160;

/// What a key is for that must stay unknown.
const KEYS: [&str; 24] = [
    "api",
    "access",
    "secret",
    "private",
    "account",
    "auth",
    "encryption",
    "encrypt",
    "signing",
    "master",
    "app",
    "application",
    "admin",
    "service",
    "shared",
    "storage",
    "session",
    "jwt",
    "hmac",
    "cipher",
    "authkey",
    "rpc",
    "subscription",
    "license",
];

/// Tokens that open nothing.
const TOKENS_FOR_ALL: [&str; 17] = [
    "page",
    "next",
    "csrf",
    "xsrf",
    "continuation",
    "sync",
    "cursor",
    "cancel",
    "cancellation",
    "pad",
    "eos",
    "bos",
    "mask",
    "special",
    "public",
    "csrfmiddleware",
    "client",
];

/// Words beside a hexadecimal value that make it a digest.
const DIGESTS: [&str; 14] = [
    "sha",
    "hash",
    "digest",
    "checksum",
    "md5",
    "commit",
    "revision",
    "etag",
    "fingerprint",
    "blob",
    "integrity",
    "object",
    "crc",
    "blake",
];

const NAME_MAX: usize = 48;
const VALUE_MAX: usize = 512;
const BLANKS_MAX: usize = 24;
const PASSWORD_MIN: usize = 8;
const DRAWN_MIN: usize = 16;
/// Hexadecimal numbers shorter than this are ids and short digests.
const HEX_MIN: usize = 24;

/// A value, where it starts, and whether quotes enclose it.
#[derive(Clone, Copy)]
struct Value<'a> {
    text: &'a [u8],
    start: usize,
}

/// Looks for a value behind a telling word.
pub(super) fn find(look: Look<'_>, word: u8) -> Option<Hit> {
    let word = &WORDS[usize::from(word)];
    let start = (look.place + word.lead).checked_sub(word.at)?;
    let end = start + word.word.len();
    let text = look.text;
    if !text.get(start..end)?.eq_ignore_ascii_case(word.word.as_bytes()) {
        return None;
    }
    match word.kind {
        Kind::Bearer => return bearer(text, start, end),
        Kind::Basic => return basic(text, start, end),
        _ => {}
    }
    let after = name_end(text, end)?;
    let value = value_after(text, start, after)?;
    let name = name_before(text, start, after);
    if !is_telling(text, start, word.kind, &name) {
        return None;
    }
    if is_netrc(text, start, after) {
        let is_drawn =
            is_secret(value.text, true) && !is_no_value(value.text) && !judge::is_stand_in(value.text);
        let hit = Hit {
            rule: "netrc-password",
            what: "a password of .netrc",
            start: value.start,
            end: value.start + value.text.len(),
            certainty: Certainty::Place,
        };
        return is_drawn.then_some(hit);
    }
    let (rule, what) = verdict(word.kind, &name, value.text, line_before(text, start))?;
    let end = value.start + value.text.len();
    Some(Hit { rule, what, start: value.start, end, certainty: Certainty::Name })
}

/// Returns where the name ends: after the word and a number, if there is one.
fn name_end(text: &[u8], end: usize) -> Option<usize> {
    let tail = &text[end..];
    let underscore = usize::from(matches!(tail, [b'_', b'0'..=b'9', ..]));
    let number = tail[underscore..].iter().take(2).take_while(|b| b.is_ascii_digit()).count();
    let after = end + underscore + number;
    (!text.get(after).is_some_and(|b| is_word(*b))).then_some(after)
}

/// Returns the name in lower case without what joins its words.
fn name_before(text: &[u8], start: usize, end: usize) -> String {
    let is_part = |b: &&u8| is_word(**b) || matches!(b, b'-' | b'.' | b' ');
    let length = text[..start].iter().rev().take(NAME_MAX).take_while(is_part).count();
    let plain = text[start - length..end].iter().filter(|b| b.is_ascii_alphanumeric());
    plain.map(|b| char::from(b.to_ascii_lowercase())).collect()
}

/// Returns the line up to a place, as far as it matters.
fn line_before(text: &[u8], place: usize) -> &[u8] {
    let near = &text[place.saturating_sub(64)..place];
    near.iter().rposition(|b| *b == b'\n').map_or(near, |line| &near[line + 1..])
}

/// Says whether a name that ends with the word names something to be kept.
fn is_telling(text: &[u8], start: usize, kind: Kind, name: &str) -> bool {
    let stem =
        |word: &str| name.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches(word).to_owned();
    match kind {
        Kind::Key => {
            let stem = stem("key");
            KEYS.iter().any(|of| stem.ends_with(of))
        }
        Kind::Token => {
            let stem = stem("token");
            !TOKENS_FOR_ALL.iter().any(|of| stem.ends_with(of))
        }
        Kind::ShortPassword => {
            let hump = start > 0 && text[start].is_ascii_uppercase() && text[start - 1].is_ascii_lowercase();
            let joined = start > 0 && text[start - 1] == b'_';
            hump || joined || starts_alone(text, start)
        }
        Kind::Cookie => line_before(text, start).to_ascii_lowercase().windows(6).any(|at| at == b"cookie"),
        _ => true,
    }
}

/// Returns the value behind a name that ends at `after`.
fn value_after(text: &[u8], start: usize, after: usize) -> Option<Value<'_>> {
    let is_mark = |b: &&u8| matches!(b, b'"' | b'\'' | b'`' | b'\\' | b'*' | b']');
    let marks = text[after..].iter().take(4).take_while(is_mark).count();
    let mut at = skip_blanks(text, after + marks);
    let blanks = at - after - marks;
    let sign = text.get(at..)?;
    let is_option =
        text[..start].iter().rev().take(NAME_MAX).take_while(|b| !b.is_ascii_whitespace()).count();
    let is_option = text[start - is_option..start].starts_with(b"--");
    // The attribute of an XML element: `key="ClearTextPassword" value="…"`.
    if marks > 0 && blanks > 0 && sign.starts_with(b"value=") {
        at += b"value".len();
    }
    let sign = text.get(at..)?;
    at += match sign {
        [b':', b'=', ..] | [b'=', b'>', ..] => 2,
        [b'=', b'=' | b'~', ..] | [b':', b':', ..] => return None,
        [b'=' | b':', ..] => 1,
        [b',', ..] if marks > 0 && blanks == 0 => 1,
        [b'>', ..] if marks == 0 && blanks == 0 && is_tag(text, start) => 1,
        [b'|', ..] if is_table_row(text, start) => 1,
        _ if is_option && blanks > 0 => 0,
        _ if marks == 0 && is_netrc(text, start, after) => 0,
        _ => return None,
    };
    at = skip_blanks(text, at);
    // A value on a line of its own.
    let line_end = text[at..].iter().take(2).take_while(|b| matches!(b, b'\r' | b'\n')).count();
    if text[..at].ends_with(b":") || text[..at].ends_with(b": ") {
        at = skip_blanks(text, at + line_end);
    }
    at = after_type(text, at);
    if let [b'b' | b'r' | b'f' | b'u' | b'@', b'"' | b'\'', ..] = text[at..] {
        at += 1;
    }
    let bold = text[at..].iter().take(3).take_while(|b| **b == b'*').count();
    at = if bold > 0 { skip_blanks(text, at + bold) } else { at };
    let opening = text[at..].iter().take(4).take_while(is_mark).count();
    let quote = text[at..at + opening].iter().rev().find(|b| matches!(b, b'"' | b'\'' | b'`')).copied();
    at += opening;
    for scheme in [&b"bearer "[..], b"token ", b"basic ", b"base64:"] {
        if text[at..].len() > scheme.len() && text[at..at + scheme.len()].eq_ignore_ascii_case(scheme) {
            at += scheme.len();
        }
    }
    Some(Value { text: value_at(text, at, quote)?, start: at })
}

/// Says whether a name stands in a table of Markdown.
fn is_table_row(text: &[u8], start: usize) -> bool {
    line_before(text, start).contains(&b'|')
}

/// Says whether the word that ends at `after` is followed by its value as in `.netrc`: `login me password …`.
fn is_netrc(text: &[u8], start: usize, after: usize) -> bool {
    let entry = &text[start.saturating_sub(NETRC_ENTRY_MAX)..start];
    let has = |word: &[u8]| entry.windows(word.len()).any(|at| at == word);
    &text[start..after] == b"password"
        && matches!(text.get(after), Some(b' ' | b'\t'))
        && matches!(text[..start].last(), Some(b' ' | b'\t' | b'\n'))
        && has(b"machine ")
        && has(b"login ")
}

fn is_tag(text: &[u8], start: usize) -> bool {
    let name = text[..start].iter().rev().take(NAME_MAX).take_while(|b| is_word(**b)).count();
    text[..start - name].ends_with(b"<")
}

fn skip_blanks(text: &[u8], at: usize) -> usize {
    at + text[at..].iter().take(BLANKS_MAX).take_while(|b| matches!(b, b' ' | b'\t')).count()
}

/// Skips a type between a name and its value: `token: &str = "…"`.
fn after_type(text: &[u8], at: usize) -> usize {
    let near = &text[at..text.len().min(at + 40)];
    let Some(equals) = near.windows(3).position(|w| w[0] == b' ' && w[1] == b'=' && w[2] == b' ') else {
        return at;
    };
    let is_type = near[..equals]
        .iter()
        .all(|b| is_word(*b) || matches!(b, b'&' | b'<' | b'>' | b'\'' | b':' | b'?' | b'.' | b' '));
    if is_type { skip_blanks(text, at + equals + 2) } else { at }
}

/// Returns the bytes of a value up to its quote or to what cannot belong to it.
fn value_at(text: &[u8], at: usize, quote: Option<u8>) -> Option<&[u8]> {
    let is_end = |b: u8| match quote {
        Some(quote) => b == quote || b == b'\\' || b == b'\n',
        None => {
            b <= b' '
                || matches!(
                    b,
                    b',' | b';' | b'"' | b'\'' | b'`' | b'<' | b'>' | b')' | b']' | b'}' | b'|' | b'\\'
                )
        }
    };
    let rest = &text[at..text.len().min(at + VALUE_MAX)];
    let length = rest.iter().position(|b| is_end(*b)).unwrap_or(rest.len());
    if length == VALUE_MAX {
        return None;
    }
    let value = &rest[..length];
    let trimmed =
        value.iter().rposition(|b| !matches!(b, b'.' | b'*' | b':' | b'!' | b'?')).map_or(0, |last| last + 1);
    Some(if quote.is_some() { value } else { &value[..trimmed] })
}

/// Decides what a value behind a name is; nothing when it is no secret.
fn verdict(kind: Kind, name: &str, value: &[u8], line: &[u8]) -> Option<(&'static str, &'static str)> {
    if kind == Kind::Auth {
        return is_login(value).then_some(("basic-auth", "a login in base64"));
    }
    if is_uuid(value) {
        if name.contains("heroku") {
            return Some(("heroku-api-key", "a Heroku API key"));
        }
        return UUID_KEYS.iter().any(|maker| name.contains(maker)).then(|| words_for(kind));
    }
    if is_no_value(value) || judge::is_stand_in(value) || is_digest(value, name, line) {
        return None;
    }
    // Kubernetes and others have base64 of what a person wrote.
    let plain = keys::base64(value).filter(|plain| plain.iter().all(|b| b.is_ascii_graphic() || *b == b' '));
    let value = plain.as_deref().unwrap_or(value);
    if is_no_value(value) || judge::is_stand_in(value) {
        return None;
    }
    let is_base64 = value.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'));
    if value.len() == 40
        && is_base64
        && kind == Kind::Key
        && name.contains("secret")
        && judge::is_drawn(value)
    {
        return Some(("aws-secret-key", "an AWS secret key"));
    }
    let may_be_short = matches!(kind, Kind::Password | Kind::ShortPassword);
    if !is_secret(value, may_be_short) {
        return None;
    }
    Some(words_for(kind))
}

fn words_for(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Password | Kind::ShortPassword => ("password", "a password"),
        Kind::Secret => ("secret", "a secret"),
        Kind::Key => ("key", "a secret key"),
        _ => ("token", "a token"),
    }
}

/// Says whether a value is a reference, a call, a path, a template or an id.
fn is_no_value(value: &[u8]) -> bool {
    const FORMS: [&str; 21] = [
        "$",
        "@",
        "%",
        "&",
        "#",
        "/",
        "./",
        "~",
        "..",
        "sha1",
        "sha256",
        "sha512",
        "sha384",
        "md5",
        "ssh-",
        "AAAAB3Nza",
        "AAAAC3Nza",
        "age1",
        "vault:",
        "data:",
        "eyJ",
    ];
    let is_foreign = |b: &u8| !b.is_ascii_graphic() || matches!(b, b'(' | b'[' | b'{' | b'<' | b'>' | b'}');
    let holds = |part: &[u8]| value.windows(part.len()).any(|at| at == part);
    let is_address = value.len() == 42 && value.starts_with(b"0x");
    let is_id = value.len() < HEX_MIN && value.iter().all(u8::is_ascii_hexdigit);
    value.iter().any(is_foreign)
        || FORMS.iter().any(|form| value.starts_with(form.as_bytes()))
        || is_address
        || is_id
        || holds(b"://")
        || holds(b"...")
        || holds(b"::")
        || holds(b"->")
        || holds(b"${")
}

fn is_uuid(value: &[u8]) -> bool {
    value.len() == 36
        && value.iter().enumerate().all(|(n, b)| match n {
            8 | 13 | 18 | 23 => *b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// Says whether a value is the digest of something: hexadecimal, of a digest's length, beside a word that says so.
fn is_digest(value: &[u8], name: &str, line: &[u8]) -> bool {
    let line = String::from_utf8_lossy(line).to_ascii_lowercase();
    matches!(value.len(), 32 | 40 | 56 | 64 | 96 | 128)
        && value.iter().all(u8::is_ascii_hexdigit)
        && DIGESTS.iter().any(|word| name.contains(word) || line.contains(word))
}

/// Says whether a value was drawn at random, or chosen by somebody who wanted it to look so.
fn is_secret(value: &[u8], may_be_short: bool) -> bool {
    let has = |class: fn(&u8) -> bool| value.iter().any(class);
    let digits = value.iter().filter(|b| b.is_ascii_digit()).count();
    let letters = value.iter().filter(|b| b.is_ascii_alphabetic()).count();
    let is_cased = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
    if letters < 3 || (digits == 0 && !(is_cased && value.len() >= 24)) {
        return false;
    }
    if value.len() >= DRAWN_MIN {
        return judge::is_even(value) && judge::surprise(value) >= 0.5;
    }
    let classes = [is_cased, digits > 0, has(u8::is_ascii_punctuation)].iter().filter(|has| **has).count();
    may_be_short
        && value.len() >= PASSWORD_MIN
        && classes >= 2
        && is_cased
        && judge::is_even(value)
        && judge::surprise(value) >= 0.5
}

/// Looks for what is drawn behind `Bearer`.
fn bearer(text: &[u8], start: usize, end: usize) -> Option<Hit> {
    if !starts_alone(text, start) || text.get(end) != Some(&b' ') {
        return None;
    }
    let at = end + 1;
    let value = value_at(text, at, None)?;
    if value.len() < 20
        || is_no_value(value)
        || is_uuid(value)
        || judge::is_stand_in(value)
        || !is_secret(value, false)
    {
        return None;
    }
    let (rule, what) = ("bearer-token", "a bearer token");
    Some(Hit { rule, what, start: at, end: at + value.len(), certainty: Certainty::Name })
}

/// Looks for a login behind `Authorization: Basic`.
fn basic(text: &[u8], start: usize, end: usize) -> Option<Hit> {
    let before = text[..start].to_ascii_lowercase();
    let is_header = before[start.saturating_sub(24)..].windows(13).any(|at| at == b"authorization");
    if !is_header || text.get(end) != Some(&b' ') {
        return None;
    }
    let at = end + 1;
    let value = value_at(text, at, None)?;
    let (rule, what) = ("basic-auth", "a login in base64");
    is_login(value).then_some(Hit {
        rule,
        what,
        start: at,
        end: at + value.len(),
        certainty: Certainty::Place,
    })
}

/// Says whether a value is base64 of a user and a password that is no placeholder.
fn is_login(value: &[u8]) -> bool {
    if value.len() < 12 || value.len() > 400 || value.len() % 4 == 1 {
        return false;
    }
    let Some(login) = keys::base64(value) else { return false };
    let Some(colon) = login.iter().position(|b| *b == b':') else { return false };
    let (user, secret) = (&login[..colon], &login[colon + 1..]);
    let is_text = login.iter().all(|b| b.is_ascii_graphic());
    is_text && !user.is_empty() && secret.len() >= PASSWORD_MIN && !judge::is_stand_in(secret) && {
        let has_digit = secret.iter().any(u8::is_ascii_digit);
        has_digit && judge::surprise(secret) >= judge::SURPRISE_MIN
    }
}
