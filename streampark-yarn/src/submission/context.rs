//! What the ResourceManager is sent (`ApplicationSubmissionContextInfo`, `ContainerLaunchContextInfo`).

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value, json};
use streampark_core::{REDACTED, Secret, is_sensitive_key};

use crate::facts::{ResourceType, Visibility};

/// One file of a container (`LocalResourceInfo`).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalResource {
    /// The name below the container's working folder.
    pub key: String,
    /// Where the file is: whole path, not percent-encoded.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Modification time in milliseconds; 0 where the file is still to be written.
    pub modified_ms: i64,
    /// Who shares a node's copy.
    pub visibility: Visibility,
    /// As it is, or unpacked.
    pub resource_type: ResourceType,
}

/// The body of `POST /ws/v1/cluster/apps`.
///
/// `Debug` shows no environment and no token. The fields that Flink's client leaves unset are `None`
/// and are not sent: a ResourceManager 3.5 answers an explicit `null` with 503.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct SubmissionContext {
    /// `application_<cluster timestamp>_<number>`.
    pub application_id: String,
    /// What people see in the list of applications.
    pub application_name: String,
    /// `Apache Flink`, if nothing else was asked for.
    pub application_type: String,
    /// The queue; None takes the cluster's default.
    pub queue: Option<String>,
    /// The priority; None takes the cluster's default.
    pub priority: Option<u32>,
    /// Files of the JobManager's container.
    pub local_resources: Vec<LocalResource>,
    /// Its environment.
    pub environment: BTreeMap<String, String>,
    /// Its command.
    pub command: String,
    /// Who may look at the application, and who may change it: `VIEW_APP`, `MODIFY_APP`.
    pub application_acls: Vec<(&'static str, String)>,
    /// Delegation tokens, by alias, in Hadoop's URL-safe text.
    pub tokens: Vec<(String, Secret)>,
    /// How often YARN starts the JobManager.
    pub max_app_attempts: u32,
    /// MiB for the JobManager's container.
    pub memory_mb: u64,
    /// Virtual cores of the JobManager's container.
    pub v_cores: u32,
    /// Whether TaskManagers outlive their JobManager.
    pub keep_containers: bool,
    /// Tags, in lower case.
    pub tags: Vec<String>,
    /// The nodes that the application may use.
    pub node_label: Option<String>,
    /// After how many milliseconds a failed attempt is forgotten; -1 for never.
    pub attempt_failures_validity_ms: i64,
    /// Which log files are aggregated while the application runs, and which are not.
    pub rolled_logs: (Option<String>, Option<String>),
}

impl SubmissionContext {
    /// The body as it is sent, tokens included: not for logs; see [`masked`](Self::masked).
    pub fn to_json(&self) -> Value {
        self.json(false)
    }

    /// The body as people may see it: tokens, and what looks like a secret in the environment and
    /// the command, are hidden.
    pub fn masked(&self) -> Value {
        self.json(true)
    }

    fn json(&self, masked: bool) -> Value {
        let resources = self.local_resources.iter().map(|file| {
            entry(
                &file.key,
                json!({
                    "resource": uri(&file.path),
                    "type": file.resource_type.as_str(),
                    "visibility": file.visibility.as_str(),
                    "size": file.size,
                    "timestamp": file.modified_ms,
                }),
            )
        });
        let environment = self.environment.iter().map(|(name, value)| {
            let hidden = masked && is_sensitive_key(name);
            entry(name, json!(if hidden { REDACTED } else { value }))
        });
        let command = if masked { mask_command(&self.command) } else { self.command.clone() };
        let mut container = json!({
            "local-resources": {"entry": resources.collect::<Vec<_>>()},
            "environment": {"entry": environment.collect::<Vec<_>>()},
            // A bare string or array is dropped in silence.
            "commands": {"command": command},
        });
        let mut context = json!({
            "application-id": self.application_id,
            "application-name": self.application_name,
            "application-type": self.application_type,
            "unmanaged-AM": false,
            "cancel-tokens-when-complete": true,
            "max-app-attempts": self.max_app_attempts,
            "resource": {"memory": self.memory_mb, "vCores": self.v_cores},
            "keep-containers-across-application-attempts": self.keep_containers,
            "application-tags": {"tag": self.tags},
            "attempt-failures-validity-interval": self.attempt_failures_validity_ms,
        });
        if !self.application_acls.is_empty() {
            let acls: Vec<Value> = self.application_acls.iter().map(|(kind, who)| entry(kind, json!(who))).collect();
            set(&mut container, "application-acls", json!({"entry": acls}));
        }
        if !self.tokens.is_empty() {
            let text = |token: &Secret| if masked { REDACTED.to_owned() } else { token.expose().to_owned() };
            let tokens: Vec<Value> =
                self.tokens.iter().map(|(alias, token)| entry(alias, json!(text(token)))).collect();
            set(&mut container, "credentials", json!({"tokens": {"entry": tokens}}));
        }
        set(&mut context, "am-container-spec", container);
        if let Some(queue) = &self.queue {
            set(&mut context, "queue", json!(queue));
        }
        if let Some(priority) = self.priority {
            set(&mut context, "priority", json!(priority));
        }
        if let Some(label) = &self.node_label {
            // REST reads an absent label of the container as the default partition, where Java's client
            // leaves it to follow the application's.
            set(&mut context, "app-node-label-expression", json!(label));
            set(&mut context, "am-container-node-label-expression", json!(label));
        }
        let (include, exclude) = &self.rolled_logs;
        let patterns: Map<String, Value> =
            [("rolled-log-include-pattern", include), ("rolled-log-exclude-pattern", exclude)]
                .into_iter()
                .filter_map(|(name, pattern)| Some((name.to_owned(), json!(pattern.as_ref()?))))
                .collect();
        if !patterns.is_empty() {
            set(&mut context, "log-aggregation-context", Value::Object(patterns));
        }
        context
    }
}

