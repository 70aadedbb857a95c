//! Sandboxes that come and go leave nothing: disk, memory and descriptors stay as they are.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::failure::{Attempted, Failure, Result};
use crate::leaks::TestDir;
use crate::server::{Server, Store};
use crate::workspace::Workspace;
use crate::{clients, interop, program};

/// How many make sandboxes at once.
const MAKERS: u64 = 8;
/// How many cycles there are unless the task is told.
const CYCLES: u64 = 10_000;
/// After how many the store and the server are measured, besides the last.
const MARKS: [u64; 4] = [10, 1_000, 5_000, 10_000];
/// What may be more at the last mark than at the first: the database's log is brought over at 128 pages of 4 KiB, and its file has a
/// page for each row that was there at once.
const DISK: u64 = 2 << 20;
/// Pages that an allocator keeps.
const MEMORY: u64 = 16 << 20;
const DESCRIPTORS: u64 = 8;

/// The task: `--cycles N`.
pub(crate) fn run(workspace: &Workspace, arguments: &[&str]) -> Result<()> {
    let cycles = match arguments {
        [] => CYCLES,
        ["--cycles", number] => {
            number.parse().attempted(format!("--cycles takes a number, not {number:?}"))?
        }
        other => return Err(Failure::new(format!("{:?} is no option: use --cycles N", other.join(" ")))),
    };
    if !clients::is_root() {
        return Err(Failure::new("cycles make sandboxes, which needs root"));
    }
    interop::build(workspace)?;
    let test_dir = TestDir::new()?;
    let outcome = measured(workspace, test_dir.path(), cycles);
    let left = test_dir.finish();
    println!("{}", outcome?);
    println!("{}", left?);
    Ok(())
}

fn measured(workspace: &Workspace, test_dir: &Path, cycles: u64) -> Result<String> {
    let store = Store::new(workspace, test_dir, "cycles")?;
    let folder = test_dir.join("cycles");
    let server = Server::start(&store, "127.0.0.1:0")?;
    let outcome = marks(&store, &folder, &server, cycles);
    server.kill();
    let removed = store.remove();
    outcome.and_then(|said| removed.map(|()| said))
}

fn marks(store: &Store, folder: &Path, server: &Server, cycles: u64) -> Result<String> {
    let (mut done, mut first) = (0, None);
    println!("{:>7} {:>12} {:>12} {:>12} {:>11}", "cycles", "store", "database", "memory", "descriptors");
    for mark in MARKS.into_iter().filter(|mark| *mark < cycles).chain([cycles]) {
        cycle(store, mark - done)?;
        done = mark;
        program::capture(store.lattice().args(["gc", "--all"]))?;
        let size = Size::of(folder, server.pid())?;
        println!("{done:>7} {size}");
        size.compare(first.get_or_insert(size))?;
    }
    Ok(format!("{done} cycles by {MAKERS} at once, none lost, sizes flat"))
}

/// Makes that many, each of which runs a command and is removed.
fn cycle(store: &Store, times: u64) -> Result<()> {
    let next = AtomicU64::new(0);
    let maker = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= times {
                return Ok(());
            }
            one(store, number)?;
        }
    };
    thread::scope(|scope| {
        let makers: Vec<_> = (0..MAKERS).map(|_| scope.spawn(maker)).collect();
        makers.into_iter().try_for_each(|maker| maker.join().map_err(|_| Failure::new("a maker panicked"))?)
    })
}

fn one(store: &Store, number: u64) -> Result<()> {
    let made = program::capture(store.lattice().arg("create"))?;
    let (id, word) = (made.trim(), format!("cycle {number}\n"));
    let said = program::capture(store.lattice().args(["exec", id, "--", "echo", word.trim()]))?;
    program::capture(store.lattice().args(["rm", id]))?;
    if said == word { Ok(()) } else { Err(Failure::new(format!("{id} said {said:?} and not {word:?}"))) }
}

/// What must stay flat.
#[derive(Debug, Clone, Copy)]
struct Size {
    store: u64,
    database: u64,
    memory: u64,
    descriptors: u64,
}

impl Size {
    fn of(folder: &Path, server: u32) -> Result<Self> {
        let listing = program::capture(std::process::Command::new("du").args(["-s", "-B1"]).arg(folder))?;
        let store = listing.split_whitespace().next().and_then(|bytes| bytes.parse().ok());
        let process = PathBuf::from(format!("/proc/{server}"));
        let open = fs::read_dir(process.join("fd")).attempted("the server is gone")?;
        let status = fs::read_to_string(process.join("status")).attempted("the server is gone")?;
        let database = fs::metadata(folder.join("store.db")).attempted("the database is gone")?;
        Ok(Self {
            store: store.ok_or_else(|| Failure::new(format!("du said {listing:?}")))?,
            database: database.len(),
            memory: resident(&status).ok_or_else(|| Failure::new("no VmRSS in the server's status"))?,
            descriptors: u64::try_from(open.count()).unwrap_or(u64::MAX),
        })
    }

    /// Fails when something is larger than at first by more than it may.
    fn compare(&self, first: &Self) -> Result<()> {
        for (what, now, then, more) in [
            ("the store", self.store, first.store, DISK),
            ("the database", self.database, first.database, DISK),
            ("the server's memory", self.memory, first.memory, MEMORY),
            ("the server's descriptors", self.descriptors, first.descriptors, DESCRIPTORS),
        ] {
            if now > then.saturating_add(more) {
                return Err(Failure::new(format!("{what} grew from {then} to {now}")));
            }
        }
        Ok(())
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { store, database, memory, descriptors } = self;
        write!(f, "{store:>12} {database:>12} {memory:>12} {descriptors:>11}")
    }
}

/// Bytes in memory: `VmRSS` of `/proc/PID/status` (proc_pid_status(5)).
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_beyond_what_may_be_fails() {
        let first = Size { store: 100, database: 10, memory: 1000, descriptors: 12 };
        Size { store: 100 + DISK, descriptors: 20, ..first }.compare(&first).unwrap();
        assert!(Size { store: 101 + DISK, ..first }.compare(&first).is_err());
        assert!(Size { descriptors: 21, ..first }.compare(&first).is_err());
        assert_eq!(resident("Name:\tx\nVmRSS:\t   12 kB\n"), Some(12 << 10));
    }
}
