//! Published ports and readiness probes.

use crate::fixture::{Made, Running, Scene, Store};
use openlattice_modal_proto::{
    client::{
        self as proto, PortSpec, PortSpecs, Probe, TunnelData,
        generic_result::GenericStatus,
        network_access::NetworkAccessType,
        probe::{ExecCommand, ProbeOneof},
        sandbox::OpenPortsOneof,
    },
    task_command_router as router,
};
use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer, pki_types::pem::PemObject};
use std::sync::Arc;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::{Code, Status};

/// Listens on the ports of its arguments, and answers each line with the port's number before it.
const SERVER: &str = r#"use IO::Socket::INET;
for my $p (@ARGV) {
    my $l = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => $p, Listen => 8) or die "$p: $!";
    next if fork;
    while (my $c = $l->accept) {
        next if fork;
        $c->autoflush(1);
        while (my $s = <$c>) { print $c "$p:$s" }
        exit 0;
    }
}
sleep;"#;

async fn scene() -> (Running, Scene) {
    let store = Arc::new(Store::new());
    let server = store.open().await;
    let scene = Scene::new(&server, store).await;
    (server, scene)
}

fn tcp(port: u32) -> Probe {
    Probe { interval_ms: Some(20), probe_oneof: Some(ProbeOneof::TcpPort(port)) }
}

fn script(text: &str) -> Probe {
    let argv = ["sh", "-c", text].map(str::to_owned).into();
    Probe { interval_ms: Some(20), probe_oneof: Some(ProbeOneof::ExecCommand(ExecCommand { argv })) }
}

/// Three ports: 8001 encrypted, 8002 plain, 8003 with HTTP/2. Ready once the last one listens.
fn reachable(scene: &Scene) -> proto::SandboxCreateV2Request {
    let mut request = scene.request(&["perl", "-e", SERVER, "8001", "8002", "8003"]);
    let definition = request.definition.as_mut().unwrap();
    let ports = vec![
        PortSpec { port: 8001, ..Default::default() },
        PortSpec { port: 8002, unencrypted: true, ..Default::default() },
        PortSpec { port: 8003, tunnel_type: Some(proto::TunnelType::H2.into()), ..Default::default() },
    ];
    definition.open_ports_oneof = Some(OpenPortsOneof::OpenPorts(PortSpecs { ports }));
    definition.readiness_probe = Some(tcp(8003));
    request
}

/// Makes it and waits until it listens; nothing, with the reason printed, where that cannot be.
async fn listening(server: &Running, scene: &mut Scene) -> Option<(Made, Vec<TunnelData>)> {
    match scene.control.sandbox_create_v2(reachable(scene)).await {
        Ok(reply) => {
            let reply = reply.into_inner();
            let tunnels = reply.tunnels.clone();
            let made = Made::from(reply);
            assert!(wait_until_ready(server, &made, 60.0).await.unwrap() > 1.0);
            Some((made, tunnels))
        }
        Err(status) if status.code() == Code::InvalidArgument => {
            println!("skipped: image host has no perl to listen with: {}", status.message());
            None
        }
        Err(status) if matches!(status.code(), Code::PermissionDenied | Code::Unimplemented) => {
            println!("skipped: this host cannot make sandboxes: {}", status.message());
            None
        }
        Err(status) => panic!("{status:?}"),
    }
}

async fn wait_until_ready(server: &Running, made: &Made, timeout: f32) -> Result<f64, Status> {
    let request = router::SandboxWaitUntilReadyTcrRequest { task_id: made.task.clone(), timeout };
    let mut tcr = server.router(&made.jwt).await;
    tcr.sandbox_wait_until_ready(request).await.map(|reply| reply.into_inner().ready_at)
}

