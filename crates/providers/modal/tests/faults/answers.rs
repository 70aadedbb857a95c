//! Calls are answered with a status, before the server has seen them or after it has acted.

use std::sync::Arc;

use crate::cases::{self, Case, measure};
use crate::fault::{Answer, Fault};
use crate::world::World;
use crate::{Result, ensure};

const AT_ONCE: usize = 8;
/// `RPCStatus` with one `RPCRetryPolicy` of 0.1 s, as it travels in a trailer.
const WAIT: &str = "CAgaLgolbW9kYWwuY29tL21vZGFsLmNsaWVudC5SUENSZXRyeVBvbGljeRIFDc3MzD0";

/// The codes that a client repeats by itself, a refused token, and a server that asks to wait.
const ANSWERS: [Answer; 7] = [
    Answer { code: 1, details: None },
    Answer { code: 2, details: None },
    Answer { code: 4, details: None },
    Answer { code: 13, details: None },
    Answer { code: 14, details: None },
    Answer { code: 16, details: None },
    Answer { code: 8, details: Some(WAIT) },
];

/// Answers every call once, with one status after the other, in turn before and after the server acted.
pub(crate) async fn to_every_call(world: Arc<World>) -> Result<String> {
    let counts = measure(&world, true).await?;
    let all = (1..=counts.calls).flat_map(|at| {
        [false, true].map(|acted| {
            let answer = ANSWERS[(2 * at + usize::from(acted)) % ANSWERS.len()];
            let fault = Fault::Answer { at, times: 1, answer, acted };
            Case { name: format!("answer-{at}-{}-{acted}", answer.code), fault, second_generation: true }
        })
    });
    let tally = cases::run(&world, all.collect(), AT_ONCE).await?;
    ensure(tally.struck >= counts.calls, || format!("only {tally}"))?;
    Ok(tally.to_string())
}
