//! DDL as functions over a snapshot: a statement and what was fetched for it become changes of the catalog.
//!
//! Nothing here touches network, files or the store. The session asks [`needs`], fetches, calls [`apply`] on its
//! [`Working`] overlay, and writes that with `Store::commit` at the end of its transaction.

mod comment;
mod default_acl;
mod dependency;
mod drop;
mod grant;
mod import;
mod names;
mod options;
mod owned;
mod owner;
mod relation;
mod rewrite;
mod role;
mod role_grant;
mod schema;
mod server;
mod table;
mod types;
mod user_mapping;
mod view;
mod working;
mod wrapper;

use atoll_connector_api::types::PgType;
use atoll_connector_api::types::text::OutputStyle;
use atoll_connector_api::{ConnectorError, OptionScope, OptionSpec, Options, TableDefinition};

use super::model::{Catalog, Oid, ViewedRelation};
use super::secret::SecretKey;
use crate::error::{Notice, SqlError, SqlResult};
use crate::statement::Statement;
use crate::statement::ast::{CreateView, ImportFilter};

pub use names::quote_identifier;
pub use schema::schema_made;
pub use working::Working;
pub use wrapper::{connector_of_handler, wrapper_alias};

/// The native connectors, as DDL sees them.
pub trait WrapperRegistry: Send + Sync {
    /// Every option that a connector knows; `None`: there is no such connector.
    fn options(&self, connector: &str) -> Option<&'static [OptionSpec]>;

    /// Checks options beyond their single values (`Connector::check`). No network, no files.
    ///
    /// # Errors
    /// Option errors.
    fn check(&self, connector: &str, scope: OptionScope, options: &Options) -> Result<(), ConnectorError>;
}

/// On whose behalf DDL runs, and with what.
#[derive(Clone, Copy)]
pub struct DdlContext<'a> {
    /// The role that logged in.
    pub session_user: Oid,
    /// The role whose rights count (SET ROLE).
    pub current_user: Oid,
    /// Names of schemas, in order; those that do not exist or may not be used are passed over. Without pg_catalog.
    pub search_path: &'a [String],
    /// The native connectors.
    pub wrappers: &'a dyn WrapperRegistry,
    /// Seals secrets.
    pub key: &'a SecretKey,
    /// Reads VALID UNTIL in the session's time zone.
    pub style: &'a OutputStyle,
    /// Whether a name, with its schema where it has one, is a system catalog's.
    pub is_system_relation: fn(Option<&str>, &str) -> bool,
}

impl std::fmt::Debug for DdlContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DdlContext")
            .field("session_user", &self.session_user)
            .field("current_user", &self.current_user)
            .field("search_path", &self.search_path)
            .finish_non_exhaustive()
    }
}

/// What a statement needs from the network or the planner before it can be applied.
#[derive(Debug)]
pub enum Need<'a> {
    /// [`Facts::None`].
    Nothing,
    /// [`Facts::Table`]: `ForeignSource::describe` with these options, as the current user.
    Table {
        /// The server.
        server: Oid,
        /// The table's options.
        options: Options,
    },
    /// [`Facts::Import`]: what the schema holds, as the current user.
    Import {
        /// The server.
        server: Oid,
        /// The remote schema.
        schema: &'a str,
        /// Which of its tables are asked for: the rest need not be described.
        filter: &'a ImportFilter,
    },
    /// [`Facts::View`]: the planned query.
    View(&'a CreateView),
}

/// What was fetched for a statement.
#[derive(Debug, Clone, Default)]
pub enum Facts {
    /// Nothing was needed.
    #[default]
    None,
    /// CREATE FOREIGN TABLE without columns: the table as the source declares it.
    Table(TableDefinition),
    /// IMPORT FOREIGN SCHEMA: the tables that passed the filter, or all of them.
    Import(Vec<ImportedTable>),
    /// CREATE VIEW.
    View(ViewFacts),
}

/// A table that IMPORT found.
#[derive(Debug, Clone)]
pub struct ImportedTable {
    /// As the source spells it.
    pub name: String,
    /// `ForeignSource::live_options`.
    pub options: Options,
    /// As the source declares it.
    pub definition: TableDefinition,
}

