//! Options out of Python's keyword arguments: times are seconds, what is left out keeps its default.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use streampark_core::alert::DispatcherOptions;
use streampark_core::flink::RestOptions;
use streampark_core::supervisor::SupervisorOptions;
use streampark_core::{Error, Result};

use crate::convert::{duration, parse};

type Fields = BTreeMap<String, Value>;

struct Reader {
    fields: Fields,
    what: &'static str,
}

impl Reader {
    fn new(json: &str, what: &'static str) -> Result<Self> {
        Ok(Self { fields: parse(json, what)?, what })
    }

    fn wrong(&self, name: &str, need: &str) -> Error {
        Error::invalid(format!("{}: '{name}' must be {need}", self.what))
    }

    fn time(&mut self, name: &str, into: &mut Duration) -> Result<()> {
        match self.fields.remove(name) {
            None | Some(Value::Null) => Ok(()),
            Some(value) => {
                let seconds = value.as_f64().ok_or_else(|| self.wrong(name, "a time in seconds"))?;
                duration(seconds).map(|time| *into = time)
            }
        }
    }

    fn number<N: TryFrom<u64>>(&mut self, name: &str, into: &mut N) -> Result<()> {
        match self.fields.remove(name) {
            None | Some(Value::Null) => Ok(()),
            Some(value) => {
                let number = value.as_u64().and_then(|number| N::try_from(number).ok());
                *into = number.ok_or_else(|| self.wrong(name, "a whole number of 0 or more"))?;
                Ok(())
            }
        }
    }

    fn done(self) -> Result<()> {
        match self.fields.keys().next() {
            Some(name) => Err(Error::invalid(format!("{}: there is no option '{name}'", self.what))),
            None => Ok(()),
        }
    }
}

/// The numbers of supervision.
pub(crate) fn supervisor_options(json: &str) -> Result<SupervisorOptions> {
    let mut options = SupervisorOptions::default();
    let mut read = Reader::new(json, "the options of supervision")?;
    for (name, into) in [
        ("interval", &mut options.interval),
        ("quick_interval", &mut options.quick_interval),
        ("quick_for", &mut options.quick_for),
        ("observe_timeout", &mut options.observe_timeout),
        ("submit_timeout", &mut options.submit_timeout),
        ("call_timeout", &mut options.call_timeout),
        ("savepoint_timeout", &mut options.savepoint_timeout),
        ("storage_backoff", &mut options.storage_backoff),
        ("storage_backoff_max", &mut options.storage_backoff_max),
        ("shutdown_timeout", &mut options.shutdown_timeout),
        ("retry_backoff", &mut options.rules.retry_backoff),
        ("retry_backoff_max", &mut options.rules.retry_backoff_max),
        ("tell_within", &mut options.rules.tell_within),
        ("patience", &mut options.rules.patience),
        ("recovered_after", &mut options.rules.recovered_after),
        ("operation_patience", &mut options.rules.operation_patience),
        ("points_fresh", &mut options.rules.points_fresh),
        ("probe_interval", &mut options.rules.probe_interval),
        ("checkpoint_silence", &mut options.rules.checkpoint_silence),
        ("restarting_window", &mut options.rules.restarting_window),
    ] {
        read.time(name, into)?;
    }
    options.quick_interval = options.quick_interval.min(options.interval);
    for (name, into) in [
        ("submissions", &mut options.submissions),
        ("submissions_per_cluster", &mut options.submissions_per_cluster),
        ("calls", &mut options.calls),
        ("calls_per_cluster", &mut options.calls_per_cluster),
        ("mailbox", &mut options.mailbox),
        ("events", &mut options.events),
    ] {
        read.number(name, into)?;
    }
    for (name, into) in [
        ("misses", &mut options.misses),
        ("operation_attempts", &mut options.rules.operation_attempts),
        ("fetch_attempts", &mut options.rules.fetch_attempts),
        ("restarting_count", &mut options.rules.restarting_count),
    ] {
        read.number(name, into)?;
    }
    read.done().map(|()| options)
}

/// The numbers of delivery.
pub(crate) fn dispatcher_options(json: &str) -> Result<DispatcherOptions> {
    let mut options = DispatcherOptions::default();
    let mut read = Reader::new(json, "the options of delivery")?;
    for (name, into) in [
        ("backoff", &mut options.backoff),
        ("backoff_max", &mut options.backoff_max),
        ("gather", &mut options.gather),
        ("poll", &mut options.poll),
    ] {
        read.time(name, into)?;
    }
    read.number("backoff_factor", &mut options.backoff_factor)?;
    read.number("digest", &mut options.digest)?;
    read.done().map(|()| options)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RestArgs {
    urls: Vec<String>,
    headers: Vec<(String, String)>,
    tls_ca: Option<String>,
    tls_certificate: Option<String>,
    tls_key: Option<String>,
    timeout: Option<f64>,
    connect_timeout: Option<f64>,
    transfer_timeout: Option<f64>,
    run_timeout: Option<f64>,
    proxy_from_env: bool,
    max_answer: Option<usize>,
}

/// How to reach a JobManager.
pub(crate) fn rest_options(json: &str) -> Result<RestOptions> {
    let args: RestArgs = parse(json, "the options of a JobManager's address")?;
    let mut options = RestOptions::new(args.urls).proxy_from_env(args.proxy_from_env);
    for (name, value) in args.headers {
        options = options.header(name, value);
    }
    if let Some(pem) = args.tls_ca {
        options = options.tls_ca(pem);
    }
    match (args.tls_certificate, args.tls_key) {
        (Some(certificate), Some(key)) => options = options.tls_identity(certificate, key),
        (None, None) => {}
        _ => return Err(Error::invalid("a client certificate takes both tls_certificate and tls_key")),
    }
    for (seconds, into) in [
        (args.timeout, &mut options.timeout),
        (args.connect_timeout, &mut options.connect_timeout),
        (args.transfer_timeout, &mut options.transfer_timeout),
        (args.run_timeout, &mut options.run_timeout),
    ] {
        if let Some(seconds) = seconds {
            *into = duration(seconds)?;
        }
    }
    if let Some(bytes) = args.max_answer {
        options.max_answer = bytes;
    }
    Ok(options)
}
