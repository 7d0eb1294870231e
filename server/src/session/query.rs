//! Queries: planned, described, explained, run; COPY, cursors and SQL-level prepared statements.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime};

use arrow::array::StringViewArray;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use atoll_connector_api::subplan::RemoteRelation;
use atoll_connector_api::types::{PgType, from_sql, oids};
use datafusion::common::metadata::{FieldMetadata, ScalarAndMetadata};
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast as sql;
use futures::StreamExt;

use super::cursor::Cursor;
use super::execute::{self, Batches, Limits, Run, Stoppable};
use super::explain::Explained;
use super::planning::Planning;
use super::plans::{KeptPlan, MadeBy};
use super::{Outcome, Prepared, ResultColumn, Rows, RowsTag, Session};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::federation::locate::{CastConstant, Stage, locate_planning, only_word};
use crate::federation::pg_catalog::PgCatalogContext;
use crate::federation::planner::{Planned, Planner};
use crate::statement::ast::{
    CopyTo, DeclareCursor, Explain, ExplainFormat, Fetch, FetchDirection, QualifiedName, Statement,
};
use crate::statement::{ParsedStatement, parse_query};
use crate::wire::sqlstate;

impl Session {
    /// Describes a statement: parameters and columns.
    pub(super) async fn describe(
        &mut self,
        statement: ParsedStatement,
        types: &[Option<PgType>],
    ) -> SqlResult<Prepared> {
        let limits = self.limits();
        // Before a client sends parameters that nothing reads.
        if let Statement::Unsupported { message, hint, position, relation } = &statement.statement {
            self.check_written(relation.as_ref())?;
            return Err(super::unsupported(message, hint.as_deref()).at(*position));
        }
        let query = match &statement.statement {
            Statement::Query(query) => Some((query.as_ref(), statement.text.as_str())),
            Statement::Explain(explain) => match &explain.statement.statement {
                Statement::Query(query) => Some((query.as_ref(), explain.statement.text.as_str())),
                Statement::DeclareCursor(declare) => match &declare.query.statement {
                    Statement::Query(query) => Some((query.as_ref(), declare.query.text.as_str())),
                    _ => None,
                },
                _ => None,
            },
            Statement::DeclareCursor(declare) => match &declare.query.statement {
                Statement::Query(query) => Some((query.as_ref(), declare.query.text.as_str())),
                _ => None,
            },
            _ => None,
        };
        if let Some((query, text)) = query {
            let mut kept = self.plan(query, text, types, &limits).await?;
            let mut given = types.to_vec();
            let parameters = match kept.planned.parameters(types) {
                Ok(parameters) => parameters,
                Err(_) => {
                    given = kept.planned.first_types(types);
                    kept = self.plan(query, text, &given, &limits).await?;
                    kept.planned.parameters(&given)?
                }
            };
            check_mentioned(query, types, parameters.len())?;
            let columns = match &statement.statement {
                Statement::Explain(explain) => Some(explain_columns(explain)),
                Statement::DeclareCursor(_) => None,
                _ => Some(kept.columns.clone()),
            };
            return Ok(Prepared {
                parameters,
                columns,
                planned: self.kept_plans.keep(kept),
                given,
                style: Some(self.settings.output_style()),
                made: SystemTime::now(),
                runs: AtomicI64::new(0),
                statement: Some(statement),
            });
        }
        let columns = match &statement.statement {
            Statement::Explain(explain) => Some(explain_columns(explain)),
            Statement::Show { name } => Some(self.show_columns(name)),
            Statement::Fetch(Fetch { cursor, is_move: false, .. }) => Some(self.cursor(cursor)?.columns.to_vec()),
            Statement::Execute { name, .. } => self.find_prepared(name)?.columns.clone(),
            _ => None,
        };
        Ok(Prepared { columns, ..Prepared::without_rows(Some(statement), types) })
    }

