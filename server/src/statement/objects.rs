//! Schemas, views, extensions, comments, DROP.

use super::ast::{
    AlterObject, Comment, CommentTarget, CreateSchema, CreateView, Drop, DropKind, ParsedStatement, QualifiedName,
    RoleSpec, Statement,
};
use super::cursor::Cursor;
use super::lexer::TokenKind;
use super::{foreign, refused, roles};
use crate::error::{SqlError, SqlResult, SqlState};

/// CREATE SCHEMA, behind these words.
pub(super) fn create_schema(c: &mut Cursor) -> SqlResult<Statement> {
    let if_not_exists = c.if_not_exists()?;
    let mut name = None;
    if !c.sees(&["authorization"]) {
        name = Some(c.name()?);
    }
    let authorization = if c.eat(&["authorization"]) { Some(c.role_not_public()?) } else { None };
    match c.word_at(0) {
        Some("create" | "grant") if if_not_exists => {
            Err(SqlError::unsupported("CREATE SCHEMA IF NOT EXISTS cannot include schema elements").at(c.position()))
        }
        _ => {
            let elements = schema_elements(c)?;
            Ok(Statement::CreateSchema(CreateSchema { name, if_not_exists, authorization, elements }))
        }
    }
}

/// The statements in CREATE SCHEMA. Nothing stands between them, but CREATE and GRANT are reserved words.
fn schema_elements(c: &mut Cursor) -> SqlResult<Vec<ParsedStatement>> {
    let mut elements = Vec::new();
    while matches!(c.word_at(0), Some("create" | "grant")) {
        let start = c.index();
        let mut ahead = 1;
        while c.peek_at(ahead).is_some() && !begins_element(c, ahead) {
            ahead += 1;
        }
        let end = start + ahead;
        let mut part = Cursor::new(c.lexed(), start, end);
        let statement = super::statement(&mut part)?;
        part.expect_end()?;
        if !matches!(statement, Statement::CreateView(_) | Statement::Grant(_)) {
            return Err(SqlError::unsupported("CREATE SCHEMA can include only CREATE VIEW and GRANT")
                .hint("Create the schema first, then what it shall hold."));
        }
        elements.push(part.parsed(statement, start));
        c.seek(end);
    }
    Ok(elements)
}

fn begins_element(c: &Cursor, ahead: usize) -> bool {
    let before = c.peek_at(ahead - 1).map(|token| &token.kind);
    let label = matches!(before, Some(TokenKind::Symbol('.'))) || c.word_at(ahead - 1) == Some("as");
    match c.word_at(ahead) {
        // GRANT CREATE ON …
        Some("create") => !label && c.word_at(ahead + 1).is_some_and(|word| word != "on"),
        Some("grant") => !label && c.word_at(ahead - 1) != Some("with"),
        _ => false,
    }
}

/// ALTER SCHEMA, behind these words.
pub(super) fn alter_schema(c: &mut Cursor) -> SqlResult<Statement> {
    let name = c.name()?;
    match foreign::rename_or_owner(c)? {
        Some(action) => Ok(Statement::AlterSchema(AlterObject { name, action })),
        None => c.unexpected(),
    }
}

/// CREATE [OR REPLACE] VIEW, behind these words. `start`: the statement's first token.
pub(super) fn create_view(c: &mut Cursor, or_replace: bool, start: usize) -> SqlResult<Statement> {
    let if_not_exists = c.if_not_exists()?;
    let name = c.qualified_name()?;
    let columns = if c.sees_symbol_at(0, '(') { c.parenthesized_list(Cursor::name)? } else { Vec::new() };
    let options = if c.eat(&["with"]) { view_options(c)? } else { Vec::new() };
    c.expect(&["as"])?;
    if matches!(c.word_at(0), Some("insert" | "update" | "delete" | "merge")) {
        return c.unexpected();
    }
    let query_start = c.index();
    let query = c.query()?;
    let (query_text, query_chars) = c.text_of(query_start, c.index());
    let (_, statement_chars) = c.text_of(start, c.index());
    if c.eat(&["with"]) {
        c.eat_any(&["cascaded", "local"]);
        c.expect(&["check", "option"])?;
        return Err(SqlError::unsupported("WITH CHECK OPTION is not supported").hint("Views are read-only."));
    }
    Ok(Statement::CreateView(CreateView {
        name,
        or_replace,
        if_not_exists,
        columns,
        query,
        query_text,
        query_offset: query_chars - statement_chars,
        options,
    }))
}

