//! Reports each call to `tracing`.

use openlattice::Result;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::{About, Answer, BoxFuture, Call, Layer};

/// Runs each call in a span, and reports its end as an event.
///
/// The span is `call`, at level debug, with the fields `call`, `sandbox` and `exec` as far as they are known before; what the provider reports meanwhile
/// lies in it. The event `call ended` has `duration_ms` and, at level debug, `answer` (ids, sizes, statuses), or, at level warn,
/// `kind`, `retry`, `subject` and `field` of the error. A call that is dropped has the event `call dropped`.
///
/// Arguments, variables, paths, output and error texts are never reported.
#[derive(Clone, Copy, Debug, Default)]
pub struct TraceLayer;

/// Reports a call that was dropped midway.
struct Watch {
    start: Instant,
    ended: bool,
}

impl Watch {
    fn start() -> Self {
        Self { start: Instant::now(), ended: false }
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn end<T: Answer>(mut self, outcome: &Result<T>) {
        self.ended = true;
        let duration_ms = self.millis();
        match outcome {
            Ok(answer) => tracing::debug!(duration_ms, answer = answer.summary(), "call ended"),
            Err(error) => tracing::warn!(
                duration_ms,
                kind = error.kind().as_str(),
                retry = ?error.retry(),
                subject = error.subject().map(tracing::field::debug),
                field = error.field(),
                "call ended"
            ),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !self.ended {
            tracing::debug!(duration_ms = self.millis(), "call dropped");
        }
    }
}

impl Layer for TraceLayer {
    async fn around<'a, T: Answer + 'a>(
        &'a self,
        about: About<'a>,
        mut work: impl FnMut() -> BoxFuture<'a, Result<T>> + Send + 'a,
    ) -> Result<T> {
        let span = tracing::debug_span!(
            "call",
            call = about.call.as_str(),
            sandbox = about.sandbox.map(tracing::field::display),
            exec = about.exec.map(tracing::field::display),
        );
        let traced = async {
            let watch = Watch::start();
            let outcome = work().await;
            watch.end(&outcome);
            outcome
        };
        traced.instrument(span).await
    }

    fn covers(&self, _call: Call) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use openlattice::{
        ComputeProvider, Error, ErrorKind, ExecSpec, Files, ProvisionSpec, Result, SandboxId, Stdin,
    };

    use super::*;
    use crate::double::{Double, Recorder};

    fn over(double: &Arc<Double>) -> crate::Layered<TraceLayer> {
        TraceLayer.over(Arc::clone(double) as Arc<dyn ComputeProvider>)
    }

    async fn everything(provider: &dyn ComputeProvider) -> Result<()> {
        let mut spec =
            ProvisionSpec::new("host").with_env("TOKEN", "hush-env").with_command(["hush-command"]);
        spec.network.tailscale_auth_key = Some("hush-key".into());
        let id = provider.provision(spec).await?.id;
        let exec = ExecSpec::new(["program", "hush-argument"])
            .with_env("TOKEN", "hush-env")
            .with_stdin(Stdin::Bytes("hush-stdin".into()));
        let session = provider.exec(&id, exec).await?;
        session.write_stdin(0, "hush-stdin".into()).await?;
        session.wait().await?;
        let files = provider.extensions().get::<dyn Files>().expect("the double has files");
        files.write(&id, "/hush-path".as_ref(), "hush-content".into(), Default::default()).await?;
        provider.destroy(&id).await
    }

    #[tokio::test]
    async fn calls_are_reported_with_ids_and_durations() {
        let (seen, _guard) = Recorder::install();
        everything(&over(&Double::new())).await.unwrap();
        let seen = seen.text();
        for part in
            ["call=provision", "sandbox sb-1", "call=exec", "command e-1", "call=destroy", "duration_ms="]
        {
            assert!(seen.contains(part), "{part} is not in {seen}");
        }
    }

    #[tokio::test]
    async fn g8_no_secret_is_reported() {
        let (seen, _guard) = Recorder::install();
        everything(&over(&Double::new())).await.unwrap();
        let failing = Double::failing(Call::Provision, 1, || {
            Error::new(ErrorKind::InvalidArgument, "provision", "hush-error")
        });
        everything(&over(&failing)).await.unwrap_err();
        let seen = seen.text();
        assert!(seen.contains("invalid argument"), "{seen}");
        assert!(!seen.contains("hush"), "{seen}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_call_is_reported() {
        let (seen, _guard) = Recorder::install();
        let provider = over(&Double::hanging(Call::Destroy));
        let id = SandboxId::new("sb-1");
        let call = provider.destroy(&id);
        assert!(tokio::time::timeout(Duration::from_secs(3), call).await.is_err());
        let seen = seen.text();
        assert!(seen.contains("call dropped") && seen.contains("duration_ms=3000"), "{seen}");
    }
}
