//! Reading a file by pieces.

use bytes::Bytes;

use super::{
    absolute,
    tool::{self, Tool},
};
use crate::error::Result;
use crate::exec::Exec;
use crate::output::{Output, OutputStream};
use crate::sandbox::Sandbox;

/// Reads one file by pieces. Dropping it leaves the rest unread.
#[derive(Debug)]
pub struct FileReader {
    path: String,
    exec: Exec,
    output: Output,
}

impl Sandbox {
    /// Opens a file to read it by pieces from an offset in bytes on, whatever its size.
    ///
    /// # Errors
    /// Those of starting the file tool. Errors about the path come from [`FileReader::read`], as those of
    /// [`read_file`](Self::read_file).
    pub async fn read_file_stream(&self, path: &str, offset: u64) -> Result<FileReader> {
        let exec = self.start_tool(&Tool::ReadFile { path: absolute(path)? }).await?;
        let output = exec.output(OutputStream::Stdout, offset);
        Ok(FileReader { path: path.to_owned(), exec, output })
    }
}

impl FileReader {
    /// Gives the position of the next byte in the file.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.output.offset()
    }

    /// Waits for the next bytes; nothing means the end of the whole file.
    ///
    /// A broken connection is resumed where it broke. Dropping the future loses nothing.
    ///
    /// # Errors
    /// As [`read_file`](Sandbox::read_file).
    pub async fn read(&mut self) -> Result<Option<Bytes>> {
        if let Some(chunk) = self.output.read().await? {
            return Ok(Some(chunk));
        }
        // Only the exit tells whether it was the end of the file, or of the tool.
        tool::settle(&Tool::ReadFile { path: &self.path }, &self.exec).await?;
        Ok(None)
    }
}
