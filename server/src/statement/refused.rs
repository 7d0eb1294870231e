//! What PostgreSQL has and Atoll does not: read as far as needed to tell a typing error from a missing feature.

use super::ast::{QualifiedName, Statement};
use super::cursor::Cursor;
use super::session;
use crate::error::{SqlError, SqlResult};

/// Kinds of objects that CREATE, ALTER, DROP, COMMENT ON and GRANT ON may name in PostgreSQL, longest first.
const KINDS: &[&[&str]] = &[
    &["text", "search", "configuration"],
    &["text", "search", "dictionary"],
    &["text", "search", "parser"],
    &["text", "search", "template"],
    &["trusted", "procedural", "language"],
    &["materialized", "view"],
    &["access", "method"],
    &["constraint", "trigger"],
    &["event", "trigger"],
    &["large", "object"],
    &["operator", "class"],
    &["operator", "family"],
    &["procedural", "language"],
    &["trusted", "language"],
    &["unique", "index"],
    &["unlogged", "table"],
    &["all", "sequences"],
    &["all", "functions"],
    &["all", "procedures"],
    &["all", "routines"],
    &["aggregate"],
    &["cast"],
    &["collation"],
    &["constraint"],
    &["conversion"],
    &["database"],
    &["domain"],
    &["extension"],
    &["function"],
    &["index"],
    &["language"],
    &["operator"],
    &["parameter"],
    &["policy"],
    &["procedure"],
    &["publication"],
    &["routine"],
    &["rule"],
    &["sequence"],
    &["statistics"],
    &["subscription"],
    &["system"],
    &["table"],
    &["tablespace"],
    &["transform"],
    &["trigger"],
    &["type"],
];

/// CREATE, ALTER … of a kind of object that Atoll does not have, behind the command's words; else a syntax error.
pub(super) fn unsupported_object(c: &mut Cursor, command: &str) -> SqlResult<Statement> {
    let Some(kind) = KINDS.iter().find(|kind| c.sees(kind)) else { return c.unexpected() };
    let words = kind.join(" ").to_uppercase();
    let hint = match (command, kind.last().copied()) {
        ("CREATE", Some("table")) if c.peek_at(kind.len()).is_some() => {
            return Err(SqlError::unsupported("local tables are not supported")
                .hint("Atoll keeps no data of its own: use CREATE FOREIGN TABLE or CREATE VIEW."));
        }
        ("CREATE" | "CREATE OR REPLACE", Some("view")) => "Use CREATE VIEW.",
        ("CREATE", Some("database")) => "Use CREATE SCHEMA, or CREATE SERVER for a database elsewhere.",
        _ => "",
    };
    if c.peek_at(kind.len()).is_none() {
        c.seek(c.end());
        return c.unexpected();
    }
    let error = SqlError::unsupported(format!("{command} {words} is not supported"));
    Err(if hint.is_empty() { error } else { error.hint(hint) })
}

/// Statements that write, behind nothing: sqlparser says whether they are well formed.
pub(super) fn write(c: &mut Cursor) -> SqlResult<Statement> {
    let command = c.word_at(0).unwrap_or_default();
    let target = target(c);
    if command == "insert" {
        check_insert(c)?;
    }
    let checked = match command {
        "insert" | "update" | "delete" => c.clone().check_with_sqlparser(),
        "truncate" | "merge" if c.peek_at(1).is_none() => {
            c.bump();
            c.unexpected()
        }
        _ => Ok(()),
    };
    checked?;
    let verb = match command {
        "insert" => "insert into",
        "delete" => "delete from",
        "merge" => "merge into",
        other => other,
    };
    let message = match target {
        Some(name) => format!("cannot {verb} relation \"{name}\""),
        None => format!("{} is not supported", command.to_uppercase()),
    };
    Err(SqlError::unsupported(message).hint("Foreign tables and views are read-only."))
}

/// sqlparser takes any word behind the table for an alias.
fn check_insert(c: &Cursor) -> SqlResult<()> {
    let mut c = c.clone();
    c.expect(&["insert", "into"])?;
    c.qualified_name()?;
    match c.word_at(0) {
        None if c.sees_symbol_at(0, '(') => Ok(()),
        Some("as" | "default" | "overriding" | "select" | "values" | "with" | "table") => Ok(()),
        _ => c.unexpected(),
    }
}

/// The relation that a statement writes to.
fn target(c: &Cursor) -> Option<QualifiedName> {
    let mut c = c.clone();
    c.bump();
    c.eat_any(&["into", "from", "table"]);
    c.eat(&["only"]);
    c.qualified_name().ok()
}

/// The same for any statement.
pub(super) fn written_relation(c: &Cursor) -> Option<QualifiedName> {
    let writes = matches!(c.word_at(0), Some("insert" | "update" | "delete" | "merge" | "truncate"));
    if writes { target(c) } else { None }
}

/// Commands that Atoll has not, behind their first word.
pub(super) fn command(c: &mut Cursor, words: &str) -> SqlResult<Statement> {
    if c.at_end() && !matches!(words, "CLUSTER") {
        return c.unexpected();
    }
    Err(SqlError::unsupported(format!("{words} is not supported")))
}

/// An option's value that is a word, a string or a number, as PostgreSQL's `def_arg`.
pub(super) fn option_value(c: &mut Cursor) -> SqlResult<String> {
    if let Some(value) = c.eat_string() {
        return Ok(value);
    }
    match session::number(c) {
        Some(number) => Ok(number),
        None => c.label(),
    }
}
