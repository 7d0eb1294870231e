//! The objects of the catalog, and an immutable snapshot of all of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use atoll_connector_api::types::PgType;
use serde::{Deserialize, Serialize};

/// An object's identity: stable over restarts, unique over all kinds, as in `pg_class.oid`.
pub type Oid = u32;

/// OIDs below belong to PostgreSQL's own objects (`FirstNormalObjectId` in `access/transam.h`).
pub const FIRST_USER_OID: Oid = 16_384;
/// `pg_catalog`, as in PostgreSQL.
pub const PG_CATALOG_OID: Oid = 11;
/// `public`, as in PostgreSQL.
pub const PUBLIC_SCHEMA_OID: Oid = 2_200;
/// `information_schema`, as a PostgreSQL 15 cluster has it.
pub const INFORMATION_SCHEMA_OID: Oid = 13_529;
/// The bootstrap superuser (`BOOTSTRAP_SUPERUSERID`).
pub const BOOTSTRAP_SUPERUSER_OID: Oid = 10;
/// Stands for PUBLIC in privileges and user mappings, as in PostgreSQL.
pub const PUBLIC_ROLE: Oid = 0;
/// The database.
pub const DATABASE_OID: Oid = 5;
/// OIDs of objects end before this one. All others are below 2^31 too, for clients that read them with a sign:
/// * from here: indexes, which are their tables' with this bit, and enum labels, which `pg_enum` counts up;
/// * from 2^30: the objects of a live catalog, and views' rules, which are their views' with that bit;
/// * from 0x5000_0000: functions that PostgreSQL has no OID for;
/// * from [`atoll_connector_api::types::DERIVED_OID_MIN`]: types that only a source knows, derived from their names.
pub const END_OF_OIDS: Oid = 0x2000_0000;

/// What every object has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Its identity.
    pub oid: Oid,
    /// Its name, without a schema. For a user mapping: empty.
    pub name: String,
    /// The role that owns it. For roles: itself.
    pub owner: Oid,
    /// Explicit privileges; `None`: PostgreSQL's default ones for the kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acl: Option<Vec<AclItem>>,
    /// COMMENT ON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// One grant: `grantee=privileges/grantor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AclItem {
    /// [`PUBLIC_ROLE`] for PUBLIC.
    pub grantee: Oid,
    /// Who granted.
    pub grantor: Oid,
    /// What, with whether it may be granted on.
    pub privileges: BTreeMap<Privilege, bool>,
}

/// Privileges, with PostgreSQL's letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the SQL words of their names")]
pub enum Privilege {
    Select,
    Insert,
    Update,
    Delete,
    Truncate,
    References,
    Trigger,
    Usage,
    Create,
    Connect,
    Temporary,
}

/// An object of the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind")]
#[expect(missing_docs, reason = "each variant is the object of its name")]
pub enum Object {
    Role(Role),
    Schema(Schema),
    Wrapper(ForeignDataWrapper),
    Server(ForeignServer),
    UserMapping(UserMapping),
    ForeignTable(ForeignTable),
    View(View),
    Database(Database),
}

/// The one database: its privileges, comment and settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    /// Its OID is [`DATABASE_OID`].
    #[serde(flatten)]
    pub header: Header,
    /// `ALTER DATABASE … SET`, `ALTER ROLE ALL IN DATABASE … SET`.
    #[serde(default)]
    pub settings: SettingList,
    /// `ALTER ROLE ALL SET`: they count less than any others.
    #[serde(default)]
    pub global_settings: SettingList,
}

/// A role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the SQL words of their names")]
pub struct Role {
    #[serde(flatten)]
    pub header: Header,
    pub superuser: bool,
    pub create_db: bool,
    pub create_role: bool,
    pub inherit: bool,
    pub login: bool,
    pub replication: bool,
    pub bypass_rls: bool,
    /// -1: no limit.
    pub connection_limit: i32,
    /// `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`, as in `pg_authid.rolpassword`. No view shows it.
    #[serde(default)]
    pub password: Option<ScramVerifier>,
    /// Microseconds since the Unix epoch.
    #[serde(default)]
    pub valid_until: Option<i64>,
    /// The roles that this one is a member of.
    #[serde(default)]
    pub member_of: Vec<Membership>,
    /// `ALTER ROLE … SET`.
    #[serde(default)]
    pub settings: SettingList,
    /// `ALTER ROLE … IN DATABASE … SET`: they count more.
    #[serde(default)]
    pub database_settings: SettingList,
    /// `ALTER DEFAULT PRIVILEGES FOR ROLE …`.
    #[serde(default)]
    pub default_acls: Vec<DefaultAcl>,
}

