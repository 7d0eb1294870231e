//! Calls and constructors that PostgreSQL refuses by their form alone.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArgumentList, FunctionArguments, ObjectName, ObjectNamePart, Query, SelectItem, SetExpr, UnaryOperator,
    Value, Visit, Visitor,
};

use super::{collect, functions, rows, statistics};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::federation::locate::type_by_form;
use crate::federation::naming::folded;

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

/// Checks every expression of a query that is still as it was written.
///
/// # Errors
/// As [`check`].
pub fn check_all(query: &Query) -> SqlResult<()> {
    struct Shapes;
    impl Visitor for Shapes {
        type Break = SqlError;

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<SqlError> {
            match check(expr) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => ControlFlow::Break(error),
            }
        }
    }
    match query.visit(&mut Shapes) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// Checks an expression, whose parts are still as they were written.
///
/// # Errors
/// `42809`, `42601`, `42804`, `2202E`, `42P18`.
pub(super) fn check(expr: &Expr) -> SqlResult<()> {
    match expr {
        Expr::Function(function) => check_call(function),
        Expr::Array(array) => check_dimensions(&array.elem),
        Expr::Collate { expr, collation } => check_collated(expr).and_then(|()| check_collation(collation)),
        Expr::UnaryOp { op: UnaryOperator::BangNot, expr } => Err(match type_by_form(expr) {
            Some(own) => {
                let hint = "No operator matches the given name and argument type. \
                            You might need to add an explicit type cast.";
                SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("operator does not exist: ! {own}")).hint(hint)
            }
            None => SqlError::unsupported("operator ! is not supported"),
        }),
        Expr::CompoundFieldAccess { root, access_chain } => check_field(root, access_chain),
        Expr::InSubquery { expr, subquery, .. } => check_width(expr, subquery),
        Expr::AnyOp { left, right, .. } | Expr::AllOp { left, right, .. } => match right.as_ref() {
            Expr::Subquery(query) => check_width(left, query),
            _ => Ok(()),
        },
        Expr::Value(value) => match &value.value {
            Value::HexStringLiteral(digits) => match digits.chars().find(|digit| !digit.is_ascii_hexdigit()) {
                Some(wrong) => {
                    let message = format!("\"{wrong}\" is not a valid hexadecimal digit");
                    // Columns count in the whole text.
                    let place = usize::try_from(value.span.start.column).ok().filter(|place| *place > 0);
                    Err(SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message).at(place))
                }
                None => Ok(()),
            },
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

/// The fields of `(ROW(a, b))` are `f1` and `f2`.
fn check_field(root: &Expr, chain: &[AccessExpr]) -> SqlResult<()> {
    // Of what is no name a field is read in parentheses.
    if matches!(root, Expr::Function(_) | Expr::Array(_)) && matches!(chain, [AccessExpr::Dot(_), ..]) {
        return Err(SqlError::syntax("syntax error at or near \".\""));
    }
    let (Expr::Nested(_), [AccessExpr::Dot(Expr::Identifier(field))]) = (root, chain) else { return Ok(()) };
    let Some(fields) = rows::fields(root) else { return Ok(()) };
    let name = folded(field);
    let place = name.strip_prefix('f').and_then(|place| place.parse::<usize>().ok());
    if place.is_some_and(|place| (1..=fields.len()).contains(&place)) {
        return Ok(());
    }
    let message = format!("could not identify column \"{name}\" in record data type");
    Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message))
}

/// `1 IN (SELECT 1, 2)`.
fn check_width(left: &Expr, query: &Query) -> SqlResult<()> {
    let is_row = match left {
        Expr::Tuple(_) => true,
        Expr::Function(call) => plain_name(call).as_deref() == Some("row"),
        _ => false,
    };
    let SetExpr::Select(select) = query.body.as_ref() else { return Ok(()) };
    let is_expr = |item: &SelectItem| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. });
    if !is_row && select.projection.len() > 1 && select.projection.iter().all(is_expr) {
        return Err(SqlError::syntax("subquery has too many columns"));
    }
    Ok(())
}

/// A collation that PostgreSQL does not have either: what looks like a locale may be one of its.
fn check_collation(collation: &ObjectName) -> SqlResult<()> {
    let parts: Vec<&str> =
        collation.0.iter().filter_map(ObjectNamePart::as_ident).map(|ident| ident.value.as_str()).collect();
    let Some(name) = parts.last() else { return Ok(()) };
    let language = name.split(['_', '-', '.', '@']).next().unwrap_or_default();
    let is_locale = name.ends_with("-x-icu") || matches!(language.len(), 2 | 3);
    if is_locale || matches!(*name, "C" | "POSIX" | "default" | "ucs_basic") {
        return Ok(());
    }
    let message = format!("collation \"{}\" for encoding \"UTF8\" does not exist", parts.join("."));
    Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message))
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
    const AGGREGATES: [&str; 9] =
        ["max", "min", "sum", "avg", "bool_and", "bool_or", "every", "array_agg", "string_agg"];
    let star = matches!(list.args.as_slice(), [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)]);
    if star && AGGREGATES.contains(&name.as_str()) {
        return Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("function {name}() does not exist")).hint(
            "No function matches the given name and argument types. You might need to add explicit type casts.",
        ));
    }
    check_plain_call(function, &name, list)?;
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

/// What only aggregates take.
fn check_plain_call(function: &Function, name: &str, list: &FunctionArgumentList) -> SqlResult<()> {
    let is_plain = functions::named(name).is_some()
        && !functions::is_operator_only(name)
        && collect::named(name, true).is_none()
        && statistics::named(name).is_none()
        && !WINDOW_FUNCTIONS.iter().any(|(window, ..)| *window == name);
    if !is_plain {
        return Ok(());
    }
    let star = matches!(list.args.as_slice(), [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)]);
    let what = match () {
        () if star => {
            return Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("function {name}() does not exist")).hint(
                "No function matches the given name and argument types. You might need to add explicit type casts.",
            ));
        }
        () if !function.within_group.is_empty() => "WITHIN GROUP",
        () if list.duplicate_treatment == Some(DuplicateTreatment::Distinct) => "DISTINCT",
        () if list.clauses.iter().any(|clause| matches!(clause, FunctionArgumentClause::OrderBy(_))) => "ORDER BY",
        () if function.filter.is_some() => "FILTER",
        () if function.over.is_some() => {
            let message = format!("OVER specified, but {name} is not a window function nor an aggregate function");
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
        }
        () => return Ok(()),
    };
    let message = format!("{what} specified, but {name} is not an aggregate function");
    Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message))
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
