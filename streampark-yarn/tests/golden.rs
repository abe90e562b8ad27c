//! Every submission that Flink's own client was recorded to make, made by us and compared field by field.
//!
//! `golden/<version>.txt` holds what `YarnClusterDescriptor` of that version gave to a stand-in of
//! YARN's client: the options (`SET`), the submission context, and the configuration that it uploaded
//! (`CONF`). `== name < base` tells a record by its differences from another one. Staged files
//! have made-up times; `<D>` is the staging folder, `<HADOOP>` Hadoop's default class path.
//! `golden/world.txt` are the files that were there.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bytes::Bytes;
use streampark_core::cluster::{SessionSpec, Submission};
use streampark_core::flink::{FlinkConfig, FlinkVersion, decode_list};
use streampark_core::job::{JobId, Launch, Location, Resource, RunKey, RunRef, Runtime};
use streampark_yarn::submission::{
    Built, Deploy, LocalDistribution, LocalFile, LocalTree, LogConfig, Request, SubmissionContext, SubmissionOptions,
    build, needs,
};
use streampark_yarn::{ClusterFacts, RemoteFile, ResourceLimits, ResourceType, Visibility};

const ID: &str = "application_1700000000000_0007";
const HADOOP: &str = "$HADOOP_CONF_DIR:$HADOOP_COMMON_HOME/share/hadoop/common/*:\
$HADOOP_COMMON_HOME/share/hadoop/common/lib/*:$HADOOP_HDFS_HOME/share/hadoop/hdfs/*:\
$HADOOP_HDFS_HOME/share/hadoop/hdfs/lib/*:$HADOOP_YARN_HOME/share/hadoop/yarn/*:\
$HADOOP_YARN_HOME/share/hadoop/yarn/lib/*";

/// One recorded submission.
#[derive(Clone)]
struct Record {
    name: String,
    lines: Vec<String>,
}

impl Record {
    fn values(&self, prefix: &str) -> Vec<&str> {
        self.lines.iter().filter_map(|line| line.strip_prefix(prefix)).collect()
    }

    fn value(&self, prefix: &str) -> &str {
        self.values(prefix).first().copied().unwrap_or_else(|| panic!("{}: no {prefix}", self.name))
    }

    /// A value where Java printed `null` for none.
    fn optional(&self, prefix: &str) -> Option<&str> {
        Some(self.value(prefix)).filter(|value| *value != "null")
    }

    fn options(&self) -> BTreeMap<&str, &str> {
        self.values("SET ").iter().filter_map(|line| line.split_once('=')).collect()
    }

    fn environment(&self) -> BTreeMap<&str, &str> {
        self.values("ENV ").iter().filter_map(|line| line.split_once('=')).collect()
    }

    fn config(&self, version: &FlinkVersion) -> FlinkConfig {
        let text = self.values("CONF ").join("\n");
        if version.supports_config_yaml() {
            FlinkConfig::from_config_yaml(&text).unwrap()
        } else {
            FlinkConfig::from_flink_conf_yaml(&text)
        }
    }

    /// All files of the container: those told to the JobManager, and the others.
    fn files(&self) -> BTreeMap<String, RemoteFile> {
        let env = self.environment();
        let mut files: BTreeMap<String, RemoteFile> = env["_CLIENT_SHIP_FILES"]
            .split(';')
            .chain([env["_FLINK_DIST_JAR"]])
            .map(|text| if text.starts_with('{') { from_json(text) } else { from_java(text) })
            .collect();
        for line in self.values("FILE ") {
            let part: Vec<&str> = line.split(' ').collect();
            files.insert(part[0].to_owned(), file(part[1], part[2], part[3], part[5], part[4]));
        }
        files
    }
}

fn file(path: &str, size: &str, time: &str, visibility: &str, kind: &str) -> RemoteFile {
    RemoteFile {
        path: path.to_owned(),
        size: size.parse().unwrap(),
        modified_ms: time.parse().unwrap(),
        resource_type: if kind == "ARCHIVE" { ResourceType::Archive } else { ResourceType::File },
        visibility: if visibility == "PUBLIC" { Visibility::Public } else { Visibility::Application },
    }
}

