//! DDL: what it needs is fetched from sources and the planner, then it changes the transaction's overlay.

use std::sync::Arc;
use std::time::Duration;

use atoll_connector_api::options::check_options;
use atoll_connector_api::{ConnectorError, OptionScope, OptionSpec, Options};

use super::execute::Limits;
use super::{Outcome, Session};
use crate::catalog::ddl::{self, DdlContext, Facts, ImportedTable, Need, ViewFacts, Working, WrapperRegistry};
use crate::catalog::model::{Change, Object};
use crate::catalog::store::{CommitError, StoreError};
use crate::catalog::{Catalog, Oid};
use crate::error::{Notice, SqlError, SqlResult, SqlState};
use crate::federation::view_facts;
use crate::host::Registry;
use crate::statement::ParsedStatement;
use crate::statement::Statement;
use crate::statement::ast::{AlterDatabaseSetting, AlterRoleSetting, CreateView, ImportFilter};
use crate::wire::sqlstate;

/// How often a statement is applied again whose commit met another's.
const COMMIT_RETRIES_MAX: u32 = 10;
/// How long it waits for others that are being applied again.
const COMMIT_TURN_TIMEOUT: Duration = Duration::from_secs(2);
/// Tables that one IMPORT may make.
const IMPORT_TABLES_MAX: usize = 100_000;

/// As whom, and in which schemas, a statement is run.
struct Acting {
    user: Oid,
    search_path: Vec<String>,
}

impl WrapperRegistry for Registry {
    fn options(&self, connector: &str) -> Option<&'static [OptionSpec]> {
        self.get(connector).map(|connector| connector.options())
    }

    fn check(&self, connector: &str, scope: OptionScope, options: &Options) -> Result<(), ConnectorError> {
        let Some(connector) = self.get(connector) else { return Ok(()) };
        check_options(connector.options(), scope, options.iter())?;
        connector.check(scope, options)
    }
}

impl Session {
    /// Runs a statement that changes the catalog.
    pub(super) async fn define(&mut self, statement: &ParsedStatement, limits: &Limits) -> SqlResult<Outcome> {
        if !ddl::is_ddl(&statement.statement) {
            return Err(SqlError::unsupported("this statement is not supported"));
        }
        if self.settings.on("transaction_read_only") {
            return Err(SqlError::new(
                SqlState::READ_ONLY_SQL_TRANSACTION,
                format!("cannot execute {} in a read-only transaction", ddl::command_tag(&statement.statement)),
            ));
        }
        if self.live.is_some() {
            return Err(SqlError::unsupported("DDL is not supported inside a foreign server's database")
                .hint(format!("Connect to the database \"{}\" instead.", self.engine.config.database)));
        }
        let alone = !self.transaction.in_block() && self.transaction.working.is_none();
        let mut working = match self.transaction.working.take() {
            Some(working) => working,
            None => Working::new(self.engine.catalog()),
        };
        let done = self.define_all(&mut working, statement, limits).await;
        // A statement that failed has changed nothing: the block is failed, and a savepoint before it may still be kept.
        self.transaction.working = Some(working);
        let outcome = done?;
        self.transaction.repeatable = alone.then(|| Box::new(statement.clone()));
        self.notices.extend(outcome.notices);
        self.generation += 1;
        Ok(Outcome::Command(outcome.tag.to_owned()))
    }

    /// A statement, and what CREATE SCHEMA includes: all of it or nothing.
    async fn define_all(
        &mut self,
        working: &mut Working,
        statement: &ParsedStatement,
        limits: &Limits,
    ) -> SqlResult<ddl::DdlOutcome> {
        let user = self.catalog_role_name();
        let mut acting = Acting { user: self.current_user, search_path: self.settings.search_path(&user) };
        let Statement::CreateSchema(create) = &statement.statement else {
            return self.define_in(working, statement, &acting, limits).await;
        };
        let mut draft = working.clone();
        let mut outcome = self.define_in(&mut draft, statement, &acting, limits).await?;
        let schema = ddl::schema_made(&draft, self.session_user, self.current_user, create);
        if let Some((name, owner)) = schema.filter(|_| !create.elements.is_empty()) {
            acting.user = owner;
            acting.search_path.insert(0, name.clone());
            for element in &create.elements {
                if let Statement::CreateView(view) = &element.statement
                    && let Some(other) = view.name.schema().filter(|other| *other != name)
                {
                    let message =
                        format!("CREATE specifies a schema ({other}) different from the one being created ({name})");
                    return Err(SqlError::new(SqlState::INVALID_SCHEMA_DEFINITION, message));
                }
                let made = self.define_in(&mut draft, element, &acting, limits).await?;
                outcome.notices.extend(made.notices);
            }
        }
        *working = draft;
        Ok(outcome)
    }

