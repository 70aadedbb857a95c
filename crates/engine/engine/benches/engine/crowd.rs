//! What other sandboxes cost: the same commands on a store with one sandbox and on one with a thousand, in turn.

use std::path::Path;

use crate::process::Front;
use crate::report::{Gate, Samples};
use crate::{Outcome, ROUNDS, WARM_UP};

/// Living sandboxes of the crowded store.
const CROWD: usize = 1000;

/// Fills a store, measures on both, and empties it one by one.
pub(crate) fn measure(folder: &Path, lattice: &Path) -> Outcome<Vec<Gate>> {
    let alone = Front::new(lattice, folder.join("alone"))?;
    let crowded = Front::new(lattice, folder.join("crowded"))?;
    let one = alone.create()?;
    let crowd = (0..CROWD).map(|_| crowded.create()).collect::<Outcome<Vec<_>>>()?;
    let mut samples: [Samples; 4] = Default::default();
    let rounds = (0..WARM_UP + ROUNDS).try_for_each(|round| {
        let taken = [alone.ps()?, crowded.ps()?, alone.run()?, crowded.run()?];
        if round >= WARM_UP {
            samples.iter_mut().zip(taken).for_each(|(samples, taken)| samples.push(taken));
        }
        Outcome::Ok(())
    });
    // One by one, whatever happened: what the kernel frees for many at once takes it long.
    crowd.iter().try_for_each(|id| crowded.remove(id))?;
    alone.remove(&one)?;
    rounds?;
    let [ps_alone, ps, run_alone, run] = &samples;
    println!("the same beside {CROWD} living sandboxes, milliseconds");
    ps_alone.print("lattice ps alone");
    ps.print("lattice ps beside them");
    run_alone.print("lattice run alone");
    run.print("lattice run beside them");
    Ok(vec![
        Gate::new("lattice ps beside 1000 / alone", ps.median() / ps_alone.median(), 1.5),
        Gate::new("lattice run beside 1000 / alone", run.median() / run_alone.median(), 1.5),
    ])
}
