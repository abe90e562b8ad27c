//! What a [`MemoryStore`](super::MemoryStore) holds: every batch is checked whole, then applied.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, VecDeque};

use jiff::Timestamp;

use super::super::records::{Batch, ClusterRecord, JobRecord, JobRow, RunRecord, SpecVersion};
use super::super::rules;
use super::super::store::{Committed, EventFilter, JobFilter, KEPT_CHECKPOINTS};
use super::outbox::MemoryOutbox;
use crate::job::{Generation, JobId, RestoreKind, RestorePoint};
use crate::{Event, Result};

#[derive(Debug)]
pub(super) struct State {
    pub(super) names: BTreeMap<String, JobId>,
    jobs: HashMap<JobId, Entry>,
    pub(super) clusters: BTreeMap<String, ClusterRecord>,
    history: VecDeque<Event>,
    sequence: u64,
    pub(super) outbox: MemoryOutbox,
    pub(super) history_limit: usize,
    pub(super) closed: bool,
}

/// A job and all that belongs to it.
#[derive(Debug)]
pub(super) struct Entry {
    job: JobRecord,
    /// In order of versions.
    pub(super) specs: Vec<SpecVersion>,
    pub(super) runs: BTreeMap<Generation, RunRecord>,
    /// Newest first.
    pub(super) points: Vec<RestorePoint>,
}

impl Entry {
    pub(super) fn spec(&self, version: u32) -> Option<&SpecVersion> {
        self.specs.iter().find(|spec| spec.version == version)
    }

    fn row(&self) -> Option<JobRow> {
        let spec = self.spec(self.job.spec_version)?.spec.clone();
        Some(JobRow::new(self.job.clone(), spec, self.runs.values().next_back().cloned()))
    }

    fn record(&mut self, point: RestorePoint) {
        self.points.retain(|known| known.path != point.path);
        let age = |point: &RestorePoint| (Reverse(point.completed_at), Reverse(point.checkpoint_id));
        let position = self.points.partition_point(|known| (age(known), &known.path) < (age(&point), &point.path));
        self.points.insert(position, point);
    }
}

impl State {
    pub(super) fn new(history_limit: usize) -> Self {
        Self {
            names: BTreeMap::new(),
            jobs: HashMap::new(),
            clusters: BTreeMap::new(),
            history: VecDeque::new(),
            sequence: 0,
            outbox: MemoryOutbox::default(),
            history_limit,
            closed: false,
        }
    }

    pub(super) fn job(&self, id: JobId) -> Option<&Entry> {
        self.jobs.get(&id)
    }

    pub(super) fn row(&self, id: JobId) -> Option<JobRow> {
        self.jobs.get(&id).and_then(Entry::row)
    }

    pub(super) fn commit(&mut self, batch: Batch) -> Result<Committed> {
        self.check(&batch)?;
        Ok(self.apply(batch))
    }

    fn check(&self, batch: &Batch) -> Result<()> {
        if let Some(job) = &batch.job {
            self.check_revision(job)?;
            if self.names.get(&job.name).is_some_and(|owner| *owner != job.id) {
                return Err(rules::name_taken(&job.name));
            }
        }
        let is_stored = |id: JobId| self.jobs.contains_key(&id) || batch.job.as_ref().is_some_and(|job| job.id == id);
        if let Some(spec) = &batch.spec {
            if !is_stored(spec.job) {
                return Err(rules::no_such_job(format_args!("version {} of a spec", spec.version), spec.job));
            }
            let newest = self.jobs.get(&spec.job).and_then(|entry| entry.specs.last()).map_or(0, |spec| spec.version);
            if newest.checked_add(1) != Some(spec.version) {
                return Err(rules::spec_out_of_order(spec.version, newest));
            }
        }
        if let Some(job) = &batch.job {
            let stored = self.jobs.get(&job.id).is_some_and(|entry| entry.spec(job.spec_version).is_some());
            let comes = batch.spec.as_ref().is_some_and(|spec| spec.job == job.id && spec.version == job.spec_version);
            if !stored && !comes {
                return Err(rules::no_such_spec(job));
            }
        }
        for run in &batch.runs {
            if !is_stored(run.run.key.job) {
                return Err(rules::no_such_job(rules::run_name(run.run.key), run.run.key.job));
            }
        }
        for (job, point) in &batch.restore_points {
            if !is_stored(*job) {
                return Err(rules::no_such_job(point, *job));
            }
        }
        Ok(())
    }

    fn check_revision(&self, job: &JobRecord) -> Result<()> {
        match self.jobs.get(&job.id) {
            Some(entry) if entry.job.revision == job.revision => Ok(()),
            Some(entry) => Err(rules::changed_meanwhile(job, entry.job.revision)),
            None if job.revision == 0 => Ok(()),
            None => Err(rules::deleted_meanwhile(job)),
        }
    }

