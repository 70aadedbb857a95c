//! Nodes that live on: create, exec, ps, inspect, snapshot, rm, gc.

use std::io::Read;

use openlattice_images::testing::{OWN_COMMAND, write_archive_with_command};

use crate::store::Store;

#[test]
fn a_node_lives_from_create_to_rm() {
    let Some(store) = Store::new("create") else { return };
    let id = store.ok(&[
        "create",
        "--name",
        "first",
        "-e",
        "A=1",
        "--setup",
        "--",
        "sh",
        "-c",
        "echo made > /root/file",
    ]);
    assert!(id.starts_with("sb-") && !id.contains('\n'), "{id}");
    assert_eq!(store.ok(&["exec", &id, "--", "cat", "/root/file"]), "made");
    let out = store.ok(&["exec", "-e", "B=2", "-w", "/usr", &id, "--", "sh", "-c", "echo $A $B $PWD"]);
    assert_eq!(out, "1 2 /usr");
    assert!(store.ok(&["ps"]).contains(&id));
    let info: serde_json::Value = serde_json::from_str(&store.ok(&["inspect", &id, "--json"])).unwrap();
    assert_eq!(
        (&info["state"], &info["name"], &info["image"]),
        (&"running".into(), &"first".into(), &"host".into())
    );
    assert_eq!(store.run(&["create", "--name", "first"]).code(), 4);
    assert_eq!(store.ok(&["rm", &id]), id);
    assert!(store.nodes(false).is_empty());
    assert!(store.nodes(true).is_empty(), "nothing is left of it");
    assert_eq!(store.run(&["inspect", &id]).code(), 3);
    assert_eq!(store.run(&["exec", &id, "--", "true"]).code(), 125);
    let id = store.ok(&["create"]);
    store.ok(&["rm", "--provider", "modal", &id]);
    let info: serde_json::Value = serde_json::from_str(&store.ok(&["inspect", &id, "--json"])).unwrap();
    assert_eq!((&info["state"], &info["end"]["reason"]), (&"terminated".into(), &"destroyed".into()));
    assert_eq!(store.nodes(true).len(), 1);
}

