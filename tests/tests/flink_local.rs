//! The local cluster on real Flink: it starts, runs a job, and ends with us.

use std::time::Duration;

use streampark_core::cluster::LocalCluster;
use streampark_tests::flink::homes;

fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

#[tokio::test]
async fn it_starts_from_a_flink_home_and_ends_with_us() {
    for home in homes() {
        let work = tempfile::tempdir().unwrap();
        let flink = LocalCluster::builder()
            .flink_home(&home)
            .work_dir(work.path())
            .slots(2)
            .timeout(Duration::from_secs(180))
            .start()
            .await
            .unwrap();
        let overview = flink.rest().overview().await.unwrap();
        assert_eq!((overview.taskmanagers, overview.slots_total), (1, 2));
        assert_eq!(&overview.flink_version, flink.version());
        let (job_manager, task_managers) = flink.process_ids();
        let all: Vec<i32> = job_manager.into_iter().chain(task_managers).collect();
        assert!(all.len() == 2 && all.iter().all(|pid| is_alive(*pid)));
        flink.stop().await.unwrap();
        assert!(!all.iter().any(|pid| is_alive(*pid)), "both processes have ended");
        assert!(work.path().join("log/jobmanager.log").exists(), "logs are kept");
        tokio::time::timeout(Duration::from_secs(1), flink.stop()).await.unwrap().unwrap();
    }
}
