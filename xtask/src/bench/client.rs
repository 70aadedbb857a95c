//! Our client and the official ones against one local server: wall time, CPU time and peak memory per operation.
//!
//! Every round runs each operation once on each client, in turn, each in a process and a sandbox of its own, so that a
//! noisy minute meets all of them and the peak of memory is that of the operation. The store is in memory: what a disk makes of
//! 256 MiB says nothing about clients.

use std::path::Path;

use super::contender::{ALL, Programs};
use super::gate;
use super::memory::Memory;
use super::table::{self, Row};
use crate::failure::{Failure, Result};
use crate::leaks::TestDir;
use crate::server::{Server, Store};
use crate::workspace::Workspace;

/// Rounds of every operation.
const ROUNDS: usize = 5;
/// Sandboxes per round, each with a first command.
const CREATES: u64 = 10;
/// Commands per round, one after the other.
const EXECS: u64 = 100;
/// Commands per round, all at once.
const MANY: u64 = 100;
/// Output of one command, in bytes.
const OUTPUT: u64 = 1 << 30;
/// A sixteenth of it, to see whether the memory follows.
const OUTPUT_SMALL: u64 = OUTPUT >> 4;
/// Size of a file, in bytes.
const FILE: u64 = 256 << 20;

/// The rows of the table.
#[derive(Debug)]
pub(super) struct Rows {
    creates: Row,
    /// One command after the other, of a program that ends at once.
    pub(super) exec: Row,
    /// The same with the image's `true`, of which the loader of its libraries is a good part.
    exec_dynamic: Row,
    /// Output that is read and thrown away.
    pub(super) output: Row,
    output_small: Row,
    /// A file written.
    pub(super) write: Row,
    read: Row,
    /// Commands at the same time, of a program that ends at once.
    pub(super) many: Row,
    /// The same with the image's `true`.
    many_dynamic: Row,
}

impl Default for Rows {
    fn default() -> Self {
        Self {
            creates: Row::new("create to first exec done"),
            exec: Row::new("exec of a true without libraries"),
            exec_dynamic: Row::new("exec of the image's true"),
            output: Row::new("1 GiB of output"),
            output_small: Row::new("64 MiB of output"),
            write: Row::new("256 MiB file write"),
            read: Row::new("256 MiB file read"),
            many: Row::new("100 concurrent execs of a true without libraries"),
            many_dynamic: Row::new("100 concurrent execs of the image's true"),
        }
    }
}

impl Rows {
    /// Every row with the operation that fills it and its amount.
    fn operations(&mut self) -> [(&mut Row, &'static str, u64); 9] {
        [
            (&mut self.creates, "creates", CREATES),
            (&mut self.exec, "execs", EXECS),
            (&mut self.exec_dynamic, "execs_dynamic", EXECS),
            (&mut self.many, "many", MANY),
            (&mut self.many_dynamic, "many_dynamic", MANY),
            (&mut self.output, "output", OUTPUT),
            (&mut self.output_small, "output", OUTPUT_SMALL),
            (&mut self.write, "write", FILE),
            (&mut self.read, "read", FILE),
        ]
    }
}

/// Measures, prints the table and the goals, and with `check` fails when one is missed.
pub(super) fn measure(workspace: &Workspace, check: bool) -> Result<()> {
    let programs = Programs::prepare(workspace)?;
    let memory = Memory::mount()?;
    let folder = TestDir::below(memory.path())?;
    let mut rows = Rows::default();
    let measured =
        (1..=ROUNDS).try_for_each(|round| run(workspace, &programs, folder.path(), round, &mut rows));
    let left = folder.finish();
    measured?;
    left?;
    println!("{ROUNDS} rounds, medians; a ratio says how many times ours it is");
    table::print_head();
    rows.operations().iter().for_each(|(row, ..)| row.print());
    let gates = gate::all(&rows);
    let missed = gates.iter().filter(|gate| !gate.print()).count();
    if check && missed > 0 {
        return Err(Failure::new(format!("{missed} of {} goals missed", gates.len())));
    }
    Ok(())
}

/// Runs one round on a server and a store of their own, which are gone afterwards.
fn run(
    workspace: &Workspace,
    programs: &Programs,
    folder: &Path,
    round: usize,
    rows: &mut Rows,
) -> Result<()> {
    let store = Store::with(workspace.shipped("lattice"), folder, "bench")?;
    let server = Server::start(&store, "127.0.0.1:0");
    let done = server.and_then(|server| operations(programs, &server, &store, round, rows));
    let removed = store.remove();
    done.and(removed)
}

fn operations(
    programs: &Programs,
    server: &Server,
    store: &Store,
    round: usize,
    rows: &mut Rows,
) -> Result<()> {
    for (row, operation, amount) in rows.operations() {
        println!("round {round} of {ROUNDS}: {operation} {amount}");
        for who in ALL {
            row.push(who, programs.run(who, server, operation, amount)?);
            store.empty()?;
        }
    }
    Ok(())
}
