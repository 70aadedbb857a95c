//! Pull from a real registry on loopback.

#![expect(clippy::unwrap_used, reason = "all of this is tests: they stop where something is wrong")]

mod relay;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use openlattice_images::registry::{Credentials, Progress, PullError, Reference, pull};
use openlattice_images::testing::registry::{Access, PASSWORD, Registry, USERNAME};
use openlattice_images::testing::{LayerBuilder, can_set_owners, configuration};
use openlattice_images::{IdRange, ImportError, ImportOptions, Imported, LayerSink};
use relay::Relay;
use serde_json::{Value, json};

const IDS: IdRange = IdRange { base: 3_000_000_000, count: 65_536 };

/// A registry and an empty sink.
struct Scene {
    registry: Registry,
    folder: tempfile::TempDir,
    sink: Arc<LayerSink>,
}

impl Scene {
    fn new(test: &str, access: Access) -> Option<Self> {
        if !can_set_owners(test) {
            return None;
        }
        let registry = Registry::start(test, access)?;
        let folder = tempfile::tempdir().unwrap();
        let sink = Arc::new(LayerSink::open(folder.path()).unwrap());
        Some(Self { registry, folder, sink })
    }

    async fn pull(&self, reference: &str) -> Result<Imported, PullError> {
        self.pull_as(reference, None, &|_| {}).await
    }

