//! PostgreSQL's semantics where DataFusion's differ: casts, comparisons, arithmetic, aggregates, common functions.
//!
//! A statement passes through here three times. [`rewrite`] turns casts and typed literals of the syntax tree into calls
//! of functions that know PostgreSQL's types; [`operators`] plans each binary operator by the types of its sides; and
//! [`analyzer`], first of the analyzer's rules, does the same for what has no operator: `BETWEEN`, `IN`, `ORDER BY`,
//! `GROUP BY`, join keys.

mod aggregates;
mod analyzer;
mod any;
mod arithmetic;
mod around;
mod array_subquery;
mod branches;
mod cast;
mod catalog;
mod catalog_array;
mod choice;
mod collect;
mod column_lists;
mod compare;
mod conditions;
mod datetime;
pub(super) mod decimals;
mod fields;
mod float;
mod float_extremes;
mod float_sums;
mod from_sets;
mod functions;
mod grouping;
mod grouping_columns;
mod grouping_sets;
mod hypothetical;
mod join_using;
mod lateral;
mod lists;
mod merged_names;
mod numeric_sum;
mod numeric_sums;
mod operators;
mod ordered_input;
mod parameters;
mod patterns;
mod rewrite;
mod row_subqueries;
mod rows;
mod set_comparison;
mod set_operations;
mod set_order;
mod shapes;
mod sliding;
mod stars;
mod statistics;
mod subqueries;
mod sum_states;
#[cfg(test)]
mod tests;
mod values;
mod whole_rows;
mod windows;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use atoll_connector_api::ConnectorError;
use atoll_connector_api::types::PgType;
use atoll_connector_api::types::text::OutputStyle;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ExprSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, ScalarUDF};
use datafusion::optimizer::{Analyzer, Optimizer};

pub use array_subquery::array_of;
pub use branches::unify_branches;
pub use cast::wrong_modifier;
pub use catalog::{array_cast, rewrite_catalog};
pub use column_lists::complete_column_lists;
pub use fields::FIELD;
pub use from_sets::{ROWS_FROM, fields_of_function};
pub use grouping_sets::{distinct_grouping_sets, expand_grouping_sets};
pub use join_using::{Describe, JoinedColumn, merge_join_columns};
pub use parameters::without_guesses;
pub use rewrite::{rewrite_casts, unqualify_functions};
pub use rows::fields as row_fields;
pub use shapes::check_all as check_shapes;
pub use stars::expand_stars;
pub use values::unify_values;
pub use whole_rows::{WHOLE_ROW, name_whole_rows};
pub use windows::{frame_marks, framed_function, rewrite_windows};

use super::view_barrier::PassSafeConditions;
use crate::error::{SqlError, SqlState};

/// Finds a type that is not built in by its name, as SQL text has it.
pub type TypeResolver = dyn Fn(&str) -> Option<PgType> + Send + Sync;

/// What a session's functions know of it.
#[derive(Clone, Default)]
pub struct Settings {
    inner: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    style: OutputStyle,
    resolver: Option<Arc<TypeResolver>>,
    clock: Arc<Clock>,
    /// Bytes that one call's results may take; `None`: any.
    memory: Option<usize>,
    /// How the literals of the statement that is planned are read, where that is not how values print.
    literals: Arc<RwLock<Option<OutputStyle>>>,
}

/// When the transaction and the statement began, in microseconds since 1970. A plan that was made before reads the clock
/// when it is run.
#[derive(Debug)]
pub struct Clock {
    transaction: AtomicI64,
    statement: AtomicI64,
    open: AtomicBool,
    planned: AtomicBool,
}

impl Default for Clock {
    fn default() -> Self {
        let now = chrono::Utc::now().timestamp_micros();
        Self {
            transaction: AtomicI64::new(now),
            statement: AtomicI64::new(now),
            open: AtomicBool::new(false),
            planned: AtomicBool::new(false),
        }
    }
}

impl Clock {
    /// A statement is planned now; so begins its transaction, if it is the first since the last one ended.
    pub fn plan(&self) {
        self.begin();
        self.planned.store(true, Ordering::Relaxed);
    }

    /// A statement is run now: it began when it was planned, if that was just before.
    pub fn run(&self) {
        if !(self.planned.swap(false, Ordering::Relaxed) && self.open.load(Ordering::Relaxed)) {
            self.begin();
        }
    }

    fn begin(&self) {
        let now = chrono::Utc::now().timestamp_micros();
        self.statement.store(now, Ordering::Relaxed);
        if !self.open.swap(true, Ordering::Relaxed) {
            self.transaction.store(now, Ordering::Relaxed);
        }
    }

