//! Repeats what failed and may be repeated.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use openlattice::{Error, ErrorKind, Result, Retry};

use crate::{About, Answer, BoxFuture, Call, Layer, Repeat};

/// Repeats a failed call, after a pause, where that is safe.
///
/// Two things must hold. The error says so ([`Retry::Safe`]). And the call can be done twice: `provision` and `restore` with a
/// caller's key, `exec` with a caller's id, and everything that only reads or that leads to the same state, such as `destroy`.
/// Any other call is repeated only after `ResourceExhausted`, which a provider answers before it begins. So a retry never makes
/// a second sandbox, snapshot or command.
///
/// The pause doubles from attempt to attempt, with a random part, and is never shorter than the error asks for. A read of output
/// goes on where the last one ended. A file that is written from a stream is tried again only before the stream was begun. After the last attempt the error is [`Retry::Exhausted`], with the number of `attempts` in its
/// context, and layers further out leave it alone.
///
/// Dropping a call during a pause ends it there.
#[derive(Clone, Debug)]
pub struct RetryLayer {
    attempts: usize,
    shortest: Duration,
    longest: Duration,
}

impl Default for RetryLayer {
    /// Four attempts, with pauses from 100 ms to 10 s.
    fn default() -> Self {
        Self { attempts: 4, shortest: Duration::from_millis(100), longest: Duration::from_secs(10) }
    }
}

impl RetryLayer {
    /// Sets how often a call is tried in all; 0 counts as 1.
    #[must_use]
    pub fn with_attempts(mut self, attempts: usize) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Sets the first pause and the longest one, both before the random part, which at most doubles them.
    #[must_use]
    pub fn with_pauses(mut self, shortest: Duration, longest: Duration) -> Self {
        (self.shortest, self.longest) = (shortest, longest.max(shortest));
        self
    }

    /// Returns the pauses of one call.
    fn pauses(&self) -> impl Iterator<Item = Duration> + Send + use<> {
        ExponentialBuilder::new()
            .with_min_delay(self.shortest)
            .with_max_delay(self.longest)
            .with_max_times(self.attempts.saturating_sub(1))
            .with_jitter()
            .build()
    }
}

/// Returns how long to wait at least before a call may be repeated; `None` where it may not.
fn may_repeat(about: &About<'_>, error: &Error) -> Option<Duration> {
    let Retry::Safe { after } = error.retry() else { return None };
    let refused = error.kind() == ErrorKind::ResourceExhausted;
    (about.repeat != Repeat::Once || refused).then(|| after.unwrap_or_default())
}

impl Layer for RetryLayer {
    async fn around<'a, T: Answer + 'a>(
        &'a self,
        about: About<'a>,
        mut work: impl FnMut() -> BoxFuture<'a, Result<T>> + Send + 'a,
    ) -> Result<T> {
        let (mut pauses, mut attempts) = (self.pauses(), 0_usize);
        loop {
            attempts += 1;
            let error = match work().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let Some(least) = may_repeat(&about, &error) else { return Err(error) };
            let Some(pause) = pauses.next() else {
                return Err(error.with_retry(Retry::Exhausted).with_context("attempts", attempts));
            };
            tokio::time::sleep(pause.max(least)).await;
        }
    }

