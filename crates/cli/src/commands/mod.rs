//! One file per command.

pub(crate) mod capabilities;
pub(crate) mod cp;
pub(crate) mod create;
pub(crate) mod doctor;
pub(crate) mod exec;
pub(crate) mod gc;
pub(crate) mod images;
pub(crate) mod inspect;
pub(crate) mod port;
pub(crate) mod ps;
mod report;
pub(crate) mod rm;
pub(crate) mod run;
pub(crate) mod serve;
pub(crate) mod snapshot;
pub(crate) mod tag;
pub(crate) mod volume;
pub(crate) mod watch;

use crate::arguments::{Arguments, Command};
use crate::context::Context;
use crate::failure::Result;

/// Runs the chosen command and gives its exit code.
pub(crate) async fn dispatch(arguments: Arguments) -> Result<u8> {
    let context = Context::new(arguments.global);
    match arguments.command {
        Command::Run(command) => command.run(&context).await,
        Command::Exec(command) => command.run(&context).await,
        Command::Doctor(command) => command.run(&context).await,
        Command::Create(command) => command.run(&context).await.map(|()| 0),
        Command::Ps(command) => command.run(&context).await.map(|()| 0),
        Command::Port(command) => command.run(&context).await.map(|()| 0),
        Command::Inspect(command) => command.run(&context).await.map(|()| 0),
        Command::Rm(command) => command.run(&context).await.map(|()| 0),
        Command::Snapshot(command) => command.run(&context).await.map(|()| 0),
        Command::Cp(command) => command.run(&context).await.map(|()| 0),
        Command::Watch(command) => command.run(&context).await.map(|()| 0),
        Command::Serve(command) => command.run(&context).await.map(|()| 0),
        Command::Tag(command) => command.run(&context).await.map(|()| 0),
        Command::Volume(command) => command.run(&context).await.map(|()| 0),
        Command::Images(command) => command.run(&context).await.map(|()| 0),
        Command::Gc(command) => command.run(&context).await.map(|()| 0),
        Command::Capabilities(command) => command.run(&context).await.map(|()| 0),
    }
}
