//! One connection: user, settings, transaction state, prepared statements, cursors, cancellation.

mod admission;
pub mod backends;
mod cursor;
mod ddl;
pub mod engine;
mod execute;
mod explain;
mod explain_formats;
mod maintenance;
mod memory;
pub mod outcome;
mod planning;
mod plans;
mod query;
pub mod settings;
pub mod shown;
mod stoppable;
mod system;
mod transaction;
mod variables;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::SystemTime;

use atoll_connector_api::types::PgType;
use atoll_connector_api::types::text::OutputStyle;
use datafusion::common::ScalarValue;

use crate::catalog::model::{DATABASE_OID, Privilege};
use crate::catalog::{Catalog, Oid, privilege};
use crate::error::{Notice, SqlError, SqlResult, SqlState};
use crate::federation::pg_catalog::AdvisoryGuard;
use crate::statement::ast::{Statement, Transaction, TransactionModes};
use crate::statement::{self, ParsedStatement};

use backends::{Backend, BackendGuard};
use cursor::Cursor;
pub use engine::{Engine, EngineConfig};
use execute::Limits;
pub use outcome::{CancelReason, Canceller, Outcome, ResultColumn, Rows, RowsTag, TransactionStatus};
pub use query::same_row_type;
use settings::Settings;
use transaction::TransactionState;

/// What a client says when it connects, authenticated.
#[derive(Debug, Clone)]
pub struct Startup {
    /// The role, authenticated.
    pub user: String,
    /// The database asked for; PostgreSQL's default, the user's name, is replaced by our database.
    pub database: Option<String>,
    /// Settings from the startup packet, `options` taken apart included.
    pub settings: Vec<(String, String)>,
    /// For pg_stat_activity: an address and port, or `None` for a unix socket.
    pub peer: Option<std::net::SocketAddr>,
    /// The process id of the cancel key.
    pub pid: i32,
    /// Whether the server speaks TLS: the setting `ssl`.
    pub tls_offered: bool,
    /// How this connection is encrypted, for `pg_stat_ssl`.
    pub tls: Option<TlsInfo>,
}

/// How a connection is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsInfo {
    /// `TLSv1.3`.
    pub version: &'static str,
    /// `TLS_AES_256_GCM_SHA384`.
    pub cipher: String,
}

/// A statement that was parsed and described.
#[derive(Debug)]
pub struct Prepared {
    /// The statement; `None`: empty query.
    pub statement: Option<ParsedStatement>,
    /// Types of `$1`, `$2` …
    pub parameters: Vec<PgType>,
    /// The rows it will return; `None`: it returns none.
    pub columns: Option<Vec<ResultColumn>>,
    /// The plan that describing it made, for the first execution, or for all of them.
    planned: plans::PlanSlot,
    /// What the client said of the parameters.
    given: Vec<Option<PgType>>,
    /// How its literals are read, whatever is set later.
    style: Option<OutputStyle>,
    /// When it was prepared.
    made: SystemTime,
    /// How often it was run.
    runs: AtomicI64,
}

/// One connection's state. Dropping it rolls back and ends its remote work.
#[derive(Debug)]
pub struct Session {
    engine: Arc<Engine>,
    backend: BackendGuard,
    canceller: Canceller,
    /// Who logged in.
    login: Oid,
    session_user: Oid,
    current_user: Oid,
    /// The server whose live catalog is the database; `None`: our own.
    live: Option<String>,
    settings: Settings,
    /// Counts changes of settings and role, so that a kept plan is not used after one.
    generation: u64,
    transaction: TransactionState,
    /// What PREPARE made, with the text of the PREPARE.
    prepared: BTreeMap<String, (Arc<Prepared>, Option<String>)>,
    /// How many cursors DECLARE has made.
    cursors_made: u64,
    cursors: BTreeMap<String, Cursor>,
    kept_plans: plans::KeptPlans,
    /// Functions and options of its statements, once there was one.
    planning: Option<Arc<planning::Planning>>,
    /// What the protocol holds, for the system tables: the wire says it.
    protocol: shown::ProtocolObjects,
    advisory: AdvisoryGuard,
    notices: Vec<Notice>,
    reported: HashMap<&'static str, String>,
    live_catalog: Option<system::LiveCatalog>,
    /// Types of sources that results were described with: a driver asks `pg_type` about them.
    described_types: system::DescribedTypes,
    pending_settings: system::PendingSettings,
    pending_notices: system::PendingNotices,
}

