//! The program that runs a script inside Flink, and how it is spoken to.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::super::launch::{Launch, Location, Resource};
use super::mask;
use super::script::SqlScript;

/// Built from the source beside it; a check rebuilds it and compares the bytes.
static JAR: &[u8] = include_bytes!("../../../runner/sql-runner.jar");
const CLASS: &str = "org.streampark.sdk.runner.SqlRunner";
const SCRIPT: &str = "--script";

/// What starts `script` on a cluster.
pub(super) fn launch(script: &SqlScript) -> Launch {
    static SHA256: OnceLock<String> = OnceLock::new();
    let sha256 = SHA256.get_or_init(|| hex::encode(Sha256::digest(JAR)));
    let jar = Resource::new("streampark-sql-runner.jar", Location::Bytes(Bytes::from_static(JAR))).with_sha256(sha256);
    let mut launch = Launch::of_jar(jar);
    launch.entry_class = Some(CLASS.to_owned());
    launch.args = vec![SCRIPT.to_owned(), encode(script)];
    launch.notes = script
        .statements()
        .iter()
        .map(|s| format!("statement {} at line {}: {}", s.number, s.line, mask::one_line(&s.text, 160)))
        .collect();
    launch
}

/// The runner's notation, version 1: for each statement its number, line and column, and its text
/// in base64, so that no quoting of any shell, REST call or configuration file can change it.
fn encode(script: &SqlScript) -> String {
    script.statements().iter().fold("v1".to_owned(), |text, s| {
        format!("{text},{}.{}.{}.{}", s.number, s.line, s.column, URL_SAFE_NO_PAD.encode(&s.text))
    })
}

/// The argument of the runner as people are shown it: the script, its secrets hidden. None for any other.
pub(in super::super) fn shown_script(launch: &Launch, arg: &str) -> Option<String> {
    (launch.entry_class.as_deref() == Some(CLASS)).then(|| decode(arg)).flatten()
}

fn decode(arg: &str) -> Option<String> {
    let mut script = String::new();
    for part in arg.strip_prefix("v1")?.split(',').skip(1) {
        let text = URL_SAFE_NO_PAD.decode(part.splitn(4, '.').nth(3)?).ok()?;
        script.push_str(&mask::masked(&String::from_utf8(text).ok()?));
        script.push_str(";\n");
    }
    Some(script.trim_end().to_owned())
}
