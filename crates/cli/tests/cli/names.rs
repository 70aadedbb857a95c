//! Which sandbox a word means: an ID, a name, the beginning of an ID.

use crate::store::Store;

#[test]
fn every_command_takes_a_name_and_the_beginning_of_an_id() {
    let Some(store) = Store::new("names") else { return };
    for provider in ["local", "modal"] {
        let id = store.ok(&["create", "--name", "web one", "--provider", provider]);
        let start = &id[..id.len() - 8];
        for word in ["web one", start, &id] {
            let ok = |arguments: &[&str]| store.ok(&[&["--provider", provider], arguments].concat());
            assert_eq!(ok(&["exec", word, "--", "echo", "in"]), "in", "{provider} {word}");
            assert!(ok(&["inspect", word]).contains(&id), "{provider} {word}");
            assert_eq!(ok(&["tag", word, "a=b"]), "a=b");
            assert_eq!(ok(&["port", word]), "");
            let copy = store.path("copy").to_string_lossy().into_owned();
            ok(&["cp", &format!("{word}:/etc/hosts"), &copy]);
            ok(&["cp", &copy, &format!("{word}:/srv/copy")]);
            assert!(ok(&["exec", word, "--", "cat", "/srv/copy"]).contains("localhost"));
            assert!(ok(&["snapshot", word]).starts_with("im-"));
            assert_eq!(ok(&["watch", "--timeout", "1s", "--kind", "access", &format!("{word}:/srv")]), "");
        }
        // Ended by Modal's protocol, which keeps its result.
        assert_eq!(store.ok(&["rm", "--provider", "modal", &id]), id);
        assert!(store.nodes(false).is_empty(), "{provider}");
        // The name went with the life; the ID stays.
        assert_eq!(store.run(&["inspect", "--provider", provider, "web one"]).code(), 3);
        let ended = store.run(&["exec", "--provider", provider, &id, "--", "true"]);
        assert!(ended.code() == 125 && ended.err().contains("has ended"), "{provider}: {}", ended.err());
        assert!(store.ok(&["inspect", "--provider", provider, start]).contains("terminated"), "{provider}");
        assert_eq!(store.ok(&["rm", "--provider", provider, start]), start);
    }
    // `rm` of the local store leaves nothing to be found.
    let id = store.ok(&["create"]);
    store.ok(&["rm", &id]);
    for command in [&["inspect", &id][..], &["rm", &id]] {
        assert_eq!(store.run(command).code(), 3, "{command:?}");
    }
}

#[test]
fn an_id_comes_before_a_name_and_a_name_before_a_beginning() {
    let Some(store) = Store::new("order of names") else { return };
    let first = store.ok(&["create"]);
    let ambiguous = &first[..8];
    let by_id = store.ok(&["create", "--name", &first]);
    let by_start = store.ok(&["create", "--name", ambiguous]);
    let hostname = |word: &str| store.ok(&["exec", word, "--", "hostname"]);
    assert_eq!(hostname(&first), hostname(&first[..first.len() - 1]));
    assert_eq!(hostname(ambiguous), hostname(&by_start));
    store.ok(&["rm", "--provider", "modal", &first]);
    // What has ended still comes before the name: nobody may reach another sandbox by an ID.
    assert_eq!(store.run(&["exec", &first, "--", "true"]).code(), 125);
    assert_eq!(store.nodes(false).len(), 2);
    store.ok(&["rm", &by_id, ambiguous]);
    assert!(store.nodes(false).is_empty());
}

#[test]
fn a_beginning_of_several_ids_lists_them_and_chooses_none() {
    let Some(store) = Store::new("ambiguous") else { return };
    // Made until two begin alike in their first character; `sb-` alone names none.
    let mut ids = vec![store.ok(&["create"])];
    assert_eq!(store.run(&["rm", "sb-"]).code(), 3);
    let alike = loop {
        let id = store.ok(&["create"]);
        let found = ids.iter().any(|other| other[..4] == id[..4]);
        ids.push(id.clone());
        if found {
            break id;
        }
    };
    for command in [&["exec", &alike[..4], "--", "true"][..], &["inspect", &alike[..4]], &["rm", &alike[..4]]]
    {
        let ran = store.run(command);
        assert_eq!(ran.code(), if command[0] == "exec" { 125 } else { 2 }, "{command:?}");
        assert!(ran.err().contains(alike.as_str()) && ran.out().is_empty(), "{}", ran.err());
    }
    assert_eq!(store.nodes(false).len(), ids.len(), "none was ended");
}

#[test]
fn what_never_was_is_not_found_and_nothing_is_printed() {
    let Some(store) = Store::new("never was") else { return };
    let id = store.ok(&["create"]);
    for provider in ["local", "modal"] {
        let run = |arguments: &[&str]| store.run(&[&["--provider", provider], arguments].concat());
        for word in ["no-such", "sb-0123456789abcdefghijABCD", "sb-", "a/b", "-", "nö", "sb-x y"] {
            for command in
                [&["rm", "--", word][..], &["inspect", "--", word], &["inspect", "--json", "--", word]]
            {
                let ran = run(command);
                assert_eq!(
                    (ran.code(), ran.out().as_str()),
                    (3, ""),
                    "{provider} {command:?}: {}",
                    ran.err()
                );
                assert!(ran.err().contains("not found"), "{provider} {word}: {}", ran.err());
            }
            let ran = run(&["rm", "--ignore", "--", word]);
            assert_eq!((ran.code(), ran.out().as_str()), (0, ""), "{provider} {word}: {}", ran.err());
        }
        for command in ["rm", "inspect", "tag", "port", "snapshot"] {
            assert_eq!(run(&[command, ""]).code(), 2, "{provider} {command}");
        }
        assert_eq!(run(&["rm", "--ignore", ""]).code(), 2, "{provider}");
        assert_eq!(run(&["exec", "", "--", "true"]).code(), 125, "{provider}");
    }
    let ran = store.run(&["rm", "no-such", &id, "neither"]);
    assert_eq!((ran.code(), ran.out()), (3, format!("{id}\n")), "{}", ran.err());
    assert!(ran.err().contains("no-such") && ran.err().contains("neither"), "{}", ran.err());
    assert!(store.nodes(false).is_empty());
    let id = store.ok(&["create"]);
    store.ok(&["rm", "--provider", "modal", &id]);
    assert_eq!(store.ok(&["rm", &id]), id, "one that has ended is success");
}

#[test]
fn a_name_is_for_run_too_and_one_that_no_command_could_take_is_refused() {
    let Some(store) = Store::new("name of a run") else { return };
    let mut running = store.start(&["run", "--name", "job", "--", "sh", "-c", "echo ready; sleep 600"]);
    assert_eq!(running.line(), "ready");
    assert_eq!(store.ok(&["exec", "job", "--", "echo", "here"]), "here");
    assert_eq!(store.run(&["run", "--name", "job", "--", "true"]).code(), 125);
    assert_eq!(store.ok(&["rm", "job"]), "job");
    assert_eq!(running.wait().code(), Some(137));
    for name in ["", "-x", "a/b", "a:b", " x"] {
        assert_eq!(store.run(&["create", &format!("--name={name}")]).code(), 2, "{name:?}");
    }
    assert!(store.nodes(true).iter().all(|node| node["state"] == "terminated"));
}
