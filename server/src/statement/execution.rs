//! EXPLAIN, prepared statements, cursors, COPY.

use super::ast::{
    CopyFormat, CopyTo, DeclareCursor, Explain, ExplainFormat, Fetch, FetchDirection, ParsedStatement, QualifiedName,
    Statement,
};
use super::cursor::Cursor;
use super::lexer::TokenKind;
use super::{objects, refused};
use crate::error::{SqlError, SqlResult, SqlState};
use datafusion::sql::sqlparser::ast::Query;

/// Whether a query begins here.
pub(super) fn sees_query(c: &Cursor) -> bool {
    c.sees_symbol_at(0, '(') || matches!(c.word_at(0), Some("select" | "values" | "with" | "table"))
}

/// A query as a statement.
pub(super) fn query(c: &mut Cursor) -> SqlResult<Statement> {
    c.query().map(Statement::Query)
}

/// EXPLAIN, behind this word.
pub(super) fn explain(c: &mut Cursor) -> SqlResult<Statement> {
    let mut explain = Explain {
        analyze: false,
        verbose: false,
        costs: true,
        timing: true,
        summary: None,
        format: ExplainFormat::Text,
        statement: Box::new(ParsedStatement {
            statement: Statement::Empty,
            text: String::new(),
            offset: 0,
            notices: Vec::new(),
        }),
    };
    let mut problem = None;
    // `EXPLAIN (SELECT 1)` is a query in parentheses, `EXPLAIN (ANALYZE) …` has options.
    let options = c.sees_symbol_at(0, '(')
        && !c.sees_symbol_at(1, '(')
        && !matches!(c.word_at(1), Some("select" | "values" | "with" | "table"));
    if options {
        c.bump();
        let mut asked = Asked::default();
        c.list(|c| explain_option(c, &mut explain, &mut asked))?;
        c.expect_symbol(')')?;
        let needing = [("WAL", asked.wal), ("TIMING", asked.timing && explain.timing)];
        if let (false, Some((name, _))) = (explain.analyze, needing.iter().find(|(_, asked)| *asked)) {
            let message = format!("EXPLAIN option {name} requires ANALYZE");
            problem = Some(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
        }
    } else {
        explain.analyze = c.eat_any(&["analyze", "analyse"]).is_some();
        explain.verbose = c.eat(&["verbose"]);
    }
    let start = c.index();
    let statement = match c.word_at(0) {
        _ if sees_query(c) => query(c)?,
        Some("declare") => {
            c.bump();
            declare(c)?
        }
        Some("execute") => {
            c.bump();
            execute(c)?
        }
        Some("insert" | "update" | "delete" | "merge") => refused::write(c)?,
        Some("create")
            if !matches!(
                c.word_at(1),
                Some("table" | "temp" | "temporary" | "local" | "global" | "unlogged" | "materialized")
            ) =>
        {
            c.bump();
            return c.unexpected();
        }
        Some("create" | "refresh") => {
            return Err(SqlError::unsupported("EXPLAIN of this kind of statement is not supported"));
        }
        _ => return c.unexpected(),
    };
    explain.statement = Box::new(c.parsed(statement, start));
    match problem {
        // What the grammar finds wrong comes first.
        Some(problem) => c.expect_end().and(Err(problem)),
        None => Ok(Statement::Explain(explain)),
    }
}

/// Options that only ANALYZE takes.
#[derive(Default)]
struct Asked {
    wal: bool,
    timing: bool,
}

fn explain_option(c: &mut Cursor, explain: &mut Explain, asked: &mut Asked) -> SqlResult<()> {
    let position = c.position();
    let name = match c.eat_any(&["analyze", "analyse"]) {
        Some(_) => "analyze".to_owned(),
        None => c.nonreserved()?,
    };
    let value = match c.peek().map(|token| &token.kind) {
        Some(TokenKind::Symbol(',' | ')')) => None,
        _ => Some(refused::option_value(c)?),
    };
    if !c.sees_symbol_at(0, ',') && !c.sees_symbol_at(0, ')') {
        return c.unexpected();
    }
    let on = || {
        objects::boolean(&name, value.as_deref())
            .map_err(|_| SqlError::syntax(format!("{name} requires a Boolean value")))
    };
    match name.as_str() {
        "analyze" => explain.analyze = on()?,
        "verbose" => explain.verbose = on()?,
        "costs" => explain.costs = on()?,
        "timing" => (explain.timing, asked.timing) = (on()?, true),
        "summary" => explain.summary = Some(on()?),
        "wal" => asked.wal = on()?,
        "buffers" | "settings" => {
            on()?;
        }
        "format" => match value.as_deref().map(str::to_ascii_lowercase).as_deref() {
            Some("text") => explain.format = ExplainFormat::Text,
            Some("json") => explain.format = ExplainFormat::Json,
            Some("yaml") => explain.format = ExplainFormat::Yaml,
            Some("xml") => explain.format = ExplainFormat::Xml,
            other => {
                let message =
                    format!("unrecognized value for EXPLAIN option \"format\": \"{}\"", other.unwrap_or_default());
                return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message).at(position));
            }
        },
        _ => return Err(SqlError::syntax(format!("unrecognized EXPLAIN option \"{name}\"")).at(position)),
    }
    Ok(())
}

