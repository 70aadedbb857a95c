//! Environments and apps: names that scope sandboxes' names.

use super::{State, now};
use crate::ids;
use rusqlite::{Connection, OptionalExtension, Row, params};
use tonic::Status;

/// Environment of callers that name none.
pub(crate) const DEFAULT_ENVIRONMENT: &str = "main";

/// An app as kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct App {
    pub(crate) id: String,
    pub(crate) environment: String,
    pub(crate) name: String,
    pub(crate) created_at: f64,
}

/// How an app is looked up.
#[derive(Clone, Debug)]
pub(crate) enum AppKey {
    Id(String),
    Name { environment: String, name: String },
}

fn app(row: &Row<'_>) -> rusqlite::Result<App> {
    Ok(App { id: row.get(0)?, environment: row.get(1)?, name: row.get(2)?, created_at: row.get(3)? })
}

fn find(connection: &Connection, key: &AppKey) -> rusqlite::Result<Option<App>> {
    const COLUMNS: &str = "SELECT id, environment, name, created_at FROM apps";
    match key {
        AppKey::Id(id) => connection.query_row(&format!("{COLUMNS} WHERE id = ?1"), [id], app).optional(),
        AppKey::Name { environment, name } => {
            let sql = format!("{COLUMNS} WHERE environment = ?1 AND name = ?2");
            connection.query_row(&sql, [environment, name], app).optional()
        }
    }
}

impl State {
    /// The environment of a name, made on first mention; an empty name is the default one. Returns id and name.
    pub(crate) async fn environment(&self, name: &str) -> Result<(String, String), Status> {
        let name = if name.is_empty() { DEFAULT_ENVIRONMENT } else { name }.to_owned();
        let wanted = name.clone();
        let known = move |connection: &Connection| {
            let sql = "SELECT id FROM environments WHERE name = ?1";
            connection.query_row(sql, [&wanted], |row| row.get(0)).optional()
        };
        if let Some(id) = self.read(known).await? {
            return Ok((id, name));
        }
        self.write(move |connection| {
            let sql = "INSERT OR IGNORE INTO environments (id, name, created_at) VALUES (?1, ?2, ?3)";
            connection.execute(sql, params![ids::new("en"), name, now()])?;
            let id = connection
                .query_row("SELECT id FROM environments WHERE name = ?1", [&name], |row| row.get(0))?;
            Ok((id, name))
        })
        .await
    }

    /// An app, if there is one.
    pub(crate) async fn app(&self, key: AppKey) -> Result<Option<App>, Status> {
        self.read(move |connection| find(connection, &key)).await
    }

    /// The app of a name, made when missing. The flag says that it was made now.
    pub(crate) async fn make_app(&self, environment: String, name: String) -> Result<(App, bool), Status> {
        let key = AppKey::Name { environment: environment.clone(), name: name.clone() };
        if let Some(app) = self.app(key).await? {
            return Ok((app, false));
        }
        self.write(move |connection| {
            let sql =
                "INSERT OR IGNORE INTO apps (id, environment, name, created_at) VALUES (?1, ?2, ?3, ?4)";
            let made = connection.execute(sql, params![ids::new("ap"), environment, name, now()])? == 1;
            let found = find(connection, &AppKey::Name { environment, name })?;
            found.map(|app| (app, made)).ok_or(rusqlite::Error::QueryReturnedNoRows)
        })
        .await
    }

    /// Ids of the apps of an environment.
    pub(crate) async fn apps_of(&self, environment: String) -> Result<Vec<String>, Status> {
        self.read(move |connection| {
            let mut statement = connection.prepare("SELECT id FROM apps WHERE environment = ?1")?;
            statement.query_map([environment], |row| row.get(0))?.collect()
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::state;
    use super::*;

    #[tokio::test]
    async fn a_name_keeps_its_app() {
        let (_folder, state) = state();
        let (first, made) = state.make_app("main".into(), "a".into()).await.unwrap();
        let (again, made_again) = state.make_app("main".into(), "a".into()).await.unwrap();
        assert_eq!((first.clone(), made, made_again), (again, true, false));
        assert_eq!(state.app(AppKey::Id(first.id.clone())).await.unwrap(), Some(first.clone()));
        let (other, _) = state.make_app("dev".into(), "a".into()).await.unwrap();
        assert_ne!(first.id, other.id);
        assert_eq!(state.apps_of("dev".into()).await.unwrap(), [other.id]);
    }

    #[tokio::test]
    async fn no_name_is_the_default_environment() {
        let (_folder, state) = state();
        let (id, name) = state.environment("").await.unwrap();
        assert_eq!(name, DEFAULT_ENVIRONMENT);
        assert_eq!(state.environment("main").await.unwrap().0, id);
    }
}
