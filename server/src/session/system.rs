//! What a session's system catalogs show: settings, connections, and a server's live catalog as the database.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use atoll_connector_api::types::UserType;
use atoll_connector_api::{ColumnDefinition, TableDefinition};

use super::backends::{Backend, Backends};
use super::execute::Limits;
use super::outcome::CancelReason;
use super::settings::{DEFINITIONS, Settings, split_value};
use super::shown::reads_protocol_objects;
use super::variables::check_role;
use super::{Engine, ResultColumn, Session};
use crate::catalog::model::{
    AclItem, Column, ForeignServer, ForeignTable, Header, Object, PUBLIC_ROLE, Privilege, Schema, StoredOption,
    StoredValue,
};
use crate::catalog::{Catalog, Oid, privilege};
use crate::error::{Notice, SqlError, SqlResult, SqlState};
use crate::federation::pg_catalog::{BackendInfo, PgCatalogContext, SessionHooks, Setting};
use crate::federation::relations::NameScope;
use crate::host::{Host, REMOTE_METADATA_AGE};

/// OIDs of a live catalog's schemas and tables: above what the store assigns, below what types derive.
const LIVE_OIDS: Oid = 0x4000_0000;
/// Tables of one live catalog that the system catalogs show.
const LIVE_TABLES_MAX: usize = 20_000;

/// Types of sources by OID.
pub(super) type DescribedTypes = BTreeMap<Oid, Arc<UserType>>;

/// Types of sources that a session remembers.
const DESCRIBED_TYPES_MAX: usize = 1000;

/// A server's live catalog, as the snapshot that its database's system catalogs show.
#[derive(Debug, Clone)]
pub(super) struct LiveCatalog {
    base: Arc<Catalog>,
    shown: Arc<Catalog>,
    made: Instant,
}

/// Which database a client asked for: ours (`None`) or a server's.
///
/// # Errors
/// `3D000`; `42501` without USAGE on the server.
pub(super) fn database_of(
    engine: &Engine,
    catalog: &Catalog,
    user: Oid,
    asked: Option<&str>,
    user_name: &str,
) -> SqlResult<Option<String>> {
    let Some(asked) = asked.filter(|name| !name.is_empty()) else { return Ok(None) };
    if asked == engine.config.database {
        return Ok(None);
    }
    if let Some(server) = catalog.server(asked) {
        if let Some(object) = catalog.get(server.header.oid) {
            privilege::check_privilege(catalog, user, object, Privilege::Usage)?;
        }
        return Ok(Some(asked.to_owned()));
    }
    // Clients that name no database send the user's name; `psql -l` and its kin ask for the one that PostgreSQL always has.
    if asked == user_name || asked == "postgres" {
        return Ok(None);
    }
    Err(SqlError::new(SqlState::INVALID_CATALOG_NAME, format!("database \"{asked}\" does not exist")).hint(format!(
        "The database is \"{}\"; every foreign server is one too, under its own name.",
        engine.config.database
    )))
}

/// What functions that look relations up have in their names, beside `pg_`.
const CATALOG_WORDS: [&str; 5] = ["regclass", "to_reg", "has_", "current_schema", "_description"];

impl Session {
    /// Where names are looked up.
    pub(super) fn name_scope(&self) -> NameScope {
        NameScope {
            database: self.engine.config.database.clone(),
            live: self.live.clone(),
            search_path: self.usable_search_path(&self.catalog()),
        }
    }

    /// The search path; of our own database's schemas those that the current user may use, as in PostgreSQL's
    /// `recomputeNamespacePath`.
    fn usable_search_path(&self, catalog: &Catalog) -> Vec<String> {
        let path = self.settings.search_path(&catalog.role_name(self.current_user));
        self.usable_path(catalog, self.current_user, path)
    }

    /// Of a search path what a user may use.
    pub(super) fn usable_path(&self, catalog: &Catalog, user: Oid, mut path: Vec<String>) -> Vec<String> {
        if self.live.is_none() {
            let usable = |name: &String| {
                let schema = catalog.schema(name).and_then(|schema| catalog.get(schema.header.oid));
                schema.is_some_and(|schema| privilege::has_privilege(catalog, user, schema, Privilege::Usage))
            };
            path.retain(usable);
        }
        path
    }

