//! What the ResourceManager and the NodeManagers say, in the shapes of Hadoop 2.8 to 3.5 (Jersey 1 and 2).

use std::fmt;

use serde::de::{DeserializeOwned, Deserializer, Error as _};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `YarnApplicationState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum AppState {
    #[default]
    New,
    NewSaving,
    Submitted,
    Accepted,
    Running,
    Finished,
    Failed,
    Killed,
    #[serde(other)]
    Unknown,
}

impl AppState {
    pub(crate) fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Killed)
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::New => "NEW",
            Self::NewSaving => "NEW_SAVING",
            Self::Submitted => "SUBMITTED",
            Self::Accepted => "ACCEPTED",
            Self::Running => "RUNNING",
            Self::Finished => "FINISHED",
            Self::Failed => "FAILED",
            Self::Killed => "KILLED",
            Self::Unknown => "UNKNOWN",
        }
    }
}

impl fmt::Display for AppState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `FinalApplicationStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum FinalStatus {
    #[default]
    Undefined,
    Succeeded,
    Failed,
    Killed,
    Ended,
    #[serde(other)]
    Unknown,
}

/// One application, as far as we use it (`AppInfo`).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct App {
    pub(crate) id: String,
    pub(crate) user: String,
    pub(crate) name: String,
    pub(crate) queue: String,
    pub(crate) state: AppState,
    pub(crate) final_status: FinalStatus,
    pub(crate) tracking_url: String,
    pub(crate) diagnostics: String,
    pub(crate) application_type: String,
    pub(crate) application_tags: String,
    #[serde(deserialize_with = "number")]
    pub(crate) started_time: i64,
    #[serde(deserialize_with = "number")]
    pub(crate) finished_time: i64,
    /// `host:port` of Flink's REST interface; absent until the application master is there.
    #[serde(rename = "amRPCAddress")]
    pub(crate) am_rpc_address: Option<String>,
    pub(crate) am_host_http_address: String,
    pub(crate) log_aggregation_status: String,
}

impl App {
    pub(crate) fn has_tag(&self, tag: &str) -> bool {
        self.application_tags.split(',').any(|own| own.trim().eq_ignore_ascii_case(tag))
    }

    /// Flink's REST address, where the application master has told one.
    pub(crate) fn flink_address(&self) -> Option<&str> {
        let address = self.am_rpc_address.as_deref()?;
        let (host, port) = address.rsplit_once(':')?;
        (!host.is_empty() && host != "N/A" && port.parse::<u16>().is_ok_and(|port| port > 0)).then_some(address)
    }
}

/// `{"app": …}`.
#[derive(Debug, Deserialize)]
pub(crate) struct OneApp {
    pub(crate) app: App,
}

/// `{"apps": {"app": […]}}`, and the ways in which nothing is said.
#[derive(Debug, Deserialize)]
pub(crate) struct AppList {
    #[serde(default)]
    apps: Wrapped<AppItems>,
}

#[derive(Debug, Default, Deserialize)]
struct AppItems {
    #[serde(default)]
    app: Many<App>,
}

impl AppList {
    pub(crate) fn into_apps(self) -> Vec<App> {
        self.apps.0.map(|items| items.app.0).unwrap_or_default()
    }
}

/// A value, or null, `""` or nothing in its place.
#[derive(Debug)]
pub(crate) struct Wrapped<T>(pub(crate) Option<T>);

impl<T> Default for Wrapped<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Wrapped<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Shape<T> {
            Value(T),
            Empty(#[allow(dead_code)] String),
            Null(#[allow(dead_code)] Option<()>),
        }
        Ok(match Shape::<T>::deserialize(deserializer)? {
            Shape::Value(value) => Self(Some(value)),
            Shape::Empty(_) | Shape::Null(_) => Self(None),
        })
    }
}

/// Several, or one without brackets, or null.
#[derive(Debug)]
pub(crate) struct Many<T>(pub(crate) Vec<T>);

impl<T> Default for Many<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Many<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(std::marker::PhantomData<T>);

        impl<'de, T: DeserializeOwned> serde::de::Visitor<'de> for Visitor<T> {
            type Value = Many<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array or an object")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(item) = seq.next_element()? {
                    all.push(item);
                }
                Ok(Many(all))
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let one = T::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                Ok(Many(vec![one]))
            }

            fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
                Ok(Many(Vec::new()))
            }

            fn visit_str<E: serde::de::Error>(self, _text: &str) -> Result<Self::Value, E> {
                Ok(Many(Vec::new()))
            }
        }

        deserializer.deserialize_any(Visitor(std::marker::PhantomData))
    }
}