async fn get_tunnels(scene: &mut Scene, id: &str) -> Result<Vec<TunnelData>, Status> {
    let request = proto::SandboxGetTunnelsRequest { sandbox_id: id.to_owned(), timeout: 50.0 };
    let reply = scene.control.sandbox_get_tunnels_v2(request).await?.into_inner();
    assert_eq!(reply.result.unwrap().status(), GenericStatus::Success);
    Ok(reply.tunnels)
}

async fn listed(scene: &mut Scene, id: &str) -> proto::SandboxInfo {
    let request =
        proto::SandboxListRequest { app_id: scene.app.clone(), include_finished: true, ..Default::default() };
    let all = scene.control.sandbox_list_v2(request).await.unwrap().into_inner().sandboxes;
    all.into_iter().find(|info| info.id == id).unwrap()
}

fn plain(tunnel: &TunnelData) -> (String, u16) {
    let port = tunnel.unencrypted_port.expect("a plain port");
    (tunnel.unencrypted_host.clone().unwrap(), u16::try_from(port).unwrap())
}

/// Connects with TLS, trusting the store's own certificate, and offers `protocols`.
async fn secure(scene: &Scene, tunnel: &TunnelData, protocols: &[&str]) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    let pem = scene.store.path().join("modal/tls.pem");
    for certificate in CertificateDer::pem_file_iter(pem).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = builder.unwrap().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let port = u16::try_from(tunnel.port).unwrap();
    let stream = TcpStream::connect((tunnel.host.as_str(), port)).await.unwrap();
    let name = tunnel.host.clone().try_into().unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

async fn echo(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), line: &str) -> String {
    stream.write_all(line.as_bytes()).await.unwrap();
    let mut answer = vec![0; line.len() + "8001:".len()];
    stream.read_exact(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn published_ports_are_reached_as_they_were_asked_for() {
    let (server, mut scene) = scene().await;
    let Some((made, tunnels)) = listening(&server, &mut scene).await else { return };
    assert_eq!(get_tunnels(&mut scene, &made.id).await.unwrap(), tunnels);
    let inside: Vec<u32> = tunnels.iter().map(|tunnel| tunnel.container_port).collect();
    assert_eq!(inside, [8001, 8002, 8003]);
    assert!(tunnels[0].unencrypted_port.is_none() && tunnels[2].unencrypted_port.is_none());
    let mut raw = TcpStream::connect(plain(&tunnels[1])).await.unwrap();
    assert_eq!(echo(&mut raw, "a\n").await, "8002:a\n");
    assert_eq!(echo(&mut raw, "b\n").await, "8002:b\n");
    for (tunnel, protocols, agreed) in [
        (&tunnels[0], &["http/1.1"][..], None),
        (&tunnels[1], &[][..], None),
        (&tunnels[2], &["http/1.1", "h2"][..], Some(&b"h2"[..])),
        (&tunnels[2], &["http/1.1"][..], Some(&b"http/1.1"[..])),
    ] {
        let mut stream = secure(&scene, tunnel, protocols).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), agreed, "{tunnel:?}");
        assert_eq!(echo(&mut stream, "x\n").await, format!("{}:x\n", tunnel.container_port));
    }
    let info = listed(&mut scene, &made.id).await;
    assert_eq!(info.tunnels, tunnels);
    assert!(info.ready_at.unwrap() >= info.created_at && info.readiness_probe == Some(tcp(8003)));
    scene.terminate(&made.id).await;
    server.stop().await;
}

