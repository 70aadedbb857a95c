//! Archives in every form, and archives that lie.

#![expect(clippy::unwrap_used, reason = "a case that cannot be set up fails its test")]

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use openlattice_images::testing::{
    ArchiveFormat, LayerBuilder, can_set_owners, configuration, docker_files, host_programs, oci_files,
    write_archive,
};
use openlattice_images::{IdRange, ImportError, ImportOptions, Imported, LayerSink, Limits, import};

const IDS: IdRange = IdRange { base: 1_000_000, count: 65_536 };

struct Fixture {
    dir: tempfile::TempDir,
    sink: LayerSink,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let sink = LayerSink::open(&dir.path().join("layers")).unwrap();
        Self { dir, sink }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn import(&self, name: &str) -> Result<Imported, ImportError> {
        import(&self.path(name), &self.sink, &ImportOptions::new(IDS))
    }

    fn import_files(&self, files: &[(String, Vec<u8>)]) -> Result<Imported, ImportError> {
        write_tar(&self.path("archive.tar"), files);
        self.import("archive.tar")
    }

    fn layer_folders(&self) -> usize {
        fs::read_dir(self.path("layers")).unwrap().count()
    }
}

fn layers() -> Vec<Vec<u8>> {
    vec![
        LayerBuilder::default().file("etc/doomed", 0o644, b"x").file("bin/tool", 0o4755, b"tool").finish(),
        LayerBuilder::default().file("etc/.wh.doomed", 0, b"").finish(),
    ]
}

fn config(layers: &[Vec<u8>]) -> Vec<u8> {
    use sha2::{Digest, Sha256};
    let hex = |layer: &Vec<u8>| {
        let digest: String = Sha256::digest(layer).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256:{digest}")
    };
    let diff_ids: Vec<String> = layers.iter().map(hex).collect();
    configuration(&diff_ids).to_string().into_bytes()
}

fn write_tar(path: &Path, files: &[(String, Vec<u8>)]) {
    let mut tar = tar::Builder::new(File::create(path).unwrap());
    for (name, contents) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(contents.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, contents.as_slice()).unwrap();
    }
    tar.finish().unwrap();
}

fn write_directory(path: &Path, files: &[(String, Vec<u8>)]) {
    for (name, contents) in files {
        let file = path.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, contents).unwrap();
    }
}

fn replace(files: &mut [(String, Vec<u8>)], name: &str, change: impl Fn(&str) -> String) {
    let file = files.iter_mut().find(|(file, _)| file.contains(name)).unwrap();
    file.1 = change(std::str::from_utf8(&file.1).unwrap()).into_bytes();
}

#[test]
fn every_form_gives_the_same_image() {
    if !can_set_owners("every_form_gives_the_same_image") {
        return;
    }
    let fixture = Fixture::new();
    let layers = layers();
    write_archive(&fixture.path("oci.tar"), &layers, ArchiveFormat::Oci).unwrap();
    write_archive(&fixture.path("docker.tar"), &layers, ArchiveFormat::Docker).unwrap();
    write_directory(&fixture.path("oci"), &oci_files(&layers, &config(&layers)).unwrap());
    let docker = fs::read(fixture.path("docker.tar")).unwrap();
    fs::write(fixture.path("docker.tar.zst"), zstd::encode_all(&docker[..], 1).unwrap()).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&docker).unwrap();
    fs::write(fixture.path("docker.tar.gz"), gzip.finish().unwrap()).unwrap();

    let first = fixture.import("oci.tar").unwrap();
    assert_eq!(first.report.unpacked_layers, 2);
    assert_eq!(first.references, ["imported:latest"]);
    assert_eq!(first.config.cmd, ["/bin/sh"]);
    assert!(first.config.env.contains(&"IMPORTED=yes".to_owned()));
    assert_eq!(first.config.workdir.as_deref(), Some("/"));
    for name in ["oci", "docker.tar", "docker.tar.gz", "docker.tar.zst"] {
        let again = fixture.import(name).unwrap();
        assert_eq!(
            (&again.layers, &again.config, &again.digest),
            (&first.layers, &first.config, &first.digest)
        );
        assert_eq!((again.report.unpacked_layers, again.report.reused_layers), (0, 2), "{name}");
    }
    assert_eq!(fixture.layer_folders(), 2);
    assert_eq!(fs::read(fixture.sink.path(&first.layers[0]).join("bin/tool")).unwrap(), b"tool");
}

#[test]
fn zstd_layers_are_unpacked() {
    if !can_set_owners("zstd_layers_are_unpacked") {
        return;
    }
    let fixture = Fixture::new();
    let layers = layers();
    let mut files = docker_files(&layers, &config(&layers));
    files[0].1 = zstd::encode_all(&files[0].1[..], 1).unwrap();
    let imported = fixture.import_files(&files).unwrap();
    assert_eq!(fs::read(fixture.sink.path(&imported.layers[0]).join("bin/tool")).unwrap(), b"tool");
}

#[test]
fn an_old_docker_archive_with_links_between_layers_is_read() {
    if !can_set_owners("an_old_docker_archive_with_links_between_layers_is_read") {
        return;
    }
    let fixture = Fixture::new();
    let layer = layers().remove(0);
    let layers = vec![layer.clone(), layer];
    let mut files = docker_files(&layers, &config(&layers));
    let name = files.remove(0).0;
    let mut tar = tar::Builder::new(File::create(fixture.path("archive.tar")).unwrap());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    tar.append_link(&mut header, "first/layer.tar", format!("../{name}")).unwrap();
    replace(&mut files, "manifest.json", |text| text.replacen(&name, "first/layer.tar", 1));
    for (name, contents) in &files {
        let mut header = tar::Header::new_gnu();
        header.set_size(contents.len() as u64);
        tar.append_data(&mut header, name, contents.as_slice()).unwrap();
    }
    tar.finish().unwrap();
    let imported = fixture.import("archive.tar").unwrap();
    assert_eq!(imported.layers[0], imported.layers[1]);
    assert_eq!(imported.report.reused_layers, 1);
}

