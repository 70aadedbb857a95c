//! Mixed load on one store with `kill -9` of whoever works on it, and checks of everything that was acknowledged.

mod call;
mod ending;
mod ledger;
mod participant;
mod random;
mod steps;
mod tally;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::failure::{Attempted, Failure, Result};
use crate::leaks::TestDir;
use crate::server::{Server, Store};
use crate::workspace::Workspace;
use crate::{clients, interop};
use ledger::Ledger;
use participant::Participant;
use random::Random;
use tally::Tally;

/// How many work on the store at once, besides a server.
const PARTICIPANTS: u64 = 8;
/// How long the stage of `cargo xtask test` loads the store.
const SHORT: Duration = Duration::from_secs(120);
/// How long the task does unless it is told.
const MINUTES: u64 = 20;

/// What all participants share.
struct Load {
    store: Store,
    /// For the files that are copied.
    scratch: PathBuf,
    ledger: Mutex<Ledger>,
    tally: Tally,
    until: Instant,
}

/// The task: `--minutes N` and `--seed N`.
pub(crate) fn run(workspace: &Workspace, arguments: &[&str]) -> Result<()> {
    let options = Options::parse(arguments)?;
    let test_dir = TestDir::new()?;
    let load = Duration::from_secs(60 * options.minutes.unwrap_or(MINUTES));
    let outcome = soak(workspace, test_dir.path(), load, options.seed);
    let left = test_dir.finish();
    println!("{}", outcome?);
    println!("{}", left?);
    Ok(())
}

/// The stage of `cargo xtask test`, whose last stages look for what is left.
pub(crate) fn check(workspace: &Workspace, test_dir: &Path) -> Result<String> {
    soak(workspace, test_dir, SHORT, None)
}

/// Options of tasks that load a store.
#[derive(Debug, Default)]
struct Options {
    minutes: Option<u64>,
    seed: Option<u64>,
}

impl Options {
    fn parse(arguments: &[&str]) -> Result<Self> {
        let mut options = Self::default();
        for pair in arguments.chunks(2) {
            let number = pair.get(1).and_then(|text| text.parse().ok());
            match (pair[0], number) {
                ("--minutes", Some(minutes)) => options.minutes = Some(minutes),
                ("--seed", Some(seed)) => options.seed = Some(seed),
                _ => {
                    let text = format!("{:?} is no option: use --minutes N and --seed N", pair.join(" "));
                    return Err(Failure::new(text));
                }
            }
        }
        Ok(options)
    }
}

fn soak(workspace: &Workspace, test_dir: &Path, load: Duration, seed: Option<u64>) -> Result<String> {
    if !clients::is_root() {
        return Err(Failure::new("the soak makes sandboxes, which needs root"));
    }
    interop::build(workspace)?;
    let seed = seed.unwrap_or_else(fresh_seed);
    println!("soak: {} s, seed {seed}", load.as_secs());
    let scratch = test_dir.join("soak-files");
    fs::create_dir(&scratch).attempted(format!("could not make {}", scratch.display()))?;
    let store = Store::new(workspace, test_dir, "soak")?;
    let begin = ending::first(&store)?;
    let load = Load {
        store,
        scratch,
        ledger: Mutex::default(),
        tally: Tally::default(),
        until: Instant::now() + load,
    };
    participate(&load, seed);
    let end = ending::check(&load);
    let Load { store, scratch, tally, .. } = load;
    println!("{tally}");
    let removed = store.remove();
    fs::remove_dir_all(&scratch).attempted(format!("could not remove {}", scratch.display()))?;
    let end = end.and_then(|end| removed.map(|()| end));
    tally.verdict(seed)?;
    Ok(format!("{}, store {begin} bytes at the start, {} at the end, seed {seed}", tally.summary(), end?))
}

fn fresh_seed() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    now.as_secs().rotate_left(20) ^ u64::from(now.subsec_nanos())
}

/// Loads the store until it is time; every participant is a thread that starts real processes.
fn participate(load: &Load, seed: u64) {
    thread::scope(|scope| {
        for number in 0..PARTICIPANTS {
            scope.spawn(move || Participant::new(load, number, seed).take_part());
        }
        scope.spawn(|| serve(load, Random::new(seed, PARTICIPANTS)));
    });
}

/// A server on the same store, which is killed and started again.
fn serve(load: &Load, mut random: Random) {
    while Instant::now() < load.until {
        match Server::start(&load.store, "127.0.0.1:0") {
            Err(failure) => load.tally.violation(&format!("the server did not start: {failure}")),
            Ok(server) => {
                thread::sleep(Duration::from_millis(500 + random.below(6000)));
                server.kill();
                load.tally.count("serve", true, Duration::ZERO);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_numbers_by_name() {
        let options = Options::parse(&["--seed", "7", "--minutes", "2"]).unwrap();
        assert_eq!((options.seed, options.minutes), (Some(7), Some(2)));
        for wrong in [&["--seed"][..], &["--minutes", "x"], &["7"]] {
            assert!(Options::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
