//! A secure cluster: Kerberos and TLS on every daemon, tickets that end while the test watches.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use streampark_core::cluster::{Cluster, LogOptions, Observation, RunStatus, SavepointOptions, Stop, Submission};
use streampark_core::job::{JobId, Launch, Location, Resource, RunKey, RunRef};
use streampark_core::{Clock, Error, ErrorKind};
use streampark_tests::hadoop::{reason, small};
use streampark_tests::kerberos::SecureHadoop;
use streampark_tests::output::{elements, faults};
use streampark_yarn::{Kerberos, KerberosOptions, YarnCluster, YarnOptions};

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; run: make test-yarn"))
}

/// A clock that is wrong.
#[derive(Debug)]
struct Off(SignedDuration);

impl Clock for Off {
    fn now(&self) -> Timestamp {
        Timestamp::now() + self.0
    }
}

struct Scene {
    hadoop: SecureHadoop,
    folder: tempfile::TempDir,
}

impl Scene {
    fn start() -> Self {
        // HDFS gives tokens for a moment only, so that an application that lives on has one that YARN renewed; it must
        // be long enough for Flink to be put there, which needs one as well.
        let moment = "dfs.namenode.delegation.token.renew-interval=45000";
        let hadoop = SecureHadoop::start(&variable("STREAMPARK_TEST_HADOOP_3_4"), &["--hdfs", moment]);
        Self { hadoop, folder: tempfile::tempdir().unwrap() }
    }

    fn bare(&self) -> YarnOptions {
        let at = &self.hadoop.at;
        let mut options = YarnOptions::from_hadoop_conf(&at.conf);
        // Put there once, by alice, for everybody.
        options.distribution_folder = Some("/flink/distributions".to_owned());
        // TLS handshakes of a loaded machine.
        options.connect_timeout = Duration::from_secs(30);
        small(options)
            .tls_ca(&at.authority)
            .flink_home(variable("STREAMPARK_TEST_FLINK_1"))
            .flink("security.kerberos.krb5-conf.path", at.krb5_conf.to_string_lossy())
    }

    fn options(&self, kerberos: KerberosOptions) -> YarnOptions {
        let user = kerberos.principal.clone().unwrap_or_else(|| "brief".to_owned());
        let folder = format!("{}/user/{user}/checkpoints", self.hadoop.at.fs);
        self.bare().flink("state.checkpoints.dir", folder).kerberos(kerberos)
    }

    fn keytab(&self, user: &str) -> KerberosOptions {
        KerberosOptions::keytab(user, &self.hadoop.at.keytabs[user]).krb5_conf(&self.hadoop.at.krb5_conf)
    }

    fn cache(&self, cache: impl Into<PathBuf>) -> KerberosOptions {
        KerberosOptions::ccache(cache).krb5_conf(&self.hadoop.at.krb5_conf)
    }

