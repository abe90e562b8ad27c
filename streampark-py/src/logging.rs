//! What the engine says through `tracing`, handed to Python's `logging` under the name `streampark`.

use std::fmt::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use pyo3::prelude::*;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Lines that wait for the interpreter; more are dropped and counted, so that a busy interpreter
/// never holds supervision up.
const QUEUE: usize = 1_024;

struct Line {
    level: u32,
    target: String,
    text: String,
}

struct Bridge {
    queue: OnceLock<SyncSender<Line>>,
    dropped: AtomicU64,
}

/// Installs the bridge for this module alone; a second call changes nothing.
pub(crate) fn install() {
    let bridge = Bridge { queue: OnceLock::new(), dropped: AtomicU64::new(0) };
    let _known = tracing::subscriber::set_global_default(bridge);
}

fn hand_over(lines: &Receiver<Line>) {
    while let Ok(line) = lines.recv() {
        let handed = Python::try_attach(|py| {
            let logger = py.import("logging")?.call_method1("getLogger", (line.target,))?;
            logger.call_method1("log", (line.level, "%s", line.text)).map(drop)
        });
        if handed.is_none() {
            return;
        }
    }
}

impl Bridge {
    fn send(&self, line: Line) {
        let queue = self.queue.get_or_init(|| {
            let (sender, lines) = sync_channel(QUEUE);
            // Without the thread lines are dropped, which the counter tells.
            let _thread =
                std::thread::Builder::new().name("streampark-log".to_owned()).spawn(move || hand_over(&lines));
            sender
        });
        if queue.try_send(line).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Subscriber for Bridge {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO && metadata.target().starts_with("streampark")
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let mut text = Text::default();
        event.record(&mut text);
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            let _written = write!(text.fields, " lines_dropped={dropped}");
        }
        let level = match *metadata.level() {
            Level::ERROR => 40,
            Level::WARN => 30,
            _ => 20,
        };
        let target = metadata.target().replacen("streampark_core", "streampark", 1).replace("::", ".");
        self.send(Line { level, target, text: text.message + &text.fields });
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _written = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, " {}={value:?}", field.name())
        };
    }
}
