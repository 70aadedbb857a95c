//! What calls with an idempotency key were answered, so that a retry gets the same answer and makes nothing twice.

use super::{State, now};
use rusqlite::{OptionalExtension, params};
use tonic::Status;

/// How long an answer is remembered, in seconds. Clients retry for under a second, or at a server's request for longer.
const KEPT: f64 = 600.0;

impl State {
    /// The value kept for a call, or `candidate`, which is kept from now on. The flag says that it was kept before.
    pub(crate) async fn reserve(
        &self,
        method: &'static str,
        key: &str,
        candidate: String,
    ) -> Result<(String, bool), Status> {
        let key = key.to_owned();
        self.note(move |connection| {
            let now = now();
            connection.execute("DELETE FROM replies WHERE at < ?1", [now - KEPT])?;
            let sql = "SELECT value FROM replies WHERE method = ?1 AND key = ?2";
            if let Some(kept) = connection.query_row(sql, [method, &key], |row| row.get(0)).optional()? {
                return Ok((kept, true));
            }
            let sql = "INSERT INTO replies (method, key, value, at) VALUES (?1, ?2, ?3, ?4)";
            connection.execute(sql, params![method, key, candidate, now])?;
            Ok((candidate, false))
        })
        .await
    }

    /// Forgets a call that failed, so that its retry starts anew.
    pub(crate) async fn release(&self, method: &'static str, key: &str) -> Result<(), Status> {
        let key = key.to_owned();
        self.note(move |connection| {
            connection.execute("DELETE FROM replies WHERE method = ?1 AND key = ?2", [method, &key]).map(drop)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::state;

    #[tokio::test]
    async fn a_key_keeps_its_first_value_per_method() {
        let (_folder, state) = state();
        assert_eq!(state.reserve("A", "k", "1".into()).await.unwrap(), ("1".into(), false));
        assert_eq!(state.reserve("A", "k", "2".into()).await.unwrap(), ("1".into(), true));
        assert_eq!(state.reserve("B", "k", "3".into()).await.unwrap(), ("3".into(), false));
        state.release("A", "k").await.unwrap();
        assert_eq!(state.reserve("A", "k", "4".into()).await.unwrap(), ("4".into(), false));
    }
}