    async fn pull_as(
        &self,
        reference: &str,
        credentials: Option<&Credentials>,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Imported, PullError> {
        let reference: Reference = reference.parse().unwrap();
        let options = ImportOptions::new(IDS);
        let pulled = pull(&reference, credentials, &self.sink, &options, progress).await?;
        Ok(pulled.publish(&self.sink).unwrap())
    }

    /// Waits until the sink's folder is empty: what is given up is removed by a thread of its own.
    async fn nothing_left(&self) {
        while fs::read_dir(self.folder.path()).unwrap().count() > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}

fn layer(name: &str, contents: &[u8]) -> Vec<u8> {
    LayerBuilder::default().file(name, 0o644, contents).finish()
}

fn layers() -> Vec<Vec<u8>> {
    vec![layer("a", b"one"), layer("b", b"two")]
}

/// Bytes that do not compress.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..count).map(|_| next()).collect()
}

#[tokio::test]
async fn m05_an_image_is_pulled_and_its_layers_only_once() {
    let Some(scene) = Scene::new("m05_an_image_is_pulled", Access::Open) else { return };
    let reference = scene.registry.push("team/app", "1", &layers()).unwrap();
    let seen = Mutex::new(Vec::new());
    let image =
        scene.pull_as(&reference, None, &|progress| seen.lock().unwrap().push(progress)).await.unwrap();
    assert_eq!(fs::read(scene.sink.path(&image.layers[0]).join("a")).unwrap(), b"one");
    assert_eq!(fs::read(scene.sink.path(&image.layers[1]).join("b")).unwrap(), b"two");
    assert!(image.config.env.contains(&"IMPORTED=yes".to_owned()) && image.config.cmd == ["/bin/sh"]);
    assert_eq!((image.report.unpacked_layers, image.report.reused_layers), (2, 0));
    let seen = seen.into_inner().unwrap();
    assert!(seen[0].done == 0 && seen[0].total > 0, "{seen:?}");
    assert_eq!(seen.last().map(|last| last.done), Some(seen[0].total));

    let next = [layers().remove(0), layer("c", b"three"), layers().remove(0)];
    let reference = scene.registry.push("team/app", "2", &next).unwrap();
    let image = scene.pull(&reference).await.unwrap();
    assert_eq!((image.report.unpacked_layers, image.report.reused_layers), (1, 2));
    assert_eq!(image.layers[0], image.layers[2]);
    let loopback = reference.replace("127.0.0.1", "localhost");
    assert_eq!(scene.pull(&loopback).await.unwrap().report.reused_layers, 3);
}

#[tokio::test]
async fn m05_of_an_index_the_machines_platform_is_taken() {
    let Some(scene) = Scene::new("m05_of_an_index", Access::Open) else { return };
    let tar = layer("z", b"zstandard");
    let stored = zstd::encode_all(tar.as_slice(), 3).unwrap();
    let blob = scene.registry.blob("n", "application/vnd.oci.image.layer.v1.tar+zstd", &stored).unwrap();
    let config = configuration(&[digest(&tar)]).to_string();
    let config =
        scene.registry.blob("n", "application/vnd.oci.image.config.v1+json", config.as_bytes()).unwrap();
    let manifest = image_manifest(&config, &blob);
    let mut here = scene.registry.manifest("n", None, &manifest).unwrap();
    here["platform"] = json!({ "os": "linux", "architecture": configuration(&[])["architecture"] });
    let mut other = here.clone();
    other["platform"]["architecture"] = json!("s390x");
    let mut proof = here.clone();
    proof["platform"] = json!({ "os": "unknown", "architecture": "unknown" });
    let index = |entries: &[&Value]| {
        let media_type = "application/vnd.oci.image.index.v1+json";
        json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": entries })
    };
    let pinned = scene.registry.manifest("n", Some("all"), &index(&[&other, &proof, &here])).unwrap();
    scene.registry.manifest("n", Some("other"), &index(&[&other, &proof])).unwrap();

    let image = scene.pull(&scene.registry.reference("n", "all")).await.unwrap();
    assert_eq!(fs::read(scene.sink.path(&image.layers[0]).join("z")).unwrap(), b"zstandard");
    let by_digest = format!("{}/n@{}", scene.registry.host(), pinned["digest"].as_str().unwrap());
    assert_eq!(scene.pull(&by_digest).await.unwrap().digest, image.digest);
    let error = scene.pull(&scene.registry.reference("n", "other")).await.unwrap_err();
    assert!(matches!(error, PullError::Image(ImportError::Platform { .. })), "{error:?}");
    assert!(error.to_string().contains("linux/s390x"), "{error}");
}

fn image_manifest(config: &Value, layer: &Value) -> Value {
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    json!({ "schemaVersion": 2, "mediaType": media_type, "config": config, "layers": [layer] })
}

/// By the registry's own hand: what a blob would be called.
fn digest(bytes: &[u8]) -> String {
    use sha2::Digest;
    let hex: String = sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

#[tokio::test]
async fn m05_credentials_open_a_registry_and_wrong_ones_do_not() {
    let Some(scene) = Scene::new("m05_credentials", Access::Credentials) else { return };
    let reference = scene.registry.push("private", "1", &layers()).unwrap();
    let pair = |password: &str| Credentials { username: USERNAME.to_owned(), password: password.to_owned() };
    let good = pair(PASSWORD);
    scene.pull_as(&reference, Some(&good), &|_| {}).await.unwrap();
    let wrong = pair("hunter2");
    for (credentials, given) in [(Some(&wrong), true), (None, false)] {
        let error = scene.pull_as(&reference, credentials, &|_| {}).await.unwrap_err();
        assert!(
            matches!(error, PullError::Unauthenticated { given: said, .. } if said == given),
            "{error:?}"
        );
        assert!(!format!("{error:?} {error}").contains("hunter2"));
    }
}

#[tokio::test]
async fn m05_what_is_not_there_is_told_apart_from_who_is_not_there() {
    let Some(scene) = Scene::new("m05_what_is_not_there", Access::Open) else { return };
    scene.registry.push("n", "1", &layers()).unwrap();
    for reference in [scene.registry.reference("n", "2"), scene.registry.reference("none", "1")] {
        let error = scene.pull(&reference).await.unwrap_err();
        assert!(
            matches!(&error, PullError::NotFound { reference: named } if *named == reference),
            "{error:?}"
        );
    }
    let reference = scene.registry.reference("n", "1");
    let Scene { registry, folder, sink } = scene;
    let host = registry.host().to_owned();
    drop(registry);
    let options = ImportOptions::new(IDS);
    let error = pull(&reference.parse().unwrap(), None, &sink, &options, &|_| {}).await.unwrap_err();
    assert!(matches!(&error, PullError::Unreachable { host: named, .. } if *named == host), "{error:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn m05_bytes_with_another_digest_are_refused_and_leave_nothing() {
    let Some(scene) = Scene::new("m05_bytes_with_another_digest", Access::Open) else { return };
    let good = layer("a", b"good");
    let evil = layer("a", b"evil");
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let media_type = "application/vnd.oci.image.layer.v1.tar+gzip";
    let first = scene.registry.blob("n", media_type, &gzip(&good)).unwrap();
    let config_type = "application/vnd.oci.image.config.v1+json";
    let config = |layer: &[u8]| {
        scene.registry.blob("n", config_type, configuration(&[digest(layer)]).to_string().as_bytes()).unwrap()
    };
    // The blob itself, and the tar inside it.
    scene.registry.manifest("n", Some("blob"), &image_manifest(&config(&good), &first)).unwrap();
    scene.registry.manifest("n", Some("tar"), &image_manifest(&config(&evil), &first)).unwrap();
    let tar = scene.pull(&scene.registry.reference("n", "tar")).await.unwrap_err();
    assert!(matches!(tar, PullError::Image(ImportError::Digest { .. })), "{tar:?}");
    fs::write(scene.registry.blob_file(first["digest"].as_str().unwrap()), gzip(&evil)).unwrap();
    let blob = scene.pull(&scene.registry.reference("n", "blob")).await.unwrap_err();
    assert!(matches!(blob, PullError::Image(ImportError::Digest { .. })), "{blob:?}");
    // A longer blob than its manifest says is not read to its end.
    fs::write(
        scene.registry.blob_file(first["digest"].as_str().unwrap()),
        [gzip(&good), noise(1 << 20)].concat(),
    )
    .unwrap();
    let long = scene.pull(&scene.registry.reference("n", "blob")).await.unwrap_err();
    assert!(matches!(long, PullError::Image(ImportError::Malformed { .. })), "{long:?}");
    scene.nothing_left().await;
}

#[tokio::test]
async fn m05_an_image_that_unpacks_to_too_much_is_refused_and_leaves_nothing() {
    let Some(scene) = Scene::new("m05_an_image_that_unpacks_to_too_much", Access::Open) else { return };
    let layers = [layer("a", b"small"), layer("zeros", &vec![0; 8 << 20])];
    let reference = scene.registry.push("bomb", "1", &layers).unwrap();
    let mut options = ImportOptions::new(IDS);
    options.limits.bytes = 1 << 20;
    let error = pull(&reference.parse().unwrap(), None, &scene.sink, &options, &|_| {}).await.unwrap_err();
    assert!(error.to_string().contains("cannot unpack layer"), "{error:?}");
    scene.nothing_left().await;
}

/// A registry behind a relay that stops after the first layer and half of the second.
async fn half_way(scene: &Scene) -> (Relay, String) {
    let layers = [layer("a", b"small"), layer("b", &noise(4 << 20))];
    let reference = scene.registry.push("n", "1", &layers).unwrap();
    let relay = Relay::start(scene.registry.host(), 2 << 20);
    let through = reference.replace(scene.registry.host(), relay.host());
    (relay, through)
}

#[tokio::test]
async fn m05_a_pull_that_breaks_off_midway_leaves_nothing() {
    let Some(scene) = Scene::new("m05_a_pull_that_breaks_off", Access::Open) else { return };
    let (relay, reference) = half_way(&scene).await;
    relay.cut_when_held();
    let error = scene.pull(&reference).await.unwrap_err();
    assert!(matches!(error, PullError::Unreachable { .. }), "{error:?}");
    scene.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn m05_a_pull_that_is_dropped_midway_leaves_nothing() {
    let Some(scene) = Scene::new("m05_a_pull_that_is_dropped", Access::Open) else { return };
    let (relay, reference) = half_way(&scene).await;
    tokio::select! {
        result = scene.pull(&reference) => panic!("it ended: {result:?}"),
        () = relay.held() => {}
    }
    assert!(has_staged(scene.folder.path()), "the pull was midway");
    scene.nothing_left().await;
}

fn has_staged(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().count() > 0
}
