//! Extensions: there, or `None`.

use std::sync::Arc;

use openlattice::{
    ComputeProviderExt, ErrorKind, ExecSpec, Files, Metrics, Network, OutputStream, PortKind, PortSpec,
    ProvisionSpec,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::behaviours;
use crate::case::{Case, shell};
use crate::verdict::{Failure, Outcome, ensure, ensure_eq, failed, must_fail, must_refuse, passed, skipped};

/// The port that is published.
const PORT: u16 = 8080;

/// Listens on a port, says so, and gives every caller its line back in reverse.
const LISTENER: &str = r#"use IO::Socket::INET;
my $l = IO::Socket::INET->new(LocalPort => $ARGV[0], Listen => 8) or die;
$| = 1;
print "up\n";
while (my $c = $l->accept) { my $s = <$c>; chomp $s; print $c scalar reverse($s); close $c; }"#;

behaviours![
    m27_files_are_there_exactly_where_claimed,
    m28_the_network_is_there_exactly_where_claimed,
    m28_a_published_port_has_an_address,
    m28_a_program_is_reached_through_a_published_port,
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
    must_fail(network.url(PORT + 1).await, &[ErrorKind::FailedPrecondition], "a port that is not published")?;
    case.provider().destroy(node.id()).await?;
    must_fail(network.url(PORT).await, &[ErrorKind::NotFound], "a port of an ended sandbox")?;
    Ok(())
}

async fn m28_a_program_is_reached_through_a_published_port(case: Case) -> Outcome {
    let spec = publishing(&case, PortKind::Plain);
    if !case.offers().networking.plain_ports {
        return must_refuse(case.provision(spec).await, "network.ports");
    }
    let node = case.node_of(spec).await?;
    let Some(network) = node.network() else {
        return skipped("ports are offered, and the extension that finds them is not");
    };
    if !shell(&node, "command -v perl").await?.is_success() {
        return skipped("the image has no perl to listen with");
    }
    let session = node.exec(ExecSpec::new(["perl", "-e", LISTENER, &PORT.to_string()])).await?;
    let mut said = session.output(OutputStream::Stdout, 0);
    ensure!(said.next_chunk().await?.is_some(), "the program inside does not listen");
    let url = network.url(PORT).await?.url;
    let answer = ask(&url, b"abc\n").await;
    ensure_eq!(answer.as_deref().unwrap_or_default(), b"cba", "what {url} answers ({answer:?})");
    passed()
}

/// Gives a line to an address and returns all that comes back.
async fn ask(url: &str, line: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(url.trim_start_matches("tcp://")).await?;
    stream.write_all(line).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
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
    spec.network.ports = vec![PortSpec { port: PORT, kind }];
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
