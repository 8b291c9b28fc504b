//! The tools: what each is for, what it takes, and which words of the command line that is.
//!
//! A tool is one of the verbs, or one of its parts. What it takes is checked here; what comes of it is the
//! verb's own affair, so that an agent gets what a person would.

use serde_json::{Map, Value, json};

use super::scope::Scope;

/// What a value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Texts,
    Number,
    Flag,
    /// A range of lines.
    Any,
}

/// How a value becomes words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// `--name=value`.
    Option(&'static str),
    /// After `--`.
    Positional,
    /// Not at all: the tool takes its arguments as they are.
    AsItIs,
}

#[derive(Debug)]
struct Param {
    name: &'static str,
    kind: Kind,
    word: Word,
    is_required: bool,
    about: &'static str,
}

/// A verb that a tool runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runs {
    /// `boot`.
    Boot,
    /// `standup`.
    Standup,
    /// `log`.
    Log,
    /// A file or folder as it was committed.
    Read,
    /// `note`.
    Note,
    /// `handoff`.
    Handoff,
    /// The memory tool.
    Memory,
}

/// A tool.
#[derive(Debug)]
pub struct Tool {
    /// Its name.
    pub name: &'static str,
    /// What an agent must be allowed to do.
    pub scope: Scope,
    /// What it runs.
    pub runs: Runs,
    /// Words that stand before those of the arguments.
    before: &'static [&'static str],
    about: &'static str,
    params: &'static [Param],
}

const fn param(name: &'static str, kind: Kind, word: Word, is_required: bool, about: &'static str) -> Param {
    Param { name, kind, word, is_required, about }
}

const ID: Param = param("id", Kind::Text, Word::Positional, true, "The task's id, or its first digits");

/// All tools, in the order in which they are listed.
pub const TOOLS: [Tool; 10] = [
    Tool {
        name: "boot",
        scope: Scope::Read,
        runs: Runs::Boot,
        before: &[],
        about: "What an agent should know when it starts: the verified continuity files, what other devices added, \
                open tasks and conflicts, the newest distillates.",
        params: &[param("budget", Kind::Number, Word::Option("budget"), false, "At most so many characters")],
    },
    Tool {
        name: "standup",
        scope: Scope::Read,
        runs: Runs::Standup,
        before: &["--format=markdown"],
        about: "What each device added since yesterday or another time, phones that were offline included.",
        params: &[param(
            "since",
            Kind::Text,
            Word::Option("since"),
            false,
            "yesterday, today, a date like 2026-11-20, or a revision",
        )],
    },
    Tool {
        name: "log",
        scope: Scope::Read,
        runs: Runs::Log,
        before: &[],
        about: "The history of the vault, newest first: 20 commits unless told otherwise.",
        params: &[
            param("count", Kind::Number, Word::Option("max-count"), false, "At most so many commits"),
            param("since", Kind::Text, Word::Option("since"), false, "yesterday, 2 days ago, 2026-11-20"),
            param("device", Kind::Text, Word::Option("device"), false, "Only what this device made"),
            param("path", Kind::Text, Word::Positional, false, "Only what changed this file or folder"),
        ],
    },
    Tool {
        name: "read",
        scope: Scope::Read,
        runs: Runs::Read,
        before: &[],
        about: "A file of the vault as it was committed, verified; or the names in a folder.",
        params: &[
            param(
                "path",
                Kind::Text,
                Word::AsItIs,
                true,
                "The file or folder, from the top of the vault; empty for the top",
            ),
            param(
                "revision",
                Kind::Text,
                Word::AsItIs,
                false,
                "Which state: a commit, @{yesterday}; the present one without it",
            ),
        ],
    },
    Tool {
        name: "handoff_list",
        scope: Scope::Read,
        runs: Runs::Handoff,
        before: &["list"],
        about: "Tasks that were left for agents and devices, yours first.",
        params: &[param("all", Kind::Flag, Word::Option("all"), false, "Those that are done as well")],
    },
    Tool {
        name: "note",
        scope: Scope::Note,
        runs: Runs::Note,
        before: &[],
        about: "Writes one note into this device's stream; it is committed and reaches the other devices.",
        params: &[
            param("text", Kind::Text, Word::Positional, true, "The note"),
            param("kind", Kind::Text, Word::Option("kind"), false, "What kind of event: note, decision, …"),
        ],
    },
    Tool {
        name: "handoff_create",
        scope: Scope::Handoff,
        runs: Runs::Handoff,
        before: &["create"],
        about: "Leaves a task for another agent or device.",
        params: &[
            param("summary", Kind::Text, Word::Positional, true, "The task, in a few words"),
            param(
                "to",
                Kind::Text,
                Word::Option("to"),
                false,
                "An agent, a device, or agent@device; anyone without it",
            ),
            param("next", Kind::Texts, Word::Option("next"), false, "What to do next"),
            param(
                "context",
                Kind::Texts,
                Word::Option("context"),
                false,
                "Committed files or folders to give along",
            ),
            param("notes", Kind::Text, Word::Option("notes"), false, "Anything else"),
        ],
    },
    Tool {
        name: "handoff_accept",
        scope: Scope::Handoff,
        runs: Runs::Handoff,
        before: &["accept"],
        about: "Takes a task.",
        params: &[
            ID,
            param("take_over", Kind::Flag, Word::Option("take-over"), false, "Although another one has it"),
        ],
    },
    Tool {
        name: "handoff_complete",
        scope: Scope::Handoff,
        runs: Runs::Handoff,
        before: &["complete"],
        about: "Says that a task is done.",
        params: &[ID, param("message", Kind::Text, Word::Option("message"), false, "What came of it")],
    },
    Tool {
        name: "memory",
        scope: Scope::Memory,
        runs: Runs::Memory,
        before: &[],
        about: "Files of your own that outlast this conversation, below /memories. command: view (path, view_range), \
                create (path, file_text), str_replace (path, old_str, new_str), insert (path, insert_line, \
                insert_text), delete (path), rename (old_path, new_path). What is overwritten or deleted stays in the \
                vault's history.",
        params: &[
            param(
                "command",
                Kind::Text,
                Word::AsItIs,
                true,
                "view, create, str_replace, insert, delete or rename",
            ),
            param("path", Kind::Text, Word::AsItIs, false, "The file or folder"),
            param("view_range", Kind::Any, Word::AsItIs, false, "[first, last] line; last -1 for the end"),
            param("file_text", Kind::Text, Word::AsItIs, false, "The content of a new file"),
            param("old_str", Kind::Text, Word::AsItIs, false, "What to replace; must be there once"),
            param("new_str", Kind::Text, Word::AsItIs, false, "What to put there"),
            param("insert_line", Kind::Number, Word::AsItIs, false, "Behind which line; 0 is the top"),
            param("insert_text", Kind::Text, Word::AsItIs, false, "What to insert"),
            param("old_path", Kind::Text, Word::AsItIs, false, "What to rename"),
            param("new_path", Kind::Text, Word::AsItIs, false, "Its new name"),
        ],
    },
];