    /// The transaction has ended.
    pub fn end(&self) {
        self.open.store(false, Ordering::Relaxed);
    }

    /// When the transaction began.
    pub fn transaction(&self) -> i64 {
        self.transaction.load(Ordering::Relaxed)
    }

    /// When the statement began.
    pub fn statement(&self) -> i64 {
        self.statement.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("style", &self.inner.style).finish_non_exhaustive()
    }
}

impl Settings {
    /// Settings of a session whose values print, and whose local times are read, in a style.
    pub fn new(style: OutputStyle) -> Self {
        Self { inner: Arc::new(Shared { style, ..Shared::default() }) }
    }

    /// The same with types that are not built in, for example enums of foreign tables.
    #[must_use]
    pub fn with_resolver(self, resolver: Arc<TypeResolver>) -> Self {
        let clock = Arc::clone(&self.inner.clock);
        let (style, memory) = (self.inner.style.clone(), self.inner.memory);
        let literals = Arc::clone(&self.inner.literals);
        Self { inner: Arc::new(Shared { style, resolver: Some(resolver), clock, memory, literals }) }
    }

    /// The same with the session's clock.
    #[must_use]
    pub fn with_clock(self, clock: Arc<Clock>) -> Self {
        let (style, resolver, memory) = (self.inner.style.clone(), self.inner.resolver.clone(), self.inner.memory);
        let literals = Arc::clone(&self.inner.literals);
        Self { inner: Arc::new(Shared { style, resolver, clock, memory, literals }) }
    }

    /// The same with a bound on what a function makes of one batch, in bytes: it is not yet the query's memory when it is
    /// made.
    #[must_use]
    pub fn with_memory(self, memory: Option<usize>) -> Self {
        let (style, resolver) = (self.inner.style.clone(), self.inner.resolver.clone());
        let clock = Arc::clone(&self.inner.clock);
        let literals = Arc::clone(&self.inner.literals);
        Self { inner: Arc::new(Shared { style, resolver, clock, memory, literals }) }
    }

    /// Bytes that one call's results may take.
    pub fn memory(&self) -> usize {
        self.inner.memory.unwrap_or(usize::MAX)
    }

    /// When the transaction and the statement began.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// How values print and how local times are read; `now` is when the transaction began, if a style has it at all.
    pub fn style(&self) -> OutputStyle {
        let now_usecs = self.inner.style.now_usecs.map(|_| self.inner.clock.transaction());
        OutputStyle { now_usecs, ..self.inner.style.clone() }
    }

    /// Reads the literals of the statements that are planned from now on in a style; `None`: in that of the values.
    pub fn read_literals(&self, style: Option<OutputStyle>) {
        *self.inner.literals.write().unwrap_or_else(PoisonError::into_inner) = style;
    }

    /// How literals are read: as when their statement was parsed.
    pub fn literal_style(&self) -> OutputStyle {
        let literals = self.inner.literals.read().unwrap_or_else(PoisonError::into_inner).clone();
        match literals {
            Some(style) => {
                let now_usecs = style.now_usecs.map(|_| self.inner.clock.transaction());
                OutputStyle { now_usecs, ..style }
            }
            None => self.style(),
        }
    }

    /// The type that a name stands for.
    ///
    /// # Errors
    /// `42704`.
    pub fn resolve(&self, name: &str) -> std::result::Result<PgType, SqlError> {
        if name == cast::ANY_BIT {
            return Ok(PgType::new(atoll_connector_api::types::oids::BIT));
        }
        PgType::parse_name(name)
            .or_else(|| self.inner.resolver.as_ref().and_then(|resolver| resolver(name)))
            .ok_or_else(|| {
                cast::wrong_modifier(name).unwrap_or_else(|| {
                    SqlError::new(SqlState::UNDEFINED_OBJECT, format!("type \"{name}\" does not exist"))
                })
            })
    }
}

/// Functions of different sessions are different, equal only to themselves.
impl PartialEq for Settings {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}

impl Eq for Settings {}

impl std::hash::Hash for Settings {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.inner).hash(state);
    }
}