/// What `pg_default_acl` has a row of: privileges on what a role will make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefaultAcl {
    /// Only in this schema; the privileges are then added to those of the objects anywhere.
    #[serde(default)]
    pub schema: Option<Oid>,
    /// On schemas, else on relations.
    #[serde(default)]
    pub of_schemas: bool,
    /// The whole list; in one schema, what is added.
    pub acl: Vec<AclItem>,
}

/// Stored settings in the order in which they were first set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct SettingList(Vec<(String, String)>);

impl SettingList {
    /// Sets one, at its place where it is there.
    pub fn set(&mut self, name: &str, value: &str) {
        match self.0.iter_mut().find(|(other, _)| other == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.0.push((name.to_owned(), value.to_owned())),
        }
    }

    /// Takes one out.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(other, _)| other != name);
    }

    /// Takes all out.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Older catalogs have a map.
impl<'de> Deserialize<'de> for SettingList {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Stored {
            List(Vec<(String, String)>),
            Map(BTreeMap<String, String>),
        }
        Ok(Self(match Stored::deserialize(deserializer)? {
            Stored::List(list) => list,
            Stored::Map(map) => map.into_iter().collect(),
        }))
    }
}

/// A stored SCRAM verifier; its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScramVerifier(pub String);

impl std::fmt::Debug for ScramVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ScramVerifier(***)")
    }
}

/// Membership in a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the columns of pg_auth_members")]
pub struct Membership {
    pub role: Oid,
    pub grantor: Oid,
    pub admin_option: bool,
}

/// A schema of the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// What every object has.
    #[serde(flatten)]
    pub header: Header,
}

/// A foreign data wrapper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignDataWrapper {
    /// What every object has.
    #[serde(flatten)]
    pub header: Header,
    /// The native connector behind it (`postgres`, `csv` …); `None`: sandboxed, from its options.
    pub connector: Option<String>,
    /// In the order given.
    #[serde(default)]
    pub options: Vec<StoredOption>,
}

/// A foreign server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the SQL clauses of their names")]
pub struct ForeignServer {
    #[serde(flatten)]
    pub header: Header,
    pub wrapper: Oid,
    #[serde(default)]
    pub server_type: Option<String>,
    #[serde(default)]
    pub version: Option<String>,
    #[serde(default)]
    pub options: Vec<StoredOption>,
}

/// A user mapping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserMapping {
    /// What every object has; the owner is the server's.
    #[serde(flatten)]
    pub header: Header,
    /// [`PUBLIC_ROLE`] for PUBLIC.
    pub user: Oid,
    /// The server.
    pub server: Oid,
    /// Secrets among them are encrypted.
    #[serde(default)]
    pub options: Vec<StoredOption>,
}

/// An option as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredOption {
    /// As written, folded.
    pub name: String,
    /// Plain, or a secret.
    pub value: StoredValue,
    /// Nobody gave it: a renamed column keeps its name at the source so. ADD replaces it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub implicit: bool,
}

/// The value of a stored option.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoredValue {
    /// Not a secret.
    Plain(String),
    /// A secret, encrypted.
    Secret(SealedSecret),
}

impl StoredValue {
    /// What a view may show: the value where it is not a secret, else `None`.
    pub fn shown(&self) -> Option<&str> {
        match self {
            Self::Plain(text) => Some(text),
            Self::Secret(_) => None,
        }
    }
}

/// A secret encrypted with the catalog's key: `v1:` and base64 of nonce and ciphertext. `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedSecret(pub String);

impl std::fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealedSecret(***)")
    }
}

/// A column of a foreign table or view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type with modifier.
    pub data_type: PgType,
    /// `attnum`: from 1, never used again after DROP COLUMN.
    pub number: i16,
    /// NOT NULL.
    #[serde(default)]
    pub not_null: bool,
    /// `column_name` and so on.
    #[serde(default)]
    pub options: Vec<StoredOption>,
    /// COMMENT ON COLUMN.
    #[serde(default)]
    pub comment: Option<String>,
    /// Column privileges.
    #[serde(default)]
    pub acl: Option<Vec<AclItem>>,
}

/// A foreign table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignTable {
    /// What every object has.
    #[serde(flatten)]
    pub header: Header,
    /// Its schema.
    pub schema: Oid,
    /// Its server.
    pub server: Oid,
    /// In order; dropped ones are gone.
    pub columns: Vec<Column>,
    /// The next column's number.
    pub next_number: i16,
    /// `table_name` and so on.
    #[serde(default)]
    pub options: Vec<StoredOption>,
    /// Names of the primary key's columns as the source declared them at IMPORT.
    #[serde(default)]
    pub primary_key: Vec<String>,
}