/// PREPARE, behind this word.
pub(super) fn prepare(c: &mut Cursor) -> SqlResult<Statement> {
    let name = c.name()?;
    let types = if c.eat_symbol('(') {
        let types = c.list(Cursor::data_type)?;
        c.expect_symbol(')')?;
        types
    } else {
        Vec::new()
    };
    c.expect(&["as"])?;
    let start = c.index();
    let statement = match c.word_at(0) {
        _ if sees_query(c) => query(c)?,
        Some("insert" | "update" | "delete" | "merge") => refused::write(c)?,
        _ => return c.unexpected(),
    };
    let statement = Box::new(c.parsed(statement, start));
    Ok(Statement::Prepare { name, types, statement })
}

/// EXECUTE, behind this word.
pub(super) fn execute(c: &mut Cursor) -> SqlResult<Statement> {
    let name = c.name()?;
    let mut arguments = Vec::new();
    if c.eat_symbol('(') {
        let mut past = c.clone();
        past.skip_to_close()?;
        let close = past.index() - 1;
        arguments = c.list(|c| c.expression(close))?;
        c.expect_symbol(')')?;
    }
    Ok(Statement::Execute { name, arguments })
}

/// DEALLOCATE, behind this word.
pub(super) fn deallocate(c: &mut Cursor) -> SqlResult<Statement> {
    if c.sees(&["prepare"]) && c.peek_at(1).is_some() {
        c.bump();
    }
    let name = if c.eat(&["all"]) { None } else { Some(c.name()?) };
    Ok(Statement::Deallocate { name })
}

/// DECLARE, behind this word.
pub(super) fn declare(c: &mut Cursor) -> SqlResult<Statement> {
    let name = c.name()?;
    let (mut binary, mut scroll) = (false, None);
    loop {
        let wanted = match c.eat_any(&["binary", "insensitive", "asensitive", "scroll"]) {
            Some("binary") => {
                binary = true;
                continue;
            }
            Some("scroll") => true,
            Some(_) => continue,
            None if c.eat(&["no", "scroll"]) => false,
            None => break,
        };
        if scroll.replace(wanted).is_some_and(|earlier| earlier != wanted) {
            let message = "cannot specify both SCROLL and NO SCROLL";
            return Err(SqlError::new(SqlState(*b"42P11"), message));
        }
    }
    c.expect(&["cursor"])?;
    let hold = c.eat(&["with", "hold"]);
    if !hold {
        c.eat(&["without", "hold"]);
    }
    c.expect(&["for"])?;
    let start = c.index();
    if !sees_query(c) {
        return c.unexpected();
    }
    let statement = query(c)?;
    let query = Box::new(c.parsed(statement, start));
    Ok(Statement::DeclareCursor(DeclareCursor { name, binary, scroll, hold, query }))
}

/// FETCH and MOVE, behind these words.
pub(super) fn fetch(c: &mut Cursor, is_move: bool) -> SqlResult<Statement> {
    let direction = direction(c)?;
    let cursor = match direction {
        Some(_) => {
            c.eat_any(&["from", "in"]);
            c.name()?
        }
        None => {
            c.eat_any(&["from", "in"]);
            c.name()?
        }
    };
    let direction = direction.unwrap_or(FetchDirection::Forward(1));
    Ok(Statement::Fetch(Fetch { cursor, is_move, direction }))
}