impl fmt::Debug for SubmissionContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubmissionContext")
            .field("application_id", &self.application_id)
            .field("application_name", &self.application_name)
            .field("queue", &self.queue)
            .field("tags", &self.tags)
            .field("local_resources", &self.local_resources.len())
            .field("tokens", &self.tokens.len())
            .finish_non_exhaustive()
    }
}

fn entry(key: &str, value: Value) -> Value {
    json!({"key": key, "value": value})
}

fn set(object: &mut Value, key: &str, value: Value) {
    if let Value::Object(map) = object {
        map.insert(key.to_owned(), value);
    }
}

/// Hides the values of `-Dsome.password=…` in a command or in options of a JVM.
pub(super) fn mask_command(command: &str) -> String {
    let mut shown = String::with_capacity(command.len());
    let mut rest = command;
    while let Some(at) = rest.find("-D") {
        let (before, option) = rest.split_at(at);
        shown.push_str(before);
        let end = option.find('=').unwrap_or(option.len());
        let (name, value) = option.split_at(end);
        let is_name = !name.contains(char::is_whitespace);
        if is_name && is_sensitive_key(name) && !value.is_empty() {
            shown.push_str(name);
            shown.push('=');
            shown.push_str(REDACTED);
            rest = after_word(value);
        } else {
            shown.push_str("-D");
            rest = option.get(2..).unwrap_or_default();
        }
    }
    shown.push_str(rest);
    shown
}

/// What follows a word of a shell command.
fn after_word(text: &str) -> &str {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '\'' || c == '"' => quote = Some(c),
            None if c.is_whitespace() => return text.get(at..).unwrap_or_default(),
            None => {}
        }
    }
    ""
}

/// A Hadoop path as a URI: what a URI may not hold is percent-encoded.
fn uri(path: &str) -> String {
    let (scheme, rest) = match path.find(":/") {
        Some(at) => path.split_at(at + 1),
        None => ("", path),
    };
    let mut encoded = String::with_capacity(path.len());
    encoded.push_str(scheme);
    for byte in rest.bytes() {
        if byte.is_ascii_alphanumeric() || b"/:@!$&'()*+,;=~-._".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_becomes_a_uri() {
        assert_eq!(uri("hdfs://nn:8020/user/a b/ü#1%.jar"), "hdfs://nn:8020/user/a%20b/%C3%BC%231%25.jar");
        assert_eq!(uri("file:/stage/x.jar"), "file:/stage/x.jar");
        assert_eq!(uri("hdfs://nn/user/alice@EXAMPLE.ORG/x=1"), "hdfs://nn/user/alice@EXAMPLE.ORG/x=1");
    }

    #[test]
    fn secrets_in_a_command_are_hidden() {
        assert_eq!(
            mask_command("java -Da=b -Dssl.password='x y' -Dtoken=abc -D jobmanager.memory.heap.size=1b"),
            "java -Da=b -Dssl.password=****** -Dtoken=****** -D jobmanager.memory.heap.size=1b"
        );
    }
}
