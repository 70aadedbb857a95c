//! The real binary: nodes here, nodes of a server of its own, its failures, and a server that is killed.

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::flows::NAMED;
use crate::planted::{Plant, search, search_bytes};
use crate::processes::{Sampler, search_files};
use crate::store::{Ran, Store};
use crate::wire;

const TOKEN_ID: &str = "ak-planted";
/// The log of every crate that sees secrets or what carries them, at its most talkative.
const LOG: &str = "openlattice=trace,lattice=trace,h2=trace,hyper=trace,hyper_util=trace,tonic=trace,tower=trace,rustls=trace";

/// `lattice` on a store, with planted values in its variables and files.
struct Lattice<'a> {
    store: &'a Store,
    sampler: &'a Sampler,
    variables: PathBuf,
}

/// A `lattice serve` whose output goes to files. Dropping it kills it.
struct Served {
    child: Child,
    url: String,
    output: PathBuf,
}

pub(crate) fn run(store: &Store, sampler: &Sampler) {
    let variables = store.path("variables");
    write_private(&variables, &format!("FILED={}\nGIVEN\n", Plant::Secret.value()));
    let lattice = Lattice { store, sampler, variables };
    lattice.nodes("local", &|_| ());
    lattice.nodes("modal", &|_| ());
    lattice.failures();
    lattice.served();
    lattice.search_store("commands");
}

fn write_private(path: &std::path::Path, text: &str) {
    use std::io::Write;
    let mut options = fs::OpenOptions::new();
    options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
}

