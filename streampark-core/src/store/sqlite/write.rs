//! Changes, each run inside a transaction that the worker owns.

use jiff::Timestamp;
use rusqlite::types::ToSql;
use rusqlite::{Connection, OptionalExtension, params};

use super::failure::Failure;
use super::row::{int, json, limit as sql_limit, nanos, word};
use crate::alert::{Delivery, DeliveryId, DeliveryState};
use crate::job::{JobId, RestorePoint};
use crate::store::records::{Batch, JobRecord, RunRecord, SpecVersion};
use crate::store::rules;
use crate::store::store::{Committed, KEPT_CHECKPOINTS};
use crate::{Event, Result};

pub(super) fn commit(c: &Connection, batch: &Batch) -> Result<Committed, Failure> {
    let revision = batch.job.as_ref().map(|job| put_job(c, job)).transpose()?.unwrap_or(0);
    if let Some(spec) = &batch.spec {
        add_spec(c, spec)?;
    }
    if let Some(job) = &batch.job
        && !has_spec(c, job)?
    {
        return Err(rules::no_such_spec(job).into());
    }
    for run in &batch.runs {
        put_run(c, run)?;
    }
    for (job, point) in &batch.restore_points {
        put_restore_point(c, *job, point)?;
    }
    if let Some(cluster) = &batch.cluster {
        execute(c, "INSERT OR REPLACE INTO cluster VALUES (?1, ?2)", params![cluster.name, json(cluster)?])?;
    }
    for delivery in &batch.deliveries {
        add_delivery(c, delivery)?;
    }
    Ok(Committed::new(revision, append(c, &batch.events)?))
}

pub(super) fn delete_job(c: &Connection, job: &JobRecord, event: &Event) -> Result<Committed, Failure> {
    match stored_revision(c, job.id)? {
        None => return Err(rules::deleted_meanwhile(job).into()),
        Some(stored) if stored != job.revision => return Err(rules::changed_meanwhile(job, stored).into()),
        Some(_) => {}
    }
    execute(c, "DELETE FROM job WHERE id = ?1", [job.id.to_string()])?;
    Ok(Committed::new(0, append(c, std::slice::from_ref(event))?))
}

pub(super) fn delivered(c: &Connection, ids: &[DeliveryId], at: Timestamp) -> Result<(), Failure> {
    let sql = "UPDATE delivery SET state = 'delivered', attempts = attempts + 1, last_error = NULL,
               delivered_at = ?2, finished_at = ?2 WHERE id = ?1 AND state = 'pending'";
    for id in ids {
        execute(c, sql, params![id.to_string(), nanos(at)])?;
    }
    Ok(())
}

pub(super) fn retry(c: &Connection, ids: &[DeliveryId], error: &str, next_at: Timestamp) -> Result<(), Failure> {
    let sql = "UPDATE delivery SET attempts = attempts + 1, last_error = ?2, next_at = ?3
               WHERE id = ?1 AND state = 'pending'";
    for id in ids {
        execute(c, sql, params![id.to_string(), error, nanos(next_at)])?;
    }
    Ok(())
}

pub(super) fn dead(c: &Connection, ids: &[DeliveryId], error: &str, at: Timestamp) -> Result<(), Failure> {
    let sql = "UPDATE delivery SET state = 'dead', attempts = attempts + 1, last_error = ?2, finished_at = ?3
               WHERE id = ?1 AND state = 'pending'";
    for id in ids {
        execute(c, sql, params![id.to_string(), error, nanos(at)])?;
    }
    Ok(())
}

pub(super) fn prune(c: &Connection, before: Timestamp, limit: usize) -> Result<u64, Failure> {
    let checkpoints = format!(
        "DELETE FROM restore_point WHERE rowid IN (
             SELECT id FROM (
                 SELECT rowid AS id, completed_at, row_number() OVER (
                     PARTITION BY job ORDER BY completed_at DESC, checkpoint_id DESC, path
                 ) AS age FROM restore_point WHERE kind = 'checkpoint'
             ) WHERE age > {KEPT_CHECKPOINTS} AND completed_at < ?1 LIMIT ?2)"
    );
    let steps = [
        "DELETE FROM event WHERE sequence IN
             (SELECT sequence FROM event WHERE at < ?1 ORDER BY at LIMIT ?2)",
        "DELETE FROM delivery WHERE position IN
             (SELECT position FROM delivery WHERE finished_at < ?1 ORDER BY finished_at LIMIT ?2)",
        "DELETE FROM run WHERE rowid IN
             (SELECT rowid FROM run WHERE ended_at < ?1
              AND generation < (SELECT max(generation) FROM run AS newest WHERE newest.job = run.job) LIMIT ?2)",
        &checkpoints,
    ];
    let mut gone = 0;
    for sql in steps {
        gone += execute(c, sql, params![nanos(before), sql_limit(limit.saturating_sub(gone))])?;
    }
    Ok(gone as u64)
}

fn execute(c: &Connection, sql: &str, params: impl rusqlite::Params) -> Result<usize, Failure> {
    Ok(c.prepare_cached(sql)?.execute(params)?)
}

