//! The official Modal clients against our server: one program per language, named cases, both sandbox generations.

use std::path::Path;
use std::process::Command;

use crate::failure::Result;
use crate::server::{Server, Store, client_environment};
use crate::workspace::Workspace;
use crate::{clients, program};

/// The name under which the test archive is imported.
const ARCHIVE_NAME: &str = "interop/tiny:1";

/// Runs the cases of both languages on both generations and says how many passed.
pub(crate) fn check(workspace: &Workspace, test_dir: &Path) -> Result<String> {
    build(workspace)?;
    let archive = make_archive(workspace, test_dir)?;
    let python = clients::python(workspace)?;
    let npm = clients::javascript(workspace)?;
    let cases = workspace.root().join("tests/interop");
    let mut passed = 0;
    for v2 in [true, false] {
        let mut program = Command::new(&python);
        program.arg(cases.join("python/cases.py"));
        passed += run(workspace, test_dir, &archive, program, Generation { language: "python", v2 })?;
        let mut program = Command::new("node");
        program.arg(cases.join("js/cases.mjs")).env("INTEROP_NPM", &npm);
        passed += run(workspace, test_dir, &archive, program, Generation { language: "js", v2 })?;
    }
    std::fs::remove_file(&archive).ok();
    Ok(format!("{passed} cases: Python {} and JavaScript {}", clients::PYTHON_CLIENT, clients::JS_CLIENT))
}

/// Which client and which sandbox generation a run is about.
#[derive(Debug, Clone, Copy)]
struct Generation {
    language: &'static str,
    v2: bool,
}

/// Builds what the tests of the real server need.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    program::run(workspace.cargo().args([
        "build",
        "--quiet",
        "--package",
        "openlattice-cli",
        "--bin",
        "lattice",
    ]))
}

fn make_archive(workspace: &Workspace, test_dir: &Path) -> Result<std::path::PathBuf> {
    let archive = test_dir.join("interop.tar");
    let mut cargo = workspace.cargo();
    cargo
        .args(["run", "--quiet", "--package", "openlattice-images", "--example", "make-archive", "--"])
        .arg(&archive);
    program::run(&mut cargo)?;
    Ok(archive)
}

fn run(
    workspace: &Workspace,
    test_dir: &Path,
    archive: &Path,
    mut program: Command,
    which: Generation,
) -> Result<u32> {
    let family = if which.v2 { "v2" } else { "v1" };
    println!("--- {} {family}", which.language);
    let store = Store::new(workspace, test_dir, &format!("interop-{}-{family}", which.language))?;
    program::capture(store.lattice().args(["images", "import", ARCHIVE_NAME]).arg(archive))?;
    let server = Server::start(&store, "127.0.0.1:0")?;
    client_environment(&mut program, &server, which.v2);
    program.env("INTEROP_ARCHIVE_IMAGE", ARCHIVE_NAME);
    let mut passed = 0;
    let outcome = program::watch(&mut program, |line| passed += u32::from(line.starts_with("ok ")));
    drop(server);
    let removed = store.remove();
    outcome.and(removed).map(|()| passed)
}