/// CREATE RECURSIVE VIEW, behind these words: the view of `WITH RECURSIVE name (columns) AS (query) SELECT columns FROM name`.
fn create_recursive_view(c: &mut Cursor, or_replace: bool, start: usize) -> SqlResult<Statement> {
    let Statement::CreateView(mut view) = create_view(c, or_replace, start)? else { return c.unexpected() };
    if view.columns.is_empty() {
        return Err(SqlError::syntax("CREATE RECURSIVE VIEW needs a list of column names"));
    }
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let name = quoted(view.name.name());
    let columns = view.columns.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ");
    view.query_text =
        format!("WITH RECURSIVE {name} ({columns}) AS ({}) SELECT {columns} FROM {name}", view.query_text);
    view.query = Box::new(super::parse_query(&view.query_text)?);
    Ok(Statement::CreateView(view))
}

/// `(security_invoker = true, …)`
pub(super) fn view_options(c: &mut Cursor) -> SqlResult<Vec<(String, String)>> {
    let options = c.parenthesized_list(|c| {
        let name = c.label()?;
        let value = if c.eat_operator("=") { Some(refused::option_value(c)?) } else { None };
        Ok((name, value))
    })?;
    let mut known: Vec<(String, String)> = Vec::with_capacity(options.len());
    for (name, value) in options {
        check_view_option(&name)?;
        boolean(&name, value.as_deref())?;
        if known.iter().any(|(other, _)| *other == name) {
            let message = format!("parameter \"{name}\" specified more than once");
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
        }
        known.push((name, value.unwrap_or_else(|| "true".to_owned())));
    }
    Ok(known)
}

/// Whether views have a storage parameter.
pub(super) fn check_view_option(name: &str) -> SqlResult<()> {
    match name {
        "security_invoker" | "security_barrier" => Ok(()),
        "check_option" => Err(SqlError::unsupported("check_option is not supported")),
        _ => {
            let message = format!("unrecognized parameter \"{name}\"");
            Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message))
        }
    }
}

/// A boolean option; without a value it is true.
pub(super) fn boolean(name: &str, value: Option<&str>) -> SqlResult<bool> {
    match value.map(str::to_ascii_lowercase).as_deref() {
        None | Some("true" | "on" | "yes" | "1" | "t" | "y") => Ok(true),
        Some("false" | "off" | "no" | "0" | "f" | "n") => Ok(false),
        Some(other) => Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("invalid value for boolean option \"{name}\": {other}"),
        )),
    }
}

/// CREATE EXTENSION, behind these words.
pub(super) fn create_extension(c: &mut Cursor) -> SqlResult<Statement> {
    let if_not_exists = c.if_not_exists()?;
    let name = c.name()?;
    c.eat(&["with"]);
    loop {
        if c.eat(&["schema"]) {
            c.name()?;
        } else if c.eat(&["version"]) {
            if c.eat_string().is_none() {
                c.nonreserved()?;
            }
        } else if !c.eat(&["cascade"]) {
            return Ok(Statement::CreateExtension { name, if_not_exists });
        }
    }
}

