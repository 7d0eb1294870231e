//! SQL/MED: wrappers, servers, user mappings, foreign tables, IMPORT FOREIGN SCHEMA.

use super::ast::{
    AlterAction, AlterForeignTable, AlterServer, AlterTableAction, AlterUserMapping, AlterWrapper, ColumnClause,
    CreateForeignTable, CreateServer, CreateUserMapping, CreateWrapper, DropUserMapping, ImportFilter,
    ImportForeignSchema, QualifiedName, Statement,
};
use super::cursor::Cursor;
use super::lexer::TokenKind;
use super::objects;
use crate::error::{SqlError, SqlResult};

/// CREATE FOREIGN DATA WRAPPER, behind these words. PostgreSQL has no IF NOT EXISTS here; scripts that run twice want it.
pub(super) fn create_wrapper(c: &mut Cursor) -> SqlResult<Statement> {
    let if_not_exists = c.if_not_exists()?;
    let name = c.name()?;
    let (handler, validator) = wrapper_functions(c)?;
    let (handler, validator) = (handler.flatten(), validator.flatten());
    Ok(Statement::CreateWrapper(CreateWrapper { name, if_not_exists, handler, validator, options: c.options()? }))
}

type FunctionClause = Option<Option<QualifiedName>>;

/// `[HANDLER f | NO HANDLER | VALIDATOR f | NO VALIDATOR] …`
fn wrapper_functions(c: &mut Cursor) -> SqlResult<(FunctionClause, FunctionClause)> {
    let (mut handler, mut validator) = (None, None);
    loop {
        let position = c.position();
        let (clause, value) = if c.eat(&["no", "handler"]) {
            (&mut handler, None)
        } else if c.eat(&["no", "validator"]) {
            (&mut validator, None)
        } else if c.eat(&["handler"]) {
            (&mut handler, Some(c.qualified_name()?))
        } else if c.eat(&["validator"]) {
            (&mut validator, Some(c.qualified_name()?))
        } else {
            return Ok((handler, validator));
        };
        if clause.replace(value).is_some() {
            return Err(SqlError::syntax("conflicting or redundant options").at(position));
        }
    }
}

/// ALTER FOREIGN DATA WRAPPER, behind these words.
pub(super) fn alter_wrapper(c: &mut Cursor) -> SqlResult<Statement> {
    let name = c.name()?;
    if let Some(action) = rename_or_owner(c)? {
        return Ok(Statement::AlterWrapper(AlterWrapper { name, action }));
    }
    let (handler, validator) = wrapper_functions(c)?;
    let options = c.option_actions()?;
    if handler.is_some() || validator.is_some() {
        return Err(SqlError::unsupported("changing a foreign-data wrapper's functions is not supported"));
    }
    match options {
        Some(options) => Ok(Statement::AlterWrapper(AlterWrapper { name, action: AlterAction::Options(options) })),
        None => c.unexpected(),
    }
}

/// `RENAME TO x` or `OWNER TO r`, if one follows.
pub(super) fn rename_or_owner(c: &mut Cursor) -> SqlResult<Option<AlterAction>> {
    if c.eat(&["rename"]) {
        c.expect(&["to"])?;
        return c.name().map(AlterAction::RenameTo).map(Some);
    }
    if c.eat(&["owner"]) {
        c.expect(&["to"])?;
        return c.role_not_public().map(AlterAction::OwnerTo).map(Some);
    }
    Ok(None)
}

/// CREATE SERVER, behind these words.
pub(super) fn create_server(c: &mut Cursor) -> SqlResult<Statement> {
    let if_not_exists = c.if_not_exists()?;
    let name = c.name()?;
    let server_type = if c.eat(&["type"]) { Some(c.string()?) } else { None };
    let version = if c.eat(&["version"]) { c.string_or_null()? } else { None };
    c.expect(&["foreign", "data", "wrapper"])?;
    let wrapper = c.name()?;
    let options = c.options()?;
    Ok(Statement::CreateServer(CreateServer { name, if_not_exists, server_type, version, wrapper, options }))
}

/// ALTER SERVER, behind these words.
pub(super) fn alter_server(c: &mut Cursor) -> SqlResult<Statement> {
    let name = c.name()?;
    if let Some(action) = rename_or_owner(c)? {
        return Ok(Statement::AlterServer(AlterServer { name, action }));
    }
    let version = if c.eat(&["version"]) { Some(c.string_or_null()?) } else { None };
    let action = match (version, c.option_actions()?) {
        (Some(version), options) => AlterAction::Version { version, options: options.unwrap_or_default() },
        (None, Some(options)) => AlterAction::Options(options),
        (None, None) => return c.unexpected(),
    };
    Ok(Statement::AlterServer(AlterServer { name, action }))
}

