//! Addresses of the control plane and of command routers.

use std::fmt;

use tonic::transport::Uri;

use crate::error::Error;

/// The host names on which Modal's clients speak to a command router without TLS (protocol section 0.4).
const LOCAL_NAMES: [&str; 4] = ["localhost", "127.0.0.1", "::1", "172.21.0.1"];

/// A parsed `http://` or `https://` address without a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerUrl {
    pub(crate) tls: bool,
    host: String,
    port: u16,
}

impl ServerUrl {
    /// Parses an address; the port is 80 or 443 when it is not given.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        // First, since every other complaint quotes the address.
        if text.contains('@') {
            return Err(Error::config("the server URL holds a user name; credentials are set on their own"));
        }
        let wrong = |what: &str| Error::config(format!("server URL {text:?} {what}"));
        let uri: Uri = text
            .parse()
            .map_err(|_| wrong("is not a URL; http://host:port or https://host:port is expected"))?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong("has another scheme than http and https")),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| wrong("has no host"))?;
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(wrong("has a path; the host and the port are expected alone"));
        }
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        Ok(Self { tls, host: host.to_owned(), port })
    }

    /// The host, with brackets when it is an IPv6 address.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Says whether the host is one of the four local names.
    pub(crate) fn is_local(&self) -> bool {
        LOCAL_NAMES.contains(&self.host.trim_start_matches('[').trim_end_matches(']'))
    }

    /// Says whether the host is a domain or lies below it.
    pub(crate) fn is_within(&self, domain: &str) -> bool {
        self.host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }

    /// Decides how to speak to a command router that this control plane named.
    ///
    /// On one machine the router is spoken to without TLS although its address says `https`, as Modal's JavaScript
    /// client does; anywhere else TLS is required and checked. Stricter than that client in one point: a local control
    /// plane that names a remote router does not get the token sent there in the clear.
    pub(crate) fn router(&self, url: &str) -> Result<Self, Error> {
        let mut router = Self::parse(url)?;
        if self.is_local() && router.is_local() {
            router.tls = false;
        } else if !router.tls {
            return Err(Error::unexpected(format!(
                "the server named the command router {url:?}, which is not https"
            )));
        }
        Ok(router)
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_have_defaults() {
        assert_eq!(
            ServerUrl::parse("https://api.modal.com").unwrap().to_string(),
            "https://api.modal.com:443"
        );
        assert_eq!(ServerUrl::parse("http://h/").unwrap().to_string(), "http://h:80");
        assert_eq!(ServerUrl::parse("http://[::1]:5").unwrap().to_string(), "http://[::1]:5");
    }

    #[test]
    fn a_domain_holds_what_lies_below_it() {
        let is_within = |url: &str| ServerUrl::parse(url).unwrap().is_within("modal.com");
        assert!(is_within("https://api.modal.com") && is_within("https://modal.com"));
        assert!(!is_within("https://notmodal.com") && !is_within("https://modal.com.example"));
    }

    #[test]
    fn what_is_not_an_address_is_refused() {
        for text in ["", "h:1", "ftp://h", "unix:///tmp/x", "https://h/path", "https://u@h", "http://"] {
            assert!(ServerUrl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_router_is_plain_only_when_both_ends_are_local() {
        let local = ServerUrl::parse("http://127.0.0.1:9").unwrap();
        let remote = ServerUrl::parse("https://api.modal.com").unwrap();
        assert!(!local.router("https://127.0.0.1:7").unwrap().tls);
        assert!(!ServerUrl::parse("http://[::1]:9").unwrap().router("https://[::1]:7").unwrap().tls);
        assert!(local.router("https://worker.example:7").unwrap().tls);
        assert!(remote.router("https://127.0.0.1:7").unwrap().tls);
        assert!(remote.router("http://worker.example:7").is_err());
        assert!(local.router("http://worker.example:7").is_err());
    }
}