#[test]
fn nodes_are_found_by_tag_and_name() {
    let Some(store) = Store::new("tags of new nodes") else { return };
    for provider in ["local", "modal"] {
        let with = |arguments: &[&str]| store.ok(&[arguments, &["--provider", provider]].concat());
        let id = with(&["create", "--tag", "job=17", "--tag", "stage=", "--name", "found"]);
        let other = with(&["create", "--tag", "job=18"]);
        let found = |arguments: &[&str]| {
            let listing = with(&[&["ps", "--json"], arguments].concat());
            let nodes: Vec<serde_json::Value> = serde_json::from_str(&listing).unwrap();
            nodes.iter().map(|node| node["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(found(&["--tag", "job=17"]), [id.as_str()], "{provider}");
        assert_eq!(found(&["--tag", "job=17", "--tag", "stage="]), [id.as_str()]);
        assert_eq!(found(&["--tag", "job=17", "--tag", "stage=x"]), [""; 0]);
        assert_eq!(found(&["--name", "found"]), [id.as_str()]);
        assert_eq!(store.run(&["ps", "--tag", "job"]).code(), 2);
        assert_eq!(store.run(&["create", "--tag", "a=1", "--tag", "a=2"]).code(), 2);
        with(&["rm", &id, &other]);
    }
}

#[test]
fn gpus_and_stored_secrets_are_refused_by_name_where_there_are_none() {
    let Some(store) = Store::new("gpu") else { return };
    for (provider, option, value, said) in [
        ("local", "--gpu", "A100:2", "gpu"),
        ("local", "--secret", "tokens", "secrets"),
        ("modal", "--gpu", "A100:2", "gpu"),
        ("modal", "--secret", "no-such-secret", "no-such-secret"),
    ] {
        let ran = store.run(&["run", "--provider", provider, option, value, "--", "true"]);
        assert!(ran.code() == 125 && ran.err().contains(said), "{provider} {option}: {}", ran.err());
        assert!(store.nodes(false).is_empty(), "a node is left");
    }
    assert_eq!(store.run(&["create", "--gpu", "A100:0"]).code(), 2);
}

#[test]
fn m10_a_failing_initial_command_leaves_no_node() {
    let Some(store) = Store::new("initial command") else { return };
    let ran = store.run(&["create", "--setup", "--", "sh", "-c", "echo why; exit 3"]);
    assert_eq!((ran.code(), ran.out().as_str()), (5, ""));
    assert!(ran.err().contains("exit code 3") && ran.err().contains("why"), "{}", ran.err());
    assert!(store.nodes(false).is_empty(), "a node is left");
}

#[test]
fn the_command_of_create_is_the_main_process() {
    let Some(store) = Store::new("main process") else { return };
    for provider in ["local", "modal"] {
        let create = |rest: &[&str]| store.run(&[&["create", "--provider", provider][..], rest].concat());
        // It ends when a later command tells it to: `create` has not waited for it.
        let script = "until [ -e /tmp/go ]; do :; done; exit 7";
        let id = create(&["--", "sh", "-c", script]).out().trim_end().to_owned();
        // This command may be over when the sandbox ends, or end with it.
        store.run(&["exec", "--provider", provider, &id, "--", "touch", "/tmp/go"]);
        let info = ended(&|| store.ok(&["inspect", "--provider", provider, "--json", &id]));
        assert_eq!((&info["end"]["reason"], &info["end"]["exit"]["code"]), (&"exited".into(), &7.into()));

        let missing = create(&["--", "/no/such/program"]);
        assert_eq!((missing.code(), missing.out().as_str()), (3, ""), "{}", missing.err());
        assert!(missing.err().contains("/no/such/program"), "{}", missing.err());
        assert!(store.nodes(false).is_empty(), "a sandbox is left");
        assert_eq!(create(&["--setup"]).code(), 2, "--setup needs a command");
    }
}

/// Asks until a sandbox has ended.
fn ended(inspect: &dyn Fn() -> String) -> serde_json::Value {
    loop {
        let info: serde_json::Value = serde_json::from_str(&inspect()).unwrap();
        if info["state"] == "terminated" {
            return info;
        }
    }
}

#[test]
fn an_image_s_own_command_is_not_run() {
    let Some(store) = Store::new("own command") else { return };
    let archive = store.path("archive.tar");
    write_archive_with_command(&archive).unwrap();
    store.ok(&["images", "import", "own", &archive.to_string_lossy()]);
    for provider in ["local", "modal"] {
        let with = |arguments: &[&str]| store.ok(&[arguments, &["--provider", provider]].concat());
        let id = with(&["create", "--image", "own"]);
        let left = format!("ls {OWN_COMMAND} 2>/dev/null; echo lives");
        assert_eq!(store.ok(&["exec", "--provider", provider, &id, "--", "sh", "-c", &left]), "lives");
        // A snapshot through either provider is an image of the store.
        let image = with(&["snapshot", &id]);
        for taker in ["local", "modal"] {
            let run = ["run", "--provider", taker, "--image", &image, "--", "cat", "/etc/imported"];
            assert_eq!(store.ok(&run), "imported", "{provider} {taker}");
        }
        with(&["rm", &id]);
        store.ok(&["images", "rm", &image]);
    }
}

#[test]
fn both_providers_see_the_same_nodes() {
    let Some(store) = Store::new("one store") else { return };
    let id = store.ok(&["create", "--provider", "modal"]);
    assert!(store.nodes(false).iter().any(|node| node["id"] == id.as_str()), "{id}");
    assert_eq!(store.ok(&["exec", &id, "--", "echo", "local"]), "local");
    assert_eq!(store.ok(&["exec", "--provider", "modal", &id, "--", "echo", "wire"]), "wire");
    assert_eq!(store.ok(&["rm", &id]), id);
}

#[test]
fn m22_a_snapshot_is_an_image_to_start_from() {
    let Some(store) = Store::new("snapshot") else { return };
    let id = store.ok(&["create", "--setup", "--", "sh", "-c", "echo kept > /root/file; rm /etc/hosts"]);
    let image = store.ok(&["snapshot", &id]);
    assert!(image.starts_with("im-"), "{image}");
    store.ok(&["rm", &id]);
    let script = "cat /root/file; ls /etc/hosts 2>&1";
    let ran = store.run(&["run", "--image", &image, "--", "sh", "-c", script]);
    assert!(
        ran.out().starts_with("kept\n") && ran.out().contains("No such file"),
        "{}{}",
        ran.out(),
        ran.err()
    );
    assert_eq!(store.run(&["snapshot", "sb-unknown"]).code(), 3);
}

#[test]
fn an_end_is_announced() {
    let Some(store) = Store::new("ends") else { return };
    let expiry = |id: &str| -> (String, Option<String>) {
        let info: serde_json::Value = serde_json::from_str(&store.ok(&["inspect", id, "--json"])).unwrap();
        let text = |name: &str| info[name].as_str().map(str::to_owned);
        (text("createdAt").unwrap(), text("expiresAt"))
    };
    // The older name of the option is still taken.
    for option in ["--lifetime", "--timeout"] {
        let id = store.ok(&["create", option, "36h"]);
        let listed = store.ok(&["ps"]);
        assert!(listed.contains("ENDS") && listed.contains("in 35h"), "{listed}");
        assert!(store.ok(&["inspect", &id]).contains("ends     2"));
        let (created, ends) = expiry(&id);
        assert!(ends.unwrap() > created);
        store.ok(&["rm", "--provider", "modal", &id]);
        assert_eq!(expiry(&id).1, None);
        assert!(!store.ok(&["inspect", &id]).contains("ends  "));
    }
    let idle = store.ok(&["create", "--idle", "1s"]);
    let state =
        || serde_json::from_str::<serde_json::Value>(&store.ok(&["inspect", &idle, "--json"])).unwrap();
    while state()["state"] != "terminated" {}
    assert_eq!(state()["end"]["reason"], "idleTimedOut");
}

#[test]
fn a_life_time_ends_a_node() {
    let Some(store) = Store::new("life time") else { return };
    let id = store.ok(&["create", "--lifetime", "1s"]);
    // Returns when the node's end ends the command.
    let ran = store.run(&["exec", &id, "--", "sleep", "600"]);
    assert_eq!(ran.code(), 137, "{}", ran.err());
    assert!(ran.err().contains("sandbox ended"), "{}", ran.err());
    let info: serde_json::Value = serde_json::from_str(&store.ok(&["inspect", &id, "--json"])).unwrap();
    assert_eq!(info["end"]["reason"], "timedOut");
}

/// Answers every caller with a word.
const GREETER: &str = r#"use IO::Socket::INET;
my $l = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => 8080, Listen => 8) or die;
$| = 1; print "up\n"; while (my $c = $l->accept) { print $c "hello\n"; close $c }"#;

/// Whether this machine's /usr, which image `host` is, has perl to listen with.
#[expect(clippy::print_stdout, reason = "a skipped test has to say so")]
fn has_perl() -> bool {
    let there = std::path::Path::new("/usr/bin/perl").exists();
    if !there {
        println!("skipped: image host has no perl to listen with");
    }
    there
}

/// What the address of `lattice port` answers.
fn greeted(url: &str) -> String {
    let address = url.strip_prefix("tcp://").unwrap();
    let mut answer = String::new();
    std::net::TcpStream::connect(address).unwrap().read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn m28_a_published_port_answers_after_its_creator_ended_or_was_killed() {
    let Some(store) = Store::new("ports") else { return };
    if !has_perl() {
        return;
    }
    let script = format!("perl -e '{GREETER}' > /tmp/up 2>&1 & until grep -q up /tmp/up; do :; done");
    let id = store.ok(&["create", "-p", "8080", "--setup", "--", "sh", "-c", &script]);
    let url = store.ok(&["port", &id, "8080"]);
    assert_eq!(greeted(&url), "hello\n", "after `create` ended");
    assert_eq!(store.ok(&["port", &id]), format!("8080 {url}"));
    let all: serde_json::Value = serde_json::from_str(&store.ok(&["port", &id, "--json"])).unwrap();
    assert_eq!((&all[0]["port"], &all[0]["url"]), (&8080.into(), &url.as_str().into()));
    assert_eq!(store.run(&["port", &id, "8081"]).code(), 5);
    store.ok(&["rm", &id]);
    assert!(std::net::TcpStream::connect(url.strip_prefix("tcp://").unwrap()).is_err(), "it still listens");
    assert_eq!(store.run(&["port", &id]).code(), 3);

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let free = taken.local_addr().unwrap().port().to_string();
    drop(taken);
    let id = store.ok(&["create", "-p", &format!("{free}:8080/tcp"), "--setup", "--", "sh", "-c", &script]);
    assert_eq!(store.ok(&["port", &id]), format!("8080 tcp://127.0.0.1:{free}"), "HOST comes before SANDBOX");
    assert_eq!(greeted(&format!("tcp://127.0.0.1:{free}")), "hello\n");
    assert!(
        store.run(&["run", "-p", "53:53/udp", "--", "true"]).err().contains("udp ports are not published")
    );

    let mut run = store.start(&["run", "-p", "8080", "--", "perl", "-e", GREETER]);
    assert_eq!(run.line(), "up");
    let of_run = store.nodes(false).into_iter().find(|node| !node["owner"].is_null()).unwrap();
    let id = of_run["id"].as_str().unwrap().to_owned();
    run.signal(rustix::process::Signal::KILL);
    run.wait();
    let url = store.ok(&["port", &id, "8080"]);
    assert_eq!(greeted(&url), "hello\n", "after `run` was killed");
}