/// Builds a session state with PostgreSQL's semantics: analyzer rules, planners and functions over those in `builder`,
/// which has DataFusion's defaults.
///
/// # Errors
/// A function that cannot be registered.
pub fn session_state(builder: SessionStateBuilder, settings: &Settings) -> Result<SessionState> {
    let mut rules = Analyzer::new().rules;
    rules.insert(0, Arc::new(analyzer::PostgresComparisons::new(settings.clone())));
    rules.push(Arc::new(subqueries::CorrelatedSubqueries::new(settings.clone())));
    let mut optimizer = Optimizer::new().rules;
    let place = optimizer.iter().position(|rule| rule.name() == windows::COMMON).unwrap_or(optimizer.len());
    optimizer.insert(place, Arc::new(windows::UniteEqualWindows));
    let place = optimizer.iter().position(|rule| rule.name() == "push_down_filter").unwrap_or(0);
    optimizer.insert(place, Arc::new(PassSafeConditions));
    let mut builder = builder.with_analyzer_rules(rules).with_optimizer_rules(optimizer);
    builder
        .expr_planners()
        .get_or_insert_default()
        .insert(0, Arc::new(operators::PostgresOperators::new(settings.clone())));
    let mut state = builder.build();
    for function in scalar_functions(settings) {
        state.register_udf(Arc::new(function))?;
    }
    let numbers = state.table_functions().get("generate_series").cloned();
    state.register_udtf("generate_series", datetime::generate_series(settings, numbers));
    let ordered = collect::aggregates(settings).into_iter().chain(statistics::aggregates(settings));
    let lists = [catalog_array::typed_array_agg()];
    for function in aggregates::functions().into_iter().chain(ordered).chain(lists) {
        state.register_udaf(Arc::new(function))?;
    }
    Ok(state)
}

/// Chooses the overloads of functions in an expression that no plan holds, for example an argument of a function in FROM.
///
/// # Errors
/// A function that does not exist.
pub fn resolve_calls(expr: Expr) -> Result<Expr> {
    let schema = DFSchema::empty();
    let resolved = expr.transform_up(|expr| {
        Ok(match datetime::plan_call(&expr, &schema)? {
            Some(planned) => Transformed::yes(planned),
            None => Transformed::no(expr),
        })
    })?;
    Ok(resolved.data)
}

/// Plans SQL types that are left after [`rewrite_casts`].
pub fn type_planner() -> Option<Arc<dyn TypePlanner>> {
    None
}

/// Gives untyped literals and parameters of a fresh plan the types that their places ask for. Planning a statement does
/// this before it asks for the parameters' types; optimizing does it again, which changes nothing.
///
/// # Errors
/// A literal that is not of the type; an operator that does not exist.
pub fn analyze(state: &SessionState, plan: LogicalPlan) -> Result<LogicalPlan> {
    let ours = state.analyzer().rules.iter().find(|rule| rule.name() == analyzer::NAME);
    match ours {
        Some(rule) => rule.analyze(plan, state.config_options()),
        None => Ok(plan),
    }
}

fn scalar_functions(settings: &Settings) -> Vec<ScalarUDF> {
    let mut functions = vec![
        cast::pg_cast(settings),
        catalog_array::catalog_array(settings),
        compare::pg_key(),
        compare::pg_compare(),
        conditions::function(),
        fields::function(),
        float::pg_float(),
    ];
    functions.extend(lists::functions());
    functions.extend(arithmetic::functions(settings));
    functions.extend(datetime::functions(settings));
    functions.extend(choice::functions(settings));
    functions.extend(any::functions(settings));
    functions.extend(self::functions::functions(settings));
    functions
}

/// An error of the type table on its way through DataFusion.
fn external(error: ConnectorError) -> DataFusionError {
    error.into()
}

/// What is known of an operand's type.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Operand {
    /// A string literal or NULL or parameter that takes the other side's type.
    Unknown,
    Typed(PgType),
}

/// The type of an expression; `None` where it cannot be told, so that DataFusion decides.
fn operand(expr: &Expr, schema: &DFSchema) -> Option<Operand> {
    match expr {
        Expr::Literal(
            ScalarValue::Utf8(_) | ScalarValue::LargeUtf8(_) | ScalarValue::Utf8View(_) | ScalarValue::Null,
            None,
        ) => Some(Operand::Unknown),
        // PostgreSQL's integer literals are integer where they fit.
        Expr::Literal(ScalarValue::Int64(Some(value)), None) if i32::try_from(*value).is_ok() => {
            Some(Operand::Typed(PgType::new(atoll_connector_api::types::oids::INT4)))
        }
        Expr::Placeholder(_) if parameters::is_untyped(expr) => Some(Operand::Unknown),
        _ => type_of(expr, schema).map(Operand::Typed),
    }
}

/// The PostgreSQL type of an expression.
fn type_of(expr: &Expr, schema: &dyn ExprSchema) -> Option<PgType> {
    expr.to_field(schema).ok().map(|(_, field)| PgType::of_field(&field))
}

/// A literal of a type, tagged with it.
fn typed_literal(value: ScalarValue, data_type: &PgType) -> Expr {
    Expr::Literal(value, Some((&data_type.metadata()).into()))
}