/// A view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// What every object has.
    #[serde(flatten)]
    pub header: Header,
    /// Its schema.
    pub schema: Oid,
    /// The query, with every relation's name fully qualified, as `pg_get_viewdef` shows it.
    pub query: String,
    /// Its columns as they were when it was created.
    pub columns: Vec<Column>,
    /// What it reads: OIDs of relations, and of servers for live tables.
    #[serde(default)]
    pub depends_on: Vec<Oid>,
    /// Columns of relations it reads, by relation and column number, for DROP COLUMN.
    #[serde(default)]
    pub depends_on_columns: Vec<(Oid, i16)>,
    /// `WITH (security_invoker = true)`: the reader's rights count, not the owner's.
    #[serde(default)]
    pub security_invoker: bool,
    /// Its storage parameters as `WITH (…)` gave them, in order: `pg_class.reloptions`.
    #[serde(default)]
    pub options: Vec<(String, String)>,
    /// What the relations that it reads were when it was made; `None` in catalogs older than this field.
    #[serde(default)]
    pub reads: Option<Vec<ViewedRelation>>,
}

/// A relation as a view knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewedRelation {
    /// The stored relation, or the server of a live table.
    pub oid: Oid,
    /// Schema and name of a live table.
    #[serde(default)]
    pub live: Option<(String, String)>,
    /// The columns that the relation had when the view was made, but for those that were dropped since.
    pub columns: Vec<ViewedColumn>,
}

/// A column as a view knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewedColumn {
    /// Its name when the view was made.
    pub name: String,
    /// Its number; 0 in a live table, whose columns are known by their names.
    #[serde(default)]
    pub number: i16,
    /// Its type when the view was made.
    pub data_type: PgType,
    /// Whether the view's result depends on it.
    #[serde(default)]
    pub read: bool,
}

impl View {
    /// `pg_class.reloptions`.
    pub fn shown_options(&self) -> Vec<String> {
        if self.options.is_empty() && self.security_invoker {
            // Of a catalog that kept no options.
            return vec!["security_invoker=true".to_owned()];
        }
        self.options.iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    /// Replaces the storage parameters.
    pub fn set_options(&mut self, options: Vec<(String, String)>) {
        self.options = options;
        self.security_invoker = self.has_option("security_invoker");
    }

    /// `WITH (security_barrier = true)`: conditions of those who read the view see none of the rows that it leaves out.
    pub fn security_barrier(&self) -> bool {
        self.has_option("security_barrier")
    }

    fn has_option(&self, wanted: &str) -> bool {
        // Values are checked when they are parsed; these are the words for true.
        let is_true =
            |value: &str| matches!(value.to_ascii_lowercase().as_str(), "true" | "on" | "yes" | "1" | "t" | "y");
        self.options.iter().any(|(name, value)| name == wanted && is_true(value))
    }
}

impl Object {
    /// What every object has.
    pub fn header(&self) -> &Header {
        match self {
            Self::Role(object) => &object.header,
            Self::Schema(object) => &object.header,
            Self::Wrapper(object) => &object.header,
            Self::Server(object) => &object.header,
            Self::UserMapping(object) => &object.header,
            Self::ForeignTable(object) => &object.header,
            Self::View(object) => &object.header,
            Self::Database(object) => &object.header,
        }
    }

    /// The same, to change.
    pub fn header_mut(&mut self) -> &mut Header {
        match self {
            Self::Role(object) => &mut object.header,
            Self::Schema(object) => &mut object.header,
            Self::Wrapper(object) => &mut object.header,
            Self::Server(object) => &mut object.header,
            Self::UserMapping(object) => &mut object.header,
            Self::ForeignTable(object) => &mut object.header,
            Self::View(object) => &mut object.header,
            Self::Database(object) => &mut object.header,
        }
    }

    /// The columns of a relation; empty for every other kind.
    pub fn columns(&self) -> &[Column] {
        match self {
            Self::ForeignTable(table) => &table.columns,
            Self::View(view) => &view.columns,
            _ => &[],
        }
    }

    /// The schema of a relation.
    pub fn schema(&self) -> Option<Oid> {
        match self {
            Self::ForeignTable(table) => Some(table.schema),
            Self::View(view) => Some(view.schema),
            _ => None,
        }
    }

    /// The object's options: of a wrapper, server, user mapping or foreign table; empty for every other kind.
    pub fn options(&self) -> &[StoredOption] {
        match self {
            Self::Wrapper(object) => &object.options,
            Self::Server(object) => &object.options,
            Self::UserMapping(object) => &object.options,
            Self::ForeignTable(object) => &object.options,
            Self::Role(_) | Self::Schema(_) | Self::View(_) | Self::Database(_) => &[],
        }
    }

