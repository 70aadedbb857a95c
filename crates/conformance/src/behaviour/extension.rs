//! Extensions: there, or `None`.

use std::net::TcpListener;
use std::sync::Arc;

use openlattice::{
    ComputeProviderExt, ErrorKind, ExecSpec, Files, Metrics, Network, NetworkPolicy, Node, OutputStream,
    PortKind, PortSpec, ProvisionSpec, SandboxId,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::behaviours;
use crate::case::{Case, shell};
use crate::verdict::{
    Failure, Outcome, Verdict, ensure, ensure_eq, failed, must_fail, must_refuse, passed, skipped,
};

/// The port that is published.
const PORT: u16 = 8080;

/// Listens on a port, says so, and gives every caller its line back in reverse.
const LISTENER: &str = r#"use IO::Socket::INET;
my $l = IO::Socket::INET->new(LocalPort => $ARGV[0], Listen => 8) or die;
$| = 1;
print "up\n";
while (my $c = $l->accept) { my $s = <$c>; chomp $s; print $c scalar reverse($s); close $c; }"#;

/// Listens on a port, says so, and gives every caller its bytes back once it has sent all.
const MIRROR: &str = r#"use IO::Socket::INET;
my $l = IO::Socket::INET->new(LocalPort => $ARGV[0], Listen => 8) or die;
$| = 1;
print "up\n";
while (my $c = $l->accept) { my $all = ""; while (sysread($c, my $part, 65536)) { $all .= $part } print $c $all; close $c; }"#;

behaviours![
    m27_files_are_there_exactly_where_claimed,
    m28_the_network_is_there_exactly_where_claimed,
    m28_a_published_port_has_an_address,
    m28_a_port_of_the_providers_machine_is_given_or_refused,
    m28_a_program_is_reached_through_a_published_port,
    m28_one_end_of_a_connection_can_close_first,
    g6_a_change_of_policy_is_made_or_refused,
    m29_metrics_are_there_exactly_where_claimed,
    m29_an_extension_nobody_has_is_none,
];

async fn m27_files_are_there_exactly_where_claimed(case: Case) -> Outcome {
    let there = case.provider().extensions().has::<dyn Files>();
    ensure_eq!(there, case.offers().extensions.files, "whether files are there");
    passed()
}

async fn m28_the_network_is_there_exactly_where_claimed(case: Case) -> Outcome {
    let there = case.provider().extensions().has::<dyn Network>();
    ensure_eq!(there, case.offers().extensions.network, "whether the network is there");
    let node = case.node().await?;
    ensure_eq!(node.network().is_some(), there, "whether the node has it");
    let Some(network) = node.network() else { return passed() };
    must_fail(network.url(8080).await, &[ErrorKind::FailedPrecondition], "a port that is not published")?;
    ensure_eq!(network.ports().await?, [], "the ports of a sandbox that publishes none");
    passed()
}

async fn m28_a_published_port_has_an_address(case: Case) -> Outcome {
    for (kind, offered) in kinds(&case) {
        if offered {
            has_an_address(&case, kind).await?;
        } else {
            must_refuse(case.provision(publishing(&case, kind)).await, "network.ports")?;
            case.nothing_alive("after refused ports").await?;
        }
    }
    passed()
}

async fn has_an_address(case: &Case, kind: PortKind) -> Result<(), Failure> {
    let node = case.node_of(publishing(case, kind)).await?;
    let Some(network) = node.network() else {
        return failed("ports are offered, and the extension that finds them is not");
    };
    let found = network.url(PORT).await?;
    ensure_eq!(found.port, PORT, "the port");
    let scheme = if kind == PortKind::Plain { "tcp://" } else { "https://" };
    ensure!(found.url.starts_with(scheme), "the address of a {kind:?} port is {:?}", found.url);
    ensure_eq!(network.ports().await?, [found], "the list of ports");
    must_fail(network.url(PORT + 1).await, &[ErrorKind::FailedPrecondition], "a port that is not published")?;
    case.provider().destroy(node.id()).await?;
    must_fail(network.url(PORT).await, &[ErrorKind::NotFound], "a port of an ended sandbox")?;
    must_fail(network.ports().await, &[ErrorKind::NotFound], "the ports of an ended sandbox")?;
    Ok(())
}

async fn m28_a_port_of_the_providers_machine_is_given_or_refused(case: Case) -> Outcome {
    let offer = &case.offers().networking;
    if !offer.plain_ports {
        return skipped("plain ports are not offered, and another test proves the refusal");
    }
    // Free a moment ago here, which is the provider's machine where this is offered.
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let free = free.map_err(|error| Failure(error.to_string()))?.port();
    let mut spec = publishing(&case, PortKind::Plain);
    spec.network.ports[0].host_port = Some(free);
    if !offer.host_ports {
        must_refuse(case.provision(spec).await, "network.ports.hostPort")?;
        case.nothing_alive("after a refused port").await?;
        return passed();
    }
    let node = case.node_of(spec.clone()).await?;
    let Some(network) = node.network() else {
        return failed("ports are offered, and the extension that finds them is not");
    };
    let url = network.url(PORT).await?.url;
    ensure!(url.ends_with(&format!(":{free}")), "port {free} was asked for, and {url} given");
    must_fail(case.provision(spec).await, &[ErrorKind::FailedPrecondition], "a port that is taken")?;
    passed()
}

async fn m28_a_program_is_reached_through_a_published_port(case: Case) -> Outcome {
    let (_node, url) = match listening(&case, LISTENER).await? {
        Ok(listening) => listening,
        Err(verdict) => return Ok(verdict),
    };
    let answer = ask(&url, b"abc\n", false).await;
    ensure_eq!(answer.as_deref().unwrap_or_default(), b"cba", "what {url} answers ({answer:?})");
    passed()
}

async fn m28_one_end_of_a_connection_can_close_first(case: Case) -> Outcome {
    let (_node, url) = match listening(&case, MIRROR).await? {
        Ok(listening) => listening,
        Err(verdict) => return Ok(verdict),
    };
    let bytes: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    let answer = ask(&url, &bytes, true).await;
    let same = answer.as_ref().is_ok_and(|answer| *answer == bytes);
    let seen = answer.map(|answer| answer.len());
    ensure!(same, "of {} bytes that were sent, and then ended, {seen:?} came back", bytes.len());
    passed()
}

/// Makes a sandbox with a program that listens on its published, plain port; tells the address, or why there is none.
async fn listening(case: &Case, program: &str) -> Result<Result<(Node, String), Verdict>, Failure> {
    let spec = publishing(case, PortKind::Plain);
    if !case.offers().networking.plain_ports {
        return must_refuse(case.provision(spec).await, "network.ports").map(Err);
    }
    let node = case.node_of(spec).await?;
    let Some(network) = node.network() else {
        return failed("ports are offered, and the extension that finds them is not");
    };
    if !shell(&node, "command -v perl").await?.is_success() {
        return skipped("the image has no perl to listen with").map(Err);
    }
    let session = node.exec(ExecSpec::new(["perl", "-e", program, &PORT.to_string()])).await?;
    let mut said = session.output(OutputStream::Stdout, 0);
    ensure!(said.next_chunk().await?.is_some(), "the program inside does not listen");
    let url = network.url(PORT).await?.url;
    Ok(Ok((node, url)))
}

/// Gives bytes to an address, says that they are all if asked to, and returns all that comes back.
async fn ask(url: &str, bytes: &[u8], end: bool) -> std::io::Result<Vec<u8>> {
    let (mut read, mut write) = TcpStream::connect(url.trim_start_matches("tcp://")).await?.into_split();
    let mut answer = Vec::new();
    let send = async {
        write.write_all(bytes).await?;
        if end { write.shutdown().await } else { Ok(()) }
    };
    let (sent, received) = tokio::join!(send, read.read_to_end(&mut answer));
    sent.and(received).map(|_| answer)
}

async fn g6_a_change_of_policy_is_made_or_refused(case: Case) -> Outcome {
    let Some(network) = case.provider().extensions().get::<dyn Network>() else {
        return skipped("the network is not offered, and another test proves it");
    };
    let (node, unknown) = (case.node().await?, SandboxId::new("sb-no-such-sandbox"));
    let offer = &case.offers().networking;
    let list = |cidrs: &[&str], domains: &[&str]| {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        NetworkPolicy::AllowList { cidrs: texts(cidrs), domains: texts(domains) }
    };
    for policy in [list(&["10.0.0/8"], &[]), list(&[], &["not a name"])] {
        let error = must_fail(
            network.set_policy(node.id(), policy).await,
            &[ErrorKind::InvalidArgument],
            "nonsense",
        )?;
        let named = error.to_string().contains("10.0.0/8") || error.to_string().contains("not a name");
        ensure!(named, "{error} does not name what is malformed");
    }
    let ranges = offer.change_policy.allow_list && offer.cidr_allow_list;
    let cases = [
        (NetworkPolicy::Open, offer.change_policy.open, "network.policy"),
        (list(&[], &[]), offer.change_policy.allow_list, "network.policy"),
        (list(&["10.0.0.0/8"], &[]), ranges, "network.policy"),
        (NetworkPolicy::Blocked, offer.change_policy.blocked, "network.policy"),
    ];
    for (policy, offered, field) in cases {
        if offered {
            network.set_policy(node.id(), policy.clone()).await?;
            must_fail(
                network.set_policy(&unknown, policy).await,
                &[ErrorKind::NotFound],
                "an unknown sandbox",
            )?;
        } else {
            must_refuse(network.set_policy(node.id(), policy.clone()).await, field)?;
            must_refuse(network.set_policy(&unknown, policy).await, field)?;
        }
    }
    passed()
}

fn kinds(case: &Case) -> [(PortKind, bool); 3] {
    let offer = &case.offers().networking;
    [
        (PortKind::Encrypted, offer.encrypted_ports),
        (PortKind::Plain, offer.plain_ports),
        (PortKind::Http2, offer.http2_ports),
    ]
}

fn publishing(case: &Case, kind: PortKind) -> ProvisionSpec {
    let mut spec = case.spec();
    spec.network.ports = vec![PortSpec::new(PORT, kind)];
    spec
}

async fn m29_metrics_are_there_exactly_where_claimed(case: Case) -> Outcome {
    let metrics = case.provider().extensions().get::<dyn Metrics>();
    ensure_eq!(metrics.is_some(), case.offers().extensions.metrics, "whether metrics are there");
    let Some(metrics) = metrics else { return passed() };
    let node = case.node().await?;
    metrics.usage(node.id()).await?;
    passed()
}

/// A power that no provider has.
trait Nobody: Send + Sync {}

async fn m29_an_extension_nobody_has_is_none(case: Case) -> Outcome {
    let none: Option<Arc<dyn Nobody>> = case.provider().extensions().get::<dyn Nobody>();
    ensure!(none.is_none(), "an extension was made up");
    let node = case.provider().node("sb-no-such-sandbox");
    let text = serde_json::to_string(&node.to_ref())?;
    let again = case.provider().node_from(serde_json::from_str(&text)?)?;
    ensure_eq!(again.id(), node.id(), "the id of a handle that was rebuilt");
    passed()
}
