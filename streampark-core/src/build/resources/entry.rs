//! One version of a resource.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::build::inspect::{Inspection, SqlFunction};

/// What a resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ResourceKind {
    /// A jar of which nothing else is known.
    Jar,
    /// It holds functions for SQL.
    Function,
    /// It holds connectors or formats.
    Connector,
    /// Several resources that are used together.
    Group,
}

impl ResourceKind {
    pub(super) fn of(inspection: &Inspection) -> Self {
        match (inspection.connectors.is_empty(), inspection.functions.is_empty()) {
            (false, _) => Self::Connector,
            (true, false) => Self::Function,
            (true, true) => Self::Jar,
        }
    }

    /// The name as JSON and Python spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jar => "jar",
            Self::Function => "function",
            Self::Connector => "connector",
            Self::Group => "group",
        }
    }
}

/// Whose a resource is, and who brought it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct UploadOptions {
    /// The team that it belongs to; None is everybody's.
    pub team: Option<String>,
    /// Who brings it.
    pub actor: String,
    /// What it is, in a sentence.
    pub description: String,
}

impl UploadOptions {
    /// Of a team.
    #[must_use]
    pub fn team(mut self, team: impl Into<String>) -> Self {
        self.team = Some(team.into());
        self
    }

    /// Brought by somebody.
    #[must_use]
    pub fn actor(mut self, actor: impl Into<String>) -> Self {
        self.actor = actor.into();
        self
    }

    /// Described in a sentence.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = text.into();
        self
    }
}

/// One version of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ResourceEntry {
    /// The name that jobs use.
    pub name: String,
    /// The version.
    pub version: String,
    /// What it is.
    pub kind: ResourceKind,
    /// The team that it belongs to; None is everybody's.
    pub team: Option<String>,
    /// The name of its file; None for a group.
    pub file: Option<String>,
    /// SHA-256 of its content.
    pub sha256: Option<String>,
    /// Bytes.
    pub size: u64,
    /// The functions that it holds.
    pub functions: Vec<SqlFunction>,
    /// The connectors and formats that it holds, as SQL names them.
    pub connectors: Vec<String>,
    /// The members of a group: `name` or `name:version`.
    pub members: Vec<String>,
    /// Who brought it.
    pub actor: String,
    /// What it is, in a sentence.
    pub description: String,
    /// When it was brought.
    pub created_at: Timestamp,
}

impl ResourceEntry {
    pub(super) fn new(name: &str, version: &str, kind: ResourceKind, at: Timestamp) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            kind,
            team: None,
            file: None,
            sha256: None,
            size: 0,
            functions: Vec::new(),
            connectors: Vec::new(),
            members: Vec::new(),
            actor: String::new(),
            description: String::new(),
            created_at: at,
        }
    }

    pub(super) fn take(&mut self, options: UploadOptions) {
        (self.team, self.actor, self.description) = (options.team, options.actor, options.description);
    }

    /// `CREATE TEMPORARY FUNCTION` for each of its functions; a name that two classes would have gets a number.
    pub fn create_functions(&self) -> Vec<String> {
        let mut taken = BTreeSet::new();
        let statement = |function: &SqlFunction| {
            let plain = snake(function.class.rsplit(['.', '$']).next().unwrap_or(&function.class));
            let mut name = plain.clone();
            let mut number = 2;
            while !taken.insert(name.clone()) {
                name = format!("{plain}_{number}");
                number += 1;
            }
            // A class name has no quote; whoever made the jar could still have written one.
            let class = function.class.replace('\'', "''");
            format!("CREATE TEMPORARY FUNCTION IF NOT EXISTS `{name}` AS '{class}' LANGUAGE JAVA")
        };
        self.functions.iter().map(statement).collect()
    }
}

/// `ToUpper` as `to_upper`, without what a quoted name could end with.
fn snake(name: &str) -> String {
    let mut text = String::new();
    let mut low = false;
    for c in name.chars().filter(|c| c.is_alphanumeric() || *c == '_') {
        if c.is_uppercase() && low {
            text.push('_');
        }
        low = c.is_lowercase() || c.is_numeric();
        text.extend(c.to_lowercase());
    }
    text
}
