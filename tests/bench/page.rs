//! Sections of docs/performance.md: printed, and put between their markers when that is asked for.

use std::path::Path;

use super::Done;
use super::row::Row;

/// What a group found out.
pub struct Section {
    name: &'static str,
    about: &'static str,
    rows: Vec<Row>,
    paragraphs: Vec<String>,
    /// A drawing: what it shows, the name of its file and its text.
    pub chart: Option<(&'static str, &'static str, String)>,
}

impl Section {
    /// A section without anything in it.
    pub fn new(name: &'static str, about: &'static str) -> Section {
        Section { name, about, rows: Vec::new(), paragraphs: Vec::new(), chart: None }
    }

    /// Adds a row, and shows it to who waits.
    pub fn row(&mut self, row: Row) {
        eprintln!("  {}", row.markdown());
        self.rows.push(row);
    }

    /// Adds a paragraph below the table.
    pub fn say(&mut self, text: String) {
        eprintln!("  {text}");
        self.paragraphs.push(text);
    }

    /// Begins a table with columns of its own.
    pub fn table(&mut self, columns: &[&str]) {
        self.say(format!("| {} |\n|{}", columns.join(" | "), "---|".repeat(columns.len())));
    }

    /// Adds a line to the table that was begun last.
    pub fn line(&mut self, cells: &[String]) {
        let line = format!("| {} |", cells.join(" | "));
        eprintln!("  {line}");
        let table = self.paragraphs.last_mut().expect("a table was begun");
        table.push('\n');
        table.push_str(&line);
    }

    /// Returns the section without its heading's markers.
    pub fn markdown(&self) -> String {
        let mut text = format!("## {}\n\n{}\n", self.name, self.about);
        if !self.rows.is_empty() {
            let rows: String = self.rows.iter().map(|row| row.markdown() + "\n").collect();
            text.push_str(&format!("\n{}\n{rows}", Row::heading()));
        }
        for paragraph in &self.paragraphs {
            text.push_str(&format!("\n{paragraph}\n"));
        }
        if let Some((title, file, _)) = &self.chart {
            text.push_str(&format!("\n![{title}]({file})\n"));
        }
        text
    }
}

/// Puts a section between its markers in `performance.md` of the folder `docs`, with the facts of the
/// machine, and its chart beside the page.
pub fn write(docs: &Path, section: &Section, facts: &str) -> Done {
    let page = docs.join("performance.md");
    let text = std::fs::read_to_string(&page)?;
    let text = replaced(&text, section, facts)?;
    if let Some((_, file, drawing)) = &section.chart {
        std::fs::create_dir_all(docs.join("performance"))?;
        std::fs::write(docs.join(file), drawing)?;
    }
    Ok(std::fs::write(page, text)?)
}

/// Returns the page with the section between its markers.
pub fn replaced(page: &str, section: &Section, facts: &str) -> Result<String, String> {
    let (begin, end) =
        (format!("<!-- bench {}: begin -->", section.name), format!("<!-- bench {}: end -->", section.name));
    let missing = || format!("performance.md lacks the markers {begin} and {end}");
    let (before, rest) = page.split_once(&begin).ok_or_else(missing)?;
    let (_, after) = rest.split_once(&end).ok_or_else(missing)?;
    Ok(format!("{before}{begin}\n{}\n{facts}\n{end}{after}", section.markdown()))
}
