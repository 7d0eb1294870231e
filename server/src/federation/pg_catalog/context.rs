//! What one session sees of the system catalogs.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, OnceLock};

use atoll_connector_api::types::{PgType, UserType};

use super::advisory::AdvisorySession;
use super::facts::{FunctionFact, Relation, facts};
use super::functions::is_documented;
use super::names::unquoted;
use crate::catalog::model::{
    BOOTSTRAP_SUPERUSER_OID, Column, DATABASE_OID, END_OF_OIDS, ForeignTable, Header, INFORMATION_SCHEMA_OID, Object,
    PG_CATALOG_OID, PUBLIC_SCHEMA_OID, Role, View,
};
use crate::catalog::{Catalog, Oid};
use crate::error::SqlResult;

/// `pg_toast`, which PostgreSQL always has.
pub(super) const PG_TOAST_OID: Oid = 99;
/// OIDs of the indexes that stand for foreign tables' declared primary keys: the table's with this bit.
const INDEX_OIDS: Oid = END_OF_OIDS;

/// A run-time setting, as `pg_settings` shows it.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "the columns of pg_settings")]
pub struct Setting {
    pub name: String,
    pub value: String,
    pub unit: Option<String>,
    pub category: String,
    pub description: String,
    /// `user`, `superuser`, `internal` …
    pub context: String,
    /// `bool`, `string`, `integer`, `real`, `enum`.
    pub value_type: String,
    /// `default`, `session`, `client` …
    pub source: String,
    pub min: Option<String>,
    pub max: Option<String>,
    pub enum_values: Option<Vec<String>>,
    pub boot_value: Option<String>,
    pub reset_value: Option<String>,
}

/// A connection, as `pg_stat_activity` shows it. Times are microseconds since the Unix epoch.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "the columns of pg_stat_activity")]
pub struct BackendInfo {
    pub pid: i32,
    pub role: Oid,
    pub database: String,
    pub application_name: String,
    pub client_address: Option<std::net::SocketAddr>,
    pub backend_start: Option<i64>,
    pub transaction_start: Option<i64>,
    pub query_start: Option<i64>,
    pub state_change: Option<i64>,
    /// `active`, `idle`, `idle in transaction` …
    pub state: Option<String>,
    pub query: String,
    /// Protocol version and cipher suite.
    pub tls: Option<(&'static str, String)>,
}

/// A prepared statement, as `pg_prepared_statements` shows it. Times are microseconds since the Unix epoch.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns of pg_prepared_statements")]
pub struct PreparedInfo {
    pub name: String,
    pub statement: String,
    pub prepare_time: i64,
    pub parameter_types: Vec<PgType>,
    /// By PREPARE, not by the protocol's Parse.
    pub from_sql: bool,
    /// How often it was run.
    pub runs: i64,
}

/// A cursor or a portal, as `pg_cursors` shows it. Times are microseconds since the Unix epoch.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns of pg_cursors")]
pub struct CursorInfo {
    pub name: String,
    pub statement: String,
    pub is_holdable: bool,
    pub is_binary: bool,
    pub creation_time: i64,
}

/// The names of functions that can be called, by kind.
#[derive(Debug, Clone, Default)]
pub struct FunctionNames {
    /// Functions.
    pub scalars: HashSet<String>,
    /// Aggregates.
    pub aggregates: HashSet<String>,
    /// Window functions.
    pub windows: HashSet<String>,
}

/// What functions ask of the session that calls them.
pub trait SessionHooks: fmt::Debug + Send + Sync {
    /// The present value of a setting, `None` where there is no such setting. Names come in lower case.
    fn current_setting(&self, name: &str) -> Option<String>;

    /// `set_config`: returns the value as it is now.
    ///
    /// # Errors
    /// `42704` no such setting, `22023` not a value of it, `55P02` it cannot be changed now.
    fn set_config(&self, name: &str, value: &str, local: bool) -> SqlResult<String>;

    /// Cancels the statement of another session; false where there is no such session.
    ///
    /// # Errors
    /// `42501`.
    fn cancel_backend(&self, pid: i32) -> SqlResult<bool>;

