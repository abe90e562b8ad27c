//! From bytes to lines that can be shown: no colours, no control characters, no secrets, no endless line.

use std::collections::VecDeque;

use crate::build::builder::{BuildEvent, LogSink};
use crate::{REDACTED, Secret};

/// A line is cut here.
const MAX_LINE: usize = 8 * 1024;

pub(super) struct Lines {
    log: LogSink,
    hidden: Vec<Secret>,
    pending: Vec<u8>,
    /// What follows up to the next line end was cut off.
    cut: bool,
    bytes: u64,
    kept: VecDeque<String>,
    keep: usize,
}

impl Lines {
    pub(super) fn new(log: LogSink, hidden: Vec<Secret>, keep: usize) -> Self {
        // What is too short to be a secret would hide half of the log.
        let hidden = hidden.into_iter().filter(|secret| secret.expose().len() >= 4).collect();
        Self { log, hidden, pending: Vec::new(), cut: false, bytes: 0, kept: VecDeque::new(), keep }
    }

    /// How many bytes came so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn take(&mut self, mut bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.add(bytes.get(..end).unwrap_or_default());
            self.flush();
            self.cut = false;
            bytes = bytes.get(end + 1..).unwrap_or_default();
        }
        self.add(bytes);
    }

    fn add(&mut self, bytes: &[u8]) {
        if self.cut {
            return;
        }
        let room = MAX_LINE.saturating_sub(self.pending.len());
        self.pending.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
        if bytes.len() > room {
            self.pending.extend_from_slice(" [line cut]".as_bytes());
            self.flush();
            self.cut = true;
        }
    }

    /// The end of the output: what has no line end is a line too.
    pub(super) fn finish(&mut self) {
        if !self.pending.is_empty() {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.cut {
            return;
        }
        let mut text = plain(&String::from_utf8_lossy(&self.pending));
        self.pending.clear();
        for secret in &self.hidden {
            if text.contains(secret.expose()) {
                text = text.replace(secret.expose(), REDACTED);
            }
        }
        (self.log)(BuildEvent::Line(text.clone()));
        if self.kept.len() == self.keep {
            self.kept.pop_front();
        }
        self.kept.push_back(text);
    }

    pub(super) fn last(&self, count: usize) -> Vec<String> {
        self.kept.iter().skip(self.kept.len().saturating_sub(count)).cloned().collect()
    }

    pub(super) fn kept(self) -> Vec<String> {
        self.kept.into()
    }
}

/// The text without what moves a terminal's cursor or colours it (ECMA-48 control sequences).
fn plain(text: &str) -> String {
    // A progress bar writes over itself; what it wrote last is what is seen.
    let text = text.trim_end_matches('\r');
    let text = text.rsplit('\r').next().unwrap_or_default();
    let mut shown = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => {
                if chars.next() == Some('[') {
                    let _final = chars.find(|c| ('\u{40}'..='\u{7e}').contains(c));
                }
            }
            '\t' => shown.push('\t'),
            c if c.is_control() => {}
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn lines_are_shown_plain_cut_and_without_secrets() {
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let sink = Arc::clone(&seen);
        let log: LogSink = Arc::new(move |event| {
            let BuildEvent::Line(line) = event else { return };
            sink.lock().unwrap().push(line);
        });
        let mut lines = Lines::new(log, vec![Secret::new("pa55word")], 2);
        lines.take(b"\x1b[31mred\x1b[0m te");
        lines.take(b"xt\r\n10%\r100%\nthe pa55word\n");
        lines.take(&[b'x'; MAX_LINE + 10]);
        lines.take(b"gone\nlast");
        lines.finish();
        let seen = seen.lock().unwrap().clone();
        assert_eq!(seen[..3], ["red text", "100%", "the ******"]);
        assert_eq!(seen[3].len(), MAX_LINE + " [line cut]".len());
        assert_eq!((seen.len(), seen[4].as_str()), (5, "last"));
        assert_eq!(lines.kept().len(), 2);
    }
}
