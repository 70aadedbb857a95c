//! Images that add configuration to an engine image: an id, what it stands on, and what it sets.

use super::{State, now};
use rusqlite::{OptionalExtension, params};
use tonic::Status;

/// A built image as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BuiltImage {
    pub(crate) id: String,
    /// Id of the engine's image.
    pub(crate) base: String,
    /// Its configuration, JSON.
    pub(crate) config: String,
}

impl State {
    /// A built image, if there is one of that id.
    pub(crate) async fn built_image(&self, id: &str) -> Result<Option<BuiltImage>, Status> {
        let id = id.to_owned();
        self.read(move |connection| {
            let sql = "SELECT base, config FROM images WHERE id = ?1";
            let row = connection.query_row(sql, [&id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
            Ok(row.map(|(base, config)| BuiltImage { id, base, config }))
        })
        .await
    }

    /// Keeps a built image; one of the same id stays.
    pub(crate) async fn keep_image(&self, image: BuiltImage) -> Result<(), Status> {
        self.write(move |connection| {
            let sql = "INSERT OR IGNORE INTO images (id, base, config, created_at) VALUES (?1, ?2, ?3, ?4)";
            connection.execute(sql, params![image.id, image.base, image.config, now()]).map(drop)
        })
        .await
    }

    /// Forgets a built image; true when there was one.
    pub(crate) async fn forget_image(&self, id: &str) -> Result<bool, Status> {
        let id = id.to_owned();
        self.write(move |connection| Ok(connection.execute("DELETE FROM images WHERE id = ?1", [id])? > 0))
            .await
    }
}
