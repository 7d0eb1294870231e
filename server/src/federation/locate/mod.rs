//! Where in a statement's text the cause of an error stands.
//!
//! DataFusion's errors know no places. What an error says, by its message, is looked for in the query as it was written:
//! by the types that its parts have by their form alone. Where that leaves a doubt, no place is given.

mod calls;
mod candidates;
mod clauses;
mod constants;
mod expressions;
mod misplaced;
mod operators;
mod reasons;
mod recursive;
mod set_order;
mod source;
#[cfg(test)]
mod tests;
mod typed;
mod words;

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, Function, Ident, ObjectNamePart, OrderByKind, Query, SelectItem, SetExpr, Visit, Visitor,
};

use super::relations::position;
use crate::error::{SqlError, SqlState};
pub(super) use constants::cast_constants;
pub use constants::{CastConstant, Stage};
pub(super) use expressions::Columns;
pub(super) use misplaced::check_aggregates;
pub(super) use reasons::sharpen;
pub(super) use recursive::check_recursion;
pub(super) use set_order::check_set_order;
use source::Source;
pub(super) use typed::{asks_types, check_typed};

/// What a statement is searched in.
#[derive(Clone, Copy)]
pub(super) struct Statement<'a> {
    /// As it was written.
    pub(super) query: &'a Query,
    /// The text that the query's locations count in.
    pub(super) text: &'a str,
    /// What its columns are, as far as it is known.
    pub(super) columns: &'a Columns,
    /// Whether a function is an aggregate.
    pub(super) is_aggregate: &'a (dyn Fn(&str) -> bool + Sync),
}

/// What an error is about.
enum Cause {
    Column(String),
    /// A column that is named without a table.
    Bare(String),
    Function(String),
    /// A name in front of a column.
    Table(String),
    /// A column outside of aggregates.
    Ungrouped(String),
    /// An aggregate of WHERE.
    AggregateOfWhere,
    /// An aggregate within an aggregate.
    NestedAggregate,
}

/// PostgreSQL's name of the type that an expression has by its form alone, `unknown` included.
pub(super) fn type_by_form(expr: &Expr) -> Option<String> {
    expressions::type_of(expr, &Columns::default()).name().map(str::to_owned)
}

/// Adds the position of the place that an error is about.
pub(super) fn locate(error: SqlError, statement: Statement<'_>) -> SqlError {
    if error.position.is_some() {
        return error;
    }
    let error = CastConstant::locate(&cast_constants(statement.query, statement.columns), error, Stage::Planning);
    if error.position.is_some() {
        return error;
    }
    if let Some(position) = place(&error, statement) {
        return error.at(position);
    }
    let Some(cause) = cause_of(&error) else { return error };
    let mut finder = Finder { cause, is_aggregate: statement.is_aggregate, aggregates: 0, found: None };
    let _ = match finder.cause {
        Cause::Ungrouped(_) | Cause::AggregateOfWhere => statement.query.visit(&mut Clauses(&mut finder)),
        _ => statement.query.visit(&mut finder),
    };
    let Some(start) = finder.found else {
        let star = matches!(finder.cause, Cause::Ungrouped(_)).then(|| only_star(statement.query)).flatten();
        return error.at(star);
    };
    error.at(position(statement.text, start))
}

/// The place of `*`, where a query has one only.
fn only_star(query: &Query) -> Option<usize> {
    let mut stars = Vec::new();
    candidates::each_select(query, &mut |select| {
        for item in &select.projection {
            if let SelectItem::Wildcard(options) = item {
                stars.push(source::begin(options.wildcard_token.0.span));
            }
        }
    });
    match stars.as_slice() {
        [only] => *only,
        _ => None,
    }
}

/// As [`locate`], for what is found when a plan is optimized: no row has been read yet.
pub fn locate_planning(error: SqlError, query: &Query, text: &str) -> SqlError {
    let columns = Columns::default();
    let error = CastConstant::locate(&cast_constants(query, &columns), error, Stage::Planning);
    if error.position.is_some() {
        return error;
    }
    let position = place(&error, Statement { query, text, columns: &columns, is_aggregate: &|_| false });
    error.at(position)
}

/// Where a name stands in a text, if it does so once.
pub fn only_word(text: &str, name: &str) -> Option<usize> {
    let columns = Columns::default();
    let source = Source::of_text(text, &columns);
    source.only(|index| source.is_name(index, name))
}

/// The place of what a message describes.
fn place(error: &SqlError, statement: Statement<'_>) -> Option<usize> {
    let message = error.message.as_str();
    let source = Source::of(statement.text, statement.query, statement.columns);
    if source.is_empty() {
        return None;
    }
    if let Some(operands) =
        message.strip_prefix("operator does not exist: ").or_else(|| message.strip_prefix("operator is not unique: "))
    {
        return operators::find(operands, statement, &source);
    }
    let rules = [
        clauses::argument,
        clauses::unmatched,
        clauses::ordinal,
        clauses::columns,
        clauses::part,
        clauses::distinct_key,
        calls::window,
    ];
    rules
        .iter()
        .find_map(|rule| rule(message, statement, &source))
        .or_else(|| calls::find(message, statement, &source))
        .or_else(|| words::find(message, statement, &source))
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
        SqlState::AMBIGUOUS_COLUMN => name(message.strip_prefix("column reference ")?).map(Cause::Bare),
        // With arguments it has been looked for.
        SqlState::UNDEFINED_FUNCTION if !message.contains('(') => {
            name(message.strip_prefix("function ")?).map(Cause::Function)
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
        _ => None,
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
            Cause::Bare(wanted) => names.as_slice() == [wanted.as_str()],
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
            Cause::Column(_) | Cause::Bare(_) | Cause::Table(_) => true,
            Cause::Ungrouped(_) => self.aggregates == 0,
            _ => false,
        };
        match (expr, &self.cause) {
            (Expr::Function(call), _) => self.call(call),
            (Expr::Identifier(ident), _) if named => self.offer(&[ident]),
            // `(t).x`
            (Expr::CompoundFieldAccess { root, access_chain }, _) if named => {
                match (root.as_ref(), access_chain.as_slice()) {
                    (Expr::Nested(inner), [AccessExpr::Dot(Expr::Identifier(field))]) => match inner.as_ref() {
                        Expr::Identifier(item) => self.offer(&[item, field]),
                        _ => ControlFlow::Continue(()),
                    },
                    _ => ControlFlow::Continue(()),
                }
            }
            (Expr::CompoundIdentifier(idents), _) if named => self.offer(&idents.iter().collect::<Vec<_>>()),
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
