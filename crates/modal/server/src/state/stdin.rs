//! How far the first generation's main-process input got: clients number its pieces, the engine counts bytes.

use super::State;
use rusqlite::{OptionalExtension, params};
use tonic::Status;

/// The last accepted piece of a sandbox's input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StdinMark {
    /// Its number; 0 before the first.
    pub(crate) last_index: u32,
    /// Offset of the byte after it.
    pub(crate) next_offset: u64,
}

impl State {
    /// The mark of a sandbox.
    pub(crate) async fn stdin_mark(&self, sandbox: &str) -> Result<StdinMark, Status> {
        let sandbox = sandbox.to_owned();
        self.read(move |connection| {
            let sql = "SELECT last_index, next_offset FROM stdin_marks WHERE sandbox = ?1";
            let row = connection.query_row(sql, [sandbox], |row| {
                let next: i64 = row.get(1)?;
                Ok(StdinMark { last_index: row.get(0)?, next_offset: next.unsigned_abs() })
            });
            row.optional().map(Option::unwrap_or_default)
        })
        .await
    }

    /// Moves the mark of a sandbox.
    pub(crate) async fn set_stdin_mark(&self, sandbox: &str, mark: StdinMark) -> Result<(), Status> {
        let sandbox = sandbox.to_owned();
        let next = i64::try_from(mark.next_offset).unwrap_or(i64::MAX);
        self.note(move |connection| {
            let sql =
                "INSERT OR REPLACE INTO stdin_marks (sandbox, last_index, next_offset) VALUES (?1, ?2, ?3)";
            connection.execute(sql, params![sandbox, mark.last_index, next]).map(drop)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::state;
    use super::*;

    #[tokio::test]
    async fn marks_move() {
        let (_folder, state) = state();
        assert_eq!(state.stdin_mark("sb-1").await.unwrap(), StdinMark::default());
        let mark = StdinMark { last_index: 2, next_offset: 10 };
        state.set_stdin_mark("sb-1", mark).await.unwrap();
        assert_eq!(state.stdin_mark("sb-1").await.unwrap(), mark);
    }
}
