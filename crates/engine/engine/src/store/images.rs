//! The tables of images, their names and their layers.

use super::Store;
use crate::{
    clock,
    error::{Error, ErrorKind, Result},
    id::{ImageId, SandboxId},
    image::ImageInfo,
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::time::SystemTime;

/// What an image is made of and what it sets.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct ImageContent {
    /// Environment that it sets.
    pub(crate) env: Vec<(String, String)>,
    /// Its default command.
    pub(crate) command: Vec<String>,
    /// Its working directory.
    pub(crate) workdir: Option<String>,
    /// `USER` as the image has it: name or id, with or without group; empty is root.
    pub(crate) user: String,
    /// Layers of `/`, lowest first, with their bytes.
    pub(crate) layers: Vec<(String, u64)>,
    /// Layers of `/usr` above the host's own, lowest first; only the image `host` and its snapshots have them.
    pub(crate) usr: Option<Vec<(String, u64)>>,
    /// What the image `host` was built from; another value makes it outdated.
    #[serde(default)]
    pub(crate) fingerprint: String,
}

/// One image.
#[derive(Clone, Debug)]
pub(crate) struct ImageRow {
    pub(crate) info: ImageInfo,
    pub(crate) content: ImageContent,
}

const COLUMNS: &str = "id, created_ns, size, content, expires_ns, snapshot_of";

impl Store {
    /// The image of an id or a name; `NotFound` when there is none.
    pub(crate) fn image_row(&self, reference: &str) -> Result<ImageRow> {
        self.find_image(reference)?.ok_or_else(|| {
            Error::not_found(format!(
                "no image {reference:?} in this store: pull it, or import one under that name"
            ))
        })
    }

    /// The image of an id or a name.
    pub(crate) fn find_image(&self, reference: &str) -> Result<Option<ImageRow>> {
        let by = "SELECT id FROM images WHERE id = ?1 UNION ALL SELECT image FROM image_names WHERE name = ?1 LIMIT 1";
        let sql = format!("SELECT {COLUMNS} FROM images WHERE id = ({by})");
        self.read(|db| {
            let row = db.prepare_cached(&sql)?.query_row([reference], read_row).optional()?;
            row.map(|row| with_names(db, row)).transpose()
        })
    }

    /// `USER` of an image, empty for root. Every command that names no user asks for it: one value of one row.
    pub(crate) fn image_user(&self, id: &ImageId) -> Result<String> {
        let sql = "SELECT json_extract(content, '$.user') FROM images WHERE id = ?1";
        let user =
            self.read(|db| db.prepare_cached(sql)?.query_row([id.as_str()], |row| row.get(0)).optional());
        user?.ok_or_else(|| Error::not_found(format!("no image {id} in this store")))
    }

    /// The image of a snapshot's key.
    pub(crate) fn snapshot_of_key(&self, sandbox: &SandboxId, key: &str) -> Result<Option<ImageRow>> {
        let sql = format!("SELECT {COLUMNS} FROM images WHERE snapshot_of = ?1 AND snapshot_key = ?2");
        self.read(|db| {
            let row = db.prepare_cached(&sql)?.query_row([sandbox.as_str(), key], read_row).optional()?;
            row.map(|row| with_names(db, row)).transpose()
        })
    }

    /// All images, newest first.
    pub(crate) fn image_rows(&self) -> Result<Vec<ImageRow>> {
        let sql = format!("SELECT {COLUMNS} FROM images ORDER BY created_ns DESC");
        self.read(|db| {
            let rows: Vec<ImageRow> =
                db.prepare_cached(&sql)?.query_map([], read_row)?.collect::<rusqlite::Result<_>>()?;
            rows.into_iter().map(|row| with_names(db, row)).collect()
        })
    }

    /// Adds an image; `name` points to it from then on, and an image that loses its last name so goes away at `orphan_expiry`.
    /// Fills in its time of creation and size.
    pub(crate) fn insert_image(
        &self,
        row: &mut ImageRow,
        name: Option<&str>,
        key: Option<&str>,
        orphan_expiry: SystemTime,
    ) -> Result<()> {
        row.info.size =
            row.content.layers.iter().chain(row.content.usr.iter().flatten()).map(|(_, size)| size).sum();
        row.info.created_at = self.write_durably(|db| {
            let latest: Option<i64> =
                db.query_row("SELECT max(created_ns) FROM images", [], |row| row.get(0))?;
            let created = clock::now_ns().max(latest.map_or(0, |latest| latest + 1));
            insert(db, row, key, created)?;
            if let Some(name) = name {
                move_name(db, name, &row.info.id, orphan_expiry)?;
            }
            Ok::<_, rusqlite::Error>(clock::from_ns(created))
        })?;
        row.info.names = name.map(str::to_owned).into_iter().collect();
        Ok(())
    }