/// Whether a role may connect to the database at all.
///
/// # Errors
/// `42501`.
fn check_connect(catalog: &Catalog, user: Oid) -> SqlResult<()> {
    let Some(database) = catalog.get(DATABASE_OID) else { return Ok(()) };
    if privilege::has_privilege(catalog, user, database, Privilege::Connect) {
        return Ok(());
    }
    let message = format!("permission denied for database \"{}\"", database.header().name);
    Err(SqlError::denied(message).detail("User does not have CONNECT privilege."))
}

impl Session {
    /// Opens a session for an authenticated role.
    ///
    /// # Errors
    /// `28000` no such role or no LOGIN; `3D000` no such database; `53300` too many connections; `22023` bad settings.
    pub async fn open(engine: Arc<Engine>, startup: Startup) -> SqlResult<Self> {
        let catalog = engine.catalog();
        let role = catalog.role(&startup.user).cloned().ok_or_else(|| {
            SqlError::new(
                SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
                format!("role \"{}\" does not exist", startup.user),
            )
        })?;
        let user = role.header.oid;
        if !role.login {
            return Err(SqlError::new(
                SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
                format!("role \"{}\" is not permitted to log in", startup.user),
            ));
        }
        let held = engine.backends.count_of(user);
        if role.connection_limit >= 0 && !role.superuser && held >= usize::try_from(role.connection_limit).unwrap_or(0)
        {
            return Err(SqlError::new(
                SqlState::TOO_MANY_CONNECTIONS,
                format!("too many connections for role \"{}\"", startup.user),
            ));
        }
        check_connect(&catalog, user)?;
        let live = system::database_of(&engine, &catalog, user, startup.database.as_deref(), &startup.user)?;
        let mut settings = Settings::default();
        if startup.tls_offered {
            settings.set_base("ssl", "on");
        }
        // The role's own count more than the database's. One that was stored may have become invalid: PostgreSQL warns and
        // goes on.
        for (name, value) in catalog.initial_settings(&role) {
            if let Err(error) = settings.set_base_checked(name, value) {
                tracing::warn!(sqlstate = error.sqlstate.as_str(), "a stored setting of \"{name}\" is not valid");
            }
        }
        for (name, value) in &startup.settings {
            settings.set_base_checked(name, value)?;
        }
        let canceller = Canceller::default();
        let now = SystemTime::now();
        let backend = engine.backends.add(Backend {
            pid: startup.pid,
            user,
            superuser: role.superuser,
            database: live.clone().unwrap_or_else(|| engine.config.database.clone()),
            application_name: settings.get("application_name").unwrap_or_default().to_owned(),
            peer: startup.peer,
            started: now,
            transaction_started: None,
            query_started: None,
            state_changed: now,
            state: "idle",
            query: String::new(),
            tls: startup.tls,
            canceller: canceller.clone(),
        });
        let advisory = AdvisoryGuard(engine.advisory.session());
        let mut session = Self {
            engine,
            advisory,
            backend,
            canceller,
            login: user,
            session_user: user,
            current_user: user,
            live,
            settings,
            generation: 0,
            transaction: TransactionState::default(),
            prepared: BTreeMap::new(),
            cursors_made: 0,
            cursors: BTreeMap::new(),
            kept_plans: plans::KeptPlans::default(),
            planning: None,
            protocol: shown::ProtocolObjects::default(),
            notices: Vec::new(),
            reported: HashMap::new(),
            live_catalog: None,
            described_types: system::DescribedTypes::default(),
            pending_settings: system::PendingSettings::default(),
            pending_notices: system::PendingNotices::default(),
        };
        session.role_settings();
        session.open_live().await?;
        Ok(session)
    }

    /// What all connections share.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Cancels this session's running statement, from any thread.
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// Splits and parses what a client sent. A syntax error anywhere fails the whole text, as in PostgreSQL.
    ///
    /// # Errors
    /// `42601` with a position, `0A000`.
    pub fn parse(&self, sql: &str) -> SqlResult<Vec<ParsedStatement>> {
        statement::parse(sql)
    }

