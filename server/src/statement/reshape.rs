//! Tokens given another shape before sqlparser reads them: what PostgreSQL's grammar has and sqlparser's has not, in terms
//! of what it has. There are as many tokens afterwards, so that indices agree.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    GroupByExpr, Select, SelectFlavor, SelectItem, Spanned, TableFactor, WildcardAdditionalOptions,
};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::hidden::blank;
use super::keywords::{Category, category};
use super::lexer::{Lexed, TokenKind};
use super::query::{Found, found};
use crate::federation::semantics::{ROWS_FROM, distinct_grouping_sets};

/// Gives tokens the shape that sqlparser reads.
pub(super) fn prepare(tokens: &mut [TokenWithSpan]) {
    for index in 0..tokens.len() {
        match unquoted(tokens, index) {
            Some("table") if is_query_start(tokens, index) && is_relation(tokens, index + 1) => {
                // `TABLE t` is `FROM t` without a select list, which sqlparser has.
                tokens[index].token = keyword(Keyword::FROM, "table");
            }
            Some("only") if matches!(before(tokens, index, 1), Some("from" | "join" | "table")) => only(tokens, index),
            Some("rows") if matches!(unquoted(tokens, index + 1), Some("from")) => rows_from(tokens, index),
            Some("fetch") if matches!(unquoted(tokens, index + 1), Some("first" | "next")) => fetch(tokens, index),
            // What DISTINCT says is seen to behind the parser.
            Some("all" | "distinct")
                if before(tokens, index, 1) == Some("by") && before(tokens, index, 2) == Some("group") =>
            {
                tokens[index] = blank(&tokens[index]);
            }
            _ => {}
        }
    }
}

/// A word that was not quoted, and `None` for everything else.
fn unquoted(tokens: &[TokenWithSpan], index: usize) -> Option<&str> {
    match &tokens.get(index)?.token {
        Token::Word(word) if word.quote_style.is_none() => Some(&word.value),
        _ => None,
    }
}

fn before(tokens: &[TokenWithSpan], index: usize, steps: usize) -> Option<&str> {
    unquoted(tokens, index.checked_sub(steps)?)
}

fn is_token(tokens: &[TokenWithSpan], index: usize, token: &Token) -> bool {
    tokens.get(index).is_some_and(|own| own.token == *token)
}

fn keyword(keyword: Keyword, value: &str) -> Token {
    Token::Word(Word { value: value.to_owned(), quote_style: None, keyword })
}

/// Whether a token is the TABLE of `TABLE t`.
pub(super) fn is_table_command(token: &Token) -> bool {
    matches!(token, Token::Word(Word { value, quote_style: None, keyword: Keyword::FROM }) if value == "table")
}

/// Whether a query may begin at a token, by what is before it.
fn is_query_start(tokens: &[TokenWithSpan], index: usize) -> bool {
    let Some(previous) = index.checked_sub(1) else { return true };
    if is_token(tokens, previous, &Token::LParen) || is_token(tokens, previous, &Token::RParen) {
        return true;
    }
    let is_set = |word: Option<&str>| matches!(word, Some("union" | "intersect" | "except"));
    let word = unquoted(tokens, previous);
    is_set(word) || (matches!(word, Some("all" | "distinct")) && is_set(before(tokens, index, 2)))
}

fn is_relation(tokens: &[TokenWithSpan], index: usize) -> bool {
    match tokens.get(index).map(|token| &token.token) {
        Some(Token::Word(Word { quote_style: Some(_), .. })) => true,
        Some(Token::Word(word)) => word.value == "only" || category(&word.value) != Category::Reserved,
        _ => false,
    }
}

/// `ONLY t` and `ONLY (t)`: no table here has children.
fn only(tokens: &mut [TokenWithSpan], index: usize) {
    if is_relation(tokens, index + 1) {
        tokens[index] = blank(&tokens[index]);
        return;
    }
    if !is_token(tokens, index + 1, &Token::LParen) || !is_relation(tokens, index + 2) {
        return;
    }
    let mut end = index + 3;
    while is_token(tokens, end, &Token::Period) && is_relation(tokens, end + 1) {
        end += 2;
    }
    if is_token(tokens, end, &Token::RParen) {
        for at in [index, index + 1, end] {
            tokens[at] = blank(&tokens[at]);
        }
    }
}