fn from_json(text: &str) -> (String, RemoteFile) {
    let value: serde_json::Value = serde_json::from_str(&text.replace('\'', "\"")).unwrap();
    let text = |name: &str| value[name].as_str().map(str::to_owned).unwrap_or_else(|| value[name].to_string());
    let file =
        file(&text("path"), &text("size"), &text("modificationTime"), &text("visibility"), &text("resourceType"));
    (text("resourceKey"), file)
}

fn from_java(text: &str) -> (String, RemoteFile) {
    let inner = text.strip_prefix("YarnLocalResourceDescriptor{").unwrap().strip_suffix('}').unwrap();
    let fields: BTreeMap<&str, &str> = inner.split(", ").map(|field| field.split_once('=').unwrap()).collect();
    let file = file(fields["path"], fields["size"], fields["modificationTime"], fields["visibility"], fields["type"]);
    (fields["key"].to_owned(), file)
}

fn records(version: &str) -> Vec<Record> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{version}.txt"));
    let text = std::fs::read_to_string(path).unwrap();
    let mut records: Vec<Record> = Vec::new();
    for line in text.lines() {
        let line = line.replace("<HADOOP>", HADOOP);
        if let Some(title) = line.strip_prefix("== ") {
            let (name, base) = title.split_once(" < ").unwrap_or((title, ""));
            let base = records.iter().find(|record| record.name == base);
            let lines = base.map(|record| record.lines.clone()).unwrap_or_default();
            records.push(Record { name: name.to_owned(), lines });
            continue;
        }
        let record = records.last_mut().unwrap();
        match line.strip_prefix("- ") {
            Some(gone) => record.lines.retain(|known| known != gone),
            None => record.lines.push(line),
        }
    }
    records
}

/// The files that were there when the records were made.
struct World {
    local: BTreeMap<String, u64>,
    remote: Vec<RemoteFile>,
}

impl World {
    fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/world.txt");
        let text = std::fs::read_to_string(path).unwrap();
        let mut world = World { local: BTreeMap::new(), remote: Vec::new() };
        for line in text.lines() {
            let part: Vec<&str> = line.split(' ').collect();
            match part[0] {
                "LOCAL" => _ = world.local.insert(part[1].to_owned(), part[2].parse().unwrap()),
                _ => {
                    let is_dist = part[1].contains("/flink/dist/");
                    let visibility = if is_dist { "PUBLIC" } else { "APPLICATION" };
                    world.remote.push(file(part[1], part[2], part[3], visibility, "FILE"));
                }
            }
        }
        world
    }

    fn tree(&self, path: &str) -> LocalTree {
        if let Some(size) = self.local.get(path) {
            return LocalTree::of_file(path, *size);
        }
        let inside = |(file, size): (&String, &u64)| {
            let relative = file.strip_prefix(path)?.strip_prefix('/')?;
            Some(LocalFile::new(relative, *size))
        };
        LocalTree::of_folder(path, self.local.iter().filter_map(inside))
    }
}

const BASE: [(&str, &str); 6] = [
    ("jobmanager.rpc.address", "localhost"),
    ("rest.address", "localhost"),
    ("jobmanager.memory.process.size", "1600m"),
    ("taskmanager.memory.process.size", "1728m"),
    ("taskmanager.numberOfTaskSlots", "2"),
    ("parallelism.default", "1"),
];

