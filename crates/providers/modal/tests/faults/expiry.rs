//! Tokens run out while a session goes on: the caller sees nothing of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openlattice::{
    Bytes, ComputeProvider, ExecSession, ExecSpec, Files, OutputReader, OutputStream, SandboxId,
    SandboxState, Stdin, WriteOptions,
};
use openlattice_modal::ModalProvider;
use openlattice_modal_server::Recorder;

use crate::fault::Fault;
use crate::operation::spec;
use crate::world::World;
use crate::{Failure, Result, ensure};

/// The shortest life that a token can have.
const LIFE: Duration = Duration::from_secs(1);
/// How often each kind of token is replaced before the session may end.
const RENEWALS: usize = 6;
const CONTROL: &str = "AuthTokenGet";

/// The calls that the server has had, by method.
#[derive(Clone, Debug, Default)]
struct Calls(Arc<Mutex<BTreeMap<String, usize>>>);

impl Calls {
    fn recorder(&self) -> Recorder {
        let calls = self.clone();
        Recorder::new(move |call| {
            let method = call.method.rsplit('/').next().unwrap_or_default().to_owned();
            *calls.lock().entry(method).or_default() += 1;
        })
    }

    fn of(&self, method: &str) -> usize {
        self.lock().get(method).copied().unwrap_or_default()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Talks to a command on each generation until every token in use has been replaced several times.
pub(crate) async fn on_the_way() -> Result<String> {
    let calls = Calls::default();
    let recorder = calls.recorder();
    let world = World::start_with(|config| {
        config.token_life = Some(LIFE);
        config.recorder = Some(recorder);
    });
    let world = world.await?;
    let (second, first) = tokio::join!(
        outlives(&world, &calls, true, "SandboxGetCommandRouterAccess"),
        outlives(&world, &calls, false, "TaskGetCommandRouterAccess"),
    );
    let left = world.end().await?;
    ensure(left.is_empty(), || format!("left alive: {left:?}"))?;
    Ok(format!("{} rounds over {} control tokens", second? + first?, calls.of(CONTROL)))
}

async fn outlives(world: &World, calls: &Calls, second_generation: bool, access: &str) -> Result<u64> {
    let path = world.path(Fault::None, second_generation).await?;
    let provider = &*path.provider;
    let id = provider.provision(spec(access)).await?.id;
    let session = provider.exec(&id, ExecSpec::new(["cat"]).with_stdin(Stdin::Open)).await?;
    // One stream for the whole session: it goes on when its token has run out.
    let mut reader = session.output(OutputStream::Stdout, 0);
    let (controls, accesses) = (calls.of(CONTROL), calls.of(access));
    let mut rounds = 0;
    while calls.of(CONTROL) < controls + RENEWALS || calls.of(access) < accesses + RENEWALS {
        round(provider, &id, &*session, &mut *reader, rounds).await?;
        rounds += 1;
    }
    session.close_stdin().await?;
    ensure(reader.next_chunk().await?.is_none(), || "there was more output than input".to_owned())?;
    let status = session.wait().await?;
    ensure(status.is_success(), || format!("it ended with {status:?}"))?;
    provider.destroy(&id).await?;
    Ok(rounds)
}

/// Says something to the command, hears it back, and uses both services in other ways.
async fn round(
    provider: &ModalProvider,
    id: &SandboxId,
    session: &dyn ExecSession,
    reader: &mut dyn OutputReader,
    round: u64,
) -> Result<()> {
    let word = Bytes::copy_from_slice(&round.to_be_bytes());
    session.write_stdin(8 * round, word.clone()).await?;
    let mut heard = Vec::new();
    while heard.len() < word.len() {
        heard.extend(reader.next_chunk().await?.ok_or_else(|| Failure("the output ended".to_owned()))?.data);
    }
    ensure(heard == word, || format!("round {round} gave {heard:?}"))?;
    let files = provider.extensions().get::<dyn Files>().expect("files are offered");
    files.write(id, "/tmp/round".as_ref(), word.clone(), WriteOptions::default()).await?;
    ensure(files.read(id, "/tmp/round".as_ref()).await? == word, || {
        format!("round {round} left another file")
    })?;
    let state = provider.inspect(id).await?.state;
    ensure(state == SandboxState::Running, || format!("it is {state:?}"))
}