fn stored_revision(c: &Connection, id: JobId) -> Result<Option<u64>, Failure> {
    let mut statement = c.prepare_cached("SELECT revision FROM job WHERE id = ?1")?;
    let revision: Option<i64> = statement.query_row([id.to_string()], |row| row.get(0)).optional()?;
    Ok(revision.map(i64::unsigned_abs))
}

fn exists(c: &Connection, sql: &str, params: &[&dyn ToSql]) -> Result<bool, Failure> {
    Ok(c.prepare_cached(sql)?.exists(params)?)
}

fn is_stored(c: &Connection, job: JobId) -> Result<bool, Failure> {
    exists(c, "SELECT 1 FROM job WHERE id = ?1", &[&job.to_string()])
}

fn has_spec(c: &Connection, job: &JobRecord) -> Result<bool, Failure> {
    exists(c, "SELECT 1 FROM spec WHERE job = ?1 AND version = ?2", &[&job.id.to_string(), &job.spec_version])
}

fn put_job(c: &Connection, job: &JobRecord) -> Result<u64, Failure> {
    match stored_revision(c, job.id)? {
        Some(stored) if stored != job.revision => return Err(rules::changed_meanwhile(job, stored).into()),
        None if job.revision != 0 => return Err(rules::deleted_meanwhile(job).into()),
        _ => {}
    }
    let id = job.id.to_string();
    if exists(c, "SELECT 1 FROM job WHERE name = ?1 AND id <> ?2", &[&job.name, &id])? {
        return Err(rules::name_taken(&job.name).into());
    }
    let next = JobRecord { revision: job.revision + 1, ..job.clone() };
    execute(
        c,
        "INSERT INTO job VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id) DO UPDATE SET
             name = excluded.name, folded_name = excluded.folded_name, revision = excluded.revision,
             spec_version = excluded.spec_version, state = excluded.state, data = excluded.data",
        params![
            id,
            next.name,
            next.name.to_lowercase(),
            int(next.revision),
            next.spec_version,
            next.state.as_str(),
            json(&next)?
        ],
    )?;
    Ok(next.revision)
}

fn add_spec(c: &Connection, spec: &SpecVersion) -> Result<(), Failure> {
    if !is_stored(c, spec.job)? {
        return Err(rules::no_such_job(format_args!("version {} of a spec", spec.version), spec.job).into());
    }
    let id = spec.job.to_string();
    let newest: Option<u32> =
        c.prepare_cached("SELECT max(version) FROM spec WHERE job = ?1")?.query_row([&id], |row| row.get(0))?;
    let newest = newest.unwrap_or(0);
    if newest.checked_add(1) != Some(spec.version) {
        return Err(rules::spec_out_of_order(spec.version, newest).into());
    }
    execute(c, "INSERT INTO spec VALUES (?1, ?2, ?3, ?4)", params![id, spec.version, spec.spec.cluster, json(spec)?])?;
    Ok(())
}

fn put_run(c: &Connection, run: &RunRecord) -> Result<(), Failure> {
    let key = run.run.key;
    if !is_stored(c, key.job)? {
        return Err(rules::no_such_job(rules::run_name(key), key.job).into());
    }
    execute(
        c,
        "INSERT INTO run VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (job, generation) DO UPDATE SET ended_at = excluded.ended_at, data = excluded.data",
        params![key.job.to_string(), int(key.generation), run.ended_at.map(nanos), json(run)?],
    )?;
    Ok(())
}

fn put_restore_point(c: &Connection, job: JobId, point: &RestorePoint) -> Result<(), Failure> {
    if !is_stored(c, job)? {
        return Err(rules::no_such_job(point, job).into());
    }
    execute(
        c,
        "INSERT INTO restore_point VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (job, path) DO UPDATE SET
             kind = excluded.kind, completed_at = excluded.completed_at,
             checkpoint_id = excluded.checkpoint_id, data = excluded.data",
        params![
            job.to_string(),
            point.path,
            word(point.kind)?,
            nanos(point.completed_at),
            point.checkpoint_id.map(int),
            json(point)?
        ],
    )?;
    Ok(())
}

fn add_delivery(c: &Connection, delivery: &Delivery) -> Result<(), Failure> {
    let finished = match delivery.state {
        DeliveryState::Pending => None,
        _ => Some(nanos(delivery.delivered_at.unwrap_or(delivery.next_at))),
    };
    execute(
        c,
        "INSERT INTO delivery (id, channel, data, state, attempts, next_at, last_error, delivered_at, finished_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (id) DO NOTHING",
        params![
            delivery.id.to_string(),
            delivery.channel,
            json(delivery)?,
            word(delivery.state)?,
            delivery.attempts,
            nanos(delivery.next_at),
            delivery.last_error,
            delivery.delivered_at.map(nanos),
            finished
        ],
    )?;
    Ok(())
}

fn append(c: &Connection, events: &[Event]) -> Result<Vec<Event>, Failure> {
    let mut statement = c.prepare_cached("INSERT INTO event (at, kind, job, data) VALUES (?1, ?2, ?3, ?4)")?;
    let mut stored = Vec::with_capacity(events.len());
    for event in events {
        let job = event.job.map(|job| job.to_string());
        let sequence = statement.insert(params![nanos(event.at), event.kind.as_str(), job, json(event)?])?;
        stored.push(Event { sequence: sequence.unsigned_abs(), ..event.clone() });
    }
    Ok(stored)
}