    async fn define_in(
        &mut self,
        working: &mut Working,
        statement: &ParsedStatement,
        acting: &Acting,
        limits: &Limits,
    ) -> SqlResult<ddl::DdlOutcome> {
        let engine = Arc::clone(&self.engine);
        let style = self.output_style();
        let context = DdlContext {
            session_user: self.session_user,
            current_user: acting.user,
            search_path: &acting.search_path,
            wrappers: &engine.host.registry,
            key: engine.host.key(),
            style: &style,
            is_system_relation: crate::federation::pg_catalog::is_system_relation,
        };
        let facts = match ddl::needs(&context, working, &statement.statement)? {
            Need::Nothing => Facts::None,
            Need::Table { server, options } => self.table_facts(working.current(), server, options, limits).await?,
            Need::Import { server, schema, filter } => {
                self.import_facts(working.current(), server, (schema, filter), limits).await?
            }
            Need::View(create) => {
                let catalog = Arc::clone(working.current());
                Facts::View(self.view_facts(create, catalog, (statement, acting), limits).await?)
            }
        };
        let wanted = ddl::oids_needed(&statement.statement, &facts);
        if working.oids_left() < wanted {
            let oids = self.engine.store().allocate_oids(wanted).await.map_err(|error| store_error(&error))?;
            working.supply_oids(oids);
        }
        let mut draft = working.clone();
        let outcome = match self.stored_setting(&statement.statement) {
            // Who may change it and whether the role exists comes before whether the setting does, as in PostgreSQL.
            Some(Err(error)) => {
                ddl::apply(&context, &mut draft, &statement.statement, &facts)?;
                return Err(error);
            }
            Some(Ok(spelled)) => ddl::apply(&context, &mut draft, &spelled, &facts),
            None => ddl::apply(&context, &mut draft, &statement.statement, &facts),
        }?;
        *working = draft;
        Ok(outcome)
    }

    /// Checks what ALTER ROLE … SET and ALTER DATABASE … SET would store, and spells its name as it is known.
    fn stored_setting(&self, statement: &Statement) -> Option<SqlResult<Statement>> {
        let check = |name: &str, value: &Option<String>| self.settings.check_stored(name, value.as_deref()).map(Some);
        match statement {
            Statement::AlterRoleSetting(alter) => alter.name.as_ref().map(|name| {
                let name = check(name, &alter.value)?;
                Ok(Statement::AlterRoleSetting(AlterRoleSetting { name, ..alter.clone() }))
            }),
            Statement::AlterDatabaseSetting(alter) => alter.name.as_ref().map(|name| {
                let name = check(name, &alter.value)?;
                Ok(Statement::AlterDatabaseSetting(AlterDatabaseSetting { name, ..alter.clone() }))
            }),
            _ => None,
        }
    }

    fn catalog_role_name(&self) -> String {
        self.catalog().role_name(self.current_user)
    }

    async fn table_facts(
        &self,
        catalog: &Arc<Catalog>,
        server: Oid,
        options: Options,
        limits: &Limits,
    ) -> SqlResult<Facts> {
        let (host, catalog, user) = (Arc::clone(&self.engine.host), Arc::clone(catalog), self.current_user);
        limits
            .run(self.engine.cpu(), async move {
                let server = catalog
                    .server_by_oid(server)
                    .ok_or_else(|| SqlError::internal("the server of a foreign table is gone"))?;
                let source = host.source(&catalog, server, user)?;
                let definition = source.describe(&options).await.map_err(|error| sqlstate::connector_error(&error))?;
                Ok(Facts::Table(definition))
            })
            .await
    }

    async fn import_facts(
        &mut self,
        catalog: &Arc<Catalog>,
        server: Oid,
        (schema, filter): (&str, &ImportFilter),
        limits: &Limits,
    ) -> SqlResult<Facts> {
        let (host, catalog, user) = (Arc::clone(&self.engine.host), Arc::clone(catalog), self.current_user);
        let (schema, filter) = (schema.to_owned(), filter.clone());
        let (tables, skipped) = limits
            .run(self.engine.cpu(), async move {
                let server = catalog
                    .server_by_oid(server)
                    .ok_or_else(|| SqlError::internal("the server of an import is gone"))?;
                // IMPORT is how a user says "look again".
                host.forget(server.header.oid);
                let source = host.source(&catalog, server, user)?;
                let failed = |error: ConnectorError| sqlstate::connector_error(&error);
                let schemas = source.schemas().await.map_err(failed)?;
                let is_alias = source.is_schema_alias(&schema);
                if !schemas.contains(&schema) && !is_alias {
                    return Err(SqlError::new(
                        SqlState::FDW_SCHEMA_NOT_FOUND,
                        format!("schema \"{schema}\" is not present on foreign server \"{}\"", server.header.name),
                    )
                    .hint(schemas_hint(&schemas)));
                }
                let mut names: Vec<String> =
                    source.tables(&schema).await.map_err(failed)?.into_iter().map(|table| table.name).collect();
                match &filter {
                    ImportFilter::All => {}
                    ImportFilter::LimitTo(wanted) => names.retain(|name| wanted.contains(name)),
                    ImportFilter::Except(unwanted) => names.retain(|name| !unwanted.contains(name)),
                }
                if names.len() > IMPORT_TABLES_MAX {
                    return Err(SqlError::new(
                        SqlState::CONFIGURATION_LIMIT_EXCEEDED,
                        format!("schema \"{schema}\" holds more than {IMPORT_TABLES_MAX} tables"),
                    )
                    .hint("Use LIMIT TO to import some of them."));
                }
                let described = source.import(&schema, &names).await.map_err(failed)?;
                if let (ImportFilter::LimitTo(_), Some((_, error))) = (&filter, described.skipped.first()) {
                    return Err(sqlstate::connector_error(error));
                }
                let tables: Vec<_> = described
                    .tables
                    .into_iter()
                    .map(|(name, definition)| ImportedTable {
                        options: source.live_options(&schema, &name),
                        name,
                        definition,
                    })
                    .collect();
                Ok((tables, described.skipped))
            })
            .await?;
        self.notices.extend(skipped.iter().map(|(name, error)| {
            let message = format!("table \"{name}\" cannot be described, skipping");
            let mut notice = Notice::warning(SqlState::WARNING, message);
            notice.message = notice.message.detail(error.to_string());
            notice
        }));
        Ok(Facts::Import(tables))
    }

