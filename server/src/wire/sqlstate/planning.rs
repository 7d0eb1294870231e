//! Errors that statements cause: names, types, clauses.

use datafusion::common::utils::datafusion_strsim::levenshtein;
use datafusion::common::{Column, Diagnostic, SchemaError};

use super::type_names::{pg_name, pg_names};
use super::values::cannot_cast;
use super::{Chosen, after, between, internal, lower_first};
use crate::error::{SqlError, SqlState};

/// Appendix A: codes that only this file needs.
const INVALID_ROW_COUNT_IN_LIMIT: SqlState = SqlState(*b"2201W");
const INVALID_ROW_COUNT_IN_OFFSET: SqlState = SqlState(*b"2201X");
/// `MAX_FUZZY_DISTANCE` of PostgreSQL's parse_relation.c.
const FUZZY_DISTANCE_MAX: usize = 3;

const CAST_HINT: &str = "You might need to add explicit type casts.";

/// A column that is missing, ambiguous or doubled.
pub(super) fn of_schema(error: &SchemaError) -> Chosen {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => missing_column(field, valid_fields),
        SchemaError::AmbiguousReference { field } => {
            let message = format!("column reference \"{}\" is ambiguous", field.name());
            Chosen::from(SqlError::new(SqlState::AMBIGUOUS_COLUMN, message)).naming(field.name())
        }
        SchemaError::DuplicateQualifiedField { qualifier, name: _ } => {
            let message = format!("table name \"{}\" specified more than once", qualifier.table());
            SqlError::new(SqlState::DUPLICATE_ALIAS, message).into()
        }
        SchemaError::DuplicateUnqualifiedField { name } => {
            SqlError::new(SqlState::DUPLICATE_COLUMN, format!("column \"{name}\" specified more than once")).into()
        }
    }
}

fn missing_column(field: &Column, valid: &[Column]) -> Chosen {
    let name = field.name();
    let missing = |message| SqlError::new(SqlState::UNDEFINED_COLUMN, message);
    let Some(relation) = &field.relation else {
        let error = with_near_names(missing(format!("column \"{name}\" does not exist")), name, qualified(valid));
        return Chosen::from(error).naming(name);
    };
    let table = relation.table();
    let of_table = |column: &&Column| column.relation.as_ref().is_some_and(|relation| relation.table() == table);
    if !valid.iter().any(|column| of_table(&column)) {
        return missing_from(table);
    }
    let error = missing(format!("column {table}.{name} does not exist"));
    Chosen::from(with_near_names(error, name, qualified(valid.iter().filter(of_table)))).naming(name)
}

fn missing_from(table: &str) -> Chosen {
    let message = format!("missing FROM-clause entry for table \"{table}\"");
    Chosen::from(SqlError::new(SqlState::UNDEFINED_TABLE, message)).naming(table)
}

/// The relation and the name of each column that has both.
fn qualified<'a>(columns: impl IntoIterator<Item = &'a Column>) -> impl Iterator<Item = (&'a str, &'a str)> {
    columns.into_iter().filter_map(|column| Some((column.relation.as_ref()?.table(), column.name())))
}

/// The hint that PostgreSQL gives where one or two columns, each given with its relation, are nearly named so.
pub(crate) fn with_near_names<'a>(
    error: SqlError,
    name: &str,
    columns: impl Iterator<Item = (&'a str, &'a str)>,
) -> SqlError {
    let mut near: Vec<(usize, String)> = columns
        .filter_map(|(relation, column)| {
            let distance = levenshtein(name, column);
            let plausible = distance <= FUZZY_DISTANCE_MAX && distance <= name.chars().count() / 2;
            plausible.then(|| (distance, format!("\"{relation}.{column}\"")))
        })
        .collect();
    // Of equally near ones the first stay first.
    near.sort_by_key(|(distance, _)| *distance);
    near.dedup();
    let best = near.first().map(|(distance, _)| *distance);
    near.retain(|(distance, _)| Some(*distance) == best);
    match near.as_slice() {
        [(_, one)] => error.hint(format!("Perhaps you meant to reference the column {one}.")),
        [(_, one), (_, two)] => {
            error.hint(format!("Perhaps you meant to reference the column {one} or the column {two}."))
        }
        _ => error,
    }
}

/// `syntax error at or near "x"`, from sqlparser's `Expected: a, found: x at Line: 1, Column: 2`.
pub(super) fn of_syntax(message: &str) -> Chosen {
    let (text, place) = message.rsplit_once(" at Line: ").map_or((message, None), |(text, place)| (text, Some(place)));
    let location = place.and_then(|place| {
        let (line, column) = place.split_once(", Column: ")?;
        Some((line.parse().ok()?, column.parse().ok()?))
    });
    let error = |message: String| Chosen::from(SqlError::syntax(message)).located(location);
    if text.starts_with("Unterminated string literal") {
        return error("unterminated quoted string".to_owned());
    }
    if text.starts_with("Expected close delimiter '\"'") {
        return error("unterminated quoted identifier".to_owned());
    }
    match text.rsplit_once(", found: ") {
        Some((_, "EOF")) => error("syntax error at end of input".to_owned()),
        Some((_, found)) => error(format!("syntax error at or near \"{found}\"")),
        None => error(format!("syntax error: {}", lower_first(text))),
    }
}

