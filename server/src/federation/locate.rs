//! Where in a statement's text the cause of an error stands.

use std::ops::ControlFlow;

use atoll_connector_api::types::from_sql;
use datafusion::sql::sqlparser::ast::{
    DataType, Expr, Function, Ident, JoinConstraint, JoinOperator, ObjectNamePart, OrderByKind, Query, Select,
    SelectItem, SetExpr, Spanned, TypedString, Value, ValueWithSpan, Visit, Visitor,
};

use super::relations::position;
use crate::error::{SqlError, SqlState};

/// What a statement is searched in.
#[derive(Clone, Copy)]
pub(super) struct Statement<'a> {
    /// As it was written.
    pub(super) query: &'a Query,
    /// The text that the query's locations count in.
    pub(super) text: &'a str,
    /// Whether a function is an aggregate.
    pub(super) is_aggregate: &'a (dyn Fn(&str) -> bool + Sync),
}

/// A constant that is cast where it stands: PostgreSQL reads it before it plans, and says where a wrong one is.
#[derive(Debug, Clone)]
pub struct CastConstant {
    text: String,
    type_name: String,
    position: Option<usize>,
}

impl CastConstant {
    /// Adds the place of the constant that an error of running is about, where there is one.
    pub fn locate(constants: &[Self], error: SqlError) -> SqlError {
        if error.position.is_some() {
            return error;
        }
        let Some(rejected) = Rejected::of(&error) else { return error };
        let found = constants.iter().find(|constant| {
            constant.text == rejected.text && rejected.type_name.is_none_or(|name| name == constant.type_name)
        });
        match found {
            Some(constant) => {
                let position = constant.position;
                error.at(position)
            }
            None => error,
        }
    }
}

/// The constants of a query that are cast where they stand.
pub(super) fn cast_constants(query: &Query, text: &str) -> Vec<CastConstant> {
    let mut finder = Constants { text, found: Vec::new() };
    let _ = query.visit(&mut finder);
    finder.found
}

/// What an error says of a value that it rejects.
struct Rejected<'a> {
    text: &'a str,
    type_name: Option<&'a str>,
}

impl<'a> Rejected<'a> {
    fn of(error: &'a SqlError) -> Option<Self> {
        let values = [*b"22P02", *b"22007", *b"22008", *b"22003", *b"22009"];
        if !values.contains(&error.sqlstate.0) {
            return None;
        }
        let message = error.message.as_str();
        if let Some((text, type_name)) =
            message.strip_prefix("value \"").and_then(|rest| rest.split_once("\" is out of range for type "))
        {
            return Some(Self { text, type_name: Some(type_name) });
        }
        let (before, text) = message.strip_suffix('"')?.split_once(": \"")?;
        Some(Self { text, type_name: before.strip_prefix("invalid input syntax for type ") })
    }
}

/// What an error is about.
enum Cause {
    Column(String),
    Function(String),
    /// A name in front of a column.
    Table(String),
    /// A column outside of aggregates.
    Ungrouped(String),
    /// An aggregate of WHERE.
    AggregateOfWhere,
    /// An aggregate within an aggregate.
    NestedAggregate,
    /// A string constant.
    Constant(String),
}

/// Adds the position of the first place that an error can be about.
pub(super) fn locate(error: SqlError, statement: Statement<'_>) -> SqlError {
    if error.position.is_some() {
        return error;
    }
    let Some(cause) = cause_of(&error) else { return error };
    // Of two equal constants, the one that is cast to the type that rejects it.
    let error = match cause {
        Cause::Constant(_) => CastConstant::locate(&cast_constants(statement.query, statement.text), error),
        _ => error,
    };
    if error.position.is_some() {
        return error;
    }
    let mut finder = Finder { cause, is_aggregate: statement.is_aggregate, aggregates: 0, found: None };
    let _ = match finder.cause {
        Cause::Ungrouped(_) | Cause::AggregateOfWhere => statement.query.visit(&mut Clauses(&mut finder)),
        _ => statement.query.visit(&mut finder),
    };
    let Some(start) = finder.found else { return error };
    error.at(position(statement.text, start))
}

