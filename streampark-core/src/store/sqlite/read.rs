//! Questions, each one statement and so one snapshot.

use rusqlite::types::ToSql;
use rusqlite::{Connection, Row};

use super::failure::Failure;
use super::row::{int, json, limit as sql_limit, nanos, parse, timestamp};
use crate::alert::{Delivery, DeliveryState};
use crate::job::{JobId, RestorePoint};
use crate::store::records::{ClusterRecord, JobRow, RunRecord, SpecVersion};
use crate::store::store::{EventFilter, JobFilter};
use crate::{Event, Result};

/// A job with the spec that it uses and its newest run.
const JOB: &str = "SELECT job.data, spec.data, run.data FROM job
    JOIN spec ON spec.job = job.id AND spec.version = job.spec_version
    LEFT JOIN run ON run.job = job.id
        AND run.generation = (SELECT max(generation) FROM run AS newest WHERE newest.job = job.id)";

pub(super) fn job(c: &Connection, id: JobId) -> Result<Option<JobRow>, Failure> {
    first(c, &format!("{JOB} WHERE job.id = ?1"), &[&id.to_string()], job_row)
}

pub(super) fn job_by_name(c: &Connection, name: &str) -> Result<Option<JobRow>, Failure> {
    first(c, &format!("{JOB} WHERE job.name = ?1"), &[&name], job_row)
}

pub(super) fn jobs(c: &Connection, filter: &JobFilter) -> Result<Vec<JobRow>, Failure> {
    let sql = format!(
        "{JOB} WHERE job.name > ?1
         AND (?2 IS NULL OR job.state IN (SELECT value FROM json_each(?2)))
         AND (?3 IS NULL OR spec.cluster = ?3)
         AND (?4 IS NULL OR instr(job.folded_name, ?4) > 0)
         AND NOT EXISTS (SELECT 1 FROM json_each(?5) AS wanted WHERE NOT EXISTS (
             SELECT 1 FROM json_each(spec.data, '$.spec.labels') AS label
             WHERE label.key = wanted.key AND label.value = wanted.value))
         ORDER BY job.name LIMIT ?6"
    );
    let states = match filter.states.is_empty() {
        true => None,
        false => Some(json(&filter.states)?),
    };
    // No name is empty, so all names come after the empty text.
    let after = filter.after.as_deref().unwrap_or_default();
    let part = filter.name_contains.as_ref().map(|part| part.to_lowercase());
    let limit = filter.limit.map_or(-1, sql_limit);
    all(c, &sql, &[&after, &states, &filter.cluster, &part, &json(&filter.labels)?, &limit], job_row)
}

pub(super) fn clusters(c: &Connection) -> Result<Vec<ClusterRecord>, Failure> {
    all(c, "SELECT data FROM cluster ORDER BY name", &[], |row| parse(row, 0, "cluster"))
}

pub(super) fn specs(c: &Connection, job: JobId) -> Result<Vec<SpecVersion>, Failure> {
    let sql = "SELECT data FROM spec WHERE job = ?1 ORDER BY version DESC";
    all(c, sql, &[&job.to_string()], |row| parse(row, 0, "spec"))
}

pub(super) fn spec(c: &Connection, job: JobId, version: u32) -> Result<Option<SpecVersion>, Failure> {
    let sql = "SELECT data FROM spec WHERE job = ?1 AND version = ?2";
    first(c, sql, &[&job.to_string(), &version], |row| parse(row, 0, "spec"))
}

pub(super) fn runs(c: &Connection, job: JobId, limit: usize) -> Result<Vec<RunRecord>, Failure> {
    let sql = "SELECT data FROM run WHERE job = ?1 ORDER BY generation DESC LIMIT ?2";
    all(c, sql, &[&job.to_string(), &sql_limit(limit)], |row| parse(row, 0, "run"))
}

pub(super) fn restore_points(c: &Connection, job: JobId, limit: usize) -> Result<Vec<RestorePoint>, Failure> {
    let sql = "SELECT data FROM restore_point WHERE job = ?1
               ORDER BY completed_at DESC, checkpoint_id DESC, path LIMIT ?2";
    all(c, sql, &[&job.to_string(), &sql_limit(limit)], |row| parse(row, 0, "restore_point"))
}

