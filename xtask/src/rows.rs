//! The rows of the mission (M1 to M33) and the promises (G1 to G9), each with the tests that prove it.
//!
//! A test proves the rows that its name starts with: `m6_m7_a_gpu_is_passed_on` proves M6 and M7. `xtask/rows.toml` has the title of every
//! row, names the tests that prove a row without that prefix, and says why a row is not a provider's. A row holds on
//! a provider if a test of that provider passed in the last run and none failed.

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
    if !nowhere.is_empty() {
        println!();
        stage::note(&format!("nowhere judged in the last run: {}", nowhere.join(", ")));
    }
    let faults: Vec<String> = verdicts.iter().flat_map(judge::Verdict::faults).collect();
    if faults.is_empty() {
        println!("\n{} rows, all proven in the last run", verdicts.len());
        return Ok(());
    }
    let hint =
        "(`cargo xtask test` makes a new record; rows with tests elsewhere are named in xtask/rows.toml)";
    Err(Failure::new(format!("{} faults:\n  {}\n{hint}", faults.len(), faults.join("\n  "))))
}
