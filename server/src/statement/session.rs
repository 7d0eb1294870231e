//! Settings and transactions.

use super::ast::{DiscardTarget, SetVariable, Statement, Transaction, TransactionModes};
use super::cursor::Cursor;
use super::lexer::TokenKind;
use crate::error::{SqlError, SqlResult};

/// SET, behind this word.
pub(super) fn set(c: &mut Cursor) -> SqlResult<Statement> {
    if c.eat(&["constraints"]) {
        return Err(SqlError::unsupported("SET CONSTRAINTS is not supported"));
    }
    if c.eat(&["session", "characteristics", "as", "transaction"]) {
        return characteristics(c, true);
    }
    let local = c.sees(&["local"]) && !is_assigned(c) && c.eat(&["local"]);
    if !local && c.sees(&["session"]) && !is_assigned(c) && c.word_at(1) != Some("authorization") {
        c.eat(&["session"]);
    }
    if c.sees(&["transaction"]) && !is_assigned(c) {
        c.bump();
        if c.sees(&["snapshot"]) {
            return Err(SqlError::unsupported("SET TRANSACTION SNAPSHOT is not supported"));
        }
        return characteristics(c, false);
    }
    let mut variable = assignment(c)?;
    variable.local = local;
    Ok(Statement::Set(variable))
}

/// Whether the next word is a setting's name: `=`, TO or a point follows.
fn is_assigned(c: &Cursor) -> bool {
    c.word_at(1) == Some("to")
        || c.sees_symbol_at(1, '.')
        || c.peek_at(1).is_some_and(|token| token.kind == TokenKind::Operator && c.lexed().raw(token) == "=")
}

fn characteristics(c: &mut Cursor, session: bool) -> SqlResult<Statement> {
    let modes = modes(c, true)?;
    Ok(Statement::Transaction(Transaction::Characteristics { modes, session }))
}

/// What follows SET and SET LOCAL, also in ALTER ROLE.
pub(super) fn assignment(c: &mut Cursor) -> SqlResult<SetVariable> {
    let special = if is_assigned(c) { None } else { special_assignment(c)? };
    if let Some((name, value)) = special {
        return Ok(SetVariable { local: false, name: name.to_owned(), values: value.map(|value| vec![value]) });
    }
    let position = c.position();
    let name = setting_name(c)?;
    if c.eat(&["from", "current"]) {
        return Err(SqlError::syntax("SET FROM CURRENT is not implemented").at(position));
    }
    if !c.eat(&["to"]) && !c.eat_operator("=") {
        return c.unexpected();
    }
    let values = if c.eat(&["default"]) { None } else { Some(c.list(setting_value)?) };
    Ok(SetVariable { local: false, name, values })
}

/// SQL's own forms of SET, with the settings that they are in PostgreSQL.
fn special_assignment(c: &mut Cursor) -> SqlResult<Option<(&'static str, Option<String>)>> {
    let default = |c: &mut Cursor| c.eat(&["default"]);
    if c.eat(&["time", "zone"]) {
        return Ok(Some(("timezone", time_zone(c)?)));
    }
    if c.eat(&["names"]) {
        let value = if c.at_end() || default(c) { None } else { Some(c.string()?) };
        return Ok(Some(("client_encoding", value)));
    }
    if c.eat(&["schema"]) {
        return Ok(Some(("search_path", Some(c.string()?))));
    }
    if c.eat(&["catalog"]) {
        c.string()?;
        return Err(SqlError::unsupported("current database cannot be changed"));
    }
    if c.eat(&["xml", "option"]) {
        return match c.eat_any(&["document", "content"]) {
            Some(option) => Ok(Some(("xmloption", Some(option.to_owned())))),
            None => c.unexpected(),
        };
    }
    if c.eat(&["session", "authorization"]) {
        let value = if default(c) { None } else { Some(word_or_string(c)?) };
        return Ok(Some(("session_authorization", value)));
    }
    if c.eat(&["role"]) {
        return Ok(Some(("role", Some(word_or_string(c)?))));
    }
    Ok(None)
}

