//! Errors that values cause: casts, arithmetic, arguments of functions.

use super::type_names::{input_name, pg_name};
use super::{after, between, internal, lower_first};
use crate::error::{SqlError, SqlState};

/// Appendix A: codes that only this file needs.
const INVALID_ARGUMENT_FOR_LOGARITHM: SqlState = SqlState(*b"2201E");
const INVALID_ARGUMENT_FOR_POWER_FUNCTION: SqlState = SqlState(*b"2201F");
const INVALID_ARGUMENT_FOR_NTILE_FUNCTION: SqlState = SqlState(*b"22014");
const PROGRAM_LIMIT_EXCEEDED: SqlState = SqlState(*b"54000");

/// `Cannot cast string 'x' to value of Int32 type` and its kin.
pub(super) fn of_cast(message: &str) -> SqlError {
    let text = between(message, "Cannot cast string '", "' to value of ")
        .or_else(|| between(message, "Cannot cast value '", "' to value of "));
    // The value may hold the same words, the type's name does not.
    let target = message.rsplit_once("' to value of ").and_then(|(_, rest)| rest.strip_suffix(" type"));
    if let (Some(text), Some(target)) = (text, target) {
        return invalid_text(text, target);
    }
    if let Some((_, target)) =
        message.split_once("Can't cast value ").and_then(|(_, rest)| rest.rsplit_once(" to type "))
    {
        return out_of_range(&pg_name(target));
    }
    if let Some((_, target)) = message.split_once(" is out of range ") {
        return out_of_range(&pg_name(target));
    }
    if let Some((source, target)) = after(message, "Casting from ").and_then(|rest| rest.split_once(" to "))
        && let Some(target) = target.strip_suffix(" not supported")
    {
        return cannot_cast(source, target);
    }
    if message.contains("overflow") || message.contains("out of range") || message.contains("precision") {
        return SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, lower_first(message));
    }
    SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, lower_first(message))
}

/// `42846`.
pub(super) fn cannot_cast(source: &str, target: &str) -> SqlError {
    let message = format!("cannot cast type {} to {}", pg_name(source), pg_name(target));
    SqlError::new(SqlState::CANNOT_COERCE, message)
}

fn invalid_text(text: &str, target: &str) -> SqlError {
    let name = input_name(target);
    let invalid = |state| SqlError::new(state, format!("invalid input syntax for type {name}: \"{text}\""));
    match name.as_str() {
        "smallint" | "integer" | "bigint" if is_integer(text) => {
            let message = format!("value \"{}\" is out of range for type {name}", text.trim());
            SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message)
        }
        "date" | "timestamp" | "timestamp with time zone" | "time" => invalid_datetime(text, &name),
        "interval" => invalid(SqlState::INVALID_DATETIME_FORMAT),
        "numeric" if text.trim().parse::<f64>().is_ok_and(f64::is_finite) => {
            SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "numeric field overflow")
        }
        _ => invalid(SqlState::INVALID_TEXT_REPRESENTATION),
    }
}

fn is_integer(text: &str) -> bool {
    let digits = text.trim().trim_start_matches(['-', '+']);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// A date that is written well but does not exist is out of range; anything else is no date.
fn invalid_datetime(text: &str, name: &str) -> SqlError {
    let fields: Vec<&str> = text.split(['-', ' ', 'T', ':', '.', '+']).collect();
    let numeric = fields.len() >= 3 && fields.iter().all(|field| is_integer(field));
    if numeric {
        let message = format!("date/time field value out of range: \"{text}\"");
        return SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, message);
    }
    SqlError::new(SqlState::INVALID_DATETIME_FORMAT, format!("invalid input syntax for type {name}: \"{text}\""))
}

fn out_of_range(name: &str) -> SqlError {
    let message = if name == "numeric" { "numeric field overflow".to_owned() } else { format!("{name} out of range") };
    let state = match name {
        "date" | "interval" => SqlState::DATETIME_FIELD_OVERFLOW,
        name if name.starts_with("time") => SqlState::DATETIME_FIELD_OVERFLOW,
        _ => SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
    };
    SqlError::new(state, message)
}

