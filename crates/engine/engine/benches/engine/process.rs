//! Whole processes: what a person waits for who types `lattice run -- true`, beside bubblewrap and crun.
//!
//! Each is started and waited for as a shell does it. The store of the commands is not the one of the in-process rounds.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Outcome, PROGRAM};

/// `lattice` on a store of its own.
pub(crate) struct Front {
    lattice: PathBuf,
    store: PathBuf,
}

impl Front {
    /// Names a store; its first sandbox, which builds the image `host`, is made and removed.
    pub(crate) fn new(lattice: &Path, store: PathBuf) -> Outcome<Self> {
        let front = Self { lattice: lattice.to_owned(), store };
        front.run()?;
        Ok(front)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.lattice);
        command.env("LATTICE_STATE_DIR", &self.store).args(words);
        command
    }

    /// Makes a sandbox that lives on and returns its id.
    pub(crate) fn create(&self) -> Outcome<String> {
        let made = self.command(&["create"]).output()?;
        if !made.status.success() {
            return Err(String::from_utf8_lossy(&made.stderr).into_owned().into());
        }
        Ok(String::from_utf8(made.stdout)?.trim().to_owned())
    }

    /// `lattice run -- true`.
    pub(crate) fn run(&self) -> Outcome<Duration> {
        time(&mut self.command(&["run", "--", PROGRAM]))
    }

    /// `lattice exec ID -- true`.
    pub(crate) fn exec(&self, id: &str) -> Outcome<Duration> {
        time(&mut self.command(&["exec", id, "--", PROGRAM]))
    }

    /// `lattice ps`.
    pub(crate) fn ps(&self) -> Outcome<Duration> {
        time(&mut self.command(&["ps"]))
    }

    /// Ends one sandbox and removes all of it.
    pub(crate) fn remove(&self, id: &str) -> Outcome<()> {
        time(&mut self.command(&["rm", id])).map(drop)
    }
}

/// bubblewrap with every namespace that it has.
pub(crate) fn bubblewrap() -> Outcome<Duration> {
    let words = ["--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", PROGRAM];
    time(Command::new("bwrap").args(words))
}

fn time(command: &mut Command) -> Outcome<Duration> {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    let status = command.status()?;
    let taken = start.elapsed();
    if status.success() { Ok(taken) } else { Err(format!("{command:?} ended with {status}").into()) }
}
