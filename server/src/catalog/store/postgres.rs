//! The catalog in a PostgreSQL database that several servers share.

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgListener, PgPool, PgPoolOptions, PgSslMode};
use sqlx::{Connection as _, Row as _};
use tokio::sync::watch;
use url::Url;

use super::super::model::{Catalog, END_OF_OIDS, Oid};
use super::rows::{Delta, Write};
use super::{CommitError, OidRange, StoreError, migrations, publish};

/// Commits, the listener, and reading a delta.
const CONNECTIONS_MAX: u32 = 4;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Where a notification is lost (a proxy, a failover), the change is seen this late.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// After an error the database is asked again this late.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
const CHANNEL: &str = "atoll_catalog";
/// Keeps two servers from creating the tables at the same time: an arbitrary constant, "atoll" in ASCII.
const MIGRATION_LOCK: i64 = 0x61_746f_6c6c;

#[derive(Debug, Clone)]
pub(super) struct Postgres {
    pool: PgPool,
}

/// The parameters that a URL may have: sqlx passes over others, and logs them with their values.
const URL_PARAMETERS: [&str; 13] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
    "statement-cache-capacity",
];

/// How to connect. No error repeats any part of the URL: where a password holds a bare `@` or `?`, every part may be a
/// piece of it.
fn connect_options(text: &str) -> Result<PgConnectOptions, StoreError> {
    let invalid = |problem| StoreError::Url { problem };
    let url = Url::parse(text).map_err(|_| invalid("it cannot be taken apart"))?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err(invalid("it does not begin with postgres://"));
    }
    if url.fragment().is_some() {
        return Err(invalid("a # has to be written as %23"));
    }
    if url.query_pairs().any(|(name, _)| !URL_PARAMETERS.contains(&name.as_ref())) {
        return Err(invalid("it has an unknown parameter; in a password, ? and & have to be written as %3F and %26"));
    }
    let options = PgConnectOptions::from_str(text)
        .map_err(|_| invalid("a parameter's value is not valid"))?
        .application_name("atoll catalog");
    let verified = url.query_pairs().any(|(name, _)| name == "sslrootcert");
    match options.get_ssl_mode() {
        // sqlx would not ask for TLS at all.
        PgSslMode::Allow => Err(invalid("sslmode=allow is not supported; use prefer, require or verify-full")),
        // As libpq does: whoever names an authority wants it to be asked.
        PgSslMode::Require if verified => Ok(options.ssl_mode(PgSslMode::VerifyCa)),
        _ => Ok(options),
    }
}

impl Postgres {
    pub(super) async fn connect(url: &str) -> Result<Self, StoreError> {
        let options = connect_options(url)?;
        // The pool would ask a server that refuses connections again until its time is up, and then not say why.
        let connecting = PgConnection::connect_with(&options);
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await;
        let connection = connected.unwrap_or(Err(sqlx::Error::PoolTimedOut));
        connection.map_err(StoreError::database("connect to"))?.close().await.map_err(StoreError::database("close"))?;
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(CONNECT_TIMEOUT)
            .connect_lazy_with(options);
        Ok(Self { pool })
    }