/// `ROWS FROM (f(…), g(…))` as the call of a function with this name.
fn rows_from(tokens: &mut [TokenWithSpan], index: usize) {
    let in_from = matches!(before(tokens, index, 1), Some("from" | "join" | "lateral"))
        || index.checked_sub(1).is_some_and(|previous| is_token(tokens, previous, &Token::Comma));
    if in_from && is_token(tokens, index + 2, &Token::LParen) {
        tokens[index] = blank(&tokens[index]);
        tokens[index + 1].token =
            Token::Word(Word { value: ROWS_FROM.to_owned(), quote_style: Some('"'), keyword: Keyword::NoKeyword });
    }
}

/// `FETCH FIRST (expression) ROWS ONLY`, of which sqlparser reads plain numbers only, as LIMIT.
fn fetch(tokens: &mut [TokenWithSpan], index: usize) {
    let signed = is_token(tokens, index + 2, &Token::Minus) || is_token(tokens, index + 2, &Token::Plus);
    let end = if signed {
        index + 4
    } else if is_token(tokens, index + 2, &Token::LParen) {
        let mut depth = 0_usize;
        let closing = tokens.iter().skip(index + 2).position(|token| {
            match token.token {
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0
        });
        match closing {
            Some(length) => index + 3 + length,
            None => return,
        }
    } else {
        return;
    };
    if matches!(unquoted(tokens, end), Some("row" | "rows")) && unquoted(tokens, end + 1) == Some("only") {
        tokens[index].token = keyword(Keyword::LIMIT, "limit");
        for at in [index + 1, end, end + 1] {
            tokens[at] = blank(&tokens[at]);
        }
    }
}

/// `GROUP BY DISTINCT`, of which sqlparser has not seen DISTINCT, with each grouping set once.
pub(super) fn distinct_groups(lexed: &Lexed, select: &mut Select) -> Found {
    let GroupByExpr::Expressions(items, modifiers) = &mut select.group_by else { return ControlFlow::Continue(()) };
    let Some(column) = items.iter().map(|item| item.span().start.column).find(|column| *column > 0) else {
        return ControlFlow::Continue(());
    };
    let column = usize::try_from(column).unwrap_or(0);
    let word = |index: usize| match lexed.tokens.get(index).map(|token| &token.kind) {
        Some(TokenKind::Word(word)) => word.as_ref(),
        Some(TokenKind::Symbol('(' | ')' | ',')) => "(",
        _ => "",
    };
    let mut index = lexed.tokens.partition_point(|token| (token.chars as usize) + 1 < column);
    while let Some(previous) = index.checked_sub(1)
        && matches!(word(previous), "(" | "rollup" | "cube" | "grouping" | "sets")
    {
        index = previous;
    }
    let is_distinct = index >= 3
        && word(index - 1) == "distinct"
        && word(index - 2) == "by"
        && word(index - 3) == "group"
        && modifiers.is_empty();
    if !is_distinct {
        return ControlFlow::Continue(());
    }
    match distinct_grouping_sets(items) {
        Ok(sets) => *items = vec![sets],
        Err(error) => return found(error),
    }
    ControlFlow::Continue(())
}

/// `TABLE t`, which sqlparser has read as `FROM t`, as `SELECT * FROM t`.
pub(super) fn table_command(lexed: &Lexed, select: &mut Select) -> Found {
    if select.flavor == SelectFlavor::Standard {
        return ControlFlow::Continue(());
    }
    let column = |column: u64| {
        let column = usize::try_from(column).unwrap_or(0);
        lexed.tokens.partition_point(|token| (token.chars as usize) + 1 < column)
    };
    let from = column(select.select_token.0.span.start.column);
    let is_table = lexed.tokens.get(from).is_some_and(|token| lexed.raw(token).eq_ignore_ascii_case("table"));
    if !is_table || select.flavor == SelectFlavor::FromFirst {
        return found(lexed.syntax_error(from));
    }
    match select.from.as_slice() {
        [table] if table.joins.is_empty() => match &table.relation {
            TableFactor::Table { alias: None, args: None, .. } => {}
            relation => return found(lexed.syntax_error(column(relation.span().start.column) + 1)),
        },
        _ => return found(lexed.syntax_error(from + 2)),
    }
    select.flavor = SelectFlavor::Standard;
    select.projection = vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())];
    ControlFlow::Continue(())
}
