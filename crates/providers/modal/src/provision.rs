//! Making a sandbox, once, and leaving none behind when that fails or nobody waits for it.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use openlattice::{
    Attachment, Capabilities, Error, ErrorKind, Owner, ProvisionSpec, Result, Retry, SandboxId, SandboxInfo,
    SnapshotRef, Subject,
};
use openlattice_modal_client as modal;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::account::Account;
use crate::claim::Claim;
use crate::error::Attempt;
use crate::key::Key;
use crate::made::Made;
use crate::{gpu, image, list, made, owner, plan, setup, tag};

/// A label of each attempt, by which a sandbox is found whose create call got no answer.
const ATTEMPT: &str = "openlattice_attempt";
/// How often a key that somebody else is using at the same moment is looked up again.
const KEY_ROUNDS: u32 = 50;
/// How often a found sandbox may be ended by whoever made it before this is an error.
const LOST_ROUNDS: u32 = 5;
/// The pause between two looks at a key whose sandbox is being made, and what it grows to.
const KEY_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_KEY_PAUSE: Duration = Duration::from_secs(5);
/// How long a create call that nobody waits for may take to its answer; after that the sandbox is looked for by its label.
const GRACE: Duration = Duration::from_secs(60);
/// When a sandbox without an answer is looked for again.
const LATER: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(20), Duration::from_secs(120)];

/// What is to be made.
pub(crate) struct Order {
    pub(crate) spec: ProvisionSpec,
    pub(crate) snapshot: Option<SnapshotRef>,
    pub(crate) offer: Arc<Capabilities>,
    pub(crate) attempt: Attempt,
    /// Whether the call that makes the sandbox has been sent.
    sent: AtomicBool,
}

impl Order {
    pub(crate) fn new(
        spec: ProvisionSpec,
        snapshot: Option<SnapshotRef>,
        offer: Arc<Capabilities>,
        attempt: Attempt,
    ) -> Self {
        Self { spec, snapshot, offer, attempt, sent: AtomicBool::new(false) }
    }
}

/// Makes the sandbox in a task of its own: dropping this future tells the task, which then ends what it has made.
pub(crate) async fn run(account: &Arc<Account>, order: Order) -> Result<SandboxInfo> {
    let attempt = order.attempt;
    let (reply, made) = oneshot::channel();
    let account = Arc::clone(account);
    drop(tokio::spawn(async move {
        let mut reply = reply;
        let outcome = make(&account, &order, &mut reply).await;
        // A caller that is gone gives the sandbox back, and dropping it here ends it.
        drop(reply.send(outcome));
    }));
    let lost = |_| Error::new(ErrorKind::Internal, attempt.0, "the task that makes the sandbox stopped");
    Ok(made.await.map_err(lost)??.keep())
}

async fn make(
    account: &Arc<Account>,
    order: &Order,
    reply: &mut oneshot::Sender<Result<Made>>,
) -> Result<Made> {
    for _ in 0..LOST_ROUNDS {
        if let Some(made) = make_once(account, order, reply).await? {
            return Ok(made);
        }
    }
    let text = "whoever made the key's sandbox ended it, again and again";
    Err(Error::new(ErrorKind::Unavailable, order.attempt.0, text).with_retry(Retry::Safe { after: None }))
}

/// Makes or finds the sandbox and sets it up; nothing when it was found, and ended meanwhile by the provision that made it.
async fn make_once(
    account: &Arc<Account>,
    order: &Order,
    reply: &mut oneshot::Sender<Result<Made>>,
) -> Result<Option<Made>> {
    let label = Uuid::new_v4().simple().to_string();
    let claim = account.claims.begin(&label);
    let mut obtaining = pin!(obtain(account, order, &label));
    let obtained = tokio::select! {
        biased;
        () = reply.closed() => match timeout(GRACE, obtaining.as_mut()).await {
            // It is made by now, so that ending it cannot miss it.
            Ok(obtained) => obtained,
            Err(_) => Err(given_up(order.attempt)),
        },
        obtained = obtaining.as_mut() => obtained,
    };
    let mut made = match obtained {
        Ok(made) => made.claimed(claim),
        Err(error) => return Err(swept(account, order, claim, error).await),
    };
    if made.info.end.is_some() {
        return Ok(Some(made));
    }
    let ready = tokio::select! {
        biased;
        () = reply.closed() => Err(given_up(order.attempt)),
        ready = set_up(account, &mut made, order) => ready,
    };
    match ready {
        Err(error) if made.is_new() || error.subject() == Some(Subject::InitialCommand) => {
            Err(abandoned(made, error).await)
        }
        _ if !made.is_new() && was_given_up(&made.sandbox).await => Ok(None),
        Ok(()) => Ok(Some(made)),
        Err(error) => Err(abandoned(made, error).await),
    }
}

