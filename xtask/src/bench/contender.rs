//! Who is measured: our client and the two official ones, each a small program with the same operations.

use std::path::PathBuf;
use std::process::Command;

use crate::failure::{Failure, Result};
use crate::server::{Server, client_environment};
use crate::workspace::Workspace;
use crate::{clients, program};

/// How long one program may take, in seconds; a client that cannot connect would otherwise try for many minutes.
const PATIENCE: &str = "300";

/// The contenders in the order of the table's columns.
pub(super) const ALL: [Contender; 3] = [Contender::Rust, Contender::Python, Contender::JavaScript];

/// One of the measured clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contender {
    /// Ours.
    Rust,
    /// The official Python client.
    Python,
    /// The official JavaScript client.
    JavaScript,
}

/// Where the programs and what runs them are.
#[derive(Debug)]
pub(super) struct Programs {
    rust: PathBuf,
    scripts: PathBuf,
    python: PathBuf,
    npm: PathBuf,
    /// A `true` without libraries, which each brings into its sandbox.
    quick: PathBuf,
}

/// What one run of a program said.
#[derive(Debug)]
pub(super) struct Found {
    /// Wall times of the repetitions, in milliseconds.
    pub(super) wall_ms: Vec<f64>,
    /// CPU time of all threads for one repetition, in milliseconds.
    pub(super) cpu_ms: f64,
    /// Resident memory before, in KiB.
    pub(super) before_kib: f64,
    /// The peak of resident memory in the life of the process, in KiB.
    pub(super) peak_kib: f64,
}

impl Programs {
    /// Builds ours as it is shipped and installs the official clients where they are missing.
    pub(super) fn prepare(workspace: &Workspace) -> Result<Self> {
        // In one go: apart, each choice of packages has features of its own and compiles the libraries again.
        let packages = ["--package", "openlattice-cli", "--package", "openlattice-modal-client"];
        let targets = ["--bin", "lattice", "--example", "bench_client"];
        program::run(
            workspace.cargo().args(["build", "--quiet", "--profile", "dist"]).args(packages).args(targets),
        )?;
        Ok(Self {
            rust: workspace.shipped("examples/bench_client"),
            scripts: workspace.root().join("tests/bench"),
            python: clients::python(workspace)?,
            npm: clients::javascript(workspace)?,
            quick: quick(workspace)?,
        })
    }

    /// Runs one operation on one client.
    pub(super) fn run(&self, who: Contender, server: &Server, operation: &str, amount: u64) -> Result<Found> {
        let mut command = Command::new("timeout");
        command.arg(PATIENCE);
        match who {
            Contender::Rust => command.arg(&self.rust),
            Contender::Python => command.arg(&self.python).arg(self.scripts.join("client.py")),
            Contender::JavaScript => {
                command.env("BENCH_NPM", &self.npm).arg("node").arg(self.scripts.join("client.mjs"))
            }
        };
        client_environment(&mut command, server, true);
        command.env("BENCH_TRUE", &self.quick);
        let said = program::capture(command.args([operation, &amount.to_string()]))?;
        Found::parse(&said)
            .ok_or_else(|| Failure::new(format!("{} said {said:?} about {operation}", who.name())))
    }
}

/// Compiles `true.c`.
fn quick(workspace: &Workspace) -> Result<PathBuf> {
    let program = workspace.target().join("bench-true");
    let source = workspace.root().join("tests/bench/true.c");
    program::run(Command::new("cc").args(["-O", "-static", "-nostdlib", "-o"]).arg(&program).arg(source))?;
    Ok(program)
}

impl Contender {
    /// Name and version, as the table shows them.
    pub(super) fn name(self) -> String {
        match self {
            Self::Rust => "ours".to_owned(),
            Self::Python => format!("Python {}", clients::PYTHON_CLIENT),
            Self::JavaScript => format!("JavaScript {}", clients::JS_CLIENT),
        }
    }
}

impl Found {
    fn parse(said: &str) -> Option<Self> {
        let value: serde_json::Value = serde_json::from_str(said.trim()).ok()?;
        let wall_ms = value["wall_ms"].as_array()?.iter().map(serde_json::Value::as_f64).collect();
        Some(Self {
            wall_ms: Option::<Vec<f64>>::filter(wall_ms, |times| !times.is_empty())?,
            cpu_ms: value["cpu_ms"].as_f64()?,
            before_kib: value["before_kib"].as_f64()?,
            peak_kib: value["peak_kib"].as_f64()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_measurements_is_read_and_an_empty_one_refused() {
        let line = |times: &str| {
            format!(r#"{{"wall_ms": {times}, "cpu_ms": 1.5, "before_kib": 10, "peak_kib": 20}}"#)
        };
        let found = Found::parse(&line("[1, 2.5]")).unwrap();
        assert_eq!((found.wall_ms, found.cpu_ms, found.peak_kib), (vec![1.0, 2.5], 1.5, 20.0));
        assert!(Found::parse(&line("[]")).is_none());
        assert!(Found::parse("no JSON").is_none());
    }
}
