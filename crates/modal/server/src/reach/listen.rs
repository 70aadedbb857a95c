//! The listeners of a sandbox's ports, on loopback of this machine, with numbers that a restart keeps where it can.

use super::{
    asked::{Kind, Port},
    relay::Relay,
};
use crate::{
    state::{PortNumbers, State},
    tls::Acceptors,
};
use openlattice_engine::{Engine, SandboxId};
use openlattice_modal_proto::client::TunnelData;
use std::{io, net::Ipv4Addr};
use tokio::net::TcpListener;
use tonic::Status;

/// Where clients reach the listeners.
const HOST: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// The listener of one port, beside the one of the engine for a plain port.
#[derive(Debug)]
pub(super) struct Listening {
    port: Port,
    tls: TcpListener,
    /// Where the sandbox's own agent listens.
    plain: Option<u16>,
    numbers: PortNumbers,
}

/// Listens for all ports of a sandbox.
pub(super) async fn open(
    state: &State,
    engine: &Engine,
    id: &SandboxId,
    ports: &[Port],
) -> Result<Vec<Listening>, Status> {
    if ports.is_empty() {
        return Ok(Vec::new());
    }
    let (known, published) = (state.ports(id.as_str()).await?, engine.ports(id).await);
    let published = published.map_err(crate::status::from_engine)?;
    let mut all = Vec::with_capacity(ports.len());
    for port in ports {
        let before = known.iter().find(|numbers| numbers.inside == port.number);
        let plain = published.iter().find(|published| published.inside == port.number);
        let plain = plain.map(|published| published.outside);
        let listening = Listening::open(*port, before.map(|numbers| numbers.tls), plain).await;
        all.push(listening.map_err(|error| failed(*port, &error))?);
    }
    let numbers: Vec<PortNumbers> = all.iter().map(|listening| listening.numbers).collect();
    if numbers != known {
        state.keep_ports(id.as_str(), numbers).await?;
    }
    Ok(all)
}

fn failed(port: Port, error: &io::Error) -> Status {
    Status::resource_exhausted(format!("cannot listen for port {} of the sandbox: {error}", port.number))
}

impl Listening {
    async fn open(port: Port, before: Option<u16>, plain: Option<u16>) -> io::Result<Self> {
        let tls = bind(before).await?;
        let numbers = PortNumbers { inside: port.number, tls: tls.local_addr()?.port() };
        Ok(Self { port, tls, plain, numbers })
    }

    /// What clients are told.
    pub(super) fn tunnel(&self) -> TunnelData {
        TunnelData {
            host: HOST.to_string(),
            port: self.numbers.tls.into(),
            unencrypted_host: self.plain.map(|_| HOST.to_string()),
            unencrypted_port: self.plain.map(u32::from),
            container_port: self.numbers.inside.into(),
        }
    }

    /// The relay of the listener.
    pub(super) fn relay(self, tls: &Acceptors) -> Relay {
        let tls = match self.port.kind {
            Kind::Http2 => tls.http2.clone(),
            Kind::Encrypted | Kind::Plain => tls.any.clone(),
        };
        Relay { listener: self.tls, tls, port: self.port.number }
    }
}

/// The number of before, or another one when it is taken.
async fn bind(before: Option<u16>) -> io::Result<TcpListener> {
    if let Some(number) = before
        && let Ok(listener) = TcpListener::bind((HOST, number)).await
    {
        return Ok(listener);
    }
    TcpListener::bind((HOST, 0)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_number_is_kept_unless_taken() {
        let port = Port { number: 80, kind: Kind::Plain };
        let first = Listening::open(port, None, Some(7)).await.unwrap();
        let told = first.tunnel();
        assert_eq!((told.container_port, told.unencrypted_port), (80, Some(7)));
        let before = Some(first.numbers.tls);
        let beside = Listening::open(port, before, None).await.unwrap();
        assert_ne!(beside.tunnel().port, told.port, "the first still listens");
        assert_eq!(beside.tunnel().unencrypted_port, None);
        drop((first, beside));
        assert_eq!(Listening::open(port, before, Some(7)).await.unwrap().tunnel(), told);
    }
}
