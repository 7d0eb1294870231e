//! Calls and constructors that PostgreSQL refuses by their form alone.

use datafusion::sql::sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, ObjectNamePart, Value,
};

use crate::error::{SqlError, SqlResult, SqlState};

/// Window functions, with how many arguments they take; `true`: with other arguments it is an aggregate of a set that
/// has an order.
const WINDOW_FUNCTIONS: &[(&str, std::ops::RangeInclusive<usize>, bool)] = &[
    ("row_number", 0..=0, false),
    ("rank", 0..=0, true),
    ("dense_rank", 0..=0, true),
    ("percent_rank", 0..=0, true),
    ("cume_dist", 0..=0, true),
    ("ntile", 1..=1, false),
    ("lag", 1..=3, false),
    ("lead", 1..=3, false),
    ("first_value", 1..=1, false),
    ("last_value", 1..=1, false),
    ("nth_value", 2..=2, false),
];

/// Checks an expression, whose parts are still as they were written.
///
/// # Errors
/// `42809`, `42601`, `42804`, `2202E`, `42P18`.
pub(super) fn check(expr: &Expr) -> SqlResult<()> {
    match expr {
        Expr::Function(function) => check_call(function),
        Expr::Array(array) => check_dimensions(&array.elem),
        Expr::Collate { expr, .. } => check_collated(expr),
        _ => Ok(()),
    }
}

fn check_call(function: &Function) -> SqlResult<()> {
    let Some(name) = plain_name(function) else { return Ok(()) };
    let FunctionArguments::List(list) = &function.args else { return Ok(()) };
    let wrong = |message: String| Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
    if name == "count" {
        let star = matches!(list.args.as_slice(), [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)]);
        if star && list.duplicate_treatment == Some(DuplicateTreatment::Distinct) {
            return Err(SqlError::syntax("syntax error at or near \"*\""));
        }
        if list.args.is_empty() && function.within_group.is_empty() {
            return wrong("count(*) must be used to call a parameterless aggregate function".to_owned());
        }
    }
    let Some((_, arity, ordered)) = WINDOW_FUNCTIONS.iter().find(|(window, ..)| *window == name) else {
        return Ok(());
    };
    if !function.within_group.is_empty() {
        return Ok(());
    }
    if *ordered && !list.args.is_empty() {
        return wrong(format!("WITHIN GROUP is required for ordered-set aggregate {name}"));
    }
    if function.over.is_none() && arity.contains(&list.args.len()) {
        return wrong(format!("window function {name} requires an OVER clause"));
    }
    Ok(())
}

/// The name of a function of PostgreSQL's own.
fn plain_name(function: &Function) -> Option<String> {
    let parts: Option<Vec<String>> = function
        .name
        .0
        .iter()
        .map(|part| match part {
            ObjectNamePart::Identifier(name) if name.quote_style.is_none() => Some(name.value.to_lowercase()),
            ObjectNamePart::Identifier(name) => Some(name.value.clone()),
            ObjectNamePart::Function(_) => None,
        })
        .collect();
    match parts?.as_slice() {
        [name] => Some(name.clone()),
        [schema, name] if schema == "pg_catalog" => Some(name.clone()),
        _ => None,
    }
}

/// `ARRAY[[1], [2, 3]]`.
fn check_dimensions(elements: &[Expr]) -> SqlResult<()> {
    let lengths: Option<Vec<usize>> = elements
        .iter()
        .map(|element| match element {
            Expr::Array(array) => Some(array.elem.len()),
            _ => None,
        })
        .collect();
    let Some(lengths) = lengths else { return Ok(()) };
    if lengths.windows(2).any(|pair| matches!(pair, [one, other] if one != other)) {
        let message = "multidimensional arrays must have array expressions with matching dimensions";
        return Err(SqlError::new(SqlState(*b"2202E"), message));
    }
    Ok(())
}

fn check_collated(expr: &Expr) -> SqlResult<()> {
    let name = match expr {
        Expr::Nested(inner) => return check_collated(inner),
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => {
                let digits = digits.to_string();
                match (digits.parse::<i32>(), digits.parse::<i64>()) {
                    (Ok(_), _) => "integer",
                    (_, Ok(_)) => "bigint",
                    _ => "numeric",
                }
            }
            Value::Boolean(_) => "boolean",
            _ => return Ok(()),
        },
        _ => return Ok(()),
    };
    let message = format!("collations are not supported by type {name}");
    Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message))
}

/// `ARRAY[]::type[]` is the empty array of the type.
pub(super) fn empty_array(expr: &mut Expr) {
    if let Expr::Cast { expr: inner, .. } = expr
        && is_empty(inner)
    {
        **inner = Expr::Value(Value::SingleQuotedString("{}".to_owned()).with_empty_span());
    }
}

fn is_empty(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_empty(inner),
        Expr::Array(array) => array.elem.is_empty(),
        _ => false,
    }
}

/// `42P18` for an empty array of no type.
///
/// # Errors
/// That.
pub(super) fn check_empty(expr: &Expr) -> SqlResult<()> {
    if matches!(expr, Expr::Array(array) if array.elem.is_empty() && array.named) {
        return Err(SqlError::new(SqlState(*b"42P18"), "cannot determine type of empty array")
            .hint("Explicitly cast to the desired type, for example ARRAY[]::integer[]."));
    }
    Ok(())
}
