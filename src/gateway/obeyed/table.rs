//! The table: which names belong to which program, and what of such a file runs.

use std::collections::HashMap;
use std::sync::OnceLock;

use toml_edit::{DocumentMut, Item, Table as Toml};

use super::name::{Parts, Pattern};
use super::{Content, When};

const TEXT: &str = include_str!("table.toml");

/// Which part of a file runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    Keys,
    Markdown,
    Prompt,
    Auto,
    Steers,
}

/// A row of the table.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub who: String,
    pub when: When,
    pub part: Part,
    /// Members by their path, in lower case.
    pub keys: Vec<Vec<String>>,
    words: Vec<String>,
    except: Vec<Pattern>,
}

impl Row {
    /// Returns `true` if the content has one of the row's words, or the row asks for none.
    pub fn has_word(&self, content: Content<'_>) -> bool {
        match content {
            Content::Whole(bytes) if !self.words.is_empty() => {
                let text = String::from_utf8_lossy(bytes).to_lowercase();
                // Text in two bytes a character has none of them as they are written here.
                bytes.contains(&0) || self.words.iter().any(|word| text.contains(word))
            }
            _ => true,
        }
    }

    fn is_excepted(&self, parts: &Parts<'_>) -> bool {
        self.except.iter().any(|pattern| pattern.matches(parts))
    }
}

/// The whole table, made to be asked about many paths.
pub(super) struct Table {
    rows: Vec<Row>,
    patterns: Vec<(Pattern, usize)>,
    /// Patterns by the name of the file, by its extension, and by the first folder that they name.
    by_name: HashMap<Vec<u8>, Vec<usize>>,
    by_extension: HashMap<Vec<u8>, Vec<usize>>,
    by_folder: HashMap<Vec<u8>, Vec<usize>>,
    /// All others.
    loose: Vec<usize>,
    pub documents: Vec<String>,
    pub settings: Vec<String>,
    pub markdown_extensions: Vec<String>,
    pub markdown_keys: Vec<String>,
    pub telling_keys: Vec<String>,
}

/// Returns the table.
pub(super) fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| Table::parse(TEXT).expect("the table is part of the program, and a test reads it"))
}

