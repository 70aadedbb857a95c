//! The words that `lattice` takes.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::{commands, exit, log, providers};

/// Run commands in isolated sandboxes on this machine or on Modal.
#[derive(Debug, Parser)]
#[command(name = "lattice", version, about = "Run commands in isolated sandboxes on this machine or on Modal", after_help = exit::HELP, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Folder of the store [default: /var/lib/openlattice for root, else below XDG_STATE_HOME]
    #[arg(long, global = true, env = "LATTICE_STATE_DIR", value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Where sandboxes run: on this machine, or by Modal's protocol on its cloud or on `lattice serve`
    #[arg(long, global = true, default_value = providers::DEFAULT, value_parser = providers::names())]
    pub(crate) provider: String,
    /// What is logged on standard error: off, error, warn, info, debug or trace, or levels by crate,
    /// as openlattice_modal=debug,h2=info [default: warn]
    #[arg(long, global = true, env = "LATTICE_LOG", value_name = "LEVEL")]
    pub(crate) log: Option<log::Filter>,
}

/// The commands, one file each.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(commands::run::Run),
    Create(commands::create::Create),
    Exec(commands::exec::Exec),
    Ps(commands::ps::Ps),
    Port(commands::port::Port),
    Inspect(commands::inspect::Inspect),
    Rm(commands::rm::Rm),
    Tag(commands::tag::Tag),
    Snapshot(commands::snapshot::Snapshot),
    Cp(commands::cp::Cp),
    Watch(commands::watch::Watch),
    Serve(commands::serve::Serve),
    Images(commands::images::Images),
    Volume(commands::volume::Volume),
    Gc(commands::gc::Gc),
    Doctor(commands::doctor::Doctor),
    Capabilities(commands::capabilities::Capabilities),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example() {
        for command in Arguments::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("lattice "), "{} has no example", command.get_name());
        }
    }
}
