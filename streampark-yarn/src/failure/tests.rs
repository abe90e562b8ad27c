use super::*;

/// Texts of Hadoop 3.4.2 and 3.5.0, names and times shortened.
fn exited(code: i32, diagnostics: &str) -> String {
    format!(
        "Application application_1_0001 failed 1 times (global limit =2; local limit is =1) due to AM Container for \
         appattempt_1_0001_000001 exited with  exitCode: {code}\nFailing this attempt.Diagnostics: {diagnostics}For more \
         detailed output, check the application tracking page: http://rm:8088/cluster/app/application_1_0001 Then click \
         on links to logs of each attempt.\n. Failing the application."
    )
}

/// What a container that Flink left leaves behind.
fn left(code: i32) -> String {
    exited(
        code,
        &format!(
            "[2026-11-28 18:26:14.435]Exception from container-launch.\nContainer id: container_1_0001_01_000001\n\
             Exit code: {code}\n\n[2026-11-28 18:26:14.437]Container exited with a non-zero exit code {code}. Error file: \
             prelaunch.err.\nLast 4096 bytes of prelaunch.err :\n\n"
        ),
    )
}

fn app(state: AppState, status: FinalStatus, diagnostics: &str) -> App {
    App { state, final_status: status, diagnostics: diagnostics.to_owned(), finished_time: 1, ..App::default() }
}

fn failed(diagnostics: &str) -> App {
    app(AppState::Failed, FinalStatus::Failed, diagnostics)
}

const THREW: &str = "2026-11-28 18:24:00,000 WARN  a.B [] - retrying\njava.net.ConnectException: refused\n\tat a.B.c(B.java:1)\n\
2026-11-28 18:24:47,000 ERROR org.apache.flink.runtime.entrypoint.ClusterEntrypoint [] - Fatal error occurred in the cluster entrypoint.\n\
java.util.concurrent.CompletionException: org.apache.flink.client.deployment.application.ApplicationExecutionException: Could not execute application.\n\
\tat java.base/java.util.concurrent.CompletableFuture.encodeThrowable(CompletableFuture.java:332) ~[?:?]\n\
Caused by: org.apache.flink.client.deployment.application.ApplicationExecutionException: Could not execute application.\n\t... 13 more\n\
Caused by: org.apache.flink.client.program.ProgramInvocationException: The main method caused an error: no topic given\n\
\tat org.apache.flink.client.program.PackagedProgram.callMainMethod(PackagedProgram.java:373) ~[flink-dist-1.20.5.jar:1.20.5]\n\
Caused by: java.lang.IllegalStateException: no topic given\n\tat streampark.testing.CountingJob.run(CountingJob.java:25) ~[?:?]\n\
2026-11-28 18:24:47,100 INFO  a.B [] - bye\n";

fn not_loaded(cause: &str) -> String {
    format!(
        "2026-11-28 18:26:14,000 ERROR org.apache.flink.yarn.entrypoint.YarnApplicationClusterEntryPoint [] - Could not create application program.\n\
         org.apache.flink.util.FlinkException: Could not load the provided entrypoint class.\n\
         \tat org.apache.flink.client.program.DefaultPackagedProgramRetriever.getPackagedProgram(DefaultPackagedProgramRetriever.java:231)\n\
         Caused by: org.apache.flink.client.program.ProgramInvocationException: {cause}\n"
    )
}

const NO_EXECUTE: &str = "2026-11-28 18:25:03,000 ERROR org.apache.flink.runtime.entrypoint.ClusterEntrypoint [] - Fatal error occurred in the cluster entrypoint.\n\
java.util.concurrent.CompletionException: org.apache.flink.client.deployment.application.ApplicationExecutionException: The application contains no execute() calls.\n\
\tat java.base/java.util.concurrent.CompletableFuture.encodeThrowable(CompletableFuture.java:332)\n\
Caused by: org.apache.flink.client.deployment.application.ApplicationExecutionException: The application contains no execute() calls.\n\t... 1 more\n";

