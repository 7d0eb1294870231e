//! Which operators PostgreSQL has for which types, and the functions that compute ours.

use arrow::datatypes::DataType;
use atoll_connector_api::types::{PgType, oids};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, ExprSchemable};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::super::{Operand, choice};
use super::{arithmetic_operator, comparison_operator, is_settled, is_text};
use crate::error::{SqlError, SqlState};

/// Operators that PostgreSQL has for several kinds of types, none of which it prefers.
pub(super) fn is_overloaded(op: &BinaryOperator) -> bool {
    arithmetic_operator(op).is_some()
        || is_bitwise(op)
        || matches!(
            op,
            BinaryOperator::Arrow
                | BinaryOperator::LongArrow
                | BinaryOperator::HashArrow
                | BinaryOperator::HashLongArrow
                | BinaryOperator::AtArrow
                | BinaryOperator::ArrowAt
                | BinaryOperator::PGOverlap
        )
}

/// A row compares with rows.
pub(super) fn check_rows(
    op: &BinaryOperator,
    left: (&Expr, Option<&Operand>),
    right: (&Expr, Option<&Operand>),
    schema: &DFSchema,
) -> Result<()> {
    if comparison_operator(op).is_none() {
        return Ok(());
    }
    let is_row = |side: &Expr| match side {
        Expr::ScalarFunction(call) => call.func.name() == "struct",
        _ => matches!(side.get_type(schema), Ok(DataType::Struct(_))),
    };
    let record = Operand::Typed(PgType::new(oids::RECORD));
    let is_other = |side: &Operand| matches!(side, Operand::Typed(own) if is_settled(own) && own.oid != oids::JSONB);
    match (is_row(left.0), is_row(right.0), left.1, right.1) {
        (true, false, _, Some(other)) if is_other(other) => Err(no_operator(&record, op, other).into()),
        (false, true, Some(other), _) if is_other(other) => Err(no_operator(other, op, &record).into()),
        _ => Ok(()),
    }
}

pub(super) const fn is_bitwise(op: &BinaryOperator) -> bool {
    matches!(
        op,
        BinaryOperator::BitwiseAnd
            | BinaryOperator::BitwiseOr
            | BinaryOperator::PGBitwiseXor
            | BinaryOperator::PGBitwiseShiftLeft
            | BinaryOperator::PGBitwiseShiftRight
    )
}