    /// All but `health`, whose bad news is an answer.
    fn covers(&self, call: Call) -> bool {
        call != Call::Health
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use openlattice::{
        ComputeProvider, ExecSpec, Files, OnDrop, OutputStream, ProvisionSpec, SandboxId, Signal,
    };
    use tokio::time::Instant;

    use super::*;
    use crate::double::Double;

    fn unavailable() -> Error {
        Error::new(ErrorKind::Unavailable, "test", "gone").with_retry(Retry::Safe { after: None })
    }

    fn throttled() -> Error {
        let after = Some(Duration::from_secs(30));
        Error::new(ErrorKind::ResourceExhausted, "test", "too fast").with_retry(Retry::Safe { after })
    }

    fn unsafe_to_repeat() -> Error {
        Error::new(ErrorKind::Unavailable, "test", "gone, perhaps after it acted")
    }

    fn over(double: &Arc<Double>) -> crate::Layered<RetryLayer> {
        RetryLayer::default().over(Arc::clone(double) as Arc<dyn ComputeProvider>)
    }

    fn id() -> SandboxId {
        SandboxId::new("sb-1")
    }

    #[tokio::test(start_paused = true)]
    async fn a_provision_is_repeated_with_a_key_only() {
        let double = Double::failing(Call::Provision, 1, unavailable);
        let provider = over(&double);
        let error = provider.provision(ProvisionSpec::default()).await.unwrap_err();
        assert_eq!(error.retry(), Retry::Safe { after: None }, "the caller may still decide");
        assert_eq!(double.count(Call::Provision), 1);

        let double = Double::failing(Call::Provision, 2, unavailable);
        over(&double).provision(ProvisionSpec::default().with_key("k")).await.unwrap();
        assert_eq!(double.count(Call::Provision), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_command_is_repeated_with_an_id_only() {
        let double = Double::failing(Call::Exec, 1, unavailable);
        over(&double).exec(&id(), ExecSpec::new(["true"])).await.unwrap_err();
        assert_eq!(double.count(Call::Exec), 1);

        for on_drop in [OnDrop::Detach, OnDrop::Kill] {
            let double = Double::failing(Call::Exec, 1, unavailable);
            let spec = ExecSpec::new(["true"]).with_exec_id("e").with_on_drop(on_drop);
            over(&double).exec(&id(), spec).await.unwrap();
            assert_eq!(double.count(Call::Exec), 2);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_before_the_start_is_repeated_and_waits_as_asked() {
        let double = Double::failing(Call::Exec, 1, throttled);
        let start = Instant::now();
        over(&double).exec(&id(), ExecSpec::new(["true"])).await.unwrap();
        assert_eq!(double.count(Call::Exec), 2);
        assert!(start.elapsed() >= Duration::from_secs(30), "the clock of the test stands still otherwise");
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_error_does_not_call_safe_is_left_alone() {
        let double = Double::failing(Call::Destroy, 1, unsafe_to_repeat);
        over(&double).destroy(&id()).await.unwrap_err();
        assert_eq!(double.count(Call::Destroy), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn giving_up_says_so() {
        let double = Double::failing(Call::Inspect, 100, unavailable);
        let provider = over(&double);
        let error = provider.inspect(&id()).await.unwrap_err();
        assert_eq!(error.retry(), Retry::Exhausted);
        assert!(error.context().any(|fact| fact == ("attempts", "4")), "{error:?}");
        assert_eq!(double.count(Call::Inspect), 4);

        let outer = RetryLayer::default().over(Arc::new(provider));
        outer.inspect(&id()).await.unwrap_err();
        assert_eq!(double.count(Call::Inspect), 8, "the outer layer does not try again");
    }

    #[tokio::test(start_paused = true)]
    async fn m19_a_destroy_that_failed_is_repeated_then_reported() {
        let double = Double::failing(Call::Destroy, 2, unavailable);
        over(&double).destroy(&id()).await.unwrap();
        assert_eq!(double.count(Call::Destroy), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_snapshot_is_made_once() {
        let double = Double::failing(Call::Snapshot, 1, unavailable);
        over(&double).snapshot(&id(), openlattice::SnapshotSpec::default()).await.unwrap_err();
        assert_eq!(double.count(Call::Snapshot), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn g2_a_broken_read_goes_on_where_it_ended() {
        let double = Double::failing(Call::ReadOutput, 2, unavailable);
        let session = over(&double).exec(&id(), ExecSpec::new(["true"])).await.unwrap();
        let (mut reader, mut whole) = (session.output(OutputStream::Stdout, 3), Vec::new());
        while let Some(chunk) = reader.next_chunk().await.unwrap() {
            assert_eq!(chunk.offset, 3 + whole.len() as u64);
            whole.extend_from_slice(&chunk.data);
        }
        assert_eq!(whole, &crate::double::TEXT[3..]);
        assert_eq!(double.count(Call::ReadOutput), 2 + 3 + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn g9_a_reader_does_not_keep_the_session_alive() {
        let double = Double::failing(Call::ReadOutput, 1, unavailable);
        let session = over(&double).exec(&id(), ExecSpec::new(["true"])).await.unwrap();
        let mut reader = session.output(OutputStream::Stdout, 0);
        drop(session);
        assert_eq!(double.dropped_sessions(), 1);
        // The double's reader can go on by itself.
        assert!(reader.next_chunk().await.unwrap().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn signals_are_sent_once_and_kills_until_they_arrive() {
        for (signal, calls) in [(Signal::INT, 1), (Signal::KILL, 2)] {
            let double = Double::failing(Call::Kill, 1, unavailable);
            let session = over(&double).exec(&id(), ExecSpec::new(["true"])).await.unwrap();
            assert_eq!(session.kill(signal).await.is_ok(), calls == 2);
            assert_eq!(double.count(Call::Kill), calls);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn files_are_covered_where_repeating_leads_to_the_same() {
        let cases = [
            (Call::WriteFile, 2),
            (Call::MakeDirectory, 1),
            (Call::RemoveFile, 1),
            (Call::OpenFile, 2),
            (Call::WatchFiles, 2),
            (Call::SetMode, 2),
            (Call::SetModified, 2),
            (Call::MakeLink, 1),
        ];
        for (call, calls) in cases {
            let double = Double::failing(call, 1, unavailable);
            let provider = over(&double);
            let files = provider.extensions().get::<dyn Files>().unwrap();
            let outcome = match call {
                Call::WriteFile => files.write(&id(), "/a".as_ref(), "x".into(), Default::default()).await,
                Call::MakeDirectory => files.mkdir(&id(), "/a".as_ref(), false).await,
                Call::OpenFile => files.read_stream(&id(), "/a".as_ref(), 0).await.map(drop),
                Call::WatchFiles => files.watch(&id(), "/a".as_ref(), Default::default()).await.map(drop),
                Call::SetModified => files.set_modified(&id(), "/a".as_ref(), Default::default()).await,
                Call::SetMode => files.set_mode(&id(), "/a".as_ref(), 0o600).await,
                Call::MakeLink => files.symlink(&id(), "/a".as_ref(), "b".as_ref()).await,
                _ => files.remove(&id(), "/a".as_ref(), true).await,
            };
            assert_eq!((outcome.is_ok(), double.count(call)), (calls == 2, calls), "{call}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn g2_a_stream_is_written_again_only_before_it_was_begun() {
        // The double fails before it reads the content at the first call of that kind, and after it at the first piece.
        let double = Double::failing(Call::StreamFile, 1, unavailable);
        let provider = over(&double);
        let files = provider.extensions().get::<dyn Files>().unwrap();
        let content = || Box::new(openlattice::Bytes::from_static(b"x"));
        files.write_stream(&id(), "/a".as_ref(), content(), Default::default()).await.unwrap();
        assert_eq!(double.count(Call::StreamFile), 2);

        let double = Double::failing(Call::WriteFile, 1, unavailable);
        let provider = over(&double);
        let files = provider.extensions().get::<dyn Files>().unwrap();
        let error =
            files.write_stream(&id(), "/a".as_ref(), content(), Default::default()).await.unwrap_err();
        assert_eq!((error.retry(), double.count(Call::StreamFile)), (Retry::Never, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_piece_and_an_event_that_failed_are_the_callers() {
        let double = Double::failing(Call::ReadFilePiece, 1, unavailable);
        let provider = over(&double);
        let files = provider.extensions().get::<dyn Files>().unwrap();
        let mut content = files.read_stream(&id(), "/a".as_ref(), 0).await.unwrap();
        content.next_chunk().await.unwrap_err();
        assert_eq!(double.count(Call::ReadFilePiece), 1);

        let double = Double::failing(Call::NextFileEvent, 1, unavailable);
        let provider = over(&double);
        let files = provider.extensions().get::<dyn Files>().unwrap();
        let mut watch = files.watch(&id(), "/a".as_ref(), Default::default()).await.unwrap();
        watch.next_event().await.unwrap_err();
        assert_eq!(double.count(Call::NextFileEvent), 1);
    }
}
