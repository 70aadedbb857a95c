//! The rows of the mission (M1 to M33) and the promises (G1 to G9), each with the tests that prove it.
//!
//! A test proves the rows that its name starts with: `m6_m7_a_gpu_is_passed_on` proves M6 and M7. `xtask/rows.toml` has the title of every
//! row, names the tests that prove a row without that prefix, and says why a row is not a provider's. A row holds on
//! a provider if a test of that provider passed in the last run and none failed. A test that printed `skip` proves nothing, and one that was
//! judged on no provider at all needs a reason in the table.

mod judge;
mod source;
mod table;

use crate::failure::{Failure, Result};
use crate::record::Record;
use crate::stage;
use crate::workspace::Workspace;

/// Prints a line per row, and fails where a row is not proven.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let table = table::Table::load(workspace)?;
    let record = Record::load(workspace)?;
    let names = source::Words::read(workspace)?;
    let verdicts: Vec<_> = table.rows.iter().map(|row| judge::judge(row, &record, &names)).collect();
    verdicts.iter().for_each(|verdict| println!("{verdict}"));
    let nowhere = judge::judged_nowhere(&record);
    println!();
    for (name, why) in table.nowhere.iter().filter(|(name, _)| nowhere.contains(&name.as_str())) {
        stage::note(&format!("nowhere judged: {name} ({why})"));
    }
    let (unknown, stale) = judge::admitted(&nowhere, &table.nowhere);
    stale.iter().for_each(|name| stage::note(&format!("rows.toml need not excuse {name} any more")));
    let faults: Vec<String> = verdicts.iter().flat_map(judge::Verdict::faults).chain(unknown).collect();
    if faults.is_empty() {
        println!("\n{} rows, all proven in the last run", verdicts.len());
        return Ok(());
    }
    let hint =
        "(`cargo xtask test` makes a new record; rows with tests elsewhere are named in xtask/rows.toml)";
    Err(Failure::new(format!("{} faults:\n  {}\n{hint}", faults.len(), faults.join("\n  "))))
}
