//! Whether a row is proven, and by what.

use std::collections::BTreeMap;
use std::fmt;

use crate::record::{Outcome, Ran, Record};
use crate::rows::source::Words;
use crate::rows::table::{Row, Side};

/// The tests of one row.
#[derive(Debug)]
pub(crate) struct Verdict {
    row: Row,
    ran: BTreeMap<Side, Vec<Ran>>,
    /// Tests that the table names and that did not run.
    missing: Vec<String>,
    /// Tests that ran and are no longer in the sources.
    gone: Vec<String>,
}

/// Collects the tests of a row.
pub(crate) fn judge(row: &Row, record: &Record, words: &Words) -> Verdict {
    let mut verdict =
        Verdict { row: row.clone(), ran: BTreeMap::new(), missing: Vec::new(), gone: Vec::new() };
    for ran in record.all().filter(|ran| proves(ran.short(), &row.id)) {
        verdict.add(Side::of(&ran.package), ran, words);
    }
    for (side, addresses) in &row.tests {
        for address in addresses {
            let before = verdict.ran.get(side).map_or(0, Vec::len);
            for ran in record.all().filter(|ran| is_at(ran, address)) {
                verdict.add(*side, ran, words);
            }
            if verdict.ran.get(side).map_or(0, Vec::len) == before {
                verdict.missing.push(address.clone());
            }
        }
    }
    verdict
}

/// The tests of rows that judged nothing wherever they are: what a row says beyond them is proven, what they say is not.
pub(crate) fn judged_nowhere(record: &Record) -> Vec<&str> {
    let mut all: BTreeMap<&str, bool> = BTreeMap::new();
    for ran in record.all().filter(|ran| ran.short().split('_').next().and_then(row_id).is_some()) {
        *all.entry(ran.short()).or_default() |= !judged_nothing(ran.outcome);
    }
    all.into_iter().filter(|(_, judged)| !judged).map(|(name, _)| name).collect()
}

/// Compares them with those that the table admits: the faults, and the names that need no reason any more.
pub(crate) fn admitted<'a>(
    nowhere: &[&str],
    reasons: &'a BTreeMap<String, String>,
) -> (Vec<String>, Vec<&'a str>) {
    let unknown = nowhere.iter().filter(|name| !reasons.contains_key(**name));
    let faults = unknown.map(|name| format!("{name} was judged nowhere, and rows.toml does not say why"));
    let stale = reasons.keys().map(String::as_str).filter(|name| !nowhere.contains(name));
    (faults.collect(), stale.collect())
}

fn judged_nothing(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Ignored | Outcome::Skipped)
}

/// Whether the rows that a name starts with hold this one: `m06_m7_…` proves M6 and M7.
fn proves(name: &str, id: &str) -> bool {
    name.split('_').map_while(row_id).any(|row| row == id)
}

/// The row that a part of a name stands for.
fn row_id(part: &str) -> Option<String> {
    let letter = part.chars().next().filter(|letter| matches!(letter, 'm' | 'g'))?;
    let number: u32 = part[1..].parse().ok()?;
    Some(format!("{}{number}", letter.to_ascii_uppercase()))
}

/// Whether a test is the one, or one of those, at an address of the table.
fn is_at(ran: &Ran, address: &str) -> bool {
    match address.strip_suffix('*') {
        Some(start) => ran.address().starts_with(start),
        None => ran.address() == address,
    }
}

impl Verdict {
    fn add(&mut self, side: Side, ran: &Ran, words: &Words) {
        if !words.has(ran.short()) {
            self.gone.push(ran.address());
        }
        self.ran.entry(side).or_default().push(ran.clone());
    }

    fn count(&self, side: Side, outcome: Outcome) -> usize {
        self.ran.get(&side).map_or(0, |all| all.iter().filter(|ran| ran.outcome == outcome).count())
    }

    /// Everything that is wrong with the row.
    pub(crate) fn faults(&self) -> Vec<String> {
        let id = &self.row.id;
        let mut faults = Vec::new();
        for side in [Side::Local, Side::Modal] {
            let (passed, absent) = (self.count(side, Outcome::Passed), self.row.absent.contains_key(&side));
            if passed == 0 && !absent {
                faults.push(format!("{id} has no test on {} that passed", side.name()));
            } else if passed > 0 && absent {
                faults.push(format!("{id} has tests on {}, which rows.toml denies", side.name()));
            }
        }
        if Side::ALL.iter().all(|side| self.count(*side, Outcome::Passed) == 0) {
            faults.push(format!("{id} has no test at all that passed"));
        }
        let failed = self.ran.values().flatten().filter(|ran| ran.outcome == Outcome::Failed);
        faults.extend(failed.map(|ran| format!("{id}: {} failed", ran.address())));
        faults.extend(self.missing.iter().map(|address| format!("{id}: {address} did not run")));
        faults.extend(self.gone.iter().map(|address| format!("{id}: {address} is no longer in the sources")));
        faults
    }

