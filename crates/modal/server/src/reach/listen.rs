//! The listeners of a sandbox's ports, on loopback of this machine, with numbers that a restart keeps where it can.

use super::{
    asked::{Kind, Port},
    relay::Relay,
};
use crate::{
    state::{PortNumbers, State},
    tls::Acceptors,
};
use openlattice_engine::SandboxId;
use openlattice_modal_proto::client::TunnelData;
use std::{io, net::Ipv4Addr};
use tokio::net::TcpListener;
use tonic::Status;

/// Where clients reach the listeners.
const HOST: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// The listeners of one port.
#[derive(Debug)]
pub(super) struct Listening {
    port: Port,
    tls: TcpListener,
    plain: Option<TcpListener>,
    numbers: PortNumbers,
}

/// Listens for all ports of a sandbox.
pub(super) async fn open(state: &State, id: &SandboxId, ports: &[Port]) -> Result<Vec<Listening>, Status> {
    if ports.is_empty() {
        return Ok(Vec::new());
    }
    let known = state.ports(id.as_str()).await?;
    let mut all = Vec::with_capacity(ports.len());
    for port in ports {
        let before = known.iter().find(|numbers| numbers.inside == port.number);
        let listening = Listening::open(*port, before).await;
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
    async fn open(port: Port, before: Option<&PortNumbers>) -> io::Result<Self> {
        let tls = bind(before.map(|numbers| numbers.tls)).await?;
        let plain = match port.kind {
            Kind::Plain => Some(bind(before.and_then(|numbers| numbers.plain)).await?),
            Kind::Encrypted | Kind::Http2 => None,
        };
        let number = |listener: &TcpListener| listener.local_addr().map(|address| address.port());
        let numbers = PortNumbers {
            inside: port.number,
            tls: number(&tls)?,
            plain: plain.as_ref().map(number).transpose()?,
        };
        Ok(Self { port, tls, plain, numbers })
    }

    /// What clients are told.
    pub(super) fn tunnel(&self) -> TunnelData {
        TunnelData {
            host: HOST.to_string(),
            port: self.numbers.tls.into(),
            unencrypted_host: self.numbers.plain.map(|_| HOST.to_string()),
            unencrypted_port: self.numbers.plain.map(u32::from),
            container_port: self.numbers.inside.into(),
        }
    }

    /// One relay a listener.
    pub(super) fn relays(self, tls: &Acceptors) -> impl Iterator<Item = Relay> {
        let acceptor = match self.port.kind {
            Kind::Http2 => tls.http2.clone(),
            Kind::Encrypted | Kind::Plain => tls.any.clone(),
        };
        let number = self.port.number;
        let plain = self.plain.map(|listener| Relay { listener, tls: None, port: number });
        plain.into_iter().chain([Relay { listener: self.tls, tls: Some(acceptor), port: number }])
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
    use crate::state::tests::state;

    #[tokio::test]
    async fn numbers_are_kept_unless_taken() {
        let (_folder, state) = state();
        let id = SandboxId::parse("sb-1").unwrap();
        let ports = [Port { number: 80, kind: Kind::Plain }, Port { number: 81, kind: Kind::Encrypted }];
        let first = open(&state, &id, &ports).await.unwrap();
        let told: Vec<TunnelData> = first.iter().map(Listening::tunnel).collect();
        assert!(told[0].unencrypted_port.is_some() && told[1].unencrypted_port.is_none());
        let beside = open(&state, &id, &ports).await.unwrap();
        assert_ne!(beside.iter().map(Listening::tunnel).collect::<Vec<_>>(), told, "the first still listens");
        state.keep_ports(id.as_str(), first.iter().map(|one| one.numbers).collect()).await.unwrap();
        drop((first, beside));
        let again = open(&state, &id, &ports).await.unwrap();
        assert_eq!(again.iter().map(Listening::tunnel).collect::<Vec<_>>(), told);
    }
}
