//! What `lattice cp` does with targets, times, modes, archives and faults, on both providers.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Stdio;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use crate::store::Store;

const PROVIDERS: [&str; 2] = ["local", "modal"];

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[test]
fn m27_what_is_no_regular_file_on_this_machine_is_never_replaced() {
    let Some(store) = Store::new("cp targets") else { return };
    let id = store.ok(&["create"]);
    store.ok(&["exec", &id, "--", "sh", "-c", "mkdir /d; printf new | tee /d/null /d/fifo /d/link > /f"]);
    let dir = store.path("there");
    fs::create_dir(&dir).unwrap();
    let at = |name: &str| dir.join(name);
    mknodat(CWD, at("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    // A device where one can be made; a fifo stands for it elsewhere.
    let device = mknodat(CWD, at("null"), FileType::CharacterDevice, Mode::RWXU, makedev(1, 3)).is_ok();
    if !device {
        mknodat(CWD, at("null"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    }
    fs::write(at("real"), "old").unwrap();
    symlink("real", at("link")).unwrap();
    let before = ["fifo", "null", "link"].map(|name| fs::symlink_metadata(at(name)).unwrap().ino());
    let source = format!("{id}:/f");
    let reader = std::thread::spawn({
        let fifo = at("fifo");
        move || fs::read(fifo).unwrap()
    });
    store.ok(&["cp", &source, &text(&at("fifo"))]);
    assert_eq!(reader.join().unwrap(), b"new");
    store.ok(&["cp", &source, &text(&at("link"))]);
    assert_eq!(fs::read(at("real")).unwrap(), b"new");
    if device {
        store.run(&["cp", &source, &text(&at("null"))]);
    }
    // A link to standard output, as /dev/stdout is one.
    symlink("/proc/self/fd/1", at("stdout")).unwrap();
    assert_eq!(store.ok(&["cp", &source, &text(&at("stdout"))]), "new");
    assert!(fs::symlink_metadata(at("stdout")).unwrap().is_symlink());
    // In a folder they stay as well, and what is left out is named.
    let partly = store.run(&["cp", &format!("{id}:/d/."), &text(&dir)]);
    assert_eq!(partly.code(), 5);
    for name in ["/d/null", "/d/fifo", "/d/link"] {
        assert!(partly.err().contains(name), "{}", partly.err());
    }
    let after = ["fifo", "null", "link"].map(|name| fs::symlink_metadata(at(name)).unwrap().ino());
    assert_eq!(after, before);
    assert!(fs::symlink_metadata(at("fifo")).unwrap().file_type().is_fifo());
}

#[test]
fn m27_targets_are_found_as_docker_and_cp_find_them() {
    let Some(store) = Store::new("cp rules") else { return };
    for provider in PROVIDERS {
        let id = store.ok(&["create", "--provider", provider]);
        let sh = |script: &str| store.ok(&["exec", &id, "--", "sh", "-c", script]);
        let cp = |from: &str, to: &str| store.run(&["cp", "--provider", provider, from, to]);
        let good = |from: &str, to: &str| {
            let ran = cp(from, to);
            assert_eq!(ran.code(), 0, "{provider}: {from} {to}: {}", ran.err());
        };
        let there = |path: &str| format!("{id}:{path}");
        let dir = store.path(provider);
        fs::create_dir_all(dir.join("tree/sub")).unwrap();
        fs::write(dir.join("tree/f"), "x").unwrap();
        let (tree, file) = (text(&dir.join("tree")), text(&dir.join("tree/f")));
        sh("mkdir /into /real; ln -s real /current; echo y > /plain");
        good(&format!("{tree}/."), &there("/into"));
        good(&tree, &there("/into"));
        good(&tree, &there("/new/"));
        good(&file, &there("/current"));
        good(&file, &there("/current/"));
        let found = sh("cd /; find into new real | sort");
        let expected =
            "into into/f into/sub into/tree into/tree/f into/tree/sub new new/f new/sub real real/f";
        assert_eq!(found.split_whitespace().collect::<Vec<_>>().join(" "), expected, "{provider}");
        assert_eq!(cp(&file, &there("/missing/")).code(), 3, "{provider}");
        assert_eq!(cp(&file, &there("/plain/")).code(), 5, "{provider}");
        assert_eq!(sh("ls -d /missing 2>&1 | grep -c cannot; cat /plain"), "1\ny");
        let here = dir.join("here");
        fs::create_dir_all(here.join("real")).unwrap();
        symlink("real", here.join("current")).unwrap();
        good(&there("/into/."), &text(&here));
        good(&there("/current"), &text(&here.join("current")));
        assert!(here.join("tree/f").is_file() && here.join("sub").is_dir(), "{provider}");
        assert!(here.join("real/current/f").is_file(), "{provider}");
        good(&there("/plain"), &format!("{}/", text(&here.join("current"))));
        assert!(here.join("real/plain").is_file(), "{provider}");
        assert_eq!(cp(&there("/plain"), &format!("{}/", text(&here.join("none")))).code(), 3, "{provider}");
        assert_eq!(cp(&there("/plain/"), &text(&here.join("x"))).code(), 5, "{provider}");
        assert!(!here.join("none").exists() && !here.join("x").exists());
        store.ok(&["rm", &id]);
    }
}

#[test]
fn m27_times_special_modes_and_control_characters_are_kept_on_both_providers() {
    let Some(store) = Store::new("cp attributes") else { return };
    for provider in PROVIDERS {
        let id = store.ok(&["create", "--provider", provider]);
        let (from, back) = (store.path(&format!("{provider}-from")), store.path(&format!("{provider}-back")));
        fs::create_dir_all(from.join("sub")).unwrap();
        for name in ["sub/two\nlines", "tool"] {
            fs::write(from.join(name), "x").unwrap();
        }
        fs::set_permissions(from.join("tool"), fs::Permissions::from_mode(0o4755)).unwrap();
        fs::set_permissions(from.join("sub"), fs::Permissions::from_mode(0o1777)).unwrap();
        symlink("tool", from.join("link")).unwrap();
        let old = std::time::UNIX_EPOCH + std::time::Duration::new(981_173_106, 250_000_000);
        for name in ["sub/two\nlines", "tool", "sub", ""] {
            fs::File::open(from.join(name)).unwrap().set_modified(old).unwrap();
        }
        store.ok(&["cp", "--provider", provider, &text(&from), &format!("{id}:/srv/t")]);
        let script = "cd /srv/t; stat -c '%a %Y' . sub tool sub/*; stat -c %Y link";
        let seen = store.ok(&["exec", &id, "--", "sh", "-c", script]);
        let old_seconds = "981173106";
        let lines: Vec<_> = seen.lines().collect();
        let expected = ["755", "1777", "4755", "644"].map(|mode| format!("{mode} {old_seconds}"));
        assert_eq!(lines[..4], expected, "{provider}");
        assert_ne!(lines[4], old_seconds, "{provider}: the link was given its target's time");
        let out = store.run(&["cp", "--provider", provider, &format!("{id}:/srv/t"), &text(&back)]);
        assert!(out.code() == 0 && out.err().contains("set-id bits were dropped"), "{}", out.err());
        for name in ["", "sub", "tool", "sub/two\nlines"] {
            assert_eq!(
                fs::metadata(back.join(name)).unwrap().modified().unwrap(),
                old,
                "{provider}: {name:?}"
            );
        }
        let mode = |name: &str| fs::metadata(back.join(name)).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode("sub"), mode("tool")), (0o1777, 0o755), "{provider}");
        store.ok(&["rm", &id]);
    }
}

#[test]
fn m27_a_dash_is_a_tar_archive() {
    let Some(store) = Store::new("cp archives") else { return };
    for provider in PROVIDERS {
        let id = store.ok(&["create", "--provider", provider]);
        let sh = |script: &str| store.ok(&["exec", &id, "--", "sh", "-c", script]);
        sh("mkdir -p /a/sub /b; echo x > /a/sub/f; ln -s sub /a/link; touch -d @981173106 /a/sub/f");
        let packed = store.run(&["cp", "--provider", provider, &format!("{id}:/a"), "-"]);
        assert_eq!(packed.code(), 0, "{}", packed.err());
        let arguments = ["cp", "--provider", provider, "-", &format!("{id}:/b")];
        let ran = store.run_with(&arguments, packed.bytes(), |_| ());
        assert_eq!(ran.code(), 0, "{provider}: {}", ran.err());
        assert_eq!(
            sh("cd /b; find . | sort | tr '\\n' ' '; cat a/link/f; stat -c %Y a/sub/f"),
            ". ./a ./a/link ./a/sub ./a/sub/f x\n981173106"
        );
        let half = &packed.bytes()[..packed.bytes().len() / 2];
        assert_eq!(store.run_with(&arguments, half, |_| ()).code(), 2, "{provider}: half an archive");
        let missing = ["cp", "--provider", provider, "-", &format!("{id}:/none")];
        assert_eq!(store.run_with(&missing, packed.bytes(), |_| ()).code(), 3, "{provider}");
        let file = ["cp", "--provider", provider, "-", &format!("{id}:/a/sub/f")];
        assert_eq!(store.run_with(&file, packed.bytes(), |_| ()).code(), 5, "{provider}");
        assert_eq!(store.run(&["cp", "--json", "--provider", provider, &format!("{id}:/a"), "-"]).code(), 2);
        store.ok(&["rm", &id]);
    }
}

#[test]
fn m27_a_fault_of_a_copy_has_the_same_code_on_both_providers() {
    let Some(store) = Store::new("cp faults") else { return };
    let local = store.path("file");
    fs::write(&local, "x").unwrap();
    fs::create_dir(store.path("folder")).unwrap();
    let (local, folder, below) = (text(&local), text(&store.path("folder")), text(&store.path("file/x")));
    let none = text(&store.path("no/where"));
    let codes = PROVIDERS.map(|provider| {
        let id = store.ok(&["create", "--provider", provider]);
        let script =
            "mkdir /d; : > /f; mkfifo /fifo; ln -s /l2 /l1; ln -s /l1 /l2; chmod 600 /f; chown 5:5 /f";
        store.ok(&["exec", &id, "--", "sh", "-c", script]);
        let long = format!("{id}:/{}", "n".repeat(300));
        let at = |path: &str| format!("{id}:{path}");
        let code = |from: &str, to: &str| store.run(&["cp", "--provider", provider, from, to]).code();
        let mut codes = vec![
            ("missing source", code(&at("/no"), &folder)),
            ("missing local source", code(&none, &at("/x"))),
            ("source below a file", code(&at("/f/x"), &folder)),
            ("links that go round", code(&at("/l1"), &folder)),
            ("a fifo as source", code(&at("/fifo"), &folder)),
            ("a file over a folder's place", code(&folder, &at("/f"))),
            ("target below a file", code(&local, &at("/f/x"))),
            ("a fifo as target", code(&local, &at("/fifo"))),
            ("a long name", code(&local, &long)),
            ("no local folder", code(&at("/f"), &none)),
            ("local target below a file", code(&at("/f"), &below)),
            ("another's file", code(&at("/f"), &folder)),
        ];
        store.ok(&["rm", &id]);
        codes.push(("an ended sandbox", code(&at("/f"), &folder)));
        codes
    });
    assert_eq!(codes[0], codes[1]);
    let expected = [3, 3, 5, 2, 5, 5, 5, 5, 2, 3, 5, 0, 3];
    assert_eq!(codes[0].iter().map(|(_, code)| *code).collect::<Vec<_>>(), expected, "{:?}", codes[0]);
}

#[test]
fn m27_a_killed_copy_leaves_nothing_and_eight_at_once_leave_one_whole_file() {
    let Some(store) = Store::new("cp killed") else { return };
    let id = store.ok(&["create"]);
    store.ok(&["exec", &id, "--", "sh", "-c", "mkdir /d; echo old > /d/f"]);
    let content = vec![7; 4 << 20];
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(0);
    archive.append_data(&mut header, "f", content.as_slice()).unwrap();
    let archive = archive.into_inner().unwrap();
    let mut command = store.lattice();
    let mut child = command.args(["cp", "-", &format!("{id}:/d")]).stdin(Stdio::piped()).spawn().unwrap();
    // More than every buffer on the way holds: when it is taken, the file is being written.
    child.stdin.as_mut().unwrap().write_all(&archive[..3 << 20]).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(store.ok(&["exec", &id, "--", "sh", "-c", "ls -A /d; cat /d/f"]), "f\nold");
    let sources = [b'a', b'b', b'c', b'd', b'e', b'f', b'g', b'h'].map(|letter| {
        let path = store.path(&format!("source-{letter}"));
        fs::write(&path, vec![letter; 300_000]).unwrap();
        text(&path)
    });
    let here = store.path("here");
    fs::create_dir(&here).unwrap();
    let all = |copies: Vec<(String, String)>| {
        let children = copies
            .into_iter()
            .map(|(from, to)| store.lattice().args(["cp", &from, &to]).stdin(Stdio::null()).spawn().unwrap());
        for mut child in children.collect::<Vec<_>>() {
            assert!(child.wait().unwrap().success());
        }
    };
    all(sources.iter().map(|source| (source.clone(), format!("{id}:/d/f"))).collect());
    let whole =
        "ls -A /d; wc -c < /d/f; head -c 1 /d/f | tr a-h x; tr -d \"$(head -c 1 /d/f)\" < /d/f | wc -c";
    assert_eq!(store.ok(&["exec", &id, "--", "sh", "-c", whole]), "f\n300000\nx0");
    all(sources.iter().map(|_| (format!("{id}:/d/f"), text(&here.join("f")))).collect());
    let names: Vec<_> = fs::read_dir(&here).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["f"]);
    assert_eq!(fs::metadata(here.join("f")).unwrap().len(), 300_000);
}