/// DataFusion's NotImplemented.
pub(super) fn of_not_implemented(message: &str) -> Chosen {
    if let Some(name) = message.strip_prefix("Unsupported SQL type ") {
        let name = name.to_lowercase();
        let error = SqlError::new(SqlState::UNDEFINED_OBJECT, format!("type \"{name}\" does not exist"));
        return Chosen::from(error).naming(name);
    }
    if let Some((source, target)) = after(message, "Unsupported CAST from ").and_then(|rest| rest.split_once(" to ")) {
        return cannot_cast(source, target).into();
    }
    // A dump of a syntax tree tells a user nothing.
    let text = message.strip_prefix("Unsupported ast node in sqltorel: ").map_or_else(
        || message.split(" { ").next().unwrap_or(message).to_owned(),
        |node| format!("{} is not supported", node.split([' ', '(']).next().unwrap_or(node)),
    );
    SqlError::unsupported(lower_first(&text)).into()
}

/// DataFusion's Internal: mostly its own bugs, and now and then a user's mistake that it did not foresee.
pub(super) fn of_internal(message: &str) -> SqlError {
    if message.contains("ScalarSubqueryExpr evaluated before") {
        return SqlError::unsupported("subqueries in lists of VALUES are not supported")
            .hint("Use SELECT ... UNION ALL SELECT ... instead.");
    }
    known_plan(message, None).map_or_else(|| internal(message), |known| known.error)
}

/// DataFusion's Plan.
pub(super) fn of_plan(message: &str, diagnostic: Option<&Diagnostic>) -> Chosen {
    known_plan(message, diagnostic).unwrap_or_else(|| {
        if message.starts_with("Internal error") {
            internal(message.trim_start_matches("Internal error: ")).into()
        } else {
            let first_line = message.lines().next().unwrap_or(message);
            SqlError::new(SqlState::SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION, lower_first(first_line)).into()
        }
    })
}

fn known_plan(message: &str, diagnostic: Option<&Diagnostic>) -> Option<Chosen> {
    unknown_name(message, diagnostic)
        .or_else(|| wrong_call(message))
        .or_else(|| wrong_operator(message, diagnostic))
        .or_else(|| wrong_grouping(message))
        .or_else(|| wrong_clause(message).map(Chosen::from))
}