    /// Every object that this one cannot be without: schema, server, wrapper, mapped user, what a view reads, the roles
    /// it is owned by, granted to and a member of. Never [`PUBLIC_ROLE`], never itself.
    pub fn references(&self) -> std::collections::BTreeSet<Oid> {
        let header = self.header();
        let mut found = std::collections::BTreeSet::from([header.owner]);
        let acls = header.acl.iter().chain(self.columns().iter().filter_map(|column| column.acl.as_ref()));
        for item in acls.flatten() {
            found.extend([item.grantee, item.grantor]);
        }
        match self {
            Self::Role(role) => {
                found.extend(role.member_of.iter().flat_map(|m| [m.role, m.grantor]));
                for default in &role.default_acls {
                    found.extend(default.schema);
                    found.extend(default.acl.iter().flat_map(|item| [item.grantee, item.grantor]));
                }
            }
            Self::Server(server) => found.extend([server.wrapper]),
            Self::UserMapping(mapping) => found.extend([mapping.user, mapping.server]),
            Self::ForeignTable(table) => found.extend([table.schema, table.server]),
            Self::View(view) => found.extend(view.depends_on.iter().chain([&view.schema])),
            Self::Schema(_) | Self::Wrapper(_) | Self::Database(_) => {}
        }
        found.remove(&PUBLIC_ROLE);
        found.remove(&header.oid);
        found
    }

    /// Within which names of this kind are unique: (a letter for the kind, the scope's OID, the name).
    pub fn unique_key(&self) -> (char, Oid, String) {
        let name = self.header().name.clone();
        match self {
            Self::Role(_) => ('r', 0, name),
            Self::Schema(_) => ('n', 0, name),
            Self::Wrapper(_) => ('w', 0, name),
            Self::Server(_) => ('s', 0, name),
            Self::UserMapping(mapping) => ('m', mapping.server, mapping.user.to_string()),
            Self::ForeignTable(table) => ('c', table.schema, name),
            Self::View(view) => ('c', view.schema, name),
            Self::Database(_) => ('d', 0, name),
        }
    }
}

/// One change of a catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Creates or replaces an object.
    Put(Arc<Object>),
    /// Removes one.
    Remove(Oid),
}

/// An immutable snapshot of the catalog. Cheap to clone behind its `Arc`; a change makes a new one.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// The store's version that this snapshot shows.
    pub version: u64,
    objects: BTreeMap<Oid, Arc<Object>>,
    names: HashMap<(char, Oid, String), Oid>,
    next_oid: Oid,
}

impl Catalog {
    /// A snapshot of the given objects.
    pub fn new(version: u64, next_oid: Oid, objects: impl IntoIterator<Item = Arc<Object>>) -> Self {
        let mut catalog = Self { version, next_oid: next_oid.max(FIRST_USER_OID), ..Self::default() };
        for object in objects {
            catalog.put(object);
        }
        catalog
    }

    /// The snapshot after `changes`.
    #[must_use]
    pub fn with(&self, changes: &[Change]) -> Self {
        let mut next = self.clone();
        for change in changes {
            next.apply(change);
        }
        next
    }

    /// Takes an OID that no object has had.
    pub fn allocate_oid(&mut self) -> Oid {
        let oid = self.next_oid;
        self.next_oid += 1;
        oid
    }

    /// The next OID that [`Self::allocate_oid`] will give.
    pub fn next_oid(&self) -> Oid {
        self.next_oid
    }

    fn put(&mut self, object: Arc<Object>) {
        let oid = object.header().oid;
        self.remove(oid);
        self.next_oid = self.next_oid.max(oid.saturating_add(1));
        self.names.insert(object.unique_key(), oid);
        self.objects.insert(oid, object);
    }

    fn remove(&mut self, oid: Oid) {
        if let Some(object) = self.objects.remove(&oid) {
            let key = object.unique_key();
            // Another object may have taken the name already, where names are swapped in one transaction.
            if self.names.get(&key) == Some(&oid) {
                self.names.remove(&key);
            }
        }
    }

