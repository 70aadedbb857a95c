//! The launcher and the first process of a sandbox: one small program without a standard library.
//!
//! The engine embeds it and starts it from a sealed memfd. As launcher it makes the namespaces; the clone it leaves behind
//! sets the sandbox up from descriptors that the engine prepared, drops its privileges, and serves as process 1: it starts commands,
//! moves their input and output, reaps, keeps time, and writes how everything ended. Decisions are the engine's; see `protocol`.

#![no_std]
#![no_main]
#![no_builtins]

mod arch;
mod cgroup;
mod child;
mod clients;
mod end;
mod environment;
mod exec;
mod hold;
mod launch;
mod masks;
mod memory;
mod mounts;
mod plan;
#[allow(dead_code, unreachable_pub, reason = "one file serves the agent and the engine; each uses its half")]
mod protocol;
mod pump;
mod reap;
mod records;
mod relay;
mod serve;
mod setup;
mod signals;
mod start;
mod stdin;
mod sys;
mod table;
mod timers;

/// Called by the entry point of `arch`.
extern "C" fn start() -> ! {
    launch::run()
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // As process 1 this ends the sandbox; its empty result file says that the agent was lost.
    sys::exit(101)
}
