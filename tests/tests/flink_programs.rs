//! JAR and SQL programs on real Flink, both major versions: where they come from, what is sent, what
//! they do, and whose fault it is when they do not.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use streampark_core::cluster::{
    Cluster as _, LocalCluster, Plan, PlanBody, RunStatus, SavepointOptions, StandaloneCluster, Stop, Submission,
};
use streampark_core::flink::RestOptions;
use streampark_core::job::{
    JarProgram, JobId, JobSpec, Launch, ProgramContext, ProgramRegistry, RestoreKind, RestorePoint, RunKey, RunRef,
    SqlProgram, prepare,
};
use streampark_core::{Error, ErrorKind, ErrorStatus, REDACTED};
use streampark_tests::flink::{small_flink, turn, variable};
use streampark_tests::gateway::{Gateway, GatewayOptions, Passed};

struct Scene {
    folder: tempfile::TempDir,
    flink: LocalCluster,
    gateway: Gateway,
    cluster: StandaloneCluster,
}

impl Scene {
    async fn start(home: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let flink = small_flink(&variable(home), &folder.path().join("flink"), 8)
            .config("env.java.opts.jobmanager", "-Duser.timezone=UTC")
            .start()
            .await
            .unwrap();
        let gateway = Gateway::start(flink.address(), GatewayOptions::default()).await.unwrap();
        let cluster = StandaloneCluster::new(&gateway.address).unwrap();
        Self { folder, flink, gateway, cluster }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn prepare(&self, spec: &JobSpec) -> Result<Launch, Error> {
        let context = ProgramContext::new(self.path("cache")).with_base(self.folder.path());
        prepare(spec, &ProgramRegistry::default(), &context).await
    }

    async fn submission(&self, spec: &JobSpec) -> Submission {
        let run = RunRef::new(RunKey::new(JobId::generate(), 1));
        Submission::of_spec(run, spec, self.prepare(spec).await.unwrap())
    }

    async fn wait(&self, run: &RunRef, wanted: RunStatus) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let all = self.cluster.observe().await;
            let seen = all.iter().flatten().find(|seen| seen.flink_job == Some(run.flink_job));
            // Flink calls a job RUNNING while its tasks are still being deployed.
            let at_work = |tasks: Option<(u32, u32)>| {
                wanted != RunStatus::Running || tasks.is_some_and(|(running, all)| running == all)
            };
            if seen.as_ref().is_some_and(|seen| seen.status == wanted && at_work(seen.tasks)) {
                return;
            }
            let failure = self.cluster.failure(run).await;
            assert!(Instant::now() < deadline, "not {wanted:?}: {all:#?} {failure:#?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Runs `spec` until it has ended by itself.
    async fn run(&self, spec: JobSpec) {
        let submission = self.submission(&spec).await;
        self.cluster.submit(&submission).await.unwrap();
        self.wait(&submission.run, RunStatus::Finished).await;
    }

    async fn refused(&self, spec: JobSpec) -> Error {
        let submission = self.submission(&spec).await;
        self.cluster.submit(&submission).await.unwrap_err()
    }
}

fn jobs_jar() -> String {
    variable("STREAMPARK_TEST_JOBS_JAR")
}

fn finite(jar: &str, output: &Path) -> JobSpec {
    let output = output.to_string_lossy();
    let program = JarProgram::new(jar).entry_class("streampark.testing.FiniteJob");
    let program = program.args(["--rate", "200", "--output", &output]);
    JobSpec::new("finite", program)
}

/// A path, a `file:` URL and an `http` URL give the same job.
async fn a_jar_comes_from_anywhere(scene: &Scene) {
    let bytes = std::fs::read(jobs_jar()).unwrap();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/repo/jobs.jar", get(move || async move { bytes }));
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    std::fs::copy(jobs_jar(), scene.path("copied.jar")).unwrap();
    let url = url::Url::from_file_path(scene.path("copied.jar")).unwrap().to_string();
    for (index, place) in ["copied.jar", &url, &format!("http://{address}/repo/jobs.jar")].into_iter().enumerate() {
        let output = scene.path(&format!("finite-{index}"));
        scene.run(finite(place, &output)).await;
        assert_eq!(streampark_tests::output::elements(&output).len(), 100, "{place}");
    }
    server.abort();
    let uploads = scene.gateway.passed().iter().filter(|passed| passed.path == "/jars/upload").count();
    assert_eq!(uploads, 2, "one name and content is uploaded once");
}

fn body_of(plan: &Plan, method: &str, path: &str) -> PlanBody {
    let step = plan.steps.iter().find(|step| step.method == method && step.target.ends_with(path));
    step.unwrap_or_else(|| panic!("no {method} {path} in {plan}")).body.clone().unwrap()
}

/// The requests of `submit`, compared field by field with the plan made before.
async fn assert_planned(scene: &Scene, submission: &Submission) {
    // A client that knows nothing yet.
    let cluster = StandaloneCluster::new(&scene.gateway.address).unwrap();
    scene.gateway.forget();
    let plan = cluster.plan(submission).await.unwrap();
    assert!(scene.gateway.passed().is_empty(), "a plan sends nothing");
    cluster.submit(submission).await.unwrap();
    let sent = scene.gateway.passed();
    let address = scene.gateway.address.trim_end_matches('/');
    let planned: Vec<_> = plan.steps.iter().map(|step| (step.method.clone(), step.target.clone())).collect();
    let made: Vec<_> = sent
        .iter()
        .map(|passed| {
            let run = passed.path.starts_with("/jars/") && passed.path.ends_with("/run");
            let path = if run { "/jars/{jar-id}/run" } else { &passed.path };
            (passed.method.clone(), format!("{address}{path}"))
        })
        .collect();
    assert_eq!(made, planned);
    assert_upload(&body_of(&plan, "POST", "jars/upload"), &sent);
    let PlanBody::Json(planned) = body_of(&plan, "POST", "/run") else { panic!("{plan}") };
    let mut sent = sent.last().unwrap().json();
    // The same words, their secrets hidden as plans hide them.
    let args: Vec<String> = serde_json::from_value(sent["programArgsList"].clone()).unwrap_or_default();
    assert_eq!(args, submission.launch.args);
    if !args.is_empty() {
        sent["programArgsList"] = submission.launch.shown_args().into();
    }
    for (key, value) in sent["flinkConfiguration"].as_object_mut().unwrap() {
        if key.contains("secret") {
            *value = REDACTED.into();
        }
    }
    assert_eq!(sent, planned);
}

fn assert_upload(planned: &PlanBody, sent: &[Passed]) {
    let PlanBody::File { name, size, sha256 } = planned else { panic!("{planned:?}") };
    let upload = sent.iter().find(|passed| passed.path == "/jars/upload").unwrap();
    let text = String::from_utf8_lossy(&upload.body);
    assert!(text.contains(&format!("name=\"jarfile\"; filename=\"{name}\"")), "{}", &text[..300]);
    let start = upload.body.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let end = upload.body.windows(4).rposition(|window| window == b"\r\n--").unwrap();
    let jar = &upload.body[start..end];
    assert_eq!(Some(jar.len() as u64), *size);
    assert_eq!(Some(sha256_of(jar)), *sha256);
}

fn sha256_of(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jar");
    std::fs::write(&file, bytes).unwrap();
    let out = std::process::Command::new("sha256sum").arg(&file).output().unwrap();
    String::from_utf8(out.stdout).unwrap().split_whitespace().next().unwrap().to_owned()
}

const CANARY: &str = "canary-91b3";

async fn a_plan_is_what_is_sent(scene: &Scene) {
    let output = scene.path("planned").to_string_lossy().into_owned();
    let program = JarProgram::new(jobs_jar()).entry_class("streampark.testing.CountingJob").args([
        "--rate",
        "20",
        "--output",
        &output,
        "--fail-message",
        &format!("password={CANARY}"),
    ]);
    let spec = JobSpec::new("planned", program)
        .parallelism(2)
        .flink("execution.checkpointing.interval", "500 ms")
        .flink("s3.secret-key", CANARY);
    let first = scene.submission(&spec).await;
    assert!(!scene.cluster.plan(&first).await.unwrap().to_yaml().unwrap().contains(CANARY));
    // The jar may be there from another test: then the plan is of a JobManager that has it not.
    for jar in scene.flink.rest().jars().await.unwrap() {
        scene.flink.rest().delete_jar(&jar.id).await.unwrap();
    }
    assert_planned(scene, &first).await;
    scene.wait(&first.run, RunStatus::Running).await;
    while streampark_tests::output::elements(Path::new(&output)).is_empty() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let stopped = scene.cluster.stop(&first.run, Stop::Savepoint, &SavepointOptions::default()).await.unwrap();
    scene.wait(&first.run, RunStatus::Finished).await;

    let mut next = scene.submission(&spec).await;
    next.restore = stopped.savepoint;
    next.allow_non_restored_state = true;
    for jar in scene.flink.rest().jars().await.unwrap() {
        scene.flink.rest().delete_jar(&jar.id).await.unwrap();
    }
    assert_planned(scene, &next).await;
    scene.cluster.stop(&next.run, Stop::Cancel, &SavepointOptions::default()).await.unwrap();
    scene.wait(&next.run, RunStatus::Canceled).await;

    let sql = format!(
        "CREATE TABLE s (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '5');\n\
         CREATE TABLE t (n BIGINT) WITH ('connector' = 'blackhole');\n\
         -- SET 'token' = '{CANARY}'\n\
         SET 'my.token' = '{CANARY}';\n\
         INSERT INTO t SELECT n FROM s;"
    );
    let spec = JobSpec::new("planned-sql", SqlProgram::new(sql)).dependency(jobs_jar());
    let submission = scene.submission(&spec).await;
    let plan = scene.cluster.plan(&submission).await.unwrap();
    assert!(!plan.to_string().contains(CANARY), "{plan}");
    let PlanBody::Json(run) = body_of(&plan, "POST", "/run") else { panic!("{plan}") };
    let script = run["programArgsList"][1].as_str().unwrap();
    assert!(script.contains("SET 'my.token' = '******';\nINSERT INTO t SELECT n FROM s"), "readable: {script}");
    assert_planned(scene, &submission).await;
    scene.wait(&submission.run, RunStatus::Running).await;
    scene.cluster.stop(&submission.run, Stop::Cancel, &SavepointOptions::default()).await.unwrap();
    scene.wait(&submission.run, RunStatus::Canceled).await;
}

/// Everything that a filesystem table wrote.
fn rows(folder: &Path) -> Vec<String> {
    let mut rows = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with(['.', '_']) {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            rows.extend(text.lines().map(str::to_owned));
        }
    }
    rows.sort();
    rows
}

fn table(name: &str, folder: &Path) -> String {
    format!(
        "CREATE TABLE {name} (word STRING) WITH ('connector' = 'filesystem', 'path' = 'file://{}', 'format' = 'csv');\n",
        folder.display()
    )
}

const TIME: &str = "SELECT CAST(TO_TIMESTAMP_LTZ(0, 0) AS STRING)";

async fn a_script_is_one_job(scene: &Scene) {
    let (loud, calm, time) = (scene.path("loud"), scene.path("calm"), scene.path("time"));
    let script = format!(
        "SET 'execution.runtime-mode' = 'batch';\nSET 'table.local-time-zone' = 'Asia/Tokyo';\n\
         CREATE TEMPORARY FUNCTION SHOUT AS 'streampark.testing.Shout';\n{}{}{}\
         INSERT INTO loud SELECT SHOUT(word) FROM (VALUES ('hi'), ('it''s; me')) AS t(word);\n\
         INSERT INTO calm SELECT word FROM (VALUES ('hi')) AS t(word);\nINSERT INTO times {TIME};\n",
        table("loud", &loud),
        table("calm", &calm),
        table("times", &time),
    );
    let before = scene.flink.rest().jobs().await.unwrap().len();
    scene.run(JobSpec::new("script", SqlProgram::new(script)).dependency(jobs_jar())).await;
    assert_eq!(scene.flink.rest().jobs().await.unwrap().len(), before + 1, "three INSERTs are one job");
    assert_eq!(rows(&loud), ["\"HI!\"", "\"IT'S; ME!\""]);
    assert_eq!(rows(&calm), ["hi"]);
    assert_eq!(rows(&time), ["\"1970-01-01 09:00:00.000\""]);

    // From a file, with RESET and an explicit statement set.
    let (one, two) = (scene.path("one"), scene.path("two"));
    let script = format!(
        "SET 'execution.runtime-mode' = 'batch';\nSET 'table.local-time-zone' = 'Asia/Tokyo';\n\
         RESET 'table.local-time-zone';\n{}{}\
         EXECUTE STATEMENT SET\nBEGIN\n  INSERT INTO first_part {TIME};\n  INSERT INTO second_part VALUES ('b');\nEND;\n",
        table("first_part", &one),
        table("second_part", &two),
    );
    std::fs::write(scene.path("set.sql"), script).unwrap();
    scene.run(JobSpec::new("set", SqlProgram::from_file("set.sql"))).await;
    assert_eq!(rows(&one), ["\"1970-01-01 00:00:00.000\""], "RESET gave the JobManager's own zone back");
    assert_eq!(rows(&two), ["b"]);
    assert_eq!(scene.flink.rest().jobs().await.unwrap().len(), before + 2);
}

async fn a_statement_at_fault_is_named(scene: &Scene) {
    let good = "CREATE TABLE s (n INT) WITH ('connector' = 'datagen');\n\
                CREATE TABLE t (n INT) WITH ('connector' = 'blackhole');\n";
    let mut told = Vec::new();
    for last in [
        "INSERT INTO t SELEC n FROM s;",
        "INSERT INTO t SELECT n FORM s;",
        "INSERT INTO t\n  SELECT m FROM s;",
        "INSERT INTO nowhere SELECT n FROM s;",
        "CREATE FUNCTION f AS 'com.acme.Absent';\nINSERT INTO t SELECT f(n) FROM s;",
    ] {
        let error = scene.refused(JobSpec::new("bad", SqlProgram::new(format!("{good}{last}")))).await;
        assert_eq!((error.kind(), error.status()), (ErrorKind::Program, ErrorStatus::Permanent), "{error}");
        let whole = format!("{error:?} {}", error.chain());
        assert!(!whole.contains("\tat ") && !whole.contains(".java:"), "no Java stack: {whole}");
        told.push(error.message().to_owned());
    }
    let expected = [
        "statement 3 at line 3: INSERT INTO t SELEC n FROM s: Non-query expression encountered in illegal context",
        "statement 3 at line 3: INSERT INTO t SELECT n FORM s: Encountered \"s\" at line 3, column 29.",
        "statement 3 at line 3: INSERT INTO t SELECT m FROM s: Column 'm' not found in any table",
        "statement 3 at line 3: INSERT INTO nowhere SELECT n FROM s: Cannot find table \
         '`default_catalog`.`default_database`.`nowhere`' in any of the catalogs [default_catalog], nor as a \
         temporary table.",
        "statement 4 at line 4: INSERT INTO t SELECT f(n) FROM s: java.lang.ClassNotFoundException: com.acme.Absent",
    ];
    assert_eq!(told, expected);
}

async fn bad_input_is_told_on_real_flink(scene: &Scene) {
    let missing = format!("file://{}", scene.path("no-such-savepoint").display());
    let mut submission = scene.submission(&finite(&jobs_jar(), &scene.path("never"))).await;
    submission.restore = Some(RestorePoint::new(RestoreKind::Savepoint, &missing, jiff::Timestamp::now()));
    let error = scene.cluster.submit(&submission).await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::NotFound, ErrorStatus::Permanent), "{error}");
    assert_eq!(
        error.message(),
        format!("the restore point '{missing}' does not exist; choose one that does, or start without state")
    );
    std::fs::write(scene.path("page.jar"), "<html><title>404</title></html>").unwrap();
    let error = scene.prepare(&JobSpec::new("page", JarProgram::new("page.jar"))).await.unwrap_err();
    assert_eq!(
        error.message(),
        format!(
            "'{}' is not a jar: it is an HTML page; an error or login page was probably saved in its place",
            scene.path("page.jar").display()
        )
    );
    let program = JarProgram::new(jobs_jar()).entry_class("streampark.testing.CountingJobs");
    let error = scene.prepare(&JobSpec::new("absent", program)).await.unwrap_err();
    assert_eq!(
        error.message(),
        format!(
            "class 'streampark.testing.CountingJobs' is not in the jar '{}'; did you mean \
             'streampark.testing.CountingJob'?",
            jobs_jar()
        )
    );
    let spec = finite(&jobs_jar(), &scene.path("never")).parallelism(0);
    let error = spec.validate().unwrap_err();
    assert_eq!(error.message(), "parallelism is 0, it must be 1 to 32768; leave it out for the cluster's default");
    assert!(!scene.path("never").exists(), "nothing ran");
}