/// `Overflow happened on: 2147483647 + 1`: the operands tell the type, since a narrower one would not have overflowed.
pub(super) fn of_overflow(message: &str) -> SqlError {
    let operands = after(message, "Overflow happened on: ").unwrap_or_default();
    let widest = operands
        .split_whitespace()
        .filter_map(|word| word.trim_start_matches("- ").parse::<i128>().ok())
        .map(i128::unsigned_abs)
        .max();
    let name = match widest {
        Some(value) if value <= i16::MIN.unsigned_abs().into() => "smallint",
        Some(value) if value <= i32::MIN.unsigned_abs().into() => "integer",
        Some(value) if value > i64::MIN.unsigned_abs().into() => {
            return SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format");
        }
        _ => "bigint",
    };
    out_of_range(name)
}

/// Arrow's ParseError.
pub(super) fn of_parse(message: &str) -> SqlError {
    if let Some(text) = between(message, "Error parsing timestamp from '", "'") {
        return invalid_datetime(text, "timestamp");
    }
    if let Some(rest) = message.strip_prefix("Invalid input syntax for type ") {
        let message = format!("invalid input syntax for type {rest}");
        return SqlError::new(SqlState::INVALID_DATETIME_FORMAT, message);
    }
    if message.contains("imezone") || message.contains("ime zone") {
        return SqlError::new(SqlState::INVALID_PARAMETER_VALUE, lower_first(message));
    }
    SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, lower_first(message))
}

/// Arrow's ComputeError.
pub(super) fn of_compute(message: &str) -> SqlError {
    if let Some(inner) = message.strip_prefix("Execution error: ") {
        return of_execution(inner);
    }
    let overflow = message.contains("overflow");
    if overflow && (message.starts_with("Date") || message.starts_with("Timestamp") || message.contains("Interval")) {
        let name = if message.starts_with("Date") { "date" } else { "timestamp" };
        return out_of_range(name);
    }
    if overflow && let Some((array, _)) = message.split_once("Array overflow on") {
        return out_of_range(&pg_name(array));
    }
    if overflow {
        return SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow");
    }
    of_execution(message)
}

/// Arrow's InvalidArgumentError.
pub(super) fn of_invalid_argument(message: &str) -> SqlError {
    if message.contains("to store in a Decimal") {
        return SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "numeric field overflow");
    }
    if message.starts_with("Invalid arithmetic operation") || message.starts_with("Invalid comparison operation") {
        let operands = after(message, "operation: ").unwrap_or(message);
        return super::planning::no_operator(operands);
    }
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, lower_first(message))
}

/// A regular expression that does not compile: its last line says why.
pub(super) fn invalid_regex(message: &str) -> SqlError {
    let reason = message.lines().rev().find_map(|line| line.trim().strip_prefix("error: ")).unwrap_or("syntax error");
    let known = [
        ("unclosed group", "parentheses () not balanced"),
        ("unopened group", "parentheses () not balanced"),
        ("unclosed character class", "brackets [] not balanced"),
        ("repetition operator missing expression", "quantifier operand invalid"),
        ("unclosed counted repetition", "braces {} not balanced"),
        ("invalid repetition count range", "invalid repetition count(s)"),
        ("invalid character class range", "invalid character range"),
        ("unrecognized escape sequence", "invalid escape \\ sequence"),
        ("incomplete escape sequence", "invalid escape \\ sequence"),
    ];
    let reason = known.iter().find(|(own, _)| reason.starts_with(own)).map_or(reason, |(_, postgres)| postgres);
    SqlError::new(SqlState::INVALID_REGULAR_EXPRESSION, format!("invalid regular expression: {reason}"))
}

