//! The official Modal clients at their pinned versions, installed into the build folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{Attempted, Failure, Result};
use crate::workspace::Workspace;
use crate::{program, stage};

/// The Python client that the interop tests and the drift check use.
pub(crate) const PYTHON_CLIENT: &str = "1.6.4";
/// The JavaScript client that the interop tests use.
pub(crate) const JS_CLIENT: &str = "0.11.1";

/// The interpreter of a virtual environment that has the official Python client.
pub(crate) fn python(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.target().join("venv");
    let python = folder.join("bin/python");
    if python_version(&python).as_deref() == Some(PYTHON_CLIENT) {
        return Ok(python);
    }
    stage::note(&format!("installing the Python client {PYTHON_CLIENT} into {}", folder.display()));
    make_venv(&folder)?;
    let package = format!("modal=={PYTHON_CLIENT}");
    program::run(Command::new(&python).args(["-m", "pip", "install", "--quiet", &package]))?;
    Ok(python)
}

/// A folder whose `node_modules` has the official JavaScript client.
pub(crate) fn javascript(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.target().join("npm");
    if js_version(&folder).as_deref() == Some(JS_CLIENT) {
        return Ok(folder);
    }
    if !program::exists("npm") {
        install(&["nodejs", "npm"], "npm is missing")?;
    }
    stage::note(&format!("installing the JavaScript client {JS_CLIENT} into {}", folder.display()));
    fs::create_dir_all(&folder).attempted(format!("could not make {}", folder.display()))?;
    let package = format!("modal@{JS_CLIENT}");
    let mut npm = Command::new("npm");
    npm.args(["install", "--silent", "--no-fund", "--no-audit", "--prefix", ".", &package])
        .current_dir(&folder);
    program::run(&mut npm)?;
    Ok(folder)
}

/// Makes the virtual environment; a Debian without the `venv` module gets it first.
fn make_venv(folder: &Path) -> Result<()> {
    let make = || program::capture(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder));
    if make().is_ok() {
        return Ok(());
    }
    install(&["python3", "python3-venv"], "python3 with its venv module is missing")?;
    make().map(drop)
}

/// Installs system packages, where we may and can.
fn install(packages: &[&str], why: &str) -> Result<()> {
    let by_hand = format!("{why}: install {} and run this again", packages.join(" and "));
    if !is_root() || !program::exists("apt-get") {
        return Err(Failure::new(by_hand));
    }
    stage::note(&format!("{why}: installing {}", packages.join(", ")));
    let run = |arguments: &[&str]| {
        program::capture(Command::new("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    let mut arguments = vec!["install", "--yes", "--no-install-recommends"];
    arguments.extend(packages);
    run(&arguments).or_else(|_| run(&["update"]).and_then(|_| run(&arguments))).map(drop).attempted(by_hand)
}

/// Installs one system program for a measurement that compares with it.
pub(crate) fn system_program(name: &str) -> Result<()> {
    if program::exists(name) { Ok(()) } else { install(&[name], &format!("{name} is missing")) }
}

/// Makes sure that `bwrap` is there, which its package calls by another name.
pub(crate) fn bubblewrap() -> Result<()> {
    if program::exists("bwrap") { Ok(()) } else { install(&["bubblewrap"], "bwrap is missing") }
}

/// Installs the registry that images are pulled from; without it the tests that need one say that they are skipped.
pub(crate) fn registry() {
    if let Err(failure) = system_program("docker-registry") {
        stage::note(&failure.to_string());
    }
}

/// Whether this process is root, as the kernel says.
pub(crate) fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    line.and_then(|ids| ids.split_whitespace().nth(1)) == Some("0")
}

fn python_version(python: &Path) -> Option<String> {
    let script = "import importlib.metadata as m; print(m.version('modal'))";
    let said = program::capture(Command::new(python).args(["-c", script])).ok()?;
    Some(said.trim().to_owned())
}

fn js_version(folder: &Path) -> Option<String> {
    let text = fs::read_to_string(folder.join("node_modules/modal/package.json")).ok()?;
    let package: serde_json::Value = serde_json::from_str(&text).ok()?;
    package["version"].as_str().map(str::to_owned)
}
