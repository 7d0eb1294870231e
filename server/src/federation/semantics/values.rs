//! `VALUES`: columns in the type that their rows have in common, by PostgreSQL's rule for `UNION`.
//!
//! What the syntax tree shows of a cell is enough for literals and casts. Everything else is planned for its type.

use atoll_connector_api::types::{PgType, oids};
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Join, Query, Select, SelectItem, SetExpr, TableFactor,
    TableWithJoins, UnaryOperator, Value, Values, VisitMut, VisitorMut,
};
use std::ops::ControlFlow;

use super::around::Around;
use super::join_using::Describe;
use super::rewrite::{parsed, pg_cast};
use super::{cast, choice};
use crate::error::{SqlError, SqlResult, SqlState};

/// Cells of one list that are planned for their types.
const PLANNED_CELLS_MAX: usize = 1000;

/// What is known of a cell.
enum Cell {
    /// NULL or an untyped string.
    Unknown,
    /// Of a type; a literal number has no modifier of its own.
    Typed(PgType),
    /// An expression.
    Other,
}

fn cell(expr: &Expr, parameters: &[Option<PgType>]) -> Cell {
    match expr {
        Expr::Nested(inner) => cell(inner, parameters),
        Expr::Value(value) => match &value.value {
            Value::Placeholder(name) => {
                let number = name.strip_prefix('$').and_then(|digits| digits.parse::<usize>().ok());
                let given = number.and_then(|number| parameters.get(number.checked_sub(1)?)?.clone());
                given.map_or(Cell::Unknown, Cell::Typed)
            }
            Value::Null
            | Value::SingleQuotedString(_)
            | Value::EscapedStringLiteral(_)
            | Value::DollarQuotedString(_) => Cell::Unknown,
            Value::Boolean(_) => Cell::Typed(PgType::new(oids::BOOL)),
            Value::Number(digits, false) => Cell::Typed(number_type(&digits.to_string())),
            _ => Cell::Other,
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match cell(expr, parameters) {
            Cell::Typed(data_type) => Cell::Typed(data_type),
            _ => Cell::Other,
        },
        Expr::Function(function) if function.name.to_string() == cast::NAME => {
            let FunctionArguments::List(list) = &function.args else { return Cell::Other };
            let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(name)))) = list.args.get(1) else {
                return Cell::Other;
            };
            match &name.value {
                Value::SingleQuotedString(name) => PgType::parse_name(name).map_or(Cell::Other, Cell::Typed),
                _ => Cell::Other,
            }
        }
        _ => Cell::Other,
    }
}

/// The type of a number as it is written.
fn number_type(digits: &str) -> PgType {
    let oid = if digits.parse::<i32>().is_ok() {
        oids::INT4
    } else if digits.parse::<i64>().is_ok() {
        oids::INT8
    } else {
        oids::NUMERIC
    };
    PgType::new(oid)
}

/// Gives the cells of all `VALUES` lists of a query the types of their columns.
///
/// # Errors
/// `42804` where a column's types have nothing in common; `42601` where rows differ in length.
pub fn unify_values(query: &mut Query, describe: &Describe<'_>, parameters: &[Option<PgType>]) -> SqlResult<()> {
    match query.visit(&mut Lists { describe, parameters, around: Around::default() }) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// All lists: those that read no relation first, then those that read the FROM around them.
struct Lists<'a> {
    describe: &'a Describe<'a>,
    parameters: &'a [Option<PgType>],
    around: Around,
}

impl VisitorMut for Lists<'_> {
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        self.around.enter(query);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        self.around.leave(query);
        stop(unify_body(&mut query.body, self.describe, self.parameters))
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<SqlError> {
        for index in 0..select.from.len() {
            let before = select.from.get(..index).unwrap_or_default().to_vec();
            let Some(item) = select.from.get_mut(index) else { break };
            self.lateral(item, &before)?;
        }
        let from = select.from.clone();
        select.projection.visit(&mut self.correlated(&from))?;
        select.selection.visit(&mut self.correlated(&from))?;
        select.having.visit(&mut self.correlated(&from))
    }
}

impl<'a> Lists<'a> {
    fn correlated<'b>(&'b self, from: &'b [TableWithJoins]) -> Correlated<'b> {
        Correlated { lists: self, from }
    }

    /// The lists of lateral subqueries, which read the items before them.
    fn lateral(&self, item: &mut TableWithJoins, before: &[TableWithJoins]) -> ControlFlow<SqlError> {
        if let TableFactor::Derived { lateral: true, subquery, .. } = &mut item.relation {
            subquery.visit(&mut self.correlated(before))?;
        }
        for index in 0..item.joins.len() {
            let joins: Vec<Join> = item.joins.iter().take(index).cloned().collect();
            let relation = &item.relation;
            let from =
                || before.iter().cloned().chain([TableWithJoins { relation: relation.clone(), joins }]).collect();
            if let Some(join) = item.joins.get_mut(index)
                && let TableFactor::Derived { lateral: true, subquery, .. } = &mut join.relation
            {
                let from: Vec<TableWithJoins> = from();
                subquery.visit(&mut self.correlated(&from))?;
            }
        }
        ControlFlow::Continue(())
    }
}

