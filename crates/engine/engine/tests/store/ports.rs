//! Published ports: the agent accepts outside and relays inside.

use crate::support::Store;
use openlattice_engine::{
    ErrorKind, ExecSpec, OutputStream, PublishPort, SandboxFilter, SandboxId, SandboxSpec,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Number of the port inside; it is the sandbox's own.
const PORT: u16 = 8080;

/// Gives every caller its bytes back once it has sent all, with their count before.
const MIRROR: &str = r#"$SIG{CHLD} = "IGNORE";
while (my $c = $l->accept) {
    next if fork;
    my $all = "";
    while (sysread($c, my $part, 65536)) { $all .= $part }
    print $c length($all), "\n", $all;
    exit;
}"#;

/// Holds every caller, and reads nothing.
const HOLDER: &str = r"my @held; while (my $c = $l->accept) { push @held, $c }";

/// A sandbox that publishes [`PORT`], and where it is reached.
async fn publishing(store: &Store) -> (SandboxId, u16) {
    let mut spec = SandboxSpec::default();
    spec.ports = vec![PublishPort { inside: PORT, outside: None }];
    let id = store.engine.create(spec).await.unwrap().id;
    let ports = store.engine.ports(&id).await.unwrap();
    assert_eq!(ports.iter().map(|port| port.inside).collect::<Vec<_>>(), [PORT]);
    (id, ports[0].outside)
}

/// Starts a program that listens on [`PORT`]; false, with the reason printed, where the machine has no perl.
async fn listens(store: &Store, id: &SandboxId, program: &str) -> bool {
    let listen = r#"use IO::Socket::INET;
my $l = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => 8080, Listen => 1024) or die;
$| = 1; print "up\n"; $| = 0;"#;
    let mut spec = ExecSpec::default();
    spec.argv = vec!["perl".to_owned(), "-e".to_owned(), format!("{listen}\n{program}")];
    let exec = match store.engine.exec(id, spec).await {
        Err(error) if error.kind() == ErrorKind::ProgramNotFound => {
            println!("skipped: image host has no perl to listen with");
            return false;
        }
        exec => exec.unwrap(),
    };
    let mut output = store.engine.output(id, &exec, OutputStream::Stdout, 0).await.unwrap();
    assert!(output.next().await.unwrap().is_some(), "the program inside does not listen");
    true
}

async fn connect(port: u16) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port)).await.unwrap()
}

/// Sends bytes, ends them, and gives what comes back.
async fn mirrored(port: u16, bytes: &[u8]) -> Vec<u8> {
    let (mut read, mut write) = connect(port).await.into_split();
    let bytes = bytes.to_vec();
    let sender = tokio::spawn(async move {
        write.write_all(&bytes).await.unwrap();
        write.shutdown().await.unwrap();
        write
    });
    let mut back = Vec::new();
    read.read_to_end(&mut back).await.unwrap();
    drop(sender.await.unwrap());
    back
}

/// Reads the answer of each connection, and closes it.
async fn answered(connections: Vec<TcpStream>) {
    for mut stream in connections {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "ok\n");
    }
}

/// Runs a command, which needs the agent to be at work.
async fn still_works(store: &Store, id: &SandboxId) {
    let mut spec = ExecSpec::default();
    spec.argv = vec!["true".to_owned()];
    let exec = store.engine.exec(id, spec).await.unwrap();
    store.engine.exec_wait(id, &exec).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn m28_every_byte_passes_both_ways_and_one_end_can_close_first() {
    let Some(store) = Store::open().await else { return };
    let (id, outside) = publishing(&store).await;
    if listens(&store, &id, MIRROR).await {
        let bytes: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
        let (one, two, none) =
            tokio::join!(mirrored(outside, &bytes), mirrored(outside, &bytes), mirrored(outside, b""));
        let expected = [format!("{}\n", bytes.len()).into_bytes(), bytes].concat();
        assert!(one == expected && two == expected, "{} and {} bytes came back", one.len(), two.len());
        assert_eq!(none, b"0\n");
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn m28_a_connection_that_nobody_reads_holds_up_nothing_else() {
    let Some(store) = Store::open().await else { return };
    let (id, outside) = publishing(&store).await;
    if listens(&store, &id, HOLDER).await {
        let mut stuck = connect(outside).await;
        let writer = tokio::spawn(async move { stuck.write_all(&vec![7; 64 << 20]).await });
        still_works(&store, &id).await;
        connect(outside).await.write_all(b"taken").await.unwrap();
        still_works(&store, &id).await;
        store.engine.terminate(&id).await.unwrap();
        assert!(writer.await.unwrap().is_err(), "64 MiB fit where nobody reads");
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn m28_more_connections_than_are_served_at_once_wait_for_their_turn() {
    let Some(store) = Store::open().await else { return };
    let (id, outside) = publishing(&store).await;
    // It answers when 256 callers are there: not before all that are served at once have come through.
    let program = r#"$SIG{CHLD} = "IGNORE"; my @all;
while (my $c = $l->accept) { push @all, $c; if (@all == 256) { print $_ "ok\n" and close $_ for @all; @all = () } }"#;
    if listens(&store, &id, program).await {
        let mut first = Vec::new();
        for _ in 0..255 {
            first.push(connect(outside).await);
        }
        still_works(&store, &id).await;
        let mut later = Vec::new();
        for _ in 0..57 {
            later.push(connect(outside).await);
        }
        still_works(&store, &id).await;
        // One of the later ones completed the 256; the others are served once those are closed.
        first.push(later.remove(0));
        answered(first).await;
        for _ in 0..200 {
            later.push(connect(outside).await);
        }
        answered(later).await;
    }
    store.close().await;
}

#[tokio::test]
async fn m28_a_port_that_nobody_listens_on_closes_and_ends_with_its_sandbox() {
    let Some(store) = Store::open().await else { return };
    let (id, outside) = publishing(&store).await;
    // Closed, or reset: the connection was taken outside before it was tried inside.
    let mut rest = Vec::new();
    drop(connect(outside).await.read_to_end(&mut rest).await);
    assert_eq!(rest, b"");
    still_works(&store, &id).await;
    store.engine.terminate(&id).await.unwrap();
    assert!(TcpStream::connect(("127.0.0.1", outside)).await.is_err(), "it still listens");
    assert_eq!(store.engine.ports(&id).await.unwrap(), []);
    store.close().await;
}

#[tokio::test]
async fn m28_a_wanted_port_is_given_or_named_as_taken() {
    let Some(store) = Store::open().await else { return };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let number = taken.local_addr().unwrap().port();
    let mut spec = SandboxSpec::default();
    spec.ports = vec![PublishPort { inside: PORT, outside: Some(number) }];
    let error = store.engine.create(spec.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition, "{error:?}");
    assert!(error.to_string().contains(&number.to_string()), "{error}");
    let all = SandboxFilter { include_ended: true, ..SandboxFilter::default() };
    assert!(store.engine.sandboxes(&all).await.unwrap().is_empty(), "a refused sandbox is left");
    drop(taken);
    let id = store.engine.create(spec).await.unwrap().id;
    assert_eq!(store.engine.ports(&id).await.unwrap()[0].outside, number);
    store.close().await;
}
