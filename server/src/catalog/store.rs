//! Where the catalog's objects are kept: SQLite in the data directory, or a PostgreSQL database that servers share.
//!
//! The only place with SQL for the catalog's own database. Sessions read immutable snapshots; a commit is one database
//! transaction, so a crash at any moment leaves the state before or after it.

mod bootstrap;
mod conflict;
mod directory;
mod error;
mod migrations;
mod postgres;
mod rows;
mod sqlite;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Mutex, watch};

use super::model::{Catalog, Change, Oid};
use super::secret::{KEY_FILE, SecretKey};
use directory::DataDirectory;
use rows::{Delta, Write};

pub use bootstrap::{BOOTSTRAP_ROLE, InitialPassword, PASSWORD_FILE};
pub use error::{CommitError, StoreError};
pub use migrations::FORMAT;

/// OIDs taken from the store at once, so that creating an object rarely asks it.
const OID_BLOCK: u32 = 256;

/// How to open the catalog.
#[derive(Clone)]
pub struct StoreConfig {
    /// Holds the lock file, the key file and, without a URL, the catalog itself. Created where missing.
    pub data_dir: PathBuf,
    /// `postgres://…` of a database that servers share. It may hold a password: `Debug` does not show it.
    pub url: Option<String>,
    /// The name of the database; where it differs from the stored one, the stored one is renamed.
    pub database: String,
    /// Of the bootstrap superuser, for a fresh catalog; generated where missing.
    pub superuser_password: Option<String>,
    /// `ATOLL_MASTER_KEY`; else the key file.
    pub master_key: Option<SecretKey>,
}

impl std::fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreConfig")
            .field("data_dir", &self.data_dir)
            .field("shared", &self.url.is_some())
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

/// The catalog's store. One for the process; share it behind an `Arc`.
#[derive(Debug)]
pub struct Store {
    backend: Backend,
    latest: watch::Sender<Arc<Catalog>>,
    oids: Mutex<OidRange>,
    key: SecretKey,
    initial_password: Option<InitialPassword>,
    refresher: Option<tokio::task::JoinHandle<()>>,
    // Last: the lock is let go after the database is closed.
    _directory: DataDirectory,
}

#[derive(Debug)]
enum Backend {
    Sqlite(sqlite::Sqlite),
    Postgres(postgres::Postgres),
}

/// OIDs that no object has had, for one owner to give out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OidRange {
    next: Oid,
    end: Oid,
}

impl OidRange {
    /// `next` to `end`, without `end`.
    pub fn new(next: Oid, end: Oid) -> Self {
        Self { next, end: end.max(next) }
    }

    /// How many are left.
    pub fn left(&self) -> u32 {
        self.end - self.next
    }

    /// Takes one.
    pub fn take(&mut self) -> Option<Oid> {
        (self.next < self.end).then(|| {
            self.next += 1;
            self.next - 1
        })
    }

    fn split(&mut self, count: u32) -> Self {
        let middle = self.next + count.min(self.left());
        let taken = Self { next: self.next, end: middle };
        self.next = middle;
        taken
    }
}

impl Store {
    /// Opens the catalog; a fresh one is created with its bootstrap objects.
    ///
    /// # Errors
    /// [`StoreError`]: another server uses the data directory, the catalog is of a newer format, the master key does not
    /// fit, or the database cannot be reached or read.
    pub async fn open(config: StoreConfig) -> Result<Self, StoreError> {
        let directory = DataDirectory::open(&config.data_dir)?;
        let backend = match &config.url {
            Some(url) => Backend::Postgres(postgres::Postgres::connect(url).await?),
            None => Backend::Sqlite(sqlite::Sqlite::open(directory.path()).await?),
        };
        let stored = match &backend {
            Backend::Sqlite(backend) => backend.migrate().await?,
            Backend::Postgres(backend) => backend.migrate().await?,
        };
        let key = master_key(&config, directory.path(), stored.is_some())?;
        let initial_password = match &stored {
            Some(check) => {
                bootstrap::verify_key(&key, check)?;
                None
            }
            None => {
                let (write, password) = bootstrap::fresh(&config, directory.path(), &key)?;
                let created = match &backend {
                    Backend::Sqlite(backend) => backend.bootstrap(&write).await?,
                    Backend::Postgres(backend) => backend.bootstrap(&write).await?,
                };
                if let Some(check) = created {
                    // Another server was faster: its catalog counts, and its key.
                    if let Some(file) = &password.file {
                        let _ = std::fs::remove_file(file);
                    }
                    bootstrap::verify_key(&key, &check)?;
                    None
                } else {
                    Some(password)
                }
            }
        };
        let catalog = match &backend {
            Backend::Sqlite(backend) => backend.load(0).await?,
            Backend::Postgres(backend) => backend.load(0).await?,
        }
        .applied_to(&bootstrap::system_objects())?;
        let (latest, _) = watch::channel(Arc::new(catalog));
        let refresher = match &backend {
            Backend::Postgres(backend) => Some(backend.spawn_refresher(latest.clone())),
            Backend::Sqlite(_) => None,
        };
        let store =
            Self { backend, latest, oids: Mutex::default(), key, initial_password, refresher, _directory: directory };
        store.rename_database(&config.database).await?;
        Ok(store)
    }

