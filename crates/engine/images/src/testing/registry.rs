//! A real registry for tests: Debian's `docker-registry` on a loopback port, its storage filled by hand.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::configuration;
use crate::unpack::digest_of;

/// The user that a registry with [`Access::Credentials`] knows.
pub const USERNAME: &str = "lattice";
/// That user's password.
pub const PASSWORD: &str = "registry-password";
/// Both as htpasswd writes them, with bcrypt at its lowest cost.
const HTPASSWD: &str = "lattice:$2y$05$abcdefghijklmnopqrstuux7DVfxfgfXTmp/9Tsk6HzX2QQGjxePG\n";
/// Runs the registry until its standard input ends, which is when the test's process does, however it ends.
const SCRIPT: &str = r#"docker-registry serve "$0" & pid=$!; read -r _; kill "$pid"; wait "$pid""#;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Whom a registry serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Open,
    /// Who shows [`USERNAME`] and [`PASSWORD`].
    Credentials,
}

/// Two registries, an open one and one with a password, each with an image of the machine's own programs.
#[derive(Debug)]
pub struct Both {
    /// The open one.
    pub open: Registry,
    /// The one with a password.
    pub closed: Registry,
    /// The open one's image.
    pub public_image: String,
    /// The other one's image.
    pub private_image: String,
}

impl Both {
    /// Starts both; none where [`Registry::start`] gives none.
    ///
    /// # Errors
    /// When the machine has no shell, or storage cannot be written.
    pub fn start(test: &str) -> io::Result<Option<Self>> {
        let Some(open) = Registry::start(test, Access::Open) else { return Ok(None) };
        let Some(closed) = Registry::start(test, Access::Credentials) else { return Ok(None) };
        let layers = super::host_programs()?;
        let public_image = open.push("tiny", "1", &layers)?;
        let private_image = closed.push("tiny", "1", &layers)?;
        Ok(Some(Self { open, closed, public_image, private_image }))
    }
}

/// A running registry. Dropping it ends it and removes its storage.
#[derive(Debug)]
pub struct Registry {
    child: Child,
    folder: PathBuf,
    host: String,
}

impl Registry {
    /// Starts a registry; where the program is not installed, says so in a line that starts with `skip`, and gives none.
    ///
    /// # Panics
    /// When it is installed and does not start.
    #[must_use]
    #[expect(clippy::print_stdout, reason = "a skipped test has to say so")]
    pub fn start(test: &str, access: Access) -> Option<Self> {
        if Command::new("docker-registry").arg("--version").output().is_err() {
            println!("skipped: {test} needs docker-registry, which is not installed");
            return None;
        }
        Some(Self::run(access).expect("docker-registry is installed and starts"))
    }

    fn run(access: Access) -> io::Result<Self> {
        let folder =
            std::env::temp_dir().join(format!("openlattice-registry-{}", uuid::Uuid::new_v4().simple()));
        fs::create_dir(&folder)?;
        let config = folder.join("config.json");
        fs::write(folder.join("htpasswd"), HTPASSWD)?;
        fs::write(&config, settings(&folder, access).to_string())?;
        let mut child = Command::new("sh")
            .args(["-c", SCRIPT])
            .arg(&config)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut log = BufReader::new(child.stderr.take().expect("standard error was asked for"));
        let mut registry = Self { child, folder, host: String::new() };
        registry.host = listening(&mut log)?;
        // Nobody reads further; a full pipe must not stop it.
        std::thread::spawn(move || io::copy(&mut log, &mut io::sink()));
        Ok(registry)
    }

    /// Host and port, as they stand before an image's name.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The reference of an image here.
    #[must_use]
    pub fn reference(&self, repository: &str, tag: &str) -> String {
        format!("{}/{repository}:{tag}", self.host)
    }