async fn set_up(account: &Arc<Account>, made: &mut Made, order: &Order) -> Result<()> {
    setup::run(&made.sandbox, &order.spec, order.attempt).await?;
    // A new sandbox has the right owner already, unless it had one only for this.
    let settled = if made.is_new() { !is_temporary(&order.spec) } else { made.info.owner.is_none() };
    if settled { Ok(()) } else { settle(account, made, order).await }
}

/// Says whether a sandbox of this spec belongs to this process until it is set up: a crash in between must not leave it for good.
fn is_temporary(spec: &ProvisionSpec) -> bool {
    spec.attachment == Attachment::Detached && setup::has_steps(spec)
}

/// Writes whom the sandbox belongs to from now on: nobody if it is to be detached, this process if its owner is gone.
async fn settle(account: &Arc<Account>, made: &mut Made, order: &Order) -> Result<()> {
    let failed = order.attempt.about(Subject::Sandbox);
    let bound = owner_of(&order.spec, order.attempt)?;
    let _alone = account.labelling.lock().await;
    let mut tags = made.sandbox.tags().await.map_err(failed)?;
    let Some(owner) = owner::of(&tags) else { return Ok(()) };
    let gone = owner::is_gone(&owner, &tags);
    if !(gone || bound.is_none() && tags.contains_key(owner::SETUP.0)) {
        return Ok(());
    }
    owner::remove(&mut tags);
    tags.extend(bound.iter().flat_map(owner::labels));
    made.sandbox.set_tags(&tags).await.map_err(failed)?;
    match &bound {
        Some(_) => account.leases.hold(account, made.sandbox.id()),
        None => account.leases.release(made.sandbox.id()),
    }
    made.info.owner = bound;
    Ok(())
}

/// Says whether the provision that made a sandbox, perhaps in another process, has ended it or is about to.
async fn was_given_up(sandbox: &modal::Sandbox) -> bool {
    let (status, tags) = tokio::join!(sandbox.poll(), sandbox.tags());
    let ended = match status {
        Ok(status) => status != modal::SandboxStatus::Running,
        Err(error) => error.kind() == modal::ErrorKind::NotFound,
    };
    ended || tags.is_ok_and(|tags| tags.contains_key(tag::FAILED))
}

fn given_up(attempt: Attempt) -> Error {
    Error::new(ErrorKind::Cancelled, attempt.0, "nobody waits for the sandbox any more")
}

/// Ends the sandbox of a failed provision; what is left behind is named in the error.
async fn abandoned(made: Made, error: Error) -> Error {
    let id = made.sandbox.id().to_owned();
    match made.abandon().await {
        Ok(()) => error,
        Err(left) => error.with_context("left_behind", format_args!("{id} ({left})")),
    }
}

/// After a create call that failed: ends what carries the attempt's label. Whatever the error says, it may have come after the
/// sandbox was made. Where the server may still be at it, or nothing can be ended now, this is done again later.
async fn swept(account: &Arc<Account>, order: &Order, claim: Claim, error: Error) -> Error {
    if !order.sent.load(Ordering::Acquire) {
        return error;
    }
    let unsure = matches!(
        error.kind(),
        ErrorKind::Cancelled | ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Internal
    );
    let swept = sweep(account, claim.label()).await;
    if !unsure && swept.is_ok() {
        return error;
    }
    let account = Arc::clone(account);
    claim.pause();
    drop(tokio::spawn(async move {
        for pause in LATER {
            sleep(pause).await;
            if !claim.resume() {
                return;
            }
            if let Err(error) = sweep(&account, claim.label()).await {
                tracing::warn!(%error, "cannot look for the sandbox of a create call without an answer");
            }
            claim.pause();
        }
    }));
    match swept {
        // Nothing is left, so that repeating is as good as the first time.
        Ok(()) => error.with_retry(Retry::Safe { after: None }),
        Err(left) => error.with_context("left_behind", format_args!("perhaps a sandbox ({left})")),
    }
}