    /// The tests of a side in one line.
    fn tests(&self, side: Side) -> String {
        if let Some(why) = self.row.absent.get(&side) {
            return format!("none ({why})");
        }
        let mut programs: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for ran in self.ran.get(&side).into_iter().flatten() {
            let mark = match ran.outcome {
                Outcome::Passed => "",
                Outcome::Failed => " FAILED",
                Outcome::Ignored | Outcome::Skipped => " (not judged here)",
            };
            let program = format!("{}/{}", ran.package, ran.binary);
            programs.entry(program).or_default().push(format!("{}{mark}", ran.short()));
        }
        let all: Vec<String> =
            programs.into_iter().map(|(program, names)| format!("{program}: {}", listed(&names))).collect();
        if all.is_empty() { "-".to_owned() } else { all.join("; ") }
    }
}

/// Names of tests; a whole suite is counted instead.
fn listed(names: &[String]) -> String {
    const MANY: usize = 40;
    if names.len() > MANY { format!("{} tests", names.len()) } else { names.join(" ") }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.faults().is_empty() { "ok" } else { "FAILED" };
        write!(f, "{:4}{word:7}{}", self.row.id, self.row.title)?;
        for side in Side::ALL {
            write!(f, " | {} {}", side.name(), self.tests(side))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(absent: &[Side], tests: &[(Side, &str)]) -> Row {
        let tests = tests.iter().map(|(side, address)| (*side, vec![(*address).to_owned()])).collect();
        let absent = absent.iter().map(|side| (*side, "because".to_owned())).collect();
        Row { id: "M7".to_owned(), title: "a title".to_owned(), tests, absent }
    }

    fn ran(package: &str, name: &str, outcome: Outcome) -> Ran {
        Ran { package: package.to_owned(), binary: "conformance".to_owned(), name: name.to_owned(), outcome }
    }

    fn judged(row: &Row, all: &[Ran]) -> Vec<String> {
        let mut words = Words::default();
        all.iter().filter(|ran| !ran.name.contains("gone")).for_each(|ran| words.text(&ran.name));
        judge(row, &Record::of("workspace", all.to_vec()), &words).faults()
    }

    #[test]
    fn a_name_starts_with_the_rows_that_it_proves() {
        assert!(
            proves("m7_x", "M7")
                && proves("m07_x", "M7")
                && proves("m6_m7_x", "M7")
                && proves("m7_g4_x", "G4")
        );
        assert!(!proves("m17_x", "M7") && !proves("a_m7_x", "M7") && !proves("mix_m7", "M7"));
    }

    #[test]
    fn each_provider_needs_a_test_that_passed() {
        let local = ran("openlattice-local", "m7_a", Outcome::Passed);
        let modal = ran("openlattice-modal", "m7_a", Outcome::Passed);
        assert!(judged(&row(&[], &[]), &[local.clone(), modal]).is_empty());
        let faults =
            judged(&row(&[], &[]), &[local.clone(), ran("openlattice-modal", "m7_a", Outcome::Ignored)]);
        assert_eq!(faults, ["M7 has no test on modal that passed"]);
        let skipped =
            judged(&row(&[], &[]), &[local.clone(), ran("openlattice-modal", "m7_a", Outcome::Skipped)]);
        assert_eq!(skipped, faults);
        assert!(judged(&row(&[Side::Modal], &[]), std::slice::from_ref(&local)).is_empty());
        assert_eq!(judged(&row(&[Side::Local, Side::Modal], &[]), &[]).len(), 1);
        assert_eq!(judged(&row(&[Side::Local, Side::Modal], &[]), &[local]).len(), 1);
    }

    #[test]
    fn a_failed_test_and_one_that_is_gone_are_faults() {
        let all = [
            ran("openlattice-local", "m7_a", Outcome::Passed),
            ran("openlattice-modal", "m7_gone", Outcome::Passed),
            ran("openlattice-modal", "m7_b", Outcome::Failed),
        ];
        let faults = judged(&row(&[], &[]), &all).join("\n");
        assert!(faults.contains("m7_b failed") && faults.contains("m7_gone is no longer"), "{faults}");
    }

    #[test]
    fn what_is_judged_nowhere_is_told() {
        let all = vec![
            ran("openlattice-local", "m7_a", Outcome::Ignored),
            ran("openlattice-modal", "m7_a", Outcome::Passed),
            ran("openlattice-local", "part::m7_b", Outcome::Skipped),
            ran("openlattice-local", "a_child", Outcome::Ignored),
        ];
        let record = Record::of("workspace", all);
        let nowhere = judged_nowhere(&record);
        assert_eq!(nowhere, ["m7_b"]);
        let reason = |name: &str| BTreeMap::from([(name.to_owned(), "there is none".to_owned())]);
        assert_eq!(admitted(&nowhere, &reason("m7_b")), (vec![], vec![]));
        let (faults, stale) = (admitted(&nowhere, &reason("m7_a")).0.join("\n"), reason("m7_a"));
        assert!(faults.starts_with("m7_b was judged nowhere"), "{faults}");
        assert_eq!(admitted(&nowhere, &stale).1, ["m7_a"]);
    }

    #[test]
    fn a_test_that_the_table_names_must_have_run() {
        let row = row(&[Side::Local], &[(Side::Modal, "interop/python-v2/*")]);
        assert!(judged(&row, &[])[1..].join("\n").contains("interop/python-v2/* did not run"));
        let mut case = ran("interop", "exec", Outcome::Passed);
        case.binary = "python-v2".to_owned();
        assert!(judged(&row, &[case]).is_empty());
    }
}
