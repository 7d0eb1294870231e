//! The catalog in a SQLite database of the data directory: one process, one connection.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteRow, SqliteSynchronous};
use sqlx::{Connection as _, Row as _};
use tokio::sync::Mutex;

use super::super::model::{Catalog, END_OF_OIDS, Oid};
use super::rows::{Delta, Write};
use super::{CommitError, OidRange, StoreError, migrations};

const DATABASE_FILE: &str = "catalog.sqlite";
/// Another process, for example an operator's `sqlite3`, may hold the database for a moment.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The database. Only this process writes it, so what was committed last is always known.
#[derive(Debug)]
pub(super) struct Sqlite {
    connection: Mutex<SqliteConnection>,
    /// OIDs are taken from memory: those of a transaction that was lost in a crash were in no row.
    next_oid: Mutex<Oid>,
}

impl Sqlite {
    pub(super) async fn open(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(DATABASE_FILE);
        // SQLite would create it with the umask's mode; its journal files take the mode of this one.
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|source| StoreError::Directory { action: "create", path: path.clone(), source })?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .journal_mode(SqliteJournalMode::Wal)
            // With NORMAL a power failure could lose a commit that was acknowledged.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT);
        let connection = SqliteConnection::connect_with(&options).await.map_err(StoreError::database("open"))?;
        Ok(Self { connection: Mutex::new(connection), next_oid: Mutex::new(0) })
    }

    /// Brings the tables to this server's format; the key check, or `None` where there is no catalog yet.
    pub(super) async fn migrate(&self) -> Result<Option<String>, StoreError> {
        let failed = || StoreError::database("read");
        let mut connection = self.connection.lock().await;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed())?;
        let tables: i64 =
            sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'atoll_meta'")
                .fetch_one(&mut *transaction)
                .await
                .map_err(failed())?;
        let found: i64 = if tables == 0 {
            0
        } else {
            sqlx::query_scalar("SELECT format FROM atoll_meta").fetch_one(&mut *transaction).await.map_err(failed())?
        };
        for step in migrations::pending(migrations::SQLITE, found)? {
            for statement in *step {
                let statement = sqlx::query(*statement);
                statement.execute(&mut *transaction).await.map_err(StoreError::database("migrate"))?;
            }
        }
        sqlx::query("UPDATE atoll_meta SET format = $1 WHERE format <> $1")
            .bind(migrations::FORMAT)
            .execute(&mut *transaction)
            .await
            .map_err(StoreError::database("migrate"))?;
        let row = sqlx::query("SELECT next_oid, key_check FROM atoll_meta")
            .fetch_one(&mut *transaction)
            .await
            .map_err(failed())?;
        transaction.commit().await.map_err(StoreError::database("migrate"))?;
        *self.next_oid.lock().await = oid(row.try_get(0).map_err(failed())?)?;
        row.try_get(1).map_err(failed())
    }

    /// Writes the first objects. SQLite has no other server that could be faster: never a key check.
    pub(super) async fn bootstrap(&self, write: &Write) -> Result<Option<String>, StoreError> {
        let mut connection = self.connection.lock().await;
        let next_oid = *self.next_oid.lock().await;
        self.write(&mut connection, write, next_oid).await.map(|()| None).map_err(StoreError::database("create"))
    }

    pub(super) async fn load(&self, known: u64) -> Result<Delta, StoreError> {
        let mut connection = self.connection.lock().await;
        load(&mut connection, known).await
    }

    /// Takes OIDs; they are written with the next commit.
    pub(super) async fn allocate(&self, count: u32) -> Result<OidRange, StoreError> {
        let mut next = self.next_oid.lock().await;
        let end = next.checked_add(count).filter(|end| *end <= END_OF_OIDS).ok_or(StoreError::OidsExhausted)?;
        let range = OidRange::new(*next, end);
        *next = end;
        Ok(range)
    }

    /// Runs `plan` over what changed since `known`, and writes what it returns.
    pub(super) async fn commit(
        &self,
        known: u64,
        plan: impl FnOnce(Delta) -> Result<(Write, Catalog), CommitError>,
    ) -> Result<Catalog, CommitError> {
        // Held from reading to writing: the connection is the one writer.
        let mut connection = self.connection.lock().await;
        let delta = load(&mut connection, known).await?;
        let (write, catalog) = plan(delta)?;
        let next_oid = *self.next_oid.lock().await;
        self.write(&mut connection, &write, next_oid).await.map_err(StoreError::database("write"))?;
        Ok(catalog)
    }

    async fn write(&self, connection: &mut SqliteConnection, write: &Write, next_oid: Oid) -> sqlx::Result<()> {
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        for oid in &write.deleted {
            sqlx::query("DELETE FROM atoll_object WHERE oid = $1").bind(oid).execute(&mut *transaction).await?;
        }
        for row in &write.rows {
            sqlx::query(
                "INSERT INTO atoll_object (oid, kind, scope, name, row_version, body) VALUES ($1, $2, $3, $4, $5, $6)",
            )
            .bind(row.oid)
            .bind(&row.kind)
            .bind(row.scope)
            .bind(&row.name)
            .bind(write.version)
            .bind(&row.body)
            .execute(&mut *transaction)
            .await?;
        }
        sqlx::query("UPDATE atoll_meta SET version = $1, next_oid = $2, key_check = coalesce($3, key_check)")
            .bind(write.version)
            .bind(i64::from(next_oid))
            .bind(&write.key_check)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await
    }
}

fn oid(stored: i64) -> Result<Oid, StoreError> {
    Oid::try_from(stored).map_err(|_| StoreError::Damaged { problem: "its next OID is out of range" })
}

async fn load(connection: &mut SqliteConnection, known: u64) -> Result<Delta, StoreError> {
    let failed = || StoreError::database("read");
    let version: i64 =
        sqlx::query_scalar("SELECT version FROM atoll_meta").fetch_one(&mut *connection).await.map_err(failed())?;
    let version = u64::try_from(version).map_err(|_| StoreError::Damaged { problem: "its version is negative" })?;
    let mut delta = Delta { version, ..Delta::default() };
    if version == known {
        return Ok(delta);
    }
    let since = i64::try_from(known).unwrap_or(i64::MAX);
    let rows: Vec<SqliteRow> =
        sqlx::query("SELECT oid, CASE WHEN row_version > $1 THEN body END FROM atoll_object ORDER BY oid")
            .bind(since)
            .fetch_all(&mut *connection)
            .await
            .map_err(failed())?;
    for row in rows {
        let body: Option<String> = row.try_get(1).map_err(failed())?;
        delta.add(row.try_get(0).map_err(failed())?, body.as_deref())?;
    }
    Ok(delta)
}
