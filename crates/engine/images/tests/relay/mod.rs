//! A relay in front of a registry that holds back what comes after so many bytes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use tokio::sync::Notify;

pub(crate) struct Relay {
    host: String,
    shared: Arc<Shared>,
}

struct Shared {
    left: AtomicU64,
    held: Notify,
    cut: AtomicBool,
}

impl Relay {
    /// Relays to `target`, in all connections together `bytes` bytes of answers.
    pub(crate) fn start(target: &str, bytes: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared {
            left: AtomicU64::new(bytes),
            held: Notify::new(),
            cut: AtomicBool::new(false),
        });
        let (target, state) = (target.to_owned(), Arc::clone(&shared));
        // Ends with the test's process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                serve(client, TcpStream::connect(&target).unwrap(), &state);
            }
        });
        Self { host, shared }
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Waits until it holds something back.
    pub(crate) async fn held(&self) {
        self.shared.held.notified().await;
    }

    /// Closes the connection instead of holding back.
    pub(crate) fn cut_when_held(&self) {
        self.shared.cut.store(true, Ordering::SeqCst);
    }
}

fn serve(client: TcpStream, server: TcpStream, shared: &Arc<Shared>) {
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || drop(std::io::copy(&mut from, &mut to)));
    let shared = Arc::clone(shared);
    thread::spawn(move || answer(server, client, &shared));
}

fn answer(mut from: TcpStream, mut to: TcpStream, shared: &Shared) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(read) if read > 0 => read,
            _ => return drop(to.shutdown(Shutdown::Both)),
        };
        let left = shared.left.load(Ordering::SeqCst);
        let allowed = read.min(usize::try_from(left).unwrap());
        shared.left.store(left - allowed as u64, Ordering::SeqCst);
        if to.write_all(&buffer[..allowed]).is_err() {
            return;
        }
        if allowed < read {
            shared.held.notify_one();
            if shared.cut.load(Ordering::SeqCst) {
                return drop(to.shutdown(Shutdown::Both));
            }
            // Until the client goes away.
            drop(std::io::copy(&mut to, &mut std::io::sink()));
            return drop(from.shutdown(Shutdown::Both));
        }
    }
}
