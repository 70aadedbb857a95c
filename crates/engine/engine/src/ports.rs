//! Published ports: listeners on this machine's loopback address that a sandbox's agent accepts on.
//!
//! They are opened before the sandbox is made and given to its agent, which relays for as long as it lives; nobody else is needed.

use crate::{
    error::{Error, ErrorKind, Result},
    protocol::MAX_PORTS,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashSet,
    fs,
    io::{self, Read},
    net::{Ipv4Addr, TcpListener},
    os::fd::OwnedFd,
    path::Path,
};

/// Name of the file in a sandbox's folder that has the numbers.
const FILE: &str = "ports";
/// Longest such file.
const MAX_FILE: u64 = 64 << 10;

/// A port to publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishPort {
    /// Its number inside the sandbox.
    pub inside: u16,
    /// Its number on this machine; `None`: one that is free.
    pub outside: Option<u16>,
}

/// A published port: connections to `127.0.0.1:outside` of this machine reach `127.0.0.1:inside` of the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedPort {
    /// Its number inside the sandbox.
    pub inside: u16,
    /// Its number on this machine.
    pub outside: u16,
}

/// Open listeners, in the order in which they were asked for.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    pub(crate) ports: Vec<PublishedPort>,
    pub(crate) sockets: Vec<OwnedFd>,
}

/// Refuses ports that cannot be published.
pub(crate) fn check(ports: &[PublishPort]) -> Result<()> {
    if ports.len() > MAX_PORTS {
        return Err(Error::invalid(format!(
            "{} published ports; at most {MAX_PORTS} are given",
            ports.len()
        )));
    }
    let mut seen = HashSet::new();
    for port in ports {
        if port.inside == 0 || port.outside == Some(0) {
            return Err(Error::invalid("port 0 cannot be published; 1 to 65535 can"));
        }
        if !seen.insert(port.inside) {
            return Err(Error::invalid(format!("port {} is to be published twice", port.inside)));
        }
    }
    Ok(())
}

impl Listeners {
    /// Listens for all of them, or for none.
    pub(crate) fn open(ports: &[PublishPort]) -> Result<Self> {
        let mut listeners = Self::default();
        for port in ports {
            let (number, socket) = bind(port.outside).map_err(|e| failed(*port, e))?;
            listeners.ports.push(PublishedPort { inside: port.inside, outside: number });
            listeners.sockets.push(socket);
        }
        Ok(listeners)
    }

    /// Writes the numbers into a sandbox's folder.
    pub(crate) fn keep(&self, folder: &Path) -> Result<()> {
        if self.ports.is_empty() {
            return Ok(());
        }
        let text = serde_json::to_vec(&self.ports).expect("numbers have a JSON form");
        fs::write(folder.join(FILE), text).map_err(|e| Error::io("cannot keep the published ports", e))
    }
}

/// Ports below 1024 and taken ones are refused by the kernel.
fn bind(number: Option<u16>) -> io::Result<(u16, OwnedFd)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, number.unwrap_or(0)))?;
    Ok((listener.local_addr()?.port(), listener.into()))
}

fn failed(port: PublishPort, error: io::Error) -> Error {
    let asked = port.outside.map_or_else(|| "a free port".to_owned(), |number| format!("port {number}"));
    let text = format!("cannot publish port {} on {asked} of this machine", port.inside);
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let text = format!("{text}: it is taken, choose another or leave the choice to the engine");
            Error::new(ErrorKind::FailedPrecondition, text).with_source(error)
        }
        _ => Error::io(text, error),
    }
}

/// The numbers in a sandbox's folder; none when there are none.
pub(crate) fn read(folder: &Path) -> Result<Vec<PublishedPort>> {
    let what = "cannot read the published ports";
    let file = match fs::File::open(folder.join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        file => file.map_err(|e| Error::io(what, e))?,
    };
    let mut text = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut text).map_err(|e| Error::io(what, e))?;
    serde_json::from_slice(&text).map_err(|e| Error::new(ErrorKind::Internal, what).with_source(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(inside: u16, outside: Option<u16>) -> PublishPort {
        PublishPort { inside, outside }
    }

    #[test]
    fn numbers_are_kept_in_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()).unwrap(), []);
        let listeners = Listeners::open(&[port(80, None), port(81, None)]).unwrap();
        listeners.keep(folder.path()).unwrap();
        assert_eq!(read(folder.path()).unwrap(), listeners.ports);
        assert_eq!(listeners.ports.iter().map(|port| port.inside).collect::<Vec<_>>(), [80, 81]);
        assert!(listeners.ports.iter().all(|port| port.outside != 0));
    }

    #[test]
    fn a_taken_port_is_named() {
        let first = Listeners::open(&[port(80, None)]).unwrap();
        let taken = first.ports[0].outside;
        let error = Listeners::open(&[port(80, Some(taken))]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FailedPrecondition, "{error:?}");
        assert!(error.to_string().contains(&taken.to_string()), "{error}");
    }

    #[test]
    fn wrong_ports_are_refused() {
        let many: Vec<_> = (1..=33).map(|number| port(number, None)).collect();
        let table: [(&[PublishPort], &str); 4] = [
            (&[port(0, None)], "port 0"),
            (&[port(1, Some(0))], "port 0"),
            (&[port(8080, None), port(8080, Some(9000))], "port 8080"),
            (&many, "33 published ports"),
        ];
        for (ports, words) in table {
            let error = check(ports).unwrap_err();
            assert!(error.to_string().contains(words), "{error} does not say {words}");
        }
    }
}
