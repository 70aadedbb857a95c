//! Steps with sandboxes.

use std::fs;

use serde_json::Value;

use super::super::ledger::Sandbox;
use super::super::participant::{Participant, SANDBOXES};

/// Writes its second argument into the file of the first, whole or not at all.
pub(super) const WRITE: &str = r#"printf %s "$2" > "$1.new" && mv "$1.new" "$1""#;
/// Lines of a long output.
const LINES: u32 = 20_000;
/// Exit code for what is unknown.
pub(super) const NOT_FOUND: i32 = 3;

pub(super) fn create(p: &mut Participant<'_>) {
    if p.sandboxes.len() + p.leaving.len() >= SANDBOXES {
        return remove(p);
    }
    let call = p.word();
    let volume = p.random.pick(&p.volumes).map(|volume| volume.name.clone());
    let volume = volume.filter(|_| p.random.chance(50));
    let name = p.random.chance(50).then(|| format!("name-{call}"));
    let (tag, participant) = (format!("call={call}"), format!("participant={}", p.name));
    let mount = volume.as_ref().map(|volume| format!("{volume}:/volume"));
    let mut arguments = vec!["create", "--timeout", "2h", "--tag", &tag, "--tag", &participant];
    arguments.extend(mount.iter().flat_map(|mount| ["-v", mount]));
    arguments.extend(name.iter().flat_map(|name| ["--name", name]));
    if p.random.chance(50) {
        arguments.extend(["--memory", "256m"]);
    }
    match p.succeeds("create", &arguments) {
        Some(id) => {
            let id = id.trim().to_owned();
            let made = Sandbox { name, tag: Some(call), volume, ..Sandbox::default() };
            p.ledger().made(&id, made);
            p.sandboxes.push(id);
        }
        None => find_unacknowledged(p, &tag),
    }
}

/// Removes what a creation that was killed may have left: nobody was told of it.
fn find_unacknowledged(p: &Participant<'_>, tag: &str) {
    let Some(listing) = p.undisturbed("ps", &["ps", "--json", "--tag", tag]) else { return };
    p.check(listing.code == Some(0), &listing, "must succeed");
    for entry in entries(&listing.stdout) {
        let Some(removed) = p.undisturbed("rm", &["rm", "--ignore", id(&entry)]) else { return };
        p.check(removed.code == Some(0), &removed, "must succeed");
    }
}

pub(super) fn write(p: &mut Participant<'_>) {
    let Some((id, _)) = p.own() else { return create(p) };
    let (path, token) = (format!("/token-{}", p.word()), p.random.token());
    let arguments = ["exec", &id, "--", "sh", "-c", WRITE, "sh", &path, &token];
    if p.succeeds("exec write", &arguments).is_some() {
        p.ledger().update(&id, |sandbox| sandbox.files.push((path, token)));
    }
}

pub(super) fn read(p: &mut Participant<'_>) {
    let Some((id, known)) = p.any() else { return };
    let Some((path, token)) = p.random.pick(&known.files).cloned() else { return };
    if let Some(found) = p.succeeds_while(&id, "exec read", &["exec", &id, "--", "cat", &path]) {
        p.same(&found, &token, &format!("{path} in {id}"));
    }
}

pub(super) fn copy_in(p: &mut Participant<'_>) {
    let Some((id, _)) = p.own() else { return };
    let (word, content) = (p.word(), p.random.token().repeat(4096));
    let (local, path) = (p.load.scratch.join(format!("{word}.in")), format!("/copied-{word}"));
    if fs::write(&local, &content).is_err() {
        return p.load.tally.violation(&format!("cannot write {}", local.display()));
    }
    let (from, to) = (local.display().to_string(), format!("{id}:{path}"));
    let copied = p.succeeds("cp in", &["cp", &from, &to]).is_some();
    // Removed with its folder at the end, where that fails.
    drop(fs::remove_file(&local));
    if copied {
        p.ledger().update(&id, |sandbox| sandbox.files.push((path, content)));
    }
}

pub(super) fn copy_out(p: &mut Participant<'_>) {
    let Some((id, known)) = p.any() else { return };
    let Some((path, content)) = p.random.pick(&known.files).cloned() else { return };
    let local = p.load.scratch.join(format!("{}.out", p.word()));
    let (from, to) = (format!("{id}:{path}"), local.display().to_string());
    if p.succeeds_while(&id, "cp out", &["cp", &from, &to]).is_some() {
        let found = fs::read_to_string(&local).unwrap_or_default();
        p.same(&found, &content, &format!("the copy of {path} in {id}"));
    }
    // There is none when the copy was killed.
    drop(fs::remove_file(&local));
}