    /// Ends another session; false where there is no such session.
    ///
    /// # Errors
    /// `42501`.
    fn terminate_backend(&self, pid: i32) -> SqlResult<bool>;
}

/// What one session sees. Make a new one for each statement or snapshot: it is cheap, and what it derives it derives once.
#[derive(Debug)]
pub struct PgCatalogContext {
    /// The snapshot.
    pub catalog: Arc<Catalog>,
    /// The name of the database that the session is connected to: ours, or a server's.
    pub database: String,
    /// The name of our own database.
    pub main_database: String,
    /// Whose privileges count.
    pub current_user: Oid,
    /// Who logged in.
    pub session_user: Oid,
    /// Schemas as the setting names them, `$user` included; `pg_catalog` is in front unless named.
    pub search_path: Vec<String>,
    /// What `pg_settings` shows.
    pub settings: Vec<Setting>,
    /// What `pg_stat_activity` shows.
    pub backends: Vec<BackendInfo>,
    /// Kinds and names of the functions that the planner has besides those of this module.
    pub functions: Arc<FunctionNames>,
    /// This session's process id.
    pub pid: i32,
    /// Microseconds since the Unix epoch.
    pub server_start: i64,
    /// Where the server listens, for `inet_server_addr`.
    pub server_address: Option<std::net::SocketAddr>,
    /// Where the client is, for `inet_client_addr`.
    pub client_address: Option<std::net::SocketAddr>,
    /// Foreign tables are shown as ordinary ones: `atoll.foreign_tables_as_tables`.
    pub foreign_as_tables: bool,
    /// What `pg_prepared_statements` shows.
    pub prepared: Vec<PreparedInfo>,
    /// What `pg_cursors` shows.
    pub cursors: Vec<CursorInfo>,
    /// The session's advisory locks.
    pub advisory: Option<AdvisorySession>,
    /// Types of sources that this session's results had, and that no stored relation may have.
    pub described_types: BTreeMap<Oid, Arc<UserType>>,
    /// What functions ask of the session.
    pub hooks: Option<Arc<dyn SessionHooks>>,
    derived: Derived,
}

#[derive(Debug, Default)]
struct Derived {
    user_types: OnceLock<BTreeMap<Oid, Arc<UserType>>>,
    path: OnceLock<Vec<Oid>>,
    memberships: OnceLock<HashMap<Oid, HashSet<Oid>>>,
}

/// A relation of either kind.
#[derive(Debug, Clone, Copy)]
pub(super) enum AnyRelation<'a> {
    System(&'static Relation),
    Table(&'a ForeignTable),
    View(&'a View),
    /// The index that stands for a foreign table's declared primary key.
    PrimaryKey(&'a ForeignTable),
}

impl<'a> AnyRelation<'a> {
    pub(super) fn oid(&self) -> Oid {
        match self {
            Self::System(relation) => relation.oid,
            Self::Table(table) => table.header.oid,
            Self::View(view) => view.header.oid,
            Self::PrimaryKey(table) => index_oid(table),
        }
    }

    pub(super) fn name(&self) -> std::borrow::Cow<'a, str> {
        match self {
            Self::System(relation) => relation.name.into(),
            Self::Table(table) => table.header.name.as_str().into(),
            Self::View(view) => view.header.name.as_str().into(),
            Self::PrimaryKey(table) => primary_key_name(table).into(),
        }
    }

    pub(super) fn namespace(&self) -> Oid {
        match self {
            Self::System(relation) => relation.namespace(),
            Self::Table(table) | Self::PrimaryKey(table) => table.schema,
            Self::View(view) => view.schema,
        }
    }

    pub(super) fn header(&self) -> Option<&'a Header> {
        match self {
            Self::System(_) => None,
            Self::Table(table) | Self::PrimaryKey(table) => Some(&table.header),
            Self::View(view) => Some(&view.header),
        }
    }

    pub(super) fn columns(&self) -> &'a [Column] {
        match self {
            Self::System(_) | Self::PrimaryKey(_) => &[],
            Self::Table(table) => &table.columns,
            Self::View(view) => &view.columns,
        }
    }
}

/// The OID of the index that stands for a foreign table's declared primary key.
pub(super) fn index_oid(table: &ForeignTable) -> Oid {
    INDEX_OIDS | table.header.oid
}

/// The OID of that key's constraint: unique in `pg_constraint`, as OIDs are within one catalog.
pub(super) fn constraint_oid(table: &ForeignTable) -> Oid {
    index_oid(table)
}

/// The key's name, as PostgreSQL would have chosen it.
pub(super) fn primary_key_name(table: &ForeignTable) -> String {
    format!("{}_pkey", table.header.name)
}

/// The numbers of the key's columns; empty where the table has no key, or its columns are no longer there.
pub(super) fn primary_key_numbers(table: &ForeignTable) -> Vec<i16> {
    let number = |name: &String| table.columns.iter().find(|column| column.name == *name).map(|column| column.number);
    table.primary_key.iter().map(number).collect::<Option<Vec<i16>>>().unwrap_or_default()
}

impl PgCatalogContext {
    /// What `current_user`, logged in as itself, sees of a snapshot: search path `"$user", public`, no settings.
    pub fn new(catalog: Arc<Catalog>, database: impl Into<String>, current_user: Oid) -> Self {
        let database = database.into();
        Self {
            catalog,
            main_database: database.clone(),
            database,
            current_user,
            session_user: current_user,
            search_path: vec!["$user".to_owned(), "public".to_owned()],
            settings: Vec::new(),
            backends: Vec::new(),
            functions: Arc::default(),
            pid: 0,
            server_start: 0,
            server_address: None,
            client_address: None,
            foreign_as_tables: false,
            prepared: Vec::new(),
            cursors: Vec::new(),
            advisory: None,
            described_types: BTreeMap::new(),
            hooks: None,
            derived: Derived::default(),
        }
    }

