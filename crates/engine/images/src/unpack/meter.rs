//! A reader that counts, hashes and stops at a cap.

use std::fmt::Write;
use std::io::{self, Read};

use sha2::{Digest, Sha256};

/// Passes bytes on while counting and hashing them; fails at the first byte above the cap.
pub(crate) struct Meter<R> {
    inner: R,
    hasher: Sha256,
    count: u64,
    limit: u64,
    exceeded: bool,
}

impl<R: Read> Meter<R> {
    pub(crate) fn new(inner: R, limit: u64) -> Self {
        Self { inner, hasher: Sha256::new(), count: 0, limit, exceeded: false }
    }

    /// Bytes that passed.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Whether the cap was hit.
    pub(crate) fn exceeded(&self) -> bool {
        self.exceeded
    }

    /// Reads what is left, for a digest of the whole.
    pub(crate) fn drain(&mut self) -> io::Result<()> {
        io::copy(self, &mut io::sink()).map(drop)
    }

    /// `sha256:` and the digest of what passed.
    pub(crate) fn digest(self) -> String {
        digest_text(self.hasher)
    }
}

impl<R: Read> Read for Meter<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count += read as u64;
        if self.count > self.limit {
            self.exceeded = true;
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "more bytes than allowed"));
        }
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}

/// The digest of some bytes in the form that image manifests use.
pub(crate) fn digest_of(bytes: &[u8]) -> String {
    digest_text(Sha256::new_with_prefix(bytes))
}

fn digest_text(hasher: Sha256) -> String {
    let mut text = String::from("sha256:");
    for byte in hasher.finalize() {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
    }
    text
}