/// What the planner knows about a view's query.
#[derive(Debug, Clone, Default)]
pub struct ViewFacts {
    /// The query with every relation's name fully qualified and every star expanded.
    pub query: String,
    /// Its columns, before the view's own column names.
    pub columns: Vec<(String, PgType)>,
    /// OIDs of the relations it reads, and of the servers of live tables.
    pub depends_on: Vec<Oid>,
    /// The columns it reads, by relation and column number.
    pub depends_on_columns: Vec<(Oid, i16)>,
    /// The relations it reads, as they are.
    pub reads: Vec<ViewedRelation>,
}

/// What a statement did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DdlOutcome {
    /// The command tag.
    pub tag: &'static str,
    /// In order.
    pub notices: Vec<Notice>,
}

/// Whether a statement is DDL, for [`apply`] to do.
pub fn is_ddl(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::CreateWrapper(_)
            | Statement::AlterWrapper(_)
            | Statement::CreateServer(_)
            | Statement::AlterServer(_)
            | Statement::CreateUserMapping(_)
            | Statement::AlterUserMapping(_)
            | Statement::DropUserMapping(_)
            | Statement::CreateForeignTable(_)
            | Statement::AlterForeignTable(_)
            | Statement::ImportForeignSchema(_)
            | Statement::CreateSchema(_)
            | Statement::AlterSchema(_)
            | Statement::CreateView(_)
            | Statement::AlterView(_)
            | Statement::CreateRole(_)
            | Statement::AlterRole(_)
            | Statement::AlterRoleSetting(_)
            | Statement::AlterDatabaseSetting(_)
            | Statement::RenameRole { .. }
            | Statement::GrantRole(_)
            | Statement::Grant(_)
            | Statement::AlterDefaultPrivileges(_)
            | Statement::Drop(_)
            | Statement::Comment(_)
            | Statement::ReassignOwned { .. }
            | Statement::DropOwned { .. }
            | Statement::CreateExtension { .. }
    )
}

/// The command tag of a statement that is DDL, as errors name it.
pub fn command_tag(statement: &Statement) -> &'static str {
    match statement {
        Statement::CreateWrapper(_) => "CREATE FOREIGN DATA WRAPPER",
        Statement::AlterWrapper(_) => "ALTER FOREIGN DATA WRAPPER",
        Statement::CreateServer(_) => "CREATE SERVER",
        Statement::AlterServer(_) => "ALTER SERVER",
        Statement::CreateUserMapping(_) => "CREATE USER MAPPING",
        Statement::AlterUserMapping(_) => "ALTER USER MAPPING",
        Statement::DropUserMapping(_) => "DROP USER MAPPING",
        Statement::CreateForeignTable(_) => "CREATE FOREIGN TABLE",
        Statement::AlterForeignTable(alter) if alter.plain => "ALTER TABLE",
        Statement::AlterForeignTable(_) => "ALTER FOREIGN TABLE",
        Statement::AlterView(_) => "ALTER VIEW",
        Statement::ImportForeignSchema(_) => "IMPORT FOREIGN SCHEMA",
        Statement::CreateSchema(_) => "CREATE SCHEMA",
        Statement::AlterSchema(_) => "ALTER SCHEMA",
        Statement::CreateView(_) => "CREATE VIEW",
        Statement::CreateRole(_) => "CREATE ROLE",
        Statement::AlterRole(_) | Statement::AlterRoleSetting(_) | Statement::RenameRole { .. } => "ALTER ROLE",
        Statement::AlterDatabaseSetting(_) => "ALTER DATABASE",
        Statement::GrantRole(grant) => {
            if grant.grant {
                "GRANT ROLE"
            } else {
                "REVOKE ROLE"
            }
        }
        Statement::Grant(grant) => {
            if grant.grant {
                "GRANT"
            } else {
                "REVOKE"
            }
        }
        Statement::AlterDefaultPrivileges(_) => "ALTER DEFAULT PRIVILEGES",
        Statement::Drop(drop) => drop::tag(drop.kind),
        Statement::Comment(_) => "COMMENT",
        Statement::ReassignOwned { .. } => "REASSIGN OWNED",
        Statement::DropOwned { .. } => "DROP OWNED",
        Statement::CreateExtension { .. } => "CREATE EXTENSION",
        _ => "this command",
    }
}

