use std::collections::BTreeMap;

use streampark_core::cluster::{Plan, SessionSpec, Submission};
use streampark_core::flink::{FlinkConfig, FlinkVersion, decode_list};
use streampark_core::job::{JobId, Launch, Location, Resource, RestoreKind, RestorePoint, RunKey, RunRef, Runtime};
use streampark_core::{Error, ErrorKind};

use super::*;
use crate::facts::{ClusterFacts, RemoteFile, ResourceLimits, ResourceType, Visibility};

const STAGING: &str = "hdfs://nn/user/alice/.flink/application_1_0001";

fn remote(path: &str) -> RemoteFile {
    RemoteFile {
        path: path.to_owned(),
        size: 7,
        modified_ms: 1_795_248_513_662,
        resource_type: ResourceType::File,
        visibility: Visibility::Public,
    }
}

/// A case: changed from the simplest submission that works.
struct Case {
    version: FlinkVersion,
    submission: Submission,
    options: SubmissionOptions,
    facts: ClusterFacts,
    local: Vec<LocalTree>,
}

impl Case {
    fn new() -> Self {
        let run = RunRef::new(RunKey::new(JobId::from_u128(7), 3));
        let jar = Resource::new("orders.jar", Location::Path("/jobs/orders.jar".into()));
        Self {
            version: FlinkVersion::new(2, 3),
            submission: Submission::new(run, "orders", Launch::of_jar(jar)),
            options: SubmissionOptions::default(),
            facts: ClusterFacts {
                resource_manager: "http://rm:8088/".to_owned(),
                default_fs: "hdfs://nn".to_owned(),
                user: "alice".to_owned(),
                home: "hdfs://nn/user/alice".to_owned(),
                yarn_class_path: None,
                application_id: "application_1_0001".to_owned(),
                cluster_timestamp: 1,
                limits: ResourceLimits { max_memory_mb: 4096, max_vcores: 4, min_allocation_mb: 128 },
                hadoop_files: BTreeMap::new(),
                provided_lib_dirs: vec!["hdfs://nn/flink/lib".to_owned()],
                files: vec![remote("hdfs://nn/flink/lib/flink-dist.jar"), remote("hdfs://nn/flink/lib/flink-csv.jar")],
                secure: false,
            },
            local: Vec::new(),
        }
    }

    fn version(mut self, major: u32, minor: u32) -> Self {
        self.version = FlinkVersion::new(major, minor);
        self
    }

