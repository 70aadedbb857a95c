//! `lattice cp`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::store::Store;

#[test]
fn m27_files_and_folders_come_and_go() {
    let Some(store) = Store::new("cp") else { return };
    for provider in ["local", "modal"] {
        let id = store.ok(&["create", "--provider", provider]);
        let local = store.path(&format!("{provider}-in"));
        fs::create_dir_all(local.join("sub")).unwrap();
        let bytes: Vec<u8> = (0..200_000_u32).map(|n| u8::try_from(n % 256).unwrap()).collect();
        fs::write(local.join("data"), &bytes).unwrap();
        fs::write(local.join("sub/script"), "#!/bin/sh\necho ran\n").unwrap();
        fs::set_permissions(local.join("sub/script"), fs::Permissions::from_mode(0o755)).unwrap();
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let cp = |from: &str, to: &str| store.ok(&["cp", "--provider", provider, from, to]);
        cp(&text(&local), &format!("{id}:/srv/"));
        let name = format!("{provider}-in");
        assert_eq!(store.ok(&["exec", &id, "--", &format!("/srv/{name}/sub/script")]), "ran");
        store.ok(&["exec", &id, "--", "ln", "-s", "/etc/shadow", &format!("/srv/{name}/link")]);
        let back = store.path(&format!("{provider}-back"));
        cp(&format!("{id}:/srv/{name}"), &text(&back));
        assert!(fs::read(back.join("data")).unwrap() == bytes);
        assert_eq!(fs::read_link(back.join("link")).unwrap(), Path::new("/etc/shadow"));
        cp(&format!("{id}:/srv/{name}/data"), &text(store.path("").as_path()));
        assert!(fs::read(store.path("data")).unwrap() == bytes);
        store.ok(&["exec", &id, "--", "chmod", "750", &format!("/srv/{name}/sub/script")]);
        cp(&format!("{id}:/srv/{name}/sub/script"), &text(&back));
        assert_eq!(fs::metadata(back.join("script")).unwrap().permissions().mode() & 0o7777, 0o750);
        store.ok(&["rm", &id]);
        assert_eq!(store.run(&["cp", &format!("{id}:/etc/passwd"), "x"]).code(), 3);
    }
}

#[test]
fn m27_a_folder_keeps_its_shape_and_json_counts_it() {
    let Some(store) = Store::new("cp tree") else { return };
    for provider in ["local", "modal"] {
        let id = store.ok(&["create", "--provider", provider]);
        let local = store.path(&format!("{provider}-tree"));
        fs::create_dir_all(local.join("empty")).unwrap();
        fs::create_dir_all(local.join("sub")).unwrap();
        fs::write(local.join("sub/key"), [0, 255, 10]).unwrap();
        fs::set_permissions(local.join("sub/key"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::set_permissions(local.join("sub"), fs::Permissions::from_mode(0o750)).unwrap();
        std::os::unix::fs::symlink("../no such", local.join("sub/link")).unwrap();
        let back = store.path(&format!("{provider}-tree-back"));
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let cp = |from: &str, to: &str| -> serde_json::Value {
            serde_json::from_str(&store.ok(&["cp", "-r", "--json", "--provider", provider, from, to]))
                .unwrap()
        };
        let there = cp(&text(&local), &format!("{id}:/srv/tree"));
        let here = cp(&format!("{id}:/srv/tree"), &text(&back));
        assert_eq!(there, here);
        let counts =
            ["files", "directories", "links", "bytes", "skipped"].map(|name| there[name].as_u64().unwrap());
        assert_eq!(counts, [1, 3, 1, 3, 0], "{provider}");
        assert_eq!(fs::read(back.join("sub/key")).unwrap(), [0, 255, 10]);
        for (path, mode) in [("sub/key", 0o600), ("sub", 0o750)] {
            assert_eq!(
                fs::metadata(back.join(path)).unwrap().permissions().mode() & 0o7777,
                mode,
                "{provider}"
            );
        }
        assert_eq!(fs::read_link(back.join("sub/link")).unwrap(), Path::new("../no such"));
        assert!(back.join("empty").is_dir());
        store.ok(&["exec", &id, "--", "mkfifo", "/srv/tree/pipe"]);
        let partly = store.run(&["cp", "--provider", provider, &format!("{id}:/srv/tree"), &text(&back)]);
        assert!(partly.err().contains("pipe") && partly.code() == 5, "{}", partly.err());
        store.ok(&["rm", &id]);
    }
}

#[test]
fn missing_and_relative_paths_are_refused() {
    let Some(store) = Store::new("cp refusals") else { return };
    let id = store.ok(&["create"]);
    assert_eq!(store.run(&["cp", &format!("{id}:/no/such"), "x"]).code(), 3);
    assert_eq!(store.run(&["cp", &format!("{id}:relative"), "x"]).code(), 2);
    assert_eq!(store.run(&["cp", "a", "b"]).code(), 2);
    assert_eq!(store.run(&["cp", "/no/such/file", &format!("{id}:/tmp/x")]).code(), 3);
}
