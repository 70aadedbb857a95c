//! What a definition asks of ports and readiness, in the form that is kept with the sandbox.

use openlattice_modal_proto::client::{
    self as proto, PortSpec, TunnelType,
    probe::{ExecCommand, ProbeOneof},
};
use serde::{Deserialize, Serialize};
use std::{collections::HashSet, time::Duration};
use tonic::Status;

/// Most ports of one sandbox; each costs up to two listeners.
const MOST_PORTS: usize = 32;
/// Pause between two tries of a probe that names none, as clients set it.
const USUAL_INTERVAL: u32 = 100;
/// Shortest and longest pause between two tries, in milliseconds.
const INTERVALS: (u32, u32) = (10, 3_600_000);

/// How a sandbox shall be reached from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asked {
    /// Ports to publish.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) ports: Vec<Port>,
    /// When it counts as ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) probe: Option<Probe>,
}

/// A port to publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Port {
    /// Its number inside the sandbox.
    pub(crate) number: u16,
    pub(crate) kind: Kind,
}

/// How a port is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// Through TLS.
    Encrypted,
    /// Through TLS that offers HTTP/2.
    Http2,
    /// As plain TCP, and through TLS too.
    Plain,
}

/// A readiness probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Probe {
    check: Check,
    interval_ms: u32,
}

/// What a probe tries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Check {
    /// The port accepts a connection.
    TcpPort(u16),
    /// The command exits with 0.
    Command(Vec<String>),
}

impl Asked {
    /// Reads both fields of a definition.
    pub(crate) fn read(ports: Vec<PortSpec>, probe: Option<proto::Probe>) -> Result<Self, Status> {
        if ports.len() > MOST_PORTS {
            let text = format!("open_ports has {} ports; at most {MOST_PORTS} are given", ports.len());
            return Err(Status::invalid_argument(text));
        }
        let mut numbers = HashSet::new();
        let mut read = Vec::with_capacity(ports.len());
        for spec in ports {
            let port = port(spec)?;
            if !numbers.insert(port.number) {
                return Err(Status::invalid_argument(format!("open_ports names port {} twice", port.number)));
            }
            read.push(port);
        }
        Ok(Self { ports: read, probe: probe.map(Probe::read).transpose()? })
    }

    /// Numbers inside of the ports that are published as plain TCP too.
    pub(crate) fn plain(&self) -> impl Iterator<Item = u16> {
        self.ports.iter().filter(|port| port.kind == Kind::Plain).map(|port| port.number)
    }

    /// Whether nothing is asked.
    pub(crate) fn is_empty(&self) -> bool {
        self.ports.is_empty() && self.probe.is_none()
    }
}

fn port(spec: PortSpec) -> Result<Port, Status> {
    let http2 = match spec.tunnel_type.map(TunnelType::try_from) {
        None | Some(Ok(TunnelType::Unspecified)) => false,
        Some(Ok(TunnelType::H2)) => true,
        Some(Err(_)) => {
            let text = format!("open_ports: the tunnel type of port {} is unknown", spec.port);
            return Err(Status::invalid_argument(text));
        }
    };
    let kind = match (spec.unencrypted, http2) {
        (true, true) => {
            let text = format!("open_ports: port {} cannot be both unencrypted and H2", spec.port);
            return Err(Status::invalid_argument(text));
        }
        (true, false) => Kind::Plain,
        (false, true) => Kind::Http2,
        (false, false) => Kind::Encrypted,
    };
    Ok(Port { number: number("open_ports", spec.port)?, kind })
}

fn number(field: &str, port: u32) -> Result<u16, Status> {
    let number = u16::try_from(port).ok().filter(|number| *number > 0);
    number.ok_or_else(|| Status::invalid_argument(format!("{field}: {port} is no port; 1 to 65535 are")))
}

impl Probe {
    fn read(probe: proto::Probe) -> Result<Self, Status> {
        let check = match probe.probe_oneof {
            Some(ProbeOneof::TcpPort(port)) => Check::TcpPort(number("readiness_probe", port)?),
            Some(ProbeOneof::ExecCommand(ExecCommand { argv })) if !argv.is_empty() => Check::Command(argv),
            Some(ProbeOneof::ExecCommand(_)) => {
                return Err(Status::invalid_argument("readiness_probe: the command is empty"));
            }
            None => {
                return Err(Status::invalid_argument("readiness_probe names neither a port nor a command"));
            }
        };
        Ok(Self { check, interval_ms: probe.interval_ms.unwrap_or(USUAL_INTERVAL) })
    }