    /// Reads a server's schemas for a session that is connected to it, and makes them its search path.
    ///
    /// # Errors
    /// Connection and remote errors.
    pub(super) async fn open_live(&mut self) -> SqlResult<()> {
        let Some(name) = self.live.clone() else { return Ok(()) };
        let limits = Limits::new(self.canceller.clone());
        let (host, catalog, user) = (Arc::clone(&self.engine.host), self.catalog(), self.current_user);
        let schemas = limits
            .run(self.engine.cpu(), async move {
                let server = catalog.server(&name).ok_or_else(|| gone(&name))?;
                host.schemas(&catalog, server, user).await
            })
            .await?;
        let path = match &schemas[..] {
            [only] => only.clone(),
            all if all.iter().any(|schema| schema == "public") => "public".to_owned(),
            all if all.iter().any(|schema| schema == "main") => "main".to_owned(),
            _ => String::new(),
        };
        self.settings.set_base_schema(&path);
        Ok(())
    }

    /// Keeps the types that sources define and that a result has.
    pub(super) fn remember_types(&mut self, columns: &[ResultColumn]) {
        for own in columns.iter().map(|column| &column.data_type).filter(|own| own.user.is_some()) {
            for known in [Some(own.clone()), own.element(), own.array()].into_iter().flatten() {
                if let Some(user) = known.user
                    && self.described_types.len() < DESCRIBED_TYPES_MAX
                {
                    self.described_types.insert(known.oid, user);
                }
            }
        }
    }

    /// What the system catalogs show to this session.
    pub(super) async fn system_context(&mut self, limits: &Limits, text: &str) -> SqlResult<Arc<PgCatalogContext>> {
        let catalog = self.catalog();
        let lower = text.to_ascii_lowercase();
        let mentioned = lower.contains("pg_") || lower.contains("information_schema");
        let asks = mentioned || CATALOG_WORDS.iter().any(|word| lower.contains(word));
        let (shown, database) = match self.live.clone() {
            Some(live) if asks => (self.live_catalog(&live, limits).await?, live),
            Some(live) => (catalog, live),
            None => (catalog, self.engine.config.database.clone()),
        };
        let mut context = PgCatalogContext::new(shown, database, self.current_user);
        context.main_database.clone_from(&self.engine.config.database);
        context.session_user = self.session_user;
        context.search_path = self.usable_search_path(&context.catalog);
        context.pid = self.backend.pid();
        context.server_start = microseconds(self.engine.started);
        context.client_address = self.engine.backends.get(context.pid).and_then(|backend| backend.peer);
        context.functions = Arc::clone(self.engine.functions());
        if reads_protocol_objects(text) {
            context.prepared = self.prepared_shown();
            context.cursors = self.cursors_shown();
        }
        context.advisory = Some(self.advisory.0.clone());
        context.described_types.clone_from(&self.described_types);
        context.foreign_as_tables = self.settings.on("atoll.foreign_tables_as_tables");
        if mentioned {
            context.settings = self.settings_shown();
            context.backends = self.engine.backends.list().iter().map(backend_info).collect();
        }
        context.hooks = Some(Arc::new(Hooks {
            settings: Mutex::new(self.settings.clone()),
            pending: Arc::clone(&self.pending_settings),
            notices: Arc::clone(&self.pending_notices),
            backends: self.engine.backends.clone(),
            user: self.current_user,
            session_user: self.session_user,
            superuser: self.settings.on("is_superuser"),
            catalog: self.catalog(),
        }));
        Ok(Arc::new(context))
    }

