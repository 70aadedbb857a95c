//! Named parts of a run: their time, their outcome, and one summary at the end.

use std::time::{Duration, Instant};

use crate::failure::{Failure, Result};

/// The outcomes of the stages that ran so far.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    name: &'static str,
    passed: bool,
    took: Duration,
    says: String,
}

impl Summary {
    /// Runs one stage. A failure is printed and kept; the stages after it still run.
    pub(crate) fn stage(&mut self, name: &'static str, work: impl FnOnce() -> Result<String>) {
        println!("==> {name}");
        let start = Instant::now();
        let (passed, says) = match work() {
            Ok(says) => (true, says),
            Err(failure) => {
                println!("{failure}");
                (false, failure.to_string().lines().next().unwrap_or_default().to_owned())
            }
        };
        self.rows.push(Row { name, passed, took: start.elapsed(), says });
    }

    /// Prints a line per stage and fails if one failed.
    pub(crate) fn finish(self) -> Result<()> {
        println!();
        for row in &self.rows {
            let word = if row.passed { "ok" } else { "FAILED" };
            println!("{word:6}  {:10} {:7.1} s  {}", row.name, row.took.as_secs_f64(), row.says);
        }
        let failed: Vec<&str> = self.rows.iter().filter(|row| !row.passed).map(|row| row.name).collect();
        if failed.is_empty() { Ok(()) } else { Err(Failure::new(format!("failed: {}", failed.join(", ")))) }
    }
}

/// Runs one stage on its own.
pub(crate) fn alone(name: &'static str, work: impl FnOnce() -> Result<String>) -> Result<()> {
    let mut summary = Summary::default();
    summary.stage(name, work);
    summary.finish()
}

/// Tells the person at the terminal something that is neither success nor failure.
pub(crate) fn note(text: &str) {
    println!("note: {text}");
}