    /// Puts an image of gzip-compressed layers there, with the configuration of [`configuration`], and gives its reference.
    ///
    /// # Errors
    /// When its storage cannot be written.
    pub fn push(&self, repository: &str, tag: &str, layers: &[Vec<u8>]) -> io::Result<String> {
        let diff_ids: Vec<String> = layers.iter().map(|layer| digest_of(layer)).collect();
        let config = configuration(&diff_ids).to_string();
        let mut described = Vec::new();
        for layer in layers {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(layer)?;
            described.push(self.blob(repository, LAYER, &encoder.finish()?)?);
        }
        let config = self.blob(repository, CONFIG, config.as_bytes())?;
        let manifest =
            json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": described });
        self.manifest(repository, Some(tag), &manifest)?;
        Ok(self.reference(repository, tag))
    }

    /// Puts a blob there and gives its descriptor.
    ///
    /// # Errors
    /// When its storage cannot be written.
    pub fn blob(&self, repository: &str, media_type: &str, bytes: &[u8]) -> io::Result<Value> {
        let digest = digest_of(bytes);
        write(&self.blob_file(&digest), bytes)?;
        self.link(repository, &format!("_layers/{}", folders(&digest)), &digest)?;
        Ok(json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() }))
    }

    /// Puts a manifest or an index there, under a tag or by its digest alone, and gives its descriptor.
    ///
    /// # Errors
    /// When its storage cannot be written.
    pub fn manifest(&self, repository: &str, tag: Option<&str>, manifest: &Value) -> io::Result<Value> {
        let bytes = manifest.to_string();
        let digest = digest_of(bytes.as_bytes());
        write(&self.blob_file(&digest), bytes.as_bytes())?;
        self.link(repository, &format!("_manifests/revisions/{}", folders(&digest)), &digest)?;
        if let Some(tag) = tag {
            let tag = format!("_manifests/tags/{tag}");
            self.link(repository, &format!("{tag}/current"), &digest)?;
            self.link(repository, &format!("{tag}/index/{}", folders(&digest)), &digest)?;
        }
        Ok(json!({ "mediaType": manifest["mediaType"], "digest": digest, "size": bytes.len() }))
    }

    /// The file that holds a blob, for tests that damage it.
    #[must_use]
    pub fn blob_file(&self, digest: &str) -> PathBuf {
        let hex = digest.trim_start_matches("sha256:");
        self.folder.join("storage/docker/registry/v2/blobs/sha256").join(&hex[..2]).join(hex).join("data")
    }

    fn link(&self, repository: &str, place: &str, digest: &str) -> io::Result<()> {
        let folder = self.folder.join("storage/docker/registry/v2/repositories").join(repository).join(place);
        write(&folder.join("link"), digest.as_bytes())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        drop(self.child.wait());
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// The registry's configuration; JSON is YAML.
fn settings(folder: &Path, access: Access) -> Value {
    let mut settings = json!({
        "version": "0.1",
        "log": { "level": "info" },
        "storage": { "filesystem": { "rootdirectory": folder.join("storage") } },
        "http": { "addr": "127.0.0.1:0", "secret": "none" },
    });
    if access == Access::Credentials {
        let htpasswd = json!({ "realm": "tests", "path": folder.join("htpasswd") });
        settings["auth"] = json!({ "htpasswd": htpasswd });
    }
    settings
}

/// Waits for the line of its log that says where it listens.
fn listening(log: &mut impl BufRead) -> io::Result<String> {
    let mut seen = String::new();
    loop {
        let start = seen.len();
        if log.read_line(&mut seen)? == 0 {
            return Err(io::Error::other(format!("docker-registry ended: {seen}")));
        }
        let after = seen[start..].split_once("listening on ").map(|(_, rest)| rest);
        if let Some(host) = after.and_then(|rest| rest.split(['"', ' ', ',']).next()) {
            return Ok(host.to_owned());
        }
    }
}

fn folders(digest: &str) -> String {
    digest.replacen(':', "/", 1)
}

fn write(file: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(file, bytes)
}