    /// The catalog as last committed, here or (as far as known) by another server.
    pub fn snapshot(&self) -> Arc<Catalog> {
        Arc::clone(&self.latest.borrow())
    }

    /// Tells of every new snapshot.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Catalog>> {
        self.latest.subscribe()
    }

    /// The key that seals secrets.
    pub fn key(&self) -> &SecretKey {
        &self.key
    }

    /// The superuser's password, where this call of [`Self::open`] created the catalog.
    pub fn initial_password(&self) -> Option<&InitialPassword> {
        self.initial_password.as_ref()
    }

    /// Takes OIDs that no object has had, on no server. Those never used are lost.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn allocate_oids(&self, count: u32) -> Result<OidRange, StoreError> {
        let mut oids = self.oids.lock().await;
        if oids.left() < count {
            let block = count.max(OID_BLOCK);
            *oids = match &self.backend {
                Backend::Sqlite(backend) => backend.allocate(block).await?,
                Backend::Postgres(backend) => backend.allocate(block).await?,
            };
        }
        Ok(oids.split(count))
    }

    /// Writes the changes that were made over `base`, in one transaction, and publishes the new snapshot.
    ///
    /// # Errors
    /// * [`CommitError::Conflict`]: what the changes touch or refer to was changed after `base`. Nothing is written;
    ///   asking again over the newest snapshot may succeed.
    /// * [`CommitError::Unknown`]: the connection was lost during COMMIT.
    /// * [`CommitError::Store`]: nothing is written.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the commit: it is written and published, or neither.
    pub async fn commit(
        self: &Arc<Self>,
        base: &Arc<Catalog>,
        changes: Vec<Change>,
    ) -> Result<Arc<Catalog>, CommitError> {
        let (store, base) = (Arc::clone(self), Arc::clone(base));
        let committing = tokio::spawn(async move { store.write(&base, &changes).await });
        committing.await.unwrap_or(Err(CommitError::Store(StoreError::Damaged { problem: "a commit was aborted" })))
    }

    async fn write(&self, base: &Catalog, changes: &[Change]) -> Result<Arc<Catalog>, CommitError> {
        if changes.is_empty() {
            return Ok(self.snapshot());
        }
        let known = self.snapshot();
        let plan = |delta: Delta| -> Result<(Write, Catalog), CommitError> {
            let newest = delta.applied_to(&known)?;
            conflict::check(base, &newest, changes)?;
            let version = newest.version + 1;
            let mut next = newest.with(changes);
            next.version = version;
            // A name may have been taken meanwhile by an object that nothing of ours refers to.
            if !next.names_are_unique() {
                return Err(CommitError::Conflict);
            }
            Ok((Write::of(version, changes)?, next))
        };
        let committed = match &self.backend {
            Backend::Sqlite(backend) => backend.commit(known.version, plan).await?,
            Backend::Postgres(backend) => backend.commit(known.version, plan).await?,
        };
        Ok(publish(&self.latest, committed))
    }

    async fn rename_database(&self, name: &str) -> Result<(), StoreError> {
        let base = self.snapshot();
        if base.database_name() == name {
            return Ok(());
        }
        let change = bootstrap::renamed_database(&base, name)?;
        self.write(&base, &[change]).await.map(|_| ()).map_err(|error| match error {
            CommitError::Store(error) => error,
            CommitError::Conflict | CommitError::Unknown(_) => StoreError::DatabaseName { name: name.to_owned() },
        })
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Some(task) = &self.refresher {
            task.abort();
        }
    }
}

/// Publishes a snapshot unless a newer one is there already.
fn publish(latest: &watch::Sender<Arc<Catalog>>, catalog: Catalog) -> Arc<Catalog> {
    let catalog = Arc::new(catalog);
    latest.send_if_modified(|current| {
        let newer = catalog.version > current.version;
        if newer {
            *current = Arc::clone(&catalog);
        }
        newer
    });
    catalog
}

fn master_key(config: &StoreConfig, directory: &std::path::Path, exists: bool) -> Result<SecretKey, StoreError> {
    if let Some(key) = &config.master_key {
        return Ok(key.clone());
    }
    let path = directory.join(KEY_FILE);
    match SecretKey::load(&path)? {
        Some(key) => Ok(key),
        // A new key would leave every stored secret unreadable.
        None if exists => Err(StoreError::KeyMissing { path }),
        None => Ok(SecretKey::create(&path)?),
    }
}

#[cfg(test)]
#[path = "store/tests.rs"]
mod tests;
