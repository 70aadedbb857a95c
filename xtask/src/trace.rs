//! What our client sends, beside what the official clients send: methods, names of metadata, fields that are set.
//!
//! The same scenario (modal-protocol, section 8) runs on the official Python client, the official JavaScript client and ours, each
//! against a server that records. `tests/interop/trace/differences.toml` lists every difference with its reason.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::failure::{Attempted, Failure, Result};
use crate::server::{Store, client_variables};
use crate::workspace::Workspace;
use crate::{clients, interop, program};

/// Records the scenario on three clients and both generations, and compares.
pub(crate) fn check(workspace: &Workspace, test_dir: &Path) -> Result<String> {
    interop::build(workspace)?;
    // Of its own, so that what was recorded goes with it.
    let calls = test_dir.join("trace-calls");
    fs::create_dir(&calls).attempted(format!("could not make {}", calls.display()))?;
    let said: Result<Vec<String>> = [("v2", true), ("v1", false)]
        .into_iter()
        .map(|(name, v2)| compare(workspace, test_dir, &calls, name, v2))
        .collect();
    fs::remove_dir_all(&calls).attempted(format!("could not remove {}", calls.display()))?;
    said.map(|said| said.join("; "))
}

/// One generation: records each client and compares ours with the others.
fn compare(workspace: &Workspace, test_dir: &Path, calls: &Path, name: &str, v2: bool) -> Result<String> {
    let folder = workspace.root().join("tests/interop/trace");
    let mut compare = Command::new(clients::python(workspace)?);
    compare.arg(folder.join("compare.py")).arg(folder.join("differences.toml")).arg(name);
    for (language, mut client) in scenarios(workspace, &folder)? {
        let name = format!("trace-{language}-{name}");
        let calls = calls.join(&name);
        record(workspace, test_dir, &name, &mut client, &calls, v2)?;
        compare.arg(calls);
    }
    let answer = compare.output().attempted("could not compare")?;
    let text = String::from_utf8_lossy(&answer.stdout).trim_end().to_owned();
    if answer.status.success() {
        return Ok(text);
    }
    Err(Failure::new(format!("{text}\n{}", String::from_utf8_lossy(&answer.stderr))))
}

/// The scenario of each client, ours first.
fn scenarios(workspace: &Workspace, folder: &Path) -> Result<Vec<(&'static str, Command)>> {
    let bounded = |program: PathBuf| {
        let mut command = Command::new("timeout");
        command.arg(interop::PATIENCE).arg(program);
        command
    };
    let ours = bounded(workspace.built("examples/scenario"));
    let mut python = bounded(clients::python(workspace)?);
    python.arg(folder.join("scenario.py"));
    let mut javascript = bounded(PathBuf::from("node"));
    javascript.arg(folder.join("scenario.mjs")).env("INTEROP_NPM", clients::javascript(workspace)?);
    Ok(vec![("ours", ours), ("python", python), ("js", javascript)])
}

/// Runs a scenario against a server of its own that writes down each call.
fn record(
    workspace: &Workspace,
    test_dir: &Path,
    name: &str,
    client: &mut Command,
    calls: &Path,
    v2: bool,
) -> Result<()> {
    println!("--- {name}");
    let store = Store::new(workspace, test_dir, name)?;
    let server = Recording::start(workspace, &test_dir.join(name), calls)?;
    client_variables(client, &server.url, v2);
    let outcome = program::watch_both(client, |_| ());
    drop(server);
    let removed = store.remove();
    outcome.and(removed)
}

/// The server's example program. Dropping it kills it.
struct Recording {
    child: Child,
    url: String,
}

impl Recording {
    fn start(workspace: &Workspace, store: &Path, calls: &Path) -> Result<Self> {
        let mut command = Command::new(workspace.built("examples/serve"));
        command.arg(store).arg("127.0.0.1:0").arg(calls).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().attempted("could not start the recording server")?;
        let output = child.stdout.take().expect("stdout was asked for as a pipe");
        let mut server = Self { child, url: String::new() };
        BufReader::new(output).read_line(&mut server.url).attempted("could not read the server's address")?;
        server.url.truncate(server.url.trim_end().len());
        Ok(server)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        // Both fail only for a process that is gone already, which is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
