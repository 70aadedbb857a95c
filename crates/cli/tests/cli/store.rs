//! A store for one test, emptied and removed at its end.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};

use rustix::process::{Pid, Signal};

/// The folder of a store.
pub(crate) struct Store {
    dir: tempfile::TempDir,
}

impl Store {
    /// A fresh store; nothing, and a word why, where nodes cannot be made.
    #[expect(clippy::print_stdout, reason = "a skipped test has to say so")]
    pub(crate) fn new(test: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: {test} makes nodes, which needs root");
            return None;
        }
        Some(Self { dir: tempfile::tempdir().unwrap() })
    }

    /// A path beside the store.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `lattice` on this store, with nothing in its environment that it would follow.
    pub(crate) fn lattice(&self) -> Command {
        let mut command = bare();
        command.env("LATTICE_STATE_DIR", self.path("store"));
        command
    }

    /// Runs `lattice` with empty standard input.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, b"", |_| ())
    }

    /// Runs `lattice` with the given input and further settings.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &[u8], set: impl FnOnce(&mut Command)) -> Ran {
        let mut command = self.lattice();
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        set(&mut command);
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let feeder = std::thread::spawn(move || {
            // A command that does not read its input is no failure of the test.
            drop(stdin.write_all(&input));
        });
        let output = child.wait_with_output().unwrap();
        feeder.join().unwrap();
        Ran(output)
    }

    /// Standard output of a run that must succeed, without the last line end.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code(), 0, "{arguments:?}: {}", ran.err());
        ran.out().trim_end().to_owned()
    }

    /// The nodes of the store, by `ps --json`.
    pub(crate) fn nodes(&self, all: bool) -> Vec<serde_json::Value> {
        let text = self.ok(if all { &["ps", "--json", "--all"] } else { &["ps", "--json"] });
        serde_json::from_str(&text).unwrap()
    }

    /// Starts `lattice` and leaves it running.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        let mut command = self.lattice();
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running::new(command)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if !self.path("store").exists() {
            return;
        }
        let listing = self.lattice().args(["ps", "--json"]).output().unwrap();
        let nodes: Vec<serde_json::Value> = serde_json::from_slice(&listing.stdout).unwrap_or_default();
        let ids = nodes.iter().filter_map(|node| node["id"].as_str());
        let ids: Vec<&str> = ids.collect();
        if !ids.is_empty() {
            drop(self.lattice().arg("rm").args(&ids).output());
        }
        drop(self.lattice().arg("gc").output());
    }
}

/// `lattice` without a store of its own.
pub(crate) fn bare() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lattice"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("MODAL_") || text.starts_with("LATTICE_") {
            command.env_remove(&name);
        }
    }
    command.env("MODAL_CONFIG_PATH", "/dev/null");
    command
}

/// What a finished run left.
pub(crate) struct Ran(Output);

impl Ran {
    pub(crate) fn code(&self) -> i32 {
        self.0.status.code().unwrap()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0.stdout
    }

    pub(crate) fn out(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    pub(crate) fn err(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }
}

/// A `lattice` that runs. Dropping it kills it.
pub(crate) struct Running {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Running {
    pub(crate) fn new(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    /// Its next line on standard output, without the line end.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    pub(crate) fn tell(&mut self, text: &str) {
        self.child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn end_input(&mut self) {
        self.child.stdin = None;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for its end with its input held open.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let input = self.child.stdin.take();
        let status = self.child.wait().unwrap();
        drop(input);
        status
    }

    /// Closes our end of its standard output.
    pub(crate) fn stop_reading(self) -> Silent {
        Silent(self.child)
    }
}

impl Running {
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A `lattice` whose output nobody reads.
pub(crate) struct Silent(Child);

impl Silent {
    pub(crate) fn finish(self) -> Ran {
        let mut child = self.0;
        let input = child.stdin.take();
        let output = child.wait_with_output().unwrap();
        drop(input);
        Ran(output)
    }
}

/// The text of a file.
pub(crate) fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}
