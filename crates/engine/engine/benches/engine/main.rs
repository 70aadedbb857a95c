//! Creation, exec and memory of the engine, beside crun and a plain spawn on the same machine in the same run.
//!
//! Every round measures each contender once, in turn, so that a noisy minute meets all of them. `--check` turns the goals
//! into gates: medians and ratios within this run.

#![expect(clippy::print_stdout, reason = "a benchmark reports on its terminal")]

mod crun;
mod idle;
mod lattice;
mod report;

use std::error::Error;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use crun::{Crun, Filter};
use report::{Gate, Samples};

/// Rounds that count.
const ROUNDS: usize = 50;
/// Rounds before them, which fill caches.
const WARM_UP: usize = 5;
/// What every contender runs.
const PROGRAM: &str = "/usr/bin/true";

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<ExitCode> {
    let check = std::env::args().any(|argument| argument == "--check");
    let gates = measure()?;
    let missed = gates.iter().filter(|gate| !gate.print()).count();
    let failed = check && missed > 0;
    if failed {
        println!("{missed} of {} goals missed", gates.len());
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Runs everything on a store of its own, which is gone afterwards.
fn measure() -> Outcome<Vec<Gate>> {
    let folder = tempfile::Builder::new().prefix("openlattice-bench-").tempdir()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut crun = Crun::start(&folder.path().join("crun"), PROGRAM, Filter::EveryAbi)?;
    let mut crun_one = Crun::start(&folder.path().join("crun-one"), PROGRAM, Filter::OneAbi)?;
    let mut lattice = lattice::Lattice::open(&runtime, &folder.path().join("store"))?;
    let standing = lattice.create()?;
    let mut times = Times::default();
    for round in 0..WARM_UP + ROUNDS {
        let (crun, crun_one) = (crun.run()?, crun_one.run()?);
        let [create, created] = lattice.create_and_exec(PROGRAM)?;
        let taken = [crun, crun_one, create, created, spawn()?, lattice.exec(&standing, PROGRAM)?];
        if round >= WARM_UP {
            times.push(taken);
        }
    }
    lattice.remove(&standing)?;
    lattice.remove_all()?;
    let pss = idle::pss(&lattice)?;
    folder.close()?;
    Ok(times.gates(&pss))
}

/// What one plain process costs.
fn spawn() -> Outcome<Duration> {
    let start = Instant::now();
    Command::new(PROGRAM).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    Ok(start.elapsed())
}

#[derive(Default)]
struct Times {
    crun: Samples,
    crun_one: Samples,
    create: Samples,
    created: Samples,
    spawn: Samples,
    exec: Samples,
}

impl Times {
    fn push(&mut self, [crun, crun_one, create, created, spawn, exec]: [Duration; 6]) {
        self.crun.push(crun);
        self.crun_one.push(crun_one);
        self.create.push(create);
        self.created.push(created);
        self.spawn.push(spawn);
        self.exec.push(exec);
    }

    fn gates(&self, pss: &Samples) -> Vec<Gate> {
        println!("{ROUNDS} rounds, {PROGRAM}, milliseconds: smallest / median / 95th percentile");
        self.crun.print("crun run with limits and seccomp");
        self.crun_one.print("  its filter for one interface");
        self.create.print("create to first exec done");
        self.created.print("  of that: create");
        self.spawn.print("plain spawn");
        self.exec.print("exec");
        pss.print("agent PSS in KiB, 50 idle");
        vec![
            Gate::new("create to first exec done / crun run", self.create.median() / self.crun.median(), 0.4),
            Gate::new("create to first exec done, ms", self.create.median(), 12.0),
            Gate::new("exec / plain spawn", self.exec.median() / self.spawn.median(), 2.0),
            Gate::new("agent PSS, KiB", pss.median(), 300.0),
        ]
    }
}