    /// Forgets an image and its names; `FailedPrecondition` while a living sandbox is made from it, and, with a time, when its own time is not
    /// over by then.
    pub(crate) fn delete_image(&self, id: &ImageId, expired: Option<SystemTime>) -> Result<()> {
        self.write_durably(|db| {
            if !super::is_expired(db, "images", id.as_str(), expired)? {
                return Err(Error::new(
                    ErrorKind::FailedPrecondition,
                    format!("the time of image {id} is not over"),
                ));
            }
            let used = db
                .prepare_cached("SELECT 1 FROM sandboxes WHERE image = ?1 AND state < 2")?
                .exists([id.as_str()])?;
            if used {
                let message = format!("a living sandbox uses the image {id}: end it first");
                return Err(Error::new(ErrorKind::FailedPrecondition, message));
            }
            db.prepare_cached("DELETE FROM images WHERE id = ?1")?.execute([id.as_str()])?;
            Ok(())
        })
    }

    /// Images whose time is over and that no living sandbox is made from.
    pub(crate) fn expired_images(&self, now: SystemTime) -> Result<Vec<ImageId>> {
        let sql = "SELECT id FROM images WHERE expires_ns <= ?1 AND id NOT IN (SELECT image FROM sandboxes WHERE state < 2)";
        let ids: Vec<String> = self
            .read(|db| db.prepare_cached(sql)?.query_map([clock::to_ns(now)], |row| row.get(0))?.collect())?;
        ids.iter().map(|id| ImageId::parse(id)).collect()
    }

    /// Whether some image has this layer.
    pub(crate) fn layer_is_used(&self, layer: &str) -> Result<bool> {
        self.read(|db| db.prepare_cached("SELECT 1 FROM image_layers WHERE layer = ?1")?.exists([layer]))
    }
}

fn insert(db: &Connection, row: &ImageRow, key: Option<&str>, created: i64) -> rusqlite::Result<()> {
    let sql = "INSERT INTO images (id, created_ns, size, content, expires_ns, snapshot_of, snapshot_key) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let content = serde_json::to_string(&row.content).expect("an image's content has a JSON form");
    let size = i64::try_from(row.info.size).unwrap_or(i64::MAX);
    let id = row.info.id.as_str();
    let expires = row.info.expires_at.map(clock::to_ns);
    let snapshot_of = row.info.snapshot_of.as_ref().map(SandboxId::as_str);
    db.prepare_cached(sql)?.execute(params![id, created, size, content, expires, snapshot_of, key])?;
    let mut layers =
        db.prepare_cached("INSERT OR IGNORE INTO image_layers (image, layer, size) VALUES (?1, ?2, ?3)")?;
    for (layer, size) in row.content.layers.iter().chain(row.content.usr.iter().flatten()) {
        layers.execute(params![id, layer, i64::try_from(*size).unwrap_or(i64::MAX)])?;
    }
    Ok(())
}

fn move_name(
    db: &Connection,
    name: &str,
    image: &ImageId,
    orphan_expiry: SystemTime,
) -> rusqlite::Result<()> {
    let before: Option<String> =
        db.query_row("SELECT image FROM image_names WHERE name = ?1", [name], |row| row.get(0)).optional()?;
    let sql =
        "INSERT INTO image_names (name, image) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET image = ?2";
    db.execute(sql, params![name, image.as_str()])?;
    if let Some(before) = before {
        let sql = "UPDATE images SET expires_ns = ?2 WHERE id = ?1 AND expires_ns IS NULL AND snapshot_of IS NULL \
            AND id NOT IN (SELECT image FROM image_names)";
        db.execute(sql, params![before, clock::to_ns(orphan_expiry)])?;
    }
    Ok(())
}

fn read_row(row: &Row<'_>) -> rusqlite::Result<ImageRow> {
    let content: ImageContent = super::rows::from_json(&row.get::<_, String>("content")?)?;
    let id = ImageId::parse(&row.get::<_, String>("id")?).map_err(|_| rusqlite::Error::InvalidQuery)?;
    let snapshot_of: Option<String> = row.get("snapshot_of")?;
    let info = ImageInfo {
        id,
        names: Vec::new(),
        created_at: clock::from_ns(row.get("created_ns")?),
        size: u64::try_from(row.get::<_, i64>("size")?).unwrap_or(0),
        env: content.env.clone(),
        command: content.command.clone(),
        workdir: content.workdir.clone(),
        expires_at: row.get::<_, Option<i64>>("expires_ns")?.map(clock::from_ns),
        is_host: content.usr.is_some() && snapshot_of.is_none(),
        snapshot_of: snapshot_of.and_then(|id| SandboxId::parse(&id).ok()),
    };
    Ok(ImageRow { info, content })
}

fn with_names(db: &Connection, mut row: ImageRow) -> rusqlite::Result<ImageRow> {
    let mut names = db.prepare_cached("SELECT name FROM image_names WHERE image = ?1 ORDER BY name")?;
    row.info.names =
        names.query_map([row.info.id.as_str()], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(row)
}
