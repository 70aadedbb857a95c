//! Images of registries, and builds: logs, failures, repetition, and servers that go away.

use crate::fixture::{Control, Running, Scene, Store, build};
use openlattice_engine::{Engine, EngineConfig, FileAttributes, SandboxFilter};
use openlattice_images::testing::{
    host_programs,
    registry::{Access, PASSWORD, Registry, USERNAME},
};
use openlattice_modal_client::{Client, Config, IfMissing, ImageSpec};
use openlattice_modal_proto::client::{self as proto, GenericResult, generic_result::GenericStatus};
use std::sync::Arc;
use tonic::Code;

/// An image as asked for.
fn image(lines: &[&str]) -> proto::Image {
    proto::Image {
        dockerfile_commands: lines.iter().map(|line| (*line).to_owned()).collect(),
        ..Default::default()
    }
}

async fn ask(
    control: &mut Control,
    image: proto::Image,
    force_build: bool,
) -> proto::ImageGetOrCreateResponse {
    let request = proto::ImageGetOrCreateRequest { image: Some(image), force_build, ..Default::default() };
    control.image_get_or_create(request).await.unwrap().into_inner()
}

/// A build that was followed to its end.
#[derive(Debug)]
struct Built {
    id: String,
    result: GenericResult,
    log: String,
    /// Whether there was something to follow.
    followed: bool,
}

impl Built {
    fn succeeded(self) -> Self {
        assert_eq!(self.result.status(), GenericStatus::Success, "{self:?}");
        self
    }
}

/// Asks for an image and follows its build.
async fn made(control: &mut Control, image: proto::Image) -> Built {
    let reply = ask(control, image, false).await;
    let id = reply.image_id;
    match reply.result {
        Some(result) if result.status() != GenericStatus::Unspecified => {
            Built { id, result, log: String::new(), followed: false }
        }
        _ => {
            let (log, result) = follow(control, &id, "").await;
            Built { id, result, log, followed: true }
        }
    }
}

fn joining(id: &str, last_entry_id: &str, timeout: f32) -> proto::ImageJoinStreamingRequest {
    proto::ImageJoinStreamingRequest {
        image_id: id.to_owned(),
        timeout,
        last_entry_id: last_entry_id.to_owned(),
        ..Default::default()
    }
}

/// Joins again and again until there is a result.
async fn follow(control: &mut Control, id: &str, from: &str) -> (String, GenericResult) {
    let (mut log, mut last) = (String::new(), from.to_owned());
    loop {
        let mut stream = control.image_join_streaming(joining(id, &last, 55.0)).await.unwrap().into_inner();
        while let Some(message) = stream.message().await.unwrap() {
            log.extend(message.task_logs.iter().map(|log| log.data.as_str()));
            last = message.entry_id;
            if let Some(result) = message.result {
                assert!(message.eof);
                return (log, result);
            }
        }
    }
}

/// Reads a stream up to a piece of the log that has these words, and gives the entry after it.
async fn seen(control: &mut Control, id: &str, words: &str) -> String {
    let mut stream = control.image_join_streaming(joining(id, "", 55.0)).await.unwrap().into_inner();
    let mut log = String::new();
    while let Some(message) = stream.message().await.unwrap() {
        log.extend(message.task_logs.iter().map(|log| log.data.as_str()));
        if log.contains(words) {
            return message.entry_id;
        }
    }
    panic!("the stream ended without {words:?}: {log}");
}

/// The text of the failure of a build.
async fn refused(control: &mut Control, image: proto::Image) -> String {
    let built = made(control, image).await;
    assert_eq!(built.result.status(), GenericStatus::Failure, "{built:?}");
    built.result.exception
}

/// A server on a store of its own, where sandboxes can be made.
async fn scene() -> Option<(Running, Scene)> {
    let store = Arc::new(Store::new());
    let server = store.open().await;
    let mut scene = Scene::new(&server, store).await;
    let made = scene.create(&[]).await?;
    scene.terminate(&made.id).await;
    Some((server, scene))
}