/// Makes the checks that come before anything is fetched (names, privileges, options), and says what to fetch. The
/// overlay stays as it is. Where IF NOT EXISTS skips the statement, nothing is needed.
///
/// # Errors
/// Those that [`apply`] would find first.
pub fn needs<'a>(cx: &DdlContext<'_>, working: &Working, statement: &'a Statement) -> SqlResult<Need<'a>> {
    let mut scratch = working.clone();
    let mut ddl = Ddl { cx, working: &mut scratch, notices: Vec::new() };
    match statement {
        Statement::CreateForeignTable(create) if create.columns.is_none() => ddl.needs_of_table(create),
        Statement::ImportForeignSchema(import) => ddl.needs_of_import(import),
        Statement::CreateView(create) => ddl.needs_of_view(create),
        _ => Ok(Need::Nothing),
    }
}

/// How many OIDs [`apply`] takes at most: the session sees to it that [`Working::oids_left`] suffices.
pub fn oids_needed(statement: &Statement, facts: &Facts) -> u32 {
    match (statement, facts) {
        (Statement::ImportForeignSchema(_), Facts::Import(tables)) => u32::try_from(tables.len()).unwrap_or(u32::MAX),
        _ => 1,
    }
}

/// Applies a statement to the overlay: all of it, or, on an error, nothing.
///
/// # Errors
/// PostgreSQL's, with its messages; `0A000` for what is not built.
pub fn apply(
    cx: &DdlContext<'_>,
    working: &mut Working,
    statement: &Statement,
    facts: &Facts,
) -> SqlResult<DdlOutcome> {
    let mut draft = working.clone();
    let mut ddl = Ddl { cx, working: &mut draft, notices: Vec::new() };
    let tag = ddl.dispatch(statement, facts)?;
    let notices = ddl.notices;
    *working = draft;
    Ok(DdlOutcome { tag, notices })
}

/// One statement being applied.
struct Ddl<'a> {
    cx: &'a DdlContext<'a>,
    working: &'a mut Working,
    notices: Vec<Notice>,
}

impl Ddl<'_> {
    fn dispatch(&mut self, statement: &Statement, facts: &Facts) -> SqlResult<&'static str> {
        match statement {
            Statement::CreateWrapper(create) => self.create_wrapper(create),
            Statement::AlterWrapper(alter) => self.alter_wrapper(alter),
            Statement::CreateServer(create) => self.create_server(create),
            Statement::AlterServer(alter) => self.alter_server(alter),
            Statement::CreateUserMapping(create) => self.create_user_mapping(create),
            Statement::AlterUserMapping(alter) => self.alter_user_mapping(alter),
            Statement::DropUserMapping(drop) => self.drop_user_mapping(drop),
            Statement::CreateForeignTable(create) => self.create_foreign_table(create, facts),
            Statement::AlterForeignTable(alter) => self.alter_relation(alter, false),
            Statement::AlterView(alter) => self.alter_relation(alter, true),
            Statement::ImportForeignSchema(import) => self.import_foreign_schema(import, facts),
            Statement::CreateSchema(create) => self.create_schema(create),
            Statement::AlterSchema(alter) => self.alter_schema(alter),
            Statement::CreateView(create) => self.create_view(create, facts),
            Statement::CreateRole(create) => self.create_role(create),
            Statement::AlterRole(alter) => self.alter_role(alter),
            Statement::AlterRoleSetting(alter) => self.alter_role_setting(alter),
            Statement::AlterDatabaseSetting(alter) => self.alter_database_setting(alter),
            Statement::RenameRole { role, new_name } => self.rename_role(role, new_name),
            Statement::GrantRole(grant) => self.grant_role(grant),
            Statement::Grant(grant) => self.grant(grant),
            Statement::AlterDefaultPrivileges(alter) => self.alter_default_privileges(alter),
            Statement::Drop(drop) => self.drop_objects(drop),
            Statement::Comment(comment) => self.comment(comment),
            Statement::ReassignOwned { from, to } => self.reassign_owned(from, to),
            Statement::DropOwned { roles, cascade } => self.drop_owned(roles, *cascade),
            Statement::CreateExtension { name, if_not_exists } => self.create_extension(name, *if_not_exists),
            _ => Err(SqlError::internal("the statement is no DDL")),
        }
    }

    fn catalog(&self) -> &Catalog {
        self.working.current()
    }

    fn user(&self) -> Oid {
        self.cx.current_user
    }

    fn notice(&mut self, message: impl Into<String>) {
        self.notices.push(Notice::notice(message));
    }
}

#[cfg(test)]
mod tests;
