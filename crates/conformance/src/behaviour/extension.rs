//! Extensions: there, or `None`.

use std::sync::Arc;

use openlattice::{ComputeProviderExt, ErrorKind, Files, Metrics, Network, PortKind, PortSpec};

use super::behaviours;
use crate::case::Case;
use crate::verdict::{Outcome, ensure, ensure_eq, must_fail, must_refuse, passed, skipped};

behaviours![
    m27_files_are_there_exactly_where_claimed,
    m28_the_network_is_there_exactly_where_claimed,
    m28_a_published_port_has_an_address,
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
    let mut spec = case.spec();
    spec.network.ports = vec![PortSpec { port: 8080, kind: PortKind::Encrypted }];
    if !case.offers().networking.encrypted_ports {
        let refused = must_refuse(case.provision(spec).await, "network.ports")?;
        case.nothing_alive("after refused ports").await?;
        return Ok(refused);
    }
    let node = case.node_of(spec).await?;
    let Some(network) = node.network() else {
        return skipped("ports are offered, and the extension that finds them is not");
    };
    let found = network.url(8080).await?;
    ensure_eq!(found.port, 8080, "the port");
    ensure!(found.url.contains("://"), "the address is {:?}", found.url);
    passed()
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
