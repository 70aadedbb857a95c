//! Names of images in registries, read as Docker reads them.

use std::fmt;
use std::str::FromStr;

/// The registry of a name that gives none.
const HUB: &str = "docker.io";
/// Another name of it, kept from its early days.
const OLD_HUB: &str = "index.docker.io";
/// Where its registry answers.
const HUB_HOST: &str = "registry-1.docker.io";
/// The namespace of a name of one part there.
const OFFICIAL: &str = "library/";
/// Longest repository and tag, as the distribution specification has them.
const MAX_REPOSITORY: usize = 255;
const MAX_TAG: usize = 128;

/// A text that names no image of a registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no image reference: {reason}")]
pub struct InvalidReference {
    text: String,
    reason: &'static str,
}

/// An image of a registry: `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`.
///
/// As with Docker, a first part without a dot, a colon and other than `localhost` is no host but part of the path; without a host
/// it is `docker.io`, where a path of one part is below `library/`; without tag and digest the tag is `latest`; with a digest the
/// tag is for the reader only. `Display` writes the form that people write: without `docker.io/library/`, and with the tag.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    host: String,
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
}

impl Reference {
    /// Host and port that the registry's API answers on.
    #[must_use]
    pub fn api_host(&self) -> &str {
        if self.host == HUB { HUB_HOST } else { &self.host }
    }

    /// The repository's path in its registry.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// What the registry is asked for: the digest, or the tag.
    #[must_use]
    pub fn version(&self) -> &str {
        self.digest.as_deref().or(self.tag.as_deref()).unwrap_or("latest")
    }

    /// `sha256:` digest of the manifest or index, when the reference names one.
    #[must_use]
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// Whether the registry is on this machine's own loopback, where no TLS is needed.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        super::address::Authority::parse(self.api_host()).is_some_and(|authority| authority.is_loopback())
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let wrong = |reason| InvalidReference { text: text.chars().take(300).collect(), reason };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.to_owned())),
            None => (text, None),
        };
        if digest.as_deref().is_some_and(|digest| !is_digest(digest)) {
            return Err(wrong("after '@' comes \"sha256:\" and 64 lower-case hexadecimal digits"));
        }
        let (host, rest) = match rest.split_once('/') {
            Some((first, rest)) if is_host(first) => (first, rest),
            _ => (HUB, rest),
        };
        if super::address::Authority::parse(host).is_none() {
            return Err(wrong("its host is no HOST or HOST:PORT"));
        }
        let host = if host == OLD_HUB { HUB } else { host };
        let (path, tag) = match rest.split_once(':') {
            Some((path, tag)) => (path, Some(tag.to_owned())),
            None => (rest, None),
        };
        if tag.as_deref().is_some_and(|tag| !is_tag(tag)) {
            return Err(wrong("a tag has letters, digits, '_', '.' and '-', and at most 128 of them"));
        }
        let official = host == HUB && !path.contains('/');
        let repository = if official { format!("{OFFICIAL}{path}") } else { path.to_owned() };
        if !is_repository(&repository) {
            return Err(wrong("a path has lower-case letters and digits, parted by '/', '.', '_' or '-'"));
        }
        let tag = tag.or_else(|| digest.is_none().then(|| "latest".to_owned()));
        Ok(Self { host: host.to_owned(), repository, tag, digest })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.host == HUB, self.repository.strip_prefix(OFFICIAL)) {
            (true, Some(name)) if !name.contains('/') => f.write_str(name)?,
            (true, _) => f.write_str(&self.repository)?,
            (false, _) => write!(f, "{}/{}", self.host, self.repository)?,
        }
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
    }
}

/// What tells a host from the first part of a path.
fn is_host(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost" || first.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn is_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=MAX_TAG).contains(&tag.len())
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|byte| word(byte) || byte == b'.' || byte == b'-')
}

/// Whether a text is a `sha256:` digest.
pub(super) fn is_digest(text: &str) -> bool {
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.strip_prefix("sha256:").is_some_and(|text| text.len() == 64 && text.bytes().all(hex))
}

