//! Listings of a server that says what cannot be.

use openlattice::{ComputeProvider, Files, ListOptions, ProvisionSpec};

use crate::fake::{Fake, Script};
use crate::provider;

fn entries(names: &[&str]) -> Vec<u8> {
    let entry = |name: &&str| {
        format!(
            r#"{{"name":"{name}","path":"/","type":"directory","size":0,"mode":493,"permissions":"","owner":"root",
            "group":"root","modified_time":1e300}}"#
        )
    };
    format!("[{}]", names.iter().map(entry).collect::<Vec<_>>().join(",")).into_bytes()
}

#[tokio::test]
async fn m27_a_directory_that_holds_itself_is_listed_to_a_depth() {
    let fake = Fake::start().await;
    fake.state().stdout = entries(&["d"]);
    let provider = provider(&fake);
    let made = provider.provision(ProvisionSpec::new("host")).await.unwrap();
    let files = provider.extensions().get::<dyn Files>().unwrap();
    let found = files.list(&made.id, "/".as_ref(), ListOptions { recursive: true }).await.unwrap();
    assert_eq!(found.len(), 257);
    assert_eq!(found[2].path, "/d/d/d");
    let shown = serde_json::to_string(&found[0]).unwrap();
    assert!(shown.contains("9999-12-31"), "a time beyond all calendars is shown as the last one: {shown}");
}

#[tokio::test]
async fn m27_a_directory_that_vanishes_midway_does_not_fail_the_list() {
    let fake = Fake::start().await;
    let gone = Script {
        code: 1,
        stderr: br#"{"error_kind":"NotFound","message":"gone"}"#.to_vec(),
        ..Script::default()
    };
    let listing = |names: &[&str]| Script { stdout: entries(names), ..Script::default() };
    fake.state().scripts = vec![
        ("/top/gone", gone),
        ("/top/kept/", listing(&[])),
        ("/top/kept", listing(&["below"])),
        ("/top", listing(&["gone", "kept"])),
    ];
    let provider = provider(&fake);
    let made = provider.provision(ProvisionSpec::new("host")).await.unwrap();
    let files = provider.extensions().get::<dyn Files>().unwrap();
    let found = files.list(&made.id, "/top".as_ref(), ListOptions { recursive: true }).await.unwrap();
    let paths: Vec<_> = found.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(paths, ["/top/gone", "/top/kept", "/top/kept/below"]);
    assert!(files.list(&made.id, "/top/gone".as_ref(), ListOptions { recursive: true }).await.is_err());
}
