//! From a parsed query to a logical plan: names resolved, rights checked, views opened, types PostgreSQL's.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::datatypes::Field;
use atoll_connector_api::types::PgType;
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::provider_as_source;
use datafusion::execution::SessionState;
use datafusion::logical_expr::logical_plan::LogicalTableSource;
use datafusion::logical_expr::{Expr, LogicalPlan, TableScan};
use datafusion::optimizer::optimize_projections::OptimizeProjections;
use datafusion::optimizer::{Optimizer, OptimizerContext};
use datafusion::sql::planner::{ParserOptions, PlannerContext, SqlToRel};
use datafusion::sql::sqlparser::ast::{Query, Statement as SqlStatement};

use super::aliases::{
    plain_fields, reads_fields_of_plain_columns, tell_tables_from_columns, unmarked, whole_wildcards,
};
use super::ctes;
use super::distinct_keys::distinct_positions;
use super::from_items::{from_items, single_items};
use super::locate::{self, CastConstant, Columns, check_aggregates, check_recursion, check_set_order};
use super::no_pushdown::NoPushdown;
use super::opening::Opened;
use super::ordinals::{check_ordinals, plain_positions};
use super::origins::{Origin, Origins};
use super::pg_catalog::{self, PgCatalogContext};
use super::provider::{RelationKey, ResolvedRelations, StatementContext, relation_key};
use super::relations::{self, NameScope};
use super::unbuilt::unbuilt;
use super::unknown_call::unknown_call;
use super::viewed::as_viewed;
use super::{naming, refused, semantics};
use crate::catalog::model::{Object, Privilege, View};
use crate::catalog::privilege;
use crate::catalog::{Catalog, Oid};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::host::Host;
use crate::session::ResultColumn;
use crate::wire::sqlstate;

/// Names of FROM items that stand for whole rows, in one statement.
const WHOLE_ROWS_MAX: usize = 32;

/// What planning one statement needs.
#[derive(Clone)]
pub struct Planner {
    /// The snapshot, the transaction's own changes included.
    pub catalog: Arc<Catalog>,
    /// Sources.
    pub host: Arc<Host>,
    /// Names.
    pub scope: NameScope,
    /// Whose rights count: a view's owner's within the view.
    pub role: Oid,
    /// Who runs the statement: whose rights count within a view that is `security_invoker`, however deep it lies.
    pub invoker: Oid,
    /// Functions and options.
    pub state: Arc<SessionState>,
    /// System tables.
    pub system: Arc<PgCatalogContext>,
    /// `atoll.pushdown`.
    pub pushdown: bool,
    /// Foreign tables are what their declared columns say, and no source is asked: for a view that is only made.
    pub declared: bool,
}

impl std::fmt::Debug for Planner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Planner").field("role", &self.role).field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// A planned query.
#[derive(Debug, Clone)]
pub struct Planned {
    /// Not yet optimized.
    pub plan: LogicalPlan,
    /// The relations it names directly, by the parts of their names.
    pub relations: HashMap<RelationKey, Named>,
    /// Constants that running it may reject.
    pub constants: Vec<CastConstant>,
    /// Where the result's columns come from.
    pub origins: Vec<Origin>,
}

/// What a name in a query meant.
#[derive(Debug, Clone)]
pub enum Named {
    /// A stored relation.
    Stored(Arc<Object>),
    /// A system table: schema and name.
    System(String, String),
    /// A live table: server, schema, name.
    Live(Oid, [String; 3]),
}

/// A planned query, and what it was planned from.
pub(super) struct Analyzed {
    pub(super) planned: Planned,
    /// As DataFusion planned it.
    pub(super) query: Query,
    pub(super) sources: ResolvedRelations,
    /// It has system tables.
    pub(super) system: bool,
    /// Why a source could not be asked. Its tables stand for their declared columns, so that what is wrong with the query
    /// itself is said first, as in PostgreSQL.
    pub(super) unreachable: Option<SqlError>,
}

