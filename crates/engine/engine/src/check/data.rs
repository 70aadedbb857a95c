//! Layers, volumes and trash.

use super::{Found, GC, Rows};
use crate::{
    engine::Inner,
    error::Result,
    image::layers,
    store::{self, ImageRow},
};
use std::{collections::BTreeSet, path::Path};

/// Names of what is there.
pub(super) struct Folders {
    pub(super) sandboxes: Vec<String>,
    layers: Vec<String>,
    volumes: Vec<String>,
    trash: Vec<String>,
}

impl Folders {
    pub(super) fn list(inner: &Inner) -> Result<Self> {
        let list = |name: &str| store::names(&inner.store.dir().join(name));
        Ok(Self {
            sandboxes: inner.store.sandbox_folders()?,
            layers: list("layers")?,
            volumes: list("volumes")?,
            trash: list("trash")?,
        })
    }
}

pub(super) fn compare(inner: &Inner, rows: &Rows, folders: &Folders) -> Result<Vec<Found>> {
    let dir = inner.store.dir();
    let mut found = images(rows, folders);
    found.extend(unused(inner, rows, folders));
    for name in &folders.trash {
        let path = dir.join("trash").join(name);
        found.push(
            Found::new(shown(&path), "its removal was begun and is not over", GC).unless_held(path.clone()),
        );
    }
    let removed = inner.store.doomed_volumes()?;
    for volume in &removed {
        found.push(Found::new(format!("volume {}", volume.id), "its removal was begun and is not over", GC));
    }
    for name in &folders.volumes {
        let known = rows.volumes.iter().chain(&removed).any(|volume| volume.id.as_str() == name);
        let path = dir.join("volumes").join(name);
        if !known && path.exists() {
            let remedy = "save what is needed of it, then remove it by hand";
            found.push(Found::new(shown(&path), "no volume has this folder", remedy));
        }
    }
    Ok(found)
}

/// Images of which something is missing.
fn images(rows: &Rows, folders: &Folders) -> Vec<Found> {
    let there: BTreeSet<&str> = folders.layers.iter().map(String::as_str).collect();
    let missing = rows.images.iter().flat_map(|row| {
        let layers = row.content.layers.iter().chain(row.content.usr.iter().flatten());
        layers.filter(|(layer, _)| !there.contains(layer.as_str())).map(move |(layer, _)| (row, layer))
    });
    let remedy =
        |row: &ImageRow| format!("run `lattice images rm {}`, and pull, import or make it anew", row.info.id);
    missing
        .map(|(row, layer)| {
            Found::new(format!("image {}", row.info.id), format!("its layer {layer} is missing"), remedy(row))
        })
        .collect()
}

/// Layers that no image has, and those that were never finished.
fn unused(inner: &Inner, rows: &Rows, folders: &Folders) -> Vec<Found> {
    let all =
        rows.images.iter().flat_map(|row| row.content.layers.iter().chain(row.content.usr.iter().flatten()));
    let used: BTreeSet<&str> = all.map(|(layer, _)| layer.as_str()).collect();
    let unused = folders.layers.iter().filter(|name| !used.contains(name.as_str()));
    unused
        .map(|name| {
            let path = inner.store.layers_dir().join(name);
            if layers::is_temporary(name) {
                Found::new(shown(&path), "this layer was not finished", GC).unless_held(path)
            } else {
                Found::new(shown(&path), "no image has this layer", GC)
                    .unless_held(inner.store.lock_file("layers"))
            }
        })
        .collect()
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
