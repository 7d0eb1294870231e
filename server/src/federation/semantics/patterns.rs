//! What may be matched with a pattern: `LIKE`, `ILIKE`, `~` and their kin take strings, `LIKE` takes bytes too.
//!
//! Many types are kept as text here, which every pattern would match; PostgreSQL has no such operators for them.

use atoll_connector_api::types::{PgType, oids};
use datafusion::common::DFSchema;
use datafusion::error::Result;
use datafusion::logical_expr::expr::Like;
use datafusion::logical_expr::{Expr, Operator};

use super::operators::{is_text, no_operator_named};
use super::{Operand, operand};
use crate::error::SqlError;

/// PostgreSQL's name for an operator of patterns.
pub(super) const fn written(operator: Operator) -> &'static str {
    match operator {
        Operator::RegexIMatch => "~*",
        Operator::RegexNotMatch => "!~",
        Operator::RegexNotIMatch => "!~*",
        Operator::LikeMatch => "~~",
        Operator::ILikeMatch => "~~*",
        Operator::NotLikeMatch => "!~~",
        Operator::NotILikeMatch => "!~~*",
        _ => "~",
    }
}

/// Checks a `LIKE`, and says whether it is one of bytes.
///
/// # Errors
/// `42883`; `0A000` for types that bring operators of their own.
pub(super) fn check_like(like: &Like, schema: &DFSchema) -> Result<bool> {
    let operator = match (like.negated, like.case_insensitive) {
        (false, false) => "~~",
        (false, true) => "~~*",
        (true, false) => "!~~",
        (true, true) => "!~~*",
    };
    let is_bytes = |expr: &Expr| match operand(expr, schema) {
        Some(Operand::Typed(own)) => Some(own.user.is_none() && own.oid == oids::BYTEA),
        Some(Operand::Unknown) => None,
        None => Some(false),
    };
    // An untyped literal is of the other side's type.
    let of_bytes = match (is_bytes(&like.expr), is_bytes(&like.pattern)) {
        (Some(left), Some(right)) => left && right,
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => false,
    };
    if of_bytes && !like.case_insensitive {
        return Ok(true);
    }
    check(&like.expr, operator, &like.pattern, schema)?;
    Ok(false)
}

/// Checks that both sides of an operator of patterns are strings.
///
/// # Errors
/// `42883`; `0A000` for types that bring operators of their own.
pub(super) fn check(left: &Expr, operator: &str, right: &Expr, schema: &DFSchema) -> Result<()> {
    let (Some(left), Some(right)) = (operand(left, schema), operand(right, schema)) else { return Ok(()) };
    for side in [&left, &right] {
        if let Operand::Typed(own) = side
            && own.is_extension()
        {
            let shown = PgType { modifier: -1, ..own.clone() }.sql_name();
            let message = format!("matching values of type {shown} with a pattern is not supported");
            return Err(SqlError::unsupported(message).into());
        }
    }
    let is_string = |side: &Operand| match side {
        Operand::Unknown => true,
        Operand::Typed(own) => is_text(own),
    };
    if is_string(&left) && is_string(&right) { Ok(()) } else { Err(no_operator_named(&left, operator, &right).into()) }
}