fn word_or_string(c: &mut Cursor) -> SqlResult<String> {
    match c.eat_string() {
        Some(value) => Ok(value),
        None => c.nonreserved(),
    }
}

fn time_zone(c: &mut Cursor) -> SqlResult<Option<String>> {
    if c.eat(&["default"]) || c.eat(&["local"]) {
        return Ok(None);
    }
    if c.eat(&["interval"]) {
        if c.eat_symbol('(') {
            c.integer()?;
            c.expect_symbol(')')?;
        }
        let position = c.position();
        let value = c.string()?;
        if c.eat(&["hour"]) && c.eat(&["to"]) {
            c.expect(&["minute"])?;
        }
        return whole_hours(&value).map(Some).ok_or_else(|| {
            SqlError::unsupported("a time zone that is not a whole number of hours from UTC is not supported")
                .hint("Name the zone.")
                .at(position)
        });
    }
    setting_value(c).map(Some)
}

/// `-8`, `+05:00`: as a number.
fn whole_hours(text: &str) -> Option<String> {
    let mut parts = text.trim().split(':');
    let hours: i32 = parts.next()?.trim().parse().ok()?;
    let rest = parts.map(|part| part.trim().parse::<u32>().ok()).all(|part| part == Some(0));
    rest.then(|| hours.to_string())
}

/// `name` or `prefix.name`.
fn setting_name(c: &mut Cursor) -> SqlResult<String> {
    let mut name = c.name()?;
    while c.eat_symbol('.') {
        name.push('.');
        name.push_str(&c.name()?);
    }
    Ok(name)
}

/// A word, a string or a number.
fn setting_value(c: &mut Cursor) -> SqlResult<String> {
    if let Some(value) = c.eat_string() {
        return Ok(value);
    }
    if let Some(number) = number(c) {
        return Ok(number);
    }
    match c.eat_any(&["true", "false", "on"]) {
        Some(word) => Ok(word.to_owned()),
        None => c.nonreserved(),
    }
}

/// A number with its sign, as written.
pub(super) fn number(c: &mut Cursor) -> Option<String> {
    let start = c.index();
    let sign = if c.eat_operator("-") { "-" } else { "" };
    if sign.is_empty() {
        c.eat_operator("+");
    }
    match c.peek() {
        Some(token) if matches!(token.kind, TokenKind::Integer | TokenKind::Decimal) => {
            c.bump();
            Some(format!("{sign}{}", c.lexed().raw(token)))
        }
        _ => {
            c.seek(start);
            None
        }
    }
}

/// SHOW, behind this word.
pub(super) fn show(c: &mut Cursor) -> SqlResult<Statement> {
    let name = match setting_or_all(c)? {
        Some(name) => name,
        None => "all".to_owned(),
    };
    Ok(Statement::Show { name })
}

/// RESET, behind this word.
pub(super) fn reset(c: &mut Cursor) -> SqlResult<Statement> {
    setting_or_all(c).map(|name| Statement::Reset { name })
}

/// A setting's name in any of its forms, or `None` for ALL.
pub(super) fn setting_or_all(c: &mut Cursor) -> SqlResult<Option<String>> {
    let name = if c.eat(&["all"]) {
        return Ok(None);
    } else if c.eat(&["time", "zone"]) {
        "timezone"
    } else if c.eat(&["transaction", "isolation", "level"]) {
        "transaction_isolation"
    } else if c.eat(&["session", "authorization"]) {
        "session_authorization"
    } else {
        return setting_name(c).map(Some);
    };
    Ok(Some(name.to_owned()))
}

/// DISCARD, behind this word.
pub(super) fn discard(c: &mut Cursor) -> SqlResult<Statement> {
    let target = match c.eat_any(&["all", "plans", "sequences", "temp", "temporary"]) {
        Some("all") => DiscardTarget::All,
        Some("plans") => DiscardTarget::Plans,
        Some("sequences") => DiscardTarget::Sequences,
        Some(_) => DiscardTarget::Temp,
        None => return c.unexpected(),
    };
    Ok(Statement::Discard(target))
}