    /// Plans a statement as far as its parameters and columns need. `types` are those the client gave, by position.
    ///
    /// # Errors
    /// Whatever planning finds.
    pub async fn prepare(
        &mut self,
        statement: Option<ParsedStatement>,
        types: &[Option<PgType>],
    ) -> SqlResult<Arc<Prepared>> {
        let Some(statement) = statement else {
            return Ok(Arc::new(Prepared::without_rows(None, types)));
        };
        self.apply_pending_settings();
        self.notices.extend(statement.notices.iter().cloned());
        self.require_not_failed(&statement.statement)?;
        self.show_activity(&statement);
        self.canceller.begin_statement();
        self.settings.clock().plan();
        let prepared = self.describe(statement, types).await;
        if prepared.is_err() {
            self.fail();
        }
        prepared.map(Arc::new)
    }

    /// Runs a statement. `parameters` are of the storage of [`Prepared::parameters`]. Starts the implicit transaction
    /// where none is open; the caller ends it with [`Self::end_implicit`]. An error has already failed the transaction.
    ///
    /// # Errors
    /// Whatever planning or running up to the first batch finds.
    pub async fn run(&mut self, prepared: &Prepared, parameters: Vec<ScalarValue>) -> SqlResult<Outcome> {
        let Some(statement) = &prepared.statement else { return Ok(Outcome::Empty) };
        prepared.runs.fetch_add(1, Ordering::Relaxed);
        self.apply_pending_settings();
        self.show_activity(statement);
        self.canceller.begin_statement();
        self.settings.clock().run();
        self.transaction.enter(&mut self.settings);
        let outcome = match self.require_not_failed(&statement.statement).and_then(|()| self.rebase(statement)) {
            Ok(()) => self.dispatch(prepared, statement, parameters).await,
            Err(error) => Err(error),
        };
        if outcome.is_err() {
            self.fail();
        }
        outcome
    }

    /// The limits of a statement, whose time runs from its first call.
    fn limits(&self) -> Limits {
        self.canceller.arm(self.settings.time("statement_timeout"));
        Limits::new(self.canceller.clone())
    }

    /// Shows a statement in `pg_stat_activity`: from its planning on, so that it sees itself.
    fn show_activity(&self, statement: &ParsedStatement) {
        let now = SystemTime::now();
        let fresh = self.transaction.idle();
        let query = backends::shown_query(&shown_text(statement));
        self.backend.update(|backend| {
            if backend.state != "active" {
                backend.state_changed = now;
            }
            if backend.state != "active" || backend.query != query {
                backend.query_started = Some(now);
            }
            backend.query = query;
            backend.state = "active";
            if fresh {
                backend.transaction_started = Some(now);
            }
        });
    }

    /// Read committed: each statement of a transaction sees what others have committed meanwhile, beneath its own DDL.
    fn rebase(&mut self, statement: &ParsedStatement) -> SqlResult<()> {
        // A conflict must not keep a block from ending: ROLLBACK does not care, and COMMIT finds it while it ends.
        if matches!(statement.statement, Statement::Transaction(_)) {
            return Ok(());
        }
        let newest = self.engine.catalog();
        match &mut self.transaction.working {
            Some(working) => working.rebase(&newest),
            _ => Ok(()),
        }
    }

    async fn dispatch(
        &mut self,
        prepared: &Prepared,
        statement: &ParsedStatement,
        parameters: Vec<ScalarValue>,
    ) -> SqlResult<Outcome> {
        let limits = self.limits();
        if reads_rows(&statement.statement) {
            self.transaction.read();
        }
        match &statement.statement {
            Statement::Empty => Ok(Outcome::Empty),
            Statement::Query(_) => Ok(Outcome::Rows(self.select(prepared, parameters, &limits).await?)),
            Statement::Explain(explain) => self.explain(explain, parameters, &limits).await,
            Statement::CopyTo(copy) => self.copy_to(copy, &statement.text, &limits).await,
            Statement::Transaction(transaction) => self.transact(transaction).await,
            Statement::Set(set) => self.set_variable(set),
            Statement::Show { name } => self.show(name),
            Statement::Reset { name } => self.reset(name.as_deref()),
            Statement::Discard(target) => self.discard(*target),
            Statement::Prepare { name, types, statement: inner } => {
                self.sql_prepare(name, types, inner, (&statement.text, statement.offset)).await
            }
            Statement::Execute { name, arguments } => self.sql_execute(name, arguments, &limits).await,
            Statement::Deallocate { name } => self.deallocate(name.as_deref()),
            Statement::DeclareCursor(declare) => {
                self.declare(declare, prepared, parameters, &limits, &statement.text).await
            }
            Statement::Fetch(fetch) => self.fetch(fetch).await,
            Statement::CloseCursor { name } => self.close_cursor(name.as_deref()),
            Statement::Unlisten => Ok(Outcome::Command("UNLISTEN".to_owned())),
            Statement::Maintenance(maintenance) => self.maintain(maintenance),
            Statement::Unsupported { message, hint, position, relation } => {
                self.check_written(relation.as_ref())?;
                Err(unsupported(message, hint.as_deref()).at(*position))
            }
            _ => self.define(statement, &limits).await,
        }
    }