/// DROP, behind this word.
pub(super) fn drop(c: &mut Cursor) -> SqlResult<Statement> {
    let kind = if c.eat(&["foreign", "data", "wrapper"]) {
        DropKind::Wrapper
    } else if c.eat(&["foreign", "table"]) {
        DropKind::ForeignTable
    } else if c.eat(&["user", "mapping"]) {
        return foreign::drop_user_mapping(c);
    } else if c.eat(&["owned", "by"]) {
        let roles = c.list(Cursor::role_not_public)?;
        return Ok(Statement::DropOwned { roles, cascade: c.cascade() });
    } else if c.eat(&["materialized", "view"]) {
        DropKind::MaterializedView
    } else {
        const WORDS: &[&str] =
            &["server", "view", "schema", "role", "user", "group", "table", "extension", "index", "sequence"];
        match c.eat_any(WORDS) {
            Some("index") => {
                c.eat(&["concurrently"]);
                DropKind::Index
            }
            Some("sequence") => DropKind::Sequence,
            Some("server") => DropKind::Server,
            Some("view") => DropKind::View,
            Some("schema") => DropKind::Schema,
            Some("role" | "user" | "group") => DropKind::Role,
            Some("table") => DropKind::Table,
            Some("extension") => DropKind::Extension,
            _ => return refused::unsupported_object(c, "DROP"),
        }
    };
    let if_exists = c.if_exists();
    let names = match kind {
        DropKind::ForeignTable
        | DropKind::View
        | DropKind::Table
        | DropKind::Index
        | DropKind::Sequence
        | DropKind::MaterializedView => c.list(Cursor::qualified_name)?,
        DropKind::Role => c.list(|c| {
            let position = c.position();
            match c.role()? {
                RoleSpec::Name(name) => Ok(QualifiedName { parts: vec![name], position }),
                _ => Err(SqlError::new(
                    SqlState::INVALID_PARAMETER_VALUE,
                    "cannot use special role specifier in DROP ROLE",
                )),
            }
        })?,
        _ => c.list(|c| {
            let position = c.position();
            Ok(QualifiedName { parts: vec![c.name()?], position })
        })?,
    };
    let cascade = if kind == DropKind::Role { false } else { c.cascade() };
    Ok(Statement::Drop(Drop { kind, names, if_exists, cascade }))
}

/// COMMENT ON, behind these words.
pub(super) fn comment(c: &mut Cursor) -> SqlResult<Statement> {
    let target = if c.eat(&["foreign", "data", "wrapper"]) {
        CommentTarget::Wrapper(c.name()?)
    } else if c.eat(&["foreign", "table"]) {
        CommentTarget::ForeignTable(c.qualified_name()?)
    } else if c.eat(&["column"]) {
        column_target(c)?
    } else {
        match c.eat_any(&["server", "view", "table", "schema", "role", "database"]) {
            Some("server") => CommentTarget::Server(c.name()?),
            Some("view") => CommentTarget::View(c.qualified_name()?),
            Some("table") => CommentTarget::Table(c.qualified_name()?),
            Some("schema") => CommentTarget::Schema(c.name()?),
            Some("database") => CommentTarget::Database(c.name()?),
            Some("role") => CommentTarget::Role(c.name()?),
            _ => return refused::unsupported_object(c, "COMMENT ON"),
        }
    };
    c.expect(&["is"])?;
    Ok(Statement::Comment(Comment { target, comment: c.string_or_null()? }))
}

fn column_target(c: &mut Cursor) -> SqlResult<CommentTarget> {
    let position = c.position();
    let mut parts = c.dotted()?;
    match parts.pop() {
        Some(column) if !parts.is_empty() && parts.len() <= 3 => {
            Ok(CommentTarget::Column(QualifiedName { parts, position }, column))
        }
        Some(_) if parts.is_empty() => Err(SqlError::syntax("column name must be qualified")),
        _ => Err(SqlError::syntax("improper qualified name (too many dotted names)").at(position)),
    }
}