    /// Brings the tables to this server's format; the key check, or `None` where there is no catalog yet.
    pub(super) async fn migrate(&self) -> Result<Option<String>, StoreError> {
        let failed = || StoreError::database("migrate");
        let mut transaction = self.pool.begin().await.map_err(failed())?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)")
            .bind(MIGRATION_LOCK)
            .execute(&mut *transaction)
            .await
            .map_err(failed())?;
        let exists: bool = sqlx::query_scalar("SELECT to_regclass('atoll_meta') IS NOT NULL")
            .fetch_one(&mut *transaction)
            .await
            .map_err(failed())?;
        let found: i64 = if exists {
            sqlx::query_scalar("SELECT format FROM atoll_meta").fetch_one(&mut *transaction).await.map_err(failed())?
        } else {
            0
        };
        for step in migrations::pending(migrations::POSTGRES, found)? {
            for statement in *step {
                sqlx::query(*statement).execute(&mut *transaction).await.map_err(failed())?;
            }
        }
        sqlx::query("UPDATE atoll_meta SET format = $1 WHERE format <> $1")
            .bind(migrations::FORMAT)
            .execute(&mut *transaction)
            .await
            .map_err(failed())?;
        let check = sqlx::query_scalar("SELECT key_check FROM atoll_meta")
            .fetch_one(&mut *transaction)
            .await
            .map_err(failed())?;
        transaction.commit().await.map_err(failed())?;
        Ok(check)
    }

    /// Writes the first objects; where another server was faster, nothing, and its key check is returned.
    pub(super) async fn bootstrap(&self, write: &Write) -> Result<Option<String>, StoreError> {
        let failed = || StoreError::database("create");
        let mut transaction = self.pool.begin().await.map_err(failed())?;
        let check: Option<String> = sqlx::query_scalar("SELECT key_check FROM atoll_meta FOR UPDATE")
            .fetch_one(&mut *transaction)
            .await
            .map_err(failed())?;
        if check.is_some() {
            return Ok(check);
        }
        execute(&mut transaction, write).await.map_err(failed())?;
        transaction.commit().await.map_err(failed())?;
        Ok(None)
    }

    pub(super) async fn load(&self, known: u64) -> Result<Delta, StoreError> {
        let failed = || StoreError::database("read");
        let mut transaction = self.pool.begin().await.map_err(failed())?;
        // Version and rows must be of the same moment.
        sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            .execute(&mut *transaction)
            .await
            .map_err(failed())?;
        let delta = delta(&mut transaction, known, "SELECT version FROM atoll_meta").await?;
        transaction.commit().await.map_err(failed())?;
        Ok(delta)
    }

    /// Takes OIDs from the database at once and for good.
    pub(super) async fn allocate(&self, count: u32) -> Result<OidRange, StoreError> {
        let failed = || StoreError::database("write");
        let end: i64 = sqlx::query_scalar(
            "UPDATE atoll_meta SET next_oid = next_oid + $1 WHERE next_oid + $1 <= $2 RETURNING next_oid",
        )
        .bind(i64::from(count))
        .bind(i64::from(END_OF_OIDS))
        .fetch_optional(&self.pool)
        .await
        .map_err(failed())?
        .ok_or(StoreError::OidsExhausted)?;
        let end = Oid::try_from(end).map_err(|_| StoreError::OidsExhausted)?;
        Ok(OidRange::new(end.saturating_sub(count), end))
    }

    /// Runs `plan` over what changed since `known`, and writes what it returns. Commits of all servers queue on one row.
    pub(super) async fn commit(
        &self,
        known: u64,
        plan: impl FnOnce(Delta) -> Result<(Write, Catalog), CommitError>,
    ) -> Result<Catalog, CommitError> {
        let failed = || StoreError::database("write");
        let mut transaction = self.pool.begin().await.map_err(failed())?;
        let delta = delta(&mut transaction, known, "SELECT version FROM atoll_meta FOR UPDATE").await?;
        let (write, catalog) = plan(delta)?;
        match execute(&mut transaction, &write).await {
            Ok(()) => {}
            // The row lock makes this impossible unless something else writes these tables.
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => return Err(CommitError::Conflict),
            Err(error) => return Err(failed()(error).into()),
        }
        transaction.commit().await.map_err(|error| match error {
            sqlx::Error::Database(_) => failed()(error).into(),
            lost => CommitError::Unknown(lost),
        })?;
        Ok(catalog)
    }

    /// Publishes what other servers commit, until aborted.
    pub(super) fn spawn_refresher(&self, latest: watch::Sender<Arc<Catalog>>) -> tokio::task::JoinHandle<()> {
        let backend = self.clone();
        tokio::spawn(async move {
            loop {
                let Err(error) = backend.follow(&latest).await else { continue };
                tracing::warn!(error = &error as &dyn std::error::Error, "the catalog database cannot be followed");
                tokio::time::sleep(RETRY_INTERVAL).await;
            }
        })
    }

    async fn follow(&self, latest: &watch::Sender<Arc<Catalog>>) -> Result<(), StoreError> {
        let failed = || StoreError::database("listen to");
        let mut listener = PgListener::connect_with(&self.pool).await.map_err(failed())?;
        listener.listen(CHANNEL).await.map_err(failed())?;
        loop {
            let known = Arc::clone(&latest.borrow());
            let version: i64 = sqlx::query_scalar("SELECT version FROM atoll_meta")
                .fetch_one(&self.pool)
                .await
                .map_err(StoreError::database("read"))?;
            if u64::try_from(version).is_ok_and(|version| version > known.version) {
                let delta = self.load(known.version).await?;
                publish(latest, delta.applied_to(&known)?);
            }
            // Either way the version is asked: a notification may have been lost with a connection.
            if let Ok(Err(error)) = tokio::time::timeout(POLL_INTERVAL, listener.try_recv()).await {
                return Err(failed()(error));
            }
        }
    }
}

