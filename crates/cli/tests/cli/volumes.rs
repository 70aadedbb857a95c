//! Volumes and tags.

use crate::store::Store;

/// A store with nodes and with the words that choose the provider.
fn on_both(test: &str, check: impl Fn(&Store, &[&str])) {
    for provider in ["local", "modal"] {
        let Some(store) = Store::new(test) else { return };
        check(&store, &["--provider", provider]);
    }
}

fn with<'a>(words: &[&'a str], provider: &[&'a str]) -> Vec<&'a str> {
    [provider, words].concat()
}

#[test]
fn m04_a_volume_is_made_used_kept_and_removed() {
    on_both("volumes", |store, provider| {
        assert_eq!(store.ok(&with(&["volume", "create", "data"], provider)), "data");
        assert_eq!(store.run(&with(&["volume", "create", "data"], provider)).code(), 4);
        assert_eq!(store.run(&with(&["volume", "create", "a/b"], provider)).code(), 2);
        let write = ["run", "-v", "data:/data", "--", "sh", "-c", "echo kept > /data/file"];
        store.ok(&with(&write, provider));
        let script = "cat /data/file; echo 2 > /data/file || echo refused";
        let out = store.ok(&with(&["run", "-v", "data:/data:ro", "--", "sh", "-c", script], provider));
        assert_eq!(out, "kept\nrefused");
        let listed: serde_json::Value =
            serde_json::from_str(&store.ok(&with(&["volume", "ls", "--json"], provider))).unwrap();
        assert_eq!((listed.as_array().unwrap().len(), &listed[0]["name"]), (1, &"data".into()));
        assert!(store.ok(&with(&["volume", "ls"], provider)).contains("data "));
        assert_eq!(store.ok(&with(&["volume", "rm", "data"], provider)), "data");
        assert_eq!(store.run(&with(&["volume", "rm", "data"], provider)).code(), 3);
        // One that is missing is created, and said so once.
        let two =
            ["run", "-v", "data:/data", "-v", "other:/other:ro", "--", "sh", "-c", "echo again > /data/file"];
        for created in [true, false] {
            let ran = store.run(&with(&two, provider));
            assert_eq!(ran.code(), 0, "{}", ran.err());
            for name in ["data", "other"] {
                assert_eq!(ran.err().contains(&format!("created volume {name:?}")), created, "{}", ran.err());
            }
        }
        let id = store.ok(&with(&["create", "-v", "data:/data", "-v", "third:/third"], provider));
        assert_eq!(store.ok(&with(&["exec", &id, "--", "cat", "/data/file"], provider)), "again");
        store.ok(&with(&["rm", &id], provider));
        // What cannot be made leaves no volume behind.
        let refused = ["run", "-v", "fourth:/x", "--network", "open", "--", "true"];
        assert_eq!(store.run(&with(&refused, provider)).code(), 125);
        assert_eq!(store.run(&with(&["run", "-v", "a b:/x", "--", "true"], provider)).code(), 125);
        assert!(!store.ok(&with(&["volume", "ls"], provider)).contains("fourth"));
        assert!(store.nodes(false).is_empty(), "a node is left");
    });
}

#[test]
fn directories_of_this_machine_are_not_mounted_and_it_says_so() {
    let Some(store) = Store::new("host directories") else { return };
    for given in ["/tmp:/data", "./src:/src", "..:/x:ro", "~/x:/x"] {
        let ran = store.run(&["create", "-v", given]);
        assert_eq!((ran.code(), ran.out().as_str()), (2, ""), "{given}");
        assert!(ran.err().contains("host directories are not mounted: use `lattice cp`"), "{}", ran.err());
    }
    assert_eq!(store.ok(&["volume", "ls", "--json"]), "[]");
}

#[test]
fn m04_a_volume_in_use_names_the_node() {
    let Some(store) = Store::new("volumes in use") else { return };
    store.ok(&["volume", "create", "data"]);
    let id = store.ok(&["create", "-v", "data:/data"]);
    let ran = store.run(&["volume", "rm", "data", "other"]);
    assert!(ran.err().contains(&id), "{}", ran.err());
    assert_eq!(ran.code(), 3, "the last failure is about the one that does not exist");
    store.ok(&["rm", &id]);
    assert_eq!(store.ok(&["volume", "rm", "data", "--json"]).replace([' ', '\n'], ""), r#"["data"]"#);
}

#[test]
fn both_providers_see_the_same_volumes() {
    let Some(store) = Store::new("one store") else { return };
    store.ok(&["volume", "create", "data", "--provider", "modal"]);
    store.ok(&["run", "-v", "data:/data", "--", "touch", "/data/local"]);
    let out = store.ok(&["run", "--provider", "modal", "-v", "data:/data", "--", "ls", "/data"]);
    assert_eq!(out, "local");
}

#[test]
fn m20_tags_are_shown_and_replaced() {
    on_both("tags", |store, provider| {
        let id = store.ok(&with(&["create"], provider));
        assert_eq!(store.ok(&with(&["tag", &id], provider)), "");
        assert_eq!(store.ok(&with(&["tag", &id, "a=1", "b=x=y"], provider)), "a=1\nb=x=y");
        let json: serde_json::Value =
            serde_json::from_str(&store.ok(&with(&["tag", &id, "c=", "--json"], provider))).unwrap();
        assert_eq!(json, serde_json::json!({ "c": "" }));
        for (words, code) in [(["tag", &id, "a"], 2), (["tag", "sb-unknown", "a=1"], 3)] {
            assert_eq!(store.run(&with(&words, provider)).code(), code, "{words:?}");
        }
        for reserved in ["openlattice.pending=1", "openlattice_key=1"] {
            let owner = if reserved.contains('.') { "local" } else { "modal" };
            if provider.contains(&owner) {
                assert_eq!(store.run(&with(&["tag", &id, reserved], provider)).code(), 2, "{reserved}");
            }
        }
        assert_eq!(store.run(&with(&["tag", &id, "a=1", "a=2"], provider)).code(), 2);
        assert_eq!(store.ok(&with(&["tag", &id, "--clear"], provider)), "");
        store.ok(&["rm", &id]);
    });
}