fn direction(c: &mut Cursor) -> SqlResult<Option<FetchDirection>> {
    // A cursor may be named like a direction: then nothing follows.
    if c.peek_at(1).is_none() {
        return Ok(None);
    }
    if sees_integer(c) {
        return c.integer().map(FetchDirection::Forward).map(Some);
    }
    let word = c.eat_any(&["next", "prior", "first", "last", "absolute", "relative", "all", "forward", "backward"]);
    let direction = match word {
        Some("next") => FetchDirection::Forward(1),
        Some("prior") => FetchDirection::Backward(1),
        Some("first") => FetchDirection::First,
        Some("last") => FetchDirection::Last,
        Some("absolute") => FetchDirection::Absolute(c.integer()?),
        Some("relative") => FetchDirection::Relative(c.integer()?),
        Some("all") => FetchDirection::Forward(i64::MAX),
        Some("forward") => FetchDirection::Forward(count(c)?),
        Some(_) => FetchDirection::Backward(count(c)?),
        None => return Ok(None),
    };
    Ok(Some(direction))
}

fn sees_integer(c: &Cursor) -> bool {
    let integer = |ahead| c.peek_at(ahead).is_some_and(|token| token.kind == TokenKind::Integer);
    integer(0) || ((c.sees_operator("-") || c.sees_operator("+")) && integer(1))
}

/// `[n | ALL]`
fn count(c: &mut Cursor) -> SqlResult<i64> {
    if c.eat(&["all"]) {
        Ok(i64::MAX)
    } else if sees_integer(c) {
        c.integer()
    } else {
        Ok(1)
    }
}

/// CLOSE, behind this word.
pub(super) fn close(c: &mut Cursor) -> SqlResult<Statement> {
    let name = if c.eat(&["all"]) { None } else { Some(c.name()?) };
    Ok(Statement::CloseCursor { name })
}

/// The options of COPY, as given.
#[derive(Debug, Default)]
struct CopyOptions {
    format: Option<CopyFormat>,
    delimiter: Option<String>,
    null: Option<String>,
    header: Option<bool>,
    quote: Option<String>,
    escape: Option<String>,
    force_quote: Option<Vec<String>>,
    force_quote_all: bool,
    encoding: Option<String>,
    /// An option that only COPY FROM has.
    from_only: Option<&'static str>,
}

/// COPY, behind this word.
pub(super) fn copy(c: &mut Cursor) -> SqlResult<Statement> {
    let binary = c.sees(&["binary"]) && !matches!(c.word_at(1), Some("to" | "from")) && c.eat(&["binary"]);
    let from_query = c.eat_symbol('(');
    let mut relation = None;
    let (query, from) = if from_query {
        if !sees_query(c) {
            return match c.word_at(0) {
                Some("insert" | "update" | "delete" | "merge") => refused::write(c),
                _ => c.unexpected(),
            };
        }
        let query = c.query()?;
        c.expect_symbol(')')?;
        c.expect(&["to"])?;
        (Some(query), false)
    } else {
        let name = c.qualified_name()?;
        let columns = if c.sees_symbol_at(0, '(') { c.parenthesized_list(Cursor::name)? } else { Vec::new() };
        let from = match c.eat_any(&["from", "to"]) {
            Some(word) => word == "from",
            None => return c.unexpected(),
        };
        if from {
            return Err(SqlError::unsupported(format!("cannot copy to relation \"{name}\""))
                .hint("Foreign tables and views are read-only."));
        }
        let query = relation_query(&name, &columns)?;
        relation = Some(name);
        (Some(query), from)
    };
    debug_assert!(!from, "COPY FROM has been refused");
    destination(c)?;
    let mut options = CopyOptions { format: binary.then_some(CopyFormat::Binary), ..CopyOptions::default() };
    copy_options(c, &mut options)?;
    if c.sees(&["where"]) {
        return Err(SqlError::syntax("WHERE clause not allowed with COPY TO").at(c.position()));
    }
    match query {
        Some(query) => options.check(query).map(|copy| Statement::CopyTo(CopyTo { relation, ..copy })),
        None => c.unexpected(),
    }
}

fn destination(c: &mut Cursor) -> SqlResult<()> {
    let program = c.eat(&["program"]);
    if !program && c.eat_any(&["stdout", "stdin"]).is_some() {
        return Ok(());
    }
    c.string()?;
    Err(SqlError::unsupported("COPY TO a file or program on the server is not supported")
        .hint("COPY … TO STDOUT sends the rows to the client; psql's \\copy writes them to a file there."))
}