/// What a script prints in a sandbox of an image.
async fn output(scene: &mut Scene, image: &str, script: &str) -> String {
    scene.image = image.to_owned();
    let made = scene.create(&["sh", "-c", script]).await.unwrap();
    scene.wait(&made.id, 55.0).await.unwrap();
    let request = proto::SandboxGetLogsRequest {
        sandbox_id: made.id,
        file_descriptor: proto::FileDescriptor::Stdout.into(),
        timeout: 55.0,
        ..Default::default()
    };
    let mut stream = scene.control.sandbox_get_logs(request).await.unwrap().into_inner();
    let mut text = String::new();
    while let Some(batch) = stream.message().await.unwrap() {
        text.extend(batch.items.iter().map(|item| item.data.as_str()));
    }
    text
}

/// Sandboxes of the store that live.
async fn living(store: &Store) -> usize {
    let engine = Engine::open(EngineConfig::new(store.path())).await.unwrap();
    engine.sandboxes(&SandboxFilter::default()).await.unwrap().len()
}

/// Makes the file that a build waits for, in the one sandbox there is.
async fn go(store: &Store) {
    let engine = Engine::open(EngineConfig::new(store.path())).await.unwrap();
    let sandboxes = loop {
        let living = engine.sandboxes(&SandboxFilter::default()).await.unwrap();
        // That of a build that was cut is on its way out.
        if living.len() == 1 {
            break living;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    engine
        .files(&sandboxes[0].id)
        .write("/srv/go", Vec::new().into(), FileAttributes::default())
        .await
        .unwrap();
}

async fn secret(control: &mut Control, values: &[(&str, &str)]) -> String {
    let request = proto::SecretGetOrCreateRequest {
        object_creation_type: proto::ObjectCreationType::Ephemeral.into(),
        env_dict: values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        ..Default::default()
    };
    control.secret_get_or_create(request).await.unwrap().into_inner().secret_id
}

#[tokio::test]
async fn m05_an_image_of_a_registry_is_pulled_once() {
    let Some((server, mut scene)) = scene().await else { return };
    let Some(registry) = Registry::start("m05_an_image_of_a_registry", Access::Open) else { return };
    let reference = registry.push("tiny", "1", &host_programs().unwrap()).unwrap();
    let from = format!("FROM {reference}");
    let first = made(&mut scene.control, image(&[&from])).await.succeeded();
    assert!(first.followed && first.log.contains("pulled 100 %"), "{first:?}");
    assert_eq!(output(&mut scene, &first.id, "cat /etc/imported; echo $IMPORTED").await, "imported\nyes\n");
    // A line on it is set at once now, and the image itself needs no registry any more.
    let set = made(&mut scene.control, image(&[&from, "ENV A=1"])).await.succeeded();
    assert!(!set.followed && set.id != first.id);
    drop(registry);
    let again = made(&mut scene.control, image(&[&from])).await.succeeded();
    assert!(!again.followed && again.id == first.id, "{again:?}");
    let gone = refused(&mut scene.control, image(&[&format!("FROM {reference}-other")])).await;
    assert!(gone.contains("line 1 (FROM") && gone.contains("cannot reach the registry"), "{gone}");
    server.stop().await;
}

#[tokio::test]
async fn m05_a_stored_secret_opens_a_registry() {
    let Some((server, mut scene)) = scene().await else { return };
    let Some(registry) = Registry::start("m05_a_stored_secret", Access::Credentials) else { return };
    let reference = registry.push("tiny", "1", &host_programs().unwrap()).unwrap();
    let mut asked = image(&[&format!("FROM {reference}")]);
    assert!(refused(&mut scene.control, asked.clone()).await.contains("refuses a pull without credentials"));
    let config = |secret_id: String| proto::ImageRegistryConfig {
        registry_auth_type: proto::RegistryAuthType::StaticCreds.into(),
        secret_id,
    };
    let table: [(&[(&str, &str)], &str); 2] = [
        (&[("REGISTRY_USERNAME", USERNAME)], "no key REGISTRY_PASSWORD"),
        (&[("REGISTRY_USERNAME", USERNAME), ("REGISTRY_PASSWORD", "hunter2")], "refuses these credentials"),
    ];
    for (values, words) in table {
        asked.image_registry_config = Some(config(secret(&mut scene.control, values).await));
        let text = refused(&mut scene.control, asked.clone()).await;
        assert!(text.contains(words) && !text.contains("hunter2"), "{text}");
    }
    let good = [("REGISTRY_USERNAME", USERNAME), ("REGISTRY_PASSWORD", PASSWORD)];
    asked.image_registry_config = Some(config(secret(&mut scene.control, &good).await));
    let built = made(&mut scene.control, asked).await.succeeded();
    assert_eq!(output(&mut scene, &built.id, "cat /etc/imported").await, "imported\n");
    server.stop().await;
}

#[tokio::test]
async fn a_command_of_a_build_leaves_its_files_and_its_output() {
    let Some((server, mut scene)) = scene().await else { return };
    let lines = ["FROM host", "RUN echo made > /srv/made; echo said; echo and this >&2"];
    let first = made(&mut scene.control, image(&lines)).await.succeeded();
    assert!(first.log.contains("=> line 2: RUN") && first.log.ends_with("said\nand this\n"), "{first:?}");
    assert_eq!(output(&mut scene, &first.id, "cat /srv/made").await, "made\n");
    // The second time there is nothing to do; a layer on it is another image.
    let again = made(&mut scene.control, image(&lines)).await.succeeded();
    assert!(!again.followed && again.id == first.id, "{again:?}");
    let mut layer = image(&["FROM base", "RUN cat /srv/made", "ENV A=b"]);
    layer.base_images = vec![proto::BaseImage { image_id: first.id.clone(), docker_tag: "base".into() }];
    let second = made(&mut scene.control, layer).await.succeeded();
    assert!(second.log.ends_with("made\n=> line 3: ENV A=b\n"), "{second:?}");
    assert_eq!(output(&mut scene, &second.id, "cat /srv/made; echo $A").await, "made\nb\n");
    // A directory that an image below only sets is there for the commands on it.
    let set = made(&mut scene.control, image(&["FROM host", "WORKDIR /srv/deep/work"])).await.succeeded();
    let mut layer = image(&["FROM base", "RUN pwd > here"]);
    layer.base_images = vec![proto::BaseImage { image_id: set.id, docker_tag: "base".into() }];
    let third = made(&mut scene.control, layer).await.succeeded();
    assert_eq!(output(&mut scene, &third.id, "cat /srv/deep/work/here").await, "/srv/deep/work\n");
    // By force it is built again, under the same id.
    let forced = ask(&mut scene.control, image(&lines), true).await;
    assert_eq!(
        (forced.image_id.as_str(), forced.result.unwrap().status()),
        (first.id.as_str(), GenericStatus::Unspecified)
    );
    assert!(follow(&mut scene.control, &first.id, "").await.0.contains("said\n"));
    assert_eq!(living(&scene.store).await, 0);
    server.stop().await;
}

#[tokio::test]
async fn a_command_that_fails_fails_the_build_by_line_and_code() {
    let Some((server, mut scene)) = scene().await else { return };
    let lines = ["FROM host", "RUN true", "RUN echo why; exit 7", "RUN echo never"];
    // A failure is not kept: each request tries again.
    for _ in 0..2 {
        let built = made(&mut scene.control, image(&lines)).await;
        assert_eq!(built.result.status(), GenericStatus::Failure);
        assert_eq!(built.result.exception, "line 3 (RUN echo why; exit 7): it exited with code 7");
        assert!(
            built.followed && built.log.contains("why\n") && !built.log.contains("=> line 4"),
            "{built:?}"
        );
        let request = proto::ImageFromIdRequest { image_id: built.id };
        assert_eq!(scene.control.image_from_id(request).await.unwrap_err().code(), Code::NotFound);
    }
    let killed = refused(&mut scene.control, image(&["FROM host", "RUN kill -9 $$"])).await;
    assert!(killed.ends_with("it was killed by signal 9"), "{killed}");
    let missing = refused(&mut scene.control, image(&["FROM host", "RUN [\"/no/such/program\"]"])).await;
    assert!(missing.contains("/no/such/program"), "{missing}");
    let nobody = refused(&mut scene.control, image(&["FROM host", "USER no-such-user", "RUN true"])).await;
    assert!(nobody.contains("no-such-user"), "{nobody}");
    assert_eq!(living(&scene.store).await, 0);
    server.stop().await;
}

#[tokio::test]
async fn a_build_honours_what_its_lines_and_fields_set() {
    let Some((server, mut scene)) = scene().await else { return };
    let mut asked = image(&[
        "FROM host",
        "ARG GIVEN",
        "ARG DEFAULT=usual",
        "ENV KEPT=env",
        "WORKDIR /srv/work",
        "COPY /note.txt here/",
        "RUN echo $GIVEN $DEFAULT $KEPT $HIDDEN $(pwd) $(cat here/note.txt)",
        "RUN [\"sh\", \"-c\", \"echo exec form $0\", \"$KEPT\"]",
        "SHELL [\"/bin/sh\", \"-ec\"]",
        "RUN false; echo not said",
    ]);
    asked.build_args = [("GIVEN".to_owned(), "given".to_owned())].into();
    asked.secret_ids = vec![secret(&mut scene.control, &[("HIDDEN", "secret")]).await];
    asked.context_files =
        vec![proto::ImageContextFile { filename: "note.txt".into(), data: b"noted\n".to_vec() }];
    let text = made(&mut scene.control, asked.clone()).await;
    assert!(text.log.contains("given usual env secret /srv/work noted\n"), "{text:?}");
    assert!(text.log.contains("exec form $KEPT\n") && !text.log.contains("not said\n=>"), "{text:?}");
    assert!(text.result.exception.starts_with("line 10 "), "{text:?}");
    asked.dockerfile_commands.truncate(7);
    asked.dockerfile_commands.push("USER 1000:7".to_owned());
    asked.dockerfile_commands.push("RUN id -u; id -g".to_owned());
    let built = made(&mut scene.control, asked).await.succeeded();
    assert!(built.log.ends_with("1000\n7\n"), "{built:?}");
    // Arguments and secrets are the build's alone; the user, the variables and the directory are the image's.
    let script = "echo ${GIVEN-none} ${HIDDEN-none} $KEPT $(pwd) $(id -u)";
    assert_eq!(output(&mut scene, &built.id, script).await, "none none env /srv/work 1000\n");
    server.stop().await;
}

#[tokio::test]
async fn a_log_is_taken_up_where_it_was_left() {
    let Some((server, mut scene)) = scene().await else { return };
    let script = "RUN echo first; while ! test -e /srv/go; do sleep 0.02; done; echo second";
    let id = ask(&mut scene.control, image(&["FROM host", script]), false).await.image_id;
    let entry = seen(&mut scene.control, &id, "first\n").await;
    // While nothing comes the stream is held open, and ends without a result at the timeout.
    let mut stream =
        scene.control.image_join_streaming(joining(&id, &entry, 0.2)).await.unwrap().into_inner();
    assert_eq!(stream.message().await.unwrap(), None);
    // The same request again finds the build and starts no other.
    let again = ask(&mut scene.control, image(&["FROM host", script]), false).await;
    assert_eq!(
        (again.image_id.as_str(), again.result.unwrap().status()),
        (id.as_str(), GenericStatus::Unspecified)
    );
    go(&scene.store).await;
    let (log, result) = follow(&mut scene.control, &id, &entry).await;
    assert_eq!((log.as_str(), result.status()), ("second\n", GenericStatus::Success));
    // From the start, of a build that is over.
    assert!(follow(&mut scene.control, &id, "other-7").await.0.ends_with("first\nsecond\n"));
    server.stop().await;
}

#[tokio::test]
async fn a_build_that_was_cut_short_is_done_by_the_next_server() {
    let Some((server, mut scene)) = scene().await else { return };
    let wait = "RUN echo started; while ! test -e /srv/go; do sleep 0.02; done; echo done";
    let lines = ["FROM host", wait, "COPY /f /srv/f"];
    let mut asked = image(&lines);
    asked.context_files = vec![proto::ImageContextFile { filename: "f".into(), data: b"x".to_vec() }];
    let id = ask(&mut scene.control, asked, false).await.image_id;
    drop(seen(&mut scene.control, &id, "started\n").await);
    server.cut().await;
    let server = scene.store.open().await;
    scene.control = server.control().await;
    let entry = seen(&mut scene.control, &id, "started\n").await;
    go(&scene.store).await;
    let (log, result) = follow(&mut scene.control, &id, &entry).await;
    assert_eq!(result.status(), GenericStatus::Success, "{log}");
    assert!(log.starts_with("done\n"), "{log}");
    assert_eq!(output(&mut scene, &id, "cat /srv/f").await, "x");
    server.stop().await;
}

#[tokio::test]
async fn a_server_that_stops_ends_its_builds_and_leaves_nothing() {
    let Some((server, mut scene)) = scene().await else { return };
    let id =
        ask(&mut scene.control, image(&["FROM host", "RUN echo started; sleep 600"]), false).await.image_id;
    let mut stream = scene.control.image_join_streaming(joining(&id, "", 55.0)).await.unwrap().into_inner();
    drop(seen(&mut scene.control, &id, "started\n").await);
    server.stop().await;
    // Who follows it is told to ask again.
    let status = loop {
        match stream.message().await {
            Ok(message) => assert!(message.is_some_and(|message| message.result.is_none())),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(living(&scene.store).await, 0);
    assert_eq!(std::fs::read_dir(scene.store.path().join("modal/builds")).unwrap().count(), 0);
}

#[tokio::test]
async fn unknown_builds_are_not_found() {
    let store = Store::new();
    let server = store.open().await;
    let mut control = server.control().await;
    let unknown = joining("im-0000000000000000000000", "", 1.0);
    assert_eq!(control.image_join_streaming(unknown).await.unwrap_err().code(), Code::NotFound);
    let host = build(&mut control, &["FROM host"]).await.image_id;
    assert_eq!(follow(&mut control, &host, "").await.1.status(), GenericStatus::Success);
    server.stop().await;
}

#[tokio::test]
async fn our_client_follows_a_build_through_a_crash() {
    let Some((server, scene)) = scene().await else { return };
    let config = Config::new("ak-any", "as-any").with_server_url(&server.url).unwrap();
    let client = Client::new(config).unwrap();
    let app = client.app("a", IfMissing::Create).await.unwrap();
    let wait = "RUN echo started; while ! test -e /srv/go; do sleep 0.02; done; echo done";
    let spec = ImageSpec::from_registry("host").with_dockerfile_lines([wait]);
    let (told, mut lines) = tokio::sync::mpsc::unbounded_channel();
    let building = tokio::spawn(async move {
        client.build_image(&app, &spec, move |line: &str| drop(told.send(line.to_owned()))).await
    });
    let mut log = String::new();
    while !log.contains("started\n") {
        log.push_str(&lines.recv().await.unwrap());
    }
    let port = server.port;
    server.cut().await;
    let server = Running::on_port(scene.store.path(), port).await;
    // The build is done again from its start, and the client goes on with the new log.
    let mut log = String::new();
    while !log.contains("started\n") {
        log.push_str(&lines.recv().await.unwrap());
    }
    go(&scene.store).await;
    let id = building.await.unwrap().unwrap();
    while let Some(line) = lines.recv().await {
        log.push_str(&line);
    }
    assert!(id.as_str().starts_with("im-") && log.ends_with("started\ndone\n"), "{log}");
    server.stop().await;
}