/// `ISOLATION LEVEL x`, `READ ONLY`, `READ WRITE`, `[NOT] DEFERRABLE`, with or without commas.
fn modes(c: &mut Cursor, required: bool) -> SqlResult<TransactionModes> {
    let (mut modes, mut count) = (TransactionModes::default(), 0_usize);
    loop {
        if c.eat(&["isolation"]) {
            c.expect(&["level"])?;
            modes.isolation = Some(isolation_level(c)?);
        } else if c.eat(&["read", "only"]) {
            modes.read_only = Some(true);
        } else if c.eat(&["read", "write"]) {
            modes.read_only = Some(false);
        } else if c.eat(&["deferrable"]) {
            modes.deferrable = Some(true);
        } else if c.eat(&["not", "deferrable"]) {
            modes.deferrable = Some(false);
        } else {
            if required && count == 0 {
                return c.unexpected();
            }
            return Ok(modes);
        }
        count += 1;
        if c.eat_symbol(',') && !matches!(c.word_at(0), Some("isolation" | "read" | "deferrable" | "not")) {
            return c.unexpected();
        }
    }
}

fn isolation_level(c: &mut Cursor) -> SqlResult<String> {
    for words in [["read", "uncommitted"], ["read", "committed"], ["repeatable", "read"]] {
        if c.eat(&words) {
            return Ok(words.join(" "));
        }
    }
    match c.eat_any(&["serializable"]) {
        Some(level) => Ok(level.to_owned()),
        None => c.unexpected(),
    }
}

/// The transaction commands, behind their first word.
pub(super) fn transaction(c: &mut Cursor, command: &str) -> SqlResult<Statement> {
    let transaction = match command {
        "begin" => {
            c.eat_any(&["work", "transaction"]);
            Transaction::Begin { start: false, modes: modes(c, false)? }
        }
        "start" => {
            c.expect(&["transaction"])?;
            Transaction::Begin { start: true, modes: modes(c, false)? }
        }
        "savepoint" => Transaction::Savepoint(c.name()?),
        "release" => {
            if c.sees(&["savepoint"]) && c.peek_at(1).is_some() {
                c.bump();
            }
            Transaction::Release(c.name()?)
        }
        "commit" | "rollback" if c.eat(&["prepared"]) => Transaction::Prepared(c.string()?),
        "commit" | "end" => {
            c.eat_any(&["work", "transaction"]);
            Transaction::Commit { chain: chain(c)? }
        }
        _ => {
            c.eat_any(&["work", "transaction"]);
            if command == "rollback" && c.eat(&["to"]) {
                if c.sees(&["savepoint"]) && c.peek_at(1).is_some() {
                    c.bump();
                }
                Transaction::RollbackTo(c.name()?)
            } else {
                Transaction::Rollback { chain: chain(c)? }
            }
        }
    };
    Ok(Statement::Transaction(transaction))
}

/// `[AND [NO] CHAIN]`
fn chain(c: &mut Cursor) -> SqlResult<bool> {
    if !c.eat(&["and"]) {
        return Ok(false);
    }
    let no = c.eat(&["no"]);
    c.expect(&["chain"])?;
    Ok(!no)
}

/// LISTEN, UNLISTEN and NOTIFY, behind these words.
pub(super) fn listen(c: &mut Cursor, command: &'static str) -> SqlResult<Statement> {
    if command == "UNLISTEN" && c.eat_operator("*") {
        return Ok(Statement::Unlisten);
    }
    c.name()?;
    if command == "NOTIFY" && c.eat_symbol(',') {
        c.string()?;
    }
    if command == "UNLISTEN" {
        return Ok(Statement::Unlisten);
    }
    c.expect_end()?;
    Err(SqlError::unsupported(format!("{command} is not supported")))
}
