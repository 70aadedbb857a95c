//! The connection breaks at every frame of the session, in each direction.

use std::sync::Arc;

use crate::cases::{self, Case, measure};
use crate::fault::{Fault, Way};
use crate::world::World;
use crate::{Result, ensure};

const AT_ONCE: usize = 16;
/// New connections refused in a row after a cut: more than the control plane's calls, and than all calls, are tried.
const REFUSED: [usize; 2] = [5, 20];

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

/// How many bytes are chosen in each direction.
const BYTES: usize = 64;

/// Cuts in both directions at bytes that are spread over the whole session by a fixed sequence which prefers no place in a frame.
pub(crate) async fn at_any_byte(world: Arc<World>) -> Result<String> {
    let counts = measure(&world, true).await?;
    let ways = [(Way::ToServer, counts.bytes_to_server), (Way::ToClient, counts.bytes_to_client)];
    let all = ways.into_iter().flat_map(|(way, all)| spread(all).map(move |bytes| (way, bytes)));
    let case = |(way, bytes)| Case::new(format!("byte-{way:?}-{bytes}"), Fault::CutAfter { way, bytes });
    let tally = cases::run(&world, all.map(case).collect(), AT_ONCE).await?;
    ensure(tally.struck >= BYTES, || format!("only {tally}"))?;
    Ok(tally.to_string())
}

/// Numbers below a bound, no two alike: the fractional parts of the multiples of the golden ratio, which never cluster.
fn spread(bound: usize) -> impl Iterator<Item = usize> {
    let bound = bound as u64;
    (1..=BYTES as u64).map(move |number| {
        let fraction = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        usize::try_from((bound * fraction) >> 32).expect("it is below the bound")
    })
}

/// After the cut the server refuses connections for longer than a call is repeated by itself, so that callers see errors; what
/// a provision could not undo meanwhile is undone later, unless the repeated key has found it.
pub(crate) async fn and_refused(world: Arc<World>) -> Result<String> {
    let counts = measure(&world, true).await?;
    let [some, many] = REFUSED;
    let short = (1..=counts.to_server).step_by(3).map(|at| cut(Way::ToServer, at, false, some, true));
    let long = (1..=counts.to_server).step_by(7).map(|at| {
        let case = cut(Way::ToServer, at, false, many, true);
        Case { initial: true, ..case }
    });
    let tally = cases::run(&world, long.chain(short).collect(), 2 * AT_ONCE).await?;
    ensure(tally.saw_errors(), || format!("no caller saw an error: {tally}"))?;
    Ok(tally.to_string())
}

fn cut(way: Way, at: usize, half: bool, refused: usize, second_generation: bool) -> Case {
    let fault = Fault::Cut { way, at, half, refused };
    let generation = if second_generation { 2 } else { 1 };
    let name = format!("cut-{way:?}-{at}-{refused}-v{generation}");
    Case { second_generation, ..Case::new(name, fault) }
}
