//! sqlparser's parser on our tokens: queries, expressions and types, and its errors as PostgreSQL words them.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    DataType, Expr, Function, Ident, Join, JoinConstraint, ObjectName, ObjectNamePart, Query, Select, SelectItem,
    SetExpr, Spanned, Statement as SqlStatement, TableFactor, UnaryOperator, Value, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Location, Span, Token as SqlToken, TokenWithSpan, Tokenizer, Word};

use super::cursor::Cursor;
use super::dialect::PostgreSql;
use super::fetch::{fetch_as_limit, whole_limits};
use super::hidden::{blank, hidden_tokens};
use super::keyword_calls;
use super::keywords::{self, Category, category, is_plain};
use super::lexer::{Lexed, Token, TokenKind, too_complex};
use super::shape::{balance, balance_set_operations};
use super::tree::constraint;
use super::{frames, reshape};
use crate::error::{SqlError, SqlResult, SqlState};

/// How deep sqlparser's own descent may go.
const PARSER_DEPTH_MAX: usize = 300;
/// How deep a tree may be that leaves here, in kilobytes of stack that cloning it takes in a debug build: whatever walks,
/// clones or drops it recurses, on stacks of 2 MB.
const TREE_WEIGHT_MAX: usize = 1000;
/// A level of an expression, …
const EXPRESSION_WEIGHT: usize = 5;
/// … a function call, …
const FUNCTION_WEIGHT: usize = 12;
/// … a query, …
const QUERY_WEIGHT: usize = 36;
/// … UNION, INTERSECT or EXCEPT.
const SET_OPERATION_WEIGHT: usize = 18;
/// Words and symbols of one list element at one level of nesting: what bounds the length of a chain of operators.
const RUN_TOKENS_MAX: usize = 100_000;
/// `[][][]…` after a type.
const ARRAY_BRACKETS_MAX: usize = 16;
/// Parentheses and brackets in each other.
const NESTING_MAX: usize = 150;
/// sqlparser's descent takes up to 100 kB a level in debug builds, more than its own guard reckons with.
const SMALL_STACK_BYTES: usize = 16 * 1024 * 1024;
/// From this many tokens on a statement is parsed on a larger stack, …
const LARGE_STATEMENT_TOKENS: usize = 500;
/// … of this size: a chain of operators is a tree as deep as the chain is long, and is dropped recursively. Only what is
/// touched of it becomes memory.
const LARGE_STACK_BYTES: usize = 256 * 1024 * 1024;