/// The largest number that is taken; no verb needs more.
const NUMBER_MAX: u64 = 1_000_000;

impl Tool {
    /// Finds a tool by its name.
    pub fn find(name: &str) -> Option<&'static Tool> {
        TOOLS.iter().find(|tool| tool.name == name)
    }

    /// Describes it as `tools/list` does.
    pub fn definition(&self) -> Value {
        let mut properties = Map::new();
        for param in self.params {
            let mut property = Map::new();
            match param.kind {
                Kind::Text => drop(property.insert("type".to_owned(), "string".into())),
                Kind::Number => drop(property.insert("type".to_owned(), "integer".into())),
                Kind::Flag => drop(property.insert("type".to_owned(), "boolean".into())),
                Kind::Texts => {
                    property.insert("type".to_owned(), "array".into());
                    property.insert("items".to_owned(), json!({"type": "string"}));
                }
                Kind::Any => {
                    property.insert("type".to_owned(), "array".into());
                    property.insert("items".to_owned(), json!({"type": "integer"}));
                }
            }
            property.insert("description".to_owned(), param.about.into());
            properties.insert(param.name.to_owned(), Value::Object(property));
        }
        let required: Vec<&str> = self.params.iter().filter(|p| p.is_required).map(|p| p.name).collect();
        let mut schema = json!({"type": "object", "properties": properties, "additionalProperties": false});
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        let is_read_only = self.scope == Scope::Read;
        json!({
            "name": self.name,
            "description": self.about,
            "inputSchema": schema,
            "annotations": {"readOnlyHint": is_read_only, "destructiveHint": false, "openWorldHint": false},
        })
    }

    /// Checks what the tool is called with and returns the words of the command line that it comes to.
    pub fn words(&self, arguments: &Map<String, Value>) -> Result<Vec<String>, String> {
        let known: Vec<&str> = self.params.iter().map(|param| param.name).collect();
        if let Some(name) = arguments.keys().find(|name| !known.contains(&name.as_str())) {
            let shown: String = name.chars().take(64).collect();
            return Err(format!("{} takes no argument {shown:?}; it takes: {}", self.name, known.join(", ")));
        }
        let mut words: Vec<String> = self.before.iter().map(|word| (*word).to_owned()).collect();
        let mut positional = Vec::new();
        for param in self.params {
            let Some(value) = arguments.get(param.name).filter(|value| !value.is_null()) else {
                if param.is_required {
                    return Err(format!("{} needs the argument {:?}", self.name, param.name));
                }
                continue;
            };
            let values = param.values(value)?;
            match param.word {
                Word::AsItIs => {}
                Word::Positional => positional.extend(values),
                Word::Option(name) if param.kind == Kind::Flag => {
                    words.extend(values.iter().map(|_| format!("--{name}")));
                }
                // One word, so that no value passes for an option.
                Word::Option(name) => words.extend(values.iter().map(|value| format!("--{name}={value}"))),
            }
        }
        if !positional.is_empty() {
            words.push("--".to_owned());
            words.extend(positional);
        }
        Ok(words)
    }
}

