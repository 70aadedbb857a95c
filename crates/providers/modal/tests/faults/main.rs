//! The provider over a wire that breaks: every case is generated from what a session without a fault sent.
//!
//! One server on one store serves all cases; each case has a client of its own behind a proxy of its own. The number of cases is
//! written to standard error.
#![allow(clippy::unwrap_used, reason = "test code; only functions marked as tests are exempt by themselves")]

mod answers;
mod awaits;
mod caller;
mod cases;
mod cuts;
mod drops;
mod expiry;
mod fault;
mod frame;
mod frames;
mod operation;
mod proxy;
mod session;
mod world;

use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::OnceCell;
use tokio::task::LocalSet;

use world::World;

/// Why a case failed.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// Turns an error of the set-up into a failure.
    pub(crate) fn of<E: Display>(what: &'static str) -> impl Fn(E) -> Self {
        move |error| Self(format!("cannot {what}: {error}"))
    }
}

/// Fails with a text unless a condition holds.
pub(crate) fn ensure(holds: bool, text: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(Failure(text())) }
}

type Test = fn(Arc<World>) -> Pin<Box<dyn Future<Output = Result<String>>>>;

const TESTS: [(&str, Test); 10] = [
    ("g2_g3_g4_g5_a_cut_at_every_frame", |world| Box::pin(cuts::at_every_frame(world))),
    ("g2_g3_g4_g5_a_cut_at_any_byte", |world| Box::pin(cuts::at_any_byte(world))),
    ("g2_g4_g5_every_call_arrives_twice", |world| Box::pin(drops::and_every_call_twice(world))),
    ("g3_tokens_run_out_on_the_way", |_| Box::pin(expiry::on_the_way())),
    ("g3_g5_a_server_that_stays_away_is_a_typed_error", |world| Box::pin(cuts::and_refused(world))),
    ("g2_g3_g4_a_reply_lost_after_the_server_acted", |world| Box::pin(drops::at_every_reply(world))),
    ("g3_any_status_for_any_call", |world| Box::pin(answers::to_every_call(world))),
    ("g9_dropped_at_every_frame", |world| Box::pin(frames::of_every_operation(world))),
    ("g4_g9_dropped_at_every_frame_and_repeated_by_key", |world| {
        Box::pin(frames::and_repeated_by_key(world))
    }),
    ("g9_dropped_at_every_await", |world| Box::pin(awaits_of(world))),
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Each test runs its cases side by side.
    arguments.test_threads = Some(1);
    let runtime = Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let (runtime, world) = (Arc::new(runtime), Arc::new(OnceCell::new()));
    let trials = TESTS.iter().map(|(name, test)| trial(&runtime, &world, name, *test)).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    match runtime.block_on(end(world)) {
        Ok(()) => conclusion.exit_code(),
        Err(failure) => {
            say(&failure.0);
            ExitCode::FAILURE
        }
    }
}

fn trial(runtime: &Arc<Runtime>, world: &Arc<OnceCell<Arc<World>>>, name: &str, test: Test) -> Trial {
    let (runtime, world) = (Arc::clone(runtime), Arc::clone(world));
    let label = name.to_owned();
    Trial::test(name, move || {
        // The cases share this thread; the server and what the provider spawns have the others.
        let outcome = runtime.block_on(LocalSet::new().run_until(async {
            let world = world.get_or_try_init(async || World::start().await.map(Arc::new)).await?;
            test(Arc::clone(world)).await
        }));
        say(&format!("{label}: {}", outcome.as_ref().map_or("failed", String::as_str)));
        outcome.map(drop).map_err(|Failure(text)| Failed::from(text))
    })
}

async fn awaits_of(world: Arc<World>) -> Result<String> {
    let path = world.path(fault::Fault::None, true).await?;
    let polled = awaits::of_every_operation(&*path.provider).await.map_err(Failure)?;
    awaits::enough(&polled).map_err(Failure)
}

/// Ends the world, if a test started it, and fails when something is alive that no test ended.
async fn end(world: Arc<OnceCell<Arc<World>>>) -> Result<()> {
    let Some(world) = Arc::into_inner(world).and_then(OnceCell::into_inner) else { return Ok(()) };
    let world = Arc::into_inner(world).ok_or_else(|| Failure("a case outlived its test".to_owned()))?;
    let left = world.end().await?;
    ensure(left.is_empty(), || format!("left alive: {left:?}"))
}

/// Writes past the harness, which keeps what a passing test prints.
fn say(text: &str) {
    use std::io::Write;
    writeln!(std::io::stderr().lock(), "{text}").expect("standard error can be written to");
}