/// The TaskManager's RPC port speaks no HTTP, the JobManager's REST port no TLS.
async fn what_is_not_flink_is_told(scene: &Scene) {
    let config = scene.flink.rest().jobmanager_config().await.unwrap();
    let rpc = &config.iter().find(|entry| entry.key == "jobmanager.rpc.port").unwrap().value;
    let error = StandaloneCluster::new(format!("http://127.0.0.1:{rpc}/")).unwrap().observe().await.unwrap_err();
    // What that port says to HTTP before it closes the connection is Pekko's to choose.
    let broken = "the connection broke before the answer was complete".to_owned();
    let strange =
        format!("127.0.0.1:{rpc} does not answer in HTTP; if it speaks TLS, write https:// instead of http://");
    assert!([broken, strange].iter().any(|told| told == error.message()), "{error}");
    let tls = scene.flink.address().replace("http://", "https://");
    let place = tls.trim_start_matches("https://").trim_end_matches('/');
    let patient = RestOptions::new([&tls]).connect_timeout(Duration::from_secs(10));
    let error = StandaloneCluster::with_options(patient).unwrap().observe().await.unwrap_err();
    assert_eq!(error.message(), format!("{place} does not speak TLS; write http:// instead of https://"));
    let error = StandaloneCluster::new(format!("{}wrong/prefix", scene.flink.address())).unwrap().observe().await;
    assert_eq!(
        error.unwrap_err().message(),
        "this Flink does not offer the call: its version lacks it, web.submit.enable or web.cancel.enable is false, or \
         the URL has a wrong path"
    );
}

async fn all(home: &str) {
    let _turn = turn().await;
    let scene = Scene::start(home).await;
    a_jar_comes_from_anywhere(&scene).await;
    a_plan_is_what_is_sent(&scene).await;
    a_script_is_one_job(&scene).await;
    a_statement_at_fault_is_named(&scene).await;
    bad_input_is_told_on_real_flink(&scene).await;
    what_is_not_flink_is_told(&scene).await;
    scene.flink.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_on_flink_1() {
    all("STREAMPARK_TEST_FLINK_1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_on_flink_2() {
    all("STREAMPARK_TEST_FLINK_2").await;
}