    fn output(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    fn counting(&self, generation: u64, name: &str, more: &[&str]) -> Submission {
        let output = self.output(name);
        let base = ["--rate", "50", "--restart", "none", "--name", name, "--output", &output];
        let path = variable("STREAMPARK_TEST_JOBS_JAR").into();
        let mut launch = Launch::of_jar(Resource::new("jobs.jar", Location::Path(path)));
        launch.entry_class = Some("streampark.testing.CountingJob".to_owned());
        launch.args = base.iter().chain(more).map(|arg| (*arg).to_owned()).collect();
        Submission::new(RunRef::new(RunKey::new(JobId::generate(), generation)), name, launch)
    }

    fn assert_whole(&self, name: &str) {
        let all = elements(Path::new(&self.output(name)));
        assert!(!all.is_empty(), "{name} wrote nothing");
        assert_eq!(faults(&all), Vec::<String>::new(), "{name}");
    }
}

async fn until(cluster: &YarnCluster, run: &RunRef, wanted: &RunStatus) -> Observation {
    let deadline = Instant::now() + Duration::from_secs(240);
    loop {
        let all = match cluster.observe().await {
            Err(error) if error.is_retryable() && Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(500)).await;
                continue;
            }
            all => all.unwrap(),
        };
        match all.into_iter().find(|seen| seen.key == Some(run.key)) {
            Some(seen)
                if seen.status == *wanted
                    && (wanted.is_terminal() || seen.tasks.is_some_and(|(on, all)| on == all)) =>
            {
                return seen;
            }
            seen if Instant::now() >= deadline => panic!("never {wanted:?}: {seen:#?}"),
            Some(seen) if seen.status.is_terminal() => {
                panic!("{:?}, not {wanted:?}: {seen:#?} {:#?}", seen.status, cluster.failure(run).await)
            }
            _ => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

async fn kill(cluster: &YarnCluster, run: &RunRef) {
    cluster.stop(run, Stop::Kill, &SavepointOptions::default()).await.unwrap();
    until(cluster, run, &RunStatus::Canceled).await;
}

async fn refused(options: YarnOptions) -> Error {
    YarnCluster::new(options).unwrap().observe().await.unwrap_err()
}

/// Whoever is not known, or not in time, is told why.
async fn refusals(scene: &Scene, mayfly: &Path) {
    let at = &scene.hadoop.at;
    let realm = &at.realm;
    let error = refused(scene.bare().user("alice")).await;
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert_eq!(
        error.message(),
        "the server wants a Kerberos ticket; give a principal and its keytab, or a credential cache, by the option kerberos"
    );
    let mut unknown = scene.options(scene.keytab("alice"));
    unknown.tls_ca = None;
    let error = refused(unknown).await;
    assert!(
        error
            .message()
            .ends_with("shows a certificate that no known authority signed; give its CA by the option tls_ca"),
        "{error}"
    );
    let mut by_number = scene.options(scene.keytab("alice"));
    by_number.resource_managers = vec![at.resource_manager.replace("localhost", "127.0.0.1")];
    let error = refused(by_number).await;
    assert_eq!(
        error.message(),
        format!(
            "the KDC of {realm} knows no service HTTP/127.0.0.1@{realm}; write the address with the host name that the daemon \
             is registered with, not an IP address or an alias"
        )
    );
    let error =
        Kerberos::new(&KerberosOptions::keytab("bob", &at.keytabs["alice"]).krb5_conf(&at.krb5_conf)).unwrap_err();
    assert_eq!(error.message(), format!("the keytab has no key of bob@{realm}; it has alice@{realm}"));
    for (minutes, words) in [(10, "ahead of"), (-10, "behind")] {
        let clock = Arc::new(Off(SignedDuration::from_mins(minutes)));
        let wrong = Kerberos::with_clock(&scene.keytab("alice"), clock).unwrap();
        let cluster = YarnCluster::with_authenticator(scene.bare(), Arc::new(wrong)).unwrap();
        let error = cluster.observe().await.unwrap_err();
        let seconds: u64 = error.message().split(' ').find_map(|word| word.parse().ok()).unwrap();
        assert!((595..=605).contains(&seconds), "{error}");
        let expected = format!(
            "this machine's clock is {seconds} s {words} that of the KDC of {realm}, and Kerberos allows 300; set both by a \
             time server"
        );
        assert_eq!((error.kind(), error.message()), (ErrorKind::Unauthenticated, expected.as_str()));
        let told = cluster.diagnose().await.to_string();
        assert!(told.starts_with("Kerberos ") && told.contains("BAD       this machine's clock is "), "{told}");
    }
    // Its ticket has ended meanwhile, and was never renewable.
    let mayfly = Kerberos::new(&scene.cache(mayfly)).unwrap();
    let cluster = YarnCluster::with_authenticator(scene.bare(), Arc::new(mayfly)).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let error = loop {
        match cluster.observe().await {
            Err(error) => break error,
            Ok(_) => assert!(Instant::now() < deadline, "the ticket never ends"),
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    let words = error.message().split(" ended at ").collect::<Vec<_>>();
    assert_eq!(words[0], format!("the Kerberos ticket of mayfly@{realm}"), "{error}");
    assert!(
        words[1].ends_with(", and an ended ticket cannot be renewed; run kinit again, or give a keytab"),
        "{error}"
    );
}

/// Who may act for whom.
async fn in_the_name_of_another(scene: &Scene) {
    let realm = &scene.hadoop.at.realm;
    let bob = YarnCluster::new(scene.options(scene.keytab("gate")).proxy_user("bob")).unwrap();
    assert!(bob.diagnose().await.to_string().contains("asked as bob by gate"));
    let error = refused(scene.options(scene.keytab("gate")).proxy_user("alice")).await;
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::PermissionDenied, format!("User: gate@{realm} is not allowed to impersonate alice").as_str())
    );
    let error = YarnCluster::new(scene.options(scene.keytab("carol")).proxy_user("bob")).unwrap();
    let error = error.install(None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert!(error.message().contains("is not allowed to impersonate bob"), "{error}");
}

/// Lives longer than its tokens would without YARN, is killed, and goes on from HDFS with a ticket that was renewed.
async fn a_ticket_that_ends_before_the_job_does(scene: &Scene, bob: &YarnCluster) {
    let began = Instant::now();
    let cache = scene.hadoop.kinit("brief", &["-r", "1h"]);
    let cluster = YarnCluster::new(scene.options(scene.cache(cache))).unwrap();
    let mut first = scene.counting(1, "brief", &[]);
    first.run.deployment = cluster.submit(&first).await.unwrap().deployment;
    let mut his = scene.counting(1, "bobs", &[]);
    his.run.deployment = bob.submit(&his).await.unwrap().deployment;
    until(&cluster, &first.run, &RunStatus::Running).await;
    until(bob, &his.run, &RunStatus::Running).await;
    println!("{:6.1} s two applications run", began.elapsed().as_secs_f32());
    let log = cluster.logs(&first.run, &LogOptions::default()).await.unwrap().read_to_string(8 << 20).await.unwrap();
    assert!(log.contains("YarnApplicationClusterEntryPoint"), "{log}");
    let deadline = Instant::now() + Duration::from_secs(60);
    while elements(Path::new(&scene.output("bobs"))).is_empty() {
        assert!(Instant::now() < deadline, "bobs writes nothing");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    kill(bob, &his.run).await;
    bob.release(&his.run).await.unwrap();
    scene.assert_whole("bobs");
    // Past the end of the ticket that kinit got, and of the token that HDFS gave.
    while began.elapsed() < Duration::from_secs(75) {
        until(&cluster, &first.run, &RunStatus::Running).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let newest =
        async || cluster.restore_points(&first.run).await.unwrap().first().and_then(|point| point.checkpoint_id);
    let (before, deadline) = (newest().await.unwrap(), Instant::now() + Duration::from_secs(60));
    while newest().await.unwrap() <= before {
        assert!(Instant::now() < deadline, "no checkpoint is written any more after {before}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    kill(&cluster, &first.run).await;
    let point = cluster.restore_points(&first.run).await.unwrap().into_iter().next().unwrap();
    let mut second = scene.counting(2, "brief", &[]);
    second.restore = Some(point);
    second.run.deployment = cluster.submit(&second).await.unwrap().deployment;
    until(&cluster, &second.run, &RunStatus::Running).await;
    let deadline = Instant::now() + Duration::from_secs(60);
    while !elements(Path::new(&scene.output("brief"))).last().is_some_and(|element| element.restored) {
        assert!(Instant::now() < deadline, "nothing is written after the restart");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    kill(&cluster, &second.run).await;
    for run in [&first.run, &second.run] {
        cluster.release(run).await.unwrap();
    }
    scene.assert_whole("brief");
}

/// Without a KDC: cookies, then tickets that are still good; and the words where there are neither.
async fn no_kdc_answers(scene: &mut Scene) {
    let alice = YarnCluster::new(scene.options(scene.keytab("alice"))).unwrap();
    alice.observe().await.unwrap();
    scene.hadoop.order("kill kdc");
    // Longer than a cookie lives.
    let end = Instant::now() + Duration::from_secs(20);
    while Instant::now() < end {
        alice.observe().await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let carol = scene.options(scene.keytab("carol"));
    let error = refused(carol.clone()).await;
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Unreachable, true));
    let words = format!("no KDC of the realm {} answers (127.0.0.1:", scene.hadoop.at.realm);
    assert!(error.message().starts_with(&words), "{error}");
    assert!(error.message().ends_with("); check krb5.conf and the network"), "{error}");
    scene.hadoop.order("start kdc");
    YarnCluster::new(carol).unwrap().observe().await.unwrap();
    alice.observe().await.unwrap();
}

/// With a keytab of its own, as Flink's own client ships it; fails, and says why.
async fn keytabs_are_shipped(scene: &Scene) {
    let keytab = scene.hadoop.at.keytabs["alice"].to_string_lossy().into_owned();
    let options = scene.options(scene.keytab("alice")).flink("security.kerberos.login.keytab", keytab);
    let cluster = YarnCluster::new(options.flink("security.kerberos.login.principal", "alice")).unwrap();
    let mut failing = scene.counting(1, "fails", &["--fail-at-checkpoint", "2", "--fail-message", "the sink is full"]);
    failing.run.deployment = cluster.submit(&failing).await.unwrap().deployment;
    until(&cluster, &failing.run, &RunStatus::Failed).await;
    let failure = reason(&cluster, &failing.run).await.unwrap();
    assert!(failure.message.contains("the sink is full"), "{failure:?}");
    cluster.release(&failing.run).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secure_cluster() {
    let mut scene = Scene::start();
    println!("ready: {}", scene.hadoop.at.ready_seconds);
    let began = Instant::now();
    let step = |name: &str| println!("{:6.1} s {name}", began.elapsed().as_secs_f32());
    let mayfly = scene.hadoop.kinit("mayfly", &[]);
    let alice = YarnCluster::new(scene.options(scene.keytab("alice"))).unwrap();
    alice.install(None).await.unwrap();
    step("Flink is on the cluster");
    let diagnosis = alice.diagnose().await;
    assert!(diagnosis.is_good(), "{diagnosis}");
    assert!(
        diagnosis.to_string().contains(&format!("alice@{} by keytab, the ticket ends at ", scene.hadoop.at.realm)),
        "{diagnosis}"
    );
    streampark_tests::blobs::keeps(alice.blobs("/user/alice/artifacts")).await.unwrap();
    step("a place for artifacts");
    let plan = alice.plan(&scene.counting(1, "planned", &[])).await.unwrap().to_json().unwrap();
    assert!(plan.contains("GETDELEGATIONTOKEN"), "{plan}");
    refusals(&scene, &mayfly).await;
    step("refusals");
    in_the_name_of_another(&scene).await;
    step("in the name of another");
    let checkpoints = format!("{}/user/bob/checkpoints", scene.hadoop.at.fs);
    let options = scene.options(scene.keytab("gate")).proxy_user("bob").flink("state.checkpoints.dir", checkpoints);
    let bob = YarnCluster::new(options).unwrap();
    a_ticket_that_ends_before_the_job_does(&scene, &bob).await;
    step("a ticket that ends before the job does");
    keytabs_are_shipped(&scene).await;
    step("keytabs are shipped");
    no_kdc_answers(&mut scene).await;
    step("no KDC answers");
}
