//! `VALUES`: columns in the type that their rows have in common, by PostgreSQL's rule for `UNION`.
//!
//! What the syntax tree shows of a cell is enough for literals and casts. Everything else is planned for its type.

use atoll_connector_api::types::{PgType, oids};
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Query, SelectItem, SetExpr, UnaryOperator, Value, Values,
    VisitMut, VisitorMut,
};
use std::ops::ControlFlow;

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
    struct Lists<'a>(&'a Describe<'a>, &'a [Option<PgType>]);
    impl VisitorMut for Lists<'_> {
        type Break = SqlError;

        fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
            match unify_body(&mut query.body, self.0, self.1) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => ControlFlow::Break(error),
            }
        }
    }
    match query.visit(&mut Lists(describe, parameters)) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
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
