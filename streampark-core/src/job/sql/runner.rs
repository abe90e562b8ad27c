//! The program that runs a script inside Flink, and how it is spoken to.

use std::io::{Cursor, Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use super::super::launch::{Launch, Location, Resource};
use super::mask;
use super::script::SqlScript;
use crate::{Error, ErrorKind, Result};

/// Built from the source beside it; a check rebuilds it and compares the bytes.
static JAR: &[u8] = include_bytes!("../../../runner/sql-runner.jar");
const CLASS: &str = "org.streampark.sdk.runner.SqlRunner";
const OPTION: &str = "--script-file";
/// The script's place in the jar, as the runner is told it.
const PLACE: &str = "classpath:streampark-sql-script";

/// What starts `script` on a cluster: the runner, with the script in its jar. An argument would stand in the
/// JobManager's log and its configuration, secrets and all.
pub(super) fn launch(script: &SqlScript) -> Result<Launch> {
    let jar = packed(&encode(script)).map_err(|source| {
        Error::new(ErrorKind::Internal, "the script cannot be put into the runner's jar").with_source(source)
    })?;
    let sha256 = hex::encode(Sha256::digest(&jar));
    let jar = Resource::new("streampark-sql-runner.jar", Location::Bytes(Bytes::from(jar))).with_sha256(sha256);
    let mut launch = Launch::of_jar(jar);
    launch.entry_class = Some(CLASS.to_owned());
    launch.args = vec![OPTION.to_owned(), PLACE.to_owned()];
    launch.notes = script
        .statements()
        .iter()
        .map(|s| format!("statement {} at line {}: {}", s.number, s.line, mask::one_line(&s.text, 160)))
        .collect();
    Ok(launch)
}

fn entry() -> &'static str {
    PLACE.strip_prefix("classpath:").unwrap_or(PLACE)
}

/// The runner's jar and the script; the same script gives the same bytes.
fn packed(script: &str) -> Result<Vec<u8>, ZipError> {
    let mut out = ZipWriter::new(Cursor::new(Vec::with_capacity(JAR.len() + script.len() + 512)));
    let mut runner = ZipArchive::new(Cursor::new(JAR))?;
    for index in 0..runner.len() {
        out.raw_copy_file(runner.by_index_raw(index)?)?;
    }
    let plain = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::default());
    out.start_file(entry(), plain)?;
    out.write_all(script.as_bytes())?;
    Ok(out.finish()?.into_inner())
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
    let Some(Location::Bytes(jar)) = launch.jar.as_ref().map(|jar| &jar.location) else { return None };
    if launch.entry_class.as_deref() != Some(CLASS) || arg != PLACE {
        return None;
    }
    let mut text = String::new();
    ZipArchive::new(Cursor::new(jar)).ok()?.by_name(entry()).ok()?.read_to_string(&mut text).ok()?;
    decode(&text)
}

fn decode(encoded: &str) -> Option<String> {
    let mut script = String::new();
    for part in encoded.strip_prefix("v1")?.split(',').skip(1) {
        let text = URL_SAFE_NO_PAD.decode(part.splitn(4, '.').nth(3)?).ok()?;
        script.push_str(&mask::masked(&String::from_utf8(text).ok()?));
        script.push_str(";\n");
    }
    Some(script.trim_end().to_owned())
}

/// The script in the jar, as the runner reads it.
#[cfg(test)]
pub(super) fn encoded_in(launch: &Launch) -> String {
    let Location::Bytes(jar) = &launch.jar.as_ref().unwrap().location else { panic!("{launch:?}") };
    let mut text = String::new();
    ZipArchive::new(Cursor::new(jar)).unwrap().by_name(entry()).unwrap().read_to_string(&mut text).unwrap();
    text
}
