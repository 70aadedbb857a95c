//! The command line `lattice`: compute nodes on this machine and on Modal.
//!
//! One file per command under `commands`; `providers` is the table of providers. Output for programs goes to standard
//! output, everything else to standard error. [`exit`] documents the exit codes.

mod arguments;
mod commands;
mod context;
mod exit;
mod failure;
mod live;
mod log;
mod node_arguments;
mod output;
mod providers;
mod provision;
mod pull;
mod resolve;
mod state_dir;
mod value;
mod variables;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use crate::arguments::{Arguments, Command};
use crate::failure::Failure;

fn main() -> ExitCode {
    let code = match Arguments::try_parse() {
        Ok(arguments) => run(arguments),
        Err(error) => refuse(&error),
    };
    ExitCode::from(code)
}

/// Prints help, or what is wrong with the arguments. For `run` and `exec` that is a failure of our own, so that it
/// cannot be taken for the command's.
fn refuse(error: &clap::Error) -> u8 {
    // What standard output or error no longer takes, nobody wants to read.
    drop(error.print());
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => 0,
        _ if names_a_runner(std::env::args()) => exit::OWN_FAILURE,
        _ => exit::USAGE,
    }
}

/// Whether the first word that is no option is `run` or `exec`.
fn names_a_runner(arguments: impl Iterator<Item = String>) -> bool {
    let mut words = arguments.skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--state-dir" | "--provider" | "--log" => drop(words.next()),
            option if option.starts_with('-') => {}
            command => return matches!(command, "run" | "exec"),
        }
    }
    false
}

fn run(arguments: Arguments) -> u8 {
    log::start(arguments.global.log.clone().unwrap_or_default());
    let runner = matches!(arguments.command, Command::Run(_) | Command::Exec(_));
    let runtime = threads(&arguments).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return report(&Failure::from_io("start threads", error), runner),
    };
    let outcome = runtime.block_on(commands::dispatch(arguments));
    // A thread that still waits for standard input must not hold up the end.
    runtime.shutdown_background();
    match outcome {
        Ok(code) => code,
        Err(failure) => report(&failure, runner),
    }
}

/// Several threads where a server runs in this process; one elsewhere, which is there sooner.
fn threads(arguments: &Arguments) -> tokio::runtime::Builder {
    let serves =
        matches!(arguments.command, Command::Serve(_)) || arguments.global.provider != providers::DEFAULT;
    if !serves {
        return tokio::runtime::Builder::new_current_thread();
    }
    let mut threads = tokio::runtime::Builder::new_multi_thread();
    threads.worker_threads(2);
    threads
}

/// Says on standard error what failed and gives the exit code.
fn report(failure: &Failure, runner: bool) -> u8 {
    output::complain(&failure.to_string());
    if runner { failure.runner_code() } else { failure.code() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_arguments_of_run_are_no_code_of_the_commands() {
        let runner = |line: &str| names_a_runner(line.split(' ').map(str::to_owned));
        assert!(runner("lattice run"));
        assert!(runner("lattice --state-dir run exec x"));
        assert!(!runner("lattice --state-dir run ps"));
        assert!(runner("lattice --log debug exec x"));
        assert!(!runner("lattice"));
    }
}