async fn delta(connection: &mut PgConnection, known: u64, meta: &'static str) -> Result<Delta, StoreError> {
    let failed = || StoreError::database("read");
    let version: i64 = sqlx::query_scalar(meta).fetch_one(&mut *connection).await.map_err(failed())?;
    let version = u64::try_from(version).map_err(|_| StoreError::Damaged { problem: "its version is negative" })?;
    let mut delta = Delta { version, ..Delta::default() };
    if version == known {
        return Ok(delta);
    }
    let since = i64::try_from(known).unwrap_or(i64::MAX);
    let rows = sqlx::query("SELECT oid, CASE WHEN row_version > $1 THEN body::text END FROM atoll_object ORDER BY oid")
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

/// One round trip for all rows: IMPORT may bring thousands.
async fn execute(connection: &mut PgConnection, write: &Write) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM atoll_object WHERE oid = ANY ($1)").bind(&write.deleted).execute(&mut *connection).await?;
    let oids: Vec<i64> = write.rows.iter().map(|row| row.oid).collect();
    let kinds: Vec<&str> = write.rows.iter().map(|row| row.kind.as_str()).collect();
    let scopes: Vec<i64> = write.rows.iter().map(|row| row.scope).collect();
    let names: Vec<&str> = write.rows.iter().map(|row| row.name.as_str()).collect();
    let bodies: Vec<&str> = write.rows.iter().map(|row| row.body.as_str()).collect();
    sqlx::query(
        "INSERT INTO atoll_object (oid, kind, scope, name, row_version, body)
         SELECT oid, kind, scope, name, $6, body::jsonb
         FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::text[])
              AS row (oid, kind, scope, name, body)",
    )
    .bind(&oids)
    .bind(&kinds)
    .bind(&scopes)
    .bind(&names)
    .bind(&bodies)
    .bind(write.version)
    .execute(&mut *connection)
    .await?;
    sqlx::query("UPDATE atoll_meta SET version = $1, key_check = coalesce($2, key_check)")
        .bind(write.version)
        .bind(&write.key_check)
        .execute(&mut *connection)
        .await?;
    sqlx::query("SELECT pg_notify($1, $2)")
        .bind(CHANNEL)
        .bind(write.version.to_string())
        .execute(&mut *connection)
        .await?;
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_how_to_encrypt() {
        for (query, mode) in [
            ("", "Prefer"),
            ("?sslmode=disable", "Disable"),
            ("?sslmode=require", "Require"),
            ("?sslmode=require&sslrootcert=/ca.pem", "VerifyCa"),
            ("?sslmode=verify-ca", "VerifyCa"),
            ("?sslmode=verify-full", "VerifyFull"),
        ] {
            let options = connect_options(&format!("postgres://u:p@h/d{query}")).unwrap();
            assert_eq!(format!("{:?}", options.get_ssl_mode()), mode, "{query}");
        }
    }

    #[test]
    fn no_error_repeats_a_piece_of_the_url() {
        for url in [
            "postgres://u:canary",
            "postgres://u:1?canary@h/d",
            "postgres://u:1#canary@h/d",
            "postgres://u:p@h/d?passwrod=canary",
            "postgres://u:p@h/d?sslmode=canary",
            "postgres://u:p@h/d?port=canary",
            "postgres://u:canary@h/d?sslmode=allow",
            "mysql://u:canary@h/d",
            "host=h password=canary",
        ] {
            let error = connect_options(url).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(matches!(error, StoreError::Url { .. }) && !shown.contains("canary"), "{shown}");
        }
    }
}