/// `SELECT a, b FROM t`
fn relation_query(name: &QualifiedName, columns: &[String]) -> SqlResult<Box<Query>> {
    let quote = |name: &String| format!("\"{}\"", name.replace('"', "\"\""));
    let columns: Vec<String> = columns.iter().map(quote).collect();
    let columns = if columns.is_empty() { "*".to_owned() } else { columns.join(", ") };
    let relation: Vec<String> = name.parts.iter().map(quote).collect();
    let text = format!("SELECT {columns} FROM {}", relation.join("."));
    let lexed = super::lexer::lex(&text)?;
    let mut c = Cursor::new(&lexed, 0, lexed.tokens.len());
    let query = c.query()?;
    c.expect_end()?;
    Ok(query)
}

fn redundant(position: usize) -> SqlError {
    SqlError::syntax("conflicting or redundant options").at(position)
}

fn once<T>(slot: &mut Option<T>, value: T, position: usize) -> SqlResult<()> {
    if slot.replace(value).is_some() { Err(redundant(position)) } else { Ok(()) }
}

fn copy_options(c: &mut Cursor, options: &mut CopyOptions) -> SqlResult<()> {
    if c.eat(&["using"]) {
        c.expect(&["delimiters"])?;
        options.delimiter = Some(c.string()?);
    } else if c.eat(&["delimiters"]) {
        options.delimiter = Some(c.string()?);
    }
    c.eat(&["with"]);
    if c.eat_symbol('(') {
        c.list(|c| copy_option(c, options))?;
        return c.expect_symbol(')');
    }
    while !c.at_end() && !c.sees(&["where"]) {
        old_copy_option(c, options)?;
    }
    Ok(())
}

/// `name [value]` of the list in parentheses.
fn copy_option(c: &mut Cursor, options: &mut CopyOptions) -> SqlResult<()> {
    let position = c.position();
    let name = c.label()?;
    match name.as_str() {
        "force_quote" => {
            let columns = if c.eat_operator("*") { None } else { Some(c.parenthesized_list(Cursor::name)?) };
            options.force_quote_all = columns.is_none();
            return once(&mut options.force_quote, columns.unwrap_or_default(), position);
        }
        "force_not_null" | "force_null" => {
            if !c.eat_operator("*") {
                c.parenthesized_list(Cursor::name)?;
            }
            options.from_only = Some(if name == "force_null" { "force null" } else { "force not null" });
            return Ok(());
        }
        _ => {}
    }
    let value = match c.peek().map(|token| &token.kind) {
        Some(TokenKind::Symbol(',' | ')')) => None,
        _ => Some(refused::option_value(c)?),
    };
    let text = |value: Option<String>| {
        value.ok_or_else(|| SqlError::syntax(format!("{name} requires a parameter")).at(position))
    };
    match name.as_str() {
        "format" => {
            let value = text(value)?;
            let format = match value.as_str() {
                "text" => CopyFormat::Text,
                "csv" => CopyFormat::Csv,
                "binary" => CopyFormat::Binary,
                _ => {
                    let message = format!("COPY format \"{value}\" not recognized");
                    return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message).at(position));
                }
            };
            once(&mut options.format, format, position)
        }
        "delimiter" => once(&mut options.delimiter, text(value)?, position),
        "null" => once(&mut options.null, text(value)?, position),
        "quote" => once(&mut options.quote, text(value)?, position),
        "escape" => once(&mut options.escape, text(value)?, position),
        "encoding" => once(&mut options.encoding, text(value)?, position),
        "freeze" => {
            objects::boolean(&name, value.as_deref())
                .map_err(|_| SqlError::syntax("freeze requires a Boolean value"))?;
            Ok(())
        }
        "header" => {
            if value.as_deref() == Some("match") {
                return Err(SqlError::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    "cannot use \"match\" with HEADER in COPY TO",
                ));
            }
            let on = objects::boolean(&name, value.as_deref())
                .map_err(|_| SqlError::syntax("header requires a Boolean value or \"match\""))?;
            once(&mut options.header, on, position)
        }
        _ => Err(SqlError::syntax(format!("option \"{name}\" not recognized")).at(position)),
    }
}