impl Table {
    /// Reads a table; says what is wrong with it.
    fn parse(text: &str) -> Result<Table, String> {
        let document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| error.to_string())?;
        let list = |table: &str, key: &str| {
            strings(document.get(table).and_then(|t| t.get(key)))
                .map_err(|error| format!("{table}.{key} {error}"))
        };
        let mut table = Table {
            rows: Vec::new(),
            patterns: Vec::new(),
            by_name: HashMap::new(),
            by_extension: HashMap::new(),
            by_folder: HashMap::new(),
            loose: Vec::new(),
            documents: list("inert", "documents")?,
            settings: list("inert", "settings")?,
            markdown_extensions: list("markdown", "extensions")?,
            markdown_keys: list("markdown", "keys")?,
            telling_keys: list("markdown", "telling")?,
        };
        let rows = document.get("row").and_then(Item::as_array_of_tables).ok_or("there are no rows")?;
        for (number, row) in rows.iter().enumerate() {
            table.add(row).map_err(|error| format!("row {}: {error}", number + 1))?;
        }
        Ok(table)
    }

    fn add(&mut self, row: &Toml) -> Result<(), String> {
        let known = ["who", "names", "runs", "part", "keys", "words", "except"];
        if let Some((key, _)) = row.iter().find(|(key, _)| !known.contains(key)) {
            return Err(format!("{key} is not a key of a row"));
        }
        let word = |key: &str| row.get(key).and_then(Item::as_str);
        let part = match word("part") {
            None | Some("auto") => Part::Auto,
            Some("whole") => Part::Whole,
            Some("keys") => Part::Keys,
            Some("markdown") => Part::Markdown,
            Some("prompt") => Part::Prompt,
            Some("steers") => Part::Steers,
            Some(other) => return Err(format!("{other} is not a part")),
        };
        let when = match word("runs") {
            Some("sight") => When::Sight,
            Some("use") => When::Use,
            _ => return Err("runs must be \"sight\" or \"use\"".to_owned()),
        };
        let optional = |key: &str| row.get(key).map_or(Ok(Vec::new()), |item| strings(Some(item)));
        let keys = optional("keys")?;
        if keys.is_empty() != (part != Part::Keys) {
            return Err("keys go with part = \"keys\"".to_owned());
        }
        let keys =
            keys.iter().map(|key| key.to_lowercase().split('/').map(str::to_owned).collect()).collect();
        let words = optional("words")?.iter().map(|word| word.to_lowercase()).collect();
        let except = optional("except")?.iter().map(|text| Pattern::parse(text)).collect();
        let who = word("who").ok_or("who is missing")?.to_owned();
        self.rows.push(Row { who, when, part, keys, words, except });
        let row_index = self.rows.len() - 1;
        for name in strings(row.get("names"))? {
            self.index(Pattern::parse(&name), row_index);
        }
        Ok(())
    }

    fn index(&mut self, pattern: Pattern, row: usize) {
        let at = self.patterns.len();
        let last = pattern.last();
        let extension =
            last.strip_prefix(b"*.").filter(|rest| !rest.iter().any(|b| matches!(b, b'*' | b'.')));
        match (pattern.folder(), extension) {
            _ if !last.contains(&b'*') => self.by_name.entry(last.to_vec()).or_default().push(at),
            (Some(folder), _) => self.by_folder.entry(folder.to_vec()).or_default().push(at),
            (None, Some(extension)) => self.by_extension.entry(extension.to_vec()).or_default().push(at),
            (None, None) => self.loose.push(at),
        }
        self.patterns.push((pattern, row));
    }

    /// Returns the rows that a path belongs to, in their order.
    pub fn rows(&self, parts: &Parts<'_>) -> Vec<&Row> {
        let mut asked: Vec<usize> = Vec::new();
        if parts.has_short {
            asked.extend(0..self.patterns.len());
        } else if let Some((name, folders)) = parts.names.split_last() {
            let dot = name.iter().rposition(|b| *b == b'.');
            let by_name = self.by_name.get(name).into_iter();
            let by_extension = dot.and_then(|at| self.by_extension.get(&name[at + 1..])).into_iter();
            let by_folder = folders.iter().filter_map(|folder| self.by_folder.get(folder));
            asked.extend(by_name.chain(by_extension).chain(by_folder).flatten());
            asked.extend(&self.loose);
        }
        let matching =
            asked.iter().map(|at| &self.patterns[*at]).filter(|(pattern, _)| pattern.matches(parts));
        let mut rows: Vec<usize> = matching.map(|(_, row)| *row).collect();
        rows.sort_unstable();
        rows.dedup();
        let rows = rows.into_iter().map(|at| &self.rows[at]);
        rows.filter(|row| !row.is_excepted(parts)).collect()
    }

    /// Returns the rows that a link belongs to, each with `true` if only what lies behind the link can.
    pub fn rows_of_link(&self, parts: &Parts<'_>) -> Vec<(&Row, bool)> {
        let mut rows: Vec<(usize, bool)> = Vec::new();
        // Elsewhere `tools` and `rules` are folders like any other.
        let is_of_a_program = parts.names.iter().any(|name| name.starts_with(b"."));
        for (pattern, row) in &self.patterns {
            match pattern.matches(parts) {
                true => rows.push((*row, false)),
                false if is_of_a_program && pattern.leads_through(parts) => rows.push((*row, true)),
                false => {}
            }
        }
        rows.sort_unstable();
        rows.dedup_by_key(|(row, _)| *row);
        let rows = rows.into_iter().map(|(row, is_behind)| (&self.rows[row], is_behind));
        rows.filter(|(row, _)| !row.is_excepted(parts)).collect()
    }
}

fn strings(item: Option<&Item>) -> Result<Vec<String>, String> {
    let array = item.and_then(Item::as_array).ok_or("must be a list")?;
    let texts = array.iter().map(|value| value.as_str().map(str::to_owned));
    texts.collect::<Option<Vec<String>>>().ok_or_else(|| "must be a list of texts".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_can_be_read_and_a_bad_line_is_named() {
        let read = Table::parse(TEXT).expect("the table");
        assert!(read.rows.len() > 30 && read.patterns.len() > 300);
        let with = |row: &str| Table::parse(&format!("{TEXT}\n[[row]]\n{row}")).err();
        assert_eq!(with("who = 'x'\nnames = ['y']\nruns = 'sight'"), None);
        assert!(with("who = 'x'\nnames = ['y']\nruns = 'often'").is_some_and(|why| why.contains("runs")));
        assert!(with("who = 'x'\nnames = 'y'\nruns = 'use'").is_some_and(|why| why.contains("list")));
        assert!(with("who = 'x'\nnames = ['y']\nruns = 'use'\nwho_else = 1").is_some());
        assert!(with("who = 'x'\nnames = ['y']\nruns = 'use'\npart = 'keys'").is_some());
    }
}
