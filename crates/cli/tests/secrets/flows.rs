//! What callers do with a provider, failures included; everything that can be shown is searched.

use std::error::Error as StdError;
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use openlattice::{
    Bytes, Callbacks, ComputeProvider, ComputeProviderExt, Env, Error, ErrorKind, ExecSession, ExecSpec,
    Files, ListFilter, Node, OutputStream, ProvisionSpec, RegistryCredentials, SandboxId, SecretSource,
    SnapshotKind, SnapshotSpec, Stdin,
};

use crate::planted::{Plant, search, shown};
use crate::processes::{Sampler, search_files};

/// The name of the file that is written with a planted content, and of the one secret that is stored by name.
pub(crate) const FILE: &str = "planted-content";
pub(crate) const NAMED: &str = "planted-named";
/// The id of the command at a terminal.
pub(crate) const TERMINAL: &str = "planted-terminal";

/// A provider, and where it keeps what.
pub(crate) struct World<'a> {
    pub(crate) name: &'static str,
    pub(crate) provider: Arc<dyn ComputeProvider>,
    pub(crate) store: &'a Path,
    pub(crate) sampler: &'a Sampler,
}

/// Takes a result that must be good, and searches what it shows.
pub(crate) fn good<T: Debug>(place: &str, result: Result<T, Error>) -> T {
    shown(place, &result);
    result.unwrap_or_else(|error| panic!("{place}: {error:?}"))
}

/// Takes a result that must be an error, and searches all that it shows, to the last source.
pub(crate) fn bad<T: Debug>(place: &str, result: Result<T, Error>, kinds: &[ErrorKind]) {
    let error = match result {
        Err(error) => error,
        Ok(value) => panic!("{place}: {value:?}"),
    };
    assert!(kinds.contains(&error.kind()), "{place}: {error:?}");
    chain(place, &error);
    search(place, &error.context().map(|(key, value)| format!("{key} {value} ")).collect::<String>());
    search(place, &format!("{} {:?} {:?}", error.message(), error.hint(), error.output()));
}