    fn settings_shown(&self) -> Vec<Setting> {
        DEFINITIONS
            .iter()
            .map(|definition| Setting {
                name: definition.name.to_owned(),
                value: self.settings.get(definition.name).unwrap_or_default().to_owned(),
                description: definition.description.to_owned(),
                category: "Client Connection Defaults".to_owned(),
                context: if definition.is_fixed() { "internal" } else { "user" }.to_owned(),
                value_type: definition.value_type().to_owned(),
                source: if self.settings.is_default(definition.name) { "default" } else { "session" }.to_owned(),
                boot_value: Some(definition.default.to_owned()),
                reset_value: Some(definition.default.to_owned()),
                ..Setting::default()
            })
            .collect()
    }

    async fn live_catalog(&mut self, name: &str, limits: &Limits) -> SqlResult<Arc<Catalog>> {
        let base = self.catalog();
        if let Some(known) = &self.live_catalog
            && Arc::ptr_eq(&known.base, &base)
            && known.made.elapsed() < REMOTE_METADATA_AGE
        {
            return Ok(Arc::clone(&known.shown));
        }
        let (host, user, name) = (Arc::clone(&self.engine.host), self.current_user, name.to_owned());
        let read = Arc::clone(&base);
        let shown = limits.run(self.engine.cpu(), async move { show_live(&host, &read, user, &name).await }).await?;
        let shown = Arc::new(shown);
        self.live_catalog = Some(LiveCatalog { base, shown: Arc::clone(&shown), made: Instant::now() });
        Ok(shown)
    }

    /// Applies what `set_config` asked for while a query ran.
    pub(super) fn apply_pending_settings(&mut self) {
        let pending = std::mem::take(&mut *lock(&self.pending_settings));
        for (name, value, local) in pending {
            // Checked when it was asked for.
            let _ = match name.as_str() {
                "role" => self.set_role(Some(&[value]), local),
                _ => self.apply_setting(&name, Some(&split_value(&name, &value)), local),
            };
        }
    }
}

/// Warnings of functions that ran in a query, until they are sent with its end.
pub(super) type PendingNotices = Arc<Mutex<Vec<Notice>>>;

/// Settings that `set_config` changed while a query ran: name, value, whether local.
pub(super) type PendingSettings = Arc<Mutex<Vec<(String, String, bool)>>>;

#[derive(Debug)]
struct Hooks {
    settings: Mutex<Settings>,
    pending: PendingSettings,
    notices: PendingNotices,
    backends: Backends,
    user: Oid,
    session_user: Oid,
    superuser: bool,
    catalog: Arc<Catalog>,
}

impl Hooks {
    fn signal(&self, pid: i32, reason: CancelReason, what: &str) -> SqlResult<bool> {
        let Some(backend) = self.backends.get(pid) else {
            let message = format!("PID {pid} is not a PostgreSQL backend process");
            lock(&self.notices).push(Notice::warning(SqlState::WARNING, message));
            return Ok(false);
        };
        if backend.superuser && !self.superuser {
            return Err(SqlError::denied(format!("must be a superuser to {what} superuser process")));
        }
        if backend.user != self.user && !self.superuser {
            return Err(SqlError::denied(format!(
                "must be a member of the role whose process is being {} or member of pg_signal_backend",
                if reason == CancelReason::Client { "canceled" } else { "terminated" }
            )));
        }
        backend.canceller.cancel(reason);
        Ok(true)
    }
}

impl SessionHooks for Hooks {
    fn current_setting(&self, name: &str) -> Option<String> {
        lock(&self.settings).get(name).map(str::to_owned)
    }

    fn set_config(&self, name: &str, value: &str, local: bool) -> SqlResult<String> {
        let mut settings = lock(&self.settings);
        if name == "role" {
            check_role(&self.catalog, self.session_user, value)?;
            settings.set_internal(name, value, local);
        } else {
            settings.set(name, Some(&split_value(name, value)), local)?;
        }
        lock(&self.pending).push((name.to_owned(), value.to_owned(), local));
        Ok(settings.get(name).unwrap_or_default().to_owned())
    }

    fn cancel_backend(&self, pid: i32) -> SqlResult<bool> {
        self.signal(pid, CancelReason::Client, "cancel")
    }

