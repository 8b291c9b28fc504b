//! `log --graph`: commits in, lines out. Pure.
//!
//! Every commit comes before its parents. A column is a line of descent that waits for its next commit;
//! no commit is waited for twice, so lines join as early as they can.

use std::fmt::Write;

/// The characters to draw with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Glyphs {
    /// Lines of Unicode's box drawing block.
    #[default]
    Unicode,
    /// ASCII only.
    Ascii,
}

impl Glyphs {
    /// Chooses by the locale: ASCII only where it says that it is not UTF-8 (`C`, `POSIX`, another
    /// encoding); nothing said means Unicode.
    pub fn choose(var: impl Fn(&str) -> Option<String>) -> Glyphs {
        let locale =
            ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| var(name).filter(|v| !v.is_empty()));
        match locale.map(|locale| locale.to_lowercase()) {
            Some(locale) if !locale.contains("utf-8") && !locale.contains("utf8") => Glyphs::Ascii,
            _ => Glyphs::Unicode,
        }
    }
}

/// What a line touches within one cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cell {
    up: bool,
    down: bool,
    left: bool,
    right: bool,
    /// The horizontal line ends or starts here rather than passing over.
    joined: bool,
}

impl Cell {
    fn glyph(self, glyphs: Glyphs) -> char {
        let Cell { up, down, left, right, joined } = self;
        let crossing = up && down && left && right && !joined;
        let unicode = match (up, down, left, right) {
            _ if crossing => '│',
            (true, true, true, true) => '┼',
            (true, true, false, true) => '├',
            (true, true, true, false) => '┤',
            (true, true, false, false) => '│',
            (true, false, true, true) => '┴',
            (true, false, true, false) => '╯',
            (true, false, false, true) => '╰',
            (false, true, true, true) => '┬',
            (false, true, true, false) => '╮',
            (false, true, false, true) => '╭',
            (true, false, false, false) => '╵',
            (false, true, false, false) => '╷',
            (false, false, false, false) => ' ',
            (false, false, _, _) => '─',
        };
        match (glyphs, unicode) {
            (Glyphs::Unicode, glyph) => glyph,
            (Glyphs::Ascii, '│' | '├' | '┤' | '╵' | '╷') => '|',
            (Glyphs::Ascii, '─') => '-',
            (Glyphs::Ascii, '╯' | '╭') => '/',
            (Glyphs::Ascii, '╮' | '╰') => '\\',
            (Glyphs::Ascii, ' ') => ' ',
            (Glyphs::Ascii, _) => '+',
        }
    }
}

/// Draws one commit after the other.
#[derive(Clone, Debug)]
pub struct Graph<Id> {
    columns: Vec<Option<Id>>,
    glyphs: Glyphs,
}

impl<Id: Clone + PartialEq> Graph<Id> {
    /// Starts with no lines.
    pub fn new(glyphs: Glyphs) -> Graph<Id> {
        Graph { columns: Vec::new(), glyphs }
    }

    /// Draws a commit with `node` as its sign, `text` beside it, and the lines to its parents.
    pub fn draw(&mut self, id: &Id, parents: &[Id], node: char, text: &[String]) -> Vec<String> {
        let at = self.columns.iter().position(|column| column.as_ref() == Some(id)).unwrap_or_else(|| {
            let free = self.columns.iter().position(Option::is_none).unwrap_or(self.columns.len());
            self.put(free, id.clone());
            free
        });
        let before = self.columns.clone();
        let links = self.descend(at, parents);
        let link_row = links.iter().any(|link| *link != at).then(|| self.link_row(&before, at, &links));
        let node_row = self.node_row(&before, at, node);
        let straight = self.straight_row();
        while self.columns.last().is_some_and(Option::is_none) {
            self.columns.pop();
        }
        join_text(&node_row, link_row.as_deref(), &straight, text)
    }

    fn put(&mut self, column: usize, id: Id) {
        if column == self.columns.len() {
            self.columns.push(Some(id));
        } else {
            self.columns[column] = Some(id);
        }
    }

    /// Lets the parents take over from the commit in column `at`; returns the columns its lines lead to.
    fn descend(&mut self, at: usize, parents: &[Id]) -> Vec<usize> {
        self.columns[at] = None;
        let mut links = Vec::new();
        for (n, parent) in parents.iter().enumerate() {
            let waiting = self.columns.iter().position(|column| column.as_ref() == Some(parent));
            let column = match waiting {
                // Lines move to the left when they join.
                Some(column) if n == 0 && column > at => {
                    self.columns[at] = Some(parent.clone());
                    self.columns[column] = None;
                    links.push(at);
                    column
                }
                Some(column) => column,
                None => {
                    let free = if n == 0 { Some(at) } else { self.free_column(at) };
                    let column = free.unwrap_or(self.columns.len());
                    self.put(column, parent.clone());
                    column
                }
            };
            if !links.contains(&column) {
                links.push(column);
            }
        }
        links
    }

    fn free_column(&self, other_than: usize) -> Option<usize> {
        (0..self.columns.len()).find(|column| *column != other_than && self.columns[*column].is_none())
    }