/// A number, or a number in quotes; what is neither is refused.
pub(crate) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(0),
        Value::Number(number) => number
            .as_i64()
            .or_else(|| number.as_f64().map(|value| value as i64))
            .ok_or_else(|| D::Error::custom("a number is out of range")),
        Value::String(text) if text.trim().is_empty() => Ok(0),
        Value::String(text) => text.trim().parse().map_err(|_| D::Error::custom(format!("'{text}' is no number"))),
        other => Err(D::Error::custom(format!("{other} is no number"))),
    }
}

/// The answer to `new-application`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct NewApplication {
    pub(crate) application_id: String,
    #[serde(default)]
    pub(crate) maximum_resource_capability: Capability,
}

/// The largest container.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Capability {
    #[serde(deserialize_with = "number")]
    pub(crate) memory: i64,
    #[serde(deserialize_with = "number")]
    pub(crate) v_cores: i64,
}

/// `{"clusterInfo": …}`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InfoAnswer {
    pub(crate) cluster_info: Info,
}

/// The ResourceManager about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Info {
    #[serde(deserialize_with = "number")]
    pub(crate) id: i64,
    #[serde(deserialize_with = "number")]
    pub(crate) started_on: i64,
    pub(crate) state: String,
    pub(crate) ha_state: String,
    pub(crate) resource_manager_version: String,
}

impl Info {
    pub(crate) fn is_active(&self) -> bool {
        self.ha_state == "ACTIVE" && (self.state.is_empty() || self.state == "STARTED")
    }
}

/// `{"appAttempts": …}`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AttemptList {
    #[serde(default)]
    app_attempts: Wrapped<AttemptItems>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AttemptItems {
    #[serde(default)]
    app_attempt: Many<Attempt>,
}

impl AttemptList {
    pub(crate) fn into_attempts(self) -> Vec<Attempt> {
        self.app_attempts.0.map(|items| items.app_attempt.0).unwrap_or_default()
    }
}

/// One try at an application.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Attempt {
    #[serde(deserialize_with = "number")]
    pub(crate) id: i64,
    pub(crate) container_id: String,
    pub(crate) node_http_address: String,
    pub(crate) node_id: String,
    pub(crate) app_attempt_id: String,
}

/// `{"container": …}`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ContainerList {
    #[serde(default)]
    pub(crate) container: Many<Container>,
}

/// One container of an attempt that runs.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Container {
    pub(crate) container_id: String,
    pub(crate) node_http_address: String,
}

/// `{"nodes": …}`.
#[derive(Debug, Deserialize)]
pub(crate) struct NodeList {
    #[serde(default)]
    nodes: Wrapped<NodeItems>,
}

#[derive(Debug, Default, Deserialize)]
struct NodeItems {
    #[serde(default)]
    node: Many<Node>,
}

impl NodeList {
    pub(crate) fn into_nodes(self) -> Vec<Node> {
        self.nodes.0.map(|items| items.node.0).unwrap_or_default()
    }
}

/// One node.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) state: String,
    #[serde(rename = "nodeHTTPAddress")]
    pub(crate) node_http_address: String,
    #[serde(deserialize_with = "number")]
    pub(crate) last_health_update: i64,
    #[serde(rename = "usedMemoryMB", deserialize_with = "number")]
    pub(crate) used_memory_mb: i64,
    #[serde(rename = "availMemoryMB", deserialize_with = "number")]
    pub(crate) avail_memory_mb: i64,
    #[serde(deserialize_with = "number")]
    pub(crate) used_virtual_cores: i64,
    #[serde(deserialize_with = "number")]
    pub(crate) available_virtual_cores: i64,
}

/// A queue, and whether it takes applications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Queue {
    pub(crate) path: String,
    pub(crate) leaf: bool,
    pub(crate) running: bool,
}

