//! `FETCH FIRST`, the standard's LIMIT, and the constants that say how many rows.

use std::ops::ControlFlow;

use atoll_connector_api::types::Numeric;
use datafusion::sql::sqlparser::ast::{CastKind, DataType, Expr, LimitClause, Query, UnaryOperator, Value};

use super::query::{Found, found};
use crate::error::{SqlError, SqlResult, SqlState};

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

/// Constants of LIMIT and OFFSET as the `bigint` that PostgreSQL makes of them: a string is read, a fraction rounded.
pub(super) fn whole_limits(query: &mut Query) -> Found {
    let Some(LimitClause::LimitOffset { limit, offset, .. }) = &mut query.limit_clause else {
        return ControlFlow::Continue(());
    };
    for expr in limit.iter_mut().chain(offset.iter_mut().map(|offset| &mut offset.value)) {
        match whole(expr) {
            Ok(Some(rows)) => *expr = number(rows),
            Ok(None) => {}
            Err(error) => return found(error),
        }
    }
    ControlFlow::Continue(())
}

fn number(rows: i64) -> Expr {
    let digits = Expr::Value(Value::Number(rows.unsigned_abs().to_string(), false).with_empty_span());
    if rows < 0 { Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(digits) } } else { digits }
}

/// What a constant is as a `bigint`; `None` for what is one already, and for what is no constant.
fn whole(expr: &Expr) -> SqlResult<Option<i64>> {
    let rounded = |digits: &str, sign: &str| -> SqlResult<Option<i64>> {
        let range = || SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "bigint out of range");
        let value = Numeric::parse(&format!("{sign}{digits}")).map_err(|_| range())?.round(0);
        let mut text = String::new();
        value.write(&mut text);
        text.parse().map(Some).map_err(|_| range())
    };
    let is_whole = |digits: &str| digits.parse::<i64>().is_ok();
    match expr {
        Expr::Nested(inner) => whole(inner),
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) if !is_whole(&digits.to_string()) => rounded(&digits.to_string(), ""),
            Value::SingleQuotedString(text) => text.trim().parse().map(Some).map_err(|_| {
                let message = format!("invalid input syntax for type bigint: \"{text}\"");
                // Columns count in the whole text.
                let place = usize::try_from(value.span.start.column).ok().filter(|place| *place > 0);
                SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message).at(place)
            }),
            _ => Ok(None),
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match expr.as_ref() {
            Expr::Value(value) => match &value.value {
                Value::Number(digits, _) if !is_whole(&digits.to_string()) => rounded(&digits.to_string(), "-"),
                _ => Ok(None),
            },
            _ => Ok(None),
        },
        Expr::Cast {
            kind: CastKind::Cast | CastKind::DoubleColon,
            expr: inner,
            data_type: DataType::Numeric(_) | DataType::Decimal(_),
            ..
        } => match inner.as_ref() {
            Expr::Value(value) => match &value.value {
                Value::Number(digits, _) => rounded(&digits.to_string(), ""),
                _ => Ok(None),
            },
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}
