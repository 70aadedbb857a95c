//! Limits as the files of control groups.

use super::hierarchy::{Controller, Hierarchies};
use crate::{
    error::{Error, ErrorKind, Result},
    sandbox::Limits,
};

/// Microseconds in which processor time is counted: the kernel's default.
const PERIOD_US: u64 = 100_000;

/// Files and values for v1. Memory comes before memory and swap: the kernel refuses a total below its part.
pub(super) fn v1(controller: Controller, limits: &Limits) -> Vec<(&'static str, String)> {
    match controller {
        Controller::Cpu => limits
            .milli_cpus
            .map(|cpus| ("cpu.cfs_quota_us", quota_us(cpus).to_string()))
            .into_iter()
            .collect(),
        Controller::Memory => {
            let files = ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"];
            limits
                .memory_bytes
                .map(|bytes| files.map(|file| (file, bytes.to_string())))
                .into_iter()
                .flatten()
                .collect()
        }
        Controller::Pids => limits.pids.map(|pids| ("pids.max", pids.to_string())).into_iter().collect(),
    }
}

/// Controllers, files and values for v2, for what v1 does not have. `Unsupported` for what neither has.
pub(super) fn unified(
    hierarchies: &Hierarchies,
    limits: &Limits,
) -> Result<Vec<(Controller, &'static str, String)>> {
    let mut files = Vec::new();
    for controller in [Controller::Cpu, Controller::Memory, Controller::Pids] {
        let values = unified_values(controller, limits);
        if values.is_empty() || hierarchies.v1(controller).is_some() {
            continue;
        }
        if !hierarchies.unified_has(controller) {
            let name = controller.name();
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("cannot limit {name}: this host has no cgroup controller for it"),
            ));
        }
        files.extend(values.into_iter().map(|(file, value)| (controller, file, value)));
    }
    Ok(files)
}

fn unified_values(controller: Controller, limits: &Limits) -> Vec<(&'static str, String)> {
    match controller {
        Controller::Cpu => limits
            .milli_cpus
            .map(|cpus| ("cpu.max", format!("{} {PERIOD_US}", quota_us(cpus))))
            .into_iter()
            .collect(),
        // One bound for memory and swap together: on v2 that is a bound on memory and no swap.
        Controller::Memory => limits
            .memory_bytes
            .map(|bytes| [("memory.max", bytes.to_string()), ("memory.swap.max", "0".to_owned())])
            .into_iter()
            .flatten()
            .collect(),
        Controller::Pids => limits.pids.map(|pids| ("pids.max", pids.to_string())).into_iter().collect(),
    }
}

/// The kernel takes no quota below a millisecond.
fn quota_us(milli_cpus: u64) -> u64 {
    (milli_cpus.saturating_mul(PERIOD_US) / 1000).max(1000)
}
