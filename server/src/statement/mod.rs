//! SQL text to typed statements, SQL/MED included.
//!
//! Our own lexer cuts the text, our own descent reads every command, and sqlparser's parser reads the queries,
//! expressions and types in them, from the same tokens.

pub mod ast;
mod cursor;
mod dialect;
mod execution;
mod fetch;
mod foreign;
mod forms;
mod frames;
mod hidden;
mod keyword_calls;
mod keywords;
mod lexer;
mod maintenance;
mod objects;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod properties;
mod query;
mod refused;
mod reshape;
mod roles;
mod session;
mod shape;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;
pub mod tree;
mod written;

pub use ast::{ParsedStatement, Statement};
pub use written::{WrittenKind, WrittenToken, written_tokens};

use crate::error::{SqlResult, SqlState};
use cursor::Cursor;
use lexer::TokenKind;

/// Splits and parses a text of any number of statements; empty ones are left out.
///
/// Identifiers come out folded and truncated, also in queries, where a location's column is the character's position in
/// `sql` (from 1) and its line always 1. A tree of a query or expression is at most a few hundred levels deep. What is
/// understood and not built is [`Statement::Unsupported`], so that the statements before it run.
///
/// # Errors
/// * `42601` for a syntax error anywhere in the text, with its position.
/// * `54001` for what is nested too deeply, or is too long.
/// * `22021` where an escape in a string yields no valid UTF-8.
pub fn parse(sql: &str) -> SqlResult<Vec<ParsedStatement>> {
    let lexed = lexer::lex(sql)?;
    let mut statements = Vec::new();
    let mut start = 0;
    while start < lexed.tokens.len() {
        let is_semicolon = |token: &lexer::Token| token.kind == TokenKind::Symbol(';');
        let length = lexed.tokens.get(start..).and_then(|rest| rest.iter().position(is_semicolon));
        let end = length.map_or(lexed.tokens.len(), |length| start + length);
        if end > start {
            let mut cursor = Cursor::new(&lexed, start, end);
            let result = statement(&mut cursor).and_then(|statement| cursor.expect_end().map(|()| statement));
            cursor.seek(end);
            let statement = match result {
                Ok(statement) => statement,
                Err(error) if error.sqlstate == SqlState::FEATURE_NOT_SUPPORTED => Statement::Unsupported {
                    message: error.message,
                    hint: error.hint,
                    position: error.position,
                    relation: refused::written_relation(&Cursor::new(&lexed, start, end)),
                },
                Err(error) => return Err(error),
            };
            statements.push(cursor.parsed(statement, start));
        }
        start = end + 1;
    }
    Ok(statements)
}

/// Parses one query.
///
/// # Errors
/// As [`parse`]; `42601` where the text is something else.
pub fn parse_query(sql: &str) -> SqlResult<datafusion::sql::sqlparser::ast::Query> {
    match parse(sql)?.pop().map(|parsed| parsed.statement) {
        Some(Statement::Query(query)) => Ok(*query),
        _ => Err(crate::error::SqlError::syntax("a query is expected")),
    }
}

fn statement(c: &mut Cursor) -> SqlResult<Statement> {
    if execution::sees_query(c) {
        return execution::query(c);
    }
    let start = c.index();
    let Some(word) = c.word_at(0) else { return c.unexpected() };
    if matches!(word, "insert" | "update" | "delete" | "merge" | "truncate") {
        return refused::write(c);
    }
    c.bump();
    match word {
        "create" => objects::create(c, start),
        "alter" => objects::alter(c),
        "drop" => objects::drop(c),
        "comment" => {
            c.expect(&["on"])?;
            objects::comment(c)
        }
        "import" => {
            c.expect(&["foreign", "schema"])?;
            foreign::import_foreign_schema(c)
        }
        "grant" => roles::grant(c, true),
        "revoke" => roles::grant(c, false),
        "reassign" => {
            c.expect(&["owned", "by"])?;
            roles::reassign_owned(c)
        }
        "set" => session::set(c),
        "show" => session::show(c),
        "reset" => session::reset(c),
        "discard" => session::discard(c),
        "begin" | "start" | "commit" | "end" | "rollback" | "abort" | "savepoint" | "release" => {
            session::transaction(c, word)
        }
        "prepare" if c.sees(&["transaction"]) && c.word_at(1) != Some("as") => {
            c.bump();
            c.string()?;
            Ok(Statement::Transaction(ast::Transaction::TwoPhase))
        }
        "explain" => execution::explain(c),
        "prepare" => execution::prepare(c),
        "execute" => execution::execute(c),
        "deallocate" => execution::deallocate(c),
        "declare" => execution::declare(c),
        "fetch" => execution::fetch(c, false),
        "move" => execution::fetch(c, true),
        "close" => execution::close(c),
        "copy" => execution::copy(c),
        "listen" => session::listen(c, "LISTEN"),
        "unlisten" => session::listen(c, "UNLISTEN"),
        "notify" => session::listen(c, "NOTIFY"),
        "lock" => maintenance::lock(c),
        "analyze" | "analyse" => maintenance::analyze(c),
        "vacuum" => maintenance::vacuum(c),
        "checkpoint" => Ok(maintenance::checkpoint()),
        "refresh" => {
            c.expect(&["materialized", "view"])?;
            refused::command(c, "REFRESH MATERIALIZED VIEW")
        }
        "security" => {
            c.expect(&["label"])?;
            refused::command(c, "SECURITY LABEL")
        }
        "do" => refused::command(c, "DO"),
        "call" => refused::command(c, "CALL"),
        "load" => refused::command(c, "LOAD"),
        "cluster" => refused::command(c, "CLUSTER"),
        "reindex" => refused::command(c, "REINDEX"),
        _ => {
            c.seek(start);
            c.unexpected()
        }
    }
}
