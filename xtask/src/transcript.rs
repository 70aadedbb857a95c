//! Reads what `cargo test` says: which tests of which program ended how.
//!
//! A test that cannot judge anything prints a line that starts with `skip:` or `skipped:` and returns; its harness counts it as
//! passed. With `--show-output` that line stands below the test's name, and shows what it is.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::record::{Outcome, Ran};

/// The test programs that cargo built: the name of each file, and the crate and target that it belongs to.
#[derive(Debug, Default)]
pub(crate) struct Programs(BTreeMap<String, (String, String)>);

impl Programs {
    /// Reads the messages of `cargo test --no-run --message-format=json`.
    pub(crate) fn parse(messages: &str) -> Self {
        let objects = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        Self(objects.filter_map(|message| program(&message)).collect())
    }
}

/// The test program that a message of cargo announces.
fn program(message: &Value) -> Option<(String, (String, String))> {
    if !message["profile"]["test"].as_bool()? {
        return None;
    }
    let file = Path::new(message["executable"].as_str()?).file_name()?.to_str()?;
    let package = package_name(message["package_id"].as_str()?)?;
    let target = &message["target"];
    let kind = target["kind"].get(0)?.as_str()?;
    let binary = if kind == "test" { target["name"].as_str()? } else { kind };
    Some((file.to_owned(), (package, binary.to_owned())))
}

/// The name in a package id: `path+file:///a/b#name@1.0.0`, or `path+file:///a/name#1.0.0`.
fn package_name(id: &str) -> Option<String> {
    let (place, version) = id.rsplit_once('#')?;
    let name = version.split_once('@').map(|(name, _)| name).or_else(|| place.rsplit('/').next())?;
    Some(name.to_owned())
}

/// Follows the output of `cargo test`, both streams in one.
#[derive(Debug, Default)]
pub(crate) struct Transcript {
    programs: Programs,
    package: String,
    binary: String,
    /// The test whose outcome is still to come.
    open: Option<String>,
    /// The test whose output is being shown.
    shown: Option<String>,
    /// The tests so far.
    pub(crate) ran: Vec<Ran>,
}

impl Transcript {
    /// Starts to follow a run of these programs.
    pub(crate) fn of(programs: Programs) -> Self {
        Self { programs, ..Self::default() }
    }

    /// Reads one line.
    pub(crate) fn see(&mut self, line: &str) {
        if let Some(name) = shown(line) {
            self.shown = Some(name.to_owned());
        } else if self.shown.is_some() {
            self.shown_line(line);
        } else {
            self.plain_line(line);
        }
    }

    /// Reads a line of what a test printed, or the end of it.
    fn shown_line(&mut self, line: &str) {
        if ends_shown(line) {
            self.shown = None;
        } else if line.starts_with("skip:") || line.starts_with("skipped:") {
            self.skip();
        }
    }

    /// Takes the word of the test that is being shown that it judged nothing.
    fn skip(&mut self) {
        let (shown, package, binary) = (self.shown.as_deref(), &self.package, &self.binary);
        let same = |ran: &&mut Ran| {
            Some(ran.name.as_str()) == shown && ran.package == *package && ran.binary == *binary
        };
        if let Some(ran) = self.ran.iter_mut().rev().find(same)
            && ran.outcome == Outcome::Passed
        {
            ran.outcome = Outcome::Skipped;
        }
    }

    fn plain_line(&mut self, line: &str) {
        let words = line.trim();
        if let Some(started) = words.strip_prefix("Running ") {
            self.enter(started);
        } else if let Some(name) = words.strip_prefix("Doc-tests ") {
            (self.package, self.binary) = (name.replace('_', "-"), "doc".to_owned());
        } else if let Some((name, outcome)) =
            line.strip_prefix("test ").and_then(|test| test.split_once(" ... "))
        {
            self.test(name.trim(), outcome);
        } else if let Some(outcome) = outcome(words)
            && let Some(name) = self.open.take()
        {
            self.add(&name, outcome);
        }
    }

    /// Reads `unittests src/lib.rs (target/debug/deps/name-0123)`.
    fn enter(&mut self, started: &str) {
        let Some(path) = started.strip_suffix(')').and_then(|text| text.rsplit_once('(')) else { return };
        let file = Path::new(path.1).file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(known) = self.programs.0.get(file) {
            (self.package, self.binary) = known.clone();
        }
    }

