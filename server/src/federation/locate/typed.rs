//! What PostgreSQL refuses by the types and names of columns, and DataFusion plans.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Query, Select, SelectItem, Visit, Visitor};

use super::candidates::{each_expr, each_select};
use super::expressions::Known;
use super::source::{Source, of_ident};
use super::{Statement, folded};
use crate::error::{SqlError, SqlResult, SqlState};

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
    each_expr(query, &mut |expr| asks |= matches!(expr, Expr::Collate { .. }));
    asks
}

/// Refuses collations of what has none, and names of the result in HAVING.
///
/// # Errors
/// `42804`, `42703`.
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
    wrong.map_or(Ok(()), Err)
}

/// The names in HAVING that are the result's.
fn aliases(select: &Select, having: &Expr) -> Vec<(String, Option<usize>)> {
    struct Names(usize, Vec<(String, Option<usize>)>);
    impl Visitor for Names {
        type Break = ();

        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.0 += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.0 -= 1;
            ControlFlow::Continue(())
        }

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if let (0, Expr::Identifier(name)) = (self.0, expr) {
                self.1.push((folded(name), of_ident(name)));
            }
            ControlFlow::Continue(())
        }
    }
    let mut names = Names(0, Vec::new());
    let _ = having.visit(&mut names);
    let is_alias = |name: &str| {
        select
            .projection
            .iter()
            .any(|item| matches!(item, SelectItem::ExprWithAlias { alias, .. } if folded(alias) == name))
    };
    names.1.retain(|(name, _)| is_alias(name));
    names.1
}