impl Cursor<'_> {
    /// A query, up to where it ends.
    pub(super) fn query(&mut self) -> SqlResult<Box<Query>> {
        self.with_parser(self.end(), |parser| parser.parse_query(), |lexed, query| check(lexed, query.as_mut()))
    }

    /// An expression that ends before token `end`.
    pub(super) fn expression(&mut self, end: usize) -> SqlResult<Expr> {
        self.with_parser(end, |parser| parser.parse_expr(), check)
    }

    /// A type.
    pub(super) fn data_type(&mut self) -> SqlResult<DataType> {
        // A type is short; looking at all that follows would make long column lists quadratic.
        const TYPE_TOKENS_MAX: usize = 48;
        let window = (self.index() + TYPE_TOKENS_MAX).min(self.end());
        match self.word_at(0) {
            Some("setof") => return Err(SqlError::unsupported("SETOF is not supported here")),
            Some(word) if category(word) == Category::Reserved => return self.unexpected(),
            Some(_) => {}
            None if matches!(self.peek().map(|token| &token.kind), Some(TokenKind::Quoted(_))) => {}
            None => return self.unexpected(),
        }
        self.with_parser(window, |parser| parser.parse_data_type(), |_, _| Ok(()))
    }

    /// A whole statement that Atoll does not run, to find what is wrong with it before that is said.
    pub(super) fn check_with_sqlparser(&mut self) -> SqlResult<()> {
        let statement = |parser: &mut Parser| parser.parse_statement().map(Box::new).map(Some);
        self.with_parser(self.end(), statement, |_, statement: &mut Option<Box<SqlStatement>>| {
            // Dropped here, on the large stack.
            *statement = None;
            Ok(())
        })?;
        self.expect_end()
    }

    /// Runs a rule of sqlparser's from here on, and goes on where it stopped. What it yields is checked, and where it
    /// fails dropped, on a stack that stands its depth.
    fn with_parser<T>(
        &mut self,
        end: usize,
        rule: impl FnOnce(&mut Parser) -> Result<T, ParserError>,
        check: impl FnOnce(&Lexed, &mut T) -> SqlResult<()>,
    ) -> SqlResult<T> {
        let lexed = self.lexed();
        let start = self.index();
        let tokens = lexed.tokens.get(start..end).unwrap_or(&[]);
        check_runs(lexed, start, tokens)?;
        keyword_calls::check(lexed, start, tokens)?;
        let (value, count) = on_stack_for(tokens.len(), || {
            let dialect = PostgreSql::new(tokens.len());
            let hidden = hidden_tokens(tokens);
            let orders = |index: usize| {
                let is_using =
                    |index: usize| tokens.get(index).is_some_and(|token| token.kind == TokenKind::Word("using".into()));
                if is_using(index) { tokens.get(index + 1).and_then(|next| direction(lexed.raw(next))) } else { None }
            };
            let mut translated: Vec<TokenWithSpan> = tokens
                .iter()
                .enumerate()
                .map(|(index, token)| {
                    let translated = translate(lexed, token);
                    if orders(index).is_some() {
                        return blank(&translated);
                    }
                    if let Some(word) = index.checked_sub(1).and_then(orders) {
                        return TokenWithSpan::new(SqlToken::make_word(word, None), translated.span);
                    }
                    if hidden.contains(&index) { blank(&translated) } else { translated }
                })
                .collect();
            frames::prepare(&mut translated);
            reshape::prepare(&mut translated);
            let hidden = |token: &TokenWithSpan| matches!(token.token, SqlToken::Whitespace(_));
            let blanks: Vec<bool> = translated.iter().map(hidden).collect();
            let mut parser =
                Parser::new(&dialect).with_recursion_limit(PARSER_DEPTH_MAX).with_tokens_with_locations(translated);
            match rule(&mut parser) {
                Ok(mut value) => {
                    // What is hidden behind the last token belongs to it.
                    let behind = blanks.iter().skip(parser.index()).take_while(|hidden| **hidden).count();
                    check(lexed, &mut value).map(|()| (value, parser.index() + behind))
                }
                Err(_) if dialect.exhausted() => Err(too_complex("statement is too complex")),
                Err(error) => {
                    let place = Place {
                        current: start + parser.get_current_index(),
                        furthest: start + dialect.furthest.get(),
                        end,
                    };
                    Err(convert_error(lexed, &error, &place))
                }
            }
        })?;
        self.seek((start + count).min(end));
        Ok(value)
    }
}

/// Runs on a stack that stands what as many tokens may need.
fn on_stack_for<T>(tokens: usize, work: impl FnOnce() -> T) -> T {
    let bytes = if tokens < LARGE_STATEMENT_TOKENS { SMALL_STACK_BYTES } else { LARGE_STACK_BYTES };
    stacker::grow(bytes, work)
}

/// Our token as sqlparser's. There is exactly one for each, so that indices agree. The column of a location is the
/// character's position in the whole text, on line 1.
fn translate(lexed: &Lexed, token: &Token) -> TokenWithSpan {
    let raw = lexed.raw(token);
    let translated = match &token.kind {
        TokenKind::Word(word) if is_plain(word) || is_name_here(lexed, token, word) => {
            SqlToken::Word(Word { value: word.to_string(), quote_style: None, keyword: Keyword::NoKeyword })
        }
        TokenKind::Word(word) => SqlToken::make_word(word, None),
        TokenKind::Quoted(name) => SqlToken::make_word(name, Some('"')),
        TokenKind::String(value) => SqlToken::SingleQuotedString(value.to_string()),
        TokenKind::Bits(value) => SqlToken::SingleQuotedByteStringLiteral(value.to_string()),
        TokenKind::Hex(value) => SqlToken::HexStringLiteral(value.to_string()),
        TokenKind::Integer | TokenKind::Decimal => SqlToken::Number(raw.to_owned(), false),
        TokenKind::Parameter => SqlToken::Placeholder(raw.to_owned()),
        TokenKind::Typecast => SqlToken::DoubleColon,
        TokenKind::Arrow => match raw {
            ":=" => SqlToken::Assignment,
            "=>" => SqlToken::RArrow,
            _ => SqlToken::Char('.'),
        },
        TokenKind::Symbol(symbol) => match symbol {
            '(' => SqlToken::LParen,
            ')' => SqlToken::RParen,
            '[' => SqlToken::LBracket,
            ']' => SqlToken::RBracket,
            ',' => SqlToken::Comma,
            ';' => SqlToken::SemiColon,
            ':' => SqlToken::Colon,
            '.' => SqlToken::Period,
            other => SqlToken::Char(*other),
        },
        TokenKind::Operator => translate_operator(raw),
    };
    let location = |chars: usize| Location::new(1, chars as u64 + 1);
    let start = token.chars as usize;
    let length = raw.chars().count();
    TokenWithSpan::new(translated, Span::new(location(start), location(start + length)))
}

