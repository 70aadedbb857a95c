//! Builds and runs a program outside the workspace that depends on the contract and this crate alone.

#![expect(clippy::unwrap_used, reason = "a case that cannot be set up fails its test")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the workspace.
fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..").canonicalize().unwrap()
}

/// The target folder that this test itself was built in: `TARGET/PROFILE/deps/TEST`.
fn target() -> PathBuf {
    std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned()
}

/// Builds the program without the network, with the versions that the workspace has locked.
fn build() -> PathBuf {
    let folder = workspace().join("tests/outside");
    std::fs::copy(workspace().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--offline", "--manifest-path"])
        .arg(folder.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target())
        .current_dir(&folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    target().join("debug/openlattice-outside")
}

#[test]
fn m33_a_program_outside_the_workspace_provisions_execs_and_destroys() {
    let program = build();
    let store = tempfile::tempdir().unwrap();
    let output = Command::new(program).arg(store.path()).env_clear().output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}{stderr}");
    assert!(stdout.starts_with("made sb-"), "{stdout}");
    assert!(stdout.ends_with("7 \"out\\n\" \"err\\n\"\nterminated\n"), "{stdout}");
}