    /// A planner for what the session sees now.
    pub(super) async fn planner(&mut self, text: &str, limits: &Limits) -> SqlResult<Planner> {
        let system = self.system_context(limits, text).await?;
        let planning = self.planning(&system)?;
        planning.read_literals(None);
        Ok(Planner {
            catalog: self.catalog(),
            host: Arc::clone(&self.engine.host),
            scope: self.name_scope(),
            role: self.current_user,
            invoker: self.current_user,
            state: Arc::clone(&planning.state),
            system,
            pushdown: planning.options.pushdown,
            declared: false,
        })
    }

    /// What the statement that begins is planned with.
    fn planning(&mut self, system: &Arc<PgCatalogContext>) -> SqlResult<Arc<Planning>> {
        if let Some(planning) = self.planning.as_ref().filter(|planning| planning.serves(&self.settings)) {
            planning.begin(Arc::clone(system));
            return Ok(Arc::clone(planning));
        }
        let planning = Planning::new(&self.engine, &self.settings, Arc::clone(system));
        let planning = Arc::new(planning.map_err(|error| sqlstate::sql_error(&error))?);
        self.planning = Some(Arc::clone(&planning));
        Ok(planning)
    }

    pub(super) async fn plan(
        &mut self,
        query: &sql::Query,
        text: &str,
        types: &[Option<PgType>],
        limits: &Limits,
    ) -> SqlResult<KeptPlan> {
        let planner = self.planner(text, limits).await?;
        self.plan_with(planner, (query, text), types, limits).await
    }

    /// Plans a statement again that was prepared before: its literals are what they were then.
    async fn plan_again(
        &mut self,
        prepared: &Prepared,
        (query, text): (&sql::Query, &str),
        limits: &Limits,
    ) -> SqlResult<KeptPlan> {
        let planner = self.planner(text, limits).await?;
        if let Some(planning) = &self.planning {
            planning.read_literals(prepared.style.clone());
        }
        self.plan_with(planner, (query, text), &prepared.given, limits).await
    }

    async fn plan_with(
        &mut self,
        planner: Planner,
        (query, text): (&sql::Query, &str),
        types: &[Option<PgType>],
        limits: &Limits,
    ) -> SqlResult<KeptPlan> {
        let made_by = self.planned_by(&planner)?;
        let (query, text, types) = (query.clone(), text.to_owned(), types.to_vec());
        // Whatever walks a plan recurses, and only these threads have the stack for it.
        let planned = limits
            .run(self.engine.cpu(), async move {
                let planned = planner.plan(&query, &text, &types).await?;
                let columns = analyzed_columns(&planner.state, &planned);
                Ok((planned, columns))
            })
            .await?;
        let (planned, columns) = planned;
        self.remember_types(&columns);
        Ok(KeptPlan::new(planned, columns, made_by))
    }

    /// Runs a query.
    pub(super) async fn select(
        &mut self,
        prepared: &Prepared,
        parameters: Vec<ScalarValue>,
        limits: &Limits,
    ) -> SqlResult<Rows> {
        let (columns, batches) = self.start(prepared, parameters, limits).await?;
        let columns = prepared.columns.clone().unwrap_or(columns);
        Ok(Rows { columns: columns.into(), batches, tag: RowsTag::Select })
    }

    /// Starts a statement by its plan, the one that is kept, or else a new one. With the columns of its result.
    async fn start(
        &mut self,
        prepared: &Prepared,
        parameters: Vec<ScalarValue>,
        limits: &Limits,
    ) -> SqlResult<(Vec<ResultColumn>, Batches)> {
        let types = prepared.parameters.as_slice();
        let (query, text) = match &prepared.statement {
            Some(ParsedStatement { statement: Statement::Query(query), text, .. }) => (query, text),
            Some(ParsedStatement { statement: Statement::DeclareCursor(declare), .. }) => {
                match &declare.query.statement {
                    Statement::Query(query) => (query, &declare.query.text),
                    _ => return Err(SqlError::internal("a cursor without its query")),
                }
            }
            _ => return Err(SqlError::internal("a query without its statement")),
        };
        if let Some((kept, asked)) = self.kept_plan(prepared, limits).await? {
            let started = self.start_kept(&kept, asked, types, parameters.clone(), limits).await;
            if let Some(batches) = started.map_err(|error| locate_planning(error, query, text))? {
                return Ok((kept.columns, batches));
            }
        }
        let kept = self.plan_again(prepared, (query, text), limits).await?;
        // The client decodes rows by what Describe said: a result of another shape must not reach it.
        if prepared.columns.as_ref().is_some_and(|columns| !same_row_type(columns, &kept.columns)) {
            return Err(SqlError::unsupported("cached plan must not change result type"));
        }
        self.kept_plans.keep_again(&prepared.planned, &kept);
        let started = self.start_kept(&kept, Vec::new(), types, parameters, limits).await;
        let batches = started.map_err(|error| locate_planning(error, query, text))?;
        Ok((kept.columns, batches.ok_or_else(|| SqlError::internal("a new plan was not made"))?))
    }