#[tokio::test]
async fn a_restart_keeps_the_addresses_and_an_end_gives_them_up() {
    let (server, mut scene) = scene().await;
    let Some((made, tunnels)) = listening(&server, &mut scene).await else { return };
    server.stop().await;
    let tls = (tunnels[1].host.as_str(), u16::try_from(tunnels[1].port).unwrap());
    assert!(TcpStream::connect(tls).await.is_err(), "nobody listens without a server");
    let mut raw = TcpStream::connect(plain(&tunnels[1])).await.unwrap();
    assert_eq!(echo(&mut raw, "alone\n").await, "8002:alone\n", "a plain port needs no server");
    let server = scene.store.clone().open().await;
    let mut scene = Scene::new(&server, scene.store).await;
    assert_eq!(get_tunnels(&mut scene, &made.id).await.unwrap(), tunnels);
    assert!(wait_until_ready(&server, &made, 60.0).await.is_ok());
    let mut raw = TcpStream::connect(plain(&tunnels[1])).await.unwrap();
    assert_eq!(echo(&mut raw, "again\n").await, "8002:again\n");
    scene.terminate(&made.id).await;
    // The relay ends with the sandbox, or with the program in it.
    assert_eq!(raw.read(&mut [0]).await.unwrap_or_default(), 0);
    while TcpStream::connect(plain(&tunnels[1])).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let status = get_tunnels(&mut scene, &made.id).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    let info = listed(&mut scene, &made.id).await;
    assert!(info.tunnels.is_empty() && info.ready_at.is_some(), "{info:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_probe_is_repeated_until_it_passes() {
    let (server, mut scene) = scene().await;
    let Some(other) = scene.create(&[]).await else { return };
    assert_eq!(wait_until_ready(&server, &other, 5.0).await.unwrap_err().code(), Code::FailedPrecondition);
    let mut request = scene.request(&[]);
    request.definition.as_mut().unwrap().readiness_probe =
        Some(script("if mkdir /tmp/first; then exit 1; fi; exec mkdir /tmp/second"));
    let made = Made::from(scene.control.sandbox_create_v2(request).await.unwrap().into_inner());
    let at = wait_until_ready(&server, &made, 60.0).await.unwrap();
    assert_eq!(wait_until_ready(&server, &made, 60.0).await.unwrap(), at, "the first time stays");
    assert_eq!(listed(&mut scene, &made.id).await.ready_at, Some(at));
    scene.terminate(&made.id).await;
    scene.terminate(&other.id).await;
    server.stop().await;
}

#[tokio::test]
async fn a_probe_that_fails_is_a_deadline_and_an_end_is_told() {
    let (server, mut scene) = scene().await;
    let Some(other) = scene.create(&[]).await else { return };
    let mut request = scene.request(&[]);
    request.definition.as_mut().unwrap().readiness_probe = Some(tcp(9));
    let made = Made::from(scene.control.sandbox_create_v2(request).await.unwrap().into_inner());
    assert_eq!(wait_until_ready(&server, &made, 0.3).await.unwrap_err().code(), Code::DeadlineExceeded);
    assert_eq!(listed(&mut scene, &made.id).await.ready_at, None);
    let waiting = wait_until_ready(&server, &made, 60.0);
    let (ended, ()) = tokio::join!(waiting, scene.terminate(&made.id));
    assert_eq!(ended.unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!(wait_until_ready(&server, &made, 60.0).await.unwrap_err().code(), Code::FailedPrecondition);
    scene.terminate(&other.id).await;
    server.stop().await;
}

#[tokio::test]
async fn the_network_of_a_running_sandbox_stays_blocked_and_no_other_is_given() {
    let (server, mut scene) = scene().await;
    let Some(made) = scene.create(&[]).await else { return };
    for (kind, code) in [
        (NetworkAccessType::Blocked, Code::Ok),
        (NetworkAccessType::Open, Code::Unimplemented),
        (NetworkAccessType::Allowlist, Code::Unimplemented),
    ] {
        let access = proto::NetworkAccess { network_access_type: kind.into(), ..Default::default() };
        let request =
            router::TaskSetNetworkAccessRequest { task_id: made.task.clone(), network_access: Some(access) };
        let reply = server.router(&made.jwt).await.task_set_network_access(request).await;
        assert_eq!(reply.map_or_else(|status| status.code(), |_| Code::Ok), code, "{kind:?}");
    }
    scene.terminate(&made.id).await;
    server.stop().await;
}
