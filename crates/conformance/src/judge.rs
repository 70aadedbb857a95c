//! Judges a provider from within a program, one behaviour after the other.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;

use crate::behaviour::{self, Behaviour};
use crate::candidate::Candidate;
use crate::case::Case;
use crate::verdict::{Failure, Verdict};

/// Says how a behaviour was judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It holds.
    Holds,
    /// It cannot be judged here, for this reason.
    Skipped(String),
    /// It does not hold, as the candidate's [`Differences`](crate::Differences) say, for this reason.
    Differs(String),
    /// It does not hold, or holds against the candidate's [`Differences`](crate::Differences), for this reason.
    Broken(String),
    /// It was not finished within the deadline of the suite, so that no more can be said.
    Hangs(String),
}

/// Holds the judgement of one behaviour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The behaviour's name, such as `m13_a_non_zero_exit_is_a_result`.
    pub name: &'static str,
    /// How it was judged.
    pub judgement: Judgement,
}

/// Judges the behaviours whose names start with one of the prefixes, one after the other, and returns a judgement of each.
///
/// For programs that look at the judgements, such as a test that proves that a broken provider is caught; a test binary uses
/// [`run`](crate::run). Needs a tokio runtime with timers. Dropping the future may leave the sandboxes of the behaviour that
/// is being judged; they end by their life time.
pub async fn judge(candidate: Candidate, prefixes: &[&str]) -> Vec<Judged> {
    let candidate = Arc::new(candidate);
    let mut all = Vec::new();
    let chosen = |one: &Behaviour| prefixes.iter().any(|prefix| one.name.starts_with(prefix));
    for one in behaviour::all().into_iter().filter(chosen) {
        let name = one.name;
        let judgement = judgement(Case::new(Arc::clone(&candidate)), one).await;
        all.push(Judged { name, judgement });
    }
    all
}

/// Runs a behaviour and judges it by the differences that are known.
pub(crate) async fn judgement(case: Case, one: Behaviour) -> Judgement {
    let (name, differences) = (one.name, case.settings().differences.clone());
    differences.judge(name, seen(case, one).await)
}

/// Runs a behaviour within its deadline, and removes what it made, however it ended.
async fn seen(case: Case, one: Behaviour) -> Judgement {
    let deadline = case.settings().deadline;
    let test = AssertUnwindSafe((one.run)(case.clone())).catch_unwind();
    let outcome = match tokio::time::timeout(deadline, test).await {
        Ok(Ok(Ok(Verdict::Passed))) => Judgement::Holds,
        Ok(Ok(Ok(Verdict::Skipped(reason)))) => Judgement::Skipped(reason),
        Ok(Ok(Err(Failure(reason)))) => Judgement::Broken(reason),
        Ok(Err(_)) => Judgement::Broken("the test panicked".to_owned()),
        Err(_) => Judgement::Hangs(format!("not finished after {deadline:?}")),
    };
    match tokio::time::timeout(deadline, case.clean_up()).await {
        Ok(Ok(())) => outcome,
        Ok(Err(Failure(left))) => outcome.and_left(left),
        Err(_) => outcome.and_left(format!("not cleaned up after {deadline:?}")),
    }
}

impl Judgement {
    /// Adds that cleaning up failed.
    fn and_left(self, left: String) -> Self {
        match self {
            Self::Holds | Self::Skipped(_) | Self::Differs(_) => Self::Broken(left),
            Self::Broken(reason) => Self::Broken(format!("{reason}\nand on cleaning up: {left}")),
            Self::Hangs(reason) => Self::Hangs(format!("{reason}\nand on cleaning up: {left}")),
        }
    }
}
