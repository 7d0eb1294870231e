//! `FETCH FIRST`, the standard's LIMIT.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, LimitClause, Query, Value};

use super::query::{Found, found};
use crate::error::SqlError;

/// `FETCH FIRST n ROWS ONLY` is the standard's word for LIMIT n, and LIMIT is what is planned; WITH TIES is planned
/// as a window.
pub(super) fn fetch_as_limit(query: &mut Query) -> Found {
    let Some(fetch) = query.fetch.take() else { return ControlFlow::Continue(()) };
    if fetch.with_ties && !fetch.percent {
        query.fetch = Some(fetch);
        return ControlFlow::Continue(());
    }
    if fetch.percent {
        return found(SqlError::unsupported("FETCH … PERCENT is not supported"));
    }
    let one = || Expr::Value(Value::Number("1".to_owned(), false).into());
    let quantity = fetch.quantity.unwrap_or_else(one);
    match &mut query.limit_clause {
        None => {
            query.limit_clause =
                Some(LimitClause::LimitOffset { limit: Some(quantity), offset: None, limit_by: Vec::new() });
        }
        Some(LimitClause::LimitOffset { limit: limit @ None, .. }) => *limit = Some(quantity),
        Some(_) => return found(SqlError::syntax("multiple LIMIT clauses not allowed")),
    }
    ControlFlow::Continue(())
}
