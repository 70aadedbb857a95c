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

/// Every code that is no success, with the kinds of error that it becomes: an ended sandbox is told by a failed precondition.
const CODES: [(i32, &[ErrorKind]); 16] = [
    (1, &[ErrorKind::Cancelled]),
    (2, &[ErrorKind::Internal]),
    (3, &[ErrorKind::InvalidArgument]),
    (4, &[ErrorKind::Timeout]),
    (5, &[ErrorKind::NotFound]),
    (6, &[ErrorKind::AlreadyExists]),
    (7, &[ErrorKind::PermissionDenied]),
    (8, &[ErrorKind::ResourceExhausted]),
    (9, &[ErrorKind::FailedPrecondition, ErrorKind::NotFound]),
    (10, &[ErrorKind::FailedPrecondition, ErrorKind::NotFound]),
    (11, &[ErrorKind::InvalidArgument, ErrorKind::Internal]),
    (12, &[ErrorKind::Unsupported]),
    (13, &[ErrorKind::Internal]),
    (14, &[ErrorKind::Unavailable]),
    (15, &[ErrorKind::Internal]),
    (16, &[ErrorKind::Unauthenticated]),
];

/// Answers every call before and after the server acted and several times in a row, with each code in turn, and with and without the wish to wait.
pub(crate) async fn to_every_call(world: Arc<World>) -> Result<String> {
    let counts = measure(&world, true).await?;
    let strikes = (1..=counts.calls)
        .flat_map(|at| [(1, false), (1, true), (IN_A_ROW, false)].map(|(times, acted)| (at, times, acted)));
    let answers =
        CODES.into_iter().flat_map(|code| [None, Some(WAIT)].map(|details| (code, details))).cycle();
    let all: Vec<_> = strikes.zip(answers).map(|(strike, answer)| case(strike, answer)).collect();
    let tally = cases::run(&world, all, AT_ONCE).await?;
    ensure(tally.struck >= 2 * counts.calls, || format!("only {tally}"))?;
    ensure(tally.groups() == 2 * CODES.len(), || format!("not every answer was given: {tally}"))?;
    ensure(tally.saw_errors(), || format!("no caller saw an error: {tally}"))?;
    Ok(format!("{} answers, {tally}", tally.groups()))
}

fn case(
    (at, times, acted): (usize, usize, bool),
    ((code, told), details): ((i32, &'static [ErrorKind]), Option<&'static str>),
) -> Case {
    let fault = Fault::Answer { at, times, answer: Answer { code, details }, acted };
    let group = format!("{code}-{}", details.map_or("plain", |_| "wait"));
    let name = format!("answer-{at}-{times}-{acted}-{group}");
    Case { told, group: Some(group), ..Case::new(name, fault) }
}
