//! TLS set-up: given files, or a self-signed pair kept in the store.
//!
//! Official clients do not verify a command router on loopback (modal-protocol, section 5.5), so the self-signed pair is
//! enough there; other addresses need given files.

use crate::{
    config::TlsFiles,
    error::{Error, Result},
    keys,
};
use rustls::{
    ServerConfig,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use std::{fs, path::Path, sync::Arc};
use tokio_rustls::TlsAcceptor;

/// What ends TLS with the server's certificate, by what is negotiated.
#[derive(Clone)]
pub(crate) struct Acceptors {
    /// HTTP/2, also with clients that negotiate no protocol.
    pub(crate) server: TlsAcceptor,
    /// HTTP/2 where the client offers it, else HTTP/1.1.
    pub(crate) http2: TlsAcceptor,
    /// Nothing is negotiated: any protocol inside.
    pub(crate) any: TlsAcceptor,
}

/// Reads the given files, or the store's own pair.
pub(crate) fn acceptors(folder: &Path, files: Option<&TlsFiles>) -> Result<Acceptors> {
    let config = config(folder, files)?;
    let speaking = |protocols: &[&[u8]]| {
        let mut config = config.clone();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    };
    Ok(Acceptors { server: speaking(&[b"h2"]), http2: speaking(&[b"h2", b"http/1.1"]), any: speaking(&[]) })
}

fn config(folder: &Path, files: Option<&TlsFiles>) -> Result<ServerConfig> {
    let (certificate, key) = match files {
        Some(files) => (read(&files.certificate)?, read(&files.key)?),
        None => {
            let both = keys::read_or_make(&folder.join("tls.pem"), self_signed)?;
            (both.clone(), both)
        }
    };
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(certificate.as_bytes()).collect::<Result<_, _>>().map_err(failed)?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(failed)?;
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(failed)?;
    builder.with_no_client_auth().with_single_cert(chain, key).map_err(failed)
}

fn self_signed() -> Result<String> {
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let made = rcgen::generate_simple_self_signed(names).map_err(failed)?;
    Ok(format!("{}{}", made.cert.pem(), made.signing_key.serialize_pem()))
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|source| Error::File { path: path.to_owned(), source })
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Tls(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_self_signed_pair_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        acceptors(folder.path(), None).unwrap();
        let first = fs::read(folder.path().join("tls.pem")).unwrap();
        acceptors(folder.path(), None).unwrap();
        assert_eq!(first, fs::read(folder.path().join("tls.pem")).unwrap());
    }

    #[test]
    fn a_missing_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let files = TlsFiles { certificate: "/nonexistent/c.pem".into(), key: "/nonexistent/k.pem".into() };
        let text = acceptors(folder.path(), Some(&files)).err().unwrap().to_string();
        assert!(text.contains("/nonexistent/c.pem"), "{text}");
    }
}