/// Diagnostics, a log with its name, and what the user reads.
fn row(diagnostics: &str, log: Option<(&'static str, &str)>) -> (String, FailureClass) {
    let app = failed(diagnostics);
    let logs: Vec<(&str, String)> = log.into_iter().map(|(file, text)| (file, text.to_owned())).collect();
    for (file, text) in &logs {
        assert!(files_to_read(&app).contains(file), "{file} would not be read: {diagnostics}");
        assert!(tells(text), "{text}");
    }
    let failure = conclude(&app, &logs).unwrap();
    (failure.one_line(), failure.class_of)
}

#[test]
fn programs_at_fault() {
    let absent = not_loaded(
        "The program's entry point class 'com.acme.Absent' was not found in the jar file.\nCaused by: \
         java.lang.ClassNotFoundException: com.acme.Absent\n\t... 3 more",
    );
    let unnamed = not_loaded("Neither a 'Main-Class', nor a 'program-class' entry was found in the jar file.");
    for (code, log, sentence, class) in [
        (2, THREW, "java.lang.IllegalStateException: no topic given", FailureClass::Unknown),
        (
            1,
            absent.as_str(),
            "the class 'com.acme.Absent' is not in the program's jars; check entry_class, and that the jar was built with it",
            FailureClass::Fatal,
        ),
        (
            1,
            unnamed.as_str(),
            "the program's jar names no main class in its manifest; set entry_class",
            FailureClass::Fatal,
        ),
        (
            2,
            NO_EXECUTE,
            "the program's main ended without a call of execute(), so there is no job; check that its arguments lead to one",
            FailureClass::Fatal,
        ),
    ] {
        assert_eq!(row(&left(code), Some(("jobmanager.log", log))), (sentence.to_owned(), class));
    }
    let silent = conclude(&app(AppState::Finished, FinalStatus::Failed, ""), &[("jobmanager.log", THREW.to_owned())]);
    assert_eq!(silent.unwrap().message, "no topic given", "Flink 2.3 ends FINISHED and YARN says nothing");
    let failure = conclude(&failed(&left(2)), &[("jobmanager.log", THREW.to_owned())]).unwrap();
    let detail = failure.detail.unwrap();
    assert!(
        detail.starts_with("the program or Flink's JobManager failed while it started (exit code 2)\n"),
        "{detail}"
    );
    assert!(detail.contains("CountingJob.java:25") && failure.at.is_some());
    assert_eq!(
        row(&left(3), None).0,
        "the JobManager ended by itself with exit code 3; does the program call System.exit?"
    );
    assert_eq!(
        row(&exited(0, ""), None),
        (
            "the JobManager ended by itself (exit code 0) without telling YARN; does the program call System.exit?"
                .to_owned(),
            FailureClass::Fatal
        )
    );
}

#[test]
fn jvms_that_do_not_start() {
    let jvm = "Error occurred during initialization of VM\nMultiple garbage collectors selected\n";
    assert_eq!(
        row(&left(1), Some(("jobmanager.out", jvm))),
        (
            "the JVM of the JobManager did not start: Multiple garbage collectors selected; check env.java.opts.* and the \
             memory options"
                .to_owned(),
            FailureClass::Fatal
        )
    );
    let option = "Unrecognized VM option 'UseNothing'\nError: Could not create the Java Virtual Machine.\n";
    assert_eq!(
        row(&left(1), Some(("jobmanager.err", option))).0,
        "the JVM of the JobManager did not start: Unrecognized VM option 'UseNothing'; check env.java.opts.*"
    );
    let memory = "#\n# There is insufficient memory for the Java Runtime Environment to continue.\n# Native memory \
                  allocation (mmap) failed\n";
    assert_eq!(
        row(&left(1), Some(("jobmanager.out", memory))),
        (
            "the JVM of the JobManager did not start: the node has not enough memory left".to_owned(),
            FailureClass::Environment
        )
    );
    let class =
        "Error: Could not find or load main class org.apache.flink.yarn.entrypoint.YarnSessionClusterEntrypoint\n";
    assert_eq!(
        row(&left(1), Some(("jobmanager.err", class))).0,
        "Flink is not on the class path of the JobManager: Error: Could not find or load main class \
         org.apache.flink.yarn.entrypoint.YarnSessionClusterEntrypoint; are its lib folder and flink-dist on the cluster?"
    );
    for text in [
        "/bin/bash: line 1: /nowhere/bin/java: No such file or directory\n",
        "/bin/bash: /nowhere/bin/java: No such file or directory\n",
    ] {
        assert_eq!(
            row(&left(127), Some(("jobmanager.err", text))).0,
            "the JobManager's command could not be run: /nowhere/bin/java: No such file or directory; is JAVA_HOME set for \
             the NodeManagers, or by containerized.master.env.JAVA_HOME?"
        );
    }
    assert_eq!(
        row(&left(127), None).0,
        "the JobManager's command could not be run; is JAVA_HOME set for the NodeManagers, or by \
         containerized.master.env.JAVA_HOME?"
    );
    assert_eq!(
        row(&left(239), None).0,
        "a thread of Flink's JobManager died of an exception, or its JVM took too long to end (exit code 239)"
    );
}

#[test]
fn clusters_at_fault() {
    let gone = "[2026-11-28 18:26:59.858]File does not exist: hdfs://nn:8020/user/alice/.flink/application_1_0001/jobs.jar\n\
                java.io.FileNotFoundException: File does not exist: hdfs://nn:8020/user/alice/jobs.jar\n\tat a.B.c(B.java:1)\n";
    let changed = "[2026-11-28 18:26:59.858]Resource hdfs://nn:8020/dist/lib/a.jar changed on src filesystem - expected: \
                   \"2026-11-28T10:00:00.000+0000\", was: \"2026-11-28T10:00:01.000+0000\", current time: \
                   \"2026-11-28T10:00:02.000+0000\"\njava.io.IOException: Resource …\n";
    let hidden = "[2026-11-28 18:26:59.858]Resource hdfs://nn:8020/dist/lib/a.jar is not publicly accessible and as such \
                  cannot be part of the public cache.\n";
    let token = "[2026-11-28 18:26:59.858]org.apache.hadoop.security.AccessControlException: Client cannot authenticate \
                 via:[TOKEN, KERBEROS]\n";
    let killed = "[2026-11-28 18:27:12.855]Container killed on request. Exit code is 137\n[2026-11-28 18:27:12.855]Killed by \
                  external signal\n";
    for (code, diagnostics, sentence, class) in [
        (
            -100,
            "Container released on a *lost* node",
            "the node that ran the JobManager was lost",
            FailureClass::Environment,
        ),
        (
            -1000,
            gone,
            "a file of the application is no longer on the cluster: \
             hdfs://nn:8020/user/alice/.flink/application_1_0001/jobs.jar; the next submission puts it back where it is ours",
            FailureClass::Environment,
        ),
        (
            -1000,
            changed,
            "a file of the application was written again after it was submitted: Resource hdfs://nn:8020/dist/lib/a.jar \
             changed on src filesystem - expected: \"2026-11-28T10:00:00.000+0000\", was: \"2026-11-28T10:00:01.000+0000\", \
             current time: \"2026-11-28T10:00:02.000+0000\"",
            FailureClass::Environment,
        ),
        (
            -1000,
            hidden,
            "Resource hdfs://nn:8020/dist/lib/a.jar is not publicly accessible and as such cannot be part of the public \
             cache; give everybody the right to read it and to pass the folders above",
            FailureClass::Fatal,
        ),
        (
            -1000,
            token,
            "a node could not fetch the files of the application: it has no valid delegation token for HDFS",
            FailureClass::Fatal,
        ),
        (
            -1000,
            "[2026-11-28 18:26:59.858]Disk full\n",
            "a node could not fetch the files of the application: Disk full",
            FailureClass::Environment,
        ),
        (
            -104,
            "[2026-11-28 10:00:00.000]Container [pid=1] is running beyond physical memory limits.\n",
            "YARN ended the JobManager because it used more memory than its container has; raise \
             jobmanager.memory.process.size or jobmanager.memory.jvm-overhead.min",
            FailureClass::Unknown,
        ),
        (
            -102,
            "Container preempted by scheduler",
            "YARN took the JobManager's container away for another queue (preemption)",
            FailureClass::Environment,
        ),
        (-101, "", "the disks of the node that ran the JobManager failed or are full", FailureClass::Environment),
        (
            137,
            killed,
            "the JobManager was ended from outside (exit code 137, signal 9): by a person, or because the node had no memory left",
            FailureClass::Environment,
        ),
    ] {
        let app = failed(&exited(code, diagnostics));
        let failure = conclude(&app, &[]).unwrap();
        assert_eq!((failure.message.as_str(), failure.class_of), (sentence, class));
        assert_eq!(missed_a_file(&app), code == -1000);
        assert_eq!(files_to_read(&app).is_empty(), code < 0, "{code}");
    }
}

#[test]
fn refusals_of_the_resource_manager() {
    for (diagnostics, sentence) in [
        (
            "Application application_1_0001 submitted by user alice to unknown queue: nosuch",
            "the queue 'nosuch' does not exist; choose one of the cluster's by yarn.application.queue",
        ),
        (
            "Application application_1_0001 submitted by user alice to non-leaf queue: root",
            "the queue 'root' has queues below it and takes no applications itself; choose one of those",
        ),
        (
            "Failed to renew token: Kind: HDFS_DELEGATION_TOKEN, Service: 127.0.0.1:8020",
            "the ResourceManager could not renew a delegation token of the application: Kind: HDFS_DELEGATION_TOKEN, \
             Service: 127.0.0.1:8020; is its renewer the ResourceManager's principal?",
        ),
    ] {
        let app = failed(diagnostics);
        let failure = conclude(&app, &[]).unwrap();
        assert_eq!((failure.message.as_str(), failure.class_of), (sentence, FailureClass::Fatal));
        assert!(files_to_read(&app).is_empty());
    }
}

#[test]
fn ends_that_were_asked_for() {
    let by = |text: &str| explain(&app(AppState::Killed, FinalStatus::Killed, text)).unwrap().message;
    assert_eq!(
        by("Application application_1_0001 was killed by user alice with diagnostic message: ended by StreamPark"),
        "the application was killed by alice: ended by StreamPark"
    );
    assert_eq!(by("Application application_1_0001 was killed by user alice"), "the application was killed by alice");
    assert_eq!(by(""), "the application was killed");
    assert!(files_to_read(&app(AppState::Killed, FinalStatus::Killed, "")).is_empty());
    let well = app(AppState::Finished, FinalStatus::Succeeded, "");
    assert!(conclude(&well, &[]).is_none() && files_to_read(&well).is_empty());
    let cancelled = app(AppState::Finished, FinalStatus::Killed, "");
    assert!(files_to_read(&cancelled).is_empty());
    for text in ["", "Attempt recovered after RM restart"] {
        let silent = app(AppState::Finished, FinalStatus::Failed, text);
        assert!(conclude(&silent, &[]).is_none(), "nobody says anything");
        assert_eq!(files_to_read(&silent)[0], "jobmanager.log");
    }
}

#[test]
fn a_log_without_a_reason_is_kept_by_its_end() {
    let long = format!("{}\nthe last line\n", "x".repeat(20_000));
    let failure = conclude(&failed(&left(3)), &[("jobmanager.log", long), ("jobmanager.err", String::new())]).unwrap();
    let detail = failure.detail.unwrap();
    assert!(detail.ends_with("\n\nThe end of jobmanager.log:\nthe last line\n"), "{detail}");
}

#[test]
fn what_was_ended_from_outside_did_not_end_of_what_it_warned_of() {
    let warned = "2026-11-28 18:24:00,000 WARN  org.apache.flink.runtime.dispatcher.DispatcherRestEndpoint [] - Unhandled exception\n\
                  java.net.SocketException: Connection reset\n\tat a.B.c(B.java:1)\n";
    let told = |code: i32, log: &str| {
        conclude(&failed(&left(code)), &[("jobmanager.log", log.to_owned())]).unwrap().one_line()
    };
    for code in [137, 143] {
        assert!(told(code, warned).starts_with("the JobManager was ended from outside"), "{}", told(code, warned));
        assert!(told(code, THREW).contains("no topic given"), "an error that it told of is its reason");
    }
    assert!(told(1, warned).contains("Connection reset"));
}