    /// The message that it was read from.
    pub(crate) fn message(&self) -> proto::Probe {
        let check = match &self.check {
            Check::TcpPort(port) => ProbeOneof::TcpPort((*port).into()),
            Check::Command(argv) => ProbeOneof::ExecCommand(ExecCommand { argv: argv.clone() }),
        };
        proto::Probe { interval_ms: Some(self.interval_ms), probe_oneof: Some(check) }
    }

    /// What the engine tries.
    pub(crate) fn check(&self) -> openlattice_engine::Probe {
        match &self.check {
            Check::TcpPort(port) => openlattice_engine::Probe::TcpPort(*port),
            Check::Command(argv) => openlattice_engine::Probe::Command(argv.clone()),
        }
    }

    /// Pause between two tries.
    pub(crate) fn interval(&self) -> Duration {
        Duration::from_millis(self.interval_ms.clamp(INTERVALS.0, INTERVALS.1).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(port: u32, unencrypted: bool, tunnel_type: Option<i32>) -> PortSpec {
        PortSpec { port, unencrypted, tunnel_type }
    }

    #[test]
    fn ports_are_of_three_kinds() {
        let ports = vec![spec(1, false, None), spec(2, true, Some(0)), spec(65_535, false, Some(1))];
        let asked = Asked::read(ports, None).unwrap();
        let kinds: Vec<_> = asked.ports.iter().map(|port| (port.number, port.kind)).collect();
        assert_eq!(kinds, [(1, Kind::Encrypted), (2, Kind::Plain), (65_535, Kind::Http2)]);
        assert!(!asked.is_empty() && Asked::read(vec![], None).unwrap().is_empty());
    }

    #[test]
    fn wrong_ports_are_named() {
        let table = [
            (vec![spec(0, false, None)], "0 is no port"),
            (vec![spec(65_536, false, None)], "65536 is no port"),
            (vec![spec(80, false, None), spec(80, true, None)], "port 80 twice"),
            (vec![spec(80, true, Some(1))], "port 80 cannot be both"),
            (vec![spec(80, false, Some(9))], "tunnel type of port 80"),
            ((1..=33).map(|port| spec(port, false, None)).collect(), "33 ports"),
        ];
        for (ports, words) in table {
            let status = Asked::read(ports, None).unwrap_err();
            assert_eq!(status.code(), tonic::Code::InvalidArgument);
            assert!(status.message().contains(words), "{} does not say {words}", status.message());
        }
    }

    #[test]
    fn a_probe_says_what_and_how_often() {
        let command = ProbeOneof::ExecCommand(ExecCommand { argv: vec!["true".into()] });
        let message = proto::Probe { interval_ms: Some(250), probe_oneof: Some(command) };
        let probe = Asked::read(vec![], Some(message.clone())).unwrap().probe.unwrap();
        assert_eq!(probe.message(), message);
        assert_eq!(probe.interval(), Duration::from_millis(250));
        assert_eq!(probe.check(), openlattice_engine::Probe::Command(vec!["true".into()]));
        let wrong =
            [None, Some(ProbeOneof::TcpPort(0)), Some(ProbeOneof::ExecCommand(ExecCommand::default()))];
        for probe_oneof in wrong {
            assert!(Asked::read(vec![], Some(proto::Probe { interval_ms: None, probe_oneof })).is_err());
        }
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let probe = proto::Probe { interval_ms: None, probe_oneof: Some(ProbeOneof::TcpPort(80)) };
        let asked = Asked::read(vec![spec(80, true, None)], Some(probe)).unwrap();
        let text = serde_json::to_string(&asked).unwrap();
        assert_eq!(serde_json::from_str::<Asked>(&text).unwrap(), asked);
        assert_eq!(serde_json::from_str::<Asked>("{}").unwrap(), Asked::default());
    }
}