    fn flink(mut self, key: &str, value: &str) -> Self {
        self.submission.config.set(key, value);
        self
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn result(&self) -> streampark_core::Result<Built> {
        let request = Request::new(Deploy::Application(&self.submission), &self.version, &self.options, &self.facts);
        build(&request.local(&self.local))
    }

    fn built(&self) -> Built {
        self.result().unwrap()
    }

    fn config(&self) -> FlinkConfig {
        self.built().config_file.config
    }

    fn error(&self) -> Error {
        let error = self.result().unwrap_err();
        assert_eq!(error.operation(), Some("yarn.build"));
        error
    }

    fn message(&self) -> String {
        self.error().message().to_owned()
    }
}

fn keys(built: &Built) -> Vec<&str> {
    built.context.local_resources.iter().map(|file| file.key.as_str()).collect()
}

fn file(name: &str) -> Resource {
    Resource::new(name, Location::Path(format!("/jobs/{name}").into()))
}

#[test]
fn a_run_is_named_tagged_and_fenced() {
    let case = Case::new();
    let built = case.built();
    assert_eq!(built.context.application_name, "orders");
    assert_eq!(built.context.tags, [case.submission.run.key.tag()]);
    let config = &built.config_file.config;
    let expected = case.submission.run.flink_job.to_string();
    assert_eq!(config.get("$internal.pipeline.job-id"), Some(expected.as_str()));
    assert_eq!(config.get("pipeline.name"), Some("orders"));
    assert_eq!(config.get("pipeline.jars"), Some("file:///orders.jar"));
    assert_eq!(config.get("high-availability.cluster-id"), Some("application_1_0001"));
    assert_eq!(built.staging, STAGING);
    assert_eq!(case.built().context, built.context, "the same request gives the same submission");
}

#[test]
fn the_job_manager_lingers_and_archives_unless_told_otherwise() {
    let built = Case::new().built();
    let config = &built.config_file.config;
    assert_eq!(config.get("execution.shutdown-on-application-finish"), Some("false"));
    assert_eq!(config.get("execution.submit-failed-job-on-application-error"), Some("true"));
    assert_eq!(built.archive.as_deref(), Some("hdfs://nn/user/alice/.flink/application_1_0001-archive"));
    let config = Case::new().with(|case| (case.options.linger, case.options.archive) = (false, false)).config();
    for key in ["execution.shutdown-on-application-finish", "jobmanager.archive.fs.dir"] {
        assert!(!config.contains(key), "{key}");
    }
    let built = Case::new().flink("jobmanager.archive.fs.dir", "hdfs://nn/mine").built();
    assert_eq!(built.archive.as_deref(), Some("hdfs://nn/mine"));
}

#[test]
fn state_and_parallelism_reach_the_configuration() {
    let change = |case: &mut Case| {
        case.submission.parallelism = Some(4);
        case.submission.allow_non_restored_state = true;
        let at = "2026-11-28T12:00:00Z".parse().unwrap();
        case.submission.restore = Some(RestorePoint::new(RestoreKind::Checkpoint, "hdfs://nn/cp/chk-7", at));
    };
    let new = Case::new().with(change).config();
    assert_eq!(new.get("parallelism.default"), Some("4"));
    assert_eq!(new.get("execution.state-recovery.path"), Some("hdfs://nn/cp/chk-7"));
    assert_eq!(new.get("execution.state-recovery.claim-mode"), Some("NO_CLAIM"));
    assert_eq!(new.get("execution.state-recovery.ignore-unclaimed-state"), Some("true"));
    let old = Case::new().version(1, 18).with(change).config();
    assert_eq!(old.get("execution.savepoint.path"), Some("hdfs://nn/cp/chk-7"));
    assert_eq!(old.get("execution.savepoint-restore-mode"), Some("NO_CLAIM"));
}

#[test]
fn the_jobs_configuration_wins_over_the_clusters_and_ours_over_both() {
    let built = Case::new()
        .with(|case| {
            case.options.flink.set("yarn.application.queue", "default");
            case.options.flink.set("execution.target", "remote");
        })
        .flink("yarn.application.queue", "root.flink")
        .flink("pipeline.jars", "x.jar")
        .flink("rest.bind-address", "localhost")
        .built();
    assert_eq!(built.context.queue.as_deref(), Some("root.flink"));
    let config = &built.config_file.config;
    assert_eq!(config.get("execution.target"), Some("yarn-application"));
    assert!(!config.contains("rest.bind-address"), "nobody would reach the JobManager");
    for key in ["execution.target", "pipeline.jars"] {
        let note = format!("{key} is set by the submission itself; the configured value is not used");
        assert!(built.notes.contains(&note), "{:?}", built.notes);
    }
    let note = "jobmanager.memory.process.size is not set: 1600m, as in the configuration that Flink comes with";
    assert!(built.notes.iter().any(|known| known == note), "{:?}", built.notes);
    assert_eq!(config.get("taskmanager.memory.process.size"), Some("1728m"));
}

#[test]
fn java_17_is_opened_where_the_version_knows_it() {
    let command = |case: Case| case.built().context.command;
    assert!(command(Case::new()).contains("--add-opens=java.base/java.lang=ALL-UNNAMED"));
    assert!(!command(Case::new().version(1, 17)).contains("--add-opens"));
    let own = Case::new().flink("env.java.opts", "-Dx=1");
    assert!(own.config().get("env.java.opts.all").is_none());
    assert!(command(own).contains(" -Dx=1 -XX:+IgnoreUnrecognizedVMOptions "));
}

#[test]
fn parts_of_a_program_have_their_places() {
    let case = Case::new().with(|case| {
        let launch = &mut case.submission.launch;
        launch.jars = vec![file("kafka.jar"), Resource::new("udf.jar", Location::Bytes("PK".into()))];
        launch.files = vec![file("rules.json")];
        launch.archives = vec![file("model.zip")];
        case.facts.hadoop_files.insert("core-site.xml".to_owned(), b"<configuration/>".to_vec());
    });
    let built = case.built();
    assert_eq!(
        keys(&built),
        [
            "lib/flink-csv.jar",
            "lib/flink-dist.jar",
            "rules.json",
            "core-site.xml",
            "log4j.properties",
            "model.zip",
            "orders.jar",
            "usrlib/kafka.jar",
            "usrlib/udf.jar",
            "config.yaml",
        ]
    );
    assert_eq!(
        built.context.environment["_FLINK_CLASSPATH"],
        ":lib/flink-csv.jar:orders.jar:usrlib/kafka.jar:usrlib/udf.jar:lib/flink-dist.jar:config.yaml:"
    );
    let archive = built.context.local_resources.iter().find(|file| file.key == "model.zip").unwrap();
    assert_eq!((archive.resource_type, archive.visibility), (ResourceType::Archive, Visibility::Application));
    assert_eq!(built.context.local_resources[0].visibility, Visibility::Public);
    let disabled = case.with(|case| case.submission.config.set("yarn.classpath.include-user-jar", "disabled")).built();
    assert!(keys(&disabled).contains(&"usrlib/orders.jar"));
    assert_eq!(disabled.context.environment["_FLINK_CLASSPATH"], ":lib/flink-csv.jar:lib/flink-dist.jar:config.yaml:");
}

#[test]
fn a_jar_on_the_cluster_is_used_where_it_is() {
    let url = "hdfs://nn/jobs/my%20jobs/orders.jar";
    let case = Case::new().with(|case| {
        case.facts.files.push(remote("hdfs://nn/jobs/my jobs/orders.jar"));
        case.submission.launch.jar = Some(Resource::new("orders.jar", Location::Remote(url.parse().unwrap())));
    });
    let built = case.built();
    assert_eq!(built.config_file.config.get("pipeline.jars"), Some(url));
    assert!(built.uploads.iter().all(|upload| upload.key != "orders.jar"));
    let json = built.context.to_json();
    let entries = json["am-container-spec"]["local-resources"]["entry"].as_array().unwrap();
    let jar = entries.iter().find(|entry| entry["key"] == "orders.jar").unwrap();
    assert_eq!(jar["value"]["resource"], url);
    let renamed = case.with(|case| case.submission.launch.jar.as_mut().unwrap().name = "job.jar".to_owned());
    assert_eq!(renamed.config().get("pipeline.jars"), Some("file:///job.jar"));
    let gone = renamed.with(|case| _ = case.facts.files.pop());
    assert_eq!(gone.message(), format!("'{url}' does not exist on the cluster's file system"));
    assert_eq!(gone.error().kind(), ErrorKind::NotFound);
}

#[test]
fn arguments_arrive_whole() {
    let args = ["--sql", "a;b", "x#y", "it's \"quoted\"", "", "line\nend", "k: v"];
    let set = |case: &mut Case| case.submission.launch.args = args.map(str::to_owned).to_vec();
    let text = Case::new().with(set).config();
    assert_eq!(decode_list(text.get("$internal.application.program-args").unwrap()).unwrap(), args);
    assert_eq!(
        Case::new().version(1, 18).with(set).message(),
        "argument 3 of the program holds '#', and everything from there on would be taken as a comment: Flink 1.18 reads \
         arguments from flink-conf.yaml; pass it in a file, or use Flink 1.19 or later"
    );
    let line = Case::new().version(1, 16).with(|case| case.submission.launch.args = vec!["a\nb".to_owned()]);
    assert_eq!(
        line.message(),
        "argument 1 of the program holds a line end, and a value is one line: Flink 1.16 reads arguments from \
         flink-conf.yaml; pass it in a file, or use Flink 1.19 or later"
    );
    let fine = Case::new().version(1, 16).with(|case| case.submission.launch.args = vec!["k: v;w".to_owned()]);
    let built = fine.built();
    let config = built.uploads.iter().find(|upload| upload.key == "flink-conf.yaml").unwrap();
    let Location::Bytes(bytes) = &config.source else { panic!("{config:?}") };
    let read = FlinkConfig::from_flink_conf_yaml(std::str::from_utf8(bytes).unwrap());
    assert_eq!(decode_list(read.get("$internal.application.program-args").unwrap()).unwrap(), ["k: v;w"]);
}

#[test]
fn traps_of_flink_conf_yaml_are_refused_by_name() {
    let refused = |key: &str, value: &str| Case::new().version(1, 17).flink(key, value).message();
    for (value, why) in [
        ("a#b", "everything from '#' on would be taken as a comment"),
        ("a\nb", "it has a line end, and a value is one line"),
        ("", "it is empty, and empty values are ignored"),
        (" a", "blanks at its start or end would be cut off"),
    ] {
        assert_eq!(
            refused("my.key", value),
            format!(
                "the value of 'my.key' cannot be kept in flink-conf.yaml: {why}; change it, or use Flink 1.19 or later with \
                 config.yaml"
            )
        );
        assert_eq!(Case::new().version(1, 20).flink("my.key", value).config().get("my.key"), Some(value));
    }
    assert_eq!(refused("my: key", "v"), "'my: key' cannot be a key in flink-conf.yaml");
    assert_eq!(Case::new().version(1, 17).flink("my.key", "a: b").config().get("my.key"), Some("a: b"));
}

#[test]
fn tags_that_yarn_would_change_or_refuse() {
    let tagged = |tags: &str| Case::new().flink("yarn.tags", tags);
    assert_eq!(
        tagged("Orders").message(),
        "the YARN tag 'Orders' has upper-case letters, and YARN stores lower case; write 'orders'"
    );
    let long = "x".repeat(101);
    assert_eq!(
        tagged(&long).message(),
        format!("the YARN tag '{long}' has 101 characters, and YARN takes 100; shorten it")
    );
    tagged(&"x".repeat(100)).built();
    assert_eq!(tagged("größe").message(), "the YARN tag 'größe' is not ASCII, and YARN takes nothing else; rename it");
    let ten = tagged("a,b,c,d,e,f,g,h,i,j");
    assert!(ten.message().starts_with("the application would have 11 tags (streampark-"), "{}", ten.message());
    assert!(ten.message().ends_with(", a, b, c, d, e, f, g, h, i, j), and YARN takes 10; shorten yarn.tags"));
    let own = Case::new().with(|case| case.options.tags = vec!["a,b".to_owned()]);
    assert_eq!(own.message(), "the YARN tag 'a,b' holds a comma, which parts tags in YARN's reports; write it without");
}

#[test]
fn labels_become_tags_as_far_as_they_fit() {
    let case = Case::new().with(|case| {
        case.options.tags = vec!["streampark".to_owned()];
        for (key, value) in [("team", "Orders"), ("größe", "xl"), ("note", &"x".repeat(100))] {
            case.submission.labels.insert(key.to_owned(), value.to_owned());
        }
    });
    let built = case.built();
    assert_eq!(built.context.tags, [case.submission.run.key.tag().as_str(), "streampark", "team=orders"]);
    let note =
        "labels that are no tags of the application, because YARN takes 10 tags of 100 ASCII characters: größe, note";
    assert!(built.notes.iter().any(|known| known == note), "{:?}", built.notes);
}

#[test]
fn names_that_collide() {
    let jar = |name: &str| Case::new().with(|case| case.submission.launch.jar = Some(file(name)));
    assert_eq!(
        jar("flink-csv.jar").message(),
        "the program's jar 'flink-csv.jar' has the name of Flink's own 'lib/flink-csv.jar': one of both would hide the \
         other; leave it out where it is the same library, else rename it"
    );
    assert_eq!(
        jar("flink-dist-2.3.0.jar").message(),
        "the program's jar 'flink-dist-2.3.0.jar' is called like Flink's own flink-dist, which Flink never ships; rename it"
    );
    assert!(jar("my job.jar").message().starts_with("the file name 'my job.jar' has a blank, "));
    let twice = Case::new().with(|case| case.submission.launch.files = vec![file("config.yaml")]);
    assert_eq!(
        twice.message(),
        "two files would be 'config.yaml' in the container, /jobs/config.yaml and the one written for 'config.yaml'; rename \
         one of them"
    );
    let folder = Case::new().with(|case| case.submission.launch.files = vec![file("lib")]);
    assert_eq!(
        folder.message(),
        "'lib/flink-csv.jar' and 'lib' cannot both be in the container: one is a file, and a folder for the other; rename \
         one of them"
    );
    let jars = Case::new().with(|case| case.submission.launch.jars = vec![file("flink-csv.jar")]);
    assert!(jars.message().starts_with("the program's jar 'flink-csv.jar' has the name of Flink's own "));
    let keytab = Case::new()
        .flink("security.kerberos.login.keytab", "/etc/orders.jar")
        .flink("security.kerberos.login.principal", "alice");
    assert_eq!(
        keytab.message(),
        "two different files would be 'orders.jar' in the staging folder; rename /etc/orders.jar"
    );
}

#[test]
fn what_does_not_fit_into_a_container() {
    let case = Case::new().flink("jobmanager.memory.process.size", "5g");
    assert_eq!(
        case.message(),
        "the JobManager needs a container of 5 gb, and the largest that YARN gives here has 4 gb; lower \
         jobmanager.memory.process.size, or raise yarn.scheduler.maximum-allocation-mb"
    );
    let case = Case::new().flink("taskmanager.memory.process.size", "4097m");
    assert!(case.message().starts_with("the TaskManager needs a container of 4097 mb, "), "{}", case.message());
    assert_eq!(
        Case::new().flink("yarn.appmaster.vcores", "5").message(),
        "the JobManager needs 5 virtual cores, and the largest container that YARN gives here has 4; lower \
         yarn.appmaster.vcores"
    );
    assert_eq!(
        Case::new().flink("taskmanager.numberOfTaskSlots", "8").message(),
        "the TaskManager needs 8 virtual cores, and the largest container that YARN gives here has 4; lower \
         yarn.containers.vcores or taskmanager.numberOfTaskSlots"
    );
    Case::new().flink("taskmanager.numberOfTaskSlots", "8").flink("yarn.containers.vcores", "2").built();
    assert_eq!(
        Case::new().flink("yarn.appmaster.vcores", "many").message(),
        "yarn.appmaster.vcores is 'many', which is no number of its kind"
    );
}

#[test]
fn where_flink_is_must_be_known() {
    let dirs = |dirs: &str| Case::new().flink("yarn.provided.lib.dirs", dirs);
    let none = Case::new().with(|case| case.facts.provided_lib_dirs.clear());
    assert_eq!(
        none.message(),
        "where Flink is was not said: set yarn.provided.lib.dirs to its lib and plugins on the cluster's file system, or \
         give a distribution of this machine"
    );
    assert_eq!(
        dirs("/none").message(),
        "'hdfs://nn/none' of yarn.provided.lib.dirs is empty or does not exist on the cluster's file system"
    );
    assert_eq!(
        dirs("file:///opt/flink/lib").message(),
        "'file:///opt/flink/lib' in yarn.provided.lib.dirs is a folder of this machine, and every node must reach it; put \
         Flink on the cluster's file system"
    );
    assert_eq!(
        dirs("hdfs:///flink/usrlib").message(),
        "'hdfs://nn/flink/usrlib' in yarn.provided.lib.dirs is a usrlib; name it in yarn.provided.usrlib.dir"
    );
    let without = Case::new().with(|case| case.facts.files.retain(|file| !file.path.contains("dist")));
    assert_eq!(
        without.message(),
        "none of the folders of yarn.provided.lib.dirs holds flink-dist-*.jar (hdfs://nn/flink/lib); they must hold all of \
         Flink's lib and plugins"
    );
    let two = Case::new().with(|case| case.facts.files.push(remote("hdfs://nn/flink/lib/flink-dist-2.3.0.jar")));
    assert_eq!(
        two.message(),
        "yarn.provided.lib.dirs holds two Flinks, 'lib/flink-dist-2.3.0.jar' and 'lib/flink-dist.jar'; leave one of them"
    );
    let other =
        Case::new().with(|case| case.facts.files[0].path = "hdfs://nn/flink/lib/flink-dist-1.20.5.jar".to_owned());
    assert_eq!(
        other.message(),
        "the Flink at hand is 1.20.5 (flink-dist-1.20.5.jar), and the submission is for Flink 2.3; name the version that is \
         there, or provide the other Flink"
    );
    let scala =
        |case: &mut Case| case.facts.files[0].path = "hdfs://nn/flink/lib/flink-dist_2.12-1.20.5.jar".to_owned();
    assert!(Case::new().with(scala).message().starts_with("the Flink at hand is 1.20.5 "));
    Case::new().version(1, 20).with(scala).built();
}

#[test]
fn files_that_cannot_be_shipped() {
    let ship = |path: &str| Case::new().flink("yarn.ship-files", path);
    assert_eq!(ship("/none").message(), "'/none' of yarn.ship-files does not exist on this machine");
    assert_eq!(ship("/none").error().kind(), ErrorKind::NotFound);
    assert_eq!(
        ship("hdfs://nn/none").message(),
        "'hdfs://nn/none' of yarn.ship-files is empty or does not exist on the cluster's file system"
    );
    let old = ship("hdfs://nn/flink/lib/flink-csv.jar").version(1, 18);
    assert_eq!(
        old.error().message(),
        "a path of the cluster's file system in yarn.ship-files needs Flink 1.19 or later, this is 1.18"
    );
    let usrlib = ship("/opt/usrlib").with(|case| {
        case.local = vec![LocalTree::of_folder("/opt/usrlib", [LocalFile::new("a.jar", 1)])];
    });
    assert_eq!(
        usrlib.message(),
        "'/opt/usrlib' in yarn.ship-files is a usrlib; name it in yarn.provided.usrlib.dir, or give the jars with the program"
    );
    let archive = Case::new().with(|case| case.submission.launch.archives = vec![file("model.rar")]);
    assert_eq!(
        archive.message(),
        "'model.rar' in yarn.ship-archives is no archive: YARN unpacks files that end in .tar.gz, .tar, .tgz, .dst, .jar, .zip"
    );
    assert_eq!(
        Case::new().flink("yarn.provided.usrlib.dir", "/flink/lib").message(),
        "yarn.provided.usrlib.dir is '/flink/lib', and the folder must be called usrlib; rename it"
    );
}

#[test]
fn programs_that_lack_something() {
    let none = |case: &mut Case| case.submission.launch.jar = None;
    assert_eq!(
        Case::new().version(1, 20).with(none).error().message(),
        "a program without a jar of its own needs Flink 2.0 or later, this is 1.20"
    );
    Case::new().with(none).built();
    let python = |case: &mut Case| {
        none(case);
        case.submission.launch.runtime = Runtime::Python;
    };
    assert_eq!(
        Case::new().with(python).message(),
        "a Python program needs flink-python-*.jar of Flink's opt folder; set python_jar"
    );
    let whole = Case::new().version(1, 16).with(python).with(|case| {
        case.options.python_jar = Some(file("flink-python-1.16.3.jar"));
    });
    assert!(keys(&whole.built()).contains(&"opt/flink-python-1.16.3.jar"));
    assert_eq!(whole.config().get("$internal.application.main"), Some("org.apache.flink.client.python.PythonDriver"));
    let disabled = whole.with(|case| case.submission.config.set("yarn.classpath.include-user-jar", "DISABLED"));
    assert_eq!(
        disabled.message(),
        "yarn.classpath.include-user-jar is DISABLED, and there is no jar and no usrlib for Flink to load; give one, or \
         remove the key"
    );
    let sql = Case::new().with(none).with(|case| {
        case.submission.launch.entry_class = Some("org.apache.flink.table.runtime.application.SqlDriver".to_owned());
    });
    assert_eq!(
        sql.message(),
        "Flink's SQL driver needs flink-sql-gateway-*.jar of Flink's opt folder; set sql_gateway_jar"
    );
    assert_eq!(
        Case::new().flink("yarn.classpath.include-user-jar", "SOMETIMES").message(),
        "yarn.classpath.include-user-jar is 'SOMETIMES'; it must be FIRST, LAST, ORDER or DISABLED"
    );
}

#[test]
fn rights_kerberos_and_variables_that_cannot_work() {
    assert_eq!(
        Case::new().flink("yarn.view.acls", "a*").message(),
        "yarn.view.acls is 'a*': the only wildcard is '*' alone; else write users and groups as 'user1,user2 group1'"
    );
    assert_eq!(
        Case::new().version(1, 17).flink("yarn.modify.acls", "*").error().message(),
        "yarn.modify.acls needs Flink 1.18 or later, this is 1.17"
    );
    let keytab = Case::new().flink("security.kerberos.login.keytab", "/etc/alice.keytab");
    assert_eq!(
        keytab.message(),
        "security.kerberos.login.keytab is set without security.kerberos.login.principal; set both"
    );
    let ship = Case::new()
        .flink("security.kerberos.login.keytab", "/etc/alice.keytab")
        .flink("security.kerberos.login.principal", "alice")
        .flink("yarn.security.kerberos.ship-local-keytab", "perhaps");
    assert_eq!(ship.message(), "yarn.security.kerberos.ship-local-keytab is 'perhaps'; it must be true or false");
    assert_eq!(
        Case::new().flink("containerized.master.env.MY-VAR", "1").message(),
        "'containerized.master.env.MY-VAR' names no variable: letters, digits and _ follow containerized.master.env."
    );
    assert_eq!(
        Case::new().flink("containerized.master.env.VAR", "a\"b").message(),
        "the value of containerized.master.env.VAR holds \\\", which YARN's launch script does not survive: it puts values \
         into double quotes and escapes nothing; leave it out, or pass it in a file"
    );
    assert_eq!(
        Case::new().flink("yarn.staging-directory", "/my stage").message(),
        "the staging folder 'hdfs://nn/my stage' holds  , which Flink's lists of files do not survive; set \
         yarn.staging-directory to another folder"
    );
    let secure = Case::new().with(|case| case.facts.secure = true).built();
    assert!(secure.notes.iter().any(|note| note.starts_with("without security.kerberos.login.keytab")));
}

#[test]
fn what_was_staged_is_checked() {
    let built = Case::new().built();
    let written: Vec<RemoteFile> = built
        .uploads
        .iter()
        .map(|upload| RemoteFile { size: upload.size.unwrap_or(9), ..remote(&upload.target) })
        .collect();
    let context = built.staged(&written).unwrap();
    assert!(context.local_resources.iter().all(|file| file.modified_ms == 1_795_248_513_662 && file.size > 0));
    let ship = &context.environment["_CLIENT_SHIP_FILES"];
    let jar = format!(
        "{{'resourceKey':'orders.jar','path':'{STAGING}/orders.jar','size':9,'modificationTime':1795248513662,\
         'visibility':'APPLICATION','resourceType':'FILE'}}"
    );
    assert!(ship.contains(&jar), "{ship}");
    let error = built.staged(&written[1..]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    let mut short = written.clone();
    let config = short.iter_mut().find(|file| file.path.ends_with("config.yaml")).unwrap();
    let size = config.size;
    config.size = 1;
    let error = built.staged(&short).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(
        error.message(),
        format!(
            "'{STAGING}/config.yaml' has 1 bytes after it was staged, and {size} were to be written; was its source changed \
             meanwhile?"
        )
    );
}

#[test]
fn a_plan_shows_everything_but_secrets() {
    let case = Case::new()
        .flink("s3.secret-key", "canary-1")
        .flink("containerized.master.env.DB_PASSWORD", "canary-2")
        .flink("env.java.opts.all", "-Dssl.password=canary-3");
    let built = case.built();
    let mut plan = Plan::new("yarn http://rm:8088/", "orders");
    for step in built.plan() {
        plan.push(step);
    }
    let text = format!("{plan}{built:?}{}", plan.to_json().unwrap());
    assert!(!text.contains("canary"), "{text}");
    for part in ["MKDIRS hdfs://nn/user/alice/.flink/application_1_0001", "CREATE ", "POST /ws/v1/cluster/apps"] {
        assert!(text.contains(part), "{part}");
    }
    assert!(text.contains("s3.secret-key: ******"));
}

#[test]
fn a_session_is_a_session() {
    let case = Case::new();
    let mut session = SessionSpec::new("reports");
    session.flink.set("yarn.application.queue", "root.sessions");
    let request = Request::new(Deploy::Session(&session), &case.version, &case.options, &case.facts);
    let built = build(&request).unwrap();
    assert_eq!(built.context.application_name, "reports");
    assert_eq!(built.context.queue.as_deref(), Some("root.sessions"));
    assert!(built.context.command.contains(" org.apache.flink.yarn.entrypoint.YarnSessionClusterEntrypoint "));
    assert_eq!(built.archive, None);
    for key in ["execution.shutdown-on-application-finish", "$internal.pipeline.job-id", "pipeline.name"] {
        assert!(!built.config_file.config.contains(key), "{key}");
    }
}

#[test]
fn needs_name_every_path() {
    let case = Case::new()
        .flink("yarn.ship-files", "/a;hdfs:///b")
        .flink("yarn.ship-archives", "/c.zip")
        .flink("yarn.provided.usrlib.dir", "/flink/usrlib")
        .with(|case| {
            let url = "hdfs://nn/jobs/orders.jar".parse().unwrap();
            case.submission.launch.jar = Some(Resource::new("orders.jar", Location::Remote(url)));
        });
    let found =
        needs(&Request::new(Deploy::Application(&case.submission), &case.version, &case.options, &case.facts)).unwrap();
    assert_eq!(found.local, ["/a", "/c.zip"].map(std::path::PathBuf::from));
    assert_eq!(
        found.remote,
        ["hdfs://nn/flink/lib", "hdfs://nn/b", "hdfs://nn/flink/usrlib", "hdfs://nn/jobs/orders.jar"]
    );
}

#[test]
fn a_distribution_of_this_machine() {
    let home = tempfile::tempdir().unwrap();
    let write = |path: &str| {
        let path = home.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "x").unwrap();
    };
    write("lib/flink-csv-2.3.0.jar");
    let error = LocalDistribution::read(home.path()).unwrap_err();
    assert_eq!(
        error.message(),
        "the folder lib of Flink holds no flink-dist-*.jar; give the FLINK_HOME of an unpacked distribution"
    );
    write("lib/flink-dist-2.3.0.jar");
    write("plugins/metrics/p.jar");
    let distribution = LocalDistribution::read(home.path()).unwrap();
    assert!(distribution.usrlib.is_none());
    let case = Case::new().with(|case| {
        case.facts.provided_lib_dirs.clear();
        case.options.distribution = Some(distribution);
    });
    let built = case.built();
    assert_eq!(
        keys(&built),
        [
            "log4j.properties",
            "lib/flink-csv-2.3.0.jar",
            "plugins/metrics/p.jar",
            "orders.jar",
            "flink-dist-2.3.0.jar",
            "config.yaml",
        ]
    );
    assert_eq!(
        built.context.environment["_FLINK_CLASSPATH"],
        ":lib/flink-csv-2.3.0.jar:orders.jar:flink-dist-2.3.0.jar:config.yaml:"
    );
    std::os::unix::fs::symlink(home.path(), home.path().join("lib/loop")).unwrap();
    let error = LocalDistribution::read(home.path()).unwrap_err();
    assert_eq!(error.message(), "a folder to be shipped is nested too deep; does a link lead back into it?");
}
