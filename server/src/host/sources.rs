//! Open sources and what they said of themselves, cached with bounded age and number.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use atoll_connector_api::paths::FilesRoots;
use atoll_connector_api::{
    Connector, ConnectorContext, ConnectorError, ForeignSource, OptionScope, Options, ServerSpec, TableDefinition,
    TableSummary,
};

use super::Registry;
use crate::catalog::model::{ForeignServer, PUBLIC_ROLE, StoredOption};
use crate::catalog::secret::{ReferencePolicy, SecretKey};
use crate::catalog::{Catalog, Oid};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::wire::sqlstate;

/// How long what a remote said of its schemas, tables and columns is believed. DDL on the server forgets it at once.
pub const REMOTE_METADATA_AGE: Duration = Duration::from_secs(30);
/// Sources kept open; the one that was used longest ago goes first.
const SOURCES_MAX: usize = 256;
/// Answers about remote metadata kept.
const METADATA_MAX: usize = 20_000;

/// What every source may touch.
#[derive(Debug, Clone)]
pub struct HostConfig {
    /// `--files-root`.
    pub files: FilesRoots,
    /// `--network-allow`.
    pub network_allow: Vec<String>,
    /// Which `env:` and `file:` references resolve.
    pub references: ReferencePolicy,
    /// Opens stored secrets.
    pub key: SecretKey,
}

/// A source and a schema.
type SchemaKey = (SourceKey, String);
/// A source, a schema and a table.
type DefinitionKey = (SourceKey, String, String);

/// Connectors and their open sources.
#[derive(Debug)]
pub struct Host {
    /// The native connectors.
    pub registry: Registry,
    config: HostConfig,
    io: tokio::runtime::Handle,
    sources: Mutex<Cache<SourceKey, Arc<dyn ForeignSource>>>,
    tables: Mutex<Cache<SchemaKey, Arc<Vec<TableSummary>>>>,
    schemas: Mutex<Cache<SourceKey, Arc<Vec<String>>>>,
    definitions: Mutex<Cache<DefinitionKey, Arc<TableDefinition>>>,
}

/// Whom a source was opened for. Options are part of it, so that ALTER SERVER or ALTER USER MAPPING opens a new one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct SourceKey {
    server: Oid,
    user: Oid,
    superuser: bool,
    options: String,
}

/// A live table: its options and columns.
#[derive(Debug, Clone)]
pub struct LiveTable {
    /// The options that name it.
    pub options: Options,
    /// What the source declares.
    pub definition: Arc<TableDefinition>,
}

impl Host {
    /// A host for the native connectors, whose sockets are served by the runtime this is called on.
    pub fn new(config: HostConfig) -> Self {
        Self {
            registry: Registry::default(),
            config,
            io: tokio::runtime::Handle::current(),
            sources: Mutex::new(Cache::new(SOURCES_MAX, Duration::from_secs(3600))),
            tables: Mutex::new(Cache::new(METADATA_MAX, REMOTE_METADATA_AGE)),
            schemas: Mutex::new(Cache::new(METADATA_MAX, REMOTE_METADATA_AGE)),
            definitions: Mutex::new(Cache::new(METADATA_MAX, REMOTE_METADATA_AGE)),
        }
    }

    /// The key that seals secrets.
    pub fn key(&self) -> &SecretKey {
        &self.config.key
    }

    /// The source for a server as `user` sees it: with that user's mapping, else PUBLIC's, else none.
    ///
    /// # Errors
    /// `0A000` where the wrapper has no connector; option errors; a secret that does not resolve.
    pub fn source(&self, catalog: &Catalog, server: &ForeignServer, user: Oid) -> SqlResult<Arc<dyn ForeignSource>> {
        Ok(self.open(catalog, server, user)?.1)
    }

