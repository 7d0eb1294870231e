//! The catalog database's tables, version by version.

use super::StoreError;

/// The format that this server writes.
pub const FORMAT: i64 = 1;

/// One step from a format to the next: its statements, in order.
pub(super) type Step = &'static [&'static str];

/// Step `n` leads from format `n` to `n + 1`. Never changed once released: a new step is appended.
pub(super) const SQLITE: &[Step] = &[&[
    "CREATE TABLE atoll_meta (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        format INTEGER NOT NULL,
        version INTEGER NOT NULL,
        next_oid INTEGER NOT NULL,
        key_check TEXT
    ) STRICT",
    "CREATE TABLE atoll_object (
        oid INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,
        scope INTEGER NOT NULL,
        name TEXT NOT NULL,
        row_version INTEGER NOT NULL,
        body TEXT NOT NULL
    ) STRICT",
    "CREATE UNIQUE INDEX atoll_object_name ON atoll_object (kind, scope, name)",
    "INSERT INTO atoll_meta (one, format, version, next_oid, key_check) VALUES (1, 1, 0, 16384, NULL)",
]];

pub(super) const POSTGRES: &[Step] = &[&[
    "CREATE TABLE atoll_meta (
        one integer PRIMARY KEY CHECK (one = 1),
        format bigint NOT NULL,
        version bigint NOT NULL,
        next_oid bigint NOT NULL,
        key_check text
    )",
    "CREATE TABLE atoll_object (
        oid bigint PRIMARY KEY,
        kind text NOT NULL,
        scope bigint NOT NULL,
        name text COLLATE \"C\" NOT NULL,
        row_version bigint NOT NULL,
        body jsonb NOT NULL
    )",
    "CREATE UNIQUE INDEX atoll_object_name ON atoll_object (kind, scope, name)",
    "INSERT INTO atoll_meta (one, format, version, next_oid, key_check) VALUES (1, 1, 0, 16384, NULL)",
]];

/// The steps that lead from a stored format to [`FORMAT`]; 0: nothing is stored.
pub(super) fn pending(steps: &'static [Step], found: i64) -> Result<&'static [Step], StoreError> {
    if found > FORMAT {
        return Err(StoreError::NewerFormat { found });
    }
    usize::try_from(found)
        .ok()
        .and_then(|found| steps.get(found..))
        .ok_or(StoreError::Damaged { problem: "its format is not a version" })
}
