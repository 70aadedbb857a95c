//! The connection breaks at every frame of the session, in each direction.

use std::sync::Arc;

use crate::cases::{self, Case, measure};
use crate::fault::{Fault, Way};
use crate::world::World;
use crate::{Result, ensure};

const AT_ONCE: usize = 8;
/// New connections refused in a row after a cut: one more than a call to the control plane is tried.
const REFUSED: usize = 5;

/// Cuts at every frame: before it and in its middle, in both directions, for both generations of sandboxes.
pub(crate) async fn at_every_frame(world: Arc<World>) -> Result<String> {
    let mut all = Vec::new();
    for second_generation in [true, false] {
        let counts = measure(&world, second_generation).await?;
        for (way, count) in [(Way::ToServer, counts.to_server), (Way::ToClient, counts.to_client)] {
            all.extend((1..=count).map(|at| cut(way, at, at % 2 == 0, 0, second_generation)));
        }
    }
    let tally = cases::run(&world, all, AT_ONCE).await?;
    ensure(tally.struck >= 300, || format!("only {tally}"))?;
    Ok(tally.to_string())
}

/// After the cut the server refuses connections for a while: longer than a call is repeated by itself, so that callers see errors.
pub(crate) async fn and_refused(world: Arc<World>) -> Result<String> {
    let counts = measure(&world, true).await?;
    let all = (1..=counts.to_server).step_by(2).map(|at| cut(Way::ToServer, at, false, REFUSED, true));
    let tally = cases::run(&world, all.collect(), AT_ONCE).await?;
    ensure(tally.saw_errors(), || format!("no caller saw an error: {tally}"))?;
    Ok(tally.to_string())
}

fn cut(way: Way, at: usize, half: bool, refused: usize, second_generation: bool) -> Case {
    let fault = Fault::Cut { way, at, half, refused };
    let generation = if second_generation { 2 } else { 1 };
    Case { name: format!("cut-{way:?}-{at}-{refused}-v{generation}"), fault, second_generation }
}
