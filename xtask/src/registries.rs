//! Two registries on loopback for the tests of official clients, one of them with a password.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::failure::{Attempted, Failure, Result};
use crate::workspace::Workspace;

/// Running registries, each with an image. Dropping them ends them.
#[derive(Debug)]
pub(crate) struct Registries {
    child: Child,
    /// What clients are told of them, by variable.
    variables: Vec<(&'static str, String)>,
}

impl Registries {
    /// Starts both; where `docker-registry` is missing there are none, and the cases that need them say so.
    pub(crate) fn start(workspace: &Workspace) -> Result<Self> {
        let mut child = Command::new(workspace.built("examples/test-registry"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .attempted("could not start test-registry")?;
        let mut output = BufReader::new(child.stdout.take().expect("stdout was asked for as a pipe"));
        let mut registries = Self { child, variables: Vec::new() };
        while registries.variables.len() < 4 {
            let mut line = String::new();
            output.read_line(&mut line).attempted("could not read from test-registry")?;
            match line.split_whitespace().collect::<Vec<_>>().as_slice() {
                ["open", image] => registries.tell(&[("INTEROP_REGISTRY_IMAGE", image)]),
                ["closed", image, username, password] => registries.tell(&[
                    ("INTEROP_PRIVATE_IMAGE", image),
                    ("INTEROP_USERNAME", username),
                    ("INTEROP_PASSWORD", password),
                ]),
                ["skipped:", ..] => break,
                _ => return Err(Failure::new(format!("test-registry said {line:?}"))),
            }
        }
        Ok(registries)
    }

    fn tell(&mut self, variables: &[(&'static str, &str)]) {
        self.variables.extend(variables.iter().map(|(name, value)| (*name, (*value).to_owned())));
    }

    /// Tells a client program of them.
    pub(crate) fn environment(&self, command: &mut Command) {
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
    }
}

impl Drop for Registries {
    fn drop(&mut self) {
        // Its standard input ends; a wait that fails is for a process that is gone, which is what is wanted.
        drop(self.child.stdin.take());
        drop(self.child.wait());
    }
}
