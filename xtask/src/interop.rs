//! The official Modal clients against our server: one program per language, named cases, both sandbox generations.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::failure::{Attempted, Failure, Result};
use crate::record::{Outcome, Ran, Record};
use crate::registries::Registries;
use crate::server::{Server, Store, client_environment};
use crate::workspace::Workspace;
use crate::{clients, program};

/// The name under which the test archive is imported.
const ARCHIVE_NAME: &str = "interop/tiny:1";

/// How long one program may take; a client that cannot connect would otherwise try for many minutes.
pub(crate) const PATIENCE: &str = "300";

/// What a run is about: the client, the sandbox generation, and the form of the imported archive.
#[derive(Debug, Clone, Copy)]
struct Which {
    language: Language,
    v2: bool,
    archive: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    Python,
    JavaScript,
}

const RUNS: [Which; 4] = [
    Which { language: Language::Python, v2: true, archive: "docker" },
    Which { language: Language::JavaScript, v2: true, archive: "oci" },
    Which { language: Language::Python, v2: false, archive: "oci" },
    Which { language: Language::JavaScript, v2: false, archive: "docker" },
];

/// Runs the cases of both languages on both generations and says how many passed.
///
/// Every run has a store and a server of its own, and each happens even if one before it failed.
pub(crate) fn check(workspace: &Workspace, test_dir: &Path) -> Result<String> {
    build(workspace)?;
    clients::registry();
    let registries = Registries::start(workspace)?;
    let mut ran = Vec::new();
    let mut failures = Vec::new();
    for which in RUNS {
        if let Err(failure) = run(workspace, test_dir, which, &registries, &mut ran) {
            failures.push(format!("{}: {failure}", which.name()));
        }
    }
    let passed = ran.iter().filter(|ran| ran.outcome == Outcome::Passed).count();
    Record::keep(workspace, "interop", ran)?;
    if !failures.is_empty() {
        return Err(Failure::new(failures.join("\n")));
    }
    Ok(format!("{passed} cases: Python {} and JavaScript {}", clients::PYTHON_CLIENT, clients::JS_CLIENT))
}

impl Which {
    fn name(self) -> String {
        let language = if self.language == Language::Python { "python" } else { "js" };
        format!("{language}-{}", if self.v2 { "v2" } else { "v1" })
    }

    /// The program that holds the cases, bounded in time.
    fn program(self, workspace: &Workspace) -> Result<Command> {
        let cases = workspace.root().join("tests/interop");
        let mut command = Command::new("timeout");
        command.arg(PATIENCE);
        if self.language == Language::Python {
            command.arg(clients::python(workspace)?).arg(cases.join("python/cases.py"));
        } else {
            command.env("INTEROP_NPM", clients::javascript(workspace)?);
            command.arg("node").arg(cases.join("js/cases.mjs"));
        }
        Ok(command)
    }
}

/// Builds the command and the helpers of the stages. All in one go and as the tests of the workspace were: apart, each choice of
/// packages has features of its own and compiles the libraries again.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    const EXAMPLES: [&str; 4] = ["make-archive", "test-registry", "serve", "scenario"];
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--quiet", "--workspace", "--bin", "lattice"]);
    program::run(cargo.args(EXAMPLES.iter().flat_map(|name| ["--example", name])))
}

/// Imports an image of the machine's own programs into the store, under [`ARCHIVE_NAME`].
fn import(workspace: &Workspace, store: &Store, archive: &Path, format: &str) -> Result<()> {
    let archiver = workspace.built("examples/make-archive");
    program::run(Command::new(archiver).arg(archive).args(["--format", format]))?;
    let imported = program::capture(store.lattice().args(["images", "import", ARCHIVE_NAME]).arg(archive));
    fs::remove_file(archive).attempted(format!("could not remove {}", archive.display()))?;
    imported.map(drop)
}

fn run(
    workspace: &Workspace,
    test_dir: &Path,
    which: Which,
    registries: &Registries,
    ran: &mut Vec<Ran>,
) -> Result<()> {
    println!("--- {}", which.name());
    let mut program = which.program(workspace)?;
    let store = Store::new(workspace, test_dir, &format!("interop-{}", which.name()))?;
    import(workspace, &store, &test_dir.join("interop.tar"), which.archive)?;
    let server = Server::start(&store, "127.0.0.1:0")?;
    client_environment(&mut program, &server, which.v2);
    program.env("INTEROP_ARCHIVE_IMAGE", ARCHIVE_NAME);
    registries.environment(&mut program);
    let outcome = program::watch_both(&mut program, |line| ran.extend(case(&which.name(), line)));
    drop(server);
    let removed = store.remove();
    outcome.and(removed)
}

/// Reads `ok NAME (0.12 s)` or `FAILED NAME: why`.
fn case(binary: &str, line: &str) -> Option<Ran> {
    let (word, rest) = line.split_once(' ')?;
    let outcome = match word {
        "ok" => Outcome::Passed,
        "FAILED" => Outcome::Failed,
        _ => return None,
    };
    let name = rest.split([' ', ':']).next()?.to_owned();
    Some(Ran { package: "interop".to_owned(), binary: binary.to_owned(), name, outcome })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_has_its_name_and_outcome() {
        let read = |line| case("js-v2", line).map(|ran| (ran.address(), ran.outcome));
        let address = "interop/js-v2/exec_returns".to_owned();
        assert_eq!(read("ok exec_returns (0.12 s)"), Some((address.clone(), Outcome::Passed)));
        assert_eq!(read("FAILED exec_returns: why"), Some((address, Outcome::Failed)));
        assert_eq!(read("starting"), None);
    }
}