    /// Starts a plan with some parameters; `None` where one of the tables that are `asked` has changed since.
    async fn start_kept(
        &self,
        kept: &KeptPlan,
        asked: Vec<Arc<dyn RemoteRelation>>,
        types: &[PgType],
        parameters: Vec<ScalarValue>,
        limits: &Limits,
    ) -> SqlResult<Option<Batches>> {
        let state = Arc::clone(&kept.made_by.planning.state);
        let (plan, types) = (kept.planned.plan.clone(), types.to_vec());
        let made = async move {
            // The sources answer while the plan is made.
            let current = (!asked.is_empty()).then(|| SpawnedTask::spawn(are_current(asked)));
            let physical = match bind(plan, &types, parameters) {
                Ok(plan) => execute::physical_plan(&state, plan).await,
                Err(error) => Err(error),
            };
            let current = match current {
                Some(current) => current.join().await.unwrap_or(false),
                None => true,
            };
            if current { physical.map(Some) } else { Ok(None) }
        };
        let constants = kept.planned.constants.clone();
        let batches = self.run_of(&kept.made_by, limits).start(made).await?;
        Ok(batches.map(|batches| match constants.is_empty() {
            true => batches,
            false => batches
                .map(move |batch| batch.map_err(|error| CastConstant::locate(&constants, error, Stage::Running)))
                .boxed(),
        }))
    }

    /// Runs a query that has no parameters.
    async fn run_alone(&mut self, query: &sql::Query, text: &str, limits: &Limits) -> SqlResult<Rows> {
        let kept = self.plan(query, text, &[], limits).await?;
        let started = self.start_kept(&kept, Vec::new(), &[], Vec::new(), limits).await;
        let batches = started.map_err(|error| locate_planning(error, query, text))?;
        let batches = batches.ok_or_else(|| SqlError::internal("a new plan was not made"))?;
        Ok(Rows { columns: kept.columns.into(), batches, tag: RowsTag::Select })
    }