/// From the messages of which `sqlstate` is the author: `column "a" …`, `column t.a …`, `function f(…) …`.
fn cause_of(error: &SqlError) -> Option<Cause> {
    let message = error.message.as_str();
    let name = |rest: &str| {
        Some(match rest.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next()?.to_owned(),
            None => rest.split(' ').next()?.to_owned(),
        })
    };
    match error.sqlstate {
        SqlState::UNDEFINED_COLUMN => name(message.strip_prefix("column ")?).map(Cause::Column),
        SqlState::AMBIGUOUS_COLUMN => name(message.strip_prefix("column reference ")?).map(Cause::Column),
        SqlState::UNDEFINED_FUNCTION => {
            name(message.strip_prefix("function ")?.split('(').next()?).map(Cause::Function)
        }
        SqlState::UNDEFINED_TABLE => {
            name(message.strip_prefix("missing FROM-clause entry for table ")?).map(Cause::Table)
        }
        SqlState::GROUPING_ERROR if message == "aggregate functions are not allowed in WHERE" => {
            Some(Cause::AggregateOfWhere)
        }
        SqlState::GROUPING_ERROR if message == "aggregate function calls cannot be nested" => {
            Some(Cause::NestedAggregate)
        }
        SqlState::GROUPING_ERROR => name(message.strip_prefix("column ")?).map(Cause::Ungrouped),
        _ => Rejected::of(error).map(|rejected| Cause::Constant(rejected.text.to_owned())),
    }
}

struct Finder<'a> {
    cause: Cause,
    is_aggregate: &'a dyn Fn(&str) -> bool,
    /// How many calls of aggregates are around.
    aggregates: usize,
    found: Option<(u64, u64)>,
}

fn folded(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

fn call_name(call: &Function) -> Vec<&Ident> {
    call.name.0.iter().filter_map(ObjectNamePart::as_ident).collect()
}

/// Whether a call is an aggregate's, and not a window's.
fn is_aggregate_call(call: &Function, is_aggregate: &dyn Fn(&str) -> bool) -> bool {
    call.over.is_none() && call_name(call).last().is_some_and(|name| is_aggregate(&folded(name)))
}

impl Finder<'_> {
    fn offer(&mut self, parts: &[&Ident]) -> ControlFlow<()> {
        let names: Vec<String> = parts.iter().map(|part| folded(part)).collect();
        let same = match &self.cause {
            Cause::Table(wanted) => names.iter().rev().skip(1).any(|name| name == wanted),
            Cause::Ungrouped(wanted) => {
                let whole = names.join(".");
                whole == *wanted || wanted.rsplit('.').next() == Some(whole.as_str())
            }
            Cause::Column(wanted) | Cause::Function(wanted) => {
                names.join(".") == *wanted || names.last() == Some(wanted)
            }
            _ => true,
        };
        self.take(parts.first().map(|ident| (ident.span.start.line, ident.span.start.column)).filter(|_| same))
    }

    fn take(&mut self, start: Option<(u64, u64)>) -> ControlFlow<()> {
        match start.filter(|(line, _)| *line > 0) {
            Some(start) => {
                self.found = Some(start);
                ControlFlow::Break(())
            }
            None => ControlFlow::Continue(()),
        }
    }

    fn call(&mut self, call: &Function) -> ControlFlow<()> {
        let aggregate = is_aggregate_call(call, self.is_aggregate);
        let wanted = match &self.cause {
            Cause::Function(_) => true,
            Cause::AggregateOfWhere => aggregate,
            Cause::NestedAggregate => aggregate && self.aggregates > 0,
            _ => false,
        };
        self.aggregates += usize::from(aggregate);
        if wanted { self.offer(&call_name(call)) } else { ControlFlow::Continue(()) }
    }
}

impl Visitor for Finder<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let named = match self.cause {
            Cause::Column(_) | Cause::Table(_) => true,
            Cause::Ungrouped(_) => self.aggregates == 0,
            _ => false,
        };
        match (expr, &self.cause) {
            (Expr::Function(call), _) => self.call(call),
            (Expr::Identifier(ident), _) if named => self.offer(&[ident]),
            (Expr::CompoundIdentifier(idents), _) if named => self.offer(&idents.iter().collect::<Vec<_>>()),
            (Expr::Value(constant) | Expr::TypedString(TypedString { value: constant, .. }), Cause::Constant(text))
                if string_of(constant) == Some(text) =>
            {
                self.take(Some((constant.span.start.line, constant.span.start.column)))
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Function(call) = expr
            && is_aggregate_call(call, self.is_aggregate)
        {
            self.aggregates = self.aggregates.saturating_sub(1);
        }
        ControlFlow::Continue(())
    }
}

/// Searches only the clauses that the cause can be in, of every query.
struct Clauses<'a, 'b>(&'a mut Finder<'b>);