    /// A statement failed outside of [`Self::run`], for example while its rows were sent.
    pub fn fail(&mut self) {
        self.transaction.fail();
    }

    /// Ends an implicit transaction: at Sync, and after the last statement of a simple query. Commits unless failed.
    ///
    /// # Errors
    /// `40001` and what the store says.
    pub async fn end_implicit(&mut self) -> SqlResult<()> {
        let ended = if self.transaction.in_block() || self.transaction.idle() {
            Ok(())
        } else {
            self.end_transaction(true).await
        };
        if !self.transaction.in_block() {
            self.settings.clock().end();
        }
        let state = match self.transaction.status() {
            TransactionStatus::Idle => "idle",
            TransactionStatus::InBlock => "idle in transaction",
            TransactionStatus::Failed => "idle in transaction (aborted)",
        };
        let over = self.transaction.idle();
        self.backend.update(|backend| {
            backend.state = state;
            backend.state_changed = SystemTime::now();
            if over {
                backend.transaction_started = None;
            }
        });
        ended
    }

    /// Whether committing now would write: the tag of the last statement should wait for [`Self::end_implicit`].
    pub fn has_uncommitted_changes(&self) -> bool {
        !self.transaction.in_block() && self.transaction.working.is_some()
    }

    /// For ReadyForQuery.
    pub fn transaction_status(&self) -> TransactionStatus {
        self.transaction.status()
    }

