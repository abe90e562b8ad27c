use super::fixtures::*;
use crate::alert::{Delivery, DeliveryState};
use crate::store::{Batch, Store};

async fn add(store: &dyn Store, deliveries: Vec<Delivery>) {
    store.commit(Batch { deliveries, ..Batch::default() }).await.unwrap();
}

/// From pending over failed attempts to delivered or dead, each channel for itself, oldest first.
///
/// # Panics
/// Where the store breaks its contract.
pub async fn deliveries_live_until_said(store: &dyn Store) {
    // Identities fall while positions rise: the order is that of the commits.
    let batch: Vec<Delivery> = (0..6).map(|n| delivery(100 - n, if n == 3 { "other" } else { "oncall" })).collect();
    add(store, batch[..2].to_vec()).await;
    add(store, batch[2..].to_vec()).await;
    let mine: Vec<Delivery> = batch.iter().filter(|delivery| delivery.channel == "oncall").cloned().collect();
    assert_eq!(store.pending("oncall", 100).await.unwrap(), mine);
    assert_eq!(store.pending("oncall", 2).await.unwrap(), mine[..2]);
    assert_eq!(store.pending_count("oncall").await.unwrap(), 5);
    assert_eq!(store.pending_count("nobody").await.unwrap(), 0);

    store.retry(&[mine[0].id, mine[1].id], "HTTP 503", at(60)).await.unwrap();
    store.retry(&[mine[0].id], "HTTP 504", at(120)).await.unwrap();
    let pending = store.pending("oncall", 100).await.unwrap();
    assert_eq!(pending.len(), 5, "pending deliveries are listed whether due or not");
    let seen = |delivery: &Delivery| (delivery.attempts, delivery.next_at, delivery.last_error.clone());
    assert_eq!(seen(&pending[0]), (2, at(120), Some("HTTP 504".to_owned())));
    assert_eq!(seen(&pending[1]), (1, at(60), Some("HTTP 503".to_owned())));
    assert_eq!(pending[2], mine[2]);
    assert_eq!(pending[0].alert, mine[0].alert);

    store.delivered(&[mine[0].id, mine[2].id], at(130)).await.unwrap();
    store.dead(&[mine[1].id], "HTTP 410", at(131)).await.unwrap();
    store.dead(&[mine[3].id, mine[4].id], "too old", at(140)).await.unwrap();
    assert_eq!(store.pending_count("oncall").await.unwrap(), 0);
    assert_eq!(store.pending_count("other").await.unwrap(), 1);
    let dead = store.dead_letters(100).await.unwrap();
    assert_eq!(dead.iter().map(|letter| letter.id).collect::<Vec<_>>(), [mine[4].id, mine[3].id, mine[1].id]);
    assert_eq!((dead[2].state, dead[2].attempts), (DeliveryState::Dead, 2));
    assert_eq!(dead[2].last_error.as_deref(), Some("HTTP 410"));
    assert_eq!(store.dead_letters(1).await.unwrap().len(), 1);
}

/// A late word on a delivery that is finished or gone changes nothing and is no error.
///
/// # Panics
/// Where the store breaks its contract.
pub async fn finished_deliveries_stay_finished(store: &dyn Store) {
    add(store, vec![delivery(1, "oncall"), delivery(2, "oncall")]).await;
    let (first, second) = (delivery(1, "oncall").id, delivery(2, "oncall").id);
    store.dead(&[first], "refused", at(1)).await.unwrap();
    store.delivered(&[second], at(1)).await.unwrap();
    let unknown = delivery(9, "oncall").id;
    store.retry(&[first, second, unknown], "late", at(2)).await.unwrap();
    store.dead(&[second, unknown], "late", at(2)).await.unwrap();
    store.delivered(&[first], at(2)).await.unwrap();
    assert_eq!(store.pending_count("oncall").await.unwrap(), 0);
    let dead = store.dead_letters(10).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!((dead[0].id, dead[0].last_error.as_deref()), (first, Some("refused")));

    add(store, vec![delivery(1, "oncall"), delivery(2, "oncall"), delivery(3, "oncall"), delivery(3, "oncall")]).await;
    assert_eq!(store.pending("oncall", 10).await.unwrap(), [delivery(3, "oncall")], "what is known is not said again");
    assert_eq!(store.dead_letters(10).await.unwrap(), dead);
}
