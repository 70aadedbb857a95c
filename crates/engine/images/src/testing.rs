//! Image archives for tests, made of the machine's own programs.
//!
//! Tests of import, of the engine and of other clients need a real image and may download nothing. [`host_programs`]
//! collects a shell and small tools with the libraries they load; [`write_archive`] writes layers as an OCI layout or in
//! the form of `docker save`. Not for production images: nothing is checked.

pub mod registry;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::unpack::digest_of;

/// The form of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArchiveFormat {
    /// A tar of an OCI layout with gzip-compressed layers.
    Oci,
    /// What `docker save` writes, with plain layers.
    Docker,
}

/// Programs that [`host_programs`] takes when the machine has them.
pub const PROGRAMS: [&str; 28] = [
    "sh", "bash", "cat", "chmod", "cp", "date", "dd", "echo", "env", "false", "head", "hostname", "id", "ls",
    "mkdir", "mv", "printf", "pwd", "rm", "seq", "sleep", "stat", "test", "touch", "tr", "true", "uname",
    "wc",
];

/// What the own command of the image of [`write_archive_with_command`] leaves.
pub const OWN_COMMAND: &str = "/tmp/own-command";

/// Says whether owners and overlay marks can be set here, and prints why a test is skipped when not.
#[must_use]
#[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
pub fn can_set_owners(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: {test} sets owners and trusted attributes, which needs root");
    }
    root
}

/// A layer as an uncompressed tar, built entry by entry.
pub struct LayerBuilder {
    tar: tar::Builder<Vec<u8>>,
}

impl std::fmt::Debug for LayerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LayerBuilder").finish_non_exhaustive()
    }
}

impl Default for LayerBuilder {
    fn default() -> Self {
        Self { tar: tar::Builder::new(Vec::new()) }
    }
}

impl LayerBuilder {
    /// Adds any entry; `path` and `link` are written as they are, so that hostile ones can be made.
    ///
    /// # Panics
    /// When a name does not fit its field of 100 bytes.
    #[must_use]
    pub fn entry(mut self, kind: u8, path: &str, link: &str, mode: u32, contents: &[u8]) -> Self {
        let mut header = header(kind, mode, contents.len() as u64);
        let gnu = header.as_gnu_mut().expect("the header was made as one of GNU tar");
        gnu.name[..path.len()].copy_from_slice(path.as_bytes());
        gnu.linkname[..link.len()].copy_from_slice(link.as_bytes());
        self.append(header, contents);
        self
    }

    /// Adds a file owned by `id`.
    #[must_use]
    pub fn owned_file(mut self, path: &str, id: u64, mode: u32, contents: &[u8]) -> Self {
        let mut header = header(b'0', mode, contents.len() as u64);
        header.set_uid(id);
        header.set_gid(id);
        header.set_path(path).expect("test paths are short");
        self.append(header, contents);
        self
    }

    /// Adds a file of root's.
    #[must_use]
    pub fn file(self, path: &str, mode: u32, contents: &[u8]) -> Self {
        self.entry(b'0', path, "", mode, contents)
    }

    /// Adds a directory of root's.
    #[must_use]
    pub fn directory(self, path: &str, mode: u32) -> Self {
        self.entry(b'5', path, "", mode, b"")
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn symlink(self, path: &str, target: &str) -> Self {
        self.entry(b'2', path, target, 0o777, b"")
    }

    /// Adds a pax record for the entry that follows.
    #[must_use]
    pub fn pax(self, key: &str, value: &[u8]) -> Self {
        let body = key.len() + value.len() + 3;
        let mut length = body + body.to_string().len();
        length = body + length.to_string().len();
        let mut record = format!("{length} {key}=").into_bytes();
        record.extend_from_slice(value);
        record.push(b'\n');
        self.entry(b'x', "pax", "", 0o644, &record)
    }

    /// The tar's bytes.
    ///
    /// # Panics
    /// Never: writing to memory cannot fail.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.tar.into_inner().expect("writing to memory cannot fail")
    }

    fn append(&mut self, mut header: tar::Header, contents: &[u8]) {
        header.set_cksum();
        self.tar.append(&header, contents).expect("writing to memory cannot fail");
    }
}

fn header(kind: u8, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::new(kind));
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1_000_000_000);
    header
}

/// The layers of an image with a shell, small tools, and the marker file `/etc/imported` (`imported\n`).
///
/// The first layer also has `/etc/doomed`, which the second deletes. Programs and libraries are the machine's own.
///
/// # Errors
/// When the machine has no shell, or `ldd` cannot be run.
pub fn host_programs() -> io::Result<Vec<Vec<u8>>> {
    let mut files = BTreeSet::new();
    for program in PROGRAMS.iter().filter_map(|name| find_program(name)) {
        files.extend(libraries(&program)?);
        files.insert(program);
    }
    if files.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "no shell in /usr/bin or /bin"));
    }
    let mut layer = LayerBuilder::default();
    for name in ["bin", "lib", "lib64", "sbin"] {
        if let Ok(target) = fs::read_link(Path::new("/").join(name)) {
            layer = layer.symlink(name, &target.to_string_lossy());
        }
    }
    layer = system_files(layer);
    for file in files {
        let path = file.strip_prefix("/").unwrap_or(&file).to_string_lossy().into_owned();
        layer = layer.file(&path, 0o755, &fs::read(&file)?);
    }
    let second =
        LayerBuilder::default().file("etc/.wh.doomed", 0, b"").file("etc/imported", 0o644, b"imported\n");
    Ok(vec![layer.finish(), second.finish()])
}

