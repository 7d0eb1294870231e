//! A place in a statement's tokens, and what all grammar rules share: names, strings, roles, options.

use std::cell::Cell;

use super::ast::{OptionAction, OptionClause, OptionValue, ParsedStatement, QualifiedName, RoleSpec, Statement};
use super::keyword_calls::two_limits;
use super::keywords::{Category, category};
use super::lexer::{Lexed, Token, TokenKind};
use crate::error::{SqlError, SqlResult, SqlState};

/// A place in one statement of a text.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    lexed: &'a Lexed<'a>,
    /// The next token.
    index: usize,
    /// The statement ends before this token.
    end: usize,
    /// The first token that broke off a row of keywords: where PostgreSQL sees the error that is found later here.
    broken_at: Cell<usize>,
}

impl<'a> Cursor<'a> {
    /// Of the tokens from `start` to before `end`.
    pub(super) fn new(lexed: &'a Lexed<'a>, start: usize, end: usize) -> Self {
        Self { lexed, index: start, end, broken_at: Cell::new(0) }
    }

    /// The text and all its tokens.
    pub(super) fn lexed(&self) -> &'a Lexed<'a> {
        self.lexed
    }

    /// Index of the next token.
    pub(super) fn index(&self) -> usize {
        self.index
    }

    /// Index past the statement's last token.
    pub(super) fn end(&self) -> usize {
        self.end
    }

    /// Goes on at another token of this statement.
    pub(super) fn seek(&mut self, index: usize) {
        self.index = index.min(self.end);
    }