    /// Makes one change in place, for whoever owns the snapshot alone.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Put(object) => self.put(Arc::clone(object)),
            Change::Remove(oid) => self.remove(*oid),
        }
    }

    /// The database's name.
    pub fn database_name(&self) -> &str {
        self.get(DATABASE_OID).map_or("", |object| object.header().name.as_str())
    }

    /// The settings that a role's session begins with, those that count more later.
    pub fn initial_settings<'a>(&'a self, role: &'a Role) -> impl Iterator<Item = (&'a str, &'a str)> {
        let database = match self.get(DATABASE_OID).map(AsRef::as_ref) {
            Some(Object::Database(database)) => Some(database),
            _ => None,
        };
        let common = database.into_iter().flat_map(|all| all.global_settings.iter().chain(all.settings.iter()));
        common.chain(role.settings.iter()).chain(role.database_settings.iter())
    }

    /// An object by identity.
    pub fn get(&self, oid: Oid) -> Option<&Arc<Object>> {
        self.objects.get(&oid)
    }

    /// Whether no two objects have the same [`Object::unique_key`].
    pub fn names_are_unique(&self) -> bool {
        self.names.len() == self.objects.len()
    }

    /// All objects, by OID.
    pub fn objects(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.objects.values()
    }

    fn named(&self, kind: char, scope: Oid, name: &str) -> Option<&Arc<Object>> {
        self.names.get(&(kind, scope, name.to_owned())).and_then(|oid| self.objects.get(oid))
    }

    /// A foreign table or view by schema and name.
    pub fn relation(&self, schema: Oid, name: &str) -> Option<&Arc<Object>> {
        self.named('c', schema, name)
    }

    /// The relations of a schema, unsorted.
    pub fn relations_in(&self, schema: Oid) -> impl Iterator<Item = &Arc<Object>> {
        self.objects.values().filter(move |object| object.schema() == Some(schema))
    }

    /// The mapping of exactly this user (or [`PUBLIC_ROLE`]) on a server.
    pub fn user_mapping(&self, server: Oid, user: Oid) -> Option<&UserMapping> {
        match self.named('m', server, &user.to_string()).map(AsRef::as_ref) {
            Some(Object::UserMapping(mapping)) => Some(mapping),
            _ => None,
        }
    }

    /// The name of a role, for messages and views.
    pub fn role_name(&self, oid: Oid) -> String {
        self.get(oid).map_or_else(|| format!("unknown (OID={oid})"), |object| object.header().name.clone())
    }
}

macro_rules! by_name {
    ($($(#[$doc:meta])* $method:ident, $by_oid:ident, $letter:literal, $variant:ident, $kind:ty;)*) => {
        impl Catalog {
            $(
                $(#[$doc])*
                pub fn $method(&self, name: &str) -> Option<&$kind> {
                    match self.named($letter, 0, name).map(AsRef::as_ref) {
                        Some(Object::$variant(object)) => Some(object),
                        _ => None,
                    }
                }

                /// The same by OID.
                pub fn $by_oid(&self, oid: Oid) -> Option<&$kind> {
                    match self.get(oid).map(AsRef::as_ref) {
                        Some(Object::$variant(object)) => Some(object),
                        _ => None,
                    }
                }
            )*
        }
    };
}

by_name! {
    /// A role by name.
    role, role_by_oid, 'r', Role, Role;
    /// A schema by name.
    schema, schema_by_oid, 'n', Schema, Schema;
    /// A wrapper by name.
    wrapper, wrapper_by_oid, 'w', Wrapper, ForeignDataWrapper;
    /// A server by name.
    server, server_by_oid, 's', Server, ForeignServer;
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_of_older_catalogs_are_read() {
        let view = json!({
            "kind": "View", "oid": 20000, "name": "v", "owner": 10, "schema": 2200, "query": "SELECT 1 AS a",
            "columns": [], "security_invoker": true,
        });
        let Object::View(view) = serde_json::from_value(view).unwrap() else { panic!("a view") };
        assert_eq!(view.reads, None);
        assert_eq!(view.shown_options(), ["security_invoker=true"]);
        let database = json!({
            "kind": "Database", "oid": 5, "name": "atoll", "owner": 10,
            "settings": { "work_mem": "4MB", "DateStyle": "SQL" },
        });
        let Object::Database(database) = serde_json::from_value(database).unwrap() else { panic!("a database") };
        assert_eq!(database.settings.iter().collect::<Vec<_>>(), [("DateStyle", "SQL"), ("work_mem", "4MB")]);
        assert!(database.global_settings.is_empty());
    }

    #[test]
    fn settings_keep_the_order_in_which_they_were_set() {
        let mut settings = SettingList::default();
        for (name, value) in [("b", "1"), ("a", "2"), ("c", "3"), ("b", "4")] {
            settings.set(name, value);
        }
        settings.remove("a");
        let written = serde_json::to_value(&settings).unwrap();
        assert_eq!(written, json!([["b", "4"], ["c", "3"]]));
        assert_eq!(serde_json::from_value::<SettingList>(written).unwrap(), settings);
    }
}
