//! Builds of images: what is under way, so that a successor of this server can do it again, and what the finished ones were made from.

use super::{
    BuiltImage, State, now,
    secrets::{seal, unseal},
};
use rusqlite::{OptionalExtension, params};
use tonic::Status;

/// How long a build that was never finished is known, in seconds: its client asks again within moments, or never.
const KEPT: f64 = 86_400.0;

impl State {
    /// Notes that the image `id` is being built from `definition`, which is kept sealed: its lines may hold secrets.
    pub(crate) async fn begin_build(&self, id: &str, definition: Vec<u8>) -> Result<(), Status> {
        let (id, sealed) = (id.to_owned(), seal(&self.secret_key, id, definition)?);
        self.note(move |connection| {
            let old = "DELETE FROM builds WHERE definition IS NOT NULL AND made_from IS NULL AND at < ?1";
            connection.execute(old, [now() - KEPT])?;
            let sql = "INSERT INTO builds (id, definition, at) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO UPDATE SET definition = ?2, at = ?3";
            connection.execute(sql, params![id, sealed, now()]).map(drop)
        })
        .await
    }

    /// Keeps what a build gave, and the image that it was made from. What an earlier build of the same definition gave is replaced.
    pub(crate) async fn finish_build(&self, image: BuiltImage, made_from: String) -> Result<(), Status> {
        self.write(move |connection| {
            let sql = "INSERT OR REPLACE INTO images (id, base, config, created_at) VALUES (?1, ?2, ?3, ?4)";
            connection.execute(sql, params![image.id, image.base, image.config, now()])?;
            let sql =
                "INSERT OR REPLACE INTO builds (id, definition, made_from, at) VALUES (?1, NULL, ?2, ?3)";
            connection.execute(sql, params![image.id, made_from, now()]).map(drop)
        })
        .await
    }

    /// Forgets a build that failed; what an earlier one gave stays.
    pub(crate) async fn fail_build(&self, id: &str) -> Result<(), Status> {
        let id = id.to_owned();
        self.note(move |connection| {
            connection.execute("DELETE FROM builds WHERE id = ?1 AND made_from IS NULL", [&id])?;
            connection.execute("UPDATE builds SET definition = NULL WHERE id = ?1", [&id]).map(drop)
        })
        .await
    }

    /// The definition of a build that was begun and not finished.
    pub(crate) async fn unfinished_build(&self, id: &str) -> Result<Option<Vec<u8>>, Status> {
        let wanted = id.to_owned();
        let sealed: Option<Option<Vec<u8>>> = self
            .read(move |connection| {
                let sql = "SELECT definition FROM builds WHERE id = ?1";
                connection.query_row(sql, [wanted], |row| row.get(0)).optional()
            })
            .await?;
        sealed.flatten().map(|sealed| unseal(&self.secret_key, id, sealed)).transpose()
    }

    /// The image that a finished build was made from.
    pub(crate) async fn built_from(&self, id: &str) -> Result<Option<String>, Status> {
        let id = id.to_owned();
        let found: Option<Option<String>> = self
            .read(move |connection| {
                let sql = "SELECT made_from FROM builds WHERE id = ?1";
                connection.query_row(sql, [id], |row| row.get(0)).optional()
            })
            .await?;
        Ok(found.flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::state;
    use super::*;

    #[tokio::test]
    async fn a_build_is_known_until_it_is_over() {
        let (folder, state) = state();
        assert_eq!(state.unfinished_build("im-1").await.unwrap(), None);
        state.begin_build("im-1", b"RUN hunter2".to_vec()).await.unwrap();
        assert_eq!(state.unfinished_build("im-1").await.unwrap().unwrap(), b"RUN hunter2");
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            assert!(!bytes.windows(7).any(|part| part == b"hunter2"));
        }
        let image = |base: &str| BuiltImage { id: "im-1".into(), base: base.into(), config: "{}".into() };
        state.finish_build(image("im-a"), "im-0".into()).await.unwrap();
        assert_eq!(state.unfinished_build("im-1").await.unwrap(), None);
        assert_eq!(state.built_from("im-1").await.unwrap().as_deref(), Some("im-0"));
        // Built again: the old one is there until the new one is, or for good when that fails.
        state.begin_build("im-1", b"x".to_vec()).await.unwrap();
        state.fail_build("im-1").await.unwrap();
        assert_eq!(state.unfinished_build("im-1").await.unwrap(), None);
        assert_eq!(state.built_image("im-1").await.unwrap(), Some(image("im-a")));
        state.finish_build(image("im-b"), "im-0".into()).await.unwrap();
        assert_eq!(state.built_image("im-1").await.unwrap(), Some(image("im-b")));
        state.begin_build("im-2", b"x".to_vec()).await.unwrap();
        state.fail_build("im-2").await.unwrap();
        assert_eq!(state.built_from("im-2").await.unwrap(), None);
    }
}
