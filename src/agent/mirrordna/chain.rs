//! Hash chains that MirrorDNA writes, `witness_chain.jsonl` and `audit_log.jsonl`: where do they break?
//!
//! Each line names the one before by a SHA-256. How that is made is not written down, so what fits is taken:
//! the hash that the line before says of itself, else the SHA-256 of that line as it stands or as sorted
//! compact JSON. What a line says of itself is checked by the form that fits the first line that says
//! anything: sorted compact JSON without the member or with it blank. Signatures in lines are not checked.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::gateway::signature::{Escapes, bare, sorted_compact};

/// Members that name the line before.
const PREVIOUS: [&str; 6] = ["prev_hash", "previous_hash", "prevHash", "parent_hash", "prev", "previous"];
/// Members in which a line names itself.
const OWN: [&str; 6] = ["hash", "entry_hash", "event_hash", "current_hash", "this_hash", "sha256"];
/// So many breaks are told.
const BREAKS_TOLD: usize = 20;

/// What a chain looks like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChainReport {
    /// How many lines there are.
    pub lines: usize,
    /// How many links hold.
    pub links: usize,
    /// Where it breaks: the number of the line, and how. The first few.
    pub breaks: Vec<(usize, String)>,
    /// How many breaks there are.
    pub breaks_in_all: usize,
    /// Whether what lines say of themselves could be computed again.
    pub is_recomputed: bool,
}

impl ChainReport {
    /// Tells whether it is a chain and nothing breaks it.
    pub fn holds(&self) -> bool {
        self.breaks_in_all == 0
    }

    /// Returns it in words.
    pub fn words(&self) -> String {
        let mut text = format!("{} lines, {} links hold", self.lines, self.links);
        if self.links > 0 && !self.is_recomputed {
            text.push_str(
                "; what the lines say of themselves is in no known form and was not computed again",
            );
        }
        if self.breaks_in_all > 0 {
            let told: Vec<String> =
                self.breaks.iter().map(|(line, what)| format!("line {line} {what}")).collect();
            text.push_str(&format!("; {} breaks: {}", self.breaks_in_all, told.join(", ")));
        }
        text
    }

    fn breaks_at(&mut self, line: usize, what: &str) {
        self.breaks_in_all += 1;
        if self.breaks.len() < BREAKS_TOLD {
            self.breaks.push((line, what.to_owned()));
        }
    }
}

/// How a line's own hash is made.
type Form = (Blank, Escapes);

/// What becomes of the member that holds the hash.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Blank {
    Removed,
    Emptied,
}

const FORMS: [Form; 4] = [
    (Blank::Removed, Escapes::Ascii),
    (Blank::Removed, Escapes::Few),
    (Blank::Emptied, Escapes::Ascii),
    (Blank::Emptied, Escapes::Few),
];

/// Looks a chain through.
pub fn check(bytes: &[u8]) -> ChainReport {
    let mut report = ChainReport::default();
    let mut before: Option<(Value, &[u8])> = None;
    let mut form: Option<Form> = None;
    let numbered = bytes.split(|byte| *byte == b'\n').enumerate();
    for (at, line) in numbered.filter(|(_, line)| !line.trim_ascii().is_empty()) {
        report.lines += 1;
        let number = at + 1;
        let Ok(value @ Value::Object(_)) = serde_json::from_slice::<Value>(line) else {
            report.breaks_at(number, "is no JSON object");
            before = None;
            continue;
        };
        let link = member(&value, &PREVIOUS);
        match (&before, link) {
            (None, Some((_, link))) if report.lines == 1 && !is_beginning(link) => {
                report.breaks_at(number, "is the first and follows another");
            }
            (None, _) => {}
            (Some(_), None) => report.breaks_at(number, "names no line before it"),
            (Some((old, raw)), Some((_, link))) => {
                let link = bare(link);
                match names_of(old, raw).iter().any(|name| name.eq_ignore_ascii_case(link)) {
                    true => report.links += 1,
                    false => report.breaks_at(number, "does not follow the line before it"),
                }
            }
        }
        if let Some((name, own)) = member(&value, &OWN) {
            let fits = |form: &Form| hash(&value, name, *form).eq_ignore_ascii_case(bare(own));
            match form {
                Some(form) if !fits(&form) => {
                    report.breaks_at(number, "was changed: its own hash does not fit")
                }
                Some(_) => {}
                None => form = FORMS.into_iter().find(|form| fits(form)),
            }
        }
        before = Some((value, line));
    }
    report.is_recomputed = form.is_some();
    report
}

