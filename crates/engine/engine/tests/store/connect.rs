//! Connections into a sandbox.

use crate::support::Store;
use openlattice_engine::{ErrorKind, ExecId, ExecSpec, OutputStream, SandboxId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Listens on a port of the kernel's choice, prints it, and gives one caller its line back in reverse.
const SERVER: &str = r#"use IO::Socket::INET;
my $l = IO::Socket::INET->new(LocalAddr => "127.0.0.1", Listen => 1) or die;
$| = 1;
print $l->sockport, "\n";
my $c = $l->accept;
my $s = <$c>;
chomp $s;
print $c scalar reverse($s);"#;

/// Starts the server and tells its port; nothing, with the reason printed, where the machine has no perl.
async fn listening(store: &Store, id: &SandboxId) -> Option<(ExecId, u16)> {
    let mut spec = ExecSpec::default();
    spec.argv = ["perl", "-e", SERVER].map(str::to_owned).into();
    let exec = match store.engine.exec(id, spec).await {
        Err(error) if error.kind() == ErrorKind::ProgramNotFound => {
            println!("skipped: image host has no perl to listen with");
            return None;
        }
        exec => exec.unwrap(),
    };
    let mut output = store.engine.output(id, &exec, OutputStream::Stdout, 0).await.unwrap();
    let mut text = Vec::new();
    while !text.ends_with(b"\n") {
        text.extend_from_slice(&output.next().await.unwrap().expect("the server says its port"));
    }
    Some((exec, String::from_utf8(text).unwrap().trim().parse().unwrap()))
}

#[tokio::test]
async fn a_port_inside_is_reached_and_one_of_another_sandbox_is_not() {
    let Some(store) = Store::open().await else { return };
    let (one, other) = (store.sandbox().await.id, store.sandbox().await.id);
    let Some((_, port)) = listening(&store, &one).await else { return };
    let mut stream = store.engine.connect(&one, port).await.unwrap();
    stream.write_all(b"abc\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "cba");
    let error = store.engine.connect(&other, port).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition, "{error:?}");
    assert!(error.to_string().contains(&port.to_string()), "{error}");
    store.close().await;
}

#[tokio::test]
async fn no_port_is_reached_of_an_ended_or_unknown_sandbox() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    store.engine.terminate(&id).await.unwrap();
    let error = store.engine.connect(&id, 80).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition, "{error:?}");
    let unknown = SandboxId::parse("sb-unknown").unwrap();
    assert_eq!(store.engine.connect(&unknown, 80).await.unwrap_err().kind(), ErrorKind::NotFound);
    store.close().await;
}

#[tokio::test]
async fn the_caller_stays_in_its_own_network() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    let namespace = || std::fs::read_link("/proc/thread-self/ns/net").unwrap();
    let before = namespace();
    assert_eq!(store.engine.connect(&id, 9).await.unwrap_err().kind(), ErrorKind::FailedPrecondition);
    assert_eq!(namespace(), before);
    store.close().await;
}