/// What `ORDER BY x USING <` says.
fn direction(operator: &str) -> Option<&'static str> {
    match operator {
        "<" => Some("asc"),
        ">" => Some("desc"),
        _ => None,
    }
}

/// sqlparser takes MATCH for an operator of MySQL's. In PostgreSQL it is a word of foreign keys alone.
fn is_name_here(lexed: &Lexed, token: &Token, word: &str) -> bool {
    let next = || lexed.tokens.get(lexed.tokens.partition_point(|other| other.chars <= token.chars));
    word == "match"
        && !next().is_some_and(|next| {
            matches!(&next.kind, TokenKind::Word(next) if matches!(next.as_ref(), "full" | "partial" | "simple"))
        })
}

fn translate_operator(raw: &str) -> SqlToken {
    match raw {
        "=" => SqlToken::Eq,
        "<" => SqlToken::Lt,
        ">" => SqlToken::Gt,
        "*" => SqlToken::Mul,
        "+" => SqlToken::Plus,
        "-" => SqlToken::Minus,
        "/" => SqlToken::Div,
        // sqlparser's equality and MySQL's.
        "==" | "<=>" => SqlToken::CustomBinaryOperator(raw.to_owned()),
        _ => {
            let mut tokens = Tokenizer::new(&PostgreSqlDialect {}, raw).tokenize().unwrap_or_default();
            match (tokens.pop(), tokens.is_empty()) {
                (Some(token), true) => token,
                _ => SqlToken::CustomBinaryOperator(raw.to_owned()),
            }
        }
    }
}

/// Where in the text's tokens a parser failed.
struct Place {
    current: usize,
    furthest: usize,
    end: usize,
}

/// sqlparser says `Expected: …, found: TOKEN at Line: 1, Column: n`; PostgreSQL names the token only.
fn convert_error(lexed: &Lexed, error: &ParserError, place: &Place) -> SqlError {
    let text = match error {
        ParserError::RecursionLimitExceeded => return too_complex("stack depth limit exceeded"),
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
    };
    let column = text.rsplit_once(" at Line: 1, Column: ").and_then(|(_, column)| column.trim().parse::<usize>().ok());
    let index = match column {
        Some(column) => lexed.tokens.partition_point(|token| (token.chars as usize) < column.saturating_sub(1)),
        None if text.contains("found: EOF") => place.end,
        None => place.current,
    };
    let index = index.max(place.furthest).min(place.end);
    let word = |at: usize| match lexed.tokens.get(at).map(|token| &token.kind) {
        Some(TokenKind::Word(word)) => Some(word.as_ref()),
        _ => None,
    };
    // What follows a recursive query in WITH.
    let closes = |at: usize| lexed.tokens.get(at).is_some_and(|token| token.kind == TokenKind::Symbol(')'));
    let clause = match word(index) {
        Some("search") if matches!(word(index + 1), Some("depth" | "breadth")) => Some("SEARCH"),
        Some("cycle") if word(index + 1).is_some() => Some("CYCLE"),
        _ => None,
    };
    if let Some(clause) = clause.filter(|_| index.checked_sub(1).is_some_and(closes)) {
        let position = lexed.tokens.get(index).map(|token| token.chars as usize + 1);
        return SqlError::unsupported(format!("the {clause} clause of a recursive query is not supported"))
            .hint("Carry the path in a column of its own.")
            .at(position);
    }
    keyword_calls::two_limits(lexed, index).unwrap_or_else(|| lexed.syntax_error(index))
}

