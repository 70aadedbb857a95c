//! What was done, what was checked, and what did not hold.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::failure::{Failure, Result};

/// Calls of one kind.
#[derive(Debug, Default, Clone, Copy)]
struct Kind {
    calls: u32,
    killed: u32,
    /// Of those that were not killed.
    took: Duration,
}

/// Counts of a run.
#[derive(Debug, Default)]
pub(super) struct Tally {
    kinds: Mutex<BTreeMap<&'static str, Kind>>,
    checks: AtomicU64,
    violations: AtomicU64,
}

impl Tally {
    /// Counts a call that is over.
    pub(super) fn count(&self, kind: &'static str, killed: bool, took: Duration) {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = kinds.entry(kind).or_default();
        kind.calls += 1;
        if killed {
            kind.killed += 1;
        } else {
            kind.took += took;
        }
    }

    /// How long a call of a kind takes that is not killed.
    pub(super) fn usual(&self, kind: &'static str) -> Duration {
        let kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = kinds.get(kind).copied().unwrap_or_default();
        kind.took.checked_div(kind.calls - kind.killed).unwrap_or(Duration::from_millis(100))
    }

    /// Counts something that was compared with what was acknowledged; what does not hold is printed.
    pub(super) fn check(&self, holds: bool, what: impl FnOnce() -> String) {
        self.checks.fetch_add(1, Ordering::Relaxed);
        if !holds {
            self.violation(&what());
        }
    }

    /// Prints and counts something that must not be.
    pub(super) fn violation(&self, text: &str) {
        self.violations.fetch_add(1, Ordering::Relaxed);
        println!("soak: LOST: {text}");
    }

    /// Totals in one line.
    pub(super) fn summary(&self) -> String {
        let kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let calls: u32 = kinds.values().map(|kind| kind.calls).sum();
        let killed: u32 = kinds.values().map(|kind| kind.killed).sum();
        let (checks, lost) = (self.checks.load(Ordering::Relaxed), self.violations.load(Ordering::Relaxed));
        format!("{calls} calls, {killed} killed, {checks} checks, lost = {lost}")
    }

    /// Fails when something did not hold.
    pub(super) fn verdict(&self, seed: u64) -> Result<()> {
        match self.violations.load(Ordering::Relaxed) {
            0 => Ok(()),
            lost => {
                Err(Failure::new(format!("{lost} things did not hold (seed {seed}): {}", self.summary())))
            }
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:14} {:>7} {:>7} {:>9}", "call", "times", "killed", "mean ms")?;
        for (name, kind) in self.kinds.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let mean = kind.took.checked_div(kind.calls - kind.killed).unwrap_or_default();
            writeln!(f, "{name:14} {:>7} {:>7} {:>9}", kind.calls, kind.killed, mean.as_millis())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_hold_fails_the_run() {
        let tally = Tally::default();
        tally.count("ps", false, Duration::from_millis(20));
        tally.count("ps", true, Duration::ZERO);
        assert_eq!(tally.usual("ps"), Duration::from_millis(20));
        tally.check(true, String::new);
        tally.verdict(1).unwrap();
        tally.check(false, || "sb-1 is gone".to_owned());
        assert!(tally.verdict(1).is_err());
        assert_eq!(tally.summary(), "2 calls, 1 killed, 2 checks, lost = 1");
    }
}
