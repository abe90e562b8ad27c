//! What the engine says through `tracing`, handed to Python's `logging` under the name `streampark`.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use pyo3::prelude::*;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::interpreter;

/// Lines that wait for the interpreter; more are dropped and counted, so that a busy interpreter
/// never holds supervision up.
const QUEUE: usize = 1_024;

struct Line {
    level: u32,
    target: String,
    text: String,
}

struct Bridge {
    dropped: AtomicU64,
}

/// The thread that hands lines over, begun with the first line.
struct Writer {
    queue: Option<SyncSender<Line>>,
    thread: Option<JoinHandle<()>>,
    closed: bool,
}

static WRITER: Mutex<Writer> = Mutex::new(Writer { queue: None, thread: None, closed: false });

fn writer() -> MutexGuard<'static, Writer> {
    WRITER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hands over what waits and ends the thread.
pub(crate) fn close(py: Python<'_>) {
    let thread = {
        let mut writer = writer();
        writer.closed = true;
        writer.queue = None;
        writer.thread.take()
    };
    if let Some(thread) = thread {
        // A thread that panicked has ended as well.
        let _ended = py.detach(|| thread.join());
    }
}

/// Installs the bridge for this module alone; a second call changes nothing.
pub(crate) fn install() {
    let bridge = Bridge { dropped: AtomicU64::new(0) };
    let _known = tracing::subscriber::set_global_default(bridge);
}

fn hand_over(lines: &Receiver<Line>) {
    while let Ok(line) = lines.recv() {
        let handed = interpreter::attach(|py| {
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
        let mut writer = writer();
        if writer.closed {
            return;
        }
        if writer.queue.is_none() {
            let (sender, lines) = sync_channel(QUEUE);
            // Without the thread lines are dropped, which the counter tells.
            let begun = std::thread::Builder::new().name("streampark-log".to_owned()).spawn(move || hand_over(&lines));
            writer.thread = begun.ok();
            writer.queue = Some(sender);
        }
        if writer.queue.as_ref().is_some_and(|queue| queue.try_send(line).is_err()) {
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