    /// The functions of PostgreSQL that can be called here.
    pub(super) fn callable(&self) -> impl Iterator<Item = &'static FunctionFact> {
        facts().functions().iter().filter(|function| self.is_callable(function))
    }

    /// A function of PostgreSQL that can be called here.
    pub(super) fn callable_by_oid(&self, oid: Oid) -> Option<&'static FunctionFact> {
        facts().function_by_oid(oid).filter(|function| self.is_callable(function))
    }

    fn is_callable(&self, function: &FunctionFact) -> bool {
        let names = match function.kind {
            'a' => &self.functions.aggregates,
            'w' => &self.functions.windows,
            _ => &self.functions.scalars,
        };
        names.contains(function.name) || (function.kind == 'f' && is_documented(function.name))
    }

    pub(super) fn memberships(&self) -> &HashMap<Oid, HashSet<Oid>> {
        self.derived.memberships.get_or_init(|| super::access::memberships(&self.catalog))
    }

    /// The name of the bootstrap superuser, who owns the system catalogs.
    pub(super) fn bootstrap_name(&self) -> String {
        self.catalog.role_name(BOOTSTRAP_SUPERUSER_OID)
    }

    pub(super) fn roles(&self) -> impl Iterator<Item = &Role> {
        self.catalog.objects().filter_map(|object| match object.as_ref() {
            Object::Role(role) => Some(role),
            _ => None,
        })
    }

    /// The database's privileges, comment and owner, if the snapshot has them.
    pub(super) fn database_header(&self) -> Option<&Header> {
        self.catalog.get(DATABASE_OID).map(|object| object.header())
    }

    /// Foreign tables and views.
    pub(super) fn user_relations(&self) -> impl Iterator<Item = AnyRelation<'_>> {
        self.catalog.objects().filter_map(|object| match object.as_ref() {
            Object::ForeignTable(table) => Some(AnyRelation::Table(table)),
            Object::View(view) => Some(AnyRelation::View(view)),
            _ => None,
        })
    }

    /// Foreign tables whose source declared a primary key.
    pub(super) fn keyed_tables(&self) -> impl Iterator<Item = &ForeignTable> {
        self.catalog.objects().filter_map(|object| match object.as_ref() {
            Object::ForeignTable(table) if !primary_key_numbers(table).is_empty() => Some(table),
            _ => None,
        })
    }

    /// A relation by OID.
    pub(super) fn relation(&self, oid: Oid) -> Option<AnyRelation<'_>> {
        if let Some(relation) = facts().relation_by_oid(oid) {
            return Some(AnyRelation::System(relation));
        }
        let table = oid & !INDEX_OIDS;
        match self.catalog.get(table).map(AsRef::as_ref)? {
            Object::ForeignTable(found) if table != oid => {
                (!primary_key_numbers(found).is_empty()).then_some(AnyRelation::PrimaryKey(found))
            }
            Object::ForeignTable(found) => Some(AnyRelation::Table(found)),
            Object::View(view) if table == oid => Some(AnyRelation::View(view)),
            _ => None,
        }
    }

    /// A relation by schema and name.
    pub(super) fn relation_named(&self, schema: Oid, name: &str) -> Option<AnyRelation<'_>> {
        match schema {
            PG_CATALOG_OID => facts().relation("pg_catalog", name).map(AnyRelation::System),
            INFORMATION_SCHEMA_OID => facts().relation("information_schema", name).map(AnyRelation::System),
            _ => self.catalog.relation(schema, name).and_then(|object| match object.as_ref() {
                Object::ForeignTable(table) => Some(AnyRelation::Table(table)),
                Object::View(view) => Some(AnyRelation::View(view)),
                _ => None,
            }),
        }
    }

    /// The schema with a name.
    pub(in crate::federation) fn schema_oid(&self, name: &str) -> Option<Oid> {
        match name {
            "pg_catalog" => Some(PG_CATALOG_OID),
            "information_schema" => Some(INFORMATION_SCHEMA_OID),
            "pg_toast" => Some(PG_TOAST_OID),
            _ => self.catalog.schema(name).map(|schema| schema.header.oid),
        }
    }

    /// The name of a schema.
    pub(super) fn schema_name(&self, oid: Oid) -> Option<&str> {
        match oid {
            PG_CATALOG_OID => Some("pg_catalog"),
            INFORMATION_SCHEMA_OID => Some("information_schema"),
            PG_TOAST_OID => Some("pg_toast"),
            _ => self.catalog.schema_by_oid(oid).map(|schema| schema.header.name.as_str()),
        }
    }

    /// The schemas that an unqualified name is looked for in, in order: those of the path that exist and that the user may
    /// use, `pg_catalog` in front unless the path names it.
    pub(super) fn effective_path(&self) -> &[Oid] {
        self.derived.path.get_or_init(|| {
            let mut path = self.explicit_path();
            if !path.contains(&PG_CATALOG_OID) {
                path.insert(0, PG_CATALOG_OID);
            }
            path
        })
    }

    /// The same without the implicit `pg_catalog`, for `current_schemas(false)`.
    pub(super) fn explicit_path(&self) -> Vec<Oid> {
        let mut path = Vec::new();
        for name in &self.search_path {
            let name = if name == "$user" { self.catalog.role_name(self.current_user) } else { name.clone() };
            if let Some(oid) = self.schema_oid(&name)
                && !path.contains(&oid)
                && self.may_use_schema(oid)
            {
                path.push(oid);
            }
        }
        path
    }

    /// Types that sources define, by OID: those of the columns, and the elements of arrays of them.
    pub(super) fn user_types(&self) -> &BTreeMap<Oid, Arc<UserType>> {
        self.derived.user_types.get_or_init(|| {
            let mut found = self.described_types.clone();
            for column in self.user_relations().flat_map(|relation| relation.columns()) {
                if let Some(user) = &column.data_type.user {
                    found.insert(column.data_type.oid, Arc::clone(user));
                    for other in [column.data_type.element(), column.data_type.array()].into_iter().flatten() {
                        if let Some(user) = other.user {
                            found.insert(other.oid, user);
                        }
                    }
                }
            }
            found
        })
    }

    /// A type by OID, with a modifier.
    pub(super) fn user_type(&self, oid: Oid, modifier: i32) -> Option<PgType> {
        self.user_types().get(&oid).map(|user| PgType { oid, modifier, user: Some(Arc::clone(user)) })
    }

    /// A type that a source defines, by its name as a cast has it: `mood`, `public.mood[]`.
    pub fn user_type_named(&self, name: &str) -> Option<PgType> {
        let (bare, array) = name.trim().strip_suffix("[]").map_or((name.trim(), ""), |bare| (bare, "[]"));
        let (schema, bare) = match bare.split_once('.') {
            Some((schema, bare)) => (Some(schema), bare),
            None => (None, bare),
        };
        // All of them are shown in this schema.
        let found = match schema {
            Some(schema) => self.schema_oid(schema) == Some(PUBLIC_SCHEMA_OID),
            None => self.effective_path().contains(&PUBLIC_SCHEMA_OID),
        };
        let named = |shown: &str| {
            let own = shown.trim_end_matches("[]");
            shown.ends_with("[]") != array.is_empty() && unquoted(own.rsplit('.').next().unwrap_or(own)) == bare
        };
        // A name that the source qualified is shown as a whole.
        let whole = name.trim();
        let plain = |name: &str| name.replace('"', "");
        let (oid, user) = self
            .user_types()
            .iter()
            .find(|(_, user)| plain(&user.name) == plain(whole) || (found && named(&user.name)))?;
        Some(PgType { oid: *oid, modifier: -1, user: Some(Arc::clone(user)) })
    }

    /// Whether the relation is what its bare name finds.
    pub(super) fn relation_is_visible(&self, relation: &AnyRelation<'_>) -> bool {
        // PostgreSQL has no index on a foreign table: this one is for those who ask pg_index, not for `\di` and `\d ord*`.
        if matches!(relation, AnyRelation::PrimaryKey(_)) {
            return false;
        }
        let name = relation.name();
        for schema in self.effective_path() {
            if *schema == relation.namespace() {
                return true;
            }
            if self.relation_named(*schema, &name).is_some() {
                return false;
            }
        }
        false
    }
}
