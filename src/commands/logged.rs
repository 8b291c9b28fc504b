//! The words of a command line as the operation log keeps them.
//!
//! The log never forgets, so nothing gets into it that has to be removable one day: no message, no text of a note,
//! nothing that looks like a credential. The words come from what the parser matched, so that every spelling of an
//! option (`-m X`, `-mX`, `-qm X`, `--message=X`) is one.

use std::ffi::OsStr;

use clap::parser::ValueSource;

use crate::gateway::secrets;

/// The arguments that are texts of a person, by the name that help shows for their value.
const TEXTS: [&str; 6] = ["MSG", "TEXT", "JSON", "REASON", "SUMMARY", "WORDS"];
/// What stands for a word that is not kept.
pub const LEFT_OUT: &str = "…";

/// Returns the words of what was matched: the verb, then its options and values in the order in which they were given.
/// Global options (`-C`, `--json`) are left out: they say where the command ran and how it answered.
pub fn words(definition: &clap::Command, matches: &clap::ArgMatches) -> Vec<String> {
    let mut words = Vec::new();
    let (mut definition, mut matches) = (definition, matches);
    while let Some((name, inner)) = matches.subcommand() {
        words.push(name.to_owned());
        let Some(verb) = definition.find_subcommand(name) else { break };
        (definition, matches) = (verb, inner);
        words.extend(given(definition, matches));
    }
    words
}

/// The arguments of one verb that were given.
fn given(definition: &clap::Command, matches: &clap::ArgMatches) -> Vec<String> {
    let mut found: Vec<(usize, Vec<String>)> = Vec::new();
    for argument in definition.get_arguments() {
        let id = argument.get_id().as_str();
        // Some ids (of subcommands, of groups) have no matches.
        let is_known = matches.ids().any(|known| known == id);
        if !is_known || argument.is_global_set() || matches.value_source(id) != Some(ValueSource::CommandLine)
        {
            continue;
        }
        let is_text = is_text(argument);
        let flag = argument.get_long().map(|long| format!("--{long}"));
        let flag = flag.or_else(|| argument.get_short().map(|short| format!("-{short}")));
        let takes_values = argument.get_action().takes_values();
        let values = matches.get_raw(id).into_iter().flatten().map(|value| kept(value, is_text));
        let indices: Vec<usize> = matches.indices_of(id).into_iter().flatten().collect();
        if !takes_values {
            found.extend(indices.first().map(|at| (*at, flag.into_iter().collect())));
            continue;
        }
        for (at, value) in indices.into_iter().zip(values) {
            found.push((at, flag.iter().cloned().chain([value]).collect()));
        }
    }
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().flat_map(|(_, words)| words).collect()
}

/// Returns whether the value of an argument is text that a person wrote.
pub fn is_text(argument: &clap::Arg) -> bool {
    let names = argument.get_value_names().unwrap_or_default();
    names.iter().any(|name| TEXTS.contains(&name.as_str()))
}

fn kept(value: &OsStr, is_text: bool) -> String {
    if is_text || !secrets::scan(value.as_encoded_bytes()).is_empty() {
        return LEFT_OUT.to_owned();
    }
    value.to_string_lossy().into_owned()
}