    /// The next token.
    pub(super) fn peek(&self) -> Option<&'a Token> {
        self.peek_at(0)
    }

    /// The token after `ahead` others.
    pub(super) fn peek_at(&self, ahead: usize) -> Option<&'a Token> {
        let index = self.index + ahead;
        if index < self.end { self.lexed.tokens.get(index) } else { None }
    }

    /// Whether nothing is left.
    pub(super) fn at_end(&self) -> bool {
        self.index >= self.end
    }

    /// Takes the next token.
    pub(super) fn bump(&mut self) -> Option<&'a Token> {
        let token = self.peek()?;
        self.index += 1;
        Some(token)
    }

    /// Where the next token begins, or the statement ends: characters from 1.
    pub(super) fn position(&self) -> usize {
        self.lexed.tokens.get(self.index).map_or(self.lexed.chars, |token| token.chars as usize) + 1
    }

    /// `syntax error at or near` the next token.
    pub(super) fn unexpected<T>(&self) -> SqlResult<T> {
        Err(self.lexed.syntax_error(self.index.max(self.broken_at.get())))
    }

    /// Nothing may follow.
    pub(super) fn expect_end(&self) -> SqlResult<()> {
        if self.at_end() {
            return Ok(());
        }
        // sqlparser leaves GROUP and ORDER where no BY follows; PostgreSQL misses the BY.
        let halved = matches!(self.word_at(0), Some("group" | "order"));
        let index = self.index.max(self.broken_at.get());
        let place = if halved { self.index + 1 } else { index };
        Err(two_limits(self.lexed, place).unwrap_or_else(|| self.lexed.syntax_error(place)))
    }

    /// The folded word of a token without quotes.
    pub(super) fn word_at(&self, ahead: usize) -> Option<&'a str> {
        match &self.peek_at(ahead)?.kind {
            TokenKind::Word(word) => Some(word),
            _ => None,
        }
    }

    /// Whether the next tokens are these keywords.
    pub(super) fn sees(&self, keywords: &[&str]) -> bool {
        self.matching(keywords) == keywords.len()
    }

    /// How many of these keywords come next.
    fn matching(&self, keywords: &[&str]) -> usize {
        let matches = |(ahead, keyword): &(usize, &&str)| self.word_at(*ahead) == Some(**keyword);
        keywords.iter().enumerate().take_while(matches).count()
    }

    /// Takes these keywords, all or none.
    pub(super) fn eat(&mut self, keywords: &[&str]) -> bool {
        let matching = self.matching(keywords);
        let seen = matching == keywords.len();
        if !seen && matching > 0 {
            self.broken_at.set(self.broken_at.get().max(self.index + matching));
        }
        if seen {
            self.index += keywords.len();
        }
        seen
    }

    /// Takes these keywords.
    pub(super) fn expect(&mut self, keywords: &[&str]) -> SqlResult<()> {
        for keyword in keywords {
            if !self.eat(&[keyword]) {
                return self.unexpected();
            }
        }
        Ok(())
    }

    /// Takes one of these keywords.
    pub(super) fn eat_any(&mut self, keywords: &[&'static str]) -> Option<&'static str> {
        let word = self.word_at(0)?;
        let found = keywords.iter().find(|keyword| **keyword == word)?;
        self.index += 1;
        Some(found)
    }

    /// Whether the token after `ahead` others is this symbol.
    pub(super) fn sees_symbol_at(&self, ahead: usize, symbol: char) -> bool {
        self.peek_at(ahead).is_some_and(|token| token.kind == TokenKind::Symbol(symbol))
    }

    /// Takes a symbol.
    pub(super) fn eat_symbol(&mut self, symbol: char) -> bool {
        let seen = self.sees_symbol_at(0, symbol);
        if seen {
            self.index += 1;
        }
        seen
    }

    /// Takes a symbol.
    pub(super) fn expect_symbol(&mut self, symbol: char) -> SqlResult<()> {
        if self.eat_symbol(symbol) { Ok(()) } else { self.unexpected() }
    }

    /// Whether the next token is this operator.
    pub(super) fn sees_operator(&self, operator: &str) -> bool {
        self.peek().is_some_and(|token| token.kind == TokenKind::Operator && self.lexed.raw(token) == operator)
    }

    /// Takes an operator.
    pub(super) fn eat_operator(&mut self, operator: &str) -> bool {
        let seen = self.sees_operator(operator);
        if seen {
            self.index += 1;
        }
        seen
    }

    /// `a, b, …`
    pub(super) fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> SqlResult<T>) -> SqlResult<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.eat_symbol(',') {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// `(a, b, …)`
    pub(super) fn parenthesized_list<T>(&mut self, item: impl FnMut(&mut Self) -> SqlResult<T>) -> SqlResult<Vec<T>> {
        self.expect_symbol('(')?;
        let items = self.list(item)?;
        self.expect_symbol(')')?;
        Ok(items)
    }

    /// An identifier of the next token, where keywords of `allowed` categories may be one.
    fn identifier_of(&mut self, allowed: &[Category]) -> SqlResult<String> {
        match self.peek().map(|token| &token.kind) {
            Some(TokenKind::Quoted(name)) => {
                self.index += 1;
                Ok(name.to_string())
            }
            Some(TokenKind::Word(word)) if allowed.contains(&category(word)) => {
                self.index += 1;
                Ok(word.to_string())
            }
            _ => self.unexpected(),
        }
    }

    /// A column's or table's name (ColId).
    pub(super) fn name(&mut self) -> SqlResult<String> {
        self.identifier_of(&[Category::Free, Category::ColumnName])
    }

    /// A name where every keyword may stand (ColLabel).
    pub(super) fn label(&mut self) -> SqlResult<String> {
        self.identifier_of(&[Category::Free, Category::ColumnName, Category::TypeOrFunctionName, Category::Reserved])
    }

    /// A name that is no reserved word (NonReservedWord).
    pub(super) fn nonreserved(&mut self) -> SqlResult<String> {
        self.identifier_of(&[Category::Free, Category::ColumnName, Category::TypeOrFunctionName])
    }

    /// `a`, `a.b` or `a.b.c`.
    pub(super) fn qualified_name(&mut self) -> SqlResult<QualifiedName> {
        let position = self.position();
        let parts = self.dotted()?;
        if parts.len() > 3 {
            return Err(SqlError::syntax(format!(
                "improper qualified name (too many dotted names): {}",
                parts.join(".")
            ))
            .at(position));
        }
        Ok(QualifiedName { parts, position })
    }

    /// Any number of names with points between.
    pub(super) fn dotted(&mut self) -> SqlResult<Vec<String>> {
        let mut parts = vec![self.name()?];
        while self.eat_symbol('.') {
            parts.push(self.label()?);
        }
        Ok(parts)
    }

    /// A string, if one is next.
    pub(super) fn eat_string(&mut self) -> Option<String> {
        match &self.peek()?.kind {
            TokenKind::String(value) => {
                self.index += 1;
                Some(value.to_string())
            }
            _ => None,
        }
    }

    /// A string.
    pub(super) fn string(&mut self) -> SqlResult<String> {
        match self.eat_string() {
            Some(value) => Ok(value),
            None => self.unexpected(),
        }
    }

    /// A string or NULL.
    pub(super) fn string_or_null(&mut self) -> SqlResult<Option<String>> {
        if self.eat(&["null"]) { Ok(None) } else { self.string().map(Some) }
    }

    /// An integer with an optional sign.
    pub(super) fn integer(&mut self) -> SqlResult<i64> {
        let start = self.index;
        let negative = self.eat_operator("-");
        if !negative {
            self.eat_operator("+");
        }
        let Some(token) = self.peek().filter(|token| token.kind == TokenKind::Integer) else {
            return self.unexpected();
        };
        // Beyond four bytes PostgreSQL's lexer makes a float of it, which its grammar refuses.
        match self.lexed.raw(token).parse::<i64>() {
            Ok(number) if number <= i64::from(i32::MAX) => {
                self.index += 1;
                Ok(if negative { -number } else { number })
            }
            _ => {
                let error = self.unexpected();
                self.index = start;
                error
            }
        }
    }

    /// `[IF NOT EXISTS]`
    pub(super) fn if_not_exists(&mut self) -> SqlResult<bool> {
        if !self.sees(&["if"]) || !self.sees(&["if", "not"]) {
            return Ok(false);
        }
        self.expect(&["if", "not", "exists"])?;
        Ok(true)
    }

    /// `[IF EXISTS]`
    pub(super) fn if_exists(&mut self) -> bool {
        self.eat(&["if", "exists"])
    }

    /// `[CASCADE | RESTRICT]`
    pub(super) fn cascade(&mut self) -> bool {
        match self.eat_any(&["cascade", "restrict"]) {
            Some(word) => word == "cascade",
            None => false,
        }
    }

    /// A role (RoleSpec). PUBLIC is understood here, and refused by who cannot use it.
    pub(super) fn role(&mut self) -> SqlResult<RoleSpec> {
        let position = self.position();
        let quoted = matches!(self.peek().map(|token| &token.kind), Some(TokenKind::Quoted(_)));
        if !quoted {
            match self.word_at(0) {
                Some("current_user" | "current_role") => {
                    self.index += 1;
                    return Ok(RoleSpec::CurrentUser);
                }
                Some("session_user") => {
                    self.index += 1;
                    return Ok(RoleSpec::SessionUser);
                }
                _ => {}
            }
        }
        // As in PostgreSQL, quotes do not make another name of these two.
        match self.nonreserved()?.as_str() {
            "public" => Ok(RoleSpec::Public),
            "none" => Err(reserved_role("none").at(position)),
            name => Ok(RoleSpec::Name(name.to_owned())),
        }
    }

    /// A role that is one, not PUBLIC.
    pub(super) fn role_not_public(&mut self) -> SqlResult<RoleSpec> {
        match self.role()? {
            RoleSpec::Public => Err(SqlError::new(SqlState::UNDEFINED_OBJECT, "role \"public\" does not exist")),
            role => Ok(role),
        }
    }

    /// A role given by its own name, as where one is made.
    pub(super) fn role_name(&mut self) -> SqlResult<String> {
        let position = self.position();
        match self.role()? {
            RoleSpec::Name(name) => Ok(name),
            RoleSpec::Public => Err(reserved_role("public").at(position)),
            RoleSpec::CurrentUser => Err(no_role_name("CURRENT_USER").at(position)),
            RoleSpec::SessionUser => Err(no_role_name("SESSION_USER").at(position)),
        }
    }

    /// Who a user mapping is for: a role, PUBLIC or USER.
    pub(super) fn mapped_user(&mut self) -> SqlResult<RoleSpec> {
        if self.eat(&["user"]) { Ok(RoleSpec::CurrentUser) } else { self.role() }
    }

    fn option_name(&mut self) -> SqlResult<(String, usize)> {
        let position = self.position();
        Ok((self.label()?, position))
    }

    fn option(&mut self) -> SqlResult<OptionClause> {
        let (name, position) = self.option_name()?;
        Ok(OptionClause { name, value: OptionValue(self.string()?), position })
    }

    /// `[OPTIONS (a 'x', …)]`
    pub(super) fn options(&mut self) -> SqlResult<Vec<OptionClause>> {
        if self.eat(&["options"]) { self.parenthesized_list(Self::option) } else { Ok(Vec::new()) }
    }

    /// `OPTIONS (ADD a 'x', SET b 'y', DROP c)`, if it follows.
    pub(super) fn option_actions(&mut self) -> SqlResult<Option<Vec<OptionAction>>> {
        if self.eat(&["options"]) { self.parenthesized_list(Self::option_action).map(Some) } else { Ok(None) }
    }

    fn option_action(&mut self) -> SqlResult<OptionAction> {
        // `set 'x'` is an option of that name, `set a 'x'` an action on another.
        let is_action = !matches!(self.peek_at(1).map(|token| &token.kind), Some(TokenKind::String(_)));
        match self.word_at(0) {
            Some("add") if is_action => {
                self.index += 1;
                self.option().map(OptionAction::Add)
            }
            Some("set") if is_action => {
                self.index += 1;
                self.option().map(OptionAction::Set)
            }
            Some("drop") if is_action => {
                self.index += 1;
                self.option_name().map(|(name, position)| OptionAction::Drop { name, position })
            }
            _ => self.option().map(OptionAction::Add),
        }
    }

    /// The text of the tokens from `start` to before `end`, and how many characters precede it.
    pub(super) fn text_of(&self, start: usize, end: usize) -> (String, usize) {
        let tokens = self.lexed.tokens.get(start..end).unwrap_or(&[]);
        match (tokens.first(), tokens.last()) {
            (Some(first), Some(last)) => (
                self.lexed.text.get(first.start as usize..last.end as usize).unwrap_or("").to_owned(),
                first.chars as usize,
            ),
            _ => (String::new(), self.lexed.chars),
        }
    }

    /// A statement made of the tokens from `start` to here.
    pub(super) fn parsed(&self, statement: Statement, start: usize) -> ParsedStatement {
        let (text, offset) = self.text_of(start, self.index);
        let tokens = self.lexed.tokens.get(start..self.index).unwrap_or_default();
        let notices = tokens.iter().filter_map(|token| self.lexed.truncated(token)).collect();
        ParsedStatement { statement, text, offset, notices }
    }

    /// Past the token that closes the bracket just opened, if it is closed in this statement.
    pub(super) fn skip_to_close(&mut self) -> SqlResult<()> {
        let mut depth = 1_usize;
        loop {
            let Some(token) = self.peek() else { return self.unexpected() };
            match token.kind {
                TokenKind::Symbol('(' | '[') => depth += 1,
                TokenKind::Symbol(')' | ']') => depth -= 1,
                _ => {}
            }
            self.index += 1;
            if depth == 0 {
                return Ok(());
            }
        }
    }
}

/// `public` and `none` are no roles.
fn reserved_role(name: &str) -> SqlError {
    SqlError::new(SqlState::RESERVED_NAME, format!("role name \"{name}\" is reserved"))
}

fn no_role_name(keyword: &str) -> SqlError {
    SqlError::new(SqlState::RESERVED_NAME, format!("{keyword} cannot be used as a role name here"))
}
