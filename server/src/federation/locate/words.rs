//! What is found by its words alone: types, collations, window frames, parameters.

use datafusion::sql::sqlparser::ast::{ObjectNamePart, SelectItem, SelectItemQualifiedWildcardKind};

use super::Statement;
use super::candidates::each_select;
use super::source::{Source, of_ident};
use crate::federation::semantics;

/// Finds what a message names.
pub(super) fn find(message: &str, statement: Statement<'_>, source: &Source<'_>) -> Option<usize> {
    missing_type(message, source)
        .or_else(|| modifier(message, source))
        .or_else(|| collation(message, source))
        .or_else(|| frame(message, source))
        .or_else(|| missing_table(message, statement))
        .or_else(|| other(message, source))
}

/// Whether a token begins a type's name.
fn is_type(index: usize, source: &Source<'_>) -> bool {
    matches!(source.before(index), "::" | "as") || source.is_constant(index + 1)
}

fn missing_type(message: &str, source: &Source<'_>) -> Option<usize> {
    if let Some(name) = message.strip_prefix("type \"").and_then(|rest| rest.strip_suffix("\" does not exist")) {
        let first = name.trim_end_matches("[]").split('.').next()?;
        return source.first(|index| source.is_name(index, first) && is_type(index, source));
    }
    let name = message.strip_prefix("schema \"")?.strip_suffix("\" does not exist")?;
    let names = |index: usize| source.is_name(index, name) && source.text(index + 1) == ".";
    // A collation's error is at its COLLATE.
    source
        .only(|index| names(index) && is_type(index, source))
        .or_else(|| source.only(|index| source.text(index) == "collate" && names(index + 1)))
        .or_else(|| source.only(|index| names(index) && source.text(index + 3) == "("))
}

/// `length for type varchar must be at least 1`: the type whose modifier says so.
fn modifier(message: &str, source: &Source<'_>) -> Option<usize> {
    if let Some(name) =
        message.strip_prefix("type modifier is not allowed for type \"").and_then(|rest| rest.strip_suffix('"'))
    {
        return source.only(|index| source.is_name(index, name) && source.text(index + 1) == "(");
    }
    let known = ["length for type ", "NUMERIC precision ", "NUMERIC scale "];
    if !known.iter().any(|prefix| message.starts_with(prefix)) {
        return None;
    }
    source.first(|index| {
        if !matches!(source.before(index), "::" | "as") {
            return false;
        }
        // `character varying (0)`: up to the parenthesis that ends the modifier.
        let mut text = String::new();
        for next in index..index + 10 {
            text.push_str(source.raw(next));
            text.push(' ');
            if source.text(next) == ")" {
                break;
            }
        }
        semantics::wrong_modifier(&text.replace("- ", "-")).is_some_and(|error| error.message == message)
    })
}

fn collation(message: &str, source: &Source<'_>) -> Option<usize> {
    let is_collate = |index: usize| source.text(index) == "collate";
    if message.starts_with("collations are not supported by type ") {
        return source.only(is_collate);
    }
    let name = message.strip_prefix("collation \"")?.split_once("\" for encoding ")?.0;
    source.only(|index| {
        is_collate(index)
            && (source.is_name(index + 1, name) || (source.text(index + 2) == "." && source.is_name(index + 3, name)))
    })
}

/// The bounds of the only window frame.
fn frame(message: &str, source: &Source<'_>) -> Option<usize> {
    if let Some(name) = message.strip_prefix("window \"").and_then(|rest| rest.strip_suffix("\" does not exist")) {
        return source.only(|index| source.is_name(index, name) && source.before(index) == "over");
    }
    let is_frame =
        |index: usize| source.text(index) == "between" && matches!(source.before(index), "rows" | "range" | "groups");
    let between = source.index_at(source.only(is_frame)?)?;
    let end = || source.only(|index| index > between && source.text(index) == "and");
    let start_is_offset = !matches!(source.text(between + 1), "unbounded" | "current");
    match message {
        "frame start cannot be UNBOUNDED FOLLOWING" => source.position(between + 1),
        "frame end cannot be UNBOUNDED PRECEDING"
        | "frame starting from current row cannot have preceding rows"
        | "frame starting from following row cannot have preceding rows"
        | "frame starting from following row cannot end with current row" => {
            source.position(source.index_at(end()?)? + 1)
        }
        message if message.starts_with("RANGE with offset PRECEDING/FOLLOWING is not supported") => {
            if start_is_offset {
                source.position(between + 1)
            } else {
                source.position(source.index_at(end()?)? + 1)
            }
        }
        _ => None,
    }
}

/// `missing FROM-clause entry for table "a"` for `a.*`.
fn missing_table(message: &str, statement: Statement<'_>) -> Option<usize> {
    let name = message.strip_prefix("missing FROM-clause entry for table \"")?.strip_suffix('"')?;
    let mut found = Vec::new();
    each_select(statement.query, &mut |select| {
        for item in &select.projection {
            if let SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(table), _) = item
                && let Some(ident) = table.0.last().and_then(ObjectNamePart::as_ident)
                && ident.value == name
            {
                found.push(table.0.first().and_then(ObjectNamePart::as_ident).and_then(of_ident));
            }
        }
    });
    found.first().copied().flatten()
}

fn other(message: &str, source: &Source<'_>) -> Option<usize> {
    if let Some(parameter) = message.strip_prefix("there is no parameter ") {
        return source.first(|index| source.raw(index) == parameter);
    }
    if message == "cannot determine type of empty array" {
        let is_empty = |index: usize| source.text(index + 1) == "[" && source.text(index + 2) == "]";
        return source.only(|index| source.text(index) == "array" && is_empty(index));
    }
    if message.starts_with("op ANY/ALL (array) requires ") {
        let is_quantifier = |index: usize| matches!(source.text(index), "any" | "all" | "some");
        let word = source.only(|index| is_quantifier(index) && source.text(index + 1) == "(")?;
        return source.position(source.index_at(word)?.checked_sub(1)?);
    }
    if message == "syntax error at or near \".\"" {
        return source.only(|index| source.text(index) == "." && matches!(source.before(index), ")" | "]"));
    }
    if message == "syntax error at or near \"*\"" {
        return source.only(|index| source.text(index) == "*" && source.before(index) == "distinct");
    }
    None
}
