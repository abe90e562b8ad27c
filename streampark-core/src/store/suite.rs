//! What every store must do, as functions that anyone can run on their own (feature `conformance`).
//!
//! Each function takes a store that is empty and panics where the store breaks its contract.
//! [`run_all`] runs them all, each on a fresh store:
//!
//! ```no_run
//! # use streampark_core::store::{MemoryStore, suite};
//! # async fn example() {
//! suite::run_all(|| async { MemoryStore::default() }).await;
//! # }
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::Store;

mod fixtures;
mod history;
mod jobs;
mod outbox;

pub use history::{events_are_filtered_and_paged, prune_takes_what_is_old, sequences_increase};
pub use jobs::{
    a_batch_is_whole_or_not_at_all, a_name_belongs_to_one_job, a_stale_revision_is_refused, clusters_are_remembered,
    concurrent_commits_lose_nothing, deleting_takes_all_but_the_history, jobs_are_filtered_and_paged,
    load_gives_every_job_by_name, restore_points_are_newest_first, runs_are_newest_first, spec_versions_are_kept,
};
pub use outbox::{deliveries_live_until_said, finished_deliveries_stay_finished};

/// Runs every function of the suite, each on a store that `open` makes; it must be empty each time.
///
/// # Panics
/// Where the store breaks its contract.
pub async fn run_all<S: Store, F: Future<Output = S>>(open: impl Fn() -> F) {
    macro_rules! run {
        ($($check:ident),+ $(,)?) => {$(
            let store = open().await;
            $check(&store).await;
            store.close().await.expect("close");
        )+};
    }
    run!(
        a_batch_is_whole_or_not_at_all,
        a_stale_revision_is_refused,
        a_name_belongs_to_one_job,
        spec_versions_are_kept,
        runs_are_newest_first,
        restore_points_are_newest_first,
        clusters_are_remembered,
        load_gives_every_job_by_name,
        jobs_are_filtered_and_paged,
        deleting_takes_all_but_the_history,
        concurrent_commits_lose_nothing,
        sequences_increase,
        events_are_filtered_and_paged,
        prune_takes_what_is_old,
        deliveries_live_until_said,
        finished_deliveries_stay_finished,
        a_closed_store_refuses,
    );
}

/// After `close` every call is refused as a conflict, and closing again is fine.
///
/// # Panics
/// Where the store breaks its contract.
pub async fn a_closed_store_refuses(store: &dyn Store) {
    store.commit(fixtures::new_job(1, "orders")).await.expect("commit before the close");
    store.close().await.expect("close");
    store.close().await.expect("close again");
    let refused = [
        store.load().await.err(),
        store.commit(fixtures::new_job(2, "payments")).await.err(),
        store.pending("oncall", 1).await.err(),
        store.delivered(&[], fixtures::at(0)).await.err(),
    ];
    for error in refused {
        let error = error.expect("a closed store must refuse");
        assert_eq!(error.kind(), crate::ErrorKind::Conflict);
        assert_eq!(error.message(), "the store is closed; open it again");
    }
}
