//! What the last run of the tests showed, kept in the build folder for `rows`.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::failure::{Attempted, Failure, Result};
use crate::workspace::Workspace;

/// How a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It passed.
    Passed,
    /// It failed.
    Failed,
    /// It did not run, or its harness says that it could not judge anything here.
    Ignored,
    /// It returned after it had said that it could not judge anything here.
    Skipped,
}

impl Outcome {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Passed, Self::Failed, Self::Ignored, Self::Skipped];

    /// The word that stands in the record and in counts.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Ignored => "ignored",
            Self::Skipped => "skipped",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.word() == word)
    }
}

/// One test that ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ran {
    /// The crate, such as `openlattice-local`, or the stage that is not a crate's.
    pub(crate) package: String,
    /// The program of the crate that holds it: a file in `tests`, `lib`, `doc`, or the name of a run of other programs.
    pub(crate) binary: String,
    /// Its name, with its modules.
    pub(crate) name: String,
    /// How it ended.
    pub(crate) outcome: Outcome,
}

impl Ran {
    /// Its name without its modules.
    pub(crate) fn short(&self) -> &str {
        self.name.rsplit("::").next().unwrap_or(&self.name)
    }

    /// Its address: crate, program and name.
    pub(crate) fn address(&self) -> String {
        format!("{}/{}/{}", self.package, self.binary, self.name)
    }
}

/// The tests of the last run of each stage.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    stages: BTreeMap<String, Vec<Ran>>,
}

impl Record {
    fn path(workspace: &Workspace) -> PathBuf {
        workspace.target().join("openlattice-tests.json")
    }

    /// Reads what was kept; a run that never was has no tests.
    pub(crate) fn load(workspace: &Workspace) -> Result<Self> {
        let path = Self::path(workspace);
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = fs::read_to_string(&path).attempted(format!("could not read {}", path.display()))?;
        Self::parse(&serde_json::from_str(&text)?)
    }

    /// Replaces what is known of a stage, and keeps it.
    pub(crate) fn keep(workspace: &Workspace, stage: &str, ran: Vec<Ran>) -> Result<()> {
        let mut record = Self::load(workspace).unwrap_or_default();
        record.stages.insert(stage.to_owned(), ran);
        let path = Self::path(workspace);
        fs::write(&path, format!("{:#}\n", record.to_json()))
            .attempted(format!("could not write {}", path.display()))
    }

    /// A record of one stage.
    #[cfg(test)]
    pub(crate) fn of(stage: &str, ran: Vec<Ran>) -> Self {
        Self { stages: BTreeMap::from([(stage.to_owned(), ran)]) }
    }

    /// Every test of every stage.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Ran> {
        self.stages.values().flatten()
    }

    fn to_json(&self) -> Value {
        let stage = |ran: &Vec<Ran>| -> Value {
            let one = |ran: &Ran| json!([ran.package, ran.binary, ran.name, ran.outcome.word()]);
            ran.iter().map(one).collect()
        };
        self.stages
            .iter()
            .map(|(name, ran)| (name.clone(), stage(ran)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    fn parse(json: &Value) -> Result<Self> {
        let stages = json.as_object().ok_or_else(unreadable)?;
        let mut record = Self::default();
        for (name, tests) in stages {
            let tests = tests.as_array().ok_or_else(unreadable)?;
            let ran: Option<Vec<Ran>> = tests.iter().map(parse_one).collect();
            record.stages.insert(name.clone(), ran.ok_or_else(unreadable)?);
        }
        Ok(record)
    }
}

fn unreadable() -> Failure {
    Failure::new("the record of the last test run is unreadable: run `cargo xtask test` again")
}

fn parse_one(json: &Value) -> Option<Ran> {
    let text = |index: usize| json.get(index).and_then(Value::as_str).map(str::to_owned);
    Some(Ran { package: text(0)?, binary: text(1)?, name: text(2)?, outcome: Outcome::parse(&text(3)?)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back() {
        let one = |outcome| Ran {
            package: "openlattice-local".to_owned(),
            binary: "conformance".to_owned(),
            name: "part::m1_a_name".to_owned(),
            outcome,
        };
        let ran = Outcome::ALL.map(one).to_vec();
        let record = Record::of("workspace", ran);
        assert_eq!(Record::parse(&record.to_json()).unwrap(), record);
        assert_eq!(record.all().next().unwrap().short(), "m1_a_name");
        assert!(Record::parse(&json!({"workspace": [["a", "b", "c", "perhaps"]]})).is_err());
    }
}
