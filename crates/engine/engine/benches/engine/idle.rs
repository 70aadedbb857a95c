//! Memory of the agents of idle sandboxes.

use std::fs;
use std::path::Path;

use crate::Outcome;
use crate::lattice::Lattice;
use crate::report::Samples;

/// How many sandboxes are alive while their agents are measured.
const ALIVE: usize = 50;

/// Creates idle sandboxes, reads each agent's proportional set size in KiB, and removes them.
pub(crate) fn pss(lattice: &Lattice<'_>) -> Outcome<Samples> {
    let ids = (0..ALIVE).map(|_| lattice.create()).collect::<Outcome<Vec<_>>>()?;
    let mut samples = Samples::default();
    for entry in fs::read_dir("/proc")?.filter_map(Result::ok) {
        if is_agent(&entry.path(), lattice.store_id()) {
            samples.add(pss_of(&entry.path())?);
        }
    }
    for id in &ids {
        lattice.remove(id)?;
    }
    if samples.len() != ALIVE {
        return Err(format!("found {} agents of {ALIVE} sandboxes", samples.len()).into());
    }
    Ok(samples)
}

/// Whether a process is an agent of this store: its program is the embedded one, its control group the store's.
fn is_agent(process: &Path, store: &str) -> bool {
    let program = fs::read_link(process.join("exe")).unwrap_or_default();
    let groups = fs::read_to_string(process.join("cgroup")).unwrap_or_default();
    program.to_string_lossy().contains("memfd:lattice-agent")
        && groups.contains(&format!("openlattice/{store}"))
}

fn pss_of(process: &Path) -> Outcome<f64> {
    let text = fs::read_to_string(process.join("smaps_rollup"))?;
    let line =
        text.lines().find_map(|line| line.strip_prefix("Pss:")).ok_or("smaps_rollup without a line Pss")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}
