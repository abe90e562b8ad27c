//! The channel that is always there: the program's own log.

use async_trait::async_trait;

use super::alert::Severity;
use super::channel::{Channel, ChannelLimits, Message, Receipt};
use super::render::Text;
use crate::Result;

/// Says alerts through `tracing`, under the target `streampark::alert`: critical and error alerts
/// at `ERROR`, warnings at `WARN`, the rest at `INFO`.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Log;

impl Log {
    /// The log that the embedder's subscriber writes.
    pub fn new() -> Self {
        Self
    }
}

#[async_trait]
impl Channel for Log {
    fn kind(&self) -> &str {
        "log"
    }

    fn limits(&self) -> ChannelLimits {
        ChannelLimits::default()
    }

    async fn send(&self, message: &Message) -> Result<Receipt> {
        let text = Text::of(message, 100);
        let (id, count, plain) = (message.id, message.alerts.len(), text.plain());
        match text.severity {
            Severity::Critical | Severity::Error => {
                tracing::error!(target: "streampark::alert", %id, count, "{plain}");
            }
            Severity::Warning => tracing::warn!(target: "streampark::alert", %id, count, "{plain}"),
            Severity::Info => tracing::info!(target: "streampark::alert", %id, count, "{plain}"),
        }
        Ok(Receipt::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::{Alert, AlertId, AlertKind, DeliveryId};
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn the_severity_decides_the_level() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).without_time().with_writer(move || writer.clone()).finish();
        let guard = tracing::subscriber::set_default(subscriber);
        for kind in [AlertKind::CrashLoop, AlertKind::JobUnhealthy, AlertKind::JobRecovered] {
            let alert = Alert::new(AlertId::from_u128(1), kind, "i", kind.as_str(), jiff::Timestamp::UNIX_EPOCH);
            Log::new().send(&Message::new(DeliveryId::from_u128(7), vec![alert])).await.unwrap();
        }
        drop(guard);
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let levels: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("streampark::alert"))
            .map(|l| l.trim_start().split(' ').next().unwrap())
            .collect();
        assert_eq!(levels, ["ERROR", "WARN", "INFO"], "{text}");
        assert!(text.contains("[critical] crash_loop"), "{text}");
    }
}
