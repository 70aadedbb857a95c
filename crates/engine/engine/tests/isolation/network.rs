//! The network namespace.

use crate::Target;
use std::{
    io::Write,
    net::TcpListener,
    os::linux::net::SocketAddrExt,
    os::unix::net::{SocketAddr, UnixListener},
};

#[tokio::test]
async fn the_host_and_the_world_cannot_be_reached() {
    let Some(target) = Target::new().await else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for place in [
        format!("127.0.0.1/{port}"),
        "169.254.169.254/80".to_owned(),
        "1.1.1.1/53".to_owned(),
        format!("::1/{port}"),
    ] {
        let done = target
            .store
            .sh(target.id(), &format!("timeout 5 bash -c 'exec 3<>/dev/tcp/{place}' && echo connected"))
            .await;
        assert!(!done.stdout.contains("connected"), "{place}: {done:?}");
    }
    let interfaces = target.sh("cut -d: -f1 /proc/net/dev | tail -n +3 | tr -d ' '; ls /sys/class/net").await;
    assert_eq!(interfaces.ok(), "lo\nlo\n");
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "somebody came through");
    target.close().await;
}

#[tokio::test]
async fn abstract_sockets_of_the_host_are_out_of_sight() {
    let Some(target) = Target::new().await else { return };
    let name = format!("lattice-{}", std::process::id());
    let _listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    assert!(std::fs::read_to_string("/proc/net/unix").unwrap().contains(&name));
    assert!(!target.sh("cat /proc/net/unix").await.ok().contains(&name));
    target.close().await;
}

#[tokio::test]
async fn loopback_works_on_every_port() {
    let Some(target) = Target::new().await else { return };
    target.bring_attacker().await;
    let script = "/tmp/attacker --ignored --exact network::serve_and_connect --nocapture";
    assert!(target.sh(script).await.ok().contains("served\n"));
    target.close().await;
}

#[test]
#[ignore = "runs inside a sandbox only, where a test starts it"]
fn serve_and_connect() {
    let listener = TcpListener::bind("127.0.0.1:80").unwrap();
    let mut client = std::net::TcpStream::connect("127.0.0.1:80").unwrap();
    client.write_all(b"x").unwrap();
    listener.accept().unwrap();
    println!("served");
}