    /// Reads a test's line. What the test itself prints may stand between its name and its outcome.
    fn test(&mut self, name: &str, said: &str) {
        match outcome(said) {
            Some(outcome) => self.add(name, outcome),
            None => self.open = Some(name.to_owned()),
        }
    }

    fn add(&mut self, name: &str, outcome: Outcome) {
        let (package, binary) = (self.package.clone(), self.binary.clone());
        self.ran.push(Ran { package, binary, name: name.to_owned(), outcome });
    }
}

/// The test whose output follows: `---- name stdout ----`.
fn shown(line: &str) -> Option<&str> {
    line.strip_prefix("---- ")?.strip_suffix(" stdout ----")
}

/// Whether a harness speaks again after it has shown what tests printed.
fn ends_shown(line: &str) -> bool {
    matches!(line, "successes:" | "failures:") || line.starts_with("test result: ")
}

fn outcome(said: &str) -> Option<Outcome> {
    match said {
        "ok" => Some(Outcome::Passed),
        "FAILED" => Some(Outcome::Failed),
        _ if said.starts_with("ignored") => Some(Outcome::Ignored),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGES: &str = r#"
{"reason":"compiler-artifact","package_id":"path+file:///a/crates/contract#openlattice@0.1.0","target":{"kind":["lib"],"name":"openlattice"},"profile":{"test":true},"executable":"/a/target/debug/deps/openlattice-01"}
{"reason":"compiler-artifact","package_id":"path+file:///a/xtask#0.1.0","target":{"kind":["bin"],"name":"xtask"},"profile":{"test":true},"executable":"/a/target/debug/deps/xtask-02"}
{"reason":"compiler-artifact","package_id":"path+file:///a/crates/local#openlattice-local@0.1.0","target":{"kind":["test"],"name":"conformance"},"profile":{"test":true},"executable":"/a/target/debug/deps/conformance-03"}
{"reason":"compiler-artifact","package_id":"path+file:///a/xtask#0.1.0","target":{"kind":["bin"],"name":"xtask"},"profile":{"test":false},"executable":"/a/target/debug/xtask"}
{"reason":"build-finished","success":true}"#;

    const OUTPUT: &str = "\
     Running unittests src/lib.rs (target/debug/deps/openlattice-01)
running 2 tests
test secret::tests::g8_nothing_shows ... ok
test a_broken_one ... FAILED
     Running unittests src/main.rs (target/debug/deps/xtask-02)
test rows::counts ... ok
     Running tests/conformance.rs (/a/target/debug/deps/conformance-03)
test m1_a_name          ... ok
test m5_a_registry_image ... ignored, there is none
test m9_a_loud_one ... said something
ok
test m5_without_root ... ok
test m5_a_failed_one ... FAILED
test m5_in_part ... ok

successes:

---- m5_without_root stdout ----
something
test m7_that_a_test_printed ... ok
skip: sandboxes need root

---- m5_in_part stdout ----
skipped in part: no perl


successes:
    m5_in_part
    m5_without_root

failures:

---- m5_a_failed_one stdout ----
skip: not any more


failures:
    m5_a_failed_one

test result: FAILED. 6 passed
   Doc-tests openlattice_layers
test crates/layers/src/lib.rs - (line 12) ... ok
";

    #[test]
    fn every_test_has_its_program_and_outcome() {
        let mut transcript = Transcript::of(Programs::parse(MESSAGES));
        OUTPUT.lines().for_each(|line| transcript.see(line));
        let seen: Vec<_> = transcript.ran.iter().map(|ran| (ran.address(), ran.outcome)).collect();
        let expected = [
            ("openlattice/lib/secret::tests::g8_nothing_shows", Outcome::Passed),
            ("openlattice/lib/a_broken_one", Outcome::Failed),
            ("xtask/bin/rows::counts", Outcome::Passed),
            ("openlattice-local/conformance/m1_a_name", Outcome::Passed),
            ("openlattice-local/conformance/m5_a_registry_image", Outcome::Ignored),
            ("openlattice-local/conformance/m9_a_loud_one", Outcome::Passed),
            ("openlattice-local/conformance/m5_without_root", Outcome::Skipped),
            ("openlattice-local/conformance/m5_a_failed_one", Outcome::Failed),
            ("openlattice-local/conformance/m5_in_part", Outcome::Passed),
            ("openlattice-layers/doc/crates/layers/src/lib.rs - (line 12)", Outcome::Passed),
        ];
        assert_eq!(seen, expected.map(|(address, outcome)| (address.to_owned(), outcome)));
    }
}