fn system_files(layer: LayerBuilder) -> LayerBuilder {
    layer
        .directory("tmp", 0o1777)
        .directory("root", 0o700)
        .directory("proc", 0o555)
        .directory("sys", 0o555)
        .directory("dev", 0o755)
        .file("etc/passwd", 0o644, b"root:x:0:0:root:/root:/bin/sh\nguest:x:1000:1000::/tmp:/bin/sh\n")
        .file("etc/group", 0o644, b"root:x:0:\nguest:x:1000:\n")
        .file("etc/doomed", 0o644, b"the second layer deletes this\n")
}

fn find_program(name: &str) -> Option<PathBuf> {
    let candidates = ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(name));
    candidates.into_iter().find(|path| path.is_file()).map(|path| resolved_folder(&path))
}

/// The file under its own name in the real folder: the loader asks for `libc.so.6`, whatever that links to.
fn resolved_folder(path: &Path) -> PathBuf {
    let real = path.parent().and_then(|folder| fs::canonicalize(folder).ok());
    match (real, path.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}

/// What the loader would map for `program`, by `ldd`; nothing for a static one.
fn libraries(program: &Path) -> io::Result<Vec<PathBuf>> {
    let output = Command::new("ldd").arg(program).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let paths = text.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    Ok(paths.map(|path| resolved_folder(Path::new(path))).collect())
}

/// The configuration that [`write_archive`] gives to an image.
#[must_use]
pub fn configuration(diff_ids: &[String]) -> serde_json::Value {
    json!({
        "architecture": crate::Platform::of_this_machine().architecture,
        "os": "linux",
        "config": {
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "IMPORTED=yes"],
            "Cmd": ["/bin/sh"],
            "WorkingDir": "/",
        },
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    })
}

/// Writes uncompressed layer tars as an image archive named `imported:latest`.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_archive(out: &Path, layers: &[Vec<u8>], format: ArchiveFormat) -> io::Result<()> {
    write_configured(out, layers, format, &configuration(&digests(layers)))
}

/// Writes a `docker save` archive of [`host_programs`] whose own command leaves the file [`OWN_COMMAND`] and ends at once.
///
/// # Errors
/// When the machine has no shell, or `out` cannot be written.
pub fn write_archive_with_command(out: &Path) -> io::Result<()> {
    let layers = host_programs()?;
    let mut config = configuration(&digests(&layers));
    config["config"]["Entrypoint"] = json!(["/bin/sh", "-c"]);
    config["config"]["Cmd"] = json!([format!("echo > {OWN_COMMAND}; exit 7")]);
    write_configured(out, &layers, ArchiveFormat::Docker, &config)
}

fn digests(layers: &[Vec<u8>]) -> Vec<String> {
    layers.iter().map(|layer| digest_of(layer)).collect()
}

fn write_configured(
    out: &Path,
    layers: &[Vec<u8>],
    format: ArchiveFormat,
    config: &serde_json::Value,
) -> io::Result<()> {
    let config = config.to_string().into_bytes();
    let files = match format {
        ArchiveFormat::Oci => oci_files(layers, &config)?,
        ArchiveFormat::Docker => docker_files(layers, &config),
    };
    let mut tar = tar::Builder::new(File::create(out)?);
    for (name, contents) in files {
        let mut header = header(b'0', 0o644, contents.len() as u64);
        tar.append_data(&mut header, name, contents.as_slice())?;
    }
    tar.into_inner()?.flush()
}

/// The files of an OCI layout by name.
///
/// # Errors
/// Never in practice: compression works in memory.
pub fn oci_files(layers: &[Vec<u8>], config: &[u8]) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut files = vec![("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec())];
    let config_type = "application/vnd.oci.image.config.v1+json";
    let layer_type = "application/vnd.oci.image.layer.v1.tar+gzip";
    let config = blob(&mut files, config_type, config.to_vec());
    let mut descriptors = Vec::new();
    for layer in layers {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(layer)?;
        descriptors.push(blob(&mut files, layer_type, encoder.finish()?));
    }
    let manifest = json!({ "schemaVersion": 2, "config": config, "layers": descriptors }).to_string();
    let manifest_type = "application/vnd.oci.image.manifest.v1+json";
    let mut entry = blob(&mut files, manifest_type, manifest.into_bytes());
    entry["annotations"] = json!({ "org.opencontainers.image.ref.name": "imported:latest" });
    let index = json!({ "schemaVersion": 2, "manifests": [entry] }).to_string();
    files.push(("index.json".to_owned(), index.into_bytes()));
    Ok(files)
}

fn blob(files: &mut Vec<(String, Vec<u8>)>, media_type: &str, contents: Vec<u8>) -> serde_json::Value {
    let digest = digest_of(&contents);
    let descriptor = json!({ "mediaType": media_type, "digest": digest, "size": contents.len() });
    files.push((format!("blobs/{}", digest.replacen(':', "/", 1)), contents));
    descriptor
}

/// The files of a `docker save` archive by name.
#[must_use]
pub fn docker_files(layers: &[Vec<u8>], config: &[u8]) -> Vec<(String, Vec<u8>)> {
    let hex = |bytes: &[u8]| digest_of(bytes).split_off("sha256:".len());
    let config_name = format!("{}.json", hex(config));
    let names: Vec<String> = layers.iter().map(|layer| format!("{}/layer.tar", hex(layer))).collect();
    let manifest = json!([{ "Config": config_name, "RepoTags": ["imported:latest"], "Layers": names }]);
    let mut files: Vec<_> = names.into_iter().zip(layers.iter().cloned()).collect();
    files.push((config_name, config.to_vec()));
    files.push(("manifest.json".to_owned(), manifest.to_string().into_bytes()));
    files
}