/// Refuses operators of bits, patterns and numbers whose sides are of other types: DataFusion would find a type for them.
pub(super) fn check_sides(op: &BinaryOperator, left: Option<&Operand>, right: Option<&Operand>) -> Result<()> {
    let (Some(left), Some(right)) = (left, right) else { return Ok(()) };
    let is_builtin = |side: &Operand, oids: &[u32]| match side {
        Operand::Unknown => true,
        Operand::Typed(own) => own.is_extension() || (own.user.is_none() && oids.contains(&own.oid)),
    };
    let integers = &[oids::INT2, oids::INT4, oids::INT8];
    const STRINGS: &[u32] = &[oids::TEXT, oids::VARCHAR, oids::BPCHAR];
    const NO_NUMBERS: &[u32] = &[oids::TEXT, oids::VARCHAR, oids::BPCHAR, oids::BOOL, oids::DATE];
    let is_string = |side: &Operand| match side {
        Operand::Unknown => true,
        Operand::Typed(own) => own.is_extension() || own.is_collated() || is_text(own),
    };
    let is_one_of = |side: &Operand, oids: &[u32]| matches!(side, Operand::Typed(own) if own.user.is_none() && oids.contains(&own.oid));
    let missing = match op {
        // A shift is by an `integer`.
        BinaryOperator::PGBitwiseShiftLeft | BinaryOperator::PGBitwiseShiftRight => {
            !is_builtin(left, integers) || !is_builtin(right, &[oids::INT2, oids::INT4])
        }
        op if is_bitwise(op) => !is_builtin(left, integers) || !is_builtin(right, integers),
        BinaryOperator::PGRegexMatch
        | BinaryOperator::PGRegexIMatch
        | BinaryOperator::PGRegexNotMatch
        | BinaryOperator::PGRegexNotIMatch => !is_string(left) || !is_string(right),
        BinaryOperator::PGExp => is_one_of(left, NO_NUMBERS) || is_one_of(right, NO_NUMBERS),
        op if arithmetic_operator(op).is_some() => {
            let texts = is_one_of(left, STRINGS) || is_one_of(right, STRINGS);
            // `jsonb - text` is one.
            let json = is_one_of(left, &[oids::JSONB]) && op == &BinaryOperator::Minus;
            let typed = matches!((left, right), (Operand::Typed(left), Operand::Typed(right))
                if !left.is_extension() && !right.is_extension());
            const NONE: &[u32] = &[oids::BOOL, oids::OID, oids::NAME, oids::JSON];
            (typed && texts && !json) || is_one_of(left, NONE) || is_one_of(right, NONE)
        }
        BinaryOperator::PGOverlap | BinaryOperator::AtArrow | BinaryOperator::ArrowAt => {
            const SCALARS: &[u32] = &[
                oids::INT2,
                oids::INT4,
                oids::INT8,
                oids::NUMERIC,
                oids::FLOAT4,
                oids::FLOAT8,
                oids::BOOL,
                oids::TEXT,
                oids::DATE,
                oids::TIMESTAMP,
                oids::TIMESTAMPTZ,
            ];
            is_one_of(left, SCALARS) && is_one_of(right, SCALARS)
        }
        BinaryOperator::StringConcat => match (left, right) {
            (Operand::Typed(left), Operand::Typed(right)) => match (left.element(), right.element()) {
                (Some(left), Some(right)) => choice::unify(&left, &right).is_none(),
                (Some(element), None) => right.user.is_none() && choice::unify(&element, right).is_none(),
                (None, Some(element)) => left.user.is_none() && choice::unify(&element, left).is_none(),
                (None, None) => false,
            },
            _ => false,
        },
        _ => false,
    };
    if missing { Err(no_operator(left, op, right).into()) } else { Ok(()) }
}

/// `42883` for a sign before an operand.
pub(super) fn no_sign(sign: &str, own: &PgType) -> SqlError {
    let shown = PgType { modifier: -1, ..own.clone() }.sql_name();
    SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("operator does not exist: {sign} {shown}"))
        .hint("No operator matches the given name and argument type. You might need to add an explicit type cast.")
}

pub(super) fn is_bits(side: Option<&Operand>) -> bool {
    matches!(side, Some(Operand::Typed(own)) if own.user.is_none() && matches!(own.oid, oids::BIT | oids::VARBIT))
}

/// The number whose bits are all set, with which the sign for inversion is written.
pub(super) fn is_all_ones(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => matches!(value, ScalarValue::Int16(Some(-1))),
        Expr::ScalarFunction(call) if call.func.name() == super::cast::NAME => {
            let texts: Vec<&str> = call
                .args
                .iter()
                .filter_map(|arg| match arg {
                    Expr::Literal(value, _) => value.try_as_str().flatten(),
                    _ => None,
                })
                .collect();
            texts == ["-1", "smallint"]
        }
        _ => false,
    }
}

pub(super) fn no_operator(left: &Operand, op: &BinaryOperator, right: &Operand) -> SqlError {
    no_operator_named(left, &op.to_string(), right)
}

/// `42883` for an operator by its name.
pub(in crate::federation::semantics) fn no_operator_named(left: &Operand, op: &str, right: &Operand) -> SqlError {
    let shown = |side: &Operand| match side {
        Operand::Unknown => "unknown".to_owned(),
        Operand::Typed(own) => PgType { modifier: -1, ..own.clone() }.sql_name(),
    };
    let message = format!("operator does not exist: {} {op} {}", shown(left), shown(right));
    SqlError::new(SqlState::UNDEFINED_FUNCTION, message)
        .hint("No operator matches the given name and argument types. You might need to add explicit type casts.")
}