/// CREATE, behind this word. `start`: the statement's first token.
pub(super) fn create(c: &mut Cursor, start: usize) -> SqlResult<Statement> {
    if c.eat(&["or", "replace"]) {
        if c.eat(&["view"]) {
            return create_view(c, true, start);
        }
        return match c.word_at(0) {
            Some("recursive") if c.eat(&["recursive", "view"]) => create_recursive_view(c, true, start),
            Some("temp" | "temporary" | "local" | "global" | "recursive") => temporary(c),
            _ => refused::unsupported_object(c, "CREATE OR REPLACE"),
        };
    }
    if c.eat(&["foreign", "data", "wrapper"]) {
        return foreign::create_wrapper(c);
    }
    if c.eat(&["foreign", "table"]) {
        return foreign::create_foreign_table(c);
    }
    if c.sees(&["user", "mapping"])
        && (c.word_at(2) == Some("for") || (c.word_at(2) == Some("if") && c.word_at(3) == Some("not")))
    {
        c.eat(&["user", "mapping"]);
        return foreign::create_user_mapping(c);
    }
    if c.eat(&["recursive", "view"]) {
        return create_recursive_view(c, false, start);
    }
    if let Some("temp" | "temporary" | "local" | "global" | "recursive") = c.word_at(0) {
        return temporary(c);
    }
    match c.eat_any(&["server", "schema", "view", "role", "user", "group", "extension"]) {
        Some("server") => foreign::create_server(c),
        Some("schema") => create_schema(c),
        Some("view") => create_view(c, false, start),
        Some("user") => roles::create_role(c, true),
        Some("role" | "group") => roles::create_role(c, false),
        Some("extension") => create_extension(c),
        _ => refused::unsupported_object(c, "CREATE"),
    }
}

/// CREATE TEMPORARY …
fn temporary(c: &mut Cursor) -> SqlResult<Statement> {
    let mut ahead = 0;
    while matches!(c.word_at(ahead), Some("temp" | "temporary" | "local" | "global" | "recursive")) {
        ahead += 1;
    }
    let message = match (c.word_at(ahead.saturating_sub(1)) == Some("recursive"), c.word_at(ahead)) {
        (_, Some("view")) => "temporary views are not supported",
        (_, Some("sequence")) => "sequences are not supported",
        (false, Some("table")) => "temporary tables are not supported",
        (false, _)
            if matches!(c.peek_at(ahead).map(|token| &token.kind), Some(TokenKind::Word(_) | TokenKind::Quoted(_))) =>
        {
            "temporary tables are not supported"
        }
        _ => {
            c.seek(c.index() + ahead);
            return c.unexpected();
        }
    };
    Err(SqlError::unsupported(message).hint("Atoll keeps no data of its own."))
}

/// ALTER, behind this word.
pub(super) fn alter(c: &mut Cursor) -> SqlResult<Statement> {
    if c.eat(&["foreign", "data", "wrapper"]) {
        return foreign::alter_wrapper(c);
    }
    if c.eat(&["foreign", "table"]) {
        return foreign::alter_foreign_table(c, false);
    }
    if c.sees(&["table"]) && !c.sees(&["table", "all"]) && c.eat(&["table"]) {
        return foreign::alter_foreign_table(c, true);
    }
    if c.sees(&["user", "mapping", "for"]) && c.eat(&["user", "mapping"]) {
        return foreign::alter_user_mapping(c);
    }
    if c.sees(&["database"]) && matches!(c.word_at(2), Some("set" | "reset")) && c.word_at(3) != Some("tablespace") {
        c.bump();
        return roles::alter_database_setting(c);
    }
    if c.eat(&["default", "privileges"]) {
        return roles::alter_default_privileges(c);
    }
    match c.eat_any(&["server", "schema", "view", "role", "user", "group"]) {
        Some("server") => foreign::alter_server(c),
        Some("schema") => alter_schema(c),
        Some("view") => foreign::alter_view(c),
        Some("role" | "user") => roles::alter_role(c),
        Some("group") => roles::alter_group(c),
        _ => refused::unsupported_object(c, "ALTER"),
    }
}