async fn sweep(account: &Arc<Account>, label: &str) -> Result<()> {
    let attempt = Attempt("end failed sandbox");
    let filter = modal::SandboxFilter {
        tags: BTreeMap::from([(ATTEMPT.to_owned(), label.to_owned())]),
        include_finished: false,
    };
    let app = account.app(attempt).await?;
    let left = account.client.list_sandboxes(app, &filter).await.map_err(attempt.failed())?;
    for summary in left {
        made::end(&account.client.sandbox(&summary.id)).await?;
    }
    Ok(())
}

/// Finds the sandbox of the order's key, or makes one.
async fn obtain(account: &Arc<Account>, order: &Order, label: &str) -> Result<Made> {
    let snapshot = order.snapshot.as_ref().map(|snapshot| snapshot.external_id.as_str());
    let Some(key) = Key::of(&order.spec, snapshot) else {
        return create(account, order, None, label).await;
    };
    for _ in 0..KEY_ROUNDS {
        let mut pause = KEY_PAUSE;
        loop {
            match find(account, &key, order.attempt, label).await? {
                Found::Usable(made) => return Ok(*made),
                Found::Nothing => break,
                // A provision of this process with the same key hands it out or ends it; the next look tells which.
                Found::Claimed => {
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_KEY_PAUSE);
                }
            }
        }
        match create(account, order, Some(&key), label).await {
            // Somebody else with the same key was faster: theirs is found in the next round.
            Err(error) if is_taken(&error) => sleep(KEY_PAUSE).await,
            made => return made,
        }
    }
    let text = "the key's name is taken by a sandbox that cannot be found";
    Err(Error::new(ErrorKind::AlreadyExists, order.attempt.0, text)
        .with_subject(Subject::Name)
        .with_retry(Retry::Safe { after: None }))
}

fn is_taken(error: &Error) -> bool {
    error.kind() == ErrorKind::AlreadyExists && error.subject() == Some(Subject::Name)
}

/// What there is under a key.
enum Found {
    Nothing,
    /// Another attempt is, or was a moment ago, at work on it.
    Claimed,
    Usable(Box<Made>),
}

/// Finds the newest sandbox with the key, ended or not, that a provision did not give up.
async fn find(account: &Arc<Account>, key: &Key, attempt: Attempt, own: &str) -> Result<Found> {
    let filter = modal::SandboxFilter {
        tags: BTreeMap::from([(tag::KEY.to_owned(), key.key.clone())]),
        include_finished: true,
    };
    let app = account.app(attempt).await?;
    let claimed = account.claims.labels();
    let all = account.client.list_sandboxes(app, &filter).await.map_err(attempt.failed())?;
    let Some(summary) = all.into_iter().find(|one| !one.tags.contains_key(tag::FAILED)) else {
        return Ok(Found::Nothing);
    };
    if summary.tags.get(tag::SPEC) != Some(&key.spec) {
        let text = "a sandbox with this key exists, and was made from another spec";
        return Err(Error::new(ErrorKind::AlreadyExists, attempt.0, text)
            .with_subject(Subject::Name)
            .with_context("sandbox", &summary.id));
    }
    let sandbox = account.sandbox(&SandboxId::new(&*summary.id));
    if let Some(label) = summary.tags.get(ATTEMPT).filter(|label| *label != own) {
        let free = account.claims.take_over(label);
        // An attempt that was not over when the list was asked for may have ended the sandbox since.
        if !free || claimed.contains(label) {
            return Ok(Found::Claimed);
        }
    }
    Ok(Found::Usable(Box::new(Made::found(account, sandbox, list::info(summary)))))
}