/// Refuses what would grow too deep a tree, before it is grown.
fn check_runs(lexed: &Lexed, start: usize, tokens: &[Token]) -> SqlResult<()> {
    let mut runs = vec![0_usize];
    let mut brackets = 0_usize;
    for (offset, token) in tokens.iter().enumerate() {
        match token.kind {
            TokenKind::Symbol('(' | '[') => runs.push(0),
            TokenKind::Symbol(')' | ']') if runs.len() > 1 => {
                runs.pop();
            }
            TokenKind::Symbol(',') => {
                if let Some(run) = runs.last_mut() {
                    *run = 0;
                }
            }
            _ => {}
        }
        let after_open = offset > 0 && tokens.get(offset - 1).is_some_and(|t| t.kind == TokenKind::Symbol('['));
        match token.kind {
            TokenKind::Symbol(']') if after_open => brackets += 1,
            TokenKind::Symbol('[' | ']') | TokenKind::Integer => {}
            _ => brackets = 0,
        }
        let position = lexed.tokens.get(start + offset).map(|token| token.chars as usize + 1);
        // sqlparser takes whatever word follows for a table.
        if let (TokenKind::Word(word), Some(TokenKind::Word(next))) =
            (&token.kind, tokens.get(offset + 1).map(|token| &token.kind))
            && matches!(word.as_ref(), "from" | "join")
            && keywords::ends_from(next)
        {
            return Err(lexed.syntax_error(start + offset + 1));
        }
        if runs.len() > NESTING_MAX {
            return Err(too_complex("stack depth limit exceeded").at(position));
        }
        if brackets > ARRAY_BRACKETS_MAX {
            return Err(too_complex("number of array dimensions exceeds the maximum allowed").at(position));
        }
        if let Some(run) = runs.last_mut() {
            *run += 1;
            if *run > RUN_TOKENS_MAX {
                return Err(too_complex("statement is too complex").at(position));
            }
        }
    }
    Ok(())
}

