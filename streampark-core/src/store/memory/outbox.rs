//! The outbox of a [`MemoryStore`](super::MemoryStore).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use jiff::Timestamp;

use crate::alert::{Delivery, DeliveryId, DeliveryState};

#[derive(Debug, Default)]
pub(super) struct MemoryOutbox {
    rows: BTreeMap<u64, Delivery>,
    positions: HashMap<DeliveryId, u64>,
    pending: HashMap<String, BTreeSet<u64>>,
    /// In the order in which they were finished.
    finished: VecDeque<(u64, Timestamp)>,
    next: u64,
}

impl MemoryOutbox {
    pub(super) fn add(&mut self, deliveries: Vec<Delivery>) {
        for delivery in deliveries {
            if self.positions.contains_key(&delivery.id) {
                continue;
            }
            let position = self.next;
            self.next += 1;
            self.positions.insert(delivery.id, position);
            match delivery.state {
                DeliveryState::Pending => {
                    self.pending.entry(delivery.channel.clone()).or_default().insert(position);
                }
                _ => self.finished.push_back((position, delivery.delivered_at.unwrap_or(delivery.next_at))),
            }
            self.rows.insert(position, delivery);
        }
    }

    pub(super) fn pending(&self, channel: &str, limit: usize) -> Vec<Delivery> {
        let positions = self.pending.get(channel).into_iter().flatten();
        positions.filter_map(|position| self.rows.get(position)).take(limit).cloned().collect()
    }

    pub(super) fn pending_count(&self, channel: &str) -> u64 {
        self.pending.get(channel).map_or(0, |positions| positions.len() as u64)
    }

    pub(super) fn dead_letters(&self, limit: usize) -> Vec<Delivery> {
        let dead = self.finished.iter().filter_map(|(position, at)| {
            self.rows.get(position).filter(|row| row.state == DeliveryState::Dead).map(|row| ((*at, *position), row))
        });
        let mut dead: Vec<_> = dead.collect();
        dead.sort_by_key(|(age, _)| Reverse(*age));
        dead.into_iter().take(limit).map(|(_, row)| row.clone()).collect()
    }

    pub(super) fn retry(&mut self, ids: &[DeliveryId], error: &str, next_at: Timestamp) {
        for id in ids {
            if let Some((_, delivery)) = self.pending_row(*id) {
                delivery.attempts += 1;
                delivery.last_error = Some(error.to_owned());
                delivery.next_at = next_at;
            }
        }
    }

    pub(super) fn finish(
        &mut self,
        ids: &[DeliveryId],
        state: DeliveryState,
        error: Option<&str>,
        at: Timestamp,
        keep: usize,
    ) {
        for id in ids {
            let Some((position, delivery)) = self.pending_row(*id) else { continue };
            delivery.attempts += 1;
            delivery.state = state;
            delivery.last_error = error.map(str::to_owned);
            delivery.delivered_at = (state == DeliveryState::Delivered).then_some(at);
            let channel = delivery.channel.clone();
            if let Some(positions) = self.pending.get_mut(&channel) {
                positions.remove(&position);
                if positions.is_empty() {
                    self.pending.remove(&channel);
                }
            }
            self.finished.push_back((position, at));
        }
        let surplus = self.finished.len().saturating_sub(keep);
        for (position, _) in self.finished.drain(..surplus).collect::<Vec<_>>() {
            self.forget(position);
        }
    }

    /// Removes finished deliveries older than `before` as long as `goes` agrees.
    pub(super) fn prune(&mut self, before: Timestamp, goes: &mut impl FnMut(bool) -> bool) {
        let mut gone = Vec::new();
        self.finished.retain(|(position, at)| {
            let goes = goes(*at < before);
            if goes {
                gone.push(*position);
            }
            !goes
        });
        for position in gone {
            self.forget(position);
        }
    }

    fn pending_row(&mut self, id: DeliveryId) -> Option<(u64, &mut Delivery)> {
        let position = *self.positions.get(&id)?;
        let delivery = self.rows.get_mut(&position)?;
        (delivery.state == DeliveryState::Pending).then_some((position, delivery))
    }

    fn forget(&mut self, position: u64) {
        if let Some(delivery) = self.rows.remove(&position) {
            self.positions.remove(&delivery.id);
        }
    }
}