pub(super) fn much_output(p: &mut Participant<'_>) {
    let Some((id, _)) = p.own() else { return };
    let last = LINES.to_string();
    if let Some(found) = p.succeeds("exec output", &["exec", &id, "--", "seq", &last]) {
        p.same(&found, &lines(), &format!("the output of seq in {id}"));
    }
}

fn lines() -> String {
    (1..=LINES).map(|number| format!("{number}\n")).collect()
}

pub(super) fn run(p: &mut Participant<'_>) {
    if p.random.chance(50) {
        let last = LINES.to_string();
        if let Some(found) = p.succeeds("run", &["run", "--", "seq", &last]) {
            p.same(&found, &lines(), "the output of seq");
        }
        return;
    }
    let script = "echo out; echo err >&2; exit 7";
    let Some(ran) = p.call("run", &["run", "--memory", "128m", "--", "sh", "-c", script]) else { return };
    let (out, err) = (ran.stdout == "out\n", ran.stderr.contains("err\n"));
    p.check(
        ran.code.is_none_or(|code| code == 7 && out && err),
        &ran,
        "must say out and err, and exit with 7",
    );
}

pub(super) fn list(p: &mut Participant<'_>) {
    let before = p.ledger().all_steady();
    let gone = p.ledger().all_gone();
    let Some(listing) = p.succeeds("ps", &["ps", "--json"]) else { return };
    let after = p.ledger().all_steady();
    let found = entries(&listing);
    for id in before.intersection(&after) {
        let running = found.iter().any(|entry| self::id(entry) == id && entry["state"] == "running");
        p.load.tally.check(running, || format!("{}: ps does not show {id} running: {listing}", p.name));
    }
    for entry in &found {
        let id = id(entry);
        p.load.tally.check(!gone.contains(id), || format!("{}: ps shows {id}, which was removed", p.name));
    }
}

pub(super) fn by_name(p: &mut Participant<'_>) {
    let Some((id, known)) = p.any() else { return };
    let Some(name) = known.name else { return };
    let Some(listing) = p.succeeds_while(&id, "ps name", &["ps", "--json", "--name", &name]) else { return };
    let found: Vec<String> = entries(&listing).iter().map(|entry| self::id(entry).to_owned()).collect();
    p.load.tally.check(found == [id.as_str()], || format!("{}: {name} is {id}, not {found:?}", p.name));
}

pub(super) fn inspect(p: &mut Participant<'_>) {
    let Some((id, known)) = p.own() else { return };
    let Some(text) = p.succeeds("inspect", &["inspect", &id, "--json"]) else { return };
    let info: Value = serde_json::from_str(&text).unwrap_or_default();
    p.load.tally.check(info["state"] == "running", || format!("{}: {id} does not run: {text}", p.name));
    if let Some(tag) = known.tag {
        p.load
            .tally
            .check(info["tags"]["call"] == *tag, || format!("{}: {id} has no tag {tag}: {text}", p.name));
    }
}

pub(super) fn tag(p: &mut Participant<'_>) {
    let Some((id, _)) = p.own() else { return };
    let call = p.word();
    // Unknown until it is acknowledged: a call that is killed may have done it.
    p.ledger().update(&id, |sandbox| sandbox.tag = None);
    let participant = format!("participant={}", p.name);
    if p.succeeds("tag", &["tag", &id, &format!("call={call}"), &participant]).is_some() {
        p.ledger().update(&id, |sandbox| sandbox.tag = Some(call));
    }
}

pub(super) fn is_gone(p: &mut Participant<'_>) {
    let gone: Vec<String> = p.ledger().all_gone().into_iter().collect();
    let Some(id) = p.random.pick(&gone).cloned() else { return };
    let Some(asked) = p.call("inspect gone", &["inspect", &id, "--json"]) else { return };
    p.check(asked.code.is_none_or(|code| code == NOT_FOUND), &asked, "was removed, and must be unknown");
}

pub(super) fn remove(p: &mut Participant<'_>) {
    if let Some(id) = p.leaving.pop() {
        let Some(removed) = p.undisturbed("rm", &["rm", "--ignore", &id]) else { return };
        p.check(removed.code == Some(0), &removed, "must succeed");
        return p.ledger().left(&id);
    }
    let Some((id, _)) = p.own() else { return };
    p.sandboxes.retain(|own| *own != id);
    p.ledger().leaves(&id);
    if p.succeeds("rm", &["rm", &id]).is_some() {
        p.ledger().left(&id);
    } else {
        p.leaving.push(id);
    }
}

/// The entries of a listing; none of one that is no list.
pub(super) fn entries(listing: &str) -> Vec<Value> {
    serde_json::from_str(listing).unwrap_or_default()
}

fn id(entry: &Value) -> &str {
    entry["id"].as_str().unwrap_or_default()
}