/// A column's type. A number that is written out has no modifier, though its storage has a scale; what has one is tagged.
fn shown_type(field: &Field) -> PgType {
    let data_type = PgType::of_field(field);
    if field.metadata().is_empty() { PgType { modifier: -1, ..data_type } } else { data_type }
}

impl Planned {
    /// The result's columns, named as PostgreSQL names them.
    pub fn columns(&self) -> Vec<ResultColumn> {
        let origins = self.origins.iter().copied().chain(std::iter::repeat((0, 0)));
        self.plan
            .schema()
            .fields()
            .iter()
            .zip(origins)
            .map(|(field, origin)| ResultColumn {
                origin,
                ..ResultColumn::new(naming::shown(pg_catalog::output_name(field.name())), shown_type(field))
            })
            .collect()
    }

    /// What the first place of each parameter says of its type: where places disagree the others follow.
    pub fn first_types(&self, given: &[Option<PgType>]) -> Vec<Option<PgType>> {
        let mut types = given.to_vec();
        let _ = self.plan.apply_with_subqueries(|node| {
            node.apply_expressions(|expr| {
                expr.apply(|expr| {
                    if let Expr::Placeholder(placeholder) = expr
                        && let Some(field) = &placeholder.field
                        && let Some(number) = placeholder.id.strip_prefix('$').and_then(|digits| digits.parse().ok())
                        && (1..=usize::from(u16::MAX)).contains(&number)
                    {
                        if types.len() < number {
                            types.resize(number, None);
                        }
                        if let Some(slot) = types.get_mut(number - 1) {
                            slot.get_or_insert_with(|| PgType::of_field(field));
                        }
                    }
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        });
        types
    }

    /// The types of `$1`, `$2` …, given or inferred; text where nothing says.
    ///
    /// # Errors
    /// What inference finds.
    pub fn parameters(&self, given: &[Option<PgType>]) -> SqlResult<Vec<PgType>> {
        let inferred = self.plan.get_parameter_fields().map_err(|error| sqlstate::sql_error(&error))?;
        let count = inferred
            .keys()
            .filter_map(|name| name.strip_prefix('$')?.parse::<usize>().ok())
            .max()
            .unwrap_or(0)
            .max(given.len());
        Ok((0..count)
            .map(|index| {
                given.get(index).cloned().flatten().unwrap_or_else(|| {
                    inferred
                        .get(&format!("${}", index + 1))
                        .and_then(Option::as_ref)
                        .map_or(PgType::new(atoll_connector_api::types::oids::TEXT), |field| PgType::of_field(field))
                })
            })
            .collect())
    }
}

impl Planner {
    /// Plans a query. `text` is its statement's text, for positions; `parameters` are the types the client gave.
    ///
    /// # Errors
    /// Names, rights, types; what sources say when their tables are looked up.
    pub async fn plan(&self, query: &Query, text: &str, parameters: &[Option<PgType>]) -> SqlResult<Planned> {
        let planned = self.analyze(query.clone(), text, parameters).await;
        match planned {
            Err(error) if matches!(error.sqlstate, SqlState::UNDEFINED_FUNCTION | SqlState::AMBIGUOUS_FUNCTION) => {
                self.plan_by_first_places(query, text, parameters).await.ok_or(error)
            }
            planned => planned.map(|analyzed| analyzed.planned),
        }
    }

    /// A parameter has the type that its first place says, also where a later one by itself would say otherwise.
    async fn plan_by_first_places(&self, query: &Query, text: &str, given: &[Option<PgType>]) -> Option<Planned> {
        let rest = semantics::without_guesses(query, given)?;
        let types = self.analyze(rest, text, given).await.ok()?.planned.first_types(given);
        if types == given {
            return None;
        }
        self.analyze(query.clone(), text, &types).await.ok().map(|analyzed| analyzed.planned)
    }

    /// The same, with what it was planned from.
    ///
    /// # Errors
    /// As [`Self::plan`].
    pub(super) async fn analyze(&self, query: Query, text: &str, parameters: &[Option<PgType>]) -> SqlResult<Analyzed> {
        let analyzed = self.plan_nested(query, text, parameters, None, 0).await?;
        analyzed.unreachable.clone().map_or(Ok(analyzed), Err)
    }

    /// `view` is the one whose text the query is.
    pub(super) async fn plan_nested(
        &self,
        mut query: Query,
        text: &str,
        parameters: &[Option<PgType>],
        view: Option<&View>,
        depth: usize,
    ) -> SqlResult<Analyzed> {
        let written = query.clone();
        let is_aggregate = |name: &str| self.state.aggregate_functions().contains_key(name);
        let unknown = Columns::default();
        let statement = locate::Statement { query: &written, text, columns: &unknown, is_aggregate: &is_aggregate };
        refused::refuse(&query).map_err(|error| locate::locate(error, statement))?;
        check_aggregates(statement)?;
        check_ordinals(statement)?;
        check_set_order(statement)?;
        check_recursion(statement)?;
        distinct_positions(&mut query, text)?;
        plain_positions(&mut query);
        plain_fields(&mut query);
        let hidden = naming::name_columns(&mut query);
        semantics::rewrite_windows(&mut query, &is_aggregate).map_err(|error| locate::locate(error, statement))?;
        let mut system = pg_catalog::mentions_system_catalog(&query);
        if system {
            let mut plain = query.clone();
            semantics::unqualify_functions(&mut plain);
            if !pg_catalog::mentions_system_catalog(&plain) {
                (query, system) = (plain, false);
            }
        }
        if system {
            semantics::check_shapes(&query).map_err(|error| locate::locate(error, statement))?;
            // System tables keep their arrays as lists: casts to these are the rewrite's.
            pg_catalog::rewrite(&mut query);
            semantics::rewrite_catalog(&mut query);
        } else {
            whole_wildcards(&mut query);
            semantics::rewrite_casts(&mut query)
                .map_err(|error| locate::locate(self.of_missing_schema(error), statement))?;
        }
        let mut sources = ResolvedRelations::new();
        let mut named = HashMap::new();
        let mut unreachable = None;
        let cte_names = relations::cte_names(&query);
        for name in relations::relation_names(&query) {
            let is_cte = matches!(&name.parts[..], [only] if cte_names.contains(only));
            let opened = Box::pin(self.open(&name.parts, depth)).await;
            match opened {
                Ok(Opened { meaning, provider, problem }) => {
                    unreachable = unreachable.or(problem.filter(|_| !is_cte));
                    let provider = if self.pushdown { provider } else { self.without_pushdown(&meaning, provider) };
                    let (meaning, provider) = match view {
                        Some(view) => as_viewed(view, meaning, provider)?,
                        None => (meaning, provider),
                    };
                    named.insert(name.parts.clone(), meaning);
                    sources.insert(name.parts, Ok(provider_as_source(provider)));
                }
                Err(error) if is_cte => {
                    sources.insert(name.parts, Err(error));
                }
                Err(error) => {
                    return Err(match error.sqlstate {
                        SqlState::UNDEFINED_TABLE => error.at(relations::position(text, name.location)),
                        _ => error,
                    });
                }
            }
        }
        let plan_query = |mut query: Query| {
            let describe = |part| self.describe(part, &sources, parameters);
            if !system {
                semantics::unify_values(&mut query, &describe, parameters)?;
                semantics::merge_join_columns(&mut query, &describe)?;
                semantics::expand_grouping_sets(&mut query, &describe)?;
            }
            semantics::unify_branches(&mut query, &describe)?;
            let plan = self.to_plan(query.clone(), &sources, parameters);
            plan.map(|plan| (plan, query)).map_err(|error| sqlstate::sql_error(&error))
        };
        let mut planned = plan_query(query.clone());
        if system && planned.as_ref().is_err_and(is_of_unlike_rows) {
            semantics::unify_values(&mut query, &|part| self.describe(part, &sources, parameters), parameters)?;
            planned = plan_query(query.clone());
        }
        if planned.as_ref().is_err_and(is_short_list) {
            semantics::complete_column_lists(&mut query, &|part| self.describe(part, &sources, parameters));
            planned = plan_query(query.clone());
        }
        for _ in 0..WHOLE_ROWS_MAX {
            let Some(name) = planned.as_ref().err().and_then(missing_name) else { break };
            let describe = |part| self.describe(part, &sources, parameters);
            if !semantics::name_whole_rows(&mut query, &name, &describe)? {
                if let Some(table) = name.strip_suffix(semantics::WHOLE_ROW) {
                    let message = format!("missing FROM-clause entry for table \"{table}\"");
                    return Err(SqlError::new(SqlState::UNDEFINED_TABLE, message));
                }
                break;
            }
            planned = plan_query(query.clone());
        }
        if planned.as_ref().is_ok_and(|(plan, _)| reads_fields_of_plain_columns(plan)) {
            tell_tables_from_columns(&mut query);
            planned = plan_query(query);
        }
        let checked = planned.and_then(|(plan, query)| {
            refused::refuse_calls(&written)?;
            if locate::asks_types(&written) {
                let columns = self.column_types(&written, system, &sources, parameters);
                locate::check_typed(locate::Statement { columns: &columns, ..statement })?;
            }
            self.check_columns(&query, &sources, &named, parameters)?;
            let origins = Origins { named: &named, ctes: &cte_names }.of(&plan);
            let mut marked = query.clone();
            // The query was planned as it is written: what is wrong with it has been said.
            if !ctes::mark(&mut marked)? {
                return Ok((plan, query, origins));
            }
            let plan = self.to_plan(marked, &sources, parameters).map_err(|error| sqlstate::sql_error(&error))?;
            Ok((plan, query, origins))
        });
        let (plan, query, origins) = checked.map_err(|mut error| {
            error.message = unmarked(&error.message);
            let error = naming::ambiguous(error, &hidden);
            let error = self.with_argument_types(error, &written, system, &sources, parameters);
            let columns = match error.position {
                None if [b"42", b"22", b"0A"].iter().any(|class| error.sqlstate.0.starts_with(*class)) => {
                    self.column_types(&written, system, &sources, parameters)
                }
                _ => Columns::default(),
            };
            let statement = locate::Statement { columns: &columns, ..statement };
            locate::locate(locate::sharpen(self.of_missing_schema(error), statement), statement)
        })?;
        let planned =
            Planned { plan, relations: named, constants: locate::cast_constants(&written, &unknown), origins };
        Ok(Analyzed { planned, query, sources, system, unreachable })
    }

    /// DataFusion names an unknown function without its arguments. Where their types cannot be found, nothing is added.
    fn with_argument_types(
        &self,
        mut error: SqlError,
        written: &Query,
        system: bool,
        sources: &ResolvedRelations,
        parameters: &[Option<PgType>],
    ) -> SqlError {
        if error.sqlstate != SqlState::UNDEFINED_FUNCTION {
            return error;
        }
        let named = error.message.strip_prefix("function ").and_then(|rest| rest.strip_suffix(" does not exist"));
        if let Some(call) = named.filter(|call| is_of_special_syntax(call, written)) {
            error.message = format!("function pg_catalog.{call} does not exist");
            return error;
        }
        if let Some((name, types)) = named.and_then(|named| named.strip_suffix(')')?.split_once('(')) {
            // What system tables are stored as is not what their columns are.
            if system
                && let Some(mut call) = unknown_call(written, name)
                && let Some(mut query) = call.query.take()
            {
                pg_catalog::rewrite(&mut query);
                semantics::rewrite_catalog(&mut query);
                if let Ok(columns) = self.describe(query, sources, parameters) {
                    let types: Vec<PgType> = columns.into_iter().map(|column| column.data_type).collect();
                    error.message = format!("function {name}({}) does not exist", call.type_names(&types).join(", "));
                    return error;
                }
            }
            return with_unknown_types(name, types, written).unwrap_or(error);
        }
        let Some(name) = named else { return error };
        if let Some((schema, _)) = name.split_once('.')
            && self.system.schema_oid(schema).is_none()
        {
            return SqlError::new(SqlState::INVALID_SCHEMA_NAME, format!("schema \"{schema}\" does not exist"));
        }
        if let Some(unbuilt) = unbuilt(name) {
            return unbuilt;
        }
        let Some(mut call) = unknown_call(written, name.rsplit('.').next().unwrap_or(name)) else { return error };
        let columns = match call.query.take() {
            None => Ok(Vec::new()),
            Some(mut query) => {
                let rewritten = if system {
                    pg_catalog::rewrite(&mut query);
                    semantics::rewrite_catalog(&mut query);
                    Ok(())
                } else {
                    semantics::rewrite_casts(&mut query)
                };
                rewritten.and_then(|()| self.describe(query, sources, parameters))
            }
        };
        let columns = match columns {
            // Arguments are looked at first.
            Err(inner) if inner.sqlstate == SqlState::UNDEFINED_COLUMN => return inner,
            columns => columns,
        };
        if let Ok(columns) = columns {
            let types: Vec<PgType> = columns.into_iter().map(|column| column.data_type).collect();
            error.message = format!("function {name}({}) does not exist", call.type_names(&types).join(", "));
        }
        error
    }

    /// The types of the columns that a query's FROM items have, for the place of an error.
    fn column_types(
        &self,
        written: &Query,
        system: bool,
        sources: &ResolvedRelations,
        parameters: &[Option<PgType>],
    ) -> Columns {
        let mut columns = Columns::default();
        for mut query in from_items(written) {
            let rewritten = if system {
                pg_catalog::rewrite(&mut query);
                semantics::rewrite_catalog(&mut query);
                Ok(())
            } else {
                semantics::rewrite_casts(&mut query)
            };
            if !system {
                // Where it cannot be done, that is said elsewhere.
                let _ =
                    semantics::unify_values(&mut query, &|part| self.describe(part, sources, parameters), parameters);
            }
            let described = rewritten.and_then(|()| self.describe(query.clone(), sources, parameters));
            // Where the joins are what is wrong, each relation by itself.
            let described = match described {
                Ok(described) => described,
                Err(_) => single_items(&query)
                    .into_iter()
                    .filter_map(|item| self.describe(item, sources, parameters).ok())
                    .flatten()
                    .collect(),
            };
            for column in described {
                columns.add(column.relation.as_deref(), &column.name, &column.data_type);
            }
        }
        columns
    }

    /// `3F000` for a type or collation of a schema that is not there.
    fn of_missing_schema(&self, error: SqlError) -> SqlError {
        let named =
            |what: &str| Some(error.message.strip_prefix(what)?.split('"').next()?.split_once('.')?.0.to_owned());
        let schema = match error.sqlstate {
            SqlState::UNDEFINED_OBJECT => named("type \"").or_else(|| named("collation \"")),
            _ => None,
        };
        match schema.filter(|schema| self.system.schema_oid(schema).is_none()) {
            Some(schema) => SqlError::new(SqlState::INVALID_SCHEMA_NAME, format!("schema \"{schema}\" does not exist")),
            None => error,
        }
    }

    fn without_pushdown(&self, meaning: &Named, provider: Arc<dyn TableProvider>) -> Arc<dyn TableProvider> {
        let scans = match meaning {
            Named::Stored(object) => matches!(object.as_ref(), Object::ForeignTable(_)),
            Named::Live(..) => true,
            Named::System(..) => false,
        };
        if scans { Arc::new(NoPushdown(provider)) } else { provider }
    }

    fn to_plan(
        &self,
        query: Query,
        relations: &ResolvedRelations,
        parameters: &[Option<PgType>],
    ) -> datafusion::error::Result<LogicalPlan> {
        let provider = StatementContext { state: &self.state, type_planner: semantics::type_planner(), relations };
        let options = ParserOptions::new().with_parse_float_as_decimal(true).with_collect_spans(true);
        let types =
            parameters.iter().map(|given| given.as_ref().map(|given| Arc::new(given.field("", true)))).collect();
        let mut context = PlannerContext::new().with_prepare_param_data_types(types);
        let plan = SqlToRel::new_with_options(&provider, options)
            .sql_statement_to_plan_with_context(SqlStatement::Query(Box::new(query)), &mut context)?;
        semantics::analyze(&self.state, plan)
    }

    /// The columns of a part of a query.
    pub(super) fn describe(
        &self,
        part: Query,
        sources: &ResolvedRelations,
        parameters: &[Option<PgType>],
    ) -> SqlResult<Vec<semantics::JoinedColumn>> {
        let plan = self.to_plan(part, sources, parameters).map_err(|error| sqlstate::sql_error(&error))?;
        let columns = plan.schema().iter().map(|(relation, field)| semantics::JoinedColumn {
            relation: relation.map(|relation| relation.table().to_owned()),
            name: field.name().clone(),
            data_type: PgType::of_field(field),
        });
        Ok(columns.collect())
    }

    /// Columns of relations on which the role holds SELECT for some columns only. The query is planned for this once
    /// more, with these relations as plain tables: a view's own plan would take the place of its scan, and with it of what
    /// is read of the view.
    fn check_columns(
        &self,
        query: &Query,
        sources: &ResolvedRelations,
        named: &HashMap<RelationKey, Named>,
        parameters: &[Option<PgType>],
    ) -> SqlResult<()> {
        let partial: HashMap<&RelationKey, &Arc<Object>> = named
            .iter()
            .filter_map(|(key, named)| match named {
                Named::Stored(object)
                    if !privilege::has_privilege(&self.catalog, self.role, object, Privilege::Select) =>
                {
                    Some((key, object))
                }
                _ => None,
            })
            .collect();
        if partial.is_empty() {
            return Ok(());
        }
        for (key, column) in self.columns_read(query, sources, &|key| partial.contains_key(key), parameters)? {
            if let Some(object) = partial.get(&key) {
                privilege::check_select(&self.catalog, self.role, object, [column.as_str()])?;
            }
        }
        Ok(())
    }

    /// The columns that a query's result depends on, of the relations that are asked for.
    pub(super) fn columns_read(
        &self,
        query: &Query,
        sources: &ResolvedRelations,
        wanted: &dyn Fn(&RelationKey) -> bool,
        parameters: &[Option<PgType>],
    ) -> SqlResult<BTreeSet<(RelationKey, String)>> {
        let mut plain = sources.clone();
        for (key, source) in &mut plain {
            if let (true, Ok(source)) = (wanted(key), source) {
                *source = Arc::new(LogicalTableSource::new(source.schema()));
            }
        }
        let plan = self.to_plan(query.clone(), &plain, parameters).map_err(|error| sqlstate::sql_error(&error))?;
        // Of the optimizer's rules only the one that finds what is read: others drop a condition that is always true, and
        // with it the columns that it names.
        let rules = Optimizer::with_rules(vec![Arc::new(OptimizeProjections::new())]);
        let plan =
            rules.optimize(plan, &OptimizerContext::new(), |_, _| {}).map_err(|error| sqlstate::sql_error(&error))?;
        Ok(scanned_columns(&plan))
    }
}

/// Whether rows of VALUES have values of several types.
fn is_of_unlike_rows(error: &SqlError) -> bool {
    error.message.to_lowercase().starts_with("inconsistent ") && error.message.contains(" across values list")
}

/// Whether an alias names fewer columns than there are.
fn is_short_list(error: &SqlError) -> bool {
    let numbers = error.message.strip_prefix("table has ").and_then(|rest| rest.strip_suffix(" columns specified"));
    let parsed = numbers.and_then(|rest| rest.split_once(" columns available but ")).map(|(have, given)| {
        have.parse::<usize>().ok().zip(given.parse::<usize>().ok()).is_some_and(|(have, given)| have > given)
    });
    parsed.unwrap_or(false)
}

/// The unqualified column that is not found.
fn missing_name(error: &SqlError) -> Option<String> {
    if error.sqlstate != SqlState::UNDEFINED_COLUMN {
        return None;
    }
    let message = unmarked(&error.message);
    let name = message.strip_prefix("column \"")?.strip_suffix("\" does not exist")?;
    Some(name.to_owned())
}

/// Functions that take numbers of several types only: of an untyped constant it cannot be told which.
const OF_NUMBERS: &[&str] = &[
    "sum",
    "avg",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "variance",
    "var_pop",
    "var_samp",
    "bit_and",
    "bit_or",
    "bit_xor",
];

/// `substring(x FROM y)` and its like mean the functions of `pg_catalog`, and PostgreSQL's messages say so.
fn is_of_special_syntax(call: &str, written: &Query) -> bool {
    const NAMES: [&str; 6] = ["substring", "position", "overlay", "btrim", "ltrim", "rtrim"];
    let Some((name, _)) = call.split_once('(') else { return false };
    // Called by its name it is found.
    NAMES.contains(&name) && unknown_call(written, name).is_none()
}

/// DataFusion takes an untyped constant for text, in its messages too.
fn with_unknown_types(name: &str, types: &str, written: &Query) -> Option<SqlError> {
    let call = unknown_call(written, name)?;
    let own: Vec<String> = call.unknown_types();
    let mut types: Vec<&str> = if types.is_empty() { Vec::new() } else { types.split(", ").collect() };
    if own.len() != types.len() {
        return None;
    }
    for (shown, own) in types.iter_mut().zip(&own) {
        if *shown == "text" && own == "unknown" {
            *shown = "unknown";
        }
    }
    if let (["unknown"], true) = (types.as_slice(), OF_NUMBERS.contains(&name)) {
        let message = format!("function {name}(unknown) is not unique");
        return Some(
            SqlError::new(SqlState::AMBIGUOUS_FUNCTION, message)
                .hint("Could not choose a best candidate function. You might need to add explicit type casts."),
        );
    }
    let message = format!("function {name}({}) does not exist", types.join(", "));
    Some(
        SqlError::new(SqlState::UNDEFINED_FUNCTION, message)
            .hint("No function matches the given name and argument types. You might need to add explicit type casts."),
    )
}

/// The columns that an optimized plan reads, by relation as the query names it. Views' own scans are among them under
/// the names that the view uses.
pub fn scanned_columns(plan: &LogicalPlan) -> BTreeSet<(RelationKey, String)> {
    let mut columns = BTreeSet::new();
    let _ = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(TableScan { table_name, projected_schema, filters, .. }) = node {
            let key = relation_key(table_name);
            columns.extend(projected_schema.fields().iter().map(|field| (key.clone(), field.name().clone())));
            for filter in filters {
                let _ = filter.apply(|expr| {
                    if let Expr::Column(column) = expr {
                        columns.insert((key.clone(), column.name.clone()));
                    }
                    Ok(TreeNodeRecursion::Continue)
                });
            }
        }
        Ok(TreeNodeRecursion::Continue)
    });
    columns
}

/// A table reference as DataFusion writes it, for messages.
pub fn reference_text(name: &TableReference) -> String {
    relation_key(name).join(".")
}
