//! `lattice images`.

use openlattice_images::testing::registry::{Both, PASSWORD, USERNAME};
use openlattice_images::testing::{ArchiveFormat, host_programs, write_archive};

use crate::store::Store;

#[test]
fn an_archive_becomes_an_image() {
    let Some(store) = Store::new("images") else { return };
    let layers = host_programs().unwrap();
    for (name, format) in [("tiny:docker", ArchiveFormat::Docker), ("tiny:oci", ArchiveFormat::Oci)] {
        let archive = store.path("archive.tar");
        write_archive(&archive, &layers, format).unwrap();
        let id = store.ok(&["images", "import", name, &archive.to_string_lossy()]);
        let script = "cat /etc/imported; echo $IMPORTED; ls /etc/doomed 2>&1; id -u";
        let out = store.run(&["run", "--image", name, "--", "sh", "-c", script]);
        assert!(out.out().starts_with("imported\nyes\n"), "{}{}", out.out(), out.err());
        assert!(out.out().contains("No such file") && out.out().ends_with("0\n"), "{}", out.out());
        let listing: serde_json::Value =
            serde_json::from_str(&store.ok(&["images", "ls", "--json"])).unwrap();
        let entry = listing.as_array().unwrap().iter().find(|image| image["id"] == id.as_str()).unwrap();
        assert!(entry["names"].as_array().unwrap().contains(&name.into()), "{entry}");
        assert!(store.ok(&["images", "ls"]).contains(name));
    }
}

#[test]
fn an_image_without_a_name_says_what_it_is() {
    let Some(store) = Store::new("nameless images") else { return };
    let layers = host_programs().unwrap();
    let archive = store.path("archive.tar");
    write_archive(&archive, &layers, ArchiveFormat::Docker).unwrap();
    let import = || store.ok(&["images", "import", "tiny", &archive.to_string_lossy()]);
    let (before, after) = (import(), import());
    let id = store.ok(&["create"]);
    let snapshot = store.ok(&["snapshot", &id]);
    let listed = store.ok(&["images", "ls"]);
    let row = |image: &str| listed.lines().find(|line| line.starts_with(image)).unwrap().to_owned();
    assert!(row(&snapshot).contains(&format!("(snapshot of {id})")), "{listed}");
    assert!(before == after || row(&before).contains("(name moved to another image)"), "{listed}");
    assert!(row(&after).contains(" tiny "), "{listed}");
}

#[test]
fn what_is_no_archive_is_refused() {
    let Some(store) = Store::new("bad archive") else { return };
    std::fs::write(store.path("text"), "hello").unwrap();
    let path = store.path("text").to_string_lossy().into_owned();
    let ran = store.run(&["images", "import", "x", &path]);
    assert_eq!(ran.code(), 2, "{}", ran.err());
    assert!(ran.err().contains("no image archive"), "{}", ran.err());
    assert_eq!(store.run(&["images", "rm", "no-such-image"]).code(), 3);
    assert_eq!(store.run(&["images", "ls", "--provider", "modal"]).code(), 6);
}

#[test]
fn m05_an_image_is_pulled_by_hand_and_by_run() {
    let Some(store) = Store::new("pull") else { return };
    let Some(both) = Both::start("m05_an_image_is_pulled_by_hand").unwrap() else { return };
    let script = ["--", "cat", "/etc/imported"];
    // `run` pulls what is missing, and says nothing where nobody sees a bar.
    let ran = store.run(&[&["run", "--image", &both.public_image][..], &script].concat());
    assert_eq!((ran.code(), ran.out().as_str(), ran.err().as_str()), (0, "imported\n", ""));
    let id = store.ok(&["images", "pull", &both.public_image]);
    let again: serde_json::Value =
        serde_json::from_str(&store.ok(&["images", "pull", "--json", &both.public_image])).unwrap();
    assert_eq!((&again["id"], &again["names"][0]), (&id.clone().into(), &both.public_image.clone().into()));

    let arguments = ["images", "pull", &both.private_image, "--username", USERNAME, "--password-stdin"];
    let refused = store.run_with(&arguments, b"hunter2\n", |_| ());
    assert_eq!(refused.code(), 7, "{}", refused.err());
    assert!(refused.err().contains("refuses these credentials") && !refused.err().contains("hunter2"));
    assert_eq!(store.run_with(&arguments, b"\n", |_| ()).code(), 2);
    assert_eq!(store.run(&["run", "--image", &both.private_image, "--", "true"]).code(), 125);
    let pulled = store.run_with(&arguments, format!("{PASSWORD}\n").as_bytes(), |_| ());
    assert_eq!(pulled.code(), 0, "{}", pulled.err());
    let node = store.ok(&["create", "--image", &both.private_image]);
    assert_eq!(store.ok(&["exec", &node, "--", "cat", "/etc/imported"]), "imported");
}

#[test]
fn m05_a_pull_that_fails_says_why_by_its_code() {
    let Some(store) = Store::new("failing pull") else { return };
    let unreachable = store.run(&["images", "pull", "127.0.0.1:1/x"]);
    assert_eq!(unreachable.code(), 11, "{}", unreachable.err());
    assert!(unreachable.err().contains("cannot reach the registry at 127.0.0.1:1"), "{}", unreachable.err());
    let odd = store.run(&["images", "pull", "Not A Name"]);
    assert_eq!(odd.code(), 2, "{}", odd.err());
    assert_eq!(store.run(&["images", "pull", "host"]).code(), 3);
    // The two belong together.
    assert_eq!(store.run(&["images", "pull", "x", "--username", "u"]).code(), 2);
}
