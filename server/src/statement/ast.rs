//! Typed statements. What Atoll executes itself has a variant here; everything that DataFusion plans is
//! [`Statement::Query`] or [`Statement::Explain`].

use datafusion::sql::sqlparser::ast as sql;

use crate::error::Notice;

/// A name of one, two or three parts, folded as PostgreSQL folds: lower case unless quoted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QualifiedName {
    /// Catalog (database or server), schema and relation, of which the last is always there.
    pub parts: Vec<String>,
    /// Where it begins in the text: characters from 1.
    pub position: usize,
}

impl QualifiedName {
    /// The last part.
    pub fn name(&self) -> &str {
        self.parts.last().map_or("", String::as_str)
    }

    /// The part before the last: the schema.
    pub fn schema(&self) -> Option<&str> {
        self.parts.len().checked_sub(2).map(|index| self.parts[index].as_str())
    }
}

impl std::fmt::Display for QualifiedName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.parts.join("."))
    }
}

/// One statement with its text.
#[derive(Debug, Clone, PartialEq)]
pub struct ParsedStatement {
    /// What to do.
    pub statement: Statement,
    /// The statement's own text, without the semicolon.
    pub text: String,
    /// Where `text` begins in what the client sent: characters from 0.
    pub offset: usize,
    /// What the parser says of it: names that were cut.
    pub notices: Vec<Notice>,
}

/// A statement.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each variant is the SQL command of its name")]
pub enum Statement {
    /// SELECT, VALUES, TABLE, WITH: planned by DataFusion.
    Query(Box<sql::Query>),
    Explain(Explain),
    CreateWrapper(CreateWrapper),
    AlterWrapper(AlterWrapper),
    CreateServer(CreateServer),
    AlterServer(AlterServer),
    CreateUserMapping(CreateUserMapping),
    AlterUserMapping(AlterUserMapping),
    DropUserMapping(DropUserMapping),
    CreateForeignTable(CreateForeignTable),
    AlterForeignTable(AlterForeignTable),
    ImportForeignSchema(ImportForeignSchema),
    CreateSchema(CreateSchema),
    AlterSchema(AlterObject),
    CreateView(CreateView),
    AlterView(AlterForeignTable),
    CreateRole(CreateRole),
    AlterRole(AlterRole),
    /// `ALTER ROLE x SET name = value`, `RESET`.
    AlterRoleSetting(AlterRoleSetting),
    /// `ALTER DATABASE x SET name = value`, `RESET`.
    AlterDatabaseSetting(AlterDatabaseSetting),
    /// `ALTER ROLE x RENAME TO y`.
    RenameRole {
        role: RoleSpec,
        new_name: String,
    },
    GrantRole(GrantRole),
    Grant(Grant),
    AlterDefaultPrivileges(AlterDefaultPrivileges),
    /// Of wrappers, servers, foreign tables, views, schemas and roles.
    Drop(Drop),
    Comment(Comment),
    ReassignOwned {
        from: Vec<RoleSpec>,
        to: RoleSpec,
    },
    DropOwned {
        roles: Vec<RoleSpec>,
        cascade: bool,
    },
    CreateExtension {
        name: String,
        if_not_exists: bool,
    },
    Transaction(Transaction),
    Set(SetVariable),
    Show {
        name: String,
    },
    Reset {
        name: Option<String>,
    },
    Discard(DiscardTarget),
    Prepare {
        name: String,
        types: Vec<sql::DataType>,
        statement: Box<ParsedStatement>,
    },
    Execute {
        name: String,
        arguments: Vec<sql::Expr>,
    },
    /// `None`: all.
    Deallocate {
        name: Option<String>,
    },
    DeclareCursor(DeclareCursor),
    /// FETCH and MOVE.
    Fetch(Fetch),
    /// `None`: all.
    CloseCursor {
        name: Option<String>,
    },
    /// COPY … TO STDOUT. (COPY FROM is refused by the parser with 0A000.)
    CopyTo(CopyTo),
    /// UNLISTEN: there is nothing that could have been listened to.
    Unlisten,
    /// LOCK, ANALYZE, VACUUM, CHECKPOINT: checked, and without effect.
    Maintenance(Maintenance),
    /// Parsed, understood and not built: message of the 0A000.
    Unsupported {
        message: String,
        hint: Option<String>,
        /// Where in what the client sent, if it is known: characters from 1.
        position: Option<usize>,
        /// What it would write to: where there is none, that is what is wrong with it.
        relation: Option<QualifiedName>,
    },
    /// Nothing between two semicolons. The parser leaves these out, as PostgreSQL's does.
    Empty,
}