fn unknown_name(message: &str, diagnostic: Option<&Diagnostic>) -> Option<Chosen> {
    let new = |state, text: String| Chosen::from(SqlError::new(state, text));
    if let Some(name) = between(message, "table function '", "' not found") {
        return Some(no_function(&format!("function {name} does not exist")).naming(name));
    }
    if let Some(resolved) = between(message, "table '", "' not found") {
        // The diagnostic has the name as it was written, the message as it was resolved.
        let written = diagnostic.and_then(|diagnostic| between(&diagnostic.message, "table '", "' not found"));
        let name = written.unwrap_or(resolved);
        return Some(new(SqlState::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist")));
    }
    if let Some(name) = between(message, "Invalid function '", "'") {
        return Some(no_function(&format!("function {name} does not exist")).naming(name));
    }
    if let Some(name) = message.strip_prefix("Invalid qualifier ") {
        return Some(missing_from(name));
    }
    if let Some(name) = between(message, "The window ", " is not defined") {
        return Some(new(SqlState::UNDEFINED_OBJECT, format!("window \"{name}\" does not exist")).naming(name));
    }
    let name = between(message, "WITH query name \"", "\" specified more than once")?;
    Some(new(SqlState::DUPLICATE_ALIAS, format!("WITH query name \"{name}\" specified more than once")))
}

fn no_function(message: &str) -> Chosen {
    let hint = format!("No function matches the given name and argument types. {CAST_HINT}");
    SqlError::new(SqlState::UNDEFINED_FUNCTION, message).hint(hint).into()
}

fn wrong_call(message: &str) -> Option<Chosen> {
    if let Some(call) = between(message, "No function matches the given name and argument types '", "'.") {
        let (name, arguments) = call.split_once('(')?;
        // Some functions have names of our own, so that they hide none of DataFusion's.
        let name = name.strip_prefix("atoll_").unwrap_or(name);
        let arguments = pg_names(arguments.strip_suffix(')').unwrap_or(arguments));
        return Some(no_function(&format!("function {name}({arguments}) does not exist")).naming(name));
    }
    if message.contains(" must be an INTEGER, TIMESTAMP, DATE or NULL, got Utf8") {
        let text = "function generate_series(unknown, unknown) is not unique";
        let hint = format!("Could not choose a best candidate function. {CAST_HINT}");
        return Some(SqlError::new(SqlState::AMBIGUOUS_FUNCTION, text).hint(hint).into());
    }
    if message == "unnest() requires exactly one argument" {
        return Some(no_function("function unnest() does not exist"));
    }
    if message.starts_with("unnest() can only be applied") {
        return Some(no_function("function unnest of that type does not exist"));
    }
    None
}

/// `operator does not exist: text + bigint`, from `Utf8 + Int64`.
pub(super) fn no_operator(operands: &str) -> SqlError {
    let operands = operands.replace(" IS NOT DISTINCT FROM ", " = ").replace(" IS DISTINCT FROM ", " = ");
    let mut words = operands.split(' ');
    // Neither Arrow's types nor operators begin with a lower-case letter or hold an unbracketed space, but a type's
    // arguments do: the operator is the first word outside of brackets that is not the left type.
    let mut depth = 0_usize;
    let (mut left, mut operator, mut right) = (Vec::new(), "", Vec::new());
    for word in &mut words {
        if depth == 0 && operator.is_empty() && !left.is_empty() {
            operator = word;
        } else if operator.is_empty() {
            left.push(word);
        } else {
            right.push(word);
        }
        depth = (depth + word.matches('(').count()).saturating_sub(word.matches(')').count());
    }
    let operator = match operator {
        "LIKE" => "~~",
        "ILIKE" => "~~*",
        other => other,
    };
    operator_missing(&format!("{} {operator} {}", pg_name(&left.join(" ")), pg_name(&right.join(" "))))
}

fn operator_missing(what: &str) -> SqlError {
    let hint = format!("No operator matches the given name and argument types. {CAST_HINT}");
    SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("operator does not exist: {what}")).hint(hint)
}

fn wrong_operator(message: &str, diagnostic: Option<&Diagnostic>) -> Option<Chosen> {
    let mismatch = |text: String| Chosen::from(SqlError::new(SqlState::DATATYPE_MISMATCH, text));
    if let Some(operands) = between(message, "Cannot coerce arithmetic expression ", " to valid types") {
        return Some(no_operator(operands).into());
    }
    if let Some(operands) = after(message, "for logical boolean operation ") {
        let (left, operator, right) = split_operands(operands)?;
        let wrong = if left == "Boolean" { right } else { left };
        return Some(mismatch(format!("argument of {operator} must be type boolean, not type {}", pg_name(wrong))));
    }
    if message.starts_with("Cannot infer common ")
        && let Some((_, operands)) = message.split_once(" operation ")
    {
        return Some(no_operator(operands).into());
    }
    if let Some(rest) = after(message, "There isn't a common type to coerce ")
        && let Some((left, rest)) = rest.split_once(" and ")
        && let Some((right, operation)) = rest.split_once(" in ")
    {
        let operator = operation.split(" expression").next().unwrap_or(operation);
        let operator = match operator {
            "LIKE" => "~~",
            "ILIKE" => "~~*",
            "SIMILAR TO" => "~",
            other => other,
        };
        return Some(operator_missing(&format!("{} {operator} {}", pg_name(left), pg_name(right))).into());
    }
    if let Some((source, target)) =
        after(message, "Cannot automatically convert ").and_then(|rest| rest.split_once(" to "))
    {
        return Some(cannot_cast(source, target).into());
    }
    if let Some(got) = after(message, "Unary operator 'NOT' requires a boolean expression, got ") {
        return Some(mismatch(format!("argument of NOT must be type boolean, not type {}", pg_name(got))));
    }
    if let Some(operator) = between(message, "Unary operator '", "' only supports") {
        let operand = diagnostic.and_then(|diagnostic| after(&diagnostic.message, " cannot be used with "));
        return Some(operator_missing(&format!("{operator} {}", operand.map_or_else(String::new, pg_name))).into());
    }
    if message.starts_with("Cannot create filter with non-boolean predicate") {
        let got = message.rsplit_once("' returning ").map_or("unknown", |(_, got)| got);
        return Some(mismatch(format!("argument of WHERE must be type boolean, not type {}", pg_name(got))));
    }
    let got = after(message, "Expected LIMIT to be an integer or null, but got ")?;
    Some(mismatch(format!("argument of LIMIT must be type bigint, not type {}", pg_name(got))))
}

fn split_operands(operands: &str) -> Option<(&str, &str, &str)> {
    [" AND ", " OR "].iter().find_map(|operator| {
        let (left, right) = operands.split_once(operator)?;
        Some((left, operator.trim(), right))
    })
}

fn wrong_grouping(message: &str) -> Option<Chosen> {
    let new = |text: &str| Chosen::from(SqlError::new(SqlState::GROUPING_ERROR, text));
    if let Some(column) = between(message, "column \"", "\" must appear in the GROUP BY clause") {
        let text =
            format!("column \"{column}\" must appear in the GROUP BY clause or be used in an aggregate function");
        return Some(new(&text).naming(column.rsplit('.').next().unwrap_or(column)));
    }
    if message.contains("must appear in the GROUP BY clause") || message.contains("must appear in GROUP BY clause") {
        return Some(new("an expression must appear in the GROUP BY clause or be used in an aggregate function"));
    }
    if message.starts_with("Aggregate function calls cannot be nested") {
        return Some(new("aggregate function calls cannot be nested"));
    }
    if let Some(clause) = between(message, "Aggregate functions are not allowed in the ", " clause") {
        return Some(new(&format!("aggregate functions are not allowed in {clause}")));
    }
    (message.contains("to grouping function is not in grouping columns"))
        .then(|| new("arguments to GROUPING must be grouping expressions of the associated query level"))
}

fn wrong_clause(message: &str) -> Option<SqlError> {
    let new = |state, text: &str| SqlError::new(state, text);
    if let Some(position) = between(message, "Order by column out of bounds, specified: ", ",") {
        let text = format!("ORDER BY position {position} is not in select list");
        return Some(new(SqlState::INVALID_COLUMN_REFERENCE, &text));
    }
    if let Some(position) = between(message, "Cannot find column with position ", " in SELECT clause") {
        let text = format!("GROUP BY position {position} is not in select list");
        return Some(new(SqlState::INVALID_COLUMN_REFERENCE, &text));
    }
    if let Some((operation, _)) = message.split_once(" queries have different number of columns") {
        let text = format!("each {operation} query must have the same number of columns");
        return Some(new(SqlState::SYNTAX_ERROR, &text));
    }
    if message.contains("non-recursive term and recursive term must have the same number of columns") {
        return Some(new(SqlState::SYNTAX_ERROR, "each UNION query must have the same number of columns"));
    }
    if let Some(have) = between(message, "Source table contains ", " columns but only ")
        && let Some(given) = between(message, " columns but only ", " names given")
    {
        let text = format!("table has {have} columns available but {given} columns specified");
        return Some(new(SqlState::INVALID_COLUMN_REFERENCE, &text));
    }
    if let Some(reason) = message.strip_prefix("Invalid window frame: ") {
        return Some(new(
            SqlState::WINDOWING_ERROR,
            &reason.replacen(" bound", "", 1).replacen("start", "frame start", 1),
        ));
    }
    if let Some(name) = between(message, "There is no built-in encoding named '", "'") {
        return Some(new(SqlState::INVALID_PARAMETER_VALUE, &format!("unrecognized encoding: \"{name}\"")));
    }
    if let Some(precision) = between(message, "Decimal(precision = ", ",") {
        let text = format!("NUMERIC precision {precision} must be between 1 and 76");
        return Some(new(SqlState::INVALID_PARAMETER_VALUE, &text));
    }
    let known = [
        (
            "Too many columns! The subquery should only return one column",
            SqlState::SYNTAX_ERROR,
            "subquery must return only one column",
        ),
        ("LIMIT must be >= 0", INVALID_ROW_COUNT_IN_LIMIT, "LIMIT must not be negative"),
        ("OFFSET must be >=0", INVALID_ROW_COUNT_IN_OFFSET, "OFFSET must not be negative"),
        (
            "Inconsistent data length across values list",
            SqlState::SYNTAX_ERROR,
            "VALUES lists must all be the same length",
        ),
        (
            "SELECT * with no tables specified is not valid",
            SqlState::SYNTAX_ERROR,
            "SELECT * with no tables specified is not valid",
        ),
        (
            "SELECT DISTINCT ON expressions must match initial ORDER BY expressions",
            SqlState::INVALID_COLUMN_REFERENCE,
            "SELECT DISTINCT ON expressions must match initial ORDER BY expressions",
        ),
        (
            "For SELECT DISTINCT, ORDER BY expressions",
            SqlState::INVALID_COLUMN_REFERENCE,
            "for SELECT DISTINCT, ORDER BY expressions must appear in select list",
        ),
        (
            "Projections require unique expression names",
            SqlState::FEATURE_NOT_SUPPORTED,
            "the same expression twice in a select list needs aliases",
        ),
        ("Substring without for/from", SqlState::SYNTAX_ERROR, "substring needs FROM or FOR"),
    ];
    known.iter().find(|(pattern, ..)| message.contains(pattern)).map(|(_, state, text)| new(*state, text))
}