/// CREATE USER MAPPING, behind these words.
pub(super) fn create_user_mapping(c: &mut Cursor) -> SqlResult<Statement> {
    let if_not_exists = c.if_not_exists()?;
    c.expect(&["for"])?;
    let user = c.mapped_user()?;
    c.expect(&["server"])?;
    let server = c.name()?;
    Ok(Statement::CreateUserMapping(CreateUserMapping { user, server, if_not_exists, options: c.options()? }))
}

/// ALTER USER MAPPING, behind these words.
pub(super) fn alter_user_mapping(c: &mut Cursor) -> SqlResult<Statement> {
    c.expect(&["for"])?;
    let user = c.mapped_user()?;
    c.expect(&["server"])?;
    let server = c.name()?;
    match c.option_actions()? {
        Some(options) => Ok(Statement::AlterUserMapping(AlterUserMapping { user, server, options })),
        None => c.unexpected(),
    }
}

/// DROP USER MAPPING, behind these words.
pub(super) fn drop_user_mapping(c: &mut Cursor) -> SqlResult<Statement> {
    let if_exists = c.if_exists();
    c.expect(&["for"])?;
    let user = c.mapped_user()?;
    c.expect(&["server"])?;
    Ok(Statement::DropUserMapping(DropUserMapping { user, server: c.name()?, if_exists }))
}

/// CREATE FOREIGN TABLE, behind these words. PostgreSQL demands the parentheses; Atoll reads the columns from the source
/// where they are left out.
pub(super) fn create_foreign_table(c: &mut Cursor) -> SqlResult<Statement> {
    let if_not_exists = c.if_not_exists()?;
    let name = c.qualified_name()?;
    if c.sees(&["partition"]) {
        return Err(SqlError::unsupported("partitioned foreign tables are not supported"));
    }
    let columns = if c.eat_symbol('(') {
        table_elements(c).map_err(|mut error| {
            if error.message.starts_with(CONFLICTING_NULL) {
                error.message.push_str(&format!(" of table \"{}\"", name.name()));
            }
            error
        })?
    } else {
        None
    };
    if c.sees(&["inherits"]) {
        return Err(SqlError::unsupported("inheritance is not supported"));
    }
    c.expect(&["server"])?;
    let server = c.name()?;
    let options = c.options()?;
    Ok(Statement::CreateForeignTable(CreateForeignTable { name, if_not_exists, columns, server, options }))
}

const CONFLICTING_NULL: &str = "conflicting NULL/NOT NULL declarations";

fn table_elements(c: &mut Cursor) -> SqlResult<Option<Vec<ColumnClause>>> {
    if c.eat_symbol(')') {
        return Ok(None);
    }
    let columns = c.list(table_element)?;
    c.expect_symbol(')')?;
    Ok(Some(columns))
}

fn table_element(c: &mut Cursor) -> SqlResult<ColumnClause> {
    match c.word_at(0) {
        Some("like") => {
            c.bump();
            Err(SqlError::unsupported("LIKE is not supported for creating foreign tables").at(c.position()))
        }
        Some("constraint" | "check" | "unique" | "primary" | "foreign") => {
            if c.eat(&["constraint"]) {
                c.name()?;
            }
            constraint(c)
        }
        Some("exclude") if c.sees_symbol_at(1, '(') || c.sees(&["exclude", "using"]) => constraint(c),
        _ => column(c),
    }
}

/// A constraint that foreign tables cannot have, as PostgreSQL words it.
fn constraint<T>(c: &mut Cursor) -> SqlResult<T> {
    let kind = match c.word_at(0) {
        Some("check") => return Err(SqlError::unsupported("check constraints on foreign tables are not supported")),
        Some("unique") => "unique",
        Some("primary") => "primary key",
        Some("foreign" | "references") => "foreign key",
        Some("exclude") => "exclusion",
        _ => return c.unexpected(),
    };
    let message = format!("{kind} constraints are not supported on foreign tables");
    Err(SqlError::unsupported(message).at(c.position()))
}

