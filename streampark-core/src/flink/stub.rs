#![allow(missing_docs)]
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlinkJobId([u8; 16]);
impl FlinkJobId {
    pub fn from_hash(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}
impl std::fmt::Display for FlinkJobId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}
impl std::str::FromStr for FlinkJobId {
    type Err = crate::Error;
    fn from_str(s: &str) -> crate::Result<Self> {
        let mut b = [0; 16];
        hex::decode_to_slice(s, &mut b).map_err(|_| crate::Error::invalid("not a Flink JobID"))?;
        Ok(Self(b))
    }
}
impl Serialize for FlinkJobId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for FlinkJobId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FlinkConfig(BTreeMap<String, String>);
impl FlinkConfig {
    pub fn new() -> Self {
        Self::default()
    }
    pub fn set(&mut self, k: impl Into<String>, v: impl Into<String>) {
        self.0.insert(k.into(), v.into());
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FlinkVersion(String);
impl std::fmt::Display for FlinkVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootCause {
    pub class: String,
    pub message: String,
}
pub fn parse_duration(_: &str) -> crate::Result<Duration> {
    Ok(Duration::ZERO)
}
pub fn format_duration(_: Duration) -> String {
    String::new()
}