    fn run_of(&self, made_by: &MadeBy, limits: &Limits) -> Run<'_> {
        Run {
            cpu: self.engine.cpu(),
            admission: self.engine.admission(),
            context: self.engine.task_context(&made_by.planning),
            limits: limits.clone(),
        }
    }

    /// EXPLAIN, in PostgreSQL's shape: lines of one column.
    pub(super) async fn explain(
        &mut self,
        explain: &Explain,
        parameters: Vec<ScalarValue>,
        limits: &Limits,
    ) -> SqlResult<Outcome> {
        let (mut given, mut parameters, mut prepared) = (Vec::new(), parameters, None);
        let mut explained = &*explain.statement;
        if let Statement::Execute { name, arguments } = &explained.statement {
            let found = self.find_prepared(name)?;
            parameters = self.arguments(name, &found, arguments, limits).await?;
            given.clone_from(&found.given);
            prepared = Some(found);
        }
        if let Some(found) = prepared.as_ref().and_then(|prepared| prepared.statement.as_ref()) {
            explained = found;
        }
        if let Statement::DeclareCursor(declare) = &explained.statement {
            explained = &declare.query;
        }
        let Statement::Query(query) = &explained.statement else {
            return Err(SqlError::unsupported("EXPLAIN is supported for queries only"));
        };
        let started = Instant::now();
        let kept = self.plan(query, &explained.text, &given, limits).await?;
        let types = kept.planned.parameters(&given)?;
        let plan = bind(kept.planned.plan, &types, parameters)?;
        let state = Arc::clone(&kept.made_by.planning.state);
        let physical = limits.run(self.engine.cpu(), async move { execute::physical_plan(&state, plan).await }).await?;
        let mut explained = Explained { plan: Arc::clone(&physical), planning: started.elapsed(), ran: None };
        if explain.analyze {
            let started = Instant::now();
            let stoppable = Stoppable::new(physical)?;
            explained.plan = Arc::clone(&stoppable.plan);
            let mut batches = self.run_of(&kept.made_by, limits).stream(stoppable);
            let mut rows = 0;
            while let Some(batch) = batches.next().await {
                rows += batch?.num_rows();
            }
            explained.ran = Some((started.elapsed(), rows));
        }
        let lines = explained.lines(explain);
        let rows = lines.into_iter().map(|line| vec![Some(line)]).collect();
        Ok(Outcome::Rows(text_rows(explain_columns(explain), rows, RowsTag::Explain)?))
    }

    /// What a statement that would write needs, before it is said that nothing is written here.
    ///
    /// # Errors
    /// `42P01`.
    pub(super) fn check_written(&self, relation: Option<&QualifiedName>) -> SqlResult<()> {
        let Some(relation) = relation else { return Ok(()) };
        match self.name_scope().resolve(&self.catalog(), &relation.parts) {
            Err(error) if error.sqlstate == SqlState::UNDEFINED_TABLE => Err(error.at(relation.position)),
            _ => Ok(()),
        }
    }

    /// COPY … TO STDOUT.
    pub(super) async fn copy_to(&mut self, copy: &CopyTo, text: &str, limits: &Limits) -> SqlResult<Outcome> {
        let rows = self.run_alone(&copy.query, text, limits).await;
        let rows = match &copy.relation {
            Some(relation) => rows.map_err(|error| of_relation(error, relation.name()))?,
            None => rows?,
        };
        Ok(Outcome::Copy(Rows { tag: RowsTag::Copy, ..rows }, Box::new(copy.clone())))
    }

    /// PREPARE.
    pub(super) async fn sql_prepare(
        &mut self,
        name: &str,
        types: &[sql::DataType],
        statement: &ParsedStatement,
        (text, offset): (&str, usize),
    ) -> SqlResult<Outcome> {
        self.check_new_prepared(name)?;
        let given = types
            .iter()
            .map(|data_type| {
                from_sql(data_type).map(Some).ok_or_else(|| {
                    let message = format!("type \"{data_type}\" does not exist");
                    SqlError::new(SqlState::UNDEFINED_OBJECT, message)
                        .at(only_word(text, &data_type.to_string()).map(|place| offset + place))
                })
            })
            .collect::<SqlResult<Vec<_>>>()?;
        let prepared = self.describe(statement.clone(), &given).await?;
        self.prepared.insert(name.to_owned(), (Arc::new(prepared), Some(text.to_owned())));
        Ok(Outcome::Command("PREPARE".to_owned()))
    }

    /// Whether one more statement may be kept, under this name.
    ///
    /// # Errors
    /// `42P05`; `53400`: there are too many.
    pub fn check_new_prepared(&self, name: &str) -> SqlResult<()> {
        if self.prepared.contains_key(name) {
            let message = format!("prepared statement \"{name}\" already exists");
            return Err(SqlError::new(SqlState::DUPLICATE_PREPARED_STATEMENT, message));
        }
        if self.prepared.len() >= self.engine.config.prepared_statements_max {
            return Err(SqlError::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, "too many prepared statements"));
        }
        Ok(())
    }

    /// Keeps a statement that came by the protocol's Parse: its name is one of those that PREPARE gives.
    pub fn keep_prepared(&mut self, name: String, prepared: Arc<Prepared>) {
        self.prepared.insert(name, (prepared, None));
    }

    /// Forgets a statement, if there is one of this name.
    pub fn forget_prepared(&mut self, name: &str) {
        self.prepared.remove(name);
    }

    /// A statement that PREPARE or Parse made.
    ///
    /// # Errors
    /// `26000`.
    pub fn find_prepared(&self, name: &str) -> SqlResult<Arc<Prepared>> {
        self.prepared.get(name).map(|(prepared, _)| Arc::clone(prepared)).ok_or_else(|| {
            SqlError::new(SqlState::INVALID_SQL_STATEMENT_NAME, format!("prepared statement \"{name}\" does not exist"))
        })
    }

    /// EXECUTE: the arguments are expressions, computed by a query of their own.
    pub(super) async fn sql_execute(
        &mut self,
        name: &str,
        arguments: &[sql::Expr],
        limits: &Limits,
    ) -> SqlResult<Outcome> {
        let prepared = self.find_prepared(name)?;
        let values = self.arguments(name, &prepared, arguments, limits).await?;
        prepared.runs.fetch_add(1, Ordering::Relaxed);
        let Some(statement) = &prepared.statement else { return Ok(Outcome::Empty) };
        match &statement.statement {
            Statement::Query(_) => Ok(Outcome::Rows(self.select(&prepared, values, limits).await?)),
            _ => Err(SqlError::unsupported("EXECUTE is supported for queries only")),
        }
    }

    /// The values of EXECUTE's arguments.
    async fn arguments(
        &mut self,
        name: &str,
        prepared: &Prepared,
        arguments: &[sql::Expr],
        limits: &Limits,
    ) -> SqlResult<Vec<ScalarValue>> {
        if arguments.len() != prepared.parameters.len() {
            return Err(SqlError::syntax(format!("wrong number of parameters for prepared statement \"{name}\""))
                .detail(format!("Expected {} parameters but got {}.", prepared.parameters.len(), arguments.len())));
        }
        self.evaluate(arguments, &prepared.parameters, limits).await
    }

    async fn evaluate(
        &mut self,
        arguments: &[sql::Expr],
        types: &[PgType],
        limits: &Limits,
    ) -> SqlResult<Vec<ScalarValue>> {
        if arguments.is_empty() {
            return Ok(Vec::new());
        }
        let casts: Vec<_> = arguments
            .iter()
            .zip(types)
            .map(|(argument, data_type)| format!("CAST({argument} AS {})", data_type.sql_name()))
            .collect();
        let text = format!("SELECT {}", casts.join(", "));
        let query = parse_query(&text)?;
        let mut rows = self.run_alone(&query, &text, limits).await?;
        let mut values = Vec::new();
        while let Some(batch) = rows.batches.next().await {
            let batch = batch?;
            for column in batch.columns().iter().filter(|column| !column.is_empty()) {
                values.push(ScalarValue::try_from_array(column, 0).map_err(|error| sqlstate::sql_error(&error))?);
            }
        }
        Ok(values)
    }

    /// DEALLOCATE.
    pub(super) fn deallocate(&mut self, name: Option<&str>) -> SqlResult<Outcome> {
        match name {
            None => {
                self.prepared.clear();
                Ok(Outcome::Command("DEALLOCATE ALL".to_owned()))
            }
            Some(name) => {
                self.find_prepared(name)?;
                self.prepared.remove(name);
                Ok(Outcome::Command("DEALLOCATE".to_owned()))
            }
        }
    }

    /// DECLARE. Its parameters are the query's.
    pub(super) async fn declare(
        &mut self,
        declare: &DeclareCursor,
        prepared: &Prepared,
        parameters: Vec<ScalarValue>,
        limits: &Limits,
        text: &str,
    ) -> SqlResult<Outcome> {
        if !self.transaction.in_block() && !declare.hold {
            return Err(SqlError::new(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                "DECLARE CURSOR can only be used in transaction blocks",
            ));
        }
        if declare.scroll == Some(true) {
            return Err(SqlError::unsupported("scrollable cursors are not supported")
                .hint("Declare the cursor without SCROLL: it can be read forward once."));
        }
        if self.cursors.contains_key(&declare.name) {
            return Err(SqlError::new(
                SqlState::DUPLICATE_CURSOR,
                format!("cursor \"{}\" already exists", declare.name),
            ));
        }
        if self.cursors.len() >= self.engine.config.portals_max {
            return Err(SqlError::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, "too many open cursors"));
        }
        if !matches!(declare.query.statement, Statement::Query(_)) {
            return Err(SqlError::syntax("DECLARE CURSOR must be given a query"));
        }
        let (columns, batches) = self.start(prepared, parameters, limits).await?;
        let rows = Rows { columns: columns.into(), batches, tag: RowsTag::Select };
        self.cursors_made += 1;
        let mut cursor = Cursor::new(rows, text);
        (cursor.hold, cursor.binary, cursor.number) = (declare.hold, declare.binary, self.cursors_made);
        self.cursors.insert(declare.name.clone(), cursor);
        Ok(Outcome::Command("DECLARE CURSOR".to_owned()))
    }

    /// The columns of a cursor that DECLARE opened: to the protocol it is a portal.
    pub fn cursor_columns(&self, name: &str) -> Option<&[ResultColumn]> {
        self.cursors.get(name).map(|cursor| cursor.columns.as_ref())
    }

    /// Takes over a portal of the protocol whose rows FETCH or MOVE asks for; `passed` of them were sent. `text` is its
    /// statement's.
    pub fn adopt_portal(&mut self, name: &str, rows: Rows, passed: u64, text: &str) {
        let cursor = Cursor::new(rows, text).past(i64::try_from(passed).unwrap_or(i64::MAX));
        self.cursors.insert(name.to_owned(), cursor);
    }

    /// Closes a cursor that DECLARE opened, if there is one.
    pub fn drop_cursor(&mut self, name: &str) {
        self.cursors.remove(name);
    }

    fn cursor(&self, name: &str) -> SqlResult<&Cursor> {
        self.cursors
            .get(name)
            .ok_or_else(|| SqlError::new(SqlState::INVALID_CURSOR_NAME, format!("cursor \"{name}\" does not exist")))
    }

    /// FETCH and MOVE.
    pub(super) async fn fetch(&mut self, fetch: &Fetch) -> SqlResult<Outcome> {
        let cursor = self.cursor(&fetch.cursor)?;
        if fetch.is_move {
            // A FETCH that was not read to its end must not hold up the session.
            let moved = cursor.advance(fetch.direction).await?;
            let moved = match fetch.direction {
                FetchDirection::Forward(_) | FetchDirection::Backward(_) => moved,
                _ => moved.min(1),
            };
            return Ok(Outcome::Command(format!("MOVE {moved}")));
        }
        Ok(Outcome::Rows(cursor.fetch(fetch.direction).await?))
    }

    /// CLOSE.
    pub(super) fn close_cursor(&mut self, name: Option<&str>) -> SqlResult<Outcome> {
        match name {
            None => {
                self.cursors.clear();
                Ok(Outcome::Command("CLOSE CURSOR ALL".to_owned()))
            }
            Some(name) => {
                self.cursor(name)?;
                self.cursors.remove(name);
                Ok(Outcome::Command("CLOSE CURSOR".to_owned()))
            }
        }
    }
}

