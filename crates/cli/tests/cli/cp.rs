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
fn missing_and_relative_paths_are_refused() {
    let Some(store) = Store::new("cp refusals") else { return };
    let id = store.ok(&["create"]);
    assert_eq!(store.run(&["cp", &format!("{id}:/no/such"), "x"]).code(), 3);
    assert_eq!(store.run(&["cp", &format!("{id}:relative"), "x"]).code(), 2);
    assert_eq!(store.run(&["cp", "a", "b"]).code(), 2);
    assert_eq!(store.run(&["cp", "/no/such/file", &format!("{id}:/tmp/x")]).code(), 3);
}
