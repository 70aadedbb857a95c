//! One of those who work on the store: it does one thing after the other and compares the answers with what was acknowledged.

use std::sync::{MutexGuard, PoisonError};
use std::time::Instant;

use super::call::{self, Outcome};
use super::ledger::{Ledger, Sandbox};
use super::{Load, Random, steps};

/// Most sandboxes, images and volumes of one participant.
pub(super) const SANDBOXES: usize = 8;
pub(super) const IMAGES: usize = 3;
pub(super) const VOLUMES: usize = 3;

/// An image or volume of a participant.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) name: String,
    /// Paths in it and what they hold.
    pub(super) files: Vec<(String, String)>,
    /// A call that used it was killed: until somebody has cleaned up, a sandbox may still have it.
    pub(super) disturbed: bool,
}

/// The state of a participant.
pub(super) struct Participant<'a> {
    pub(super) load: &'a Load,
    pub(super) name: String,
    pub(super) random: Random,
    calls: u32,
    /// Ids of its sandboxes, in the ledger too.
    pub(super) sandboxes: Vec<String>,
    /// Those whose removal was killed.
    pub(super) leaving: Vec<String>,
    pub(super) images: Vec<Kept>,
    pub(super) volumes: Vec<Kept>,
}

impl<'a> Participant<'a> {
    pub(super) fn new(load: &'a Load, number: u64, seed: u64) -> Self {
        Self {
            load,
            name: format!("p{number}"),
            random: Random::new(seed, number),
            calls: 0,
            sandboxes: Vec::new(),
            leaving: Vec::new(),
            images: Vec::new(),
            volumes: Vec::new(),
        }
    }

    /// Works until it is time.
    pub(super) fn take_part(mut self) {
        while Instant::now() < self.load.until {
            let step = self.random.below(steps::WEIGHT);
            steps::take(&mut self, step);
        }
    }

    pub(super) fn ledger(&self) -> MutexGuard<'a, Ledger> {
        self.load.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A word that no other call has.
    pub(super) fn word(&mut self) -> String {
        self.calls += 1;
        format!("{}-{}", self.name, self.calls)
    }

    /// One of its sandboxes, with what is known of it.
    pub(super) fn own(&mut self) -> Option<(String, Sandbox)> {
        let id = self.random.pick(&self.sandboxes)?.clone();
        let known = self.ledger().steady(&id)?.clone();
        Some((id, known))
    }

    /// Any participant's sandbox.
    pub(super) fn any(&mut self) -> Option<(String, Sandbox)> {
        let all: Vec<String> = self.ledger().all_steady().into_iter().collect();
        let id = self.random.pick(&all)?.clone();
        let known = self.ledger().steady(&id)?.clone();
        Some((id, known))
    }

    /// A call that may be killed.
    pub(super) fn call(&mut self, kind: &'static str, arguments: &[&str]) -> Option<Outcome> {
        let moment = call::moment(self.load, &mut self.random, kind);
        self.told(call::run(self.load, kind, arguments, moment))
    }

    /// A call that is not killed, to find out what one that was killed has done.
    pub(super) fn undisturbed(&self, kind: &'static str, arguments: &[&str]) -> Option<Outcome> {
        self.told(call::run(self.load, kind, arguments, None))
    }

    fn told(&self, outcome: crate::failure::Result<Outcome>) -> Option<Outcome> {
        outcome.map_err(|failure| self.load.tally.violation(&format!("{}: {failure}", self.name))).ok()
    }

    /// A call that must succeed unless it is killed: its standard output.
    pub(super) fn succeeds(&mut self, kind: &'static str, arguments: &[&str]) -> Option<String> {
        let outcome = self.call(kind, arguments)?;
        self.check(outcome.code.is_none_or(|code| code == 0), &outcome, "must succeed");
        (outcome.code == Some(0)).then_some(outcome.stdout)
    }

    /// A call about a sandbox that must succeed unless it is killed, or the sandbox is removed meanwhile.
    pub(super) fn succeeds_while(
        &mut self,
        id: &str,
        kind: &'static str,
        arguments: &[&str],
    ) -> Option<String> {
        let outcome = self.call(kind, arguments)?;
        let steady = self.ledger().steady(id).is_some();
        self.check(!steady || outcome.code.is_none_or(|code| code == 0), &outcome, "must succeed");
        (steady && outcome.code == Some(0)).then_some(outcome.stdout)
    }

    /// Compares.
    pub(super) fn check(&self, holds: bool, outcome: &Outcome, what: &str) {
        self.load.tally.check(holds, || format!("{}: {}: {what}", self.name, outcome.told()));
    }

    /// Compares content with what was acknowledged.
    pub(super) fn same(&self, found: &str, expected: &str, what: &str) {
        let shown =
            |text: &str| format!("{} bytes {:?}", text.len(), text.chars().take(40).collect::<String>());
        self.load.tally.check(found == expected, || {
            format!("{}: {what} has {} and not {}", self.name, shown(found), shown(expected))
        });
    }
}
