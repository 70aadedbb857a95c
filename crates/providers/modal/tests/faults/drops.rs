//! The server acted, and its reply never arrives; or it arrives late.

use std::sync::Arc;

use crate::cases::{self, Case, measure};
use crate::fault::{Fault, Way};
use crate::world::World;
use crate::{Result, ensure};

const AT_ONCE: usize = 16;

/// Silences the server from every one of its frames on until it has answered, which covers every reply; and delays frames.
pub(crate) async fn at_every_reply(world: Arc<World>) -> Result<String> {
    let counts = measure(&world, true).await?;
    let lost = (1..=counts.to_client).map(|at| case("lost", at, Fault::Silence { at }));
    let tally = cases::run(&world, lost.collect(), AT_ONCE).await?;
    ensure(tally.struck >= 50, || format!("only {tally}"))?;
    let late = [(Way::ToServer, counts.to_server), (Way::ToClient, counts.to_client)].into_iter();
    let late = late.flat_map(|(way, count)| {
        (1..=count).step_by(8).map(move |at| case(&format!("late-{way:?}"), at, Fault::Delay { way, at }))
    });
    let delayed = cases::run(&world, late.collect(), AT_ONCE).await?;
    ensure(!delayed.saw_errors(), || format!("a delay is no error: {delayed}"))?;
    Ok(format!("{tally}; delays: {delayed}"))
}

/// Has the server get everything twice that was sent by the end of each call: what is repeated is done once.
pub(crate) async fn and_every_call_twice(world: Arc<World>) -> Result<String> {
    let counts = measure(&world, true).await?;
    let twice = (1..=counts.calls).map(|at| case("twice", at, Fault::Repeat { at }));
    let tally = cases::run(&world, twice.collect(), AT_ONCE).await?;
    ensure(2 * tally.struck >= counts.calls, || format!("only {tally}"))?;
    ensure(!tally.saw_errors(), || format!("what arrives twice is no error: {tally}"))?;
    Ok(tally.to_string())
}

fn case(name: &str, at: usize, fault: Fault) -> Case {
    Case::new(format!("{name}-{at}"), fault)
}