/// Makes the same submission as Flink's client.
fn ours(record: &Record, version: &FlinkVersion, world: &World) -> Built {
    let mut config: FlinkConfig = BASE.into_iter().collect();
    let mut launch = Launch::default();
    for (key, value) in record.options() {
        match key {
            "MAIN" => launch.entry_class = Some(value.to_owned()),
            "ARGS" => launch.args = value.split(' ').map(str::to_owned).collect(),
            "pipeline.jars" => {
                let location = match value.strip_prefix("file://") {
                    Some(path) => Location::Path(path.into()),
                    None => Location::Remote(value.parse().unwrap()),
                };
                launch.jar = Some(Resource::new(value.rsplit('/').next().unwrap(), location));
            }
            _ => config.set(key, value),
        }
    }
    if record.name == "python" {
        (launch.runtime, launch.entry_class) = (Runtime::Python, None);
    }
    let mut distribution =
        LocalDistribution::new("/client/flink/lib/flink-dist-X.jar", world.tree("/client/flink/lib"));
    distribution.plugins = Some(world.tree("/client/flink/plugins"));
    if record.name.contains("usrlib") && !record.name.contains("provided") {
        distribution.usrlib = Some(world.tree("/client/flink/usrlib"));
    }
    let jar = |name: &str| Some(Resource::new(name, Location::Path(format!("/client/opt/{name}").into())));
    let mut options = SubmissionOptions::default();
    options.flink = config;
    options.logging = match record.name.as_str() {
        "logback" => LogConfig::Logback("<configuration/>\n".to_owned()),
        "no-logging" => LogConfig::None,
        _ => LogConfig::Log4j("rootLogger.level=INFO\n".to_owned()),
    };
    options.distribution = Some(distribution);
    options.python_jar = jar("flink-python-X.jar");
    options.sql_gateway_jar = jar("flink-sql-gateway-X.jar");
    (options.linger, options.archive, options.open_java_modules) = (false, false, false);

    let facts = ClusterFacts {
        resource_manager: "http://rm:8088/".to_owned(),
        default_fs: "hdfs://nn1:8020".to_owned(),
        user: "root".to_owned(),
        home: "hdfs://nn1:8020/user/root".to_owned(),
        yarn_class_path: None,
        application_id: ID.to_owned(),
        cluster_timestamp: 1_700_000_000_000,
        limits: ResourceLimits { max_memory_mb: 65536, max_vcores: 32, min_allocation_mb: 1024 },
        hadoop_files: BTreeMap::new(),
        provided_lib_dirs: Vec::new(),
        files: world.remote.clone(),
        secure: false,
    };
    let run = RunRef::new(RunKey::new(JobId::from_u128(7), 1));
    let submission = Submission::new(run, "Flink Application Cluster", launch);
    let session = SessionSpec::new("");
    let deploy = match record.value("MODE ") {
        "session" => Deploy::Session(&session),
        _ => Deploy::Application(&submission),
    };
    let request = Request::new(deploy, version, &options, &facts);
    let local: Vec<LocalTree> =
        needs(&request).unwrap().local.iter().map(|path| world.tree(path.to_str().unwrap())).collect();
    build(&request.local(&local)).unwrap_or_else(|error| panic!("{} {version}: {error}", record.name))
}

/// What Flink's client wrote, as if we had written it: our configuration file has its time.
fn written(record: &Record, built: &Built) -> Vec<RemoteFile> {
    let theirs = record.files();
    let state = |upload: &streampark_yarn::submission::Upload| {
        let mut file = theirs.get(&upload.key).cloned().unwrap_or_else(|| panic!("{} is not theirs", upload.key));
        if upload.key == built.config_file.name {
            file.size = upload.size.unwrap();
        } else {
            assert_eq!(file.path.replace("<D>", &built.staging), upload.target, "{}", record.name);
        }
        file.path = upload.target.clone();
        file
    };
    built.uploads.iter().map(state).collect()
}