/// `name type [OPTIONS (…)] [COLLATE c | [NOT] NULL | DEFAULT e] …`
pub(super) fn column(c: &mut Cursor) -> SqlResult<ColumnClause> {
    let name = c.name()?;
    let type_position = c.position();
    let data_type = c.data_type()?;
    let mut clause = ColumnClause { name, data_type, type_position, not_null: false, options: c.options()? };
    let mut nullable = None;
    loop {
        let position = c.position();
        let not_null = if c.eat(&["not", "null"]) {
            true
        } else if c.eat(&["null"]) {
            false
        } else if c.eat(&["collate"]) {
            c.dotted()?;
            continue;
        } else if c.eat(&["default"]) {
            // Nothing can be inserted, so a default has no effect; scripts made for PostgreSQL have them.
            let end = element_end(c);
            c.expression(end)?;
            continue;
        } else {
            break;
        };
        if nullable.replace(not_null).is_some_and(|earlier| earlier != not_null) {
            let message = format!("{CONFLICTING_NULL} for column \"{}\"", clause.name);
            return Err(SqlError::syntax(message).at(position));
        }
    }
    clause.not_null = nullable.unwrap_or(false);
    match c.word_at(0) {
        Some("constraint") => {
            c.bump();
            c.name()?;
            if c.eat(&["not", "null"]) {
                clause.not_null = true;
                return Ok(clause);
            }
            constraint(c)
        }
        Some("check" | "unique" | "primary" | "references") => constraint(c),
        Some("generated") => Err(SqlError::unsupported("generated columns are not supported on foreign tables")),
        _ => Ok(clause),
    }
}

/// The token before which the list element ends that the cursor is in.
fn element_end(c: &Cursor) -> usize {
    let mut depth = 0_usize;
    let mut ahead = 0;
    while let Some(token) = c.peek_at(ahead) {
        match token.kind {
            TokenKind::Symbol('(' | '[') => depth += 1,
            TokenKind::Symbol(')' | ']') if depth > 0 => depth -= 1,
            TokenKind::Symbol(')' | ']') => break,
            TokenKind::Symbol(',') if depth == 0 => break,
            _ => {}
        }
        ahead += 1;
    }
    c.index() + ahead
}

/// ALTER FOREIGN TABLE and ALTER TABLE, behind these words.
pub(super) fn alter_foreign_table(c: &mut Cursor, plain: bool) -> SqlResult<Statement> {
    let (if_exists, name) = relation(c)?;
    let actions = match single_action(c)? {
        Some(action) => vec![action],
        None => c.list(table_action)?,
    };
    Ok(Statement::AlterForeignTable(AlterForeignTable { plain, name, if_exists, actions }))
}

/// `[IF EXISTS] [ONLY] name [*]`
fn relation(c: &mut Cursor) -> SqlResult<(bool, QualifiedName)> {
    let if_exists = c.if_exists();
    if c.eat(&["only"]) {
        if c.eat_symbol('(') {
            let name = c.qualified_name()?;
            c.expect_symbol(')')?;
            return Ok((if_exists, name));
        }
        return Ok((if_exists, c.qualified_name()?));
    }
    let name = c.qualified_name()?;
    c.eat_operator("*");
    Ok((if_exists, name))
}

/// What stands alone in ALTER TABLE and ALTER VIEW: RENAME and SET SCHEMA.
fn single_action(c: &mut Cursor) -> SqlResult<Option<AlterTableAction>> {
    if c.eat(&["set", "schema"]) {
        return c.name().map(AlterTableAction::SetSchema).map(Some);
    }
    if !c.eat(&["rename"]) {
        return Ok(None);
    }
    if c.eat(&["to"]) {
        return c.name().map(AlterTableAction::RenameTo).map(Some);
    }
    if c.sees(&["constraint"]) {
        return Err(SqlError::unsupported("constraints on foreign tables are not supported"));
    }
    c.eat(&["column"]);
    let name = c.name()?;
    c.expect(&["to"])?;
    Ok(Some(AlterTableAction::RenameColumn { name, new_name: c.name()? }))
}

fn table_action(c: &mut Cursor) -> SqlResult<AlterTableAction> {
    if c.eat(&["add"]) {
        return add_column(c);
    }
    if c.eat(&["drop"]) {
        if c.sees(&["constraint"]) {
            return Err(SqlError::unsupported("constraints on foreign tables are not supported"));
        }
        c.eat(&["column"]);
        let if_exists = c.if_exists();
        let name = c.name()?;
        return Ok(AlterTableAction::DropColumn { name, if_exists, cascade: c.cascade() });
    }
    if c.eat(&["alter"]) {
        c.eat(&["column"]);
        let name = c.name()?;
        return alter_column(c, name);
    }
    if c.eat(&["owner"]) {
        c.expect(&["to"])?;
        return c.role_not_public().map(AlterTableAction::OwnerTo);
    }
    if let Some(options) = c.option_actions()? {
        return Ok(AlterTableAction::Options(options));
    }
    match c.word_at(0) {
        Some(
            "set" | "reset" | "enable" | "disable" | "inherit" | "no" | "validate" | "cluster" | "replica" | "force"
            | "attach" | "detach" | "of" | "not",
        ) => Err(SqlError::unsupported("this form of ALTER TABLE is not supported for foreign tables")),
        _ => c.unexpected(),
    }
}

