//! Steps with images and volumes, and the clean-up.

use super::super::participant::{IMAGES, Kept, Participant, VOLUMES};
use super::sandboxes::{NOT_FOUND, WRITE};

/// `images rm` and `volume rm` of what a living sandbox has.
const IN_USE: i32 = 5;

pub(super) fn snapshot(p: &mut Participant<'_>) {
    if p.images.len() >= IMAGES {
        return remove_image(p);
    }
    let Some((id, known)) = p.own() else { return };
    if let Some(image) = p.succeeds("snapshot", &["snapshot", &id]) {
        p.images.push(Kept { name: image.trim().to_owned(), files: known.files, disturbed: false });
    }
}

pub(super) fn run_image(p: &mut Participant<'_>) {
    let Some(image) = p.random.pick(&p.images).cloned() else { return };
    let Some((path, content)) = p.random.pick(&image.files).cloned() else { return };
    match p.succeeds("run image", &["run", "--image", &image.name, "--", "cat", &path]) {
        Some(found) => p.same(&found, &content, &format!("{path} in the snapshot {}", image.name)),
        None => disturbed(&mut p.images, &image.name),
    }
}

/// A call that used it was killed.
fn disturbed(all: &mut [Kept], name: &str) {
    all.iter_mut().filter(|kept| kept.name == name).for_each(|kept| kept.disturbed = true);
}

pub(super) fn remove_image(p: &mut Participant<'_>) {
    let Some(image) = p.images.pop() else { return };
    let Some(removed) = p.call("images rm", &["images", "rm", &image.name]) else { return };
    match removed.code {
        Some(0) => {
            let Some(again) = p.undisturbed("images rm", &["images", "rm", &image.name]) else { return };
            p.check(again.code == Some(NOT_FOUND), &again, "was removed, and must be unknown");
        }
        Some(IN_USE) if image.disturbed => {}
        code => p.check(code.is_none(), &removed, "must succeed"),
    }
}

pub(super) fn list_images(p: &mut Participant<'_>) {
    let Some(listing) = p.succeeds("images ls", &["images", "ls", "--json"]) else { return };
    for image in &p.images {
        let there = listing.contains(&image.name);
        p.load
            .tally
            .check(there, || format!("{}: images ls does not show {}: {listing}", p.name, image.name));
    }
}

pub(super) fn create_volume(p: &mut Participant<'_>) {
    if p.volumes.len() >= VOLUMES {
        return remove_volume(p);
    }
    let name = format!("volume-{}", p.word());
    if p.succeeds("volume create", &["volume", "create", &name]).is_some() {
        p.volumes.push(Kept { name, files: Vec::new(), disturbed: false });
    }
}

pub(super) fn write_volume(p: &mut Participant<'_>) {
    let Some(volume) = p.random.pick(&p.volumes).cloned() else { return };
    let (file, token) = (format!("token-{}", p.word()), p.random.token());
    let (mount, path) = (format!("{}:/v", volume.name), format!("/v/{file}"));
    let arguments = ["run", "-v", &mount, "--", "sh", "-c", WRITE, "sh", &path, &token];
    if p.succeeds("run volume", &arguments).is_none() {
        return disturbed(&mut p.volumes, &volume.name);
    }
    let written = p.volumes.iter_mut().filter(|kept| kept.name == volume.name);
    written.for_each(|kept| kept.files.push((file.clone(), token.clone())));
}

/// Through a run of its own, or through a sandbox that has it.
pub(super) fn read_volume(p: &mut Participant<'_>) {
    let Some(volume) = p.random.pick(&p.volumes).cloned() else { return };
    let Some((file, token)) = p.random.pick(&volume.files).cloned() else { return };
    let through = p.own().filter(|(_, known)| known.volume.as_ref() == Some(&volume.name));
    let found = if let Some((id, _)) = through {
        p.succeeds("exec read", &["exec", &id, "--", "cat", &format!("/volume/{file}")])
    } else {
        let mount = format!("{}:/v:ro", volume.name);
        let found = p.succeeds("run volume", &["run", "-v", &mount, "--", "cat", &format!("/v/{file}")]);
        if found.is_none() {
            disturbed(&mut p.volumes, &volume.name);
        }
        found
    };
    if let Some(found) = found {
        p.same(&found, &token, &format!("{file} in the volume {}", volume.name));
    }
}

pub(super) fn remove_volume(p: &mut Participant<'_>) {
    let Some(volume) = p.random.pick(&p.volumes).cloned() else { return };
    let all = p.sandboxes.iter().chain(&p.leaving);
    let mut users = all.filter(|id| {
        let ledger = p.ledger();
        ledger.steady(id).is_none_or(|known| known.volume.as_ref() == Some(&volume.name))
    });
    if users.next().is_some() {
        return;
    }
    drop(users);
    p.volumes.retain(|kept| kept.name != volume.name);
    let Some(removed) = p.call("volume rm", &["volume", "rm", &volume.name]) else { return };
    match removed.code {
        Some(0) => {
            let Some(again) = p.undisturbed("volume rm", &["volume", "rm", &volume.name]) else { return };
            p.check(again.code == Some(NOT_FOUND), &again, "was removed, and must be unknown");
        }
        Some(IN_USE) if volume.disturbed => {}
        code => p.check(code.is_none(), &removed, "must succeed"),
    }
}

pub(super) fn collect(p: &mut Participant<'_>) {
    let all = p.random.chance(50);
    p.succeeds("gc", if all { &["gc", "--all"] } else { &["gc"] });
}
