//! Secrets, encrypted with a key that lies in a file beside the database.
//!
//! Whoever reads both files reads the secrets: the encryption protects copies of the database, not the machine.

use super::{State, now};
use crate::ids;
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac,
    rand::{SecureRandom, SystemRandom},
};
use rusqlite::{Connection, OptionalExtension, params};
use std::{collections::BTreeMap, fmt};
use tonic::Status;

/// How long a secret without a name is kept, in seconds: a sandbox made right after it has it then.
const EPHEMERAL: f64 = 86_400.0;

/// A secret to keep. `Debug` hides its values.
pub(crate) struct SecretSpec {
    pub(crate) environment: String,
    /// `None`: ephemeral.
    pub(crate) name: Option<String>,
    pub(crate) values: BTreeMap<String, String>,
    /// Replaces one of the same name.
    pub(crate) overwrite: bool,
}

impl fmt::Debug for SecretSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretSpec").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What is known of a secret without opening it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Secret {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) environment: String,
    pub(crate) keys: Vec<String>,
    pub(crate) created_at: f64,
}

impl State {
    /// Keeps a secret. One of the same name stays unless `overwrite`; the flag says that this one was kept.
    pub(crate) async fn keep_secret(&self, spec: SecretSpec) -> Result<(Secret, bool), Status> {
        let id = ids::new("st");
        let keys: Vec<String> = spec.values.keys().cloned().collect();
        let sealed = seal(&self.secret_key, &id, text(&spec.values)?)?;
        self.write(move |connection| {
            connection.execute("DELETE FROM secrets WHERE name IS NULL AND created_at < ?1", [now() - EPHEMERAL])?;
            if let Some(name) = &spec.name
                && let Some(found) = find_name(connection, &spec.environment, name)?
            {
                if !spec.overwrite {
                    return Ok((found, false));
                }
                connection.execute("DELETE FROM secrets WHERE id = ?1", [found.id])?;
            }
            let sql = "INSERT INTO secrets (id, environment, name, keys, sealed, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            connection.execute(sql, params![id, spec.environment, spec.name, keys.join("\n"), sealed, now()])?;
            find(connection, &id)?.map(|kept| (kept, true)).ok_or(rusqlite::Error::QueryReturnedNoRows)
        })
        .await
    }

    /// What is known of the secret of an id.
    pub(crate) async fn secret(&self, id: &str) -> Result<Option<Secret>, Status> {
        let id = id.to_owned();
        self.read(move |connection| find(connection, &id)).await
    }

    /// What is known of the secret of a name.
    pub(crate) async fn secret_by_name(
        &self,
        environment: &str,
        name: &str,
    ) -> Result<Option<Secret>, Status> {
        let (environment, name) = (environment.to_owned(), name.to_owned());
        self.read(move |connection| find_name(connection, &environment, &name)).await
    }

    /// The values of the secret of an id; `NOT_FOUND` when there is none.
    pub(crate) async fn open_secret(&self, id: &str) -> Result<BTreeMap<String, String>, Status> {
        let wanted = id.to_owned();
        let sealed: Option<Vec<u8>> = self
            .read(move |connection| {
                connection
                    .query_row("SELECT sealed FROM secrets WHERE id = ?1", [wanted], |row| row.get(0))
                    .optional()
            })
            .await?;
        let sealed = sealed.ok_or_else(|| Status::not_found(format!("no secret {id:?}")))?;
        let text = unseal(&self.secret_key, id, sealed)?;
        serde_json::from_slice(&text).map_err(|error| Status::data_loss(format!("secret {id:?}: {error}")))
    }