fn compare(record: &Record, version: &FlinkVersion, world: &World) {
    let built = ours(record, version, world);
    let context = built.staged(&written(record, &built)).unwrap();
    let name = format!("{} on {version}", record.name);
    let optional = |prefix: &str, ours: Option<String>| {
        assert_eq!(ours.as_deref(), record.optional(prefix), "{name}: {prefix}");
    };
    let same = |prefix: &str, ours: String| assert_eq!(ours, record.value(prefix), "{name}: {prefix}");

    same("name=", context.application_name.clone());
    same("type=", context.application_type.clone());
    optional("queue=", context.queue.clone());
    optional("prio=", context.priority.map(|priority| priority.to_string()));
    same("attempts=", context.max_app_attempts.to_string());
    same("validity=", context.attempt_failures_validity_ms.to_string());
    same("keep=", context.keep_containers.to_string());
    optional("label=", context.node_label.clone());
    same("resource=", format!("<memory:{}, vCores:{}>", context.memory_mb, context.v_cores));
    let (include, exclude) = &context.rolled_logs;
    let patterns: Vec<String> = [("include", include), ("exclude", exclude)]
        .into_iter()
        .filter_map(|(kind, pattern)| Some(format!("rolled_logs_{kind}_pattern: \"{}\"", pattern.as_ref()?)))
        .collect();
    optional("logagg=", Some(patterns.join(" ")).filter(|text| !text.is_empty()));
    assert_eq!(tags(record.value("MODE "), &context), set(record.value("tags="), &['[', ']']), "{name}: tags");
    let acls: BTreeSet<String> = context.application_acls.iter().map(|(kind, who)| format!("{kind}={who}")).collect();
    let theirs = record.value("ACLS ").trim_matches(['{', '}']);
    let theirs = theirs.replace(", MODIFY", "\0MODIFY").replace(", VIEW", "\0VIEW");
    let theirs: BTreeSet<String> = theirs.split('\0').filter(|acl| !acl.is_empty()).map(str::to_owned).collect();
    assert_eq!(acls, theirs, "{name}: ACLs");
    let command = record.value("COMMANDS ").strip_prefix('[').unwrap().strip_suffix(']').unwrap();
    assert_eq!(in_order(&context.command), in_order(command), "{name}: command");

    let config_path = format!("{}/{}", built.staging, built.config_file.name);
    let config_size = built.uploads.iter().find(|upload| upload.target == config_path).unwrap().size.unwrap();
    let resolve = |text: &str| {
        let sized = text
            .replace("'path':'<D>/CONFIG','size':0", &format!("'path':'{config_path}','size':{config_size}"))
            .replace("path=<D>/CONFIG, size=0", &format!("path={config_path}, size={config_size}"));
        sized.replace("<D>", &built.staging)
    };
    let theirs: BTreeMap<&str, String> =
        record.environment().into_iter().map(|(key, value)| (key, resolve(value))).collect();
    assert_eq!(
        context.environment.keys().map(String::as_str).collect::<Vec<_>>(),
        theirs.keys().copied().collect::<Vec<_>>(),
        "{name}: environment"
    );
    for (key, value) in &context.environment {
        if key == "_CLIENT_SHIP_FILES" {
            assert_eq!(set(value, &[]), set(&theirs[key.as_str()], &[]), "{name}: {key}");
        } else {
            assert_eq!(*value, theirs[key.as_str()], "{name}: {key}");
        }
    }
    compare_files(&name, record, &context, &config_path, config_size, &built.staging);
    compare_config(&name, &built.config_file.config, &record.config(version));
}