    /// Draws the row between a commit and its parents.
    fn link_row(&self, before: &[Option<Id>], at: usize, links: &[usize]) -> String {
        let width = before.len().max(self.columns.len());
        let is_in = |columns: &[Option<Id>], n: usize| columns.get(n).is_some_and(Option::is_some);
        let mut cells = vec![Cell::default(); width * 2];
        for n in 0..width {
            cells[2 * n].up = is_in(before, n);
            cells[2 * n].down = is_in(&self.columns, n);
        }
        for &link in links.iter().filter(|link| **link != at) {
            let (left, right) = (2 * at.min(link), 2 * at.max(link));
            for (n, cell) in cells.iter_mut().enumerate().take(right + 1).skip(left) {
                cell.right |= n < right;
                cell.left |= n > left;
            }
            cells[left].joined = true;
            cells[right].joined = true;
        }
        self.text(&cells)
    }

    fn node_row(&self, before: &[Option<Id>], at: usize, node: char) -> String {
        let mut row = String::new();
        for (n, column) in before.iter().enumerate() {
            let through = Cell { up: true, down: true, ..Cell::default() };
            let glyph = match column {
                _ if n == at => node,
                Some(_) => through.glyph(self.glyphs),
                None => ' ',
            };
            write!(row, "{glyph} ").expect("a string takes everything");
        }
        row
    }

    fn straight_row(&self) -> String {
        let cells = self.columns.iter().flat_map(|column| {
            let there = column.is_some();
            [Cell { up: there, down: there, ..Cell::default() }, Cell::default()]
        });
        self.text(&cells.collect::<Vec<_>>())
    }

    fn text(&self, cells: &[Cell]) -> String {
        cells.iter().map(|cell| cell.glyph(self.glyphs)).collect()
    }
}

/// Puts the text beside the rows: the first line beside the commit, the rest below, aligned.
fn join_text(node_row: &str, link_row: Option<&str>, straight: &str, text: &[String]) -> Vec<String> {
    let count = |row: &str| row.chars().count();
    let width = count(node_row).max(link_row.map_or(0, count)).max(count(straight));
    let mut rows = vec![node_row];
    rows.extend(link_row);
    while rows.len() < text.len() {
        rows.push(straight);
    }
    let beside = text.iter().map(String::as_str).chain(std::iter::repeat(""));
    let lines = rows.iter().zip(beside).map(|(row, text)| {
        let pad = " ".repeat(width - count(row));
        format!("{row}{pad}{text}").trim_end().to_owned()
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(glyphs: Glyphs, commits: &[(&str, &[&str])]) -> String {
        let mut graph = Graph::new(glyphs);
        let lines = commits.iter().flat_map(|(id, parents)| {
            let parents: Vec<String> = parents.iter().map(|&p| p.to_owned()).collect();
            graph.draw(&(*id).to_owned(), &parents, '*', &[(*id).to_owned()])
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_line_of_commits_is_a_line() {
        assert_eq!(drawn(Glyphs::Unicode, &[("c", &["b"]), ("b", &["a"]), ("a", &[])]), "* c\n* b\n* a");
    }

    #[test]
    fn two_devices_part_and_meet() {
        let commits: &[(&str, &[&str])] =
            &[("d", &["mac", "pixel"]), ("pixel", &["base"]), ("mac", &["base"]), ("base", &[])];
        let expected = "\
*   d
├─╮
│ * pixel
* │ mac
├─╯
* base";
        assert_eq!(drawn(Glyphs::Unicode, commits), expected);
        let expected = "\
*   d
|-\\
| * pixel
* | mac
|-/
* base";
        assert_eq!(drawn(Glyphs::Ascii, commits), expected);
    }

    #[test]
    fn lines_that_pass_are_not_joined() {
        let commits: &[(&str, &[&str])] =
            &[("x", &["a"]), ("y", &["b"]), ("z", &["a"]), ("b", &["a"]), ("a", &[])];
        let expected = "\
* x
│ * y
│ │ * z
├─│─╯
│ * b
├─╯
* a";
        assert_eq!(drawn(Glyphs::Unicode, commits), expected);
    }

    #[test]
    fn three_parents_open_two_lines() {
        let commits: &[(&str, &[&str])] =
            &[("m", &["a", "b", "c"]), ("a", &["r"]), ("b", &["r"]), ("c", &["r"]), ("r", &[])];
        let expected = "\
*     m
├─┬─╮
* │ │ a
│ * │ b
├─╯ │
│   * c
├───╯
* r";
        assert_eq!(drawn(Glyphs::Unicode, commits), expected);
    }

    #[test]
    fn further_lines_of_text_keep_the_lines_of_descent() {
        let mut graph = Graph::new(Glyphs::Unicode);
        let text = |lines: &[&str]| lines.iter().map(|&line| line.to_owned()).collect::<Vec<_>>();
        let lines = graph.draw(&1, &[2, 3], 'o', &text(&["one", "two", "three"]));
        assert_eq!(lines, ["o   one", "├─╮ two", "│ │ three"]);
    }

    #[test]
    fn every_commit_of_any_graph_is_drawn_once_and_no_line_is_left_open() {
        let mut state = 7_u64;
        let mut below = |n: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % n
        };
        for _ in 0..300 {
            let count = 2 + below(12);
            let mut graph = Graph::new(Glyphs::Unicode);
            let mut drawn = 0;
            for id in (0..count).rev() {
                let mut parents: Vec<u64> =
                    (0..below(4)).filter(|_| id > 0).map(|_| below(id.max(1))).collect();
                parents.dedup();
                if parents.is_empty() && id > 0 {
                    parents.push(id - 1);
                }
                let lines = graph.draw(&id, &parents, '*', &[]);
                drawn += lines.iter().filter(|line| line.contains('*')).count() as u64;
            }
            assert_eq!(drawn, count);
            assert!(graph.columns.is_empty());
        }
    }
}