    /// A text that stands for the values of a secret and does not let them be guessed; `NOT_FOUND` when there is none.
    pub(crate) async fn secret_digest(&self, id: &str) -> Result<String, Status> {
        let values = text(&self.open_secret(id).await?)?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.secret_key);
        Ok(hmac::sign(&key, &values).as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

const COLUMNS: &str = "SELECT id, name, environment, keys, created_at FROM secrets";

fn secret(row: &rusqlite::Row<'_>) -> rusqlite::Result<Secret> {
    let keys: String = row.get(3)?;
    Ok(Secret {
        id: row.get(0)?,
        name: row.get(1)?,
        environment: row.get(2)?,
        keys: keys.lines().map(str::to_owned).collect(),
        created_at: row.get(4)?,
    })
}

fn find(connection: &Connection, id: &str) -> rusqlite::Result<Option<Secret>> {
    connection.query_row(&format!("{COLUMNS} WHERE id = ?1"), [id], secret).optional()
}

fn find_name(connection: &Connection, environment: &str, name: &str) -> rusqlite::Result<Option<Secret>> {
    let sql = format!("{COLUMNS} WHERE environment = ?1 AND name = ?2");
    connection.query_row(&sql, [environment, name], secret).optional()
}

fn cipher(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).expect("the key has the cipher's length"))
}

/// The form in which values are sealed.
fn text(values: &BTreeMap<String, String>) -> Result<Vec<u8>, Status> {
    serde_json::to_vec(values).map_err(|error| Status::internal(error.to_string()))
}

/// A random nonce, then the ciphertext; the secret's id is authenticated with it, so that rows cannot be swapped.
pub(super) fn seal(key: &[u8; 32], id: &str, mut text: Vec<u8>) -> Result<Vec<u8>, Status> {
    let mut nonce = [0_u8; NONCE_LEN];
    SystemRandom::new().fill(&mut nonce).map_err(|_| Status::internal("no random numbers"))?;
    cipher(key)
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(id), &mut text)
        .map_err(|_| Status::internal("cannot encrypt a secret"))?;
    Ok([&nonce[..], &text].concat())
}

/// What was sealed under an id.
pub(super) fn unseal(key: &[u8; 32], id: &str, mut sealed: Vec<u8>) -> Result<Vec<u8>, Status> {
    let failed = || Status::data_loss(format!("{id:?} cannot be decrypted; the store's key has changed"));
    if sealed.len() < NONCE_LEN {
        return Err(failed());
    }
    let mut text = sealed.split_off(NONCE_LEN);
    let nonce = Nonce::try_assume_unique_for_key(&sealed).map_err(|_| failed())?;
    let text = cipher(key).open_in_place(nonce, Aad::from(id), &mut text).map_err(|_| failed())?;
    Ok(text.to_vec())
}

#[cfg(test)]
mod tests {
    use super::super::tests::state;
    use super::*;

    fn spec(name: Option<&str>, overwrite: bool) -> SecretSpec {
        let values = [("K".to_owned(), "hunter2".to_owned())].into();
        SecretSpec { environment: "main".into(), name: name.map(str::to_owned), values, overwrite }
    }

    #[tokio::test]
    async fn values_come_back_and_are_not_in_the_file() {
        let (folder, state) = state();
        let (kept, _) = state.keep_secret(spec(Some("s"), false)).await.unwrap();
        assert_eq!(kept.keys, ["K"]);
        assert_eq!(state.open_secret(&kept.id).await.unwrap()["K"], "hunter2");
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            assert!(!bytes.windows(7).any(|part| part == b"hunter2"));
        }
    }

    #[tokio::test]
    async fn a_name_is_replaced_only_when_asked() {
        let (_folder, state) = state();
        let (first, _) = state.keep_secret(spec(Some("s"), false)).await.unwrap();
        let (again, kept) = state.keep_secret(spec(Some("s"), false)).await.unwrap();
        assert_eq!((again.id, kept), (first.id.clone(), false));
        let (new, kept) = state.keep_secret(spec(Some("s"), true)).await.unwrap();
        assert!(kept && new.id != first.id);
        assert_eq!(state.open_secret(&first.id).await.unwrap_err().code(), tonic::Code::NotFound);
    }

    #[test]
    fn a_swapped_row_does_not_open() {
        let sealed = seal(&[7; 32], "st-1", b"x".to_vec()).unwrap();
        assert!(unseal(&[7; 32], "st-1", sealed.clone()).is_ok());
        assert!(unseal(&[7; 32], "st-2", sealed.clone()).is_err());
        assert!(unseal(&[8; 32], "st-1", sealed).is_err());
        assert!(unseal(&[7; 32], "st-1", vec![1]).is_err());
    }
}