fn add_column(c: &mut Cursor) -> SqlResult<AlterTableAction> {
    if let Some("constraint" | "check" | "unique" | "primary" | "foreign") = c.word_at(0) {
        if c.eat(&["constraint"]) {
            c.name()?;
        }
        return constraint(c);
    }
    c.eat(&["column"]);
    let if_not_exists = c.if_not_exists()?;
    Ok(AlterTableAction::AddColumn { column: column(c)?, if_not_exists })
}

fn alter_column(c: &mut Cursor, name: String) -> SqlResult<AlterTableAction> {
    if let Some(options) = c.option_actions()? {
        return Ok(AlterTableAction::ColumnOptions { name, options });
    }
    if c.eat(&["set", "not", "null"]) {
        return Ok(AlterTableAction::SetNotNull { name, not_null: true });
    }
    if c.eat(&["drop", "not", "null"]) {
        return Ok(AlterTableAction::SetNotNull { name, not_null: false });
    }
    if c.eat(&["type"]) || c.eat(&["set", "data", "type"]) {
        let type_position = c.position();
        let data_type = c.data_type()?;
        if c.eat(&["collate"]) {
            c.dotted()?;
        }
        if c.sees(&["using"]) {
            return Err(SqlError::unsupported("ALTER COLUMN … TYPE … USING is not supported for foreign tables"));
        }
        return Ok(AlterTableAction::AlterType { name, data_type, type_position });
    }
    match c.word_at(0) {
        Some("set" | "drop" | "reset" | "add") => {
            Err(SqlError::unsupported("this form of ALTER COLUMN is not supported for foreign tables"))
        }
        _ => c.unexpected(),
    }
}

/// ALTER VIEW, behind these words.
pub(super) fn alter_view(c: &mut Cursor) -> SqlResult<Statement> {
    let if_exists = c.if_exists();
    let name = c.qualified_name()?;
    let action = match single_action(c)? {
        Some(action) => action,
        None if c.eat(&["owner"]) => {
            c.expect(&["to"])?;
            AlterTableAction::OwnerTo(c.role_not_public()?)
        }
        None if c.sees(&["set"]) && c.sees_symbol_at(1, '(') => {
            c.bump();
            let options = objects::view_options(c)?;
            AlterTableAction::ViewOptions(options.into_iter().map(|(name, value)| (name, Some(value))).collect())
        }
        None if c.sees(&["reset"]) && c.sees_symbol_at(1, '(') => {
            c.bump();
            let names = c.parenthesized_list(|c| {
                let name = c.label()?;
                objects::check_view_option(&name).map(|()| (name, None))
            })?;
            AlterTableAction::ViewOptions(names)
        }
        None => {
            return match c.word_at(0) {
                Some("alter" | "set" | "reset") => {
                    Err(SqlError::unsupported("this form of ALTER VIEW is not supported")
                        .hint("Use CREATE OR REPLACE VIEW."))
                }
                _ => c.unexpected(),
            };
        }
    };
    Ok(Statement::AlterView(AlterForeignTable { plain: false, name, if_exists, actions: vec![action] }))
}

/// IMPORT FOREIGN SCHEMA, behind these words.
pub(super) fn import_foreign_schema(c: &mut Cursor) -> SqlResult<Statement> {
    let remote_schema = c.name()?;
    // A table is named as the source names it; a schema before it says nothing more.
    let table = |c: &mut Cursor| Ok(c.qualified_name()?.name().to_owned());
    let filter = if c.eat(&["limit"]) {
        c.expect(&["to"])?;
        ImportFilter::LimitTo(c.parenthesized_list(table)?)
    } else if c.eat(&["except"]) {
        ImportFilter::Except(c.parenthesized_list(table)?)
    } else {
        ImportFilter::All
    };
    c.expect(&["from", "server"])?;
    let server = c.name()?;
    c.expect(&["into"])?;
    let into = c.name()?;
    let options = c.options()?;
    Ok(Statement::ImportForeignSchema(ImportForeignSchema { remote_schema, filter, server, into, options }))
}