impl Lattice<'_> {
    /// Runs `lattice`; the variable GIVEN is in its environment, planted text its standard input.
    fn call(&self, arguments: &[&str], set: &(dyn Fn(&mut Command) + Sync)) -> Ran {
        let ran = self.store.run_with(arguments, Plant::Stdin.value().as_bytes(), |command| {
            command.env("GIVEN", Plant::Env.value()).env("LATTICE_LOG", LOG);
            set(command);
        });
        let place = format!("lattice {}", arguments.join(" "));
        search_bytes(&place, ran.bytes());
        search(&place, &ran.err());
        ran
    }

    fn search_store(&self, when: &str) {
        self.sampler.look();
        assert!(search_files(&format!("lattice: {when}"), &self.store.path("store")) > 2);
    }

    /// A node from `create` to `rm`, with the commands that show it.
    fn nodes(&self, provider: &str, set: &(dyn Fn(&mut Command) + Sync)) {
        let file = self.variables.to_str().unwrap();
        let with = |arguments: &[&str]| {
            let all = [&["--provider", provider], arguments].concat();
            let ran = self.call(&all, set);
            assert_eq!(ran.code(), 0, "{all:?}: {}", ran.err());
            ran.out().trim_end().to_owned()
        };
        let id = with(&[
            "create",
            "-e",
            "GIVEN",
            "--env-file",
            file,
            "--setup",
            "--",
            "sh",
            "-c",
            "cat > /dev/null",
        ]);
        let script =
            "cat > /dev/null; echo ${#GIVEN} ${#FILED} ${#HERE}; mkfifo /run/go; read line < /run/go; :";
        let report = self.store.path("report.json");
        let report = report.to_str().unwrap();
        std::thread::scope(|scope| {
            let held = scope.spawn(|| {
                let variables = ["-e", "GIVEN", "-e", "HERE=x", "--result", report];
                with(&[&["exec", "-i"], &variables[..], &[&id, "--", "sh", "-c", script]].concat())
            });
            // Waits for the command's file, looks around, and lets it go on.
            with(&["exec", "--timeout", "60s", &id, "--", "sh", "-c", "until test -p /run/go; do :; done"]);
            self.search_store("while a command runs");
            with(&["exec", &id, "--", "sh", "-c", "echo > /run/go"]);
            let length = Plant::Env.value().len();
            assert_eq!(held.join().unwrap(), format!("{length} {length} 1"));
        });
        search("report", &crate::store::text(std::path::Path::new(report)));
        for arguments in
            [&["ps", "--all"][..], &["ps", "--json"], &["inspect", &id], &["inspect", "--json", &id]]
        {
            with(arguments);
        }
        let image = with(&["snapshot", &id]);
        with(&["run", "--image", &image, "-e", "GIVEN", "--env-file", file, "--", "cat", "/dev/null"]);
        self.search_store("before rm");
        with(&["rm", &id]);
        with(&["gc"]);
    }

    fn failures(&self) {
        let file = self.variables.to_str().unwrap();
        let broken = self.store.path("broken");
        write_private(&broken, &format!("KEY=-----BEGIN\n{}\n", Plant::Secret.value()));
        let broken = broken.to_str().unwrap();
        let given = ["-e", "GIVEN", "--env-file", file];
        for provider in ["local", "modal"] {
            let cases: [(&[&str], &[&str], &[&str]); 8] = [
                (&["create", "--setup"], &given, &["--", "sh", "-c", "echo why; exit 3"]),
                (&["create", "--setup"], &given, &["--", "/no/such/program"]),
                (&["create"], &given, &["--", "/no/such/program"]),
                (&["create", "--image", "127.0.0.1:9/no/such:image"], &given, &[]),
                (&["create", "--network", "open"], &given, &[]),
                (&["run"], &given, &["--", "/no/such/program"]),
                (&["run", "--timeout", "200ms"], &given, &["--", "sleep", "600"]),
                (&["run"], &["--env-file", broken], &["--", "true"]),
            ];
            for (command, variables, rest) in cases {
                let all = [&["--provider", provider], command, variables, rest].concat();
                assert_ne!(self.call(&all, &|_| ()).code(), 0, "{all:?}");
            }
        }
        self.profile();
    }

    /// A profile file that holds a token and does not parse.
    fn profile(&self) {
        let path = self.store.path("modal.toml");
        let secret = Plant::TokenSecret.value();
        for text in [
            format!("[default]\ntoken_id = \"ak\"\ntoken_secret = {secret}\n"),
            format!("[default]\ntoken_id = \"ak\"\ntoken_secret = [\"{secret}\"]\n"),
            format!("[default]\ntoken_secret = \"{secret}\"\n"),
            format!(
                "[default]\ntoken_id = \"ak\"\ntoken_secret = \"{secret}\"\nserver_url = \"http://u:{secret}@h/x\"\n"
            ),
        ] {
            write_private(&path, &text);
            let set = |command: &mut Command| {
                command.env("MODAL_CONFIG_PATH", &path);
            };
            assert_ne!(self.call(&["ps", "--provider", "modal"], &set).code(), 0);
        }
    }

    /// A server in a process of its own: right and wrong callers, then its sudden end under a command.
    fn served(&self) {
        let mut served = self.serve();
        let url = served.url.clone();
        let caller = |plant: Plant| {
            let url = url.clone();
            move |command: &mut Command| {
                command.env("MODAL_SERVER_URL", &url).env("MODAL_TOKEN_ID", TOKEN_ID);
                command.env("MODAL_TOKEN_SECRET", plant.value());
            }
        };
        self.nodes("modal", &caller(Plant::TokenSecret));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(wire::store_named(&url));
        // It wins over the plain variable of its name.
        let stored = ["run", "--provider", "modal", "-e", "NAMED=x", "--secret", NAMED];
        let stored = [&stored[..], &["--", "sh", "-c", "echo ${#NAMED}"]].concat();
        let ran = self.call(&stored, &caller(Plant::TokenSecret));
        assert_eq!(ran.out(), format!("{}\n", Plant::NamedSecret.value().len()), "{}", ran.err());
        let run = ["run", "--provider", "modal", "-e", "GIVEN"];
        let denied = self.call(&[&run[..], &["--", "true"]].concat(), &caller(Plant::WrongTokenSecret));
        assert_eq!(denied.code(), 125, "{}", denied.err());
        self.search_store("while a server runs");
        std::thread::scope(|scope| {
            let cut = scope.spawn(|| {
                let script = "mkdir /run/here; sleep 600";
                let all = [&run[..], &["--", "sh", "-c", script]].concat();
                self.call(&all, &caller(Plant::TokenSecret)).code()
            });
            while self.store.nodes(false).is_empty() {}
            self.sampler.look();
            served.kill();
            assert_ne!(cut.join().unwrap(), 0);
        });
        served.search();
    }

    fn serve(&self) -> Served {
        let output = self.store.path("served");
        let file = |name: &str| fs::File::create(output.with_extension(name)).unwrap();
        let mut command = self.store.lattice();
        command.args(["serve", "--listen", "127.0.0.1:0", "--log", LOG]).stdin(Stdio::null());
        command.env("MODAL_TOKEN_ID", TOKEN_ID).env("MODAL_TOKEN_SECRET", Plant::TokenSecret.value());
        let mut child = command.stdout(file("out")).stderr(file("err")).spawn().unwrap();
        loop {
            let said = crate::store::text(&output.with_extension("out"));
            if let Some(url) = said.trim_end().strip_prefix("listening on ").filter(|_| said.ends_with('\n'))
            {
                return Served { child, url: url.to_owned(), output };
            }
            assert!(child.try_wait().unwrap().is_none(), "lattice serve ended");
            std::thread::yield_now();
        }
    }
}

impl Served {
    fn kill(&mut self) {
        // Both fail only for a process that is gone already, which is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }

    fn search(&self) {
        let [out, log] = ["out", "err"].map(|name| crate::store::text(&self.output.with_extension(name)));
        search("lattice serve", &out);
        search("log of lattice serve", &log);
        assert!(
            log.lines().count() > 1000,
            "a log of {} lines is too short for every level",
            log.lines().count()
        );
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.kill();
    }
}
