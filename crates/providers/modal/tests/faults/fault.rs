//! What goes wrong on the way, and when.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::frame::{self, Frame};

/// The direction of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    ToServer,
    ToClient,
}

/// One fault of one session. Frames and calls are counted from 1 over all connections of the session.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// Nothing; the frames are counted.
    None,
    /// The connection breaks at a frame, of which none or half arrives, and so many new connections are refused after it.
    Cut { way: Way, at: usize, half: bool, refused: usize },
    /// The connection breaks after so many bytes of the session in a direction.
    CutAfter { way: Way, bytes: usize },
    /// All that the connection has carried to the server by the time this call is answered arrives there once more, on a connection
    /// of its own whose answers nobody reads; then the answer goes on its way.
    Repeat { at: usize },
    /// From this frame to the client on, nothing arrives on its connection; it breaks once the server has answered a call.
    Silence { at: usize },
    /// A frame, and what follows it on its connection, is late.
    Delay { way: Way, at: usize },
    /// Nothing goes wrong; [`Plan::struck`] tells when the frame comes by.
    Tell { way: Way, at: usize },
    /// So many calls from this one on are answered with a status, before the server has seen them or after it has answered.
    Answer { at: usize, times: usize, answer: Answer, acted: bool },
}

/// A status of gRPC, with the details by which a server asks to wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) details: Option<&'static str>,
}

/// How late a delayed frame is.
pub(crate) const LATE: Duration = Duration::from_millis(60);

/// What becomes of a frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Pass,
    Late,
    Swallow,
    /// It passes once the server has answered the call on a stream a second time.
    Repeat(u32),
    /// So many bytes of it arrive, then the connection breaks.
    Cut(usize),
    /// These bytes go to the client in its stead, then the connection ends.
    Answer(Vec<u8>),
}

/// A fault and how far the session is.
#[derive(Debug)]
pub(crate) struct Plan {
    fault: Fault,
    counts: Mutex<Counts>,
    struck: watch::Sender<bool>,
}

/// What a session sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) to_server: usize,
    pub(crate) to_client: usize,
    pub(crate) calls: usize,
    pub(crate) bytes_to_server: usize,
    pub(crate) bytes_to_client: usize,
    refused: usize,
}

/// What the plan remembers of one connection.
#[derive(Debug, Default)]
pub(crate) struct Line {
    silent: bool,
    last_stream: u32,
    doomed: Option<u32>,
}

impl Plan {
    pub(crate) fn new(fault: Fault) -> Self {
        Self { fault, counts: Mutex::default(), struck: watch::Sender::new(false) }
    }

    pub(crate) fn counts(&self) -> Counts {
        *self.lock()
    }

    pub(crate) fn has_struck(&self) -> bool {
        *self.struck.borrow()
    }

    /// Waits until the fault has struck.
    pub(crate) async fn struck(&self) {
        let mut struck = self.struck.subscribe();
        struck.wait_for(|struck| *struck).await.expect("the plan holds the sender");
    }

    /// Says whether a new connection is refused.
    pub(crate) fn refuses(&self) -> bool {
        let Fault::Cut { refused, .. } = self.fault else { return false };
        let mut counts = self.lock();
        let refuses = self.has_struck() && counts.refused < refused;
        counts.refused += usize::from(refuses);
        refuses
    }

    /// Counts a frame and decides about it.
    pub(crate) fn judge(&self, way: Way, frame: &Frame, line: &mut Line) -> Verdict {
        let (number, before) = self.count(way, frame);
        let call = self.call(way, frame, line);
        match self.fault {
            Fault::None => Verdict::Pass,
            Fault::Cut { way: on, at, half, .. } if (on, at) == (way, number) => {
                self.strike();
                Verdict::Cut(if half { frame.0.len() / 2 } else { 0 })
            }
            Fault::CutAfter { way: on, bytes }
                if on == way && (before..before + frame.0.len()).contains(&bytes) =>
            {
                self.strike();
                Verdict::Cut(bytes - before)
            }
            Fault::Repeat { at } => self.repeat(way, frame, line, call == Some(at)),
            Fault::Delay { way: on, at } if (on, at) == (way, number) => {
                self.strike();
                Verdict::Late
            }
            Fault::Tell { way: on, at } => {
                if (on, at) == (way, number) {
                    self.strike();
                }
                Verdict::Pass
            }
            Fault::Silence { at } => self.silence(way, frame, line, number == at),
            Fault::Answer { .. } => self.answer(way, frame, line, call),
            Fault::Cut { .. } | Fault::CutAfter { .. } | Fault::Delay { .. } => Verdict::Pass,
        }
    }

    /// Counts a frame: gives its number, and how many bytes came before it.
    fn count(&self, way: Way, frame: &Frame) -> (usize, usize) {
        let mut counts = self.lock();
        let counts = &mut *counts;
        let (count, bytes) = match way {
            Way::ToServer => (&mut counts.to_server, &mut counts.bytes_to_server),
            Way::ToClient => (&mut counts.to_client, &mut counts.bytes_to_client),
        };
        *count += 1;
        *bytes += frame.0.len();
        (*count, *bytes - frame.0.len())
    }

    /// Counts the call that a frame begins, and gives its number.
    fn call(&self, way: Way, frame: &Frame, line: &mut Line) -> Option<usize> {
        let stream =
            frame.headers_of().filter(|stream| way == Way::ToServer && *stream > line.last_stream)?;
        line.last_stream = stream;
        let mut counts = self.lock();
        counts.calls += 1;
        Some(counts.calls)
    }

    /// Says whether what goes to the server has to be kept.
    pub(crate) fn repeats(&self) -> bool {
        matches!(self.fault, Fault::Repeat { .. })
    }

    fn repeat(&self, way: Way, frame: &Frame, line: &mut Line, now: bool) -> Verdict {
        if now {
            line.doomed = Some(line.last_stream);
        }
        match line.doomed {
            Some(stream) if way == Way::ToClient && frame.end_of() == Some(stream) => {
                line.doomed = None;
                self.strike();
                Verdict::Repeat(stream)
            }
            _ => Verdict::Pass,
        }
    }

    fn silence(&self, way: Way, frame: &Frame, line: &mut Line, now: bool) -> Verdict {
        if way == Way::ToServer {
            return Verdict::Pass;
        }
        line.silent |= now;
        match (line.silent, frame.end_of()) {
            (false, _) => Verdict::Pass,
            (true, None) => Verdict::Swallow,
            (true, Some(_)) => {
                self.strike();
                Verdict::Cut(0)
            }
        }
    }

    fn answer(&self, way: Way, frame: &Frame, line: &mut Line, call: Option<usize>) -> Verdict {
        let Fault::Answer { at, times, answer, acted } = self.fault else { return Verdict::Pass };
        let status = |stream| {
            self.strike();
            Verdict::Answer(frame::status(stream, answer.code, answer.details))
        };
        match (way, line.doomed) {
            (Way::ToServer, None) if call.is_some_and(|call| (at..at + times).contains(&call)) => {
                if !acted {
                    return status(line.last_stream);
                }
                line.doomed = Some(line.last_stream);
                Verdict::Pass
            }
            (Way::ToClient, Some(stream)) if frame.end_of() == Some(stream) => status(stream),
            (Way::ToClient, Some(stream)) if frame.is_of(stream) => Verdict::Swallow,
            _ => Verdict::Pass,
        }
    }

    fn strike(&self) {
        self.struck.send_replace(true);
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
