//! What PostgreSQL refuses by the types and names of columns, and DataFusion plans.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Query, Select, SelectItem};

use super::candidates::{each_expr, each_select};
use super::expressions::Known;
use super::source::{Source, of_ident};
use super::{Statement, folded, operators};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::statement::tree::find_own;

/// Types that PostgreSQL has without a collation.
const WITHOUT_COLLATION: &[&str] = &[
    "smallint",
    "integer",
    "bigint",
    "numeric",
    "real",
    "double precision",
    "boolean",
    "oid",
    "date",
    "time without time zone",
    "time with time zone",
    "timestamp without time zone",
    "timestamp with time zone",
    "interval",
    "bytea",
    "uuid",
    "json",
    "jsonb",
    "inet",
    "cidr",
    "bit",
    "bit varying",
    "money",
    "\"char\"",
];

/// Whether [`check_typed`] has anything to look at in a query: it asks for the types of its columns.
pub(in crate::federation) fn asks_types(query: &Query) -> bool {
    let mut asks = false;
    each_select(query, &mut |select: &Select| {
        asks |= select.having.as_ref().is_some_and(|having| !aliases(select, having).is_empty())
    });
    each_expr(query, &mut |expr| asks |= matches!(expr, Expr::Collate { .. }) || operators::takes_few(expr));
    asks
}

/// Refuses collations of what has none, names of the result in HAVING, and operators that are not there for a type.
///
/// # Errors
/// `42804`, `42703`, `42883`.
pub(in crate::federation) fn check_typed(statement: Statement<'_>) -> SqlResult<()> {
    let source = Source::of(statement.text, statement.query, statement.columns);
    let mut wrong = None;
    each_select(statement.query, &mut |select: &Select| {
        let Some(having) = &select.having else { return };
        for (name, position) in aliases(select, having) {
            if wrong.is_none() && !statement.columns.is_empty() && !statement.columns.is_name(&name) {
                let message = format!("column \"{name}\" does not exist");
                wrong = Some(SqlError::new(SqlState::UNDEFINED_COLUMN, message).at(position));
            }
        }
    });
    each_expr(statement.query, &mut |expr| {
        let Expr::Collate { expr: inner, .. } = expr else { return };
        if let Known::Type(name) = source.type_of(inner)
            && WITHOUT_COLLATION.contains(&name.as_str())
            && wrong.is_none()
        {
            let message = format!("collations are not supported by type {name}");
            wrong = Some(SqlError::new(SqlState::DATATYPE_MISMATCH, message));
        }
    });
    each_expr(statement.query, &mut |expr| wrong = wrong.take().or_else(|| operators::untaken(expr, &source)));
    wrong.map_or(Ok(()), Err)
}

/// The names in HAVING that are the result's.
fn aliases(select: &Select, having: &Expr) -> Vec<(String, Option<usize>)> {
    let mut names = Vec::new();
    let _: Option<()> = find_own(having, |expr| {
        if let Expr::Identifier(name) = expr {
            names.push((folded(name), of_ident(name)));
        }
        ControlFlow::Continue(())
    });
    let is_alias = |name: &str| {
        select
            .projection
            .iter()
            .any(|item| matches!(item, SelectItem::ExprWithAlias { alias, .. } if folded(alias) == name))
    };
    names.retain(|(name, _)| is_alias(name));
    names
}
