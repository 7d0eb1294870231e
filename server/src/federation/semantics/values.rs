//! `VALUES`: columns in the type that their rows have in common, by PostgreSQL's rule for `UNION`.
//!
//! What the syntax tree shows of a cell is enough for literals and casts. A column with anything else in it, in a list that
//! is not too long, becomes a `UNION ALL`, whose types are found when it is planned.

use atoll_connector_api::types::{PgType, oids};
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, SetExpr, SetOperator, SetQuantifier, UnaryOperator, Value,
    Values,
};

use super::rewrite::{parsed, pg_cast};
use super::{cast, choice};
use crate::error::{SqlError, SqlResult, SqlState};

/// Rows up to which a list with cells of unknown types becomes a `UNION ALL`.
const UNION_ROWS_MAX: usize = 100;

/// What is known of a cell.
enum Cell {
    /// NULL or an untyped string.
    Unknown,
    /// Of a type; a literal number has no modifier of its own.
    Typed(PgType),
    /// An expression.
    Other,
}

fn cell(expr: &Expr) -> Cell {
    match expr {
        Expr::Nested(inner) => cell(inner),
        Expr::Value(value) => match &value.value {
            Value::Null
            | Value::SingleQuotedString(_) | Value::EscapedStringLiteral(_) | Value::DollarQuotedString(_) => Cell::Unknown,
            Value::Boolean(_) => Cell::Typed(PgType::new(oids::BOOL)),
            Value::Number(digits, false) => Cell::Typed(number_type(&digits.to_string())),
            _ => Cell::Other,
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match cell(expr) {
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
pub(super) fn number_type(digits: &str) -> PgType {
    let oid = if digits.parse::<i32>().is_ok() {
        oids::INT4
    } else if digits.parse::<i64>().is_ok() {
        oids::INT8
    } else {
        oids::NUMERIC
    };
    PgType::new(oid)
}

/// Gives the cells of a `VALUES` list the types of their columns.
///
/// # Errors
/// `42804` where a column's types have nothing in common; `42601` where rows differ in length.
pub(super) fn unify(body: &mut SetExpr) -> SqlResult<()> {
    let SetExpr::Values(values) = body else { return Ok(()) };
    let columns = values.rows.first().map_or(0, |row| row.content.len());
    if values.rows.iter().any(|row| row.content.len() != columns) {
        return Err(SqlError::syntax("VALUES lists must all be the same length"));
    }
    let mut other = false;
    for column in 0..columns {
        other |= unify_column(values, column)?;
    }
    if other && values.rows.len() > 1 && values.rows.len() <= UNION_ROWS_MAX {
        *body = as_union(values)?;
    }
    Ok(())
}

/// Returns whether the column holds expressions, which only planning can type.
fn unify_column(values: &mut Values, column: usize) -> SqlResult<bool> {
    let cells: Vec<Cell> = values.rows.iter().filter_map(|row| row.content.get(column)).map(cell).collect();
    if cells.iter().any(|cell| matches!(cell, Cell::Other)) {
        return Ok(true);
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
    let common = common.unwrap_or(PgType::new(oids::TEXT));
    let name = common.sql_name();
    for (row, cell) in values.rows.iter_mut().zip(cells) {
        let Some(expr) = row.content.get_mut(column) else { continue };
        // All cells must agree in how they say their type: a literal says it otherwise than a cast.
        let same = matches!(&cell, Cell::Typed(data_type) if *data_type == common);
        if !same || !matches!(expr, Expr::Function(_)) {
            let null = Expr::Value(Value::Null.with_empty_span());
            *expr = pg_cast(std::mem::replace(expr, null), &name);
        }
    }
    Ok(false)
}

fn as_union(values: &mut Values) -> SqlResult<SetExpr> {
    let mut union: Option<SetExpr> = None;
    for row in std::mem::take(&mut values.rows) {
        let names: Vec<String> = (1..=row.content.len()).map(|number| format!("NULL AS column{number}")).collect();
        let mut query = parsed(&format!("SELECT {}", names.join(", ")))?;
        if let SetExpr::Select(select) = query.body.as_mut() {
            for (item, value) in select.projection.iter_mut().zip(row.content) {
                if let datafusion::sql::sqlparser::ast::SelectItem::ExprWithAlias { expr, .. } = item {
                    *expr = value;
                }
            }
        }
        union = Some(match union {
            None => *query.body,
            Some(left) => SetExpr::SetOperation {
                op: SetOperator::Union,
                set_quantifier: SetQuantifier::All,
                left: Box::new(left),
                right: query.body,
            },
        });
    }
    union.ok_or_else(|| SqlError::internal("a list of values without rows"))
}
