//! Everything that any crate reports to `tracing`, at every level, searched as it comes.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

use crate::planted::search;

/// Takes all spans and events of this process.
#[derive(Debug, Default)]
pub(crate) struct Log {
    spans: AtomicU64,
    events: &'static Counter,
}

/// How many events came.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Default for &Counter {
    fn default() -> Self {
        static EVENTS: Counter = Counter(AtomicU64::new(0));
        &EVENTS
    }
}

impl Log {
    /// Becomes the log of this process.
    pub(crate) fn install() -> &'static Counter {
        let log = Self::default();
        let events = log.events;
        tracing::subscriber::set_global_default(log).unwrap();
        events
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Line {
    fn of(metadata: &Metadata<'_>) -> Self {
        Self(format!("{} {} {}", metadata.level(), metadata.target(), metadata.name()))
    }

    fn search(&self, metadata: &Metadata<'_>) {
        search(&format!("log of {}", metadata.target()), &self.0);
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        let mut line = Line::of(span.metadata());
        span.record(&mut line);
        line.search(span.metadata());
        span::Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        let mut line = Line(String::new());
        values.record(&mut line);
        search("log of a span", &line.0);
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        self.events.0.fetch_add(1, Ordering::Relaxed);
        let mut line = Line::of(event.metadata());
        event.record(&mut line);
        line.search(event.metadata());
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}