    fn open(
        &self,
        catalog: &Catalog,
        server: &ForeignServer,
        user: Oid,
    ) -> SqlResult<(SourceKey, Arc<dyn ForeignSource>)> {
        let mapping = catalog
            .user_mapping(server.header.oid, user)
            .or_else(|| catalog.user_mapping(server.header.oid, PUBLIC_ROLE));
        let superuser = catalog.role_by_oid(user).is_some_and(|role| role.superuser);
        let key = SourceKey {
            server: server.header.oid,
            user,
            superuser,
            options: serde_json::to_string(&(&server.header.name, &server.options, mapping))
                .map_err(|error| SqlError::internal(error.to_string()))?,
        };
        if let Some(source) = lock(&self.sources).get(&key) {
            return Ok((key, source));
        }
        let wrapper = catalog
            .wrapper_by_oid(server.wrapper)
            .ok_or_else(|| SqlError::internal(format!("server \"{}\" has no wrapper", server.header.name)))?;
        let connector = wrapper.connector.as_deref().and_then(|name| self.registry.get(name)).ok_or_else(|| {
            SqlError::unsupported(format!("foreign-data wrapper \"{}\" has no connector", wrapper.header.name))
                .hint("Sandboxed connectors are not supported yet.")
        })?;
        let user_options = match mapping {
            Some(mapping) => self.revealed(connector.as_ref(), mapping.header.oid, &mapping.options)?,
            None => Options::default(),
        };
        let spec_name = server.header.name.as_str();
        let spec = ServerSpec {
            name: server.header.name.clone(),
            options: self.revealed(connector.as_ref(), server.header.oid, &server.options)?,
            user_options,
            context: ConnectorContext {
                files: self.config.files.clone(),
                superuser,
                network_allow: self.config.network_allow.clone(),
            },
        };
        // Sources keep the runtime that they are opened on for their sockets: not the one that computes.
        let entered = self.io.enter();
        let source = connector.open(spec).map_err(|error| {
            let of_mapping = |option: &str| {
                connector.options().iter().any(|spec| spec.scope == OptionScope::UserMapping && spec.name == option)
            };
            match &error {
                ConnectorError::OptionMissing { option, .. } if mapping.is_none() && of_mapping(option) => {
                    let message = format!("user mapping not found for \"{}\"", catalog.role_name(user));
                    SqlError::new(SqlState::UNDEFINED_OBJECT, message)
                        .detail(format!("Server \"{}\" has no user mapping for this role or for PUBLIC.", spec_name))
                }
                error => sqlstate::connector_error(error),
            }
        })?;
        drop(entered);
        lock(&self.sources).put(key.clone(), Arc::clone(&source));
        Ok((key, source))
    }

    /// Options with secrets and references in the clear, for the connector alone.
    fn revealed(&self, connector: &dyn Connector, object: Oid, options: &[StoredOption]) -> SqlResult<Options> {
        let is_secret = |name: &str| connector.options().iter().any(|spec| spec.secret && spec.name == name);
        self.config
            .key
            .reveal(object, options, is_secret, &self.config.references)
            .map_err(|error| SqlError::new(SqlState::FDW_ERROR, error.to_string()))
    }

    /// The schemas of a server's live catalog.
    ///
    /// # Errors
    /// Connection and remote errors.
    pub async fn schemas(&self, catalog: &Catalog, server: &ForeignServer, user: Oid) -> SqlResult<Arc<Vec<String>>> {
        let (key, source) = self.open(catalog, server, user)?;
        if let Some(known) = lock(&self.schemas).get(&key) {
            return Ok(known);
        }
        let schemas = Arc::new(source.schemas().await.map_err(|error| sqlstate::connector_error(&error))?);
        lock(&self.schemas).put(key, Arc::clone(&schemas));
        Ok(schemas)
    }

    /// The tables of one schema of a server's live catalog.
    ///
    /// # Errors
    /// Connection and remote errors.
    pub async fn tables(
        &self,
        catalog: &Catalog,
        server: &ForeignServer,
        user: Oid,
        schema: &str,
    ) -> SqlResult<Arc<Vec<TableSummary>>> {
        let (key, source) = self.open(catalog, server, user)?;
        let key = (key, schema.to_owned());
        if let Some(known) = lock(&self.tables).get(&key) {
            return Ok(known);
        }
        let tables = Arc::new(source.tables(schema).await.map_err(|error| sqlstate::connector_error(&error))?);
        lock(&self.tables).put(key, Arc::clone(&tables));
        Ok(tables)
    }

