//! A `lattice serve` of our own on a store of its own, for one test.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use crate::failure::{Attempted, Failure, Result};
use crate::workspace::Workspace;
use crate::{plant, program};

/// The credentials that the test clients present and the server asks for.
pub(crate) const TOKEN_ID: &str = "ak-interop";

/// The secret half of [`TOKEN_ID`]: one that is planted.
fn token_secret() -> String {
    format!("as-{}", plant::value("TOKEN_SECRET"))
}

/// A store folder that is emptied and removed through the `lattice` command.
#[derive(Debug)]
pub(crate) struct Store {
    lattice: PathBuf,
    folder: PathBuf,
}

impl Store {
    /// Names a fresh store below `parent`.
    pub(crate) fn new(workspace: &Workspace, parent: &Path, name: &str) -> Result<Self> {
        Self::with(workspace.built("lattice"), parent, name)
    }

    /// Names a fresh store below `parent` for another `lattice` than that of the dev profile.
    pub(crate) fn with(lattice: PathBuf, parent: &Path, name: &str) -> Result<Self> {
        let folder = parent.join(name);
        fs::create_dir(&folder).attempted(format!("could not make {}", folder.display()))?;
        Ok(Self { lattice, folder })
    }

    /// A `lattice` command on this store, with nothing of the caller's environment that it would follow.
    pub(crate) fn lattice(&self) -> Command {
        let mut command = Command::new(&self.lattice);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("MODAL_") || text.starts_with("LATTICE_") {
                command.env_remove(&name);
            }
        }
        command.arg("--state-dir").arg(&self.folder);
        command
    }

    /// Removes every sandbox with all that it left, so that the next one finds the memory and the disk that this one had.
    pub(crate) fn empty(&self) -> Result<()> {
        let listing = program::capture(self.lattice().args(["ps", "-a", "--json"]))?;
        let left = sandbox_ids(&serde_json::from_str(&listing)?);
        if left.is_empty() {
            return Ok(());
        }
        program::capture(self.lattice().args(["rm", "--ignore"]).args(&left)).map(drop)
    }

    /// Empties the store, lets it collect its garbage, and removes the folder.
    pub(crate) fn remove(self) -> Result<()> {
        self.empty()?;
        program::capture(self.lattice().arg("gc"))?;
        fs::remove_dir_all(&self.folder).attempted(format!("could not remove {}", self.folder.display()))
    }
}

fn sandbox_ids(listing: &serde_json::Value) -> Vec<String> {
    let entries = listing.as_array().map_or(&[][..], Vec::as_slice);
    entries.iter().filter_map(|entry| entry["id"].as_str().map(str::to_owned)).collect()
}

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    url: String,
}

impl Server {
    /// Starts a server and waits for the line that says where it listens.
    ///
    /// `listen` is `127.0.0.1:0`, or the address of a server that was killed before.
    pub(crate) fn start(store: &Store, listen: &str) -> Result<Self> {
        let mut command = store.lattice();
        command
            .args(["serve", "--listen", listen])
            .env("MODAL_TOKEN_ID", TOKEN_ID)
            .env("MODAL_TOKEN_SECRET", token_secret())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().attempted("could not start lattice serve")?;
        let errors = BufReader::new(child.stderr.take().expect("stderr was asked for as a pipe"));
        thread::spawn(move || {
            errors.lines().map_while(std::io::Result::ok).for_each(|line| {
                plant::heard(&line);
                eprintln!("{line}");
            });
        });
        let mut output = BufReader::new(child.stdout.take().expect("stdout was asked for as a pipe"));
        let mut line = String::new();
        output.read_line(&mut line).attempted("could not read from lattice serve")?;
        plant::heard(&line);
        // Nobody needs what follows; an unread pipe must not block the server.
        thread::spawn(move || {
            output.lines().map_while(std::io::Result::ok).for_each(|line| plant::heard(&line));
        });
        let Some(url) = line.trim().strip_prefix("listening on ").map(str::to_owned) else {
            drop(Self { child, url: String::new() });
            return Err(Failure::new(format!("lattice serve said {line:?} and not where it listens")));
        };
        Ok(Self { child, url })
    }

    /// The id of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The address for clients, `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The address without its scheme, to listen on again.
    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Kills it as a crash would, with SIGKILL, and returns when it is gone.
    pub(crate) fn kill(self) {
        drop(self);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only for a process that is gone already, which is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Gives a client program the server's address and credentials and nothing else of Modal's settings.
pub(crate) fn client_environment(command: &mut Command, server: &Server, v2: bool) {
    client_variables(command, server.url(), v2);
}

/// As [`client_environment`], for a server at any address.
pub(crate) fn client_variables(command: &mut Command, url: &str, v2: bool) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MODAL_") {
            command.env_remove(&name);
        }
    }
    command
        .env("MODAL_SERVER_URL", url)
        .env("MODAL_TOKEN_ID", TOKEN_ID)
        .env("MODAL_TOKEN_SECRET", token_secret())
        .env("MODAL_CONFIG_PATH", "/dev/null")
        .env("MODAL_SANDBOX_V2", if v2 { "1" } else { "0" })
        .env("OPENLATTICE_TEST_PLANT_SECRET", plant::value("SECRET"))
        .env("OPENLATTICE_TEST_PLANT_ENV", plant::value("ENV"))
        .env("NO_PROXY", "127.0.0.1,localhost")
        .env("PYTHONDONTWRITEBYTECODE", "1");
}