/// The conditions are put together from fixed parts, so that each kind of question uses its index.
pub(super) fn events(c: &Connection, filter: &EventFilter) -> Result<Vec<Event>, Failure> {
    let mut sql = "SELECT sequence, data FROM event WHERE sequence > ?".to_owned();
    let mut values: Vec<Box<dyn ToSql>> = vec![Box::new(int(filter.after.unwrap_or(0)))];
    let mut and = |condition: &str, value: Box<dyn ToSql>| {
        sql.push_str(condition);
        values.push(value);
    };
    if let Some(job) = filter.job {
        and(" AND job = ?", Box::new(job.to_string()));
    }
    if let Some(since) = filter.since {
        and(" AND at >= ?", Box::new(nanos(since)));
    }
    match filter.kinds.as_slice() {
        [] => {}
        [kind] => and(" AND kind = ?", Box::new(kind.as_str())),
        kinds => and(" AND kind IN (SELECT value FROM json_each(?))", Box::new(json(kinds)?)),
    }
    let order = if filter.newest_first { " ORDER BY sequence DESC LIMIT ?" } else { " ORDER BY sequence LIMIT ?" };
    and(order, Box::new(sql_limit(filter.limit.unwrap_or(EventFilter::DEFAULT_LIMIT))));
    let values: Vec<&dyn ToSql> = values.iter().map(Box::as_ref).collect();
    all(c, &sql, &values, |row| {
        let mut event: Event = parse(row, 1, "event")?;
        event.sequence = row.get::<_, i64>(0)?.unsigned_abs();
        Ok(event)
    })
}

const DELIVERY: &str = "SELECT data, state, attempts, next_at, last_error, delivered_at FROM delivery";

pub(super) fn pending(c: &Connection, channel: &str, limit: usize) -> Result<Vec<Delivery>, Failure> {
    let sql = format!("{DELIVERY} WHERE channel = ?1 AND state = 'pending' ORDER BY position LIMIT ?2");
    all(c, &sql, &[&channel, &sql_limit(limit)], delivery)
}

pub(super) fn pending_count(c: &Connection, channel: &str) -> Result<u64, Failure> {
    let sql = "SELECT count(*) FROM delivery WHERE channel = ?1 AND state = 'pending'";
    let count: i64 = c.prepare_cached(sql)?.query_row([channel], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

pub(super) fn dead_letters(c: &Connection, limit: usize) -> Result<Vec<Delivery>, Failure> {
    let sql = format!(
        "{DELIVERY} WHERE state = 'dead' AND finished_at IS NOT NULL
         ORDER BY finished_at DESC, position DESC LIMIT ?1"
    );
    all(c, &sql, &[&sql_limit(limit)], delivery)
}

fn job_row(row: &Row<'_>) -> Result<JobRow, Failure> {
    let spec: SpecVersion = parse(row, 1, "spec")?;
    let run: Option<RunRecord> = match row.get_ref(2)? {
        rusqlite::types::ValueRef::Null => None,
        _ => Some(parse(row, 2, "run")?),
    };
    Ok(JobRow::new(parse(row, 0, "job")?, spec.spec, run))
}

fn delivery(row: &Row<'_>) -> Result<Delivery, Failure> {
    let mut delivery: Delivery = parse(row, 0, "delivery")?;
    delivery.state = match row.get_ref(1)?.as_str().unwrap_or_default() {
        "delivered" => DeliveryState::Delivered,
        "dead" => DeliveryState::Dead,
        _ => DeliveryState::Pending,
    };
    delivery.attempts = row.get(2)?;
    delivery.next_at = timestamp(row.get(3)?);
    delivery.last_error = row.get(4)?;
    delivery.delivered_at = row.get::<_, Option<i64>>(5)?.map(timestamp);
    Ok(delivery)
}

fn all<T>(
    c: &Connection,
    sql: &str,
    params: &[&dyn ToSql],
    mut read: impl FnMut(&Row<'_>) -> Result<T, Failure>,
) -> Result<Vec<T>, Failure> {
    let mut statement = c.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

fn first<T>(
    c: &Connection,
    sql: &str,
    params: &[&dyn ToSql],
    read: impl FnMut(&Row<'_>) -> Result<T, Failure>,
) -> Result<Option<T>, Failure> {
    Ok(all(c, sql, params, read)?.into_iter().next())
}
