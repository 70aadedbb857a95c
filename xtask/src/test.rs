//! Every test in one command, with a line per stage at the end.

use std::fs;
use std::path::Path;

use crate::failure::{Attempted, Failure, Result};
use crate::leaks::TestDir;
use crate::plant::{self, Watcher};
use crate::record::{Outcome, Ran, Record};
use crate::stage::{self, Summary};
use crate::transcript::{Programs, Transcript};
use crate::workspace::Workspace;
use crate::{clients, deny, drift, interop, layering, program, restart, soak, trace};

type Work = fn(&Workspace, &Path) -> Result<String>;

/// The stages in their order; the search for planted secrets and the leak check follow them.
const STAGES: &[(&str, Work)] = &[
    ("layering", |workspace, _| layering::check(workspace)),
    ("deny", |workspace, _| deny::check(workspace)),
    ("drift", |workspace, _| drift::check(workspace)),
    ("workspace", crates),
    ("interop", interop::check),
    ("restart", restart::check),
    ("trace", trace::check),
    ("soak", soak::check),
];

/// Runs all stages or the named ones, then the search for planted secrets and the leak check.
pub(crate) fn run(workspace: &Workspace, wanted: &[&str]) -> Result<()> {
    if wanted == ["--list"] {
        STAGES.iter().for_each(|(name, _)| println!("{name}"));
        return Ok(());
    }
    if let Some(unknown) = wanted.iter().find(|name| !STAGES.iter().any(|(known, _)| known == *name)) {
        return Err(Failure::new(format!("no stage {unknown:?}: `cargo xtask test --list` names them")));
    }
    let test_dir = TestDir::new()?;
    let watcher = Watcher::start();
    let mut summary = Summary::default();
    for (name, work) in STAGES {
        if wanted.is_empty() || wanted.contains(name) {
            summary.stage(name, || work(workspace, test_dir.path()));
        }
    }
    summary.stage("secrets", || watcher.finish());
    summary.stage("leaks", || test_dir.finish());
    summary.finish()
}

/// Unit, integration and conformance tests of every crate; all temporary folders lie in `test_dir`.
///
/// How each of them ended is kept for `cargo xtask rows`.
fn crates(workspace: &Workspace, test_dir: &Path) -> Result<String> {
    const ALL: [&str; 3] = ["test", "--workspace", "--no-fail-fast"];
    clients::registry();
    let messages = program::output(workspace.cargo().args(ALL).args(["--no-run", "--message-format=json"]))?;
    let mut cargo = workspace.cargo();
    cargo
        .args(ALL)
        .args(["--", "--show-output"])
        .env("OPENLATTICE_TEST_DIR", test_dir)
        .env("TMPDIR", test_dir);
    let planted = plant::hand(&mut cargo, test_dir)?;
    let mut transcript = Transcript::of(Programs::parse(&messages));
    let mut skips = Vec::new();
    let outcome = program::watch_both(&mut cargo, |line| {
        transcript.see(line);
        if line.starts_with("skip") {
            skips.push(line.to_owned());
        }
    });
    fs::remove_file(&planted).attempted(format!("could not remove {}", planted.display()))?;
    skips.iter().for_each(|skip| stage::note(skip));
    let counted = counted(&transcript.ran);
    Record::keep(workspace, "workspace", transcript.ran)?;
    outcome.map_err(|failure| Failure::new(format!("{counted}: {failure}")))?;
    Ok(counted)
}

/// How many tests ended how.
fn counted(ran: &[Ran]) -> String {
    let count = |outcome| ran.iter().filter(|ran| ran.outcome == outcome).count();
    let counts = Outcome::ALL.map(|outcome| format!("{} {}", count(outcome), outcome.word()));
    counts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_tests_by_outcome() {
        let mut transcript = Transcript::default();
        [
            "test a ... ok",
            "test b ... FAILED",
            "test c ... ok",
            "test d ... ignored",
            "---- c stdout ----",
            "skip: why",
        ]
        .iter()
        .for_each(|line| transcript.see(line));
        assert_eq!(counted(&transcript.ran), "1 passed, 1 failed, 1 ignored, 1 skipped");
    }
}
