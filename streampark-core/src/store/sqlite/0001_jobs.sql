-- Columns hold what is filtered and ordered by; `data` holds the whole row as JSON.
-- Times are nanoseconds since 1970-01-01T00:00:00Z.

CREATE TABLE job (
    id           TEXT NOT NULL PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    folded_name  TEXT NOT NULL,
    revision     INTEGER NOT NULL,
    spec_version INTEGER NOT NULL,
    state        TEXT NOT NULL,
    data         TEXT NOT NULL
) STRICT;

CREATE TABLE spec (
    job     TEXT NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    cluster TEXT NOT NULL,
    data    TEXT NOT NULL,
    PRIMARY KEY (job, version)
) STRICT;

CREATE TABLE run (
    job        TEXT NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    generation INTEGER NOT NULL,
    ended_at   INTEGER,
    data       TEXT NOT NULL,
    PRIMARY KEY (job, generation)
) STRICT;

CREATE TABLE restore_point (
    job           TEXT NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    path          TEXT NOT NULL,
    kind          TEXT NOT NULL,
    completed_at  INTEGER NOT NULL,
    checkpoint_id INTEGER,
    data          TEXT NOT NULL,
    PRIMARY KEY (job, path)
) STRICT;
CREATE INDEX restore_point_by_age ON restore_point (job, completed_at DESC, checkpoint_id DESC, path);

CREATE TABLE cluster (
    name TEXT NOT NULL PRIMARY KEY,
    data TEXT NOT NULL
) STRICT;

-- Outlives its job. AUTOINCREMENT: a sequence number is never given twice, also after pruning.
CREATE TABLE event (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    at       INTEGER NOT NULL,
    kind     TEXT NOT NULL,
    job      TEXT,
    data     TEXT NOT NULL
) STRICT;
CREATE INDEX event_by_job ON event (job, sequence);
CREATE INDEX event_by_kind ON event (kind, sequence);
CREATE INDEX event_by_time ON event (at);

-- The columns from `state` on change with each attempt and win over `data`.
CREATE TABLE delivery (
    position     INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    channel      TEXT NOT NULL,
    data         TEXT NOT NULL,
    state        TEXT NOT NULL,
    attempts     INTEGER NOT NULL,
    next_at      INTEGER NOT NULL,
    last_error   TEXT,
    delivered_at INTEGER,
    finished_at  INTEGER
) STRICT;
CREATE INDEX delivery_pending ON delivery (channel, position) WHERE state = 'pending';
CREATE INDEX delivery_finished ON delivery (state, finished_at, position) WHERE finished_at IS NOT NULL;