    /// Notices since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        self.notices.append(&mut self.pending_notices.lock().unwrap_or_else(PoisonError::into_inner));
        let shown = match self.settings.get("client_min_messages") {
            Some("warning") => Some(crate::error::NoticeSeverity::Warning),
            Some("error") => return std::mem::take(&mut self.notices).into_iter().filter(|_| false).collect(),
            _ => None,
        };
        let notices = std::mem::take(&mut self.notices);
        notices.into_iter().filter(|notice| shown.is_none_or(|least| notice.severity == least)).collect()
    }

    /// `ParameterStatus` to send: all of them at the first call, later those that changed since.
    pub fn take_parameter_changes(&mut self) -> Vec<(&'static str, String)> {
        self.apply_pending_settings();
        let mut changes = Vec::new();
        for definition in settings::DEFINITIONS.iter().filter(|definition| definition.reported) {
            let value = self.settings.get(definition.name).unwrap_or_default();
            if self.reported.get(definition.name).is_none_or(|known| known != value) {
                changes.push((definition.name, value.to_owned()));
                self.reported.insert(definition.name, value.to_owned());
            }
        }
        changes
    }

    /// How values print under the session's settings.
    pub fn output_style(&self) -> OutputStyle {
        self.settings.output_style()
    }

    /// How long the client may stay idle inside a transaction block; `None`: for ever.
    pub fn idle_in_transaction_timeout(&self) -> Option<std::time::Duration> {
        self.settings.time("idle_in_transaction_session_timeout")
    }

    /// How long the client may stay idle outside a transaction block; `None`: for ever.
    pub fn idle_session_timeout(&self) -> Option<std::time::Duration> {
        self.settings.time("idle_session_timeout")
    }

    fn login_user(&self) -> Oid {
        self.login
    }

    /// The catalog that statements see: the last committed, or this transaction's own.
    fn catalog(&self) -> Arc<Catalog> {
        match &self.transaction.working {
            Some(working) => Arc::clone(working.current()),
            None => self.engine.catalog(),
        }
    }

    fn require_not_failed(&self, statement: &Statement) -> SqlResult<()> {
        let ends = matches!(
            statement,
            Statement::Transaction(
                Transaction::Commit { .. } | Transaction::Rollback { .. } | Transaction::RollbackTo(_)
            )
        );
        if self.transaction.failed() && !ends {
            return Err(SqlError::new(
                SqlState::IN_FAILED_SQL_TRANSACTION,
                "current transaction is aborted, commands ignored until end of transaction block",
            ));
        }
        Ok(())
    }

    async fn transact(&mut self, transaction: &Transaction) -> SqlResult<Outcome> {
        let tag = match transaction {
            Transaction::Begin { start, modes } => {
                if self.transaction.in_block() {
                    self.notices.push(Notice::warning(
                        SqlState::ACTIVE_SQL_TRANSACTION,
                        "there is already a transaction in progress",
                    ));
                }
                self.transaction.begin();
                self.characteristics(modes, false)?;
                if *start { "START TRANSACTION" } else { "BEGIN" }
            }
            Transaction::Commit { chain } | Transaction::Rollback { chain } => {
                let commit = matches!(transaction, Transaction::Commit { .. });
                let failed = self.transaction.failed();
                if !self.transaction.in_block() {
                    if *chain {
                        return Err(SqlError::new(
                            SqlState::NO_ACTIVE_SQL_TRANSACTION,
                            format!(
                                "{} AND CHAIN can only be used in transaction blocks",
                                if commit { "COMMIT" } else { "ROLLBACK" }
                            ),
                        ));
                    }
                    self.notices.push(Notice::warning(
                        SqlState::NO_ACTIVE_SQL_TRANSACTION,
                        "there is no transaction in progress",
                    ));
                }
                self.end_transaction(commit).await?;
                if *chain {
                    self.transaction.enter(&mut self.settings);
                    self.transaction.begin();
                }
                if commit && !failed { "COMMIT" } else { "ROLLBACK" }
            }
            Transaction::Savepoint(name) => {
                self.transaction.savepoint(name, &self.settings, self.cursors_made)?;
                "SAVEPOINT"
            }
            Transaction::Release(name) => {
                self.transaction.release(name)?;
                "RELEASE"
            }
            Transaction::RollbackTo(name) => {
                self.apply_pending_settings();
                let cursors = self.transaction.rollback_to(name, &mut self.settings)?;
                self.cursors.retain(|_, cursor| cursor.number <= cursors);
                self.role_settings();
                self.show_application_name();
                "ROLLBACK"
            }
            Transaction::Characteristics { modes, session } => {
                if !session && !self.transaction.in_block() {
                    self.notices.push(Notice::warning(
                        SqlState::NO_ACTIVE_SQL_TRANSACTION,
                        "SET TRANSACTION can only be used in transaction blocks",
                    ));
                }
                self.characteristics(modes, *session)?;
                "SET"
            }
            Transaction::Prepared(name) => {
                let message = format!("prepared transaction with identifier \"{name}\" does not exist");
                return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
            }
            Transaction::TwoPhase => {
                return Err(SqlError::unsupported("two-phase commit is not supported"));
            }
        };
        Ok(Outcome::Command(tag.to_owned()))
    }

    fn characteristics(&mut self, modes: &TransactionModes, session: bool) -> SqlResult<()> {
        let prefix = if session { "default_" } else { "" };
        let on = |on: bool| if on { "on" } else { "off" }.to_owned();
        let said = [
            ("isolation", modes.isolation.as_ref().map(|level| level.to_lowercase())),
            ("read_only", modes.read_only.map(on)),
            ("deferrable", modes.deferrable.map(on)),
        ];
        for (name, value) in said {
            if let Some(value) = value {
                self.apply_setting(&format!("{prefix}transaction_{name}"), Some(&[value]), !session)?;
            }
        }
        Ok(())
    }

    async fn end_transaction(&mut self, commit: bool) -> SqlResult<()> {
        // What set_config did in this transaction ends with it, or becomes the session's.
        self.apply_pending_settings();
        let working = self.transaction.take(commit, &mut self.settings);
        self.settings.clock().end();
        self.generation += 1;
        self.cursors.retain(|_, cursor| cursor.hold);
        self.advisory.0.end_transaction();
        self.role_settings();
        self.show_application_name();
        match working {
            Some((working, repeatable)) => self.commit(working, repeatable).await,
            None => Ok(()),
        }
    }
}

