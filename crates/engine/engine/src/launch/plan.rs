//! The plan that the agent executes.

use super::LaunchPlan;
use crate::{agent::records::Writer, protocol::tag, seccomp};
use std::{sync::OnceLock, time::Duration};

/// Id inside, beside those of the workload, under which the agent runs.
pub(crate) const AGENT_UID: u32 = crate::idmap::COUNT;

/// Capabilities of commands that run as root, in the sandbox's user namespace: what unprivileged package managers and servers use.
/// CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, SYS_CHROOT, SETFCAP.
const CAPABILITIES: u64 =
    1 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 18 | 1 << 31;

/// What tells about, or reaches, the host.
const MASK: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The plan as records.
pub(super) fn encode(plan: &LaunchPlan, targets: &[&str]) -> Vec<u8> {
    let env = plan.env.iter().map(|(key, value)| format!("{key}={value}"));
    Writer::default()
        .bytes(tag::HOSTNAME, plan.hostname.as_bytes())
        .strings(tag::BASE_ENV, env)
        .bytes(tag::SECCOMP, filter())
        .strings(tag::MASK, MASK)
        .strings(tag::READ_ONLY, READ_ONLY)
        .u64(tag::LIFETIME_MS, milliseconds(Some(plan.lifetime)))
        .u64(tag::IDLE_MS, milliseconds(plan.idle))
        .u32(tag::OWNER, crate::idmap::BASE)
        .u32(tag::AGENT_UID, AGENT_UID)
        .u64(tag::CAPABILITIES, CAPABILITIES)
        .u64(tag::NOFILE, plan.nofile)
        .strings(tag::WORKDIR, [&plan.workdir])
        .strings(tag::TARGETS, targets)
        .u64(tag::SHM_SIZE, plan.shm_bytes)
        .bytes(tag::PORTS, &ports(plan))
        .finish()
}

/// Numbers of the published ports inside.
fn ports(plan: &LaunchPlan) -> Vec<u8> {
    plan.listeners.ports.iter().flat_map(|port| u32::from(port.inside).to_le_bytes()).collect()
}

/// The filter is the same for all: compiled once.
fn filter() -> &'static [u8] {
    static FILTER: OnceLock<Vec<u8>> = OnceLock::new();
    FILTER.get_or_init(seccomp::program)
}

/// 0 is the agent's "none"; what is shorter than a millisecond is one.
fn milliseconds(time: Option<Duration>) -> u64 {
    time.map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1))
}
