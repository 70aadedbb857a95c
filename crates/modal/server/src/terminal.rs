//! Terminals as the wire asks for them: a size and what kind of terminal the client has.

use openlattice_engine::TerminalSize;
use openlattice_modal_proto::client::PtyInfo;
use std::collections::HashMap;
use tonic::Status;

/// The size of a terminal that nobody looks at: clients without one send 0 x 0.
const USUAL: TerminalSize = TerminalSize { rows: 24, columns: 80 };

/// A terminal asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Terminal {
    pub(crate) size: TerminalSize,
    /// Variables that tell its kind; what the request sets itself wins over them.
    pub(crate) env: HashMap<String, String>,
}

impl Terminal {
    /// Reads a request's `pty_info`; one that is not enabled asks for none. `pty_type` and `no_terminate_on_idle_stdin` tell Modal's
    /// own runner what to do with an idle shell, which runs on here.
    pub(crate) fn read(info: Option<PtyInfo>) -> Result<Option<Self>, Status> {
        let Some(info) = info.filter(|info| info.enabled) else { return Ok(None) };
        let PtyInfo {
            enabled: _,
            winsz_rows,
            winsz_cols,
            env_term,
            env_colorterm,
            env_term_program,
            pty_type: _,
            no_terminate_on_idle_stdin: _,
        } = info;
        let size = TerminalSize {
            rows: length("winsz_rows", winsz_rows, USUAL.rows)?,
            columns: length("winsz_cols", winsz_cols, USUAL.columns)?,
        };
        let kinds = [("TERM", env_term), ("COLORTERM", env_colorterm), ("TERM_PROGRAM", env_term_program)];
        let told = kinds.into_iter().filter(|(_, value)| !value.is_empty());
        Ok(Some(Self { size, env: told.map(|(name, value)| (name.to_owned(), value)).collect() }))
    }
}

fn length(field: &str, asked: u32, usual: u16) -> Result<u16, Status> {
    match u16::try_from(asked) {
        Ok(0) => Ok(usual),
        Ok(length) => Ok(length),
        Err(_) => {
            let most = u16::MAX;
            Err(Status::invalid_argument(format!("pty_info.{field} {asked} is more than {most}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(rows: u32, columns: u32) -> Option<PtyInfo> {
        Some(PtyInfo { enabled: true, winsz_rows: rows, winsz_cols: columns, ..Default::default() })
    }

    #[test]
    fn m12_a_terminal_without_a_size_is_24_x_80() {
        let size = |info| Terminal::read(info).unwrap().unwrap().size;
        assert_eq!(size(info(0, 0)), USUAL);
        assert_eq!(size(info(50, 132)), TerminalSize { rows: 50, columns: 132 });
        assert_eq!(Terminal::read(info(70_000, 80)).unwrap_err().code(), tonic::Code::InvalidArgument);
    }

    #[test]
    fn m12_none_is_given_unless_it_is_enabled() {
        assert_eq!(Terminal::read(None).unwrap(), None);
        assert_eq!(Terminal::read(Some(PtyInfo { pty_type: 2, ..Default::default() })).unwrap(), None);
    }

    #[test]
    fn m12_the_kind_of_terminal_becomes_variables() {
        let asked =
            PtyInfo { env_term: "vt100".into(), env_colorterm: "truecolor".into(), ..info(1, 1).unwrap() };
        let env = Terminal::read(Some(asked)).unwrap().unwrap().env;
        let told = [("TERM", "vt100"), ("COLORTERM", "truecolor")];
        assert_eq!(env, told.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }
}