async fn create(account: &Arc<Account>, order: &Order, key: Option<&Key>, label: &str) -> Result<Made> {
    let (spec, attempt) = (&order.spec, order.attempt);
    let image = match &order.snapshot {
        Some(snapshot) => image::existing(account, &snapshot.external_id, attempt, Subject::Snapshot).await?,
        None => image::resolve(account, &spec.runtime, attempt).await?,
    };
    let mut wanted = plan::sandbox_spec(account, &order.offer, spec, image.clone(), attempt).await?;
    plan::label(&mut wanted, BTreeMap::from([(ATTEMPT.to_owned(), label.to_owned())]));
    let owner = owner_of(spec, attempt)?;
    let temporary = if is_temporary(spec) { owner::this_process() } else { None };
    if temporary.is_some() {
        plan::label(&mut wanted, BTreeMap::from([(owner::SETUP.0.to_owned(), owner::SETUP.1.to_owned())]));
    }
    let holder = owner.as_ref().or(temporary.as_ref());
    if let Some(holder) = holder {
        plan::label(&mut wanted, owner::labels(holder));
    }
    if let Some(key) = key {
        wanted.name = Some(key.sandbox_name());
        let labels = [(tag::KEY, &key.key), (tag::SPEC, &key.spec)];
        plan::label(&mut wanted, labels.map(|(name, value)| (name.to_owned(), value.clone())).into());
    }
    let app = account.app(attempt).await?;
    order.sent.store(true, Ordering::Release);
    let (sandbox, warnings) = create_with_gpu(account, order, app, wanted, label).await?;
    if holder.is_some() {
        account.leases.hold(account, sandbox.id());
    }
    let mut info = info(&sandbox, spec, &image);
    info.warnings.extend(warnings);
    info.owner = owner;
    Ok(Made::new(account, sandbox, info))
}

/// Makes the sandbox with the first type of GPU that is to be had, and gives the warnings about it.
async fn create_with_gpu(
    account: &Arc<Account>,
    order: &Order,
    app: &modal::App,
    mut wanted: modal::SandboxSpec,
    label: &str,
) -> Result<(modal::Sandbox, Vec<String>)> {
    let mut warnings = Vec::new();
    let mut types = order.spec.gpu.as_ref().map(gpu::requests).unwrap_or_default().into_iter().peekable();
    loop {
        if let Some((gpu, warning)) = types.next() {
            wanted.gpu = Some(gpu);
            warnings.extend(warning);
        }
        let error = match account.client.create_sandbox(app, &wanted).await {
            Ok(sandbox) => return Ok((sandbox, warnings)),
            Err(error) => error,
        };
        // A server that asks to wait has not said that it has none.
        let none_left = error.kind() == modal::ErrorKind::ResourceExhausted && error.retry_after().is_none();
        let another = none_left && types.peek().is_some();
        if !another {
            return Err(refused(error, order.attempt));
        }
        // One without a machine may be left, and would have the name of the next.
        sweep(account, label).await?;
        let kind = wanted.gpu.as_ref().map(|gpu| gpu.kind.as_str()).unwrap_or_default();
        warnings.push(format!("no GPU of type {kind} was to be had: {}", error.message()));
    }
}

/// Gives this process for a sandbox that shall belong to it.
fn owner_of(spec: &ProvisionSpec, attempt: Attempt) -> Result<Option<Owner>> {
    if spec.attachment == Attachment::Detached {
        return Ok(None);
    }
    let unknown = || Error::new(ErrorKind::Internal, attempt.0, "/proc does not tell which process this is");
    owner::this_process().map(Some).ok_or_else(unknown)
}

fn refused(error: modal::Error, attempt: Attempt) -> Error {
    match error.kind() {
        modal::ErrorKind::AlreadyExists => attempt.about(Subject::Name)(error),
        modal::ErrorKind::NotFound => attempt.about(Subject::Image)(error),
        _ => attempt.failed()(error),
    }
}

fn info(sandbox: &modal::Sandbox, spec: &ProvisionSpec, image: &modal::ImageId) -> SandboxInfo {
    let mut info = SandboxInfo::running(SandboxId::new(sandbox.id()));
    info.image = Some(image.as_str().to_owned());
    info.name = spec.name.clone();
    info.tags = spec.tags.clone();
    info.warnings = sandbox.warnings().to_vec();
    info
}

#[cfg(test)]
mod tests;