    fn terminate_backend(&self, pid: i32) -> SqlResult<bool> {
        self.signal(pid, CancelReason::Shutdown, "terminate")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn gone(server: &str) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_OBJECT, format!("server \"{server}\" does not exist"))
}

pub(super) fn microseconds(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).ok().and_then(|since| i64::try_from(since.as_micros()).ok()).unwrap_or(0)
}

fn backend_info(backend: &Backend) -> BackendInfo {
    let peer: Option<SocketAddr> = backend.peer;
    BackendInfo {
        pid: backend.pid,
        role: backend.user,
        database: backend.database.clone(),
        application_name: backend.application_name.clone(),
        client_address: peer,
        backend_start: Some(microseconds(backend.started)),
        transaction_start: backend.transaction_started.map(microseconds),
        query_start: backend.query_started.map(microseconds),
        state_change: Some(microseconds(backend.state_changed)),
        state: Some(backend.state.to_owned()),
        query: backend.query.clone(),
        tls: backend.tls.as_ref().map(|tls| (tls.version, tls.cipher.clone())),
    }
}

/// The base catalog with the server's live schemas and tables in place of the database's own.
async fn show_live(host: &Host, base: &Arc<Catalog>, user: Oid, name: &str) -> SqlResult<Catalog> {
    let server = base.server(name).ok_or_else(|| gone(name))?;
    let mut objects: Vec<Arc<Object>> = base
        .objects()
        .filter(|object| !matches!(object.as_ref(), Object::Schema(_) | Object::ForeignTable(_) | Object::View(_)))
        .cloned()
        .collect();
    let mut next = LIVE_OIDS;
    let mut take = || {
        next += 1;
        next
    };
    let mut shown = 0;
    for schema in host.schemas(base, server, user).await?.iter() {
        let schema_oid = take();
        objects.push(Arc::new(Object::Schema(Schema {
            header: live_header(schema_oid, schema, server, Privilege::Usage),
        })));
        let tables = host.tables(base, server, user, schema).await?;
        let names: Vec<_> = tables.iter().take(LIVE_TABLES_MAX - shown).map(|table| table.name.clone()).collect();
        shown += names.len();
        for (name, definition) in host.describe_schema(base, server, user, (schema, &names)).await? {
            let header = live_header(take(), &name, server, Privilege::Select);
            objects.push(Arc::new(Object::ForeignTable(live_table(header, schema_oid, server, &definition))));
        }
    }
    Ok(Catalog::new(base.version, base.next_oid(), objects))
}

fn live_header(oid: Oid, name: &str, server: &ForeignServer, privilege: Privilege) -> Header {
    // Whoever may connect to the server's database may see what the mapped user may.
    let acl = AclItem {
        grantee: PUBLIC_ROLE,
        grantor: server.header.owner,
        privileges: [(privilege, false)].into_iter().collect(),
    };
    Header { oid, name: name.to_owned(), owner: server.header.owner, acl: Some(vec![acl]), comment: None }
}

fn live_table(mut header: Header, schema: Oid, server: &ForeignServer, definition: &TableDefinition) -> ForeignTable {
    header.comment.clone_from(&definition.comment);
    let columns: Vec<_> = definition
        .columns
        .iter()
        .enumerate()
        .map(|(index, column)| live_column(column, i16::try_from(index + 1).unwrap_or(i16::MAX)))
        .collect();
    let next_number = i16::try_from(columns.len() + 1).unwrap_or(i16::MAX);
    ForeignTable {
        header,
        schema,
        server: server.header.oid,
        columns,
        next_number,
        options: Vec::new(),
        primary_key: definition.primary_key.clone(),
    }
}

fn live_column(column: &ColumnDefinition, number: i16) -> Column {
    Column {
        name: column.name.clone(),
        data_type: column.data_type.clone(),
        number,
        not_null: column.not_null,
        options: column
            .options
            .iter()
            .map(|(name, value)| StoredOption {
                name: name.to_owned(),
                value: StoredValue::Plain(value.to_owned()),
                implicit: false,
            })
            .collect(),
        comment: column.comment.clone(),
        acl: None,
    }
}
