//! The scripted session: everything that a caller does with one node, each answer checked to the byte.

use openlattice::{
    Bytes, ComputeProvider, ExecSession, ExecSpec, ExitStatus, Files, OutputStream, ProvisionSpec, SandboxId,
    SandboxInfo, SandboxState, SnapshotSpec, Stdin, WriteOptions,
};
use openlattice::{ErrorKind, ExecEnd};
use openlattice_modal::ModalProvider;

use crate::caller::Caller;
use crate::cases::Case;
use crate::world::{CASE, Path, World};
use crate::{Failure, Result, ensure};

const EXEC: &str = "work";
const COMPLAINT: &[u8] = b"a complaint\n";
const SCRIPT: &str = "echo ran >> /tmp/ran; cat; echo a complaint >&2; exit 7";
const EXIT: i32 = 7;

/// Goes through the session and gives what the caller saw go wrong.
pub(crate) async fn run(world: &World, path: &Path, case: &Case) -> Result<Caller> {
    let mut caller = Caller::new(case.told);
    let provider = &*path.provider;
    let id = provision(world, provider, case, &mut caller).await?;
    let case = &*case.name;
    work(provider, &id, &mut caller).await?;
    files(provider, &id, &mut caller).await?;
    let snapshot = caller.insist("snapshot", async || provider.snapshot(&id, SnapshotSpec::default()).await);
    ensure(snapshot.await?.external_id.starts_with("im-"), || "the snapshot has no id".to_owned())?;
    let info = inspect(provider, &id, SandboxState::Running, &mut caller).await?;
    ensure(info.state == SandboxState::Running, || format!("it is {:?}", info.state))?;
    ensure(info.tags.get(CASE).is_some_and(|tag| tag == case), || format!("its tags are {:?}", info.tags))?;
    destroy(world, provider, case, &id, &mut caller).await?;
    Ok(caller)
}

/// Asks for the state; a wrong one is an error where the server lies.
async fn inspect(
    provider: &ModalProvider,
    id: &SandboxId,
    right: SandboxState,
    caller: &mut Caller,
) -> Result<SandboxInfo> {
    let doubt = caller.doubt();
    let ask = async || {
        let info = provider.inspect(id).await?;
        doubt.or_else("inspect", info.state == right).map(|()| info)
    };
    caller.insist("inspect", ask).await
}

fn spec(case: &Case) -> ProvisionSpec {
    let mut spec = ProvisionSpec::new("host").with_key(&case.name);
    spec.tags.insert(CASE.to_owned(), case.name.clone());
    if case.initial {
        spec.runtime.command = vec!["true".to_owned()];
    }
    spec.env.set("PLANTED", "1".to_owned());
    spec
}

/// Provisions by the case's key; a repetition gives the same sandbox and the store has no other one alive.
async fn provision(
    world: &World,
    provider: &ModalProvider,
    case: &Case,
    caller: &mut Caller,
) -> Result<SandboxId> {
    let made = caller.insist("provision", async || provider.provision(spec(case)).await).await?;
    let again = caller.insist("provision again", async || provider.provision(spec(case)).await).await?;
    ensure(made.id == again.id, || format!("one key gave {} and {}", made.id, again.id))?;
    let alive = world.alive(&case.name).await?;
    ensure(alive == [made.id.as_str()], || format!("{} was made and {alive:?} are alive", made.id))?;
    Ok(made.id)
}

/// Runs one command under a fixed id: it runs once, its input, outputs and exit code are whole.
async fn work(provider: &ModalProvider, id: &SandboxId, caller: &mut Caller) -> Result<()> {
    let input = input();
    let session = start(provider, id, &input, caller).await?;
    let stdout = output(&*session, OutputStream::Stdout, caller).await?;
    let stderr = output(&*session, OutputStream::Stderr, caller).await?;
    ensure(stdout == input, || {
        format!("{} bytes of stdout are not the {} of stdin", stdout.len(), input.len())
    })?;
    ensure(stderr == COMPLAINT, || format!("stderr is {:?}", String::from_utf8_lossy(&stderr)))?;
    let status = caller.insist("wait", async || session.wait().await).await?;
    let right = (ExitStatus::Code(EXIT), ExecEnd::Exited);
    ensure((status.exit, status.reason) == right, || format!("it ended with {status:?}"))
}

/// Enough for several messages, and no two parts of it alike.
fn input() -> Bytes {
    (0..6000_u32).flat_map(u32::to_be_bytes).collect::<Vec<u8>>().into()
}

