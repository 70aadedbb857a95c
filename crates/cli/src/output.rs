//! Writing to the terminal or to whoever reads us.

use std::io::{self, Write};

use crate::failure::{Failure, Result};

/// Writes text to standard output. A reader that is gone ends the program in silence, as it ends other filters.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| Failure::from_io("write to standard output", error)),
    }
}

/// Writes one line to standard output.
pub(crate) fn print_line(line: &str) -> Result<()> {
    print(&format!("{line}\n"))
}

/// Writes a value as indented JSON.
pub(crate) fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).expect("our own types always serialise");
    print_line(&text)
}

/// Says something on standard error, under our name.
pub(crate) fn complain(text: &str) {
    // Where nobody listens there is nobody to tell.
    drop(writeln!(io::stderr(), "lattice: {text}"));
}

/// Lays rows out in columns; the first row is the heading.
pub(crate) fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["ID".to_owned(), "STATE".to_owned()], ["sb-1".to_owned(), "up".to_owned()]];
        assert_eq!(table(&rows), "ID    STATE\nsb-1  up\n");
    }
}
