//! The beginning and the end of a run: the store is clean before, and after everything was removed.

use serde_json::Value;

use super::Load;
use super::ledger::Sandbox;
use crate::failure::{Attempted, Failure, Result};
use crate::program;
use crate::server::Store;

/// How many sandboxes one process ends.
const AT_ONCE: usize = 16;

/// Makes the image `host` and gives the size of a store without anything else.
pub(super) fn first(store: &Store) -> Result<u64> {
    program::capture(store.lattice().args(["run", "--", "true"]))?;
    program::capture(store.lattice().args(["gc", "--all"]))?;
    clean(store)
}

/// Looks once more at everything that was acknowledged, removes all, and gives the size of the store.
pub(super) fn check(load: &Load) -> Result<u64> {
    let store = &load.store;
    let ledger = load.ledger.lock().map_err(|_| Failure::new("a participant panicked"))?;
    let running = listed(store, &["ps", "--json"], "id")?;
    for id in ledger.all_steady() {
        load.tally.check(running.contains(&id), || format!("at the end {id} does not run"));
        if let Some(sandbox) = ledger.steady(&id) {
            contents(load, &id, sandbox);
        }
    }
    for ids in listed(store, &["ps", "-a", "--json"], "id")?.chunks(AT_ONCE) {
        program::capture(store.lattice().args(["rm", "--ignore"]).args(ids))?;
    }
    // Also ends what belonged to processes that were killed, and frees the images and volumes that it had.
    program::capture(store.lattice().args(["gc", "--all"]))?;
    for volume in listed(store, &["volume", "ls", "--json"], "name")? {
        program::capture(store.lattice().args(["volume", "rm", &volume]))?;
    }
    for image in snapshots(store)? {
        program::capture(store.lattice().args(["images", "rm", &image]))?;
    }
    program::capture(store.lattice().args(["gc", "--all"]))?;
    clean(store)
}

/// Every file that was acknowledged, by one command for each sandbox.
fn contents(load: &Load, id: &str, sandbox: &Sandbox) {
    for (path, content) in &sandbox.files {
        let read = program::capture(load.store.lattice().args(["exec", id, "--", "cat", path]));
        let holds = read.as_ref().is_ok_and(|found| found == content);
        load.tally.check(holds, || format!("at the end {path} in {id} is not what was written: {read:?}"));
    }
}

/// A field of each entry of a listing.
fn listed(store: &Store, arguments: &[&str], field: &str) -> Result<Vec<String>> {
    let listing: Vec<Value> = serde_json::from_str(&program::capture(store.lattice().args(arguments))?)?;
    Ok(listing.iter().filter_map(|entry| entry[field].as_str().map(str::to_owned)).collect())
}

/// Images of no name: `host` is the only other.
fn snapshots(store: &Store) -> Result<Vec<String>> {
    let text = program::capture(store.lattice().args(["images", "ls", "--json"]))?;
    let images: Vec<Value> = serde_json::from_str(&text)?;
    let nameless = images.iter().filter(|image| image["names"].as_array().is_some_and(Vec::is_empty));
    Ok(nameless.filter_map(|image| image["id"].as_str().map(str::to_owned)).collect())
}

/// The bytes of a store that `doctor` calls clean and that holds nothing but the image `host`.
pub(super) fn clean(store: &Store) -> Result<u64> {
    // Its exit code says no more than what it prints.
    let doctor = store.lattice().args(["doctor", "--store", "--json"]).output();
    let text =
        String::from_utf8_lossy(&doctor.attempted("could not start lattice doctor")?.stdout).into_owned();
    let report: Value = serde_json::from_str(&text)?;
    let counts = ["sandboxes", "living", "volumes"].map(|name| report[name].as_u64());
    if counts.iter().any(|count| *count != Some(0)) || report["clean"] != true {
        return Err(Failure::new(format!("the store is not empty and clean: {text}")));
    }
    report["bytes"].as_u64().ok_or_else(|| Failure::new(format!("no size of the store in {text}")))
}