fn member<'v>(value: &'v Value, names: &[&'static str]) -> Option<(&'static str, &'v str)> {
    names.iter().find_map(|name| Some((*name, value.get(name)?.as_str().unwrap_or_default())))
}

fn is_beginning(link: &str) -> bool {
    let link = bare(link);
    link.is_empty() || link.eq_ignore_ascii_case("genesis") || link.bytes().all(|byte| byte == b'0')
}

/// Returns what a line may be called by the one after it.
fn names_of(value: &Value, raw: &[u8]) -> Vec<String> {
    match member(value, &OWN) {
        Some((_, own)) if !own.is_empty() => vec![bare(own).to_owned()],
        _ => vec![
            hex::encode(Sha256::digest(raw.trim_ascii_end())),
            hex::encode(Sha256::digest(sorted_compact(value, Escapes::Ascii))),
            hex::encode(Sha256::digest(sorted_compact(value, Escapes::Few))),
        ],
    }
}

fn hash(value: &Value, own: &str, (blank, escapes): Form) -> String {
    let mut value = value.clone();
    if let Value::Object(members) = &mut value {
        match blank {
            Blank::Removed => drop(members.remove(own)),
            Blank::Emptied => drop(members.insert(own.to_owned(), Value::String(String::new()))),
        }
    }
    hex::encode(Sha256::digest(sorted_compact(&value, escapes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes a chain whose lines name themselves.
    fn chain(count: usize) -> Vec<Value> {
        let mut lines: Vec<Value> = Vec::new();
        for n in 0..count {
            let prev = lines.last().map_or("GENESIS".into(), |line| line["hash"].clone());
            let mut line =
                serde_json::json!({"timestamp": n, "event": "é", "details": {}, "prev_hash": prev});
            let own = hash(&line, "hash", (Blank::Removed, Escapes::Ascii));
            line["hash"] = own.into();
            lines.push(line);
        }
        lines
    }

    fn bytes(lines: &[Value]) -> Vec<u8> {
        lines.iter().map(|line| format!("{line}\n")).collect::<String>().into_bytes()
    }

    #[test]
    fn a_chain_holds_and_each_change_shows_where_it_is() {
        let good = chain(4);
        let report = check(&bytes(&good));
        assert_eq!((report.lines, report.links, report.holds(), report.is_recomputed), (4, 3, true, true));

        let mut edited = good.clone();
        edited[1]["details"] = "changed".into();
        assert_eq!(check(&bytes(&edited)).breaks, [(2, "was changed: its own hash does not fit".to_owned())]);
        let mut removed = good.clone();
        removed.remove(1);
        assert_eq!(check(&bytes(&removed)).breaks, [(2, "does not follow the line before it".to_owned())]);
        let mut cut = good;
        cut.remove(0);
        assert_eq!(check(&bytes(&cut)).breaks, [(1, "is the first and follows another".to_owned())]);
    }

    #[test]
    fn lines_that_only_name_the_one_before_are_linked_by_its_bytes() {
        let first = "{\"timestamp\": 1, \"event\": \"a\", \"prev_hash\": \"GENESIS\"}";
        let second = format!(
            "{{\"timestamp\": 2, \"event\": \"b\", \"prev_hash\": \"{}\"}}",
            hex::encode(Sha256::digest(first))
        );
        assert!(check(format!("{first}\n{second}\n").as_bytes()).holds());
        assert!(!check(format!("{}\n{second}\n", first.replace('1', "7")).as_bytes()).holds());
        assert_eq!(check(b"{}\nnot json\n{\"prev\":\"x\"}\n").breaks_in_all, 1);
        assert!(check(b"").holds());
    }
}