/// Whether rows still have the columns that were described when the statement was prepared: where they come from may have
/// changed, and their names were read already.
pub fn same_row_type(described: &[ResultColumn], actual: &[ResultColumn]) -> bool {
    described.len() == actual.len()
        && described.iter().zip(actual).all(|(before, now)| before.data_type.oid == now.data_type.oid)
}

/// Whether the sources say of all tables that they are as they were.
async fn are_current(tables: Vec<Arc<dyn RemoteRelation>>) -> bool {
    for table in &tables {
        if !table.is_current().await {
            return false;
        }
    }
    true
}

/// An error of the query that a relation's COPY was turned into: the client has not written that query.
fn of_relation(error: SqlError, relation: &str) -> SqlError {
    let message = match error.message.strip_suffix(" does not exist") {
        Some(column) if error.sqlstate == SqlState::UNDEFINED_COLUMN => {
            format!("{column} of relation \"{relation}\" does not exist")
        }
        _ => error.message,
    };
    SqlError { position: None, hint: None, message, ..error }
}

/// Refuses a parameter that has neither a type nor a place in the query.
fn check_mentioned(query: &sql::Query, given: &[Option<PgType>], count: usize) -> SqlResult<()> {
    struct Mentioned(HashSet<usize>);
    impl sql::Visitor for Mentioned {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &sql::Expr) -> ControlFlow<()> {
            if let sql::Expr::Value(value) = expr
                && let sql::Value::Placeholder(name) = &value.value
            {
                self.0.extend(name.strip_prefix('$').and_then(|digits| digits.parse::<usize>().ok()));
            }
            ControlFlow::Continue(())
        }
    }
    let untyped: Vec<usize> = (1..=count).filter(|number| !matches!(given.get(number - 1), Some(Some(_)))).collect();
    if untyped.is_empty() {
        return Ok(());
    }
    let mut mentioned = Mentioned(HashSet::new());
    let _ = sql::Visit::visit(query, &mut mentioned);
    match untyped.into_iter().find(|number| !mentioned.0.contains(number)) {
        None => Ok(()),
        Some(number) => Err(SqlError::new(
            SqlState::INDETERMINATE_DATATYPE,
            format!("could not determine data type of parameter ${number}"),
        )),
    }
}

