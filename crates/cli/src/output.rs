//! Writing to the terminal or to whoever reads us.

use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;

use crate::failure::{Failure, Result};

/// Writes text to standard output. A reader that is gone ends the program in silence, as it ends other filters.
pub(crate) fn print(text: &str) -> Result<()> {
    match Sink::Stdout.write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| Failure::from_io(Sink::Stdout.action(), error)),
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
    drop(Sink::Stderr.write_all(format!("lattice: {text}\n").as_bytes()));
}

/// One of our two output streams, written to without a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sink {
    Stdout,
    Stderr,
}

impl Sink {
    /// Writes all of it. A stream that somebody has set non-blocking is waited for.
    pub(crate) fn write_all(self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => write_all(io::stdout().as_fd(), bytes),
            Self::Stderr => write_all(io::stderr().as_fd(), bytes),
        }
    }

    pub(crate) fn is_terminal(self) -> bool {
        match self {
            Self::Stdout => io::stdout().is_terminal(),
            Self::Stderr => io::stderr().is_terminal(),
        }
    }

    /// What a failure of it failed to do.
    pub(crate) fn action(self) -> &'static str {
        match self {
            Self::Stdout => "write to standard output",
            Self::Stderr => "write to standard error",
        }
    }
}

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (*self).write_all(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_all(stream: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(stream, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait(stream, PollFlags::OUT)?,
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// Waits until a non-blocking stream can be used, or has a failure to tell.
pub(crate) fn wait(stream: BorrowedFd<'_>, what: PollFlags) -> io::Result<()> {
    match rustix::event::poll(&mut [PollFd::from_borrowed_fd(stream, what)], None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
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
