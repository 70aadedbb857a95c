//! The task of a sandbox, which commands are addressed to, and the way to its command router.

use std::sync::Arc;
use std::time::Duration;

use openlattice_modal_proto::client as wire;
use tokio::time::{Instant, sleep};

use super::{Sandbox, by_generation};
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::router::{Router, Source};

const TASK_POLL_INTERVAL: Duration = Duration::from_millis(500);
/// How long a sandbox may wait for a machine.
const SCHEDULING_LIMIT: Duration = Duration::from_secs(21 * 60);
const GET_TASK_ID: &str = "SandboxGetTaskId";

impl Sandbox {
    /// Gives the command router, connected to at its first call.
    pub(crate) async fn router(&self) -> Result<Arc<Router>> {
        let make = || async {
            let task_id = self.task_id().await?;
            Ok(Arc::new(Router::new(self, &task_id)))
        };
        self.inner.router.get_or_try_init(make).await.cloned()
    }

    /// Says whom to ask for access to the command router.
    pub(crate) fn router_source(&self, task_id: &str) -> Source {
        Source {
            client: self.client().clone(),
            generation: self.generation(),
            sandbox_id: self.id().to_owned(),
            task_id: task_id.to_owned(),
            token: self.inner.token.clone(),
        }
    }

    /// Remembers the task id of a create reply.
    pub(super) fn keep_task(&self, task_id: &str) {
        if !task_id.is_empty() {
            // A second value is the same one: the handle was made a moment ago and is not shared yet.
            self.inner.task_id.set(task_id.to_owned()).ok();
        }
    }

    /// Remembers the router of a create reply.
    pub(super) fn keep_router(&self, router: Router) {
        self.inner.router.set(Arc::new(router)).ok();
    }

    async fn task_id(&self) -> Result<String> {
        self.inner.task_id.get_or_try_init(|| self.poll_task_id()).await.cloned()
    }

    /// Waits until the sandbox has a machine; ends it when that takes too long.
    pub(super) async fn wait_until_scheduled(&self) -> Result<()> {
        let error = match self.task_id().await {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::ResourceExhausted => error,
            // It was made, so that nothing which the caller named is missing.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(error.with_kind(ErrorKind::FailedPrecondition));
            }
            Err(error) => return Err(error),
        };
        Err(given_up(error, self.terminate().await))
    }

    async fn poll_task_id(&self) -> Result<String> {
        let started = Instant::now();
        loop {
            let request =
                wire::SandboxGetTaskIdRequest { sandbox_id: self.id().to_owned(), ..Default::default() };
            let reply = by_generation!(self,
                "SandboxGetTaskId" sandbox_get_task_id, "SandboxGetTaskIdV2" sandbox_get_task_id_v2, request)?;
            match (reply.task_id.filter(|id| !id.is_empty()), reply.task_result) {
                (Some(id), _) => return Ok(id),
                (None, Some(result)) => return Err(ended(&result)),
                (None, None) if started.elapsed() >= SCHEDULING_LIMIT => return Err(no_machine()),
                (None, None) => sleep(TASK_POLL_INTERVAL).await,
            }
        }
    }
}

fn ended(result: &wire::GenericResult) -> Error {
    let text = if result.exception.is_empty() {
        "the sandbox has ended".to_owned()
    } else {
        format!("the sandbox has ended: {}", result.exception)
    };
    Error::new(ErrorKind::NotFound, text).during(GET_TASK_ID)
}

/// The error of a sandbox without a machine. One that could not be ended may yet get one: repeating the call could make a second.
fn given_up(error: Error, ended: Result<()>) -> Error {
    match ended {
        Ok(()) => error,
        Err(left) => error.with_retry(Retry::Unknown).with_retry_after(None).with_source(left),
    }
}

fn no_machine() -> Error {
    let text = format!("no machine was found within {} minutes", SCHEDULING_LIMIT.as_secs() / 60);
    Error::new(ErrorKind::ResourceExhausted, text).with_retry(Retry::Safe).during(GET_TASK_ID)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g4_a_sandbox_without_a_machine_that_could_not_be_ended_is_not_safe_to_repeat() {
        assert_eq!(given_up(no_machine(), Ok(())).retry(), Retry::Safe);
        let error = given_up(no_machine(), Err(Error::unexpected("no answer")));
        assert_eq!((error.kind(), error.retry()), (ErrorKind::ResourceExhausted, Retry::Unknown));
    }
}