/// The items of a list, whose order means nothing.
fn set(text: &str, around: &[char]) -> BTreeSet<String> {
    let parts = text.trim_matches(around).split([',', ';']).map(str::trim);
    let split_at = if text.starts_with(['{', 'Y']) { text.split(';').collect::<Vec<_>>() } else { parts.collect() };
    split_at.into_iter().filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// Without the one that names the run.
fn tags(mode: &str, context: &SubmissionContext) -> BTreeSet<String> {
    let mut tags: BTreeSet<String> = context.tags.iter().cloned().collect();
    if mode == "application" {
        assert!(tags.remove(&RunKey::new(JobId::from_u128(7), 1).tag()), "{tags:?}");
    }
    tags
}

/// The command, its `-D key=value` sorted: Java has them in the order of a hash map.
fn in_order(command: &str) -> (String, BTreeSet<String>) {
    let mut properties = BTreeSet::new();
    let mut rest = String::new();
    let mut words = command.split(' ');
    while let Some(word) = words.next() {
        if word == "-D" {
            properties.insert(words.next().unwrap().to_owned());
        } else {
            rest.push_str(word);
            rest.push(' ');
        }
    }
    (rest, properties)
}

fn compare_files(
    name: &str,
    record: &Record,
    context: &SubmissionContext,
    config_path: &str,
    config_size: u64,
    staging: &str,
) {
    let mut theirs = record.files();
    for file in theirs.values_mut() {
        if file.path == "<D>/CONFIG" {
            (file.path, file.size) = (config_path.to_owned(), config_size);
        }
        file.path = file.path.replace("<D>", staging);
    }
    let ours: BTreeMap<String, RemoteFile> = context
        .local_resources
        .iter()
        .map(|file| {
            let state = RemoteFile {
                path: file.path.clone(),
                size: file.size,
                modified_ms: file.modified_ms,
                resource_type: file.resource_type,
                visibility: file.visibility,
            };
            (file.key.clone(), state)
        })
        .collect();
    assert_eq!(ours, theirs, "{name}: files");
}

/// What Flink's client writes into the configuration and the cluster does not read.
const CLIENT_ONLY: [&str; 2] = ["$internal.yarn.log-config-file", "yarn.flink-dist-jar"];
/// What we write beside it.
const OURS_ONLY: [&str; 2] = ["$internal.pipeline.job-id", "pipeline.name"];

fn compare_config(name: &str, ours: &FlinkConfig, theirs: &FlinkConfig) {
    for (key, value) in theirs.iter() {
        // No arguments: Flink's client writes an empty list, which is read like none.
        let no_args = key == "$internal.application.program-args" && decode_list(value).unwrap().is_empty();
        if CLIENT_ONLY.contains(&key) || no_args {
            continue;
        }
        let found = ours.get(key).unwrap_or_else(|| panic!("{name}: {key} is missing"));
        match key {
            "pipeline.jars" => assert_eq!(found.rsplit('/').next(), value.rsplit('/').next(), "{name}: {key}"),
            "$internal.application.program-args" => {
                assert_eq!(decode_list(found).unwrap(), decode_list(value).unwrap(), "{name}: {key}");
            }
            _ => assert_eq!(found, value, "{name}: {key}"),
        }
    }
    for (key, _) in ours.iter() {
        assert!(theirs.contains(key) || OURS_ONLY.contains(&key), "{name}: {key} is ours alone");
    }
}

fn check(version: &str, count: usize) {
    let world = World::read();
    let records = records(version);
    for record in &records {
        compare(record, &version.parse().unwrap(), &world);
    }
    assert_eq!(records.len(), count);
}

macro_rules! versions {
    ($($name:ident, $version:literal, $count:literal;)*) => {
        $(#[test] fn $name() { check($version, $count); })*
    };
}

versions! {
    flink_1_16, "1.16.3", 34;
    flink_1_17, "1.17.2", 8;
    flink_1_18, "1.18.1", 34;
    flink_1_19, "1.19.3", 8;
    flink_1_20, "1.20.5", 35;
    flink_2_0, "2.0.2", 8;
    flink_2_1, "2.1.3", 8;
    flink_2_2, "2.2.1", 8;
    flink_2_3, "2.3.0", 36;
}

#[test]
fn the_request_is_what_the_resource_manager_documents() {
    let world = World::read();
    let version = FlinkVersion::new(2, 3);
    let records = records("2.3.0");
    let record = records.iter().find(|record| record.name == "names").unwrap();
    let built = ours(record, &version, &world);
    let mut context = built.staged(&written(record, &built)).unwrap();
    context.tokens.push(("nn".to_owned(), "canary".into()));
    let json = context.to_json();
    assert_eq!(json["am-container-spec"]["credentials"]["tokens"]["entry"][0]["value"], "canary");
    assert_eq!(json["am-container-spec"]["commands"]["command"], context.command);
    assert_eq!(json["am-container-spec"]["application-acls"]["entry"][1]["value"], "*");
    assert_eq!(json["application-tags"]["tag"][1], "b");
    assert_eq!(json["resource"], serde_json::json!({"memory": 1600, "vCores": 2}));
    assert_eq!(json["app-node-label-expression"], json["am-container-node-label-expression"]);
    let first = &json["am-container-spec"]["local-resources"]["entry"][0];
    assert_eq!(first["value"]["type"], "FILE");
    assert!(!json.to_string().contains("null"), "{json}");
    assert!(!context.masked().to_string().contains("canary"));
    assert!(!format!("{context:?}").contains("canary"));
}

#[test]
fn bytes_of_the_uploads_are_there() {
    let world = World::read();
    let records = records("1.16.3");
    let built = ours(&records[0], &FlinkVersion::new(1, 16), &world);
    let config = built.uploads.iter().find(|upload| upload.key == "flink-conf.yaml").unwrap();
    let Location::Bytes(bytes) = &config.source else { panic!("{config:?}") };
    assert_eq!(FlinkConfig::from_flink_conf_yaml(std::str::from_utf8(bytes).unwrap()), built.config_file.config);
    assert_eq!(config.size, Some(Bytes::len(bytes) as u64));
}