/// The queues of `{"scheduler": {"schedulerInfo": …}}`, whichever scheduler it is.
pub(crate) fn queues(answer: &Value) -> Vec<Queue> {
    fn children<'a>(queue: &'a Value, key: &str) -> Vec<&'a Value> {
        match queue.get(key).map(|queues| queues.get("queue").unwrap_or(queues)) {
            Some(Value::Array(all)) => all.iter().collect(),
            Some(one @ Value::Object(_)) => vec![one],
            _ => Vec::new(),
        }
    }

    fn walk(queue: &Value, parent: &str, all: &mut Vec<Queue>) {
        let text = |key: &str| queue.get(key).and_then(Value::as_str);
        let name = text("queueName").unwrap_or("root");
        let path = match text("queuePath") {
            Some(path) => path.to_owned(),
            None if parent.is_empty() || name.starts_with("root") => name.to_owned(),
            None => format!("{parent}.{name}"),
        };
        let below: Vec<&Value> = children(queue, "queues").into_iter().chain(children(queue, "childQueues")).collect();
        all.push(Queue {
            path: path.clone(),
            leaf: below.is_empty(),
            running: text("state").is_none_or(|s| s == "RUNNING"),
        });
        below.into_iter().for_each(|queue| walk(queue, &path, all));
    }

    let info = answer.pointer("/scheduler/schedulerInfo").unwrap_or(&Value::Null);
    let mut all = Vec::new();
    match info.get("rootQueue") {
        Some(root) => walk(root, "", &mut all),
        None if info.is_object() => walk(info, "", &mut all),
        None => {}
    }
    all
}

/// One file of a container's logs.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ContainerLogFile {
    pub(crate) file_name: String,
    #[serde(deserialize_with = "number")]
    pub(crate) file_size: i64,
}

/// The files of `{"containerLogsInfo": …}`: an object, or an array of them with several storages.
pub(crate) fn log_files(answer: &Value) -> Vec<ContainerLogFile> {
    let infos = answer.get("containerLogsInfo").unwrap_or(answer);
    let infos: Vec<&Value> = infos.as_array().map_or_else(|| vec![infos], |all| all.iter().collect());
    let files = infos.into_iter().filter_map(|info| info.get("containerLogInfo"));
    files
        .filter_map(|files| serde_json::from_value::<Many<ContainerLogFile>>(files.clone()).ok())
        .flat_map(|files| files.0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_has_five_spellings() {
        for text in [r#"{"apps":{}}"#, r#"{"apps":null}"#, r#"{"apps":""}"#, r#"{}"#, r#"{"apps":{"app":[]}}"#] {
            let list: AppList = serde_json::from_str(text).unwrap();
            assert!(list.into_apps().is_empty(), "{text}");
        }
    }

    #[test]
    fn one_or_several_numbers_or_texts() {
        let one = r#"{"apps":{"app":{"id":"application_1_0001","startedTime":"5","state":"RUNNING","finalStatus":"UNDEFINED"}}}"#;
        let apps = serde_json::from_str::<AppList>(one).unwrap().into_apps();
        assert_eq!((apps.len(), apps[0].started_time, apps[0].state), (1, 5, AppState::Running));
        let two = r#"{"apps":{"app":[{"id":"a","state":"NEW_STATE_OF_2030"},{"id":"b","amRPCAddress":"h:1"}]}}"#;
        let apps = serde_json::from_str::<AppList>(two).unwrap().into_apps();
        assert_eq!(apps[0].state, AppState::Unknown);
        assert_eq!(apps[1].flink_address(), Some("h:1"));
        let unset = App { am_rpc_address: Some("N/A:-1".to_owned()), ..App::default() };
        assert_eq!(unset.flink_address(), None);
    }

    #[test]
    fn queues_of_both_schedulers() {
        let capacity = serde_json::json!({"scheduler": {"schedulerInfo": {"type": "capacityScheduler", "queueName": "root",
            "queues": {"queue": [{"queueName": "default", "state": "RUNNING"}, {"queueName": "off", "state": "STOPPED",
            "queues": {"queue": {"queueName": "deep", "queuePath": "root.off.deep"}}}]}}}});
        let all = queues(&capacity);
        let paths: Vec<(&str, bool)> = all.iter().map(|queue| (queue.path.as_str(), queue.leaf)).collect();
        assert_eq!(paths, [("root", false), ("root.default", true), ("root.off", false), ("root.off.deep", true)]);
        let fair = serde_json::json!({"scheduler": {"schedulerInfo": {"type": "fairScheduler", "rootQueue": {"queueName": "root",
            "childQueues": {"queue": [{"queueName": "root.a"}]}}}}});
        assert_eq!(queues(&fair)[1].path, "root.a");
    }
}
