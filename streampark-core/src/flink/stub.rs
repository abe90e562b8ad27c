#![allow(missing_docs)]
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
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
    pub fn extend(&mut self, other: &Self) {
        self.0.extend(other.0.clone());
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
pub fn parse_duration(_: &str) -> crate::Result<Duration> {
    Ok(Duration::ZERO)
}
pub fn format_duration(_: Duration) -> String {
    String::new()
}
