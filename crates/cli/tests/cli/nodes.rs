//! Nodes that live on: create, exec, ps, inspect, snapshot, rm, gc.

use crate::store::Store;

#[test]
fn a_node_lives_from_create_to_rm() {
    let Some(store) = Store::new("create") else { return };
    let id =
        store.ok(&["create", "--name", "first", "-e", "A=1", "--", "sh", "-c", "echo made > /root/file"]);
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
    assert_eq!(store.ok(&["rm", &id, "sb-unknown"]), format!("{id}\nsb-unknown"));
    assert!(store.nodes(false).is_empty());
    let info: serde_json::Value = serde_json::from_str(&store.ok(&["inspect", &id, "--json"])).unwrap();
    assert_eq!((&info["state"], &info["end"]["reason"]), (&"terminated".into(), &"destroyed".into()));
    assert_eq!(store.nodes(true).len(), 1);
    assert_eq!(store.run(&["exec", &id, "--", "true"]).code(), 125);
}

#[test]
fn m10_a_failing_initial_command_leaves_no_node() {
    let Some(store) = Store::new("initial command") else { return };
    let ran = store.run(&["create", "--", "sh", "-c", "echo why; exit 3"]);
    assert_eq!((ran.code(), ran.out().as_str()), (5, ""));
    assert!(ran.err().contains("exit code 3") && ran.err().contains("why"), "{}", ran.err());
    assert!(store.nodes(false).is_empty(), "a node is left");
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
    let id = store.ok(&["create", "--", "sh", "-c", "echo kept > /root/file; rm /etc/hosts"]);
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
fn a_life_time_ends_a_node() {
    let Some(store) = Store::new("life time") else { return };
    let id = store.ok(&["create", "--timeout", "1s"]);
    // Returns when the node's end ends the command.
    let ran = store.run(&["exec", &id, "--", "sleep", "600"]);
    assert_eq!(ran.code(), 137, "{}", ran.err());
    assert!(ran.err().contains("sandbox ended"), "{}", ran.err());
    let info: serde_json::Value = serde_json::from_str(&store.ok(&["inspect", &id, "--json"])).unwrap();
    assert_eq!(info["end"]["reason"], "timedOut");
}