/// The columns after type coercion, which may widen them (UNION, CASE); before it where parameters are still untyped.
fn analyzed_columns(state: &SessionState, planned: &Planned) -> Vec<ResultColumn> {
    match state.analyzer().execute_and_check(planned.plan.clone(), state.config_options(), |_, _| {}) {
        Ok(plan) => {
            let origins = planned.origins.clone();
            Planned { plan, relations: std::collections::HashMap::new(), constants: Vec::new(), origins }.columns()
        }
        Err(_) => planned.columns(),
    }
}

fn bind(plan: LogicalPlan, types: &[PgType], parameters: Vec<ScalarValue>) -> SqlResult<LogicalPlan> {
    if parameters.is_empty() && types.is_empty() {
        return Ok(plan);
    }
    if parameters.len() < types.len() {
        return Err(SqlError::new(
            SqlState::UNDEFINED_PARAMETER,
            format!("there is no parameter ${}", parameters.len() + 1),
        ));
    }
    let values = parameters
        .into_iter()
        .zip(types)
        .map(|(value, data_type)| {
            let field = data_type.field("", true);
            ScalarAndMetadata::new(value, Some(FieldMetadata::from(&field)))
        })
        .collect();
    plan.with_param_values(ParamValues::List(values)).map_err(|error| sqlstate::sql_error(&error))
}

fn explain_columns(explain: &Explain) -> Vec<ResultColumn> {
    let oid = match explain.format {
        ExplainFormat::Json => oids::JSON,
        ExplainFormat::Xml => oids::XML,
        ExplainFormat::Text | ExplainFormat::Yaml => oids::TEXT,
    };
    vec![ResultColumn::new("QUERY PLAN", PgType::new(oid))]
}

/// A small result that is at hand: rows of text.
///
/// # Errors
/// `XX000`: the rows do not fit the columns.
pub(super) fn text_rows(columns: Vec<ResultColumn>, rows: Vec<Vec<Option<String>>>, tag: RowsTag) -> SqlResult<Rows> {
    let fields: Vec<_> = columns.iter().map(|column| Field::new(&column.name, DataType::Utf8View, true)).collect();
    let arrays = (0..columns.len())
        .map(|index| {
            let values = rows.iter().map(|row| row.get(index).and_then(Option::as_deref));
            Arc::new(values.collect::<StringViewArray>()) as arrow::array::ArrayRef
        })
        .collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
        .map_err(|error| SqlError::internal(error.to_string()))?;
    Ok(Rows { columns: columns.into(), batches: futures::stream::iter([Ok(batch)]).boxed(), tag })
}
