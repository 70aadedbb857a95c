//! `-p`, in the order of docker and podman.

use std::net::IpAddr;

use openlattice::{PortKind, PortSpec};

const WRONG: &str =
    "write a port like 80 (published on a free port), 8080:80 (HOST:SANDBOX) or 127.0.0.1:8080:80";

/// Parses `[IP:][HOST:]SANDBOX[/tcp]`; an empty HOST, or 0, is a free port of this machine.
pub(crate) fn port(text: &str) -> Result<PortSpec, String> {
    let (numbers, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    if !protocol.eq_ignore_ascii_case("tcp") {
        return Err(format!("{protocol} ports are not published: only TCP is"));
    }
    let (before, inside) = match numbers.rsplit_once(':') {
        Some((before, inside)) => (Some(before), inside),
        None => (None, numbers),
    };
    let (address, host) = match before.map(|before| before.rsplit_once(':')) {
        Some(Some((address, host))) => (Some(address), Some(host)),
        Some(None) => (None, before),
        None => (None, None),
    };
    if let Some(address) = address {
        check_address(address)?;
    }
    let mut spec = PortSpec::new(number(inside)?, PortKind::Plain);
    spec.host_port = match host {
        None | Some("" | "0") => None,
        Some(host) => Some(number(host)?),
    };
    Ok(spec)
}

/// Only the usual address of loopback is listened on.
fn check_address(text: &str) -> Result<(), String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    match bare.parse::<IpAddr>() {
        Ok(address) if address == IpAddr::from([127, 0, 0, 1]) => Ok(()),
        Ok(address) => Err(format!(
            "ports are published on 127.0.0.1 only, not on {address}: leave the address out, and forward from there"
        )),
        Err(_) => Err(format!("{text:?} is not an IP address: {WRONG}")),
    }
}

fn number(text: &str) -> Result<u16, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(number) if digits && number > 0 => Ok(number),
        _ if digits => Err(format!("port {text} is outside 1 to 65535")),
        _ if is_range(text) => Err(format!("the range {text} is not published: give one -p for each port")),
        _ => Err(WRONG.to_owned()),
    }
}

fn is_range(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once('-').is_some_and(|(first, last)| digits(first) && digits(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_of_this_machine_comes_first() {
        let read = |text| port(text).map(|spec| (spec.host_port, spec.port, spec.kind));
        for (text, host, inside) in [
            ("8080", None, 8080),
            ("9000:80", Some(9000), 80),
            ("9000:80/tcp", Some(9000), 80),
            ("80/TCP", None, 80),
            ("127.0.0.1:9000:80", Some(9000), 80),
            ("127.0.0.1::80", None, 80),
            (":80", None, 80),
            ("0:80", None, 80),
        ] {
            assert_eq!(read(text), Ok((host, inside, PortKind::Plain)), "{text}");
        }
    }

    #[test]
    fn what_is_not_published_is_refused_by_name() {
        for (text, words) in [
            ("53:53/udp", "udp ports"),
            ("80/sctp", "sctp ports"),
            ("80/", " ports"),
            ("8000-8010:8000-8010", "range 8000-8010"),
            ("8000-8010", "range 8000-8010"),
            ("0.0.0.0:80:80", "not on 0.0.0.0"),
            ("192.168.1.5:8080:80", "not on 192.168.1.5"),
            ("127.0.0.2::80", "not on 127.0.0.2"),
            ("[::1]:8080:80", "not on ::1"),
            ("::1:8080:80", "not on ::1"),
            ("localhost:80:80", "\"localhost\" is not an IP address"),
            (":80:80", "is not an IP address"),
            ("0", "port 0"),
            ("80:0", "port 0"),
            ("65536", "port 65536"),
            ("99999:80", "port 99999"),
            ("", "HOST:SANDBOX"),
            ("80:", "HOST:SANDBOX"),
            ("+80", "HOST:SANDBOX"),
            ("-80", "HOST:SANDBOX"),
            ("http", "HOST:SANDBOX"),
        ] {
            let error = port(text).expect_err(text);
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