/// The function behind an operator of JSON, arrays and powers.
pub(super) fn function_of(
    op: &BinaryOperator,
    left: Option<&Operand>,
    right: Option<&Operand>,
) -> Option<&'static str> {
    let is = |side: Option<&Operand>, oid: u32| matches!(side, Some(Operand::Typed(own)) if own.user.is_none() && own.oid == oid);
    let is_array = |side: Option<&Operand>| matches!(side, Some(Operand::Typed(own)) if own.is_array());
    let json = is(left, oids::JSON) || is(left, oids::JSONB);
    let jsonb = is(left, oids::JSONB) || is(right, oids::JSONB);
    let arrays = is_array(left) || is_array(right);
    let networks = [left, right].iter().any(|side| is(*side, oids::INET) || is(*side, oids::CIDR));
    let is_range = |side: Option<&Operand>| matches!(side, Some(Operand::Typed(own)) if own.range_bound().is_some());
    let ranges = (is_range(left), is_range(right));
    let bits = is_bits(left) || is_bits(right);
    let is_integer = |side: Option<&Operand>| [oids::INT2, oids::INT4, oids::INT8].iter().any(|oid| is(side, *oid));
    let unknown = (left == Some(&Operand::Unknown), right == Some(&Operand::Unknown));
    Some(match op {
        // An untyped literal is taken for a range.
        BinaryOperator::AtArrow if ranges.0 && (ranges.1 || unknown.1) => "range_contains",
        BinaryOperator::AtArrow if ranges.0 => "range_contains_elem",
        BinaryOperator::AtArrow if ranges.1 && unknown.0 => "range_contains",
        BinaryOperator::ArrowAt if ranges.1 && (ranges.0 || unknown.0) => "range_contains",
        BinaryOperator::ArrowAt if ranges.1 => "range_contains_elem",
        BinaryOperator::ArrowAt if ranges.0 && unknown.1 => "range_contains",
        op if ranges.0 || ranges.1 => return range_function(op),
        BinaryOperator::BitwiseAnd if bits => "bits_and",
        BinaryOperator::BitwiseOr if bits => "bits_or",
        BinaryOperator::PGBitwiseXor if bits => "bits_xor",
        BinaryOperator::PGBitwiseXor if is_integer(left) || is_integer(right) => "int_xor",
        BinaryOperator::PGBitwiseShiftLeft if is_bits(left) => "bits_left",
        BinaryOperator::PGBitwiseShiftRight if is_bits(left) => "bits_right",
        BinaryOperator::Plus if networks => "network_add",
        BinaryOperator::Minus if networks => "network_minus",
        BinaryOperator::PGStartsWith => "starts_with",
        BinaryOperator::PGExp => "power",
        BinaryOperator::PGBitwiseShiftLeft if networks => "network_sub",
        BinaryOperator::PGBitwiseShiftRight if networks => "network_sup",
        BinaryOperator::PGOverlap if networks => "network_overlap",
        BinaryOperator::Arrow if json => "json_get",
        BinaryOperator::LongArrow if json => "json_get_text",
        BinaryOperator::HashArrow if json => "json_path",
        BinaryOperator::HashLongArrow if json => "json_path_text",
        BinaryOperator::HashMinus if json => "jsonb_delete_path",
        BinaryOperator::AtArrow if jsonb => "jsonb_contains",
        BinaryOperator::ArrowAt if jsonb => "jsonb_contained",
        BinaryOperator::Question if json => "jsonb_exists",
        BinaryOperator::QuestionPipe if json => "jsonb_exists_any",
        BinaryOperator::QuestionAnd if json => "jsonb_exists_all",
        // Beside text, both are.
        BinaryOperator::StringConcat
            if jsonb && [left, right].iter().all(|side| is(*side, oids::JSONB) || *side == Some(&Operand::Unknown)) =>
        {
            "jsonb_concat"
        }
        BinaryOperator::Minus if is(left, oids::JSONB) => "jsonb_delete",
        BinaryOperator::AtArrow if arrays => "array_contains",
        BinaryOperator::ArrowAt if arrays => "array_contained",
        BinaryOperator::PGOverlap if arrays => "array_overlaps",
        BinaryOperator::StringConcat if is_array(left) && is_element(left, right) => "array_append",
        BinaryOperator::StringConcat if is_array(right) && is_element(right, left) => "array_prepend",
        BinaryOperator::StringConcat if arrays => "array_cat",
        _ => return None,
    })
}

