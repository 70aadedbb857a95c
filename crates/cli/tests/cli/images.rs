//! `lattice images`.

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