    fn apply(&mut self, batch: Batch) -> Committed {
        let mut revision = 0;
        if let Some(mut job) = batch.job {
            job.revision += 1;
            revision = job.revision;
            if let Some(entry) = self.jobs.get(&job.id) {
                self.names.remove(&entry.job.name);
            }
            self.names.insert(job.name.clone(), job.id);
            match self.jobs.get_mut(&job.id) {
                Some(entry) => entry.job = job,
                None => {
                    let entry = Entry { specs: Vec::new(), runs: BTreeMap::new(), points: Vec::new(), job };
                    self.jobs.insert(entry.job.id, entry);
                }
            }
        }
        if let Some(spec) = batch.spec
            && let Some(entry) = self.jobs.get_mut(&spec.job)
        {
            entry.specs.push(spec);
        }
        for run in batch.runs {
            if let Some(entry) = self.jobs.get_mut(&run.run.key.job) {
                entry.runs.insert(run.run.key.generation, run);
            }
        }
        for (job, point) in batch.restore_points {
            if let Some(entry) = self.jobs.get_mut(&job) {
                entry.record(point);
            }
        }
        if let Some(cluster) = batch.cluster {
            self.clusters.insert(cluster.name.clone(), cluster);
        }
        self.outbox.add(batch.deliveries);
        Committed::new(revision, self.append(batch.events))
    }

    fn append(&mut self, mut events: Vec<Event>) -> Vec<Event> {
        for event in &mut events {
            self.sequence += 1;
            event.sequence = self.sequence;
            self.history.push_back(event.clone());
        }
        let surplus = self.history.len().saturating_sub(self.history_limit);
        self.history.drain(..surplus);
        events
    }

    pub(super) fn delete_job(&mut self, job: &JobRecord, event: Event) -> Result<Committed> {
        if !self.jobs.contains_key(&job.id) {
            return Err(rules::deleted_meanwhile(job));
        }
        self.check_revision(job)?;
        if let Some(entry) = self.jobs.remove(&job.id) {
            self.names.remove(&entry.job.name);
        }
        Ok(Committed::new(0, self.append(vec![event])))
    }

    pub(super) fn jobs(&self, filter: &JobFilter) -> Vec<JobRow> {
        use std::ops::Bound::{Excluded, Unbounded};

        let part = filter.name_contains.as_ref().map(|part| part.to_lowercase());
        let start = filter.after.as_deref().map_or(Unbounded, Excluded);
        self.names
            .range::<str, _>((start, Unbounded))
            .filter(|(name, _)| part.as_ref().is_none_or(|part| name.to_lowercase().contains(part)))
            .filter_map(|(_, id)| self.row(*id))
            .filter(|row| filter.states.is_empty() || filter.states.contains(&row.job.state))
            .filter(|row| filter.cluster.as_ref().is_none_or(|cluster| *cluster == row.spec.cluster))
            .filter(|row| filter.labels.iter().all(|(key, value)| row.spec.labels.get(key) == Some(value)))
            .take(filter.limit.unwrap_or(usize::MAX))
            .collect()
    }

    pub(super) fn events(&self, filter: &EventFilter) -> Vec<Event> {
        let first = filter.after.map_or(0, |after| self.history.partition_point(|event| event.sequence <= after));
        let fits = |event: &&Event| {
            filter.job.is_none_or(|job| event.job == Some(job))
                && (filter.kinds.is_empty() || filter.kinds.contains(&event.kind))
                && filter.since.is_none_or(|since| event.at >= since)
        };
        let limit = filter.limit.unwrap_or(EventFilter::DEFAULT_LIMIT);
        let range = self.history.range(first..);
        match filter.newest_first {
            true => range.rev().filter(fits).take(limit).cloned().collect(),
            false => range.filter(fits).take(limit).cloned().collect(),
        }
    }

    pub(super) fn prune(&mut self, before: Timestamp, limit: usize) -> u64 {
        let mut left = limit;
        let mut goes = |old: bool| {
            let goes = old && left > 0;
            left -= usize::from(goes);
            goes
        };
        self.history.retain(|event| !goes(event.at < before));
        self.outbox.prune(before, &mut goes);
        for entry in self.jobs.values_mut() {
            let newest = entry.runs.keys().next_back().copied();
            entry.runs.retain(|generation, run| {
                !goes(Some(*generation) != newest && run.ended_at.is_some_and(|at| at < before))
            });
            let mut checkpoints = 0;
            entry.points.retain(|point| {
                checkpoints += usize::from(point.kind == RestoreKind::Checkpoint);
                let surplus = point.kind == RestoreKind::Checkpoint && checkpoints > KEPT_CHECKPOINTS;
                !goes(surplus && point.completed_at < before)
            });
        }
        (limit - left) as u64
    }
}
