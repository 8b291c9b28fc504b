//! Columns that line up.

use super::style::{Palette, Style};

/// A table: rows of cells, each with the style it is shown in. Cells must be harmless already.
#[derive(Clone, Debug, Default)]
pub struct Table {
    rows: Vec<Vec<(String, Option<Style>)>>,
}

impl Table {
    /// Makes an empty table.
    pub fn new() -> Table {
        Table::default()
    }

    /// Adds a row of plain cells.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) -> &mut Table {
        self.rows.push(cells.into_iter().map(|cell| (cell.into(), None)).collect());
        self
    }

    /// Adds a row whose cells have styles.
    pub fn styled(&mut self, cells: impl IntoIterator<Item = (String, Option<Style>)>) -> &mut Table {
        self.rows.push(cells.into_iter().collect());
        self
    }

    /// Writes the rows, two blanks between columns and none at the end.
    pub fn lines(&self, palette: Palette) -> Vec<String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|(cell, _)| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let line = |row: &Vec<(String, Option<Style>)>| {
            let mut line = String::new();
            for (n, (cell, style)) in row.iter().enumerate() {
                line.push_str(&style.map_or_else(|| cell.clone(), |style| palette.paint(style, cell)));
                if row[n + 1..].iter().any(|(cell, _)| !cell.is_empty()) {
                    line.push_str(&" ".repeat(widths[n] - cell.chars().count() + 2));
                }
            }
            line
        };
        self.rows.iter().map(line).collect()
    }
}

/// Writes a number of bytes as people read it: `512 B`, `1.4 KiB`, `20 MiB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut unit = 0;
    let mut tenths = u128::from(count) * 10 / 1024;
    while tenths >= 10_240 {
        tenths /= 1024;
        unit += 1;
    }
    let (whole, tenth) = (tenths / 10, tenths % 10);
    if whole < 10 { format!("{whole}.{tenth} {}", UNITS[unit]) } else { format!("{whole} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_is_coloured() {
        let mut table = Table::new();
        table.row(["a", "long cell", "x"]).styled([
            ("longer".to_owned(), Some(Style::Id)),
            ("b".to_owned(), None),
            (String::new(), None),
        ]);
        assert_eq!(table.lines(Palette::PLAIN), ["a       long cell  x", "longer  b"]);
        assert_eq!(table.lines(Palette::COLORED)[1], "\x1b[33mlonger\x1b[0m  b");
    }

    #[test]
    fn sizes_are_told_with_two_digits() {
        for (count, shown) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (20 << 20, "20 MiB"),
            (1_048_575, "1023 KiB"),
            (u64::MAX, "15 EiB"),
        ] {
            assert_eq!(bytes(count), shown);
        }
    }
}
