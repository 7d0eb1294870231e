//! Quoting, `format`, `pg_typeof`.

use atoll_connector_api::types::PgType;

use super::super::names::{quote_ident, quote_literal};
use super::udf::{Call, Definition, Returns, Value, lenient, strict};
use crate::error::{SqlError, SqlResult, SqlState};

/// More arguments than any call has.
const MANY: usize = 1_664;

/// The functions of this file.
pub(super) static FUNCTIONS: &[Definition] = &[
    strict("quote_ident", (1, 1), Returns::Text, |call| Ok(quote_ident(&call.text(0)).into())),
    strict("quote_literal", (1, 1), Returns::Text, |call| Ok(quote_literal(&call.text(0)).into())),
    lenient("quote_nullable", (1, 1), Returns::Text, quote_nullable),
    lenient("format", (1, MANY), Returns::Text, format),
    lenient("json_build_object", (0, MANY), Returns::Text, json_build_object),
    lenient("pg_typeof", (1, 1), Returns::Text, type_of),
    strict("option_name", (1, 1), Returns::Text, option_name),
    strict("option_value", (1, 1), Returns::Text, option_value),
];

fn quote_nullable(call: &Call<'_>) -> SqlResult<Value> {
    Ok(if call.is_null(0) { "NULL".into() } else { quote_literal(&call.text(0)).into() })
}

fn type_of(call: &Call<'_>) -> SqlResult<Value> {
    let name = call.fields.first().map(|field| {
        let bare = PgType { modifier: -1, ..PgType::of_field(field) };
        bare.sql_name().replace("bpchar", "character")
    });
    Ok(name.into())
}

/// `json_build_object('key', value, …)`, spaced as PostgreSQL spaces it.
fn json_build_object(call: &Call<'_>) -> SqlResult<Value> {
    if !call.len().is_multiple_of(2) {
        let message = "argument list must have even number of elements";
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    let string = |text: &str| serde_json::Value::from(text).to_string();
    let mut pairs = Vec::new();
    for index in (0..call.len()).step_by(2) {
        let value = match &call.arguments[index + 1] {
            Value::Null => "null".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Int(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            Value::Text(text) => string(text),
            Value::List(items) => {
                let items = items.iter().map(|item| item.as_deref().map_or("null".to_owned(), string));
                format!("[{}]", items.collect::<Vec<_>>().join(","))
            }
        };
        pairs.push(format!("{} : {value}", string(&call.text(index))));
    }
    Ok(format!("{{{}}}", pairs.join(", ")).into())
}

/// The name in `name=value`.
fn option_name(call: &Call<'_>) -> SqlResult<Value> {
    let text = call.text(0);
    Ok(text.split_once('=').map_or(text.as_str(), |(name, _)| name).into())
}

/// The value in `name=value`; NULL without one.
fn option_value(call: &Call<'_>) -> SqlResult<Value> {
    Ok(call.text(0).split_once('=').map(|(_, value)| value).into())
}

/// `format(text, …)` with `%s`, `%I`, `%L`, `%%`, positions (`%1$s`) and widths (`%-10s`).
fn format(call: &Call<'_>) -> SqlResult<Value> {
    if call.is_null(0) {
        return Ok(Value::Null);
    }
    let invalid = |message: &str| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message.to_owned());
    let pattern = call.text(0);
    let mut characters = pattern.chars().peekable();
    let mut out = String::new();
    let mut next = 1;
    while let Some(character) = characters.next() {
        if character != '%' {
            out.push(character);
            continue;
        }
        let mut number = String::new();
        let mut left = false;
        let mut position = None;
        let specifier = loop {
            match characters.next() {
                Some('-') => left = true,
                Some('$') => {
                    position = number.parse::<usize>().ok().filter(|position| *position > 0);
                    if position.is_none() {
                        return Err(invalid("format specifies argument 0, but arguments are numbered from 1"));
                    }
                    number.clear();
                }
                Some(digit) if digit.is_ascii_digit() => number.push(digit),
                Some(specifier) => break specifier,
                None => return Err(invalid("unterminated format() type specifier")),
            }
        };
        if specifier == '%' {
            out.push('%');
            continue;
        }
        let index = position.unwrap_or(next);
        next = index + 1;
        if index >= call.len() {
            return Err(invalid("too few arguments for format()"));
        }
        let text = match specifier {
            's' => {
                if call.is_null(index) {
                    String::new()
                } else {
                    call.text(index)
                }
            }
            'I' if call.is_null(index) => {
                let message = "null values cannot be formatted as an SQL identifier";
                return Err(SqlError::new(SqlState(*b"22004"), message));
            }
            'I' => quote_ident(&call.text(index)),
            'L' if call.is_null(index) => "NULL".to_owned(),
            'L' => quote_literal(&call.text(index)),
            other => return Err(invalid(&format!("unrecognized format() type specifier \"{other}\""))),
        };
        let width = number.parse::<usize>().unwrap_or(0).min(usize::from(u16::MAX));
        if left {
            out.push_str(&format!("{text:<width$}"));
        } else {
            out.push_str(&format!("{text:>width$}"));
        }
    }
    Ok(out.into())
}