/// One option of the syntax before PostgreSQL 9.0, which clients still send.
fn old_copy_option(c: &mut Cursor, options: &mut CopyOptions) -> SqlResult<()> {
    let position = c.position();
    let string = |c: &mut Cursor| {
        c.eat(&["as"]);
        c.string()
    };
    match c.eat_any(&["binary", "csv", "header", "freeze", "delimiter", "null", "quote", "escape", "encoding", "force"])
    {
        Some("binary") => once(&mut options.format, CopyFormat::Binary, position),
        Some("csv") => once(&mut options.format, CopyFormat::Csv, position),
        Some("header") => once(&mut options.header, true, position),
        Some("freeze") => Ok(()),
        Some("delimiter") => once(&mut options.delimiter, string(c)?, position),
        Some("null") => once(&mut options.null, string(c)?, position),
        Some("quote") => once(&mut options.quote, string(c)?, position),
        Some("escape") => once(&mut options.escape, string(c)?, position),
        Some("encoding") => once(&mut options.encoding, c.string()?, position),
        Some("force") => {
            if c.eat(&["not", "null"]) || c.eat(&["null"]) {
                c.list(Cursor::name)?;
                options.from_only = Some("force not null");
                return Ok(());
            }
            c.expect(&["quote"])?;
            options.force_quote_all = c.eat_operator("*");
            let columns = if options.force_quote_all { Vec::new() } else { c.list(Cursor::name)? };
            once(&mut options.force_quote, columns, position)
        }
        _ => c.unexpected(),
    }
}

impl CopyOptions {
    /// PostgreSQL's rules about which options go together, with its messages.
    fn check(self, query: Box<Query>) -> SqlResult<CopyTo> {
        let format = self.format.unwrap_or(CopyFormat::Text);
        let csv = format == CopyFormat::Csv;
        if format == CopyFormat::Binary {
            let given = [("DELIMITER", self.delimiter.is_some()), ("NULL", self.null.is_some())];
            if let Some((name, _)) = given.iter().find(|(_, given)| *given) {
                return Err(SqlError::syntax(format!("cannot specify {name} in BINARY mode")));
            }
            if self.header == Some(true) {
                return Err(SqlError::unsupported("cannot specify HEADER in BINARY mode"));
            }
        }
        if let Some(encoding) = &self.encoding
            && !matches!(encoding.to_ascii_lowercase().as_str(), "utf8" | "utf-8" | "unicode")
        {
            return Err(SqlError::unsupported(format!("encoding \"{encoding}\" is not supported")));
        }
        let null = self.null.unwrap_or_else(|| if csv { String::new() } else { "\\N".to_owned() });
        let delimiter = one_byte(self.delimiter.as_deref().unwrap_or(if csv { "," } else { "\t" }), "delimiter")?;
        if matches!(delimiter, '\n' | '\r') {
            return Err(invalid("COPY delimiter cannot be newline or carriage return"));
        }
        if null.contains(['\n', '\r']) {
            return Err(invalid("COPY null representation cannot use newline or carriage return"));
        }
        if !csv && "\\.abcdefghijklmnopqrstuvwxyz0123456789".contains(delimiter) {
            return Err(invalid(format!("COPY delimiter cannot be \"{delimiter}\"")));
        }
        let csv_only = [
            ("quote", self.quote.is_some()),
            ("escape", self.escape.is_some()),
            ("force quote", self.force_quote.is_some()),
        ];
        if let Some((name, _)) = csv_only.iter().find(|(_, given)| *given && !csv) {
            return Err(SqlError::unsupported(format!("COPY {name} available only in CSV mode")));
        }
        let quote = one_byte(self.quote.as_deref().unwrap_or("\""), "quote")?;
        if csv && delimiter == quote {
            return Err(invalid("COPY delimiter and quote must be different"));
        }
        let escape = match &self.escape {
            Some(escape) => one_byte(escape, "escape")?,
            None => quote,
        };
        if let Some(name) = self.from_only {
            return Err(SqlError::unsupported(format!("COPY {name} only available using COPY FROM")));
        }
        if null.contains(delimiter) {
            return Err(invalid("COPY delimiter must not appear in the NULL specification"));
        }
        if csv && null.contains(quote) {
            return Err(invalid("CSV quote character must not appear in the NULL specification"));
        }
        Ok(CopyTo {
            query,
            relation: None,
            format,
            delimiter,
            null,
            header: self.header.unwrap_or(false),
            quote,
            escape,
            force_quote: self.force_quote.unwrap_or_default(),
            force_quote_all: self.force_quote_all,
        })
    }
}

fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn one_byte(text: &str, what: &str) -> SqlResult<char> {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) if c.is_ascii() => Ok(c),
        _ => Err(SqlError::unsupported(format!("COPY {what} must be a single one-byte character"))),
    }
}
