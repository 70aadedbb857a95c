//! The task that makes a sandbox, whose caller goes away at every one of its awaits.

use std::future::poll_fn;
use std::task::Poll;

use openlattice::{ComputeProvider, ListFilter};
use openlattice_modal_server::{Server, ServerConfig};

use super::*;
use crate::{ModalConfig, ModalProvider};

const TAG: &str = "polls";

fn order(offer: &Arc<Capabilities>, polls: usize) -> Order {
    let spec = ProvisionSpec::new("host").with_command(["true"]).with_tag(TAG, polls.to_string());
    Order::new(spec, None, Arc::clone(offer), Attempt("provision"))
}

/// Polls a future so many times; gives its value when it completes meanwhile.
async fn polled<F: Future + Unpin>(future: &mut F, times: usize) -> Option<F::Output> {
    let mut left = times;
    poll_fn(|context| match pin!(&mut *future).poll(context) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending if left <= 1 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

/// Counts what was made for the number of polls and is alive.
async fn tagged(provider: &dyn ComputeProvider, polls: usize) -> usize {
    let tags = BTreeMap::from([(TAG.to_owned(), polls.to_string())]);
    provider.list(ListFilter { tags, ..ListFilter::default() }).await.unwrap().len()
}

async fn gone(provider: &dyn ComputeProvider, polls: usize) {
    while tagged(provider, polls).await > 0 {
        sleep(Duration::from_millis(10)).await;
    }
}

/// Has the caller go away after so many polls of the task, and the task go on to its end; says whether it had made the sandbox before.
async fn abandoned_after(account: &Arc<Account>, offer: &Arc<Capabilities>, polls: usize) -> bool {
    let order = order(offer, polls);
    let (mut reply, caller) = oneshot::channel();
    let mut making = Box::pin(make(account, &order, &mut reply));
    // Dropping what was made ends it, as it does where the caller has gone.
    if let Some(made) = polled(&mut making, polls).await {
        drop(made.unwrap());
        return true;
    }
    drop(caller);
    drop(making.await);
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn g9_a_caller_that_goes_away_at_any_await_of_the_task_leaves_nothing() {
    let store = tempfile::tempdir().unwrap();
    let server = Server::bind(ServerConfig::new(store.path())).await.unwrap();
    let (url, pair) = (server.url(), server.credentials().unwrap().clone());
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(server.serve(async move { stopped.await.unwrap_or_default() }));
    let client =
        ModalConfig::new(pair.id, pair.secret).with_server_url(url).build().unwrap().client().clone();
    let provider = ModalProvider::on(client.clone(), "polls".to_owned(), "host".to_owned());
    let account = Account::new(client, "polls".to_owned(), "host".to_owned());
    let (account, offer) = (Arc::new(account), Arc::new(provider.capabilities().clone()));

    let kept = run(&account, order(&offer, 0)).await.unwrap();
    assert_eq!(tagged(&provider, 0).await, 1, "what is alive is seen");
    provider.destroy(&kept.id).await.unwrap();
    let mut polls = 1;
    while !abandoned_after(&account, &offer, polls).await {
        gone(&provider, polls).await;
        polls += 1;
    }
    // What is ended late is seen too.
    for polls in 1..=polls {
        gone(&provider, polls).await;
    }
    assert!(polls > 10, "the task was polled {polls} times only");
    stop.send(()).unwrap();
    served.await.unwrap().unwrap();
}