/// Parts of lower-case letters and digits, inside which `.`, `_`, `__` and any number of `-` stand between two of these.
fn is_repository(path: &str) -> bool {
    path.len() <= MAX_REPOSITORY && path.split('/').all(is_path_part)
}

fn is_path_part(part: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = |byte: Option<u8>| byte.is_some_and(alphanumeric);
    let separators = part.split(|letter: char| letter.is_ascii_alphanumeric()).filter(|run| !run.is_empty());
    ends(part.bytes().next())
        && ends(part.bytes().last())
        && part.bytes().all(|byte| alphanumeric(byte) || matches!(byte, b'.' | b'_' | b'-'))
        && separators.into_iter().all(|run| matches!(run, "." | "_" | "__") || run.bytes().all(|b| b == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn read(text: &str) -> (String, String, String, String) {
        let reference: Reference = text.parse().unwrap();
        let parts = (reference.api_host(), reference.repository(), reference.version());
        (parts.0.to_owned(), parts.1.to_owned(), parts.2.to_owned(), reference.to_string())
    }

    fn parts(host: &str, path: &str, version: &str, shown: &str) -> (String, String, String, String) {
        (host.to_owned(), path.to_owned(), version.to_owned(), shown.to_owned())
    }

    #[test]
    fn m05_references_are_read_as_docker_reads_them() {
        let hub = "registry-1.docker.io";
        assert_eq!(read("python"), parts(hub, "library/python", "latest", "python:latest"));
        assert_eq!(read("a/b:1"), parts(hub, "a/b", "1", "a/b:1"));
        assert_eq!(read("docker.io/python:3"), parts(hub, "library/python", "3", "python:3"));
        assert_eq!(read("index.docker.io/library/x"), parts(hub, "library/x", "latest", "x:latest"));
        assert_eq!(read("ghcr.io/o/n:v1.2"), parts("ghcr.io", "o/n", "v1.2", "ghcr.io/o/n:v1.2"));
        let local = "localhost:5000/n";
        assert_eq!(read(local), parts("localhost:5000", "n", "latest", "localhost:5000/n:latest"));
        assert_eq!(read("localhost/n:1"), parts("localhost", "n", "1", "localhost/n:1"));
        let pinned = format!("n:1@{DIGEST}");
        assert_eq!(read(&pinned), parts(hub, "library/n", DIGEST, &pinned));
        let alone = format!("ghcr.io/n@{DIGEST}");
        assert_eq!(read(&alone), parts("ghcr.io", "n", DIGEST, &alone));
        assert_eq!(read("x/a-b__c.d/e--f").1, "x/a-b__c.d/e--f");
    }

    #[test]
    fn m05_what_is_no_reference_is_refused() {
        let long = "x".repeat(129);
        let bad = [
            "",
            ":",
            "@",
            "a:",
            "a@",
            "A",
            "a/B",
            "a b",
            "a..b",
            "a___b",
            "-a",
            "a-",
            "a//b",
            "/a",
            "a/",
            "a:-1",
            "a\n",
            "a@sha256:00",
            "a@md5:00",
            "a/../b",
            "ghcr.io:x/a",
            "gh_cr.io/a",
            "u@h.io/a",
            "a?b",
            "a#b",
            "h.io/a%2fb",
            &format!("a:{long}"),
            &format!("{}/a", "x".repeat(255)),
        ];
        for text in bad {
            assert!(text.parse::<Reference>().is_err(), "{text:?} was taken");
        }
        assert!("a\nb".parse::<Reference>().unwrap_err().to_string().contains(r#""a\nb""#));
    }

    #[test]
    fn m05_only_loopback_is_loopback() {
        let loopback = |text: &str| text.parse::<Reference>().unwrap().is_loopback();
        for text in ["localhost/a", "localhost:5000/a", "127.0.0.1:5000/a", "127.8.8.8/a", "[::1]:5000/a"] {
            assert!(loopback(text), "{text}");
        }
        for text in ["a", "127.0.0.1.example.com/a", "10.0.0.1:5000/a", "[::2]:5000/a", "localhost.io/a"] {
            assert!(!loopback(text), "{text}");
        }
    }
}