/// The function behind an operator of two ranges.
pub(super) fn range_function(op: &BinaryOperator) -> Option<&'static str> {
    Some(match op.to_string().as_str() {
        "&&" => "range_overlaps",
        "<<" => "range_before",
        ">>" => "range_after",
        "-|-" => "range_adjacent",
        "&<" => "range_overleft",
        "&>" => "range_overright",
        "+" => "range_union",
        "*" => "range_intersect",
        "-" => "range_minus",
        _ => return None,
    })
}

/// A range contains values of its bounds' type, to which none is cast implicitly.
pub(super) fn check_ranges(op: &BinaryOperator, left: Option<&Operand>, right: Option<&Operand>) -> Result<()> {
    let range = |side: Option<&Operand>| match side {
        Some(Operand::Typed(own)) => own.range_bound().map(|bound| (own.clone(), bound)),
        _ => None,
    };
    let ranges = (range(left), range(right));
    let is_other =
        |bound: &PgType, value: Option<&Operand>| matches!(value, Some(Operand::Typed(own)) if own.oid != bound.oid);
    let shown = |side: Option<&Operand>| match side {
        Some(Operand::Typed(own)) => PgType { modifier: -1, ..own.clone() }.sql_name(),
        _ => "unknown".to_owned(),
    };
    let contains = match (op, &ranges) {
        (BinaryOperator::AtArrow, (Some((_, bound)), None)) => is_other(bound, right),
        (BinaryOperator::ArrowAt, (None, Some((_, bound)))) => is_other(bound, left),
        _ => false,
    };
    if contains {
        let message = format!("operator does not exist: {} {op} {}", shown(left), shown(right));
        return Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, message)
            .hint("No operator matches the given name and argument types. You might need to add explicit type casts.")
            .into());
    }
    let known = matches!(op, BinaryOperator::AtArrow | BinaryOperator::ArrowAt | BinaryOperator::StringConcat)
        || range_function(op).is_some();
    if (ranges.0.is_some() || ranges.1.is_some()) && !known && comparison_operator(op).is_none() {
        return Err(SqlError::unsupported(format!("operator {op} of ranges is not supported")).into());
    }
    Ok(())
}

/// The function behind an operator of `money`.
pub(super) fn money_function(
    op: &BinaryOperator,
    left: Option<&Operand>,
    right: Option<&Operand>,
) -> Option<&'static str> {
    let is = |side: Option<&Operand>| matches!(side, Some(Operand::Typed(own)) if own.user.is_none() && own.oid == oids::MONEY);
    if !is(left) && !is(right) {
        return None;
    }
    Some(match op {
        BinaryOperator::Plus => "money_add",
        BinaryOperator::Minus => "money_subtract",
        BinaryOperator::Multiply => "money_multiply",
        BinaryOperator::Divide => "money_divide",
        _ => return None,
    })
}

/// Whether one side is an element for the other's array: an untyped literal is an array.
pub(super) fn is_element(array: Option<&Operand>, side: Option<&Operand>) -> bool {
    matches!((array, side), (Some(Operand::Typed(_)), Some(Operand::Typed(own))) if !own.is_array())
}
