//! Who, in this process, is about to make or end the sandbox of an attempt.
//!
//! A provision that failed or was dropped ends what it made, perhaps later and in the background. Whoever repeats its key meanwhile
//! would find that sandbox and be given it just before it ends. So each attempt has a claim on what carries its label: the
//! finder waits while the attempt is at work, and takes the sandbox over, claim and all, while it only pauses.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The attempts of this process that are not over, by label.
#[derive(Clone, Debug, Default)]
pub(crate) struct Claims(Arc<Mutex<HashMap<String, Work>>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    /// The sandbox is being made or ended.
    UnderWay,
    /// It is to be ended later.
    Paused,
}

impl Claims {
    /// Begins an attempt under a new label.
    pub(crate) fn begin(&self, label: &str) -> Claim {
        self.lock().insert(label.to_owned(), Work::UnderWay);
        Claim { claims: self.clone(), label: label.to_owned() }
    }

    /// Gives the labels of all attempts that are not over.
    pub(crate) fn labels(&self) -> HashSet<String> {
        self.lock().keys().cloned().collect()
    }

    /// Says whether no attempt is at work on a sandbox with the label; from then on none ends it. What was known of the
    /// sandbox before may be out of date.
    pub(crate) fn take_over(&self, label: &str) -> bool {
        let mut all = self.lock();
        let free = all.get(label) != Some(&Work::UnderWay);
        if free {
            all.remove(label);
        }
        free
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Work>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One attempt's claim. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    claims: Claims,
    label: String,
}

impl Claim {
    /// Gives the label.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// Leaves the sandbox alone for now.
    pub(crate) fn pause(&self) {
        if let Some(work) = self.claims.lock().get_mut(&self.label) {
            *work = Work::Paused;
        }
    }

    /// Goes on after a pause; `false` when somebody has taken the sandbox over, which ends the claim.
    pub(crate) fn resume(&self) -> bool {
        let mut all = self.claims.lock();
        let Some(work) = all.get_mut(&self.label) else { return false };
        *work = Work::UnderWay;
        true
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.lock().remove(&self.label);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g4_what_is_taken_over_is_not_ended() {
        let claims = Claims::default();
        assert!(claims.take_over("another process's"));
        let claim = claims.begin("a");
        assert!(!claims.take_over("a") && claims.labels().contains("a"));
        claim.pause();
        assert!(claim.resume() && !claims.take_over("a"));
        claim.pause();
        assert!(claims.take_over("a") && !claim.resume());
        drop(claims.begin("b"));
        assert!(claims.take_over("b"));
    }
}