/// Starts the command; after a failure it is attached to by its id, and given what it lacks of its input.
async fn start(
    provider: &ModalProvider,
    id: &SandboxId,
    input: &Bytes,
    caller: &mut Caller,
) -> Result<Box<dyn ExecSession>> {
    let spec = ExecSpec::shell(SCRIPT).with_exec_id(EXEC).with_stdin(Stdin::Bytes(input.clone()));
    loop {
        match provider.exec(id, spec.clone()).await {
            Ok(session) => return Ok(session),
            Err(error) => caller.bear("exec", &error)?,
        }
        match caller.attached(provider, id).await? {
            Some(session) => {
                caller.insist("feed", async || feed(&*session, input).await).await?;
                return Ok(session);
            }
            None => continue,
        }
    }
}

impl Caller {
    /// Attaches to the command; nothing when it was never started.
    async fn attached(
        &mut self,
        provider: &ModalProvider,
        id: &SandboxId,
    ) -> Result<Option<Box<dyn ExecSession>>> {
        self.insist("attach", async || match provider.attach(id, &EXEC.into()).await {
            Ok(session) => Ok(Some(session)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
        .await
    }
}

async fn feed(session: &dyn ExecSession, input: &Bytes) -> openlattice::Result<()> {
    let at = session.stdin_status().await?;
    if at.closed {
        return Ok(());
    }
    let rest = input.slice(usize::try_from(at.accepted).expect("the input is short")..);
    session.write_stdin(at.accepted, rest).await?;
    session.close_stdin().await
}

/// Reads a stream to its end; a broken read is resumed at its offset with a reader of its own.
async fn output(session: &dyn ExecSession, stream: OutputStream, caller: &mut Caller) -> Result<Vec<u8>> {
    let mut whole = Vec::new();
    let mut reader = session.output(stream, 0);
    loop {
        match reader.next_chunk().await {
            Ok(Some(chunk)) => {
                let at = whole.len() as u64;
                ensure(chunk.offset == at, || format!("a chunk at {} came at {at}", chunk.offset))?;
                whole.extend_from_slice(&chunk.data);
            }
            Ok(None) => return Ok(whole),
            Err(error) => {
                caller.bear("read output", &error)?;
                reader = session.output(stream, whole.len() as u64);
            }
        }
    }
}

async fn files(provider: &ModalProvider, id: &SandboxId, caller: &mut Caller) -> Result<()> {
    let files = provider.extensions().get::<dyn Files>().expect("files are offered");
    let content = input();
    let write =
        async || files.write(id, "/tmp/a/file".as_ref(), content.clone(), WriteOptions::default()).await;
    caller.insist("write file", write).await?;
    let read = caller.insist("read file", async || files.read(id, "/tmp/a/file".as_ref()).await).await?;
    ensure(read == content, || format!("{} bytes came back of {}", read.len(), content.len()))?;
    let ran = caller.insist("read file", async || files.read(id, "/tmp/ran".as_ref()).await).await?;
    ensure(ran == "ran\n", || format!("the command left {ran:?}"))
}

/// Destroys, and asks the store whether anything of the case is left and how many there ever were.
async fn destroy(
    world: &World,
    provider: &ModalProvider,
    case: &str,
    id: &SandboxId,
    caller: &mut Caller,
) -> Result<()> {
    let doubt = caller.doubt();
    let end = async || {
        provider.destroy(id).await?;
        let ended = world.alive(case).await.is_ok_and(|alive| alive.is_empty());
        doubt.or_else("destroy", ended)
    };
    caller.insist("destroy", end).await?;
    let info = inspect(provider, id, SandboxState::Terminated, caller).await?;
    ensure(info.state == SandboxState::Terminated, || format!("it is {:?}", info.state))?;
    let alive = world.alive(case).await?;
    ensure(alive.is_empty(), || format!("{alive:?} are alive after destroy"))?;
    // What a failed provision had to end again is marked so; without a mark there is one, the caller's.
    let all = world.all(case).await?;
    let kept: Vec<_> = all.iter().filter(|info| !info.tags.contains_key("openlattice_failed")).collect();
    ensure(kept.len() == 1, || format!("{} sandboxes carry the key: {kept:?}", kept.len()))
}

impl From<openlattice::Error> for Failure {
    fn from(error: openlattice::Error) -> Self {
        Self(format!("{error:?}"))
    }
}