impl Param {
    fn values(&self, value: &Value) -> Result<Vec<String>, String> {
        let wrong = |what: &str| Err(format!("{:?} must be {what}", self.name));
        match (self.kind, value) {
            (Kind::Text, Value::String(text)) if !text.contains('\0') || self.word == Word::AsItIs => {
                Ok(vec![text.clone()])
            }
            (Kind::Text, Value::String(_)) => wrong("a text without zero characters"),
            (Kind::Text, _) => wrong("a text"),
            (Kind::Texts, Value::Array(list)) => {
                let texts: Option<Vec<String>> =
                    list.iter().map(|item| item.as_str().map(str::to_owned)).collect();
                texts.map_or_else(|| wrong("a list of texts"), Ok)
            }
            (Kind::Texts, _) => wrong("a list of texts"),
            (Kind::Number, _) if self.word == Word::AsItIs => Ok(Vec::new()),
            (Kind::Number, value) => match value.as_u64().filter(|number| *number <= NUMBER_MAX) {
                Some(number) => Ok(vec![number.to_string()]),
                None => wrong(&format!("a whole number from 0 to {NUMBER_MAX}")),
            },
            (Kind::Flag, Value::Bool(is_on)) => Ok(if *is_on { vec![String::new()] } else { Vec::new() }),
            (Kind::Flag, _) => wrong("true or false"),
            (Kind::Any, _) => Ok(Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(tool: &str, arguments: Value) -> Result<Vec<String>, String> {
        let arguments = arguments.as_object().expect("an object").clone();
        Tool::find(tool).expect(tool).words(&arguments)
    }

    #[test]
    fn no_value_passes_for_an_option() {
        let made = words("note", json!({"text": "--stream=x", "kind": "--json"}));
        assert_eq!(made, Ok(vec!["--kind=--json".into(), "--".into(), "--stream=x".into()]));
        let made = words("handoff_create", json!({"summary": "-h", "next": ["--x", "b"], "to": "a b"}));
        let wanted = ["create", "--to=a b", "--next=--x", "--next=b", "--", "-h"];
        assert_eq!(made.expect("they fit"), wanted);
    }

    #[test]
    fn what_does_not_fit_is_told() {
        for (tool, arguments) in [
            ("note", json!({})),
            ("note", json!({"text": 7})),
            ("note", json!({"text": null})),
            ("note", json!({"text": "a\u{0}b"})),
            ("note", json!({"text": "a", "stream": "x"})),
            ("boot", json!({"budget": -1})),
            ("boot", json!({"budget": 1e300})),
            ("boot", json!({"budget": "9"})),
            ("handoff_list", json!({"all": "yes"})),
            ("handoff_create", json!({"summary": "a", "next": "b"})),
            ("handoff_create", json!({"summary": "a", "next": ["b", 1]})),
        ] {
            assert!(words(tool, arguments.clone()).is_err(), "{tool} {arguments}");
        }
        assert_eq!(words("handoff_list", json!({"all": false})), Ok(vec!["list".into()]));
        assert_eq!(words("handoff_list", json!({"all": true})), Ok(vec!["list".into(), "--all".into()]));
    }

    #[test]
    fn names_are_unique_and_plain() {
        let mut names: Vec<&str> = TOOLS.iter().map(|tool| tool.name).collect();
        assert!(names.iter().all(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TOOLS.len());
    }
}
