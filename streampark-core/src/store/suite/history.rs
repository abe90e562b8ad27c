use super::fixtures::*;
use crate::job::JobState;
use crate::store::{Batch, EventFilter, Store};
use crate::{Event, EventKind};

/// Sequences increase in the order of commits, start after 0, and are not given again after a prune.
///
/// # Panics
/// Where the store breaks its contract.
pub async fn sequences_increase(store: &dyn Store) {
    let events = vec![event(EventKind::JobCreated, 0), event(EventKind::Requested, 0)];
    let first = store.commit(Batch { events: events.clone(), ..Batch::default() }).await.unwrap().events;
    assert!(first[0].sequence > 0 && first[1].sequence > first[0].sequence);
    assert_eq!(store.prune(at(1), 100).await.unwrap(), 2);
    let second = store.commit(Batch { events, ..Batch::default() }).await.unwrap().events;
    assert!(second[0].sequence > first[1].sequence);
    assert_eq!(store.events(&EventFilter::default()).await.unwrap(), second);
}

/// Every field of the filter, alone and together, in both directions.
///
/// # Panics
/// Where the store breaks its contract.
pub async fn events_are_filtered_and_paged(store: &dyn Store) {
    let kinds = [EventKind::StateChanged, EventKind::RunFailed, EventKind::AlertRaised];
    for (seconds, kind) in (0..30).zip(kinds.into_iter().cycle()) {
        let mut event = event(kind, seconds);
        event.job = Some(id(u128::from(seconds % 2 == 0)));
        event.from = Some(JobState::Running);
        event.data = serde_json::json!({"seconds": seconds});
        store.commit(Batch { events: vec![event], ..Batch::default() }).await.unwrap();
    }
    let found = async |filter: EventFilter| store.events(&filter).await.unwrap();
    let all = found(EventFilter::default()).await;
    assert_eq!(all.len(), 30);
    assert!(all.is_sorted_by_key(|event| event.sequence));
    let expect = async |filter: EventFilter, test: &dyn Fn(&Event) -> bool| {
        let expected: Vec<Event> = all.iter().filter(|event| test(event)).cloned().collect();
        assert!(!expected.is_empty());
        assert_eq!(found(filter.clone()).await, expected, "{filter:?}");
        let backwards = EventFilter { newest_first: true, ..filter };
        assert_eq!(found(backwards.clone()).await, expected.into_iter().rev().collect::<Vec<_>>(), "{backwards:?}");
    };
    let (job, middle) = (id(1), all[14].sequence);
    expect(EventFilter { job: Some(job), ..Default::default() }, &|e| e.job == Some(job)).await;
    expect(EventFilter { after: Some(middle), ..Default::default() }, &|e| e.sequence > middle).await;
    expect(EventFilter { since: Some(at(20)), ..Default::default() }, &|e| e.at >= at(20)).await;
    let failed = vec![EventKind::RunFailed];
    expect(EventFilter { kinds: failed.clone(), ..Default::default() }, &|e| e.kind == EventKind::RunFailed).await;
    let two = vec![EventKind::RunFailed, EventKind::AlertRaised];
    expect(EventFilter { kinds: two, ..Default::default() }, &|e| e.kind != EventKind::StateChanged).await;
    let together =
        EventFilter { job: Some(job), kinds: failed, after: Some(middle), since: Some(at(18)), ..Default::default() };
    let all_of_it =
        |e: &Event| e.job == Some(job) && e.kind == EventKind::RunFailed && e.sequence > middle && e.at >= at(18);
    expect(together, &all_of_it).await;

    let page = found(EventFilter { limit: Some(7), after: Some(middle), ..Default::default() }).await;
    assert_eq!(page, all[15..22]);
    let newest = found(EventFilter { limit: Some(3), newest_first: true, ..Default::default() }).await;
    assert_eq!(newest.iter().map(|e| e.sequence).collect::<Vec<_>>(), [30, 29, 28].map(|n| all[n - 1].sequence));

    let many = (0..1_100).map(|_| event(EventKind::Requested, 40)).collect();
    store.commit(Batch { events: many, ..Batch::default() }).await.unwrap();
    assert_eq!(found(EventFilter::default()).await.len(), EventFilter::DEFAULT_LIMIT);
}

/// Old events, finished deliveries, ended runs and checkpoints go, at most as many as were allowed;
/// what is new, pending, newest of its job, or a savepoint stays.
///
/// # Panics
/// Where the store breaks its contract.
pub async fn prune_takes_what_is_old(store: &dyn Store) {
    let mut batch = new_job(1, "orders");
    batch.events = (0..10).map(|seconds| event(EventKind::Requested, seconds)).collect();
    batch.deliveries = (1..=4).map(|number| delivery(number, "oncall")).collect();
    let ids: Vec<_> = batch.deliveries.iter().map(|delivery| delivery.id).collect();
    batch.runs = vec![ended_run(1, 1, 1), ended_run(1, 2, 8), ended_run(1, 3, 2), ended_run(1, 4, 2)];
    batch.restore_points = (0..14).map(|n| (id(1), checkpoint(n, n as i64))).collect();
    batch.restore_points.push((id(1), savepoint("sp", 0)));
    store.commit(batch).await.unwrap();
    store.delivered(&ids[..1], at(1)).await.unwrap();
    store.dead(&ids[1..2], "refused", at(1)).await.unwrap();
    store.delivered(&ids[2..3], at(8)).await.unwrap();

    assert_eq!(store.prune(at(5), 3).await.unwrap(), 3);
    // Of 5 events, 2 deliveries, 2 runs and 4 checkpoints, 3 are gone.
    assert_eq!(store.prune(at(5), 100).await.unwrap(), 10);
    assert_eq!(store.prune(at(5), 100).await.unwrap(), 0);

    let events = store.events(&EventFilter::default()).await.unwrap();
    assert!(events.len() == 5 && events.iter().all(|event| event.at >= at(5)));
    assert_eq!(store.pending_count("oncall").await.unwrap(), 1);
    assert!(store.dead_letters(10).await.unwrap().is_empty());
    let generations: Vec<_> = store.runs(id(1), 10).await.unwrap().iter().map(|run| run.run.key.generation).collect();
    assert_eq!(generations, [4, 2]);
    let points = store.restore_points(id(1), 100).await.unwrap();
    assert_eq!(points.len(), 11);
    assert_eq!(points.last(), Some(&savepoint("sp", 0)));
    assert_eq!(points[0], checkpoint(13, 13));
}
