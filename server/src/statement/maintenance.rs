//! LOCK, ANALYZE, VACUUM and CHECKPOINT: read as PostgreSQL reads them. Atoll has nothing to do for them.

use super::ast::{Maintenance, MaintenanceKind, QualifiedName, Statement};
use super::cursor::Cursor;
use super::refused::option_value;
use crate::error::{SqlError, SqlResult};

/// PostgreSQL's options of VACUUM and ANALYZE in parentheses.
const VACUUM_OPTIONS: &[&str] = &[
    "full",
    "freeze",
    "verbose",
    "analyze",
    "analyse",
    "disable_page_skipping",
    "skip_locked",
    "index_cleanup",
    "process_toast",
    "truncate",
    "parallel",
];
const ANALYZE_OPTIONS: &[&str] = &["verbose", "skip_locked"];

/// `[TABLE] [ONLY] name [*] [, …] [IN mode MODE] [NOWAIT]`
pub(super) fn lock(c: &mut Cursor) -> SqlResult<Statement> {
    c.eat(&["table"]);
    let relations = c.list(|c| {
        c.eat(&["only"]);
        let name = c.qualified_name()?;
        c.eat_operator("*");
        Ok(name)
    })?;
    if c.eat(&["in"]) {
        let modes: [&[&str]; 8] = [
            &["access", "share"],
            &["access", "exclusive"],
            &["row", "share"],
            &["row", "exclusive"],
            &["share", "update", "exclusive"],
            &["share", "row", "exclusive"],
            &["share"],
            &["exclusive"],
        ];
        if !modes.iter().any(|mode| c.eat(mode)) {
            return c.unexpected();
        }
        c.expect(&["mode"])?;
    }
    c.eat(&["nowait"]);
    Ok(maintenance(MaintenanceKind::Lock, relations))
}

/// `[(option [, …])] [VERBOSE] [name [(column, …)] [, …]]`
pub(super) fn analyze(c: &mut Cursor) -> SqlResult<Statement> {
    if !options(c, "ANALYZE", ANALYZE_OPTIONS)? {
        c.eat(&["verbose"]);
    }
    Ok(maintenance(MaintenanceKind::Analyze, tables(c)?))
}

/// `[(option [, …])] [FULL] [FREEZE] [VERBOSE] [ANALYZE] [name [(column, …)] [, …]]`
pub(super) fn vacuum(c: &mut Cursor) -> SqlResult<Statement> {
    if !options(c, "VACUUM", VACUUM_OPTIONS)? {
        for word in ["full", "freeze", "verbose"] {
            c.eat(&[word]);
        }
        c.eat_any(&["analyze", "analyse"]);
    }
    Ok(maintenance(MaintenanceKind::Vacuum, tables(c)?))
}

pub(super) fn checkpoint() -> Statement {
    maintenance(MaintenanceKind::Checkpoint, Vec::new())
}

fn maintenance(kind: MaintenanceKind, relations: Vec<QualifiedName>) -> Statement {
    Statement::Maintenance(Maintenance { kind, relations })
}

fn options(c: &mut Cursor, command: &str, known: &[&str]) -> SqlResult<bool> {
    if !c.sees_symbol_at(0, '(') {
        return Ok(false);
    }
    c.parenthesized_list(|c| {
        let position = c.position();
        let name = c.label()?;
        if !known.contains(&name.as_str()) {
            return Err(SqlError::syntax(format!("unrecognized {command} option \"{name}\"")).at(position));
        }
        if !c.sees_symbol_at(0, ',') && !c.sees_symbol_at(0, ')') {
            option_value(c)?;
        }
        Ok(())
    })?;
    Ok(true)
}

fn tables(c: &mut Cursor) -> SqlResult<Vec<QualifiedName>> {
    if c.at_end() {
        return Ok(Vec::new());
    }
    c.list(|c| {
        let name = c.qualified_name()?;
        if c.sees_symbol_at(0, '(') {
            c.parenthesized_list(Cursor::name)?;
        }
        Ok(name)
    })
}