/// Checks a tree that sqlparser made and makes it fit to be walked: chains of AND and OR become balanced trees, what is
/// too deep is refused, and so is what PostgreSQL's grammar has not or Atoll would get wrong.
fn check(lexed: &Lexed, tree: &mut impl VisitMut) -> SqlResult<()> {
    let mut checker = Checker { lexed, weight: 0 };
    match tree.visit(&mut checker) {
        ControlFlow::Break(error) => Err(*error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Checker<'a> {
    lexed: &'a Lexed<'a>,
    weight: usize,
}

pub(super) type Found = ControlFlow<Box<SqlError>>;

pub(super) fn found(error: SqlError) -> Found {
    ControlFlow::Break(Box::new(error))
}

impl Checker<'_> {
    fn descend(&mut self, weight: usize) -> Found {
        self.weight += weight;
        if self.weight > TREE_WEIGHT_MAX {
            return found(too_complex("stack depth limit exceeded"));
        }
        ControlFlow::Continue(())
    }

    fn ascend(&mut self, weight: usize) -> Found {
        self.weight = self.weight.saturating_sub(weight);
        ControlFlow::Continue(())
    }

    /// sqlparser takes a string for an alias, and forgets where it stood: behind what it is for, and perhaps AS.
    fn quoted_as_name(&self, ident: &Ident, what: Span) -> Found {
        if ident.quote_style != Some('\'') {
            return ControlFlow::Continue(());
        }
        let end = usize::try_from(what.end.column).unwrap_or(0);
        let index = self.lexed.tokens.partition_point(|token| (token.chars as usize) + 1 < end);
        let is_as = self.lexed.tokens.get(index).is_some_and(|token| token.kind == TokenKind::Word("as".into()));
        found(self.lexed.syntax_error(index + usize::from(is_as)))
    }

    /// The syntax error at the token that begins at a location's column.
    fn at_column(&self, column: u64) -> SqlError {
        let column = usize::try_from(column).unwrap_or(0);
        self.lexed.syntax_error(self.lexed.tokens.partition_point(|token| (token.chars as usize) + 1 < column))
    }

    /// sqlparser takes almost every keyword for a name; PostgreSQL's grammar does not.
    fn reserved(&self, ident: &Ident) -> Found {
        if ident.quote_style.is_some() || category(&ident.value) != Category::Reserved {
            return ControlFlow::Continue(());
        }
        match ident.span.start.column {
            0 => ControlFlow::Continue(()),
            column => found(self.at_column(column)),
        }
    }

    /// sqlparser lets ON and USING be left out.
    fn joined(&self, join: &Join) -> Found {
        if !matches!(constraint(&join.join_operator), Some(JoinConstraint::None)) {
            return ControlFlow::Continue(());
        }
        found(self.at_column(join.relation.span().end.column))
    }

    /// Two aliases of one name in a FROM. DataFusion would take both for one table.
    fn repeated_alias(&self, select: &Select) -> Found {
        let mut seen = std::collections::HashSet::new();
        for from in &select.from {
            let joined = from.joins.iter().map(|join| &join.relation);
            for factor in std::iter::once(&from.relation).chain(joined) {
                let (TableFactor::Table { alias: Some(alias), .. }
                | TableFactor::Derived { alias: Some(alias), .. }
                | TableFactor::UNNEST { alias: Some(alias), .. }
                | TableFactor::Function { alias: Some(alias), .. }) = factor
                else {
                    continue;
                };
                if !seen.insert(alias.name.value.as_str()) {
                    let message = format!("table name \"{}\" specified more than once", alias.name.value);
                    return found(SqlError::new(SqlState::DUPLICATE_ALIAS, message));
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn alias_missing(&self, subquery: &Query) -> SqlError {
        let values = matches!(subquery.body.as_ref(), SetExpr::Values(_));
        let (what, example) = if values { ("VALUES", "(VALUES ...)") } else { ("subquery", "(SELECT ...)") };
        let start = usize::try_from(subquery.span().start.column).unwrap_or(0);
        let mut index = self.lexed.tokens.partition_point(|token| (token.chars as usize) + 1 < start);
        // A list's first token is its first row's.
        let word = |at: usize| self.lexed.tokens.get(at).map(|token| &token.kind);
        if values
            && matches!(index.checked_sub(1).and_then(word), Some(TokenKind::Word(word)) if word.as_ref() == "values")
        {
            index -= 1;
        }
        let position = self.lexed.tokens.get(index.saturating_sub(1)).map(|token| token.chars as usize + 1);
        SqlError::syntax(format!("{what} in FROM must have an alias"))
            .hint(format!("For example, FROM {example} [AS] foo."))
            .at(position)
    }

    /// PostgreSQL has two methods.
    fn sampled(&self) -> SqlError {
        let word = |at: usize| match self.lexed.tokens.get(at).map(|token| &token.kind) {
            Some(TokenKind::Word(word)) => Some(word.as_ref()),
            _ => None,
        };
        let mut methods = (0..self.lexed.tokens.len()).filter(|at| word(*at) == Some("tablesample")).map(|at| at + 1);
        let unknown = methods.find(|at| word(*at).is_some_and(|method| !matches!(method, "bernoulli" | "system")));
        match unknown.and_then(|at| word(at).zip(self.lexed.tokens.get(at))) {
            Some((method, token)) => {
                SqlError::new(SqlState::UNDEFINED_OBJECT, format!("tablesample method {method} does not exist"))
                    .at(token.chars as usize + 1)
            }
            None => SqlError::unsupported("TABLESAMPLE is not supported")
                .hint("Sample rows with a condition, for example WHERE random() < 0.1."),
        }
    }

    fn first_reserved(&self, name: &ObjectName) -> Found {
        match name.0.first().and_then(|part| part.as_ident()) {
            Some(ident) => self.reserved(ident),
            None => ControlFlow::Continue(()),
        }
    }
}

impl VisitorMut for Checker<'_> {
    type Break = Box<SqlError>;

    fn pre_visit_query(&mut self, query: &mut Query) -> Found {
        balance_set_operations(&mut query.body);
        self.descend(query_weight(query))?;
        if !query.locks.is_empty() {
            return found(SqlError::unsupported("SELECT FOR UPDATE/SHARE is not supported"));
        }
        fetch_as_limit(query)?;
        whole_limits(query)?;
        match query.body.as_ref() {
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                found(SqlError::unsupported("data-modifying statements in WITH are not supported"))
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn post_visit_query(&mut self, query: &mut Query) -> Found {
        self.ascend(query_weight(query))
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> Found {
        reshape::table_command(self.lexed, select)?;
        reshape::distinct_groups(self.lexed, select)?;
        reshape::fields_of_functions(select)?;
        if select.into.is_some() {
            return found(SqlError::unsupported("SELECT INTO is not supported").hint("Create a view instead."));
        }
        for item in &select.projection {
            if let SelectItem::ExprWithAlias { alias, expr } = item {
                self.quoted_as_name(alias, expr.span())?;
            }
        }
        for join in select.from.iter().flat_map(|from| &from.joins) {
            self.joined(join)?;
        }
        self.repeated_alias(select)
    }

    fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> Found {
        self.first_reserved(relation)
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> Found {
        self.descend(EXPRESSION_WEIGHT)?;
        match factor {
            TableFactor::Table { sample: Some(_), .. } => found(self.sampled()),
            TableFactor::Derived { subquery, alias: None, .. } => found(self.alias_missing(subquery)),
            TableFactor::Table { name, alias: Some(alias), .. } => {
                self.quoted_as_name(&alias.name, name.span())?;
                self.reserved(&alias.name)
            }
            TableFactor::Table { alias, .. } | TableFactor::Derived { alias, .. } => match alias {
                Some(alias) => self.reserved(&alias.name),
                None => ControlFlow::Continue(()),
            },
            TableFactor::NestedJoin { table_with_joins, .. } => {
                for join in &table_with_joins.joins {
                    self.joined(join)?;
                }
                ControlFlow::Continue(())
            }
            TableFactor::Function { .. } | TableFactor::TableFunction { .. } | TableFactor::UNNEST { .. } => {
                ControlFlow::Continue(())
            }
            _ => found(SqlError::unsupported("this kind of FROM item is not supported")),
        }
    }

    fn post_visit_table_factor(&mut self, _factor: &mut TableFactor) -> Found {
        self.ascend(EXPRESSION_WEIGHT)
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> Found {
        balance(expr);
        self.descend(expression_weight(expr))?;
        match expr {
            // Quantifiers stand behind an operator only.
            Expr::Function(call) if is_quantifier(call) => found(self.at_column(call.name.span().start.column)),
            Expr::UnaryOp { op: UnaryOperator::PGPostfixFactorial, expr } => {
                let column = usize::try_from(expr.span().end.column).unwrap_or(0);
                let tokens = &self.lexed.tokens;
                let sign = tokens
                    .iter()
                    .position(|token| token.chars as usize + 1 >= column && token.kind == TokenKind::Operator);
                found(self.lexed.syntax_error(sign.map_or(tokens.len(), |index| index + 1)))
            }
            Expr::Identifier(ident) => self.reserved(ident),
            Expr::CompoundIdentifier(idents) => match idents.first() {
                Some(ident) => self.reserved(ident),
                None => ControlFlow::Continue(()),
            },
            Expr::Value(value) => match frames::restore(&mut value.value) {
                Value::Placeholder(name) if !name.starts_with('$') => found(self.at_column(value.span.start.column)),
                _ => ControlFlow::Continue(()),
            },
            _ => ControlFlow::Continue(()),
        }
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> Found {
        self.ascend(expression_weight(expr))
    }
}

/// `any(array[1])` by itself.
fn is_quantifier(call: &Function) -> bool {
    match call.name.0.as_slice() {
        [ObjectNamePart::Identifier(name)] => {
            name.quote_style.is_none() && matches!(name.value.as_str(), "any" | "all" | "some")
        }
        _ => false,
    }
}

fn expression_weight(expr: &Expr) -> usize {
    if matches!(expr, Expr::Function(_)) { FUNCTION_WEIGHT } else { EXPRESSION_WEIGHT }
}

/// Iterative, as a chain of EXCEPT may be as deep as it is long.
fn query_weight(query: &Query) -> usize {
    let mut deepest = 0;
    let mut open = vec![(query.body.as_ref(), 0)];
    while let Some((body, depth)) = open.pop() {
        deepest = deepest.max(depth);
        if let SetExpr::SetOperation { left, right, .. } = body {
            open.push((left, depth + 1));
            open.push((right, depth + 1));
        }
    }
    QUERY_WEIGHT + deepest * SET_OPERATION_WEIGHT
}
