//! `kill -9` of the server while a command prints: after a restart on the same store nothing is lost.
//!
//! The program on the client side is Python on the official package. It starts the command, asks for the crash once
//! some lines have arrived, and goes on when it is told where the next server listens.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::failure::{Attempted, Failure, Result};
use crate::server::{Server, Store, client_environment};
use crate::workspace::Workspace;
use crate::{clients, interop, plant};

/// Runs the test for both sandbox generations.
///
/// Each time one restart is on the same port under a live reader, and one on another port for a fresh client.
pub(crate) fn check(workspace: &Workspace, test_dir: &Path) -> Result<String> {
    interop::build(workspace)?;
    let python = clients::python(workspace)?;
    let script = workspace.root().join("tests/interop/python/restart.py");
    for (name, v2) in [("restart-v2", true), ("restart-v1", false)] {
        println!("--- {name}");
        let store = Store::new(workspace, test_dir, name)?;
        let outcome = crash_twice(&store, &python, &script, v2);
        let removed = store.remove();
        outcome.and(removed)?;
    }
    Ok("output complete from offset 0 and exit code after two crashes, both generations".to_owned())
}

fn crash_twice(store: &Store, python: &Path, script: &Path, v2: bool) -> Result<()> {
    let mut server = Some(Server::start(store, "127.0.0.1:0")?);
    let first = server.as_ref().expect("it was just started");
    let address = first.address().to_owned();
    let mut command = Command::new("timeout");
    command.arg(interop::PATIENCE).arg(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
    client_environment(&mut command, first, v2);
    let mut client = Client::start(&mut command)?;
    loop {
        let line = client.line()?;
        println!("{line}");
        match line.as_str() {
            "crash same-port" => server = Some(replace(server.take(), store, &address)?),
            "crash other-port" => server = Some(replace(server.take(), store, "127.0.0.1:0")?),
            "" => break,
            _ => continue,
        }
        client.tell(server.as_ref().expect("it was just replaced").url())?;
    }
    client.finish()
}

/// Kills the server and starts the next one on the same store.
fn replace(old: Option<Server>, store: &Store, listen: &str) -> Result<Server> {
    if let Some(old) = old {
        old.kill();
    }
    Server::start(store, listen)
}

/// The client program and its two pipes. Dropping it kills it.
struct Client {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Client {
    fn start(command: &mut Command) -> Result<Self> {
        let mut child = command.spawn().attempted("could not start the client")?;
        let output = BufReader::new(child.stdout.take().expect("stdout was asked for as a pipe"));
        Ok(Self { child, output })
    }

    /// Its next line without the line end, empty when it ended.
    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line).attempted("could not read from the client")?;
        plant::heard(&line);
        Ok(line.trim_end().to_owned())
    }

    fn tell(&mut self, text: &str) -> Result<()> {
        let input = self.child.stdin.as_mut().expect("stdin was asked for as a pipe");
        writeln!(input, "{text}").attempted("could not write to the client")
    }

    fn finish(mut self) -> Result<()> {
        let status = self.child.wait().attempted("could not wait for the client")?;
        if status.success() { Ok(()) } else { Err(Failure::new(format!("the client failed: {status}"))) }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Both fail only for a process that is gone already, which is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
