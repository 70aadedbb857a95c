//! Where a request goes: scheme, host, port and path of a URL, as far as registries use them.

use std::net::{IpAddr, Ipv6Addr};

use http::Uri;

/// `HOST` or `HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Authority {
    /// Name or address, without the brackets of IPv6.
    pub(super) host: String,
    pub(super) port: Option<u16>,
}

impl Authority {
    /// Reads a host name, an IPv4 address or an IPv6 address in brackets, each with or without a port.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']')?;
                host.parse::<Ipv6Addr>().ok()?;
                (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
            }
            None => {
                let (host, port) =
                    text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
                (is_name(host).then_some(host)?, port)
            }
        };
        let port = port.map(|port| number(port).ok_or(())).transpose().ok()?;
        Some(Self { host: host.to_owned(), port })
    }

    pub(super) fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

/// Letters, digits, dots and dashes, as host names and IPv4 addresses have.
fn is_name(host: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    host.len() <= 253 && host.bytes().all(fits) && edge(host.bytes().next()) && edge(host.bytes().last())
}

fn number(text: &str) -> Option<u16> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0)
}

/// Where and what to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) tls: bool,
    pub(super) authority: Authority,
    /// Path and query, from the `/` on.
    pub(super) path: String,
}

impl Address {
    /// The API of a registry: TLS, except on loopback.
    pub(super) fn of_registry(host: &str, path: String) -> Option<Self> {
        let authority = Authority::parse(host)?;
        Some(Self { tls: !authority.is_loopback(), authority, path })
    }

    /// Reads a URL that a registry gave, perhaps relative to `self`. Nothing where it may not be followed: another scheme, plain HTTP
    /// to another machine, or this machine's loopback when the registry is not there itself.
    pub(super) fn follow(&self, url: &str) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
        let Some(authority) = uri.authority() else {
            return path.starts_with('/').then(|| Self { path, ..self.clone() });
        };
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return None,
        };
        let authority = Authority::parse(authority.as_str())?;
        let here = authority.is_loopback();
        let allowed = (tls || here) && (!here || self.authority.is_loopback());
        allowed.then_some(Self { tls, authority, path })
    }

    pub(super) fn port(&self) -> u16 {
        self.authority.port.unwrap_or(if self.tls { 443 } else { 80 })
    }

    /// Whether both are served by the same program, to which the same credentials may be shown.
    pub(super) fn same_place(&self, other: &Self) -> bool {
        (self.tls, &self.authority.host, self.port()) == (other.tls, &other.authority.host, other.port())
    }

    /// The value of the header `host`, and what errors call the place.
    pub(super) fn host(&self) -> String {
        let Authority { host, port } = &self.authority;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(host: &str) -> Address {
        Address::of_registry(host, "/v2/".to_owned()).unwrap()
    }

    #[test]
    fn m05_plain_http_is_for_loopback() {
        assert!(!registry("localhost:5000").tls && !registry("[::1]:80").tls);
        assert!(registry("ghcr.io").tls && registry("10.0.0.1:5000").tls);
        assert_eq!((registry("ghcr.io").port(), registry("localhost").port()), (443, 80));
        assert_eq!(registry("[::1]:5000").host(), "[::1]:5000");
    }

    #[test]
    fn m05_a_registry_leads_nowhere_dangerous() {
        let far = registry("ghcr.io");
        assert_eq!(far.follow("/blob?x=1").unwrap().path, "/blob?x=1");
        let moved = far.follow("https://cdn.example.com/b?s=a%2Fb").unwrap();
        assert_eq!((moved.host(), moved.path.as_str()), ("cdn.example.com".to_owned(), "/b?s=a%2Fb"));
        assert!(!moved.same_place(&far) && far.follow("https://ghcr.io:443/x").unwrap().same_place(&far));
        for url in [
            "http://cdn.example.com/b",
            "http://127.0.0.1:80/",
            "https://localhost/",
            "https://[::1]/",
            "file:///etc/passwd",
            "https://user:pw@x.io/",
            "ftp://x.io/",
            "",
        ] {
            assert!(far.follow(url).is_none(), "{url} was followed");
        }
        assert!(registry("localhost:5000").follow("http://127.0.0.1:6000/b").is_some());
    }
}
