//! Connections to command routers: shared by the sandboxes of one address, closed when nobody needs them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::RouterStub;
use crate::channel;
use crate::error::Result;
use crate::server_url::ServerUrl;
use crate::upload::Transport;

/// Calls at once on one connection; more open another. Servers of HTTP/2 let through about a hundred (RFC 9113, section 6.5.2), and
/// what waits behind streams that are open for long could wait for ever.
const MOST_CALLS: usize = 100;

/// The open connections of a client.
#[derive(Default)]
pub(crate) struct Connections(Arc<Mutex<Open>>);

/// By address.
type Open = HashMap<String, Vec<Connection>>;

struct Connection {
    stub: RouterStub,
    calls: Arc<watch::Sender<usize>>,
}

/// One call's hold on a connection: it is not idle while there is one.
pub(crate) struct Lease {
    pub(crate) stub: RouterStub,
    calls: Arc<watch::Sender<usize>>,
}

impl Connection {
    fn lease(&self) -> Lease {
        self.calls.send_modify(|calls| *calls += 1);
        Lease { stub: self.stub.clone(), calls: Arc::clone(&self.calls) }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.calls.send_modify(|calls| *calls -= 1);
    }
}

impl Connections {
    /// Gives a connection to an address, opening one where all are busy. Without a call for `idle` it is closed again; a zero keeps
    /// it for the life of the client.
    pub(crate) fn lease(&self, server: &ServerUrl, extra_roots: &[Vec<u8>], idle: Duration) -> Result<Lease> {
        let address = server.to_string();
        let mut open = lock(&self.0);
        let mut known = open.get(&address).into_iter().flatten();
        if let Some(free) = known.find(|one| *one.calls.borrow() < MOST_CALLS) {
            return Ok(free.lease());
        }
        let stub = RouterStub::new(Transport::new(channel::open(server, extra_roots)?))
            .max_decoding_message_size(channel::MAX_MESSAGE)
            .max_encoding_message_size(channel::MAX_MESSAGE);
        let connection = Connection { stub, calls: Arc::new(watch::Sender::new(0)) };
        let (lease, calls) = (connection.lease(), connection.calls.subscribe());
        open.entry(address.clone()).or_default().push(connection);
        let entry = Entry { open: Arc::downgrade(&self.0), address, calls: Arc::downgrade(&lease.calls) };
        drop(tokio::spawn(entry.close_when_idle(calls, idle)));
        Ok(lease)
    }
}

/// The place of a connection among the open ones. It is taken from there when this is dropped: with the runtime too, since what is
/// connected on it ends with it.
struct Entry {
    open: Weak<Mutex<Open>>,
    address: String,
    calls: Weak<watch::Sender<usize>>,
}

impl Entry {
    async fn close_when_idle(self, mut calls: watch::Receiver<usize>, idle: Duration) {
        loop {
            if *calls.borrow_and_update() == 0 && !idle.is_zero() {
                tokio::select! {
                    changed = calls.changed() => if changed.is_err() { return },
                    () = sleep(idle) => if self.take_if_idle() { return },
                }
            } else if calls.changed().await.is_err() {
                return;
            }
        }
    }

    /// Under the lock, so that no call can get it between the look and the removal.
    fn take_if_idle(&self) -> bool {
        let (Some(open), Some(calls)) = (self.open.upgrade(), self.calls.upgrade()) else { return true };
        let mut open = lock(&open);
        let idle = *calls.borrow() == 0;
        if idle {
            self.take(&mut open);
        }
        idle
    }

    fn take(&self, open: &mut Open) {
        let Some(known) = open.get_mut(&self.address) else { return };
        known.retain(|one| !std::ptr::eq(Arc::as_ptr(&one.calls), self.calls.as_ptr()));
        if known.is_empty() {
            open.remove(&self.address);
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(open) = self.open.upgrade() {
            self.take(&mut lock(&open));
        }
    }
}

fn lock(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(30);

    fn server() -> ServerUrl {
        ServerUrl::parse("http://127.0.0.1:9").unwrap()
    }

    fn count(connections: &Connections) -> usize {
        lock(&connections.0).values().map(Vec::len).sum()
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_closed_and_a_used_one_is_not() {
        let connections = Connections::default();
        let lease = connections.lease(&server(), &[], IDLE).unwrap();
        sleep(IDLE * 3).await;
        assert_eq!(count(&connections), 1, "it is in use");
        drop(lease);
        sleep(IDLE - Duration::from_secs(1)).await;
        // A short call in between starts the time anew.
        drop(connections.lease(&server(), &[], IDLE).unwrap());
        sleep(IDLE - Duration::from_secs(1)).await;
        assert_eq!(count(&connections), 1);
        sleep(Duration::from_secs(2)).await;
        assert_eq!(count(&connections), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn zero_keeps_a_connection() {
        let connections = Connections::default();
        drop(connections.lease(&server(), &[], Duration::ZERO).unwrap());
        sleep(IDLE * 100).await;
        assert_eq!(count(&connections), 1);
    }

    #[tokio::test]
    async fn calls_share_a_connection_up_to_a_bound() {
        let connections = Connections::default();
        let many: Vec<_> =
            (0..=MOST_CALLS).map(|_| connections.lease(&server(), &[], IDLE).unwrap()).collect();
        assert_eq!(count(&connections), 2);
        drop(many);
    }

    #[test]
    fn a_connection_ends_with_its_runtime() {
        let connections = Connections::default();
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime().block_on(async {
            drop(connections.lease(&server(), &[], IDLE).unwrap());
            tokio::task::yield_now().await;
        });
        assert_eq!(count(&connections), 0);
    }
}