    async fn view_facts(
        &mut self,
        create: &CreateView,
        catalog: Arc<Catalog>,
        (statement, acting): (&ParsedStatement, &Acting),
        limits: &Limits,
    ) -> SqlResult<ViewFacts> {
        let mut planner = self.planner(&create.query_text, limits).await?;
        planner.scope.search_path = self.usable_path(&catalog, acting.user, acting.search_path.clone());
        (planner.role, planner.invoker) = (acting.user, acting.user);
        planner.catalog = catalog;
        planner.declared = true;
        let (query, text) = (create.query.as_ref().clone(), statement.text.clone());
        limits.run(self.engine.cpu(), async move { view_facts::facts(&planner, query, &text).await }).await
    }

    /// Writes a transaction's DDL. One statement outside of a block that meets `40001` is applied again over what was
    /// committed meanwhile, as if it had come later: its client has promised nothing to repeat.
    pub(super) async fn commit(&mut self, working: Working, repeatable: Option<Box<ParsedStatement>>) -> SqlResult<()> {
        let mut result = self.commit_once(working).await;
        let Some(statement) = repeatable else { return result };
        let conflict =
            |result: &SqlResult<()>| matches!(result, Err(error) if error.sqlstate == SqlState::SERIALIZATION_FAILURE);
        if !conflict(&result) {
            return result;
        }
        // Those who were refused come back one at a time, or they would go on refusing each other. Nobody waits for long
        // for one that reads its source again.
        let engine = Arc::clone(&self.engine);
        let _turn = tokio::time::timeout(COMMIT_TURN_TIMEOUT, engine.repeating.lock()).await;
        for _ in 0..COMMIT_RETRIES_MAX {
            if !conflict(&result) {
                break;
            }
            // Rights and names are looked up anew: the role may have lost them.
            self.role_settings();
            let limits = self.limits();
            let mut working = Working::new(self.engine.catalog());
            // Its notices were sent the first time.
            result = match self.define_all(&mut working, &statement, &limits).await {
                Ok(_) => self.commit_once(working).await,
                Err(error) => Err(error),
            };
        }
        result
    }

    async fn commit_once(&mut self, working: Working) -> SqlResult<()> {
        let (base, changes) = (Arc::clone(working.base()), working.changes());
        if changes.is_empty() {
            return Ok(());
        }
        let servers = touched_servers(&base, &changes);
        self.engine.store().commit(&base, changes).await.map_err(|error| commit_error(&error))?;
        for server in servers {
            self.engine.host.forget(server);
        }
        Ok(())
    }
}

/// Servers whose metadata must be read again.
fn touched_servers(base: &Catalog, changes: &[Change]) -> Vec<Oid> {
    changes
        .iter()
        .filter_map(|change| {
            let object = match change {
                Change::Put(object) => Some(object),
                Change::Remove(oid) => base.get(*oid),
            };
            match object?.as_ref() {
                Object::Server(server) => Some(server.header.oid),
                Object::UserMapping(mapping) => Some(mapping.server),
                _ => None,
            }
        })
        .collect()
}

fn commit_error(error: &CommitError) -> SqlError {
    if !matches!(error, CommitError::Conflict) {
        tracing::error!(error = error as &dyn std::error::Error, "a transaction's DDL could not be committed");
    }
    SqlError::from(error)
}

fn store_error(error: &StoreError) -> SqlError {
    tracing::error!(error = error as &dyn std::error::Error, "the catalog store failed");
    SqlError::new(SqlState::IO_ERROR, format!("the catalog could not be written: {error}"))
}

/// Names some of the schemas that there are.
fn schemas_hint(schemas: &[String]) -> String {
    const SHOWN_MAX: usize = 8;
    let shown: Vec<_> = schemas.iter().take(SHOWN_MAX).map(|name| format!("\"{name}\"")).collect();
    match schemas.len() {
        0 => "It has no schema that its user may see.".to_owned(),
        count if count > SHOWN_MAX => format!("Among its schemas are {}.", shown.join(", ")),
        _ => format!("It has the schemas: {}.", shown.join(", ")),
    }
}