impl Prepared {
    fn without_rows(statement: Option<ParsedStatement>, types: &[Option<PgType>]) -> Self {
        let text = || PgType::new(atoll_connector_api::types::oids::TEXT);
        Self {
            statement,
            parameters: types.iter().map(|given| given.clone().unwrap_or_else(text)).collect(),
            columns: None,
            planned: plans::PlanSlot::default(),
            given: types.to_vec(),
            style: None,
            made: SystemTime::now(),
            runs: AtomicI64::new(0),
        }
    }
}

/// Whether a statement sees the sources as they are: what its transaction is has to be said before.
fn reads_rows(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::Query(_)
            | Statement::Explain(_)
            | Statement::CopyTo(_)
            | Statement::DeclareCursor(_)
            | Statement::Execute { .. }
    )
}

/// `0A000` for a statement that Atoll does not run.
fn unsupported(message: &str, hint: Option<&str>) -> SqlError {
    let error = SqlError::unsupported(message);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// A statement's text for `pg_stat_activity`: its first word alone where options or attributes may hold a secret. What is not
/// known to hold none counts as one that does: a statement that is refused is shown while it is.
fn shown_text(statement: &ParsedStatement) -> Cow<'_, str> {
    if holds_no_secret(&statement.statement) {
        return Cow::Borrowed(&statement.text);
    }
    let text = statement.text.trim_start();
    let word = text.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    let object = match &statement.statement {
        Statement::CreateUserMapping(_) | Statement::AlterUserMapping(_) => " USER MAPPING",
        Statement::CreateRole(_) | Statement::AlterRole(_) => " ROLE",
        Statement::CreateServer(_) | Statement::AlterServer(_) => " SERVER",
        Statement::CreateWrapper(_) | Statement::AlterWrapper(_) => " FOREIGN DATA WRAPPER",
        Statement::CreateForeignTable(_) | Statement::AlterForeignTable(_) => " FOREIGN TABLE",
        Statement::ImportForeignSchema(_) => " FOREIGN SCHEMA",
        _ => "",
    };
    Cow::Owned(format!("{}{object} …", word.to_ascii_uppercase()))
}

fn holds_no_secret(statement: &Statement) -> bool {
    match statement {
        Statement::Query(_)
        | Statement::CopyTo(_)
        | Statement::CreateSchema(_)
        | Statement::AlterSchema(_)
        | Statement::CreateView(_)
        | Statement::AlterView(_)
        | Statement::AlterRoleSetting(_)
        | Statement::AlterDatabaseSetting(_)
        | Statement::RenameRole { .. }
        | Statement::GrantRole(_)
        | Statement::Grant(_)
        | Statement::AlterDefaultPrivileges(_)
        | Statement::Drop(_)
        | Statement::DropUserMapping(_)
        | Statement::DropOwned { .. }
        | Statement::ReassignOwned { .. }
        | Statement::Comment(_)
        | Statement::CreateExtension { .. }
        | Statement::Transaction(_)
        | Statement::Set(_)
        | Statement::Show { .. }
        | Statement::Reset { .. }
        | Statement::Discard(_)
        | Statement::Execute { .. }
        | Statement::Deallocate { .. }
        | Statement::Fetch(_)
        | Statement::CloseCursor { .. }
        | Statement::Unlisten
        | Statement::Maintenance(_)
        | Statement::Empty => true,
        Statement::Explain(explain) => holds_no_secret(&explain.statement.statement),
        Statement::Prepare { statement, .. } => holds_no_secret(&statement.statement),
        Statement::DeclareCursor(declare) => holds_no_secret(&declare.query.statement),
        Statement::CreateUserMapping(_)
        | Statement::AlterUserMapping(_)
        | Statement::CreateRole(_)
        | Statement::AlterRole(_)
        | Statement::CreateServer(_)
        | Statement::AlterServer(_)
        | Statement::CreateWrapper(_)
        | Statement::AlterWrapper(_)
        | Statement::CreateForeignTable(_)
        | Statement::AlterForeignTable(_)
        | Statement::ImportForeignSchema(_)
        | Statement::Unsupported { .. } => false,
    }
}
