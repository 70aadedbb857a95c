//! Every test in one command, with a line per stage at the end.

use std::path::Path;

use crate::failure::{Failure, Result};
use crate::leaks::TestDir;
use crate::stage::{self, Summary};
use crate::workspace::Workspace;
use crate::{deny, drift, interop, layering, program, restart};

type Work = fn(&Workspace, &Path) -> Result<String>;

/// The stages in their order; the leak check follows them.
const STAGES: &[(&str, Work)] = &[
    ("layering", |workspace, _| layering::check(workspace)),
    ("deny", |workspace, _| deny::check(workspace)),
    ("drift", |workspace, _| drift::check(workspace)),
    ("workspace", crates),
    ("interop", interop::check),
    ("restart", restart::check),
];

/// Runs all stages or the named ones, then the leak check.
pub(crate) fn run(workspace: &Workspace, wanted: &[&str]) -> Result<()> {
    if wanted == ["--list"] {
        STAGES.iter().for_each(|(name, _)| println!("{name}"));
        return Ok(());
    }
    if let Some(unknown) = wanted.iter().find(|name| !STAGES.iter().any(|(known, _)| known == *name)) {
        return Err(Failure::new(format!("no stage {unknown:?}: `cargo xtask test --list` names them")));
    }
    let test_dir = TestDir::new()?;
    let mut summary = Summary::default();
    for (name, work) in STAGES {
        if wanted.is_empty() || wanted.contains(name) {
            summary.stage(name, || work(workspace, test_dir.path()));
        }
    }
    summary.stage("leaks", || test_dir.finish());
    summary.finish()
}

/// Counts over the test programs of the workspace.
#[derive(Debug, Default)]
struct Counts {
    passed: u32,
    failed: u32,
    ignored: u32,
    skips: Vec<String>,
}

/// Unit, integration and conformance tests of every crate; all temporary folders lie in `test_dir`.
fn crates(workspace: &Workspace, test_dir: &Path) -> Result<String> {
    let mut cargo = workspace.cargo();
    cargo
        .args(["test", "--workspace", "--no-fail-fast", "--", "--show-output"])
        .env("OPENLATTICE_TEST_DIR", test_dir)
        .env("TMPDIR", test_dir);
    let mut counts = Counts::default();
    let outcome = program::watch(&mut cargo, |line| counts.see(line));
    for skip in &counts.skips {
        stage::note(skip);
    }
    let counted = format!("{} passed, {} failed", counts.passed, counts.failed);
    outcome.map_err(|failure| Failure::new(format!("{counted}: {failure}")))?;
    Ok(format!("{} passed, {} ignored, {} skips", counts.passed, counts.ignored, counts.skips.len()))
}

impl Counts {
    /// Reads one line of a test program's output.
    fn see(&mut self, line: &str) {
        if let Some(result) = line.strip_prefix("test result: ") {
            self.passed += count(result, " passed");
            self.failed += count(result, " failed");
            self.ignored += count(result, " ignored");
        } else if line.starts_with("skip") {
            self.skips.push(line.to_owned());
        }
    }
}

/// The number before `word` in `ok. 3 passed; 0 failed; …`.
fn count(line: &str, word: &str) -> u32 {
    let before = line.split(word).next().filter(|before| before.len() < line.len());
    let digits = before.and_then(|before| before.rsplit(' ').next());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_tests_and_skips() {
        let mut counts = Counts::default();
        counts.see(
            "test result: ok. 3 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.01s",
        );
        counts.see("test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
        counts.see("skip: needs root");
        assert_eq!((counts.passed, counts.failed, counts.ignored), (7, 1, 2));
        assert_eq!(counts.skips, ["skip: needs root"]);
    }
}
