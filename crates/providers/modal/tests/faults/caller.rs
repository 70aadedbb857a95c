//! A caller who follows the rules: repeats what failed for now, and counts what it saw.

use std::collections::BTreeMap;

use openlattice::{Error, ErrorKind};

use crate::{Failure, Result};

/// How often one step is repeated before the case fails.
const TRIES: usize = 30;

/// What went wrong, by kind, and how often.
#[derive(Debug)]
pub(crate) struct Caller {
    told: &'static [ErrorKind],
    seen: BTreeMap<String, usize>,
}

impl Caller {
    /// A caller who bears, beside a broken connection, what the server is made to say.
    pub(crate) fn new(told: &'static [ErrorKind]) -> Self {
        Self { told, seen: BTreeMap::new() }
    }

    /// Takes a step until it succeeds; an error that the fault cannot explain fails the case.
    pub(crate) async fn insist<T>(
        &mut self,
        step: &'static str,
        mut take: impl AsyncFnMut() -> openlattice::Result<T>,
    ) -> Result<T> {
        for _ in 0..TRIES {
            match take().await {
                Ok(done) => return Ok(done),
                Err(error) => self.bear(step, &error)?,
            }
        }
        Err(Failure(format!("{step} failed {TRIES} times: {:?}", self.seen)))
    }

    /// What the caller makes of a success that may rest on a lie.
    pub(crate) fn doubt(&self) -> Doubt {
        Doubt(self.told.first().copied())
    }

    /// Counts an error that a broken connection explains, and fails at any other.
    pub(crate) fn bear(&mut self, step: &'static str, error: &Error) -> Result<()> {
        let broken = matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout);
        let explained = broken || self.told.contains(&error.kind());
        if !explained {
            return Err(Failure(format!("{step}: {error:?}")));
        }
        *self.seen.entry(format!("{step} {}", error.kind())).or_default() += 1;
        Ok(())
    }

    /// Gives what was seen.
    pub(crate) fn seen(self) -> BTreeMap<String, usize> {
        self.seen
    }
}

/// A server that lies is believed: it says that something is not there, and ending it is a success. Such a success is an error here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Doubt(Option<ErrorKind>);

impl Doubt {
    /// Fails with the kind that the server was made to give, unless what succeeded holds.
    pub(crate) fn or_else(self, what: &'static str, holds: bool) -> openlattice::Result<()> {
        match self.0 {
            Some(kind) if !holds => Err(Error::new(kind, what, "the server was believed")),
            _ => Ok(()),
        }
    }
}