/// Lists within a query that read its FROM.
struct Correlated<'a> {
    lists: &'a Lists<'a>,
    from: &'a [TableWithJoins],
}

impl VisitorMut for Correlated<'_> {
    type Break = SqlError;

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        if !has_values(&query.body) || self.from.is_empty() {
            return ControlFlow::Continue(());
        }
        let describe = |mut part: Query| {
            if let SetExpr::Select(select) = part.body.as_mut() {
                select.from = self.from.to_vec();
            }
            part.with = self.lists.around.clause(&part, None);
            (self.lists.describe)(part)
        };
        stop(unify_body(&mut query.body, &describe, self.lists.parameters))
    }
}

fn has_values(body: &SetExpr) -> bool {
    match body {
        SetExpr::SetOperation { left, right, .. } => has_values(left) || has_values(right),
        body => matches!(body, SetExpr::Values(_)),
    }
}

fn stop(result: SqlResult<()>) -> ControlFlow<SqlError> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    }
}

fn unify_body(body: &mut SetExpr, describe: &Describe<'_>, parameters: &[Option<PgType>]) -> SqlResult<()> {
    let values = match body {
        SetExpr::SetOperation { left, right, .. } => {
            unify_body(left, describe, parameters)?;
            return unify_body(right, describe, parameters);
        }
        SetExpr::Values(values) => values,
        _ => return Ok(()),
    };
    let columns = values.rows.first().map_or(0, |row| row.content.len());
    if values.rows.iter().any(|row| row.content.len() != columns) {
        return Err(SqlError::syntax("VALUES lists must all be the same length"));
    }
    for column in 0..columns {
        unify_column(values, column, describe, parameters)?;
    }
    Ok(())
}

/// The type of an expression that needs no relation; `None` where it cannot be planned alone.
fn planned(expr: &Expr, describe: &Describe<'_>) -> Option<PgType> {
    let mut query = parsed("SELECT NULL AS column1").ok()?;
    if let SetExpr::Select(select) = query.body.as_mut()
        && let Some(SelectItem::ExprWithAlias { expr: value, .. }) = select.projection.first_mut()
    {
        *value = expr.clone();
    }
    describe(query).ok()?.into_iter().next().map(|column| column.data_type)
}

fn unify_column(
    values: &mut Values,
    column: usize,
    describe: &Describe<'_>,
    parameters: &[Option<PgType>],
) -> SqlResult<()> {
    let mut cells = Vec::with_capacity(values.rows.len());
    for expr in values.rows.iter().filter_map(|row| row.content.get(column)) {
        cells.push(match cell(expr, parameters) {
            Cell::Other if values.rows.len() == 1 => return Ok(()),
            Cell::Other if values.rows.len() > PLANNED_CELLS_MAX => return Ok(()),
            Cell::Other => match planned(expr, describe) {
                Some(data_type) => Cell::Typed(data_type),
                None => return Ok(()),
            },
            cell => cell,
        });
    }
    let mut common: Option<PgType> = None;
    for data_type in cells.iter().filter_map(|cell| match cell {
        Cell::Typed(data_type) => Some(data_type),
        _ => None,
    }) {
        common = Some(match common {
            None => data_type.clone(),
            Some(before) => choice::unify(&before, data_type).ok_or_else(|| {
                let name = |data_type: &PgType| PgType { modifier: -1, ..data_type.clone() }.sql_name();
                SqlError::new(
                    SqlState::DATATYPE_MISMATCH,
                    format!("VALUES types {} and {} cannot be matched", name(&before), name(data_type)),
                )
            })?,
        });
    }
    let mut common = common.unwrap_or(PgType::new(oids::TEXT));
    if cells.iter().any(|cell| matches!(cell, Cell::Unknown)) {
        // A literal has no modifier, and must not be cut to the others'.
        common.modifier = -1;
    }
    let name = cast::full_name(&common);
    for (row, cell) in values.rows.iter_mut().zip(cells) {
        let Some(expr) = row.content.get_mut(column) else { continue };
        // All cells must agree in how they say their type: a literal says it otherwise than a cast.
        let same = matches!(&cell, Cell::Typed(data_type) if *data_type == common);
        if !same || !matches!(self::cell(expr, parameters), Cell::Typed(_)) || !matches!(expr, Expr::Function(_)) {
            let null = Expr::Value(Value::Null.with_empty_span());
            *expr = pg_cast(std::mem::replace(expr, null), &name);
        }
    }
    Ok(())
}
