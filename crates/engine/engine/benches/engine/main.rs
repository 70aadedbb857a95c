//! Creation, exec, end and memory of the engine, and whole processes of `lattice`, beside crun, bubblewrap and a plain spawn on the same
//! machine in the same run.
//!
//! Every round measures each contender once, in turn, so that a noisy minute meets all of them. `--check` turns the goals
//! into gates: medians and ratios within this run.

#![expect(clippy::print_stdout, reason = "a benchmark reports on its terminal")]

mod crowd;
mod crun;
mod idle;
mod lattice;
mod process;
mod report;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use crun::{Crun, Filter};
use process::Front;
use report::{Gate, Samples};

/// Rounds that count.
const ROUNDS: usize = 50;
/// Rounds before them, which fill caches.
const WARM_UP: usize = 5;
/// What every contender runs.
const PROGRAM: &str = "/usr/bin/true";
/// Names the command line that is measured; without it whole processes are left out.
const LATTICE: &str = "OPENLATTICE_BENCH_LATTICE";

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<ExitCode> {
    let check = std::env::args().any(|argument| argument == "--check");
    let folder = tempfile::Builder::new().prefix("openlattice-bench-").tempdir()?;
    let mut gates = measure(folder.path())?;
    match std::env::var_os(LATTICE).map(PathBuf::from) {
        Some(lattice) => {
            gates.extend(whole(folder.path(), &lattice)?);
            gates.extend(crowd::measure(folder.path(), &lattice)?);
        }
        None => println!("skip: {LATTICE} names no command line, so no whole process is measured"),
    }
    folder.close()?;
    let missed = gates.iter().filter(|gate| !gate.print()).count();
    let failed = check && missed > 0;
    if failed {
        println!("{missed} of {} goals missed", gates.len());
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Runs everything inside this process on a store of its own.
fn measure(folder: &Path) -> Outcome<Vec<Gate>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut crun = Crun::start(&folder.join("crun"), PROGRAM, Filter::EveryAbi)?;
    let mut crun_one = Crun::start(&folder.join("crun-one"), PROGRAM, Filter::OneAbi)?;
    let mut lattice = lattice::Lattice::open(&runtime, &folder.join("store"))?;
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
    let mut ends = Samples::default();
    for round in 0..WARM_UP + ROUNDS {
        let end = lattice.create_and_remove(PROGRAM)?;
        if round >= WARM_UP {
            ends.push(end);
        }
    }
    let pss = idle::pss(&lattice)?;
    Ok(times.gates(&ends, &pss))
}

/// Runs whole processes in turn.
fn whole(folder: &Path, lattice: &Path) -> Outcome<Vec<Gate>> {
    let mut crun = Crun::start(&folder.join("crun-whole"), PROGRAM, Filter::EveryAbi)?;
    let front = Front::new(lattice, folder.join("whole"))?;
    let standing = front.create()?;
    let mut samples: [Samples; 4] = Default::default();
    for round in 0..WARM_UP + ROUNDS {
        let taken = [process::bubblewrap()?, crun.run()?, front.run()?, front.exec(&standing)?];
        if round >= WARM_UP {
            samples.iter_mut().zip(taken).for_each(|(samples, taken)| samples.push(taken));
        }
    }
    front.remove(&standing)?;
    let [bubblewrap, crun, run, exec] = &samples;
    println!(
        "{ROUNDS} rounds of whole processes, {PROGRAM}, milliseconds: smallest / median / 95th percentile"
    );
    bubblewrap.print("bwrap --unshare-all");
    crun.print("crun run with limits and seccomp");
    run.print("lattice run");
    exec.print("lattice exec");
    Ok(vec![
        Gate::new("lattice run / bwrap", run.median() / bubblewrap.median(), 2.2),
        Gate::new("lattice run / crun run", run.median() / crun.median(), 0.8),
        Gate::new("lattice exec / bwrap", exec.median() / bubblewrap.median(), 1.2),
    ])
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

    fn gates(&self, ends: &Samples, pss: &Samples) -> Vec<Gate> {
        println!("{ROUNDS} rounds, {PROGRAM}, milliseconds: smallest / median / 95th percentile");
        self.crun.print("crun run with limits and seccomp");
        self.crun_one.print("  its filter for one interface");
        self.create.print("create to first exec done");
        self.created.print("  of that: create");
        self.spawn.print("plain spawn");
        self.exec.print("exec");
        ends.print("destroy to everything freed");
        pss.print("agent PSS in KiB, 50 idle");
        vec![
            Gate::new("create to first exec done / crun run", self.create.median() / self.crun.median(), 0.4),
            Gate::new("create to first exec done, ms", self.create.median(), 12.0),
            Gate::new("exec / plain spawn", self.exec.median() / self.spawn.median(), 2.0),
            Gate::new("destroy to everything freed, ms", ends.median(), 4.0),
            Gate::new("agent PSS, KiB", pss.median(), 300.0),
        ]
    }
}