    /// One live table, or `None` where the source has none of that name.
    ///
    /// # Errors
    /// Connection and remote errors.
    pub async fn live_table(
        &self,
        catalog: &Catalog,
        server: &ForeignServer,
        user: Oid,
        name: (&str, &str),
    ) -> SqlResult<Option<LiveTable>> {
        let (key, source) = self.open(catalog, server, user)?;
        let (schema, table) = name;
        let options = source.live_options(schema, table);
        let key = (key, schema.to_owned(), table.to_owned());
        if let Some(definition) = lock(&self.definitions).get(&key) {
            return Ok(Some(LiveTable { options, definition }));
        }
        match source.describe_live(schema, table).await {
            Ok(definition) => {
                let definition = Arc::new(definition);
                lock(&self.definitions).put(key, Arc::clone(&definition));
                Ok(Some(LiveTable { options, definition }))
            }
            // A database file or bucket that is missing is the server's fault, and no relation would be found in it.
            Err(ConnectorError::TableMissing { .. } | ConnectorError::SchemaMissing { .. }) => Ok(None),
            Err(error) => Err(sqlstate::connector_error(&error)),
        }
    }

    /// All tables of one schema with their columns, in few round trips.
    ///
    /// # Errors
    /// Connection and remote errors.
    pub async fn describe_schema(
        &self,
        catalog: &Catalog,
        server: &ForeignServer,
        user: Oid,
        (schema, names): (&str, &[String]),
    ) -> SqlResult<Vec<(String, Arc<TableDefinition>)>> {
        let (key, source) = self.open(catalog, server, user)?;
        let described = source.import(schema, names).await.map_err(|error| sqlstate::connector_error(&error))?;
        for (table, error) in &described.skipped {
            tracing::debug!(server = server.header.name, table, %error, "a table cannot be described");
        }
        let mut cache = lock(&self.definitions);
        Ok(described
            .tables
            .into_iter()
            .map(|(name, definition)| {
                let definition = Arc::new(definition);
                cache.put((key.clone(), schema.to_owned(), name.clone()), Arc::clone(&definition));
                (name, definition)
            })
            .collect())
    }

    /// Forgets which tables a server has and what they look like: one of them was not as remembered.
    pub fn forget_tables(&self, server: Oid) {
        lock(&self.schemas).retain(|key| key.server != server);
        lock(&self.tables).retain(|(key, _)| key.server != server);
        lock(&self.definitions).retain(|(key, _, _)| key.server != server);
    }

    /// Forgets everything about a server: its options changed, or it is gone.
    pub fn forget(&self, server: Oid) {
        lock(&self.sources).retain(|key| key.server != server);
        self.forget_tables(server);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A panic while a cache was held leaves it whole: every change is one map operation.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A map with a bound on entries and on their age.
#[derive(Debug)]
struct Cache<K, V> {
    entries: HashMap<K, (Instant, V)>,
    entries_max: usize,
    age_max: Duration,
}

impl<K: Hash + Eq + Clone, V: Clone> Cache<K, V> {
    fn new(entries_max: usize, age_max: Duration) -> Self {
        Self { entries: HashMap::new(), entries_max, age_max }
    }

    fn get(&self, key: &K) -> Option<V> {
        self.entries.get(key).filter(|(put, _)| put.elapsed() < self.age_max).map(|(_, value)| value.clone())
    }

    fn put(&mut self, key: K, value: V) {
        if self.entries.len() >= self.entries_max {
            let age_max = self.age_max;
            self.entries.retain(|_, (put, _)| put.elapsed() < age_max);
        }
        if self.entries.len() >= self.entries_max
            && let Some(oldest) = self.entries.iter().min_by_key(|(_, (put, _))| *put).map(|(key, _)| key.clone())
        {
            self.entries.remove(&oldest);
        }
        self.entries.insert(key, (Instant::now(), value));
    }

    fn retain(&mut self, keep: impl Fn(&K) -> bool) {
        self.entries.retain(|key, _| keep(key));
    }
}