impl Visitor for Clauses<'_, '_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let SetExpr::Select(select) = query.body.as_ref() else { return ControlFlow::Continue(()) };
        if matches!(self.0.cause, Cause::AggregateOfWhere) {
            return select.selection.visit(self.0);
        }
        for item in &select.projection {
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                expr.visit(self.0)?;
            }
        }
        select.having.visit(self.0)?;
        if let Some(OrderByKind::Expressions(expressions)) = query.order_by.as_ref().map(|order| &order.kind) {
            for by in expressions {
                by.expr.visit(self.0)?;
            }
        }
        ControlFlow::Continue(())
    }
}

fn string_of(constant: &ValueWithSpan) -> Option<&String> {
    match &constant.value {
        Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => Some(text),
        _ => None,
    }
}

struct Constants<'a> {
    text: &'a str,
    found: Vec<CastConstant>,
}

impl Constants<'_> {
    fn add(&mut self, constant: &ValueWithSpan, data_type: &DataType) {
        let start = constant.span.start;
        let (Some(text), Some(data_type)) = (string_of(constant), from_sql(data_type)) else { return };
        let type_name = atoll_connector_api::types::PgType { modifier: -1, ..data_type }.sql_name().to_string();
        let position = position(self.text, (start.line, start.column)).filter(|_| start.line > 0);
        self.found.push(CastConstant { text: text.clone(), type_name, position });
    }
}

impl Visitor for Constants<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Cast { expr: inner, data_type, .. } => {
                if let Expr::Value(constant) = inner.as_ref() {
                    self.add(constant, data_type);
                }
            }
            Expr::TypedString(TypedString { data_type, value, .. }) => self.add(value, data_type),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Refuses aggregates where DataFusion would take them for something else: in GROUP BY and in conditions of joins.
///
/// # Errors
/// `42803`.
pub(super) fn check_aggregates(statement: Statement<'_>) -> Result<(), SqlError> {
    match statement.query.visit(&mut Misplaced(statement)) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Misplaced<'a>(Statement<'a>);

impl Misplaced<'_> {
    fn check(&self, expr: &Expr, place: &str) -> ControlFlow<SqlError> {
        let mut finder = OwnAggregate { is_aggregate: self.0.is_aggregate, queries: 0 };
        let ControlFlow::Break(start) = expr.visit(&mut finder) else { return ControlFlow::Continue(()) };
        let message = format!("aggregate functions are not allowed in {place}");
        ControlFlow::Break(SqlError::new(SqlState::GROUPING_ERROR, message).at(position(self.0.text, start)))
    }

    fn check_select(&self, select: &Select) -> ControlFlow<SqlError> {
        for join in select.from.iter().flat_map(|item| &item.joins) {
            if let JoinOperator::Join(JoinConstraint::On(condition))
            | JoinOperator::Inner(JoinConstraint::On(condition))
            | JoinOperator::Left(JoinConstraint::On(condition))
            | JoinOperator::LeftOuter(JoinConstraint::On(condition))
            | JoinOperator::Right(JoinConstraint::On(condition))
            | JoinOperator::RightOuter(JoinConstraint::On(condition))
            | JoinOperator::FullOuter(JoinConstraint::On(condition)) = &join.join_operator
            {
                self.check(condition, "JOIN conditions")?;
            }
        }
        if let datafusion::sql::sqlparser::ast::GroupByExpr::Expressions(expressions, _) = &select.group_by {
            for expr in expressions {
                self.check(expr, "GROUP BY")?;
            }
        }
        ControlFlow::Continue(())
    }
}

impl Visitor for Misplaced<'_> {
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<SqlError> {
        match query.body.as_ref() {
            SetExpr::Select(select) => self.check_select(select),
            _ => ControlFlow::Continue(()),
        }
    }
}

/// Finds an aggregate of an expression's own, none of a subquery's.
struct OwnAggregate<'a> {
    is_aggregate: &'a dyn Fn(&str) -> bool,
    queries: usize,
}

impl Visitor for OwnAggregate<'_> {
    type Break = (u64, u64);

    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<(u64, u64)> {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<(u64, u64)> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<(u64, u64)> {
        match expr {
            Expr::Function(call) if self.queries == 0 && is_aggregate_call(call, self.is_aggregate) => {
                let start = call.name.span().start;
                ControlFlow::Break((start.line, start.column))
            }
            _ => ControlFlow::Continue(()),
        }
    }
}
