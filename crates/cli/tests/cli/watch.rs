//! `lattice watch`.

use rustix::process::Signal;

use crate::store::Store;

/// Changes that go on until a file is there: when the watch began is not told.
const CHANGES: &str = "while [ ! -e /tmp/stop ]; do mkdir /srv/w/d; : > /srv/w/d/f; rm -r /srv/w/d; done";

#[test]
fn m27_changes_are_shown_as_they_happen_until_an_interrupt() {
    let Some(store) = Store::new("watch") else { return };
    for provider in ["local", "modal"] {
        let id = store.ok(&["create", "--provider", provider]);
        store.ok(&["exec", &id, "--", "mkdir", "-p", "/srv/w"]);
        let mut changes = store.start(&["exec", &id, "--", "sh", "-c", CHANGES]);
        let place = format!("{id}:/srv/w");
        let mut plain = store.start(&["watch", "-r", "--kind", "create", "--provider", provider, &place]);
        assert!(plain.line().starts_with("create /srv/w/d"), "{provider}");
        plain.signal(Signal::INT);
        assert_eq!(plain.wait().code(), Some(0), "{provider}");
        let mut json = store.start(&["watch", "--kind", "remove", "--json", "--provider", provider, &place]);
        let event: serde_json::Value = serde_json::from_str(&json.line()).unwrap();
        assert_eq!(
            (&event["kind"], &event["paths"][0]),
            (&"remove".into(), &"/srv/w/d".into()),
            "{provider}"
        );
        json.signal(Signal::INT);
        assert_eq!(json.wait().code(), Some(0), "{provider}");
        store.ok(&["exec", &id, "--", "touch", "/tmp/stop"]);
        changes.wait();
        assert_eq!(
            store.ok(&[
                "watch",
                "--timeout",
                "1s",
                "--kind",
                "access",
                "--provider",
                provider,
                &format!("{id}:/srv")
            ]),
            ""
        );
        store.ok(&["rm", &id]);
    }
}

#[test]
fn m27_what_cannot_be_watched_is_refused() {
    let Some(store) = Store::new("watch refusals") else { return };
    let id = store.ok(&["create"]);
    assert_eq!(store.run(&["watch", &format!("{id}:/no/such")]).code(), 3);
    assert_eq!(store.run(&["watch", &format!("{id}:relative")]).code(), 2);
    assert_eq!(store.run(&["watch", &id]).code(), 2);
    assert_eq!(store.run(&["watch", "--kind", "chmod", &format!("{id}:/srv")]).code(), 2);
}