#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the SQL clause of its name")]
pub struct Explain {
    pub analyze: bool,
    pub verbose: bool,
    /// `COSTS`, on unless said otherwise.
    pub costs: bool,
    /// `TIMING`, on unless said otherwise.
    pub timing: bool,
    /// `SUMMARY`; `None`: as ANALYZE.
    pub summary: Option<bool>,
    pub format: ExplainFormat,
    pub statement: Box<ParsedStatement>,
}

/// How EXPLAIN prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the SQL words of their names")]
pub enum ExplainFormat {
    #[default]
    Text,
    Json,
    Yaml,
    Xml,
}

/// `name 'value'` in OPTIONS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionClause {
    /// Folded as an identifier.
    pub name: String,
    /// In the clear, whatever it is; never print it.
    pub value: OptionValue,
    /// Of the name, characters from 1.
    pub position: usize,
}

/// An option's value; its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct OptionValue(pub String);

impl std::fmt::Debug for OptionValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// `OPTIONS (ADD a 'x', SET b 'y', DROP c)`; without a word it is ADD.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the SQL words of their names")]
pub enum OptionAction {
    Add(OptionClause),
    Set(OptionClause),
    Drop { name: String, position: usize },
}

/// A role in DDL.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the SQL words of their names")]
pub enum RoleSpec {
    Name(String),
    CurrentUser,
    SessionUser,
    Public,
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the SQL clauses of their names")]
pub struct CreateWrapper {
    pub name: String,
    pub if_not_exists: bool,
    pub handler: Option<QualifiedName>,
    pub validator: Option<QualifiedName>,
    pub options: Vec<OptionClause>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the SQL clauses of their names")]
pub struct AlterWrapper {
    pub name: String,
    pub action: AlterAction,
}

/// What ALTER does to a wrapper, a server or a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the SQL clauses of their names")]
pub enum AlterAction {
    Options(Vec<OptionAction>),
    /// `VERSION 'x'` with options.
    Version {
        version: Option<String>,
        options: Vec<OptionAction>,
    },
    OwnerTo(RoleSpec),
    RenameTo(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the SQL clauses of their names")]
pub struct AlterObject {
    pub name: String,
    pub action: AlterAction,
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the SQL clauses of their names")]
pub struct CreateServer {
    pub name: String,
    pub if_not_exists: bool,
    pub server_type: Option<String>,
    pub version: Option<String>,
    pub wrapper: String,
    pub options: Vec<OptionClause>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the SQL clauses of their names")]
pub struct AlterServer {
    pub name: String,
    pub action: AlterAction,
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the SQL clauses of their names")]
pub struct CreateUserMapping {
    pub user: RoleSpec,
    pub server: String,
    pub if_not_exists: bool,
    pub options: Vec<OptionClause>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the SQL clauses of their names")]
pub struct AlterUserMapping {
    pub user: RoleSpec,
    pub server: String,
    pub options: Vec<OptionAction>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the SQL clauses of their names")]
pub struct DropUserMapping {
    pub user: RoleSpec,
    pub server: String,
    pub if_exists: bool,
}

/// `name type [COLLATE c] [OPTIONS (…)] [[NOT] NULL] [DEFAULT e]`.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the SQL clauses of their names")]
pub struct ColumnClause {
    pub name: String,
    pub data_type: sql::DataType,
    /// Of the type's name, characters from 1.
    pub type_position: usize,
    pub not_null: bool,
    pub options: Vec<OptionClause>,
}

#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the SQL clauses of their names")]
pub struct CreateForeignTable {
    pub name: QualifiedName,
    pub if_not_exists: bool,
    /// `None`: read them from the source (no parentheses, or empty ones).
    pub columns: Option<Vec<ColumnClause>>,
    pub server: String,
    pub options: Vec<OptionClause>,
}

/// LOCK, ANALYZE, VACUUM or CHECKPOINT.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the SQL clauses of their names")]
pub struct Maintenance {
    pub kind: MaintenanceKind,
    pub relations: Vec<QualifiedName>,
}

/// Which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the SQL commands of their names")]
pub enum MaintenanceKind {
    Lock,
    Analyze,
    Vacuum,
    Checkpoint,
}

/// ALTER FOREIGN TABLE, and ALTER VIEW with the actions that a view has.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the SQL clauses of their names")]
pub struct AlterForeignTable {
    /// ALTER TABLE, which some clients use for every kind of relation.
    pub plain: bool,
    pub name: QualifiedName,
    pub if_exists: bool,
    pub actions: Vec<AlterTableAction>,
}

/// One action of ALTER FOREIGN TABLE.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the SQL clauses of their names")]
pub enum AlterTableAction {
    AddColumn {
        column: ColumnClause,
        if_not_exists: bool,
    },
    DropColumn {
        name: String,
        if_exists: bool,
        cascade: bool,
    },
    RenameColumn {
        name: String,
        new_name: String,
    },
    AlterType {
        name: String,
        data_type: sql::DataType,
        type_position: usize,
    },
    SetNotNull {
        name: String,
        not_null: bool,
    },
    ColumnOptions {
        name: String,
        options: Vec<OptionAction>,
    },
    Options(Vec<OptionAction>),
    RenameTo(String),
    SetSchema(String),
    OwnerTo(RoleSpec),
    /// `SET (…)` and `RESET (…)` of a view: names, with values in SET only.
    ViewOptions(Vec<(String, Option<String>)>),
}

impl AlterTableAction {
    /// Whether a view has it too.
    pub const fn is_for_any_relation(&self) -> bool {
        matches!(self, Self::RenameTo(_) | Self::SetSchema(_) | Self::OwnerTo(_) | Self::RenameColumn { .. })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the SQL clauses of their names")]
pub struct ImportForeignSchema {
    pub remote_schema: String,
    pub filter: ImportFilter,
    pub server: String,
    pub into: String,
    pub options: Vec<OptionClause>,
}

/// Which tables IMPORT takes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the SQL clauses of their names")]
pub enum ImportFilter {
    All,
    LimitTo(Vec<String>),
    Except(Vec<String>),
}

#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the SQL clauses of their names")]
pub struct CreateSchema {
    /// `None` with AUTHORIZATION: the role's name.
    pub name: Option<String>,
    pub if_not_exists: bool,
    pub authorization: Option<RoleSpec>,
    /// CREATE VIEW and GRANT, to be run in the new schema.
    pub elements: Vec<ParsedStatement>,
}

#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the SQL clauses of their names")]
pub struct CreateView {
    pub name: QualifiedName,
    pub or_replace: bool,
    pub if_not_exists: bool,
    pub columns: Vec<String>,
    /// The query, and its text as written: the text is what is stored.
    pub query: Box<sql::Query>,
    pub query_text: String,
    /// Where `query_text` begins in the statement: characters from 0.
    pub query_offset: usize,
    /// `WITH (security_invoker = true, …)`, checked; a value that was left out is `true`.
    pub options: Vec<(String, String)>,
}

/// The attributes of CREATE and ALTER ROLE; `None`: not given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the SQL words of their names")]
pub struct RoleAttributes {
    pub superuser: Option<bool>,
    pub create_db: Option<bool>,
    pub create_role: Option<bool>,
    pub inherit: Option<bool>,
    pub login: Option<bool>,
    pub replication: Option<bool>,
    pub bypass_rls: Option<bool>,
    pub connection_limit: Option<i32>,
    /// `PASSWORD NULL` is `Some(None)`.
    pub password: Option<Option<OptionValue>>,
    /// As written; checked by DDL.
    pub valid_until: Option<String>,
    pub in_roles: Vec<RoleSpec>,
    pub role_members: Vec<RoleSpec>,
    pub admin_members: Vec<RoleSpec>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the SQL clauses of their names")]
pub struct CreateRole {
    pub name: String,
    /// CREATE USER: login is the default, and the tag is still CREATE ROLE.
    pub user: bool,
    pub attributes: RoleAttributes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the SQL clauses of their names")]
pub struct AlterRole {
    pub role: RoleSpec,
    pub attributes: RoleAttributes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the SQL clauses of their names")]
pub struct AlterRoleSetting {
    /// `None`: ALL.
    pub role: Option<RoleSpec>,
    /// `IN DATABASE`.
    pub database: Option<String>,
    /// `None`: RESET ALL.
    pub name: Option<String>,
    /// `None`: RESET, or SET TO DEFAULT.
    pub value: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the SQL clauses of their names")]
pub struct AlterDatabaseSetting {
    pub database: String,
    /// `None`: RESET ALL.
    pub name: Option<String>,
    /// `None`: RESET, or SET TO DEFAULT.
    pub value: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the SQL clauses of their names")]
pub struct GrantRole {
    pub grant: bool,
    pub roles: Vec<String>,
    pub members: Vec<RoleSpec>,
    pub admin_option: bool,
    pub granted_by: Option<RoleSpec>,
    pub cascade: bool,
}

/// GRANT and REVOKE on objects.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the SQL clauses of their names")]
pub struct Grant {
    pub grant: bool,
    /// Empty: ALL PRIVILEGES.
    pub privileges: Vec<PrivilegeClause>,
    pub objects: GrantObjects,
    pub grantees: Vec<RoleSpec>,
    /// WITH GRANT OPTION, or GRANT OPTION FOR.
    pub grant_option: bool,
    pub granted_by: Option<RoleSpec>,
    pub cascade: bool,
}

/// ALTER DEFAULT PRIVILEGES.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlterDefaultPrivileges {
    /// `FOR ROLE`; empty: the current user.
    pub roles: Vec<RoleSpec>,
    /// `IN SCHEMA`; empty: in all.
    pub schemas: Vec<String>,
    /// What is granted, on no objects yet: a kind with an empty list.
    pub grant: Grant,
}

impl AlterDefaultPrivileges {
    /// Whether it is about schemas, else relations.
    pub const fn of_schemas(&self) -> bool {
        matches!(self.grant.objects, GrantObjects::Schemas(_))
    }
}

/// `SELECT (a, b)`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the SQL words of their names")]
pub struct PrivilegeClause {
    pub name: String,
    pub columns: Vec<String>,
}

/// What GRANT is on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the SQL words of their names")]
pub enum GrantObjects {
    Tables(Vec<QualifiedName>),
    AllTablesInSchema(Vec<String>),
    Schemas(Vec<String>),
    Wrappers(Vec<String>),
    Servers(Vec<String>),
    Databases(Vec<String>),
}

/// DROP.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the SQL clauses of their names")]
pub struct Drop {
    pub kind: DropKind,
    pub names: Vec<QualifiedName>,
    pub if_exists: bool,
    pub cascade: bool,
}

/// Kinds that DROP knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the SQL words of their names")]
pub enum DropKind {
    Wrapper,
    Server,
    ForeignTable,
    View,
    Schema,
    Role,
    /// DROP TABLE: an error with PostgreSQL's hint where the relation is a foreign table.
    Table,
    /// There are none: what a foreign table's or view's name finds is an error too.
    Index,
    Sequence,
    MaterializedView,
    Extension,
}

/// COMMENT ON.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the SQL clauses of their names")]
pub struct Comment {
    pub target: CommentTarget,
    pub comment: Option<String>,
}

/// What COMMENT is on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the SQL words of their names")]
pub enum CommentTarget {
    Wrapper(String),
    Server(String),
    ForeignTable(QualifiedName),
    View(QualifiedName),
    /// There are none: `42809` where the relation exists, else `42P01`.
    Table(QualifiedName),
    /// The relation and the column.
    Column(QualifiedName, String),
    Schema(String),
    Role(String),
    Database(String),
}

/// What a transaction is said to be, as far as it is said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the SQL words of their names")]
pub struct TransactionModes {
    pub isolation: Option<String>,
    /// `READ ONLY`, or `READ WRITE`.
    pub read_only: Option<bool>,
    pub deferrable: Option<bool>,
}

/// Transaction control.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the SQL commands of their names")]
pub enum Transaction {
    /// BEGIN is tagged BEGIN, START TRANSACTION by its own name.
    Begin {
        start: bool,
        modes: TransactionModes,
    },
    Commit {
        chain: bool,
    },
    Rollback {
        chain: bool,
    },
    Savepoint(String),
    Release(String),
    RollbackTo(String),
    /// `SET TRANSACTION`; `session`: SET SESSION CHARACTERISTICS.
    Characteristics {
        modes: TransactionModes,
        session: bool,
    },
    /// PREPARE TRANSACTION and its kin: 0A000.
    TwoPhase,
    /// COMMIT PREPARED, ROLLBACK PREPARED: there is no such transaction.
    Prepared(String),
}

/// SET.
///
/// `SET TIME ZONE INTERVAL '…' HOUR TO MINUTE` gives the interval's text.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the SQL clauses of their names")]
pub struct SetVariable {
    pub local: bool,
    /// Lower case; `time zone` is `timezone`, `names` is `client_encoding`, `session authorization` and `role` as such.
    pub name: String,
    /// `None`: DEFAULT. Several values are a list, as for search_path.
    pub values: Option<Vec<String>>,
}

/// DISCARD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the SQL words of their names")]
pub enum DiscardTarget {
    All,
    Plans,
    Sequences,
    Temp,
}

/// DECLARE … CURSOR.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the SQL clauses of their names")]
pub struct DeclareCursor {
    pub name: String,
    pub binary: bool,
    /// `SCROLL`, `NO SCROLL`, or neither.
    pub scroll: Option<bool>,
    pub hold: bool,
    pub query: Box<ParsedStatement>,
}

/// FETCH and MOVE.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the SQL clauses of their names")]
pub struct Fetch {
    pub cursor: String,
    /// MOVE: count only.
    pub is_move: bool,
    pub direction: FetchDirection,
}

/// `i64::MAX` stands for ALL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the SQL words of their names")]
pub enum FetchDirection {
    Forward(i64),
    Backward(i64),
    First,
    Last,
    Absolute(i64),
    Relative(i64),
}

/// COPY … TO STDOUT.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the SQL clauses of their names")]
pub struct CopyTo {
    /// `COPY t (a, b) TO` is turned into this query.
    pub query: Box<sql::Query>,
    /// The `t` of it.
    pub relation: Option<QualifiedName>,
    pub format: CopyFormat,
    pub delimiter: char,
    pub null: String,
    pub header: bool,
    pub quote: char,
    pub escape: char,
    /// `FORCE_QUOTE *` or columns.
    pub force_quote: Vec<String>,
    pub force_quote_all: bool,
}

/// COPY's formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the SQL words of their names")]
pub enum CopyFormat {
    Text,
    Csv,
    Binary,
}