#[test]
fn wrong_digests_leave_no_layer() {
    if !can_set_owners("wrong_digests_leave_no_layer") {
        return;
    }
    let fixture = Fixture::new();
    let layers = layers();
    let other = config(&[layers[1].clone(), layers[0].clone()]);
    let lying = docker_files(&layers, &other);
    assert!(matches!(fixture.import_files(&lying), Err(ImportError::Digest { .. })));

    let mut files = oci_files(&layers, &config(&layers)).unwrap();
    let blob = files.iter_mut().find(|(_, bytes)| bytes.starts_with(&[0x1f, 0x8b])).unwrap();
    // The last byte of the gzip header names the operating system: the contents stay the same.
    blob.1[9] ^= 1;
    assert!(matches!(fixture.import_files(&files), Err(ImportError::Digest { .. })));
    assert_eq!(fixture.layer_folders(), 0);

    let mut files = oci_files(&layers, &config(&layers)).unwrap();
    let blob = files.iter_mut().find(|(_, bytes)| bytes.starts_with(&[0x1f, 0x8b])).unwrap();
    blob.1.push(0);
    assert!(matches!(fixture.import_files(&files), Err(ImportError::Malformed { .. })));
    assert_eq!(fixture.layer_folders(), 0);

    let mut files = oci_files(&layers, &config(&layers)).unwrap();
    let found = files.iter_mut().find(|(_, bytes)| bytes.windows(8).any(|window| window == b"diff_ids"));
    found.unwrap().1.push(b' ');
    assert!(fixture.import_files(&files).is_err());
}

#[test]
fn a_bomb_is_stopped() {
    if !can_set_owners("a_bomb_is_stopped") {
        return;
    }
    let fixture = Fixture::new();
    let layers = vec![LayerBuilder::default().file("zeros", 0o644, &vec![0; 8 << 20]).finish()];
    write_archive(&fixture.path("bomb.tar"), &layers, ArchiveFormat::Oci).unwrap();
    let mut options = ImportOptions::new(IDS);
    options.limits = Limits { bytes: 1 << 20, entries: 10 };
    let error = import(&fixture.path("bomb.tar"), &fixture.sink, &options).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("1048576 bytes"), "{source}");
    assert_eq!(fixture.layer_folders(), 0);
}

#[test]
fn other_platforms_and_several_images_are_refused() {
    let fixture = Fixture::new();
    let layers = layers();
    let mut foreign = config(&layers);
    foreign =
        String::from_utf8(foreign).unwrap().replace("\"os\":\"linux\"", "\"os\":\"plan9\"").into_bytes();
    let error = fixture.import_files(&docker_files(&layers, &foreign)).unwrap_err();
    assert!(error.to_string().contains("plan9"), "{error}");

    let mut files = docker_files(&layers, &config(&layers));
    replace(&mut files, "manifest.json", |text| format!("[{0},{0}]", &text[1..text.len() - 1]));
    assert!(matches!(fixture.import_files(&files), Err(ImportError::Ambiguous { .. })));

    let mut files = oci_files(&layers, &config(&layers)).unwrap();
    replace(&mut files, "index.json", |text| {
        text.replace("\"size\"", "\"platform\":{\"os\":\"linux\",\"architecture\":\"s390x\"},\"size\"")
    });
    let error = fixture.import_files(&files).unwrap_err();
    assert!(
        matches!(&error, ImportError::Platform { offered, .. } if offered == &["linux/s390x"]),
        "{error}"
    );
}

#[test]
fn what_is_no_archive_is_said_to_be_none() {
    let fixture = Fixture::new();
    fs::write(fixture.path("text"), "hello").unwrap();
    fs::write(fixture.path("empty"), "").unwrap();
    fs::create_dir(fixture.path("folder")).unwrap();
    for name in ["text", "empty", "folder"] {
        let error = fixture.import(name).unwrap_err();
        assert!(matches!(error, ImportError::NotAnArchive { .. }), "{name}: {error}");
    }
    assert!(matches!(fixture.import("missing"), Err(ImportError::File(_))));
    assert!(matches!(fixture.import_files(&[]), Err(ImportError::NotAnArchive { .. })));
    let files = [("manifest.json".to_owned(), b"[{\"Config\":\"../../etc/passwd\"}]".to_vec())];
    assert!(matches!(fixture.import_files(&files), Err(ImportError::Missing { .. })));
    write_directory(&fixture.path("folder"), &files);
    std::os::unix::fs::symlink("/etc/passwd", fixture.path("folder/link")).unwrap();
    fs::write(fixture.path("folder/manifest.json"), "[{\"Config\":\"link\"}]").unwrap();
    assert!(matches!(fixture.import("folder"), Err(ImportError::Missing { .. })), "a link was followed");
}

#[test]
fn the_machines_own_programs_make_an_image() {
    if !can_set_owners("the_machines_own_programs_make_an_image") {
        return;
    }
    let fixture = Fixture::new();
    write_archive(&fixture.path("host.tar"), &host_programs().unwrap(), ArchiveFormat::Docker).unwrap();
    let imported = fixture.import("host.tar").unwrap();
    let tree = fixture.sink.path(&imported.layers[0]);
    assert_eq!(fs::read(fixture.sink.path(&imported.layers[1]).join("etc/imported")).unwrap(), b"imported\n");
    assert!(tree.join("usr/bin/sh").exists() || tree.join("bin/sh").exists());
}
