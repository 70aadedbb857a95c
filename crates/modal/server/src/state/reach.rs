//! How sandboxes are reached: the numbers of the TLS listeners for their ports, and when their probes passed.

use super::{State, now};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::{HashMap, HashSet};
use tonic::Status;

/// How long the time of a passed probe is kept, in seconds: longer than ended sandboxes stay known.
const KEPT: f64 = 90.0 * 86_400.0;

/// The numbers of one port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PortNumbers {
    /// The port inside the sandbox.
    pub(crate) inside: u16,
    /// The listener.
    pub(crate) tls: u16,
}

impl State {
    /// The numbers of a sandbox's ports, in the order in which they were kept.
    pub(crate) async fn ports(&self, sandbox: &str) -> Result<Vec<PortNumbers>, Status> {
        let sandbox = sandbox.to_owned();
        self.read(move |connection| {
            let sql = "SELECT inside, tls FROM ports WHERE sandbox = ?1 ORDER BY position";
            let mut statement = connection.prepare(sql)?;
            let rows = statement
                .query_map([sandbox], |row| Ok(PortNumbers { inside: row.get(0)?, tls: row.get(1)? }));
            rows?.collect()
        })
        .await
    }

    /// Replaces the numbers of a sandbox's ports.
    pub(crate) async fn keep_ports(&self, sandbox: &str, numbers: Vec<PortNumbers>) -> Result<(), Status> {
        let sandbox = sandbox.to_owned();
        self.note(move |connection| {
            delete_ports(connection, &sandbox)?;
            let sql = "INSERT INTO ports (sandbox, position, inside, tls) VALUES (?1, ?2, ?3, ?4)";
            for (position, port) in (0_u32..).zip(&numbers) {
                connection.execute(sql, params![sandbox, position, port.inside, port.tls])?;
            }
            Ok(())
        })
        .await
    }

    /// Forgets the numbers of a sandbox's ports.
    pub(crate) async fn forget_ports(&self, sandbox: &str) -> Result<(), Status> {
        let sandbox = sandbox.to_owned();
        self.note(move |connection| delete_ports(connection, &sandbox)).await
    }

    /// Forgets the numbers of all sandboxes but these.
    pub(crate) async fn keep_ports_of(&self, sandboxes: HashSet<String>) -> Result<(), Status> {
        self.note(move |connection| {
            let mut statement = connection.prepare("SELECT DISTINCT sandbox FROM ports")?;
            let known = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
            for sandbox in known.iter().filter(|sandbox| !sandboxes.contains(*sandbox)) {
                delete_ports(connection, sandbox)?;
            }
            Ok(())
        })
        .await
    }

    /// When a sandbox's probe passed, in Unix seconds.
    pub(crate) async fn ready_at(&self, sandbox: &str) -> Result<Option<f64>, Status> {
        let sandbox = sandbox.to_owned();
        self.read(move |connection| ready(connection, &sandbox)).await
    }

    /// When the probes of sandboxes passed, of all that did.
    pub(crate) async fn ready_times(&self) -> Result<HashMap<String, f64>, Status> {
        self.read(|connection| {
            let mut statement = connection.prepare("SELECT sandbox, at FROM ready")?;
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })
        .await
    }

    /// Keeps when a sandbox's probe passed; an earlier time stays. Returns what is kept.
    pub(crate) async fn keep_ready(&self, sandbox: &str, at: f64) -> Result<f64, Status> {
        let sandbox = sandbox.to_owned();
        self.note(move |connection| {
            connection.execute("DELETE FROM ready WHERE at < ?1", [now() - KEPT])?;
            connection
                .execute("INSERT OR IGNORE INTO ready (sandbox, at) VALUES (?1, ?2)", params![sandbox, at])?;
            ready(connection, &sandbox)?.ok_or(rusqlite::Error::QueryReturnedNoRows)
        })
        .await
    }
}

fn delete_ports(connection: &Connection, sandbox: &str) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM ports WHERE sandbox = ?1", [sandbox]).map(drop)
}

fn ready(connection: &Connection, sandbox: &str) -> rusqlite::Result<Option<f64>> {
    connection.query_row("SELECT at FROM ready WHERE sandbox = ?1", [sandbox], |row| row.get(0)).optional()
}

#[cfg(test)]
mod tests {
    use super::super::tests::state;
    use super::*;

    #[tokio::test]
    async fn numbers_are_replaced_and_forgotten() {
        let (_folder, state) = state();
        let one = PortNumbers { inside: 80, tls: 40_001 };
        let two = PortNumbers { inside: 79, tls: 40_002 };
        state.keep_ports("sb-1", vec![one, two]).await.unwrap();
        assert_eq!(state.ports("sb-1").await.unwrap(), [one, two]);
        state.keep_ports("sb-1", vec![two]).await.unwrap();
        state.keep_ports("sb-2", vec![one]).await.unwrap();
        assert_eq!(state.ports("sb-1").await.unwrap(), [two]);
        state.keep_ports_of(["sb-1".to_owned()].into()).await.unwrap();
        assert_eq!(state.ports("sb-2").await.unwrap(), []);
        state.forget_ports("sb-1").await.unwrap();
        assert_eq!(state.ports("sb-1").await.unwrap(), []);
    }

    #[tokio::test]
    async fn the_first_time_stays() {
        let (_folder, state) = state();
        let at = now();
        assert_eq!(state.ready_at("sb-1").await.unwrap(), None);
        assert_eq!(state.keep_ready("sb-1", at).await.unwrap(), at);
        assert_eq!(state.keep_ready("sb-1", at + 1.0).await.unwrap(), at);
        assert_eq!(state.ready_times().await.unwrap(), [("sb-1".to_owned(), at)].into());
    }
}