/// DataFusion's Execution: functions refuse their arguments, statements their objects.
pub(super) fn of_execution(message: &str) -> SqlError {
    let new = |state, text: &str| SqlError::new(state, text);
    if message.contains("regex parse error") || message.contains("Regular expression did not compile") {
        return invalid_regex(message);
    }
    if let Some(parameter) = between(message, "Placeholder '", "' was not provided") {
        return new(SqlState::UNDEFINED_PARAMETER, &format!("there is no parameter {parameter}"));
    }
    if let Some(unit) = between(message, "Unsupported date_trunc granularity: '", "'") {
        return new(SqlState::INVALID_PARAMETER_VALUE, &format!("timestamp units \"{unit}\" not recognized"));
    }
    if let Some(unit) = between(message, "Date part '", "' not supported") {
        return new(SqlState::INVALID_PARAMETER_VALUE, &format!("timestamp units \"{unit}\" not recognized"));
    }
    if let Some(digit) = between(message, "Failed to decode value using hex: Invalid character '", "'") {
        return new(SqlState::INVALID_PARAMETER_VALUE, &format!("invalid hexadecimal digit: \"{digit}\""));
    }
    if let Some(text) = between(message, "Error parsing timestamp from '", "'") {
        return invalid_datetime(text, "timestamp");
    }
    if let Some(name) = between(message, "Prepared statement '", "' does not exist") {
        let text = format!("prepared statement \"{name}\" does not exist");
        return new(SqlState::INVALID_SQL_STATEMENT_NAME, &text);
    }
    if let Some(source) = between(message, "Cannot access field at argument 1: type ", " is not Struct") {
        let text = format!("column notation applied to type {}, which is not a composite type", pg_name(source));
        return new(SqlState::WRONG_OBJECT_TYPE, &text);
    }
    let known = [
        (
            "calar subquery returned more than one row",
            SqlState::CARDINALITY_VIOLATION,
            "more than one row returned by a subquery used as an expression",
        ),
        ("negative count not allowed", SqlState::SUBSTRING_ERROR, "negative substring length not allowed"),
        ("negative substring length", SqlState::SUBSTRING_ERROR, "negative substring length not allowed"),
        ("string size overflow on", PROGRAM_LIMIT_EXCEEDED, "requested length too large"),
        ("invalid Unicode scalar value", PROGRAM_LIMIT_EXCEEDED, "requested character not valid for encoding"),
        (
            "square root of a negative number",
            INVALID_ARGUMENT_FOR_POWER_FUNCTION,
            "cannot take square root of a negative number",
        ),
        ("logarithm of zero", INVALID_ARGUMENT_FOR_LOGARITHM, "cannot take logarithm of zero"),
        (
            "logarithm of a negative number",
            INVALID_ARGUMENT_FOR_LOGARITHM,
            "cannot take logarithm of a negative number",
        ),
        (
            "NTILE requires a positive",
            INVALID_ARGUMENT_FOR_NTILE_FUNCTION,
            "argument of ntile must be greater than zero",
        ),
        ("ivide by zero", SqlState::DIVISION_BY_ZERO, "division by zero"),
        ("ivision by zero", SqlState::DIVISION_BY_ZERO, "division by zero"),
    ];
    if let Some((_, state, text)) = known.iter().find(|(pattern, ..)| message.contains(pattern)) {
        return new(*state, text);
    }
    if message.starts_with("Internal error") {
        return internal(message.trim_start_matches("Internal error: "));
    }
    let state = if message.contains("value '") && message.ends_with("is out of range") {
        SqlState::DATETIME_FIELD_OVERFLOW
    } else if message.contains("verflow") || message.contains("out of range") {
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE
    } else if message.ends_with("already exists") {
        SqlState::DUPLICATE_TABLE
    } else if message.ends_with("doesn't exist.") {
        SqlState::UNDEFINED_TABLE
    } else {
        SqlState::INVALID_PARAMETER_VALUE
    };
    new(state, &lower_first(message))
}
