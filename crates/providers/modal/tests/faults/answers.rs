//! Calls are answered with a status, before the server has seen them or after it has acted.

use std::sync::Arc;

use openlattice::ErrorKind;

use crate::cases::{self, Case, measure};
use crate::fault::{Answer, Fault};
use crate::world::World;
use crate::{Result, ensure};

const AT_ONCE: usize = 16;
/// Calls in a row that get the answer: as often as the control plane's calls are tried.
const IN_A_ROW: usize = 4;
/// `RPCStatus` with one `RPCRetryPolicy` of 0.1 s, as it travels in a trailer.
const WAIT: &str = "CAgaLgolbW9kYWwuY29tL21vZGFsLmNsaWVudC5SUENSZXRyeVBvbGljeRIFDc3MzD0";

/// The codes that a client repeats by itself, a refused token, an exhausted quota and a server that asks to wait; with the kind
/// of error that each may become.
const ANSWERS: [(i32, Option<&str>, ErrorKind); 8] = [
    (1, None, ErrorKind::Cancelled),
    (2, None, ErrorKind::Internal),
    (4, None, ErrorKind::Timeout),
    (13, None, ErrorKind::Internal),
    (14, None, ErrorKind::Unavailable),
    (16, None, ErrorKind::Unauthenticated),
    (8, None, ErrorKind::ResourceExhausted),
    (8, Some(WAIT), ErrorKind::Unavailable),
];

/// Answers every call, with one status after the other, once before and once after the server acted, and several in a row.
pub(crate) async fn to_every_call(world: Arc<World>) -> Result<String> {
    let counts = measure(&world, true).await?;
    let all = (1..=counts.calls).flat_map(|at| {
        [(1, false), (1, true), (IN_A_ROW, false)].map(|(times, acted)| case(at, times, acted))
    });
    let tally = cases::run(&world, all.collect(), AT_ONCE).await?;
    ensure(tally.struck >= 2 * counts.calls, || format!("only {tally}"))?;
    ensure(tally.saw_errors(), || format!("no caller saw an error: {tally}"))?;
    Ok(tally.to_string())
}

fn case(at: usize, times: usize, acted: bool) -> Case {
    let (code, details, kind) = ANSWERS[(3 * at + times + usize::from(acted)) % ANSWERS.len()];
    let fault = Fault::Answer { at, times, answer: Answer { code, details }, acted };
    let name = format!("answer-{at}-{code}-{times}-{acted}");
    Case { told: Some(kind), ..Case::new(name, fault) }
}