/// Searches an error and what is behind it.
pub(crate) fn chain(place: &str, error: &(dyn StdError + 'static)) {
    let mut next = Some(error);
    while let Some(error) = next {
        search(place, &format!("{error} {error:?} {error:#?}"));
        next = error.source();
    }
}

fn values(name: &str, plant: Plant) -> SecretSource {
    SecretSource::Values([(name, plant.value())].into_iter().collect())
}

impl World<'_> {
    fn place(&self, what: &str) -> String {
        format!("{}: {what}", self.name)
    }

    fn has_named(&self) -> bool {
        self.provider.capabilities().runtime.named_secrets
    }

    /// A sandbox with every planted variable that the provider takes.
    fn spec(&self) -> ProvisionSpec {
        let mut spec = ProvisionSpec::new("host").with_env("PLAIN", Plant::Env.value()).with_max_seconds(600);
        spec.secrets.push(values("SECRET", Plant::Secret));
        if self.has_named() {
            spec.secrets.push(SecretSource::Named(NAMED.to_owned()));
        }
        spec
    }

    /// A command with planted variables of its own, and planted input.
    fn command(&self, script: &str) -> ExecSpec {
        let mut spec = ExecSpec::shell(script).with_env("OWN", Plant::Env.value());
        spec.options.secrets.push(values("OWN_SECRET", Plant::Secret));
        spec.with_stdin(Stdin::Bytes(Plant::Stdin.value().into()))
    }

    /// Everything that goes well, and then all that does not.
    pub(crate) async fn run(&self) {
        shown(&self.place("provider"), &self.provider);
        shown(&self.place("capabilities"), self.provider.capabilities());
        shown(&self.place("spec"), &self.spec());
        shown(&self.place("command"), &self.command("true"));
        shown(&self.place("health"), &self.provider.health().await);
        self.refused_specs().await;
        self.failed_setups().await;
        let made =
            good(&self.place("provision"), self.provider.provision(self.spec().with_key(self.name)).await);
        self.commands(&made.id).await;
        self.failed_commands(&made.id).await;
        self.files(&made.id).await;
        self.bait(&made.id).await;
        self.names(&made.id).await;
        self.end(&made.id).await;
    }

    async fn refused_specs(&self) {
        use ErrorKind::{FailedPrecondition, InvalidArgument, NotFound, Unavailable, Unsupported};
        let mut registry = self.spec();
        // Nobody listens there.
        registry.runtime.image = Some("127.0.0.1:9/private:1".to_owned());
        let password = Plant::RegistryPassword.value().into();
        registry.runtime.registry = Some(RegistryCredentials { username: "user".to_owned(), password });
        let mut tailnet = self.spec();
        tailnet.network.tailscale_auth_key = Some(Plant::TailnetKey.value().into());
        let mut missing = self.spec();
        missing.secrets.push(SecretSource::Named("no-such-secret".to_owned()));
        let zero = format!("{}\0", Plant::Env.value());
        let cases = [
            ("registry", registry, &[Unavailable, NotFound][..]),
            ("tailnet", tailnet, &[FailedPrecondition, Unsupported]),
            ("missing secret", missing, &[NotFound, Unsupported]),
            ("name of a variable", self.spec().with_env("A=B", Plant::Env.value()), &[InvalidArgument]),
            ("zero byte", self.spec().with_env("ZERO", zero), &[InvalidArgument]),
            ("directory", self.spec().with_workdir("srv"), &[InvalidArgument]),
            ("both names", self.spec().with_key("k").with_name(""), &[InvalidArgument, Unsupported]),
        ];
        for (what, spec, kinds) in cases {
            shown(&self.place(what), &spec);
            bad(&self.place(what), self.provider.provision(spec).await, kinds);
        }
        let image =
            ProvisionSpec { runtime: ProvisionSpec::new("127.0.0.1:9/no/such:image").runtime, ..self.spec() };
        bad(&self.place("image"), self.provider.provision(image).await, &[NotFound, Unavailable]);
    }

    async fn failed_setups(&self) {
        use ErrorKind::FailedPrecondition;
        for (what, argv) in [
            ("failing initial command", &["/bin/sh", "-c", "echo why; exit 3"][..]),
            ("missing initial command", &["/no/such/program"]),
        ] {
            let spec = self.spec().with_command(argv.iter().copied());
            bad(&self.place(what), self.provider.provision(spec).await, &[FailedPrecondition]);
        }
        let main = self.spec().with_main(["/no/such/program"]);
        bad(&self.place("missing main program"), self.provider.provision(main).await, &[ErrorKind::NotFound]);
    }

    /// Runs a command to its first output, so that its variables and input are there, looks around, and lets it end.
    async fn commands(&self, id: &SandboxId) {
        let script = r#"cat > /dev/null; set -- "$PLAIN" "$SECRET" "$OWN" "$OWN_SECRET"; echo ${#1} ${#2} ${#3} ${#4} ${#NAMED}; read line < /run/go; :"#;
        let run = async |script: &str| self.provider.run(id, self.command(script), Callbacks::none()).await;
        good(&self.place("mkfifo"), run("mkfifo /run/go").await);
        let session = good(&self.place("exec"), self.provider.exec(id, self.command(script)).await);
        let named = if self.has_named() { Plant::NamedSecret.value().len() } else { 0 };
        let length = Plant::Env.value().len();
        let lengths = format!("{length} {length} {length} {length} {named}\n");
        assert_eq!(self.first_output(session.as_ref()).await, lengths, "{}", self.name);
        self.look("while a command runs");
        shown(&self.place("status"), &session.stdin_status().await);
        shown(&self.place("poll"), &session.poll().await);
        let again = self.provider.attach(id, session.id()).await;
        shown(&self.place("attach"), &again);
        good(&self.place("go"), run("echo > /run/go").await);
        good(&self.place("wait"), session.wait().await);
        self.open_input(id).await;
        self.look("after commands");
    }

    async fn open_input(&self, id: &SandboxId) {
        let spec = ExecSpec::shell("wc -c").with_stdin(Stdin::Open);
        let session = good(&self.place("exec"), self.provider.exec(id, spec).await);
        let input = Bytes::from(Plant::Stdin.value());
        good(&self.place("write"), session.write_stdin(0, input.clone()).await);
        let gap = session.write_stdin(9999, input.clone()).await;
        bad(&self.place("gap"), gap, &[ErrorKind::InvalidArgument, ErrorKind::FailedPrecondition]);
        good(&self.place("close"), session.close_stdin().await);
        good(&self.place("wait"), session.wait().await);
        shown(&self.place("late input"), &session.write_stdin(input.len() as u64, input).await);
    }

    async fn first_output(&self, session: &dyn ExecSession) -> String {
        let mut output = session.output(OutputStream::Stdout, 0);
        shown(&self.place("session"), &session);
        shown(&self.place("reader"), &output);
        let chunk = good(&self.place("output"), output.next_chunk().await);
        String::from_utf8_lossy(&chunk.unwrap().data).into_owned()
    }

    async fn failed_commands(&self, id: &SandboxId) {
        use ErrorKind::{AlreadyExists, InvalidArgument, NotFound, Unsupported};
        let program = ExecSpec { argv: vec!["/no/such/program".to_owned()], ..self.command("") };
        let cases = [
            ("program", program, &[NotFound, InvalidArgument][..]),
            ("cwd", self.command("true").with_cwd("/no/such"), &[NotFound]),
            ("variable", self.command("true").with_env("A\0", Plant::Env.value()), &[InvalidArgument]),
        ];
        for (what, spec, kinds) in cases {
            bad(&self.place(what), self.provider.exec(id, spec).await, kinds);
        }
        let late = self.command("sleep 600").with_timeout(Duration::from_millis(200));
        good(&self.place("timeout"), self.provider.run(id, late, Callbacks::none()).await);
        let known = |value: &str| self.command("true").with_exec_id("planted").with_env("OTHER", value);
        good(&self.place("known id"), self.provider.exec(id, known("1")).await);
        let other = self.provider.exec(id, known(&Plant::Secret.value())).await;
        if other.is_err() {
            bad(&self.place("known id"), other, &[AlreadyExists]);
        }
        let mut pty = self.command("true").with_exec_id(TERMINAL);
        pty.options.pty = Some(openlattice::PtySize { rows: 1, cols: 1 });
        let pty = self.provider.exec(id, pty).await;
        if pty.is_err() {
            bad(&self.place("terminal"), pty, &[Unsupported, InvalidArgument]);
        }
    }

    async fn files(&self, id: &SandboxId) {
        let Some(files) = self.provider.extensions().get::<dyn Files>() else { return };
        shown(&self.place("files"), &files);
        let path = format!("/root/{FILE}");
        let write = async |path: &str| {
            files.write(id, path.as_ref(), Plant::FileContent.value().into(), Default::default()).await
        };
        good(&self.place("file"), write(&path).await);
        assert_eq!(files.read(id, path.as_ref()).await.unwrap(), Plant::FileContent.value());
        shown(&self.place("listing"), &files.list(id, "/root".as_ref(), Default::default()).await);
        for wrong in [format!("{path}/below"), "/proc/no-such".to_owned(), "relative".to_owned()] {
            let result = write(&wrong).await;
            chain(&self.place("file"), &result.unwrap_err());
        }
        self.look("after files");
    }

    /// Shows the search what it must find: on a command line, in the environment of a process that is no sandbox's, and in a file.
    async fn bait(&self, id: &SandboxId) {
        let argv = ["sh", "-c", r#"echo "$0"; read line < /run/go; :"#];
        let argv = argv.map(str::to_owned).into_iter().chain([Plant::Bait.value()]);
        let session = self.provider.exec(id, ExecSpec::new(argv)).await.unwrap();
        let mut output = session.output(OutputStream::Stdout, 0);
        output.next_chunk().await.unwrap();
        let mut child = std::process::Command::new("sleep");
        let mut child = child.arg("600").env("BAIT", Plant::Bait.value()).spawn().unwrap();
        self.look("bait");
        child.kill().unwrap();
        child.wait().unwrap();
        tracing::trace!(target: "bait", value = %Plant::Bait.value());
        self.provider.run(id, ExecSpec::shell("echo > /run/go"), Callbacks::none()).await.unwrap();
        session.wait().await.unwrap();
    }

    async fn names(&self, id: &SandboxId) {
        let node = Node::new(Arc::clone(&self.provider), id.clone());
        shown(&self.place("node"), &node);
        search(&self.place("handle"), &serde_json::to_string(&node.to_ref()).unwrap());
        let info = good(&self.place("inspect"), self.provider.inspect(id).await);
        search(&self.place("inspect"), &serde_json::to_string(&info).unwrap());
        good(&self.place("list"), self.provider.list(ListFilter::default()).await);
        let other = self.spec().with_key(self.name).with_env("OTHER", Plant::Secret.value());
        bad(&self.place("key"), self.provider.provision(other).await, &[ErrorKind::AlreadyExists]);
        let spec = SnapshotSpec { kind: SnapshotKind::Filesystem };
        let kept = good(&self.place("snapshot"), self.provider.snapshot(id, spec).await);
        search(&self.place("snapshot"), &serde_json::to_string(&kept).unwrap());
        let mut again = self.spec();
        again.runtime.image = None;
        let copy = good(&self.place("restore"), self.provider.restore(&kept, again).await);
        good(&self.place("destroy"), self.provider.destroy(&copy.id).await);
        good(&self.place("gc"), self.provider.gc().await);
    }

    async fn end(&self, id: &SandboxId) {
        let spec = self.command("cat > /dev/null; echo ready; sleep 600");
        let session = good(&self.place("exec"), self.provider.exec(id, spec).await);
        self.first_output(session.as_ref()).await;
        good(&self.place("destroy"), self.provider.destroy(id).await);
        good(&self.place("wait"), session.wait().await);
        let late = self.provider.exec(id, self.command("true")).await;
        bad(&self.place("ended"), late, &[ErrorKind::NotFound, ErrorKind::FailedPrecondition]);
        self.look("at the end");
    }

    /// Searches the process list and the store as they are now.
    pub(crate) fn look(&self, when: &str) {
        self.sampler.look();
        assert!(search_files(&self.place(when), self.store) > 2, "{} is no store", self.store.display());
    }
}

/// Specs that do not parse: the message names the field and not the value.
pub(crate) fn malformed() {
    let [env, key, password, stdin] =
        [Plant::Env, Plant::TailnetKey, Plant::RegistryPassword, Plant::Stdin].map(Plant::value);
    for json in [
        format!(r#"{{"env": "{env}"}}"#),
        format!(r#"{{"env": ["{env}"]}}"#),
        format!(r#"{{"env": {{"A": ["{env}"]}}}}"#),
        format!(r#"{{"secrets": "{env}"}}"#),
        format!(r#"{{"secrets": ["{env}"]}}"#),
        format!(r#"{{"secrets": [{{"values": "{env}"}}]}}"#),
        format!(r#"{{"secrets": [{{"values": {{"A": ["{env}"]}}}}]}}"#),
        format!(r#"{{"network": {{"tailscaleAuthKey": ["{key}"]}}}}"#),
        format!(r#"{{"network": "{key}"}}"#),
        format!(r#"{{"runtime": {{"registry": "{password}"}}}}"#),
        format!(r#"{{"runtime": {{"registry": {{"username": "u", "password": ["{password}"]}}}}}}"#),
    ] {
        bad("malformed spec", ProvisionSpec::from_json(&json), &[ErrorKind::InvalidArgument]);
    }
    for json in [
        format!(r#"{{"stdin": "{stdin}"}}"#),
        format!(r#"{{"stdin": {{"bytes": "{stdin}!"}}}}"#),
        format!(r#"{{"stdin": {{"text": "{stdin}"}}}}"#),
        format!(r#"{{"stdin": {{"bytes": ["{stdin}"]}}}}"#),
    ] {
        let error = serde_json::from_str::<openlattice::ExecOptions>(&json).unwrap_err();
        chain("malformed options", &error);
    }
    let error = serde_json::from_str::<Env>(&format!("\"{env}\"")).unwrap_err();
    chain("malformed variables", &error);
}
