//! Plans, and what is refused before anything is sent.

use super::{Behaviour, Stage, Subject};
use crate::ErrorKind;
use crate::cluster::Lookup;
use crate::job::Runtime;

const CANARY: &str = "canary-2f7c";

/// A plan says what would be sent, the same twice, without secrets and without any effect.
///
/// # Panics
/// Where the cluster breaks its contract.
pub async fn a_plan_changes_nothing_and_shows_no_secret(stage: &dyn Stage) {
    let subject = Subject::new(stage, Behaviour::Endless);
    let mut submission = subject.submission();
    submission.config.set("s3.secret-key", CANARY);
    submission.launch.args.extend(["--db.password".to_owned(), CANARY.to_owned(), format!("token={CANARY}")]);
    let plan = subject.cluster().plan(&submission).await.expect("plan");
    assert_eq!(plan.job, submission.name);
    assert!(!plan.steps.is_empty());
    let (text, yaml, json) = (plan.to_string(), plan.to_yaml().expect("YAML"), plan.to_json().expect("JSON"));
    for shown in [&text, &yaml, &json, &format!("{plan:?}")] {
        assert!(!shown.contains(CANARY), "a secret is shown: {shown}");
        assert!(shown.contains(&subject.run.flink_job.to_string()), "the JobID is shown: {shown}");
    }
    assert_eq!(subject.cluster().plan(&submission).await.expect("plan again"), plan);
    assert_eq!(subject.seen().await, None);
    assert_eq!(subject.cluster().lookup(&subject.run).await.expect("lookup"), Lookup::NeverArrived);
}

/// What the cluster cannot do by its capability is refused by plan and submission, and nothing is sent.
///
/// # Panics
/// Where the cluster breaks its contract.
pub async fn what_cannot_run_is_refused_before_it_is_sent(stage: &dyn Stage) {
    let subject = Subject::new(stage, Behaviour::Endless);
    if !subject.capability().python {
        let mut submission = subject.submission();
        submission.launch.runtime = Runtime::Python;
        let error = subject.cluster().plan(&submission).await.expect_err("no Python");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        let error = subject.cluster().submit(&submission).await.expect_err("no Python");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }
    let mut submission = subject.submission();
    submission.parallelism = Some(0);
    let error = subject.cluster().submit(&submission).await.expect_err("parallelism 0");
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert_eq!(subject.cluster().lookup(&subject.run).await.expect("lookup"), Lookup::NeverArrived);
}
