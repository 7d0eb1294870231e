//! What DataFusion would plan and answer otherwise than PostgreSQL: refused, so that no row is ever wrong.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArguments, GroupByExpr, LimitClause, ObjectNamePart, Query, Select, TableFactor, Visit,
    Visitor,
};

use crate::error::{SqlError, SqlResult, SqlState};
use crate::statement::tree::find_own;

/// Functions of DataFusion that read their arguments otherwise than PostgreSQL's of the same name.
const FUNCTIONS: &[&str] = &["median"];

/// Refuses what would be answered wrongly.
///
/// # Errors
/// `0A000`, naming it.
pub fn refuse(query: &Query) -> SqlResult<()> {
    struct Finder;
    impl Visitor for Finder {
        type Break = SqlError;

        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<SqlError> {
            if let Some(LimitClause::LimitOffset { limit, offset, .. }) = &query.limit_clause {
                let rows = limit.iter().chain(offset.iter().map(|offset| &offset.value));
                if rows.into_iter().any(has_subquery) {
                    let message = "subqueries in LIMIT and OFFSET are not supported";
                    return ControlFlow::Break(SqlError::unsupported(message));
                }
            }
            if query.locks.is_empty() {
                return ControlFlow::Continue(());
            }
            ControlFlow::Break(
                SqlError::unsupported("row locks are not supported")
                    .hint("Leave out FOR UPDATE or FOR SHARE: foreign tables are read-only."),
            )
        }

        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<SqlError> {
            let groups = match &select.group_by {
                GroupByExpr::Expressions(groups, _) => groups.as_slice(),
                GroupByExpr::All(_) => &[],
            };
            let place = match () {
                () if select.selection.as_ref().is_some_and(has_window) => "in WHERE",
                () if select.having.as_ref().is_some_and(has_window) => "in HAVING",
                () if groups.iter().any(has_window) => "in GROUP BY",
                () if has_window(&select.named_window) => "in window definitions",
                () => return ControlFlow::Continue(()),
            };
            let message = format!("window functions are not allowed {place}");
            ControlFlow::Break(SqlError::new(SqlState::WINDOWING_ERROR, message))
        }

        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<SqlError> {
            match factor {
                TableFactor::Table { sample: Some(_), .. } => {
                    ControlFlow::Break(SqlError::unsupported("TABLESAMPLE is not supported"))
                }
                _ => ControlFlow::Continue(()),
            }
        }

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<SqlError> {
            match expr {
                Expr::Function(function) => {
                    let name = function.name.0.last().and_then(ObjectNamePart::as_ident);
                    let name = name.map(|ident| ident.value.to_lowercase()).unwrap_or_default();
                    if FUNCTIONS.contains(&name.as_str()) {
                        let message = format!("function {name} is not supported yet");
                        return ControlFlow::Break(SqlError::unsupported(message));
                    }
                    match &function.over {
                        Some(_) if has_window(&function.args) => {
                            let message = "window function calls cannot be nested";
                            ControlFlow::Break(SqlError::new(SqlState::WINDOWING_ERROR, message))
                        }
                        Some(window) if has_window(window) => {
                            let message = "window functions are not allowed in window definitions";
                            ControlFlow::Break(SqlError::new(SqlState::WINDOWING_ERROR, message))
                        }
                        _ => ControlFlow::Continue(()),
                    }
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    match query.visit(&mut Finder) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// Functions of DataFusion and of other databases that PostgreSQL has not.
const FOREIGN: &[&str] = &["date_format", "ifnull", "nvl", "nvl2"];

/// Refuses `count` of several arguments and functions of others, which DataFusion has. Found after planning, when the
/// arguments' types are known.
///
/// # Errors
/// `42883`.
pub fn refuse_calls(query: &Query) -> SqlResult<()> {
    struct Calls;
    impl Visitor for Calls {
        type Break = String;

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<String> {
            let Expr::Function(Function { name, args, .. }) = expr else { return ControlFlow::Continue(()) };
            let name = name.to_string().to_lowercase();
            let several = matches!(args, FunctionArguments::List(list) if list.args.len() > 1);
            if (several && name == "count") || FOREIGN.contains(&name.as_str()) {
                return ControlFlow::Break(name);
            }
            ControlFlow::Continue(())
        }
    }
    match query.visit(&mut Calls) {
        ControlFlow::Break(name) => {
            Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("function {name} does not exist")).hint(
                "No function matches the given name and argument types. You might need to add explicit type casts.",
            ))
        }
        ControlFlow::Continue(()) => Ok(()),
    }
}

fn has_subquery(expr: &Expr) -> bool {
    struct Queries;
    impl Visitor for Queries {
        type Break = ();

        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            ControlFlow::Break(())
        }
    }
    expr.visit(&mut Queries).is_break()
}

/// Whether a part of a query computes over a window, its subqueries left out.
pub fn has_window(part: &impl Visit) -> bool {
    let is_window = |expr: &Expr| match expr {
        Expr::Function(function) if function.over.is_some() => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    find_own(part, is_window).is_some()
}
