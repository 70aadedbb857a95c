//! Running generated cases side by side, and the sum of what they saw.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use openlattice::ErrorKind;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::fault::{Counts, Fault};
use crate::world::World;
use crate::{Failure, Result, ensure, session};

/// A case that takes longer hangs.
const HANGS: Duration = Duration::from_secs(150);
/// How many failures a report repeats.
const SHOWN: usize = 8;

/// One session with one fault.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) fault: Fault,
    pub(crate) second_generation: bool,
    /// Whether the sandbox has an initial command.
    pub(crate) initial: bool,
    /// The kinds of error that the server is made to give.
    pub(crate) told: &'static [ErrorKind],
    /// The name of the faults that are counted together.
    pub(crate) group: Option<String>,
}

impl Case {
    /// A case on a sandbox of the second generation, whose callers see broken connections at most.
    pub(crate) fn new(name: String, fault: Fault) -> Self {
        Self { name, fault, second_generation: true, initial: false, told: &[], group: None }
    }
}

/// What came of many cases.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Cases whose fault struck.
    pub(crate) struck: usize,
    /// Cases that ended before their frame came by, since some frames are a matter of timing.
    pub(crate) spared: usize,
    /// The groups of which at least one fault struck.
    groups: BTreeSet<String>,
    seen: BTreeMap<String, usize>,
    failures: Vec<String>,
}

/// What a session without a fault sends.
pub(crate) async fn measure(world: &World, second_generation: bool) -> Result<Counts> {
    let name = format!("measure-{second_generation}-{}", uuid());
    let case = Case { second_generation, ..Case::new(name, Fault::None) };
    let path = world.path(case.fault, second_generation).await?;
    let seen = session::run(world, &path, &case).await?.seen();
    ensure(seen.is_empty(), || format!("without a fault: {seen:?}"))?;
    Ok(path.plan.counts())
}

fn uuid() -> u64 {
    static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

/// Runs the session once per case.
pub(crate) async fn run(world: &Arc<World>, cases: Vec<Case>, at_once: usize) -> Result<Tally> {
    let places = Arc::new(Semaphore::new(at_once));
    let mut running = JoinSet::new();
    for case in cases {
        let (world, places) = (Arc::clone(world), Arc::clone(&places));
        running.spawn_local(async move {
            let _place = places.acquire_owned().await.expect("the places are never closed");
            let outcome = timeout(HANGS, one(&world, &case)).await;
            let outcome = outcome.unwrap_or_else(|_| Err(Failure("it hangs".to_owned())));
            (case, outcome)
        });
    }
    let mut tally = Tally::default();
    while let Some(done) = running.join_next().await {
        let (case, outcome) = done.map_err(Failure::of("run a case"))?;
        tally.add(&case, outcome);
    }
    tally.checked()
}

async fn one(world: &World, case: &Case) -> Result<(bool, BTreeMap<String, usize>)> {
    let path = world.path(case.fault, case.second_generation).await?;
    let caller = session::run(world, &path, case).await?;
    Ok((path.plan.has_struck(), caller.seen()))
}

impl Tally {
    fn add(&mut self, case: &Case, outcome: Result<(bool, BTreeMap<String, usize>)>) {
        match outcome {
            Ok((struck, seen)) => {
                self.struck += usize::from(struck);
                self.groups.extend(case.group.clone().filter(|_| struck));
                self.spared += usize::from(!struck);
                for (what, times) in seen {
                    *self.seen.entry(what).or_default() += times;
                }
            }
            Err(Failure(text)) => self.failures.push(format!("{}: {text}", case.name)),
        }
    }

    /// Gives how many groups had a fault that struck.
    pub(crate) fn groups(&self) -> usize {
        self.groups.len()
    }

    /// Says whether a caller saw an error at all.
    pub(crate) fn saw_errors(&self) -> bool {
        !self.seen.is_empty()
    }

    fn checked(self) -> Result<Self> {
        let count = self.failures.len();
        let shown = || self.failures.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("\n");
        ensure(count == 0, || {
            format!("{count} cases failed, {} held:\n{}", self.struck + self.spared, shown())
        })?;
        Ok(self)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cases, {} ended before their turn; callers saw {:?}",
            self.struck, self.spared, self.seen
        )
    }
}
