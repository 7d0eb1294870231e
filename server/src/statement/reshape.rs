//! Tokens given another shape before sqlparser reads them: what PostgreSQL's grammar has and sqlparser's has not, in terms
//! of what it has. There are as many tokens afterwards, so that indices agree.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, GroupByExpr, Ident, Select, SelectFlavor, SelectItem, Spanned, TableFactor,
    WildcardAdditionalOptions,
};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::hidden::blank;
use super::keywords::{Category, category};
use super::lexer::{Lexed, TokenKind};
use super::query::{Found, found};
use crate::error::SqlError;
use crate::federation::semantics::{ROWS_FROM, WHOLE_ROW, distinct_grouping_sets, fields_of_function};

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
            None if is_token(tokens, index, &Token::Mul) && is_token(tokens, index.wrapping_sub(1), &Token::Period) => {
                whole_row(tokens, index);
            }
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

/// The star at `index`, behind a point: `t.*` within an expression is the row `t`, `(t).*` is `t.*`, and behind a call in
/// parentheses stands for all fields of what is called.
fn whole_row(tokens: &mut [TokenWithSpan], index: usize) {
    let Some(before) = index.checked_sub(2) else { return };
    if is_token(tokens, before, &Token::RParen) {
        let name = before.checked_sub(1).zip(before.checked_sub(2));
        if let Some((name, open)) = name
            && is_relation(tokens, name)
            && is_token(tokens, open, &Token::LParen)
            && !open.checked_sub(1).is_some_and(|called| is_function(tokens, called))
        {
            tokens[open] = blank(&tokens[open]);
            tokens[before] = blank(&tokens[before]);
        } else {
            tokens[index].token =
                Token::Word(Word { value: ALL_FIELDS.to_owned(), quote_style: Some('"'), keyword: Keyword::NoKeyword });
        }
        return;
    }
    let qualified = before.checked_sub(1).is_some_and(|point| is_token(tokens, point, &Token::Period));
    if qualified || !is_relation(tokens, before) {
        return;
    }
    let compares = |at: Option<usize>| {
        at.and_then(|at| tokens.get(at)).is_some_and(|token| {
            matches!(
                token.token,
                Token::Eq | Token::Neq | Token::Lt | Token::Gt | Token::LtEq | Token::GtEq | Token::DoubleColon
            )
        })
    };
    let in_parentheses = is_token(tokens, index + 1, &Token::RParen)
        && before.checked_sub(1).is_some_and(|open| is_token(tokens, open, &Token::LParen))
        && !before.checked_sub(2).is_some_and(|called| is_function(tokens, called));
    let is_row = compares(Some(index + 1))
        || compares(before.checked_sub(1))
        || matches!(unquoted(tokens, index + 1), Some("is"))
        || in_parentheses;
    if !is_row {
        return;
    }
    // `(t.*).a` is `(t).a`.
    let is_field = in_parentheses && is_token(tokens, index + 2, &Token::Period);
    if let (false, Token::Word(word)) = (is_field, &mut tokens[before].token) {
        *word =
            Word { value: format!("{}{WHOLE_ROW}", word.value), quote_style: Some('"'), keyword: Keyword::NoKeyword };
    }
    for at in [index - 1, index] {
        tokens[at] = blank(&tokens[at]);
    }
}

/// Whether a parenthesis behind a token opens a call's arguments.
fn is_function(tokens: &[TokenWithSpan], index: usize) -> bool {
    match tokens.get(index).map(|token| &token.token) {
        Some(Token::Word(word)) => word.quote_style.is_some() || category(&word.value) != Category::Reserved,
        _ => false,
    }
}

/// What stands behind the point of `(f(x)).*`.
const ALL_FIELDS: &str = "\u{1}*";

/// `(json_each(x)).*` as its fields one by one.
pub(super) fn fields_of_functions(select: &mut Select) -> Found {
    let is_all = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(Expr::CompoundFieldAccess { root, access_chain }) => match access_chain.as_slice() {
            [AccessExpr::Dot(Expr::Identifier(name))] if name.value == ALL_FIELDS => Some(root.as_ref().clone()),
            _ => None,
        },
        _ => None,
    };
    if !select.projection.iter().any(|item| is_all(item).is_some()) {
        return ControlFlow::Continue(());
    }
    let mut items = Vec::with_capacity(select.projection.len() + 1);
    for item in std::mem::take(&mut select.projection) {
        let Some(root) = is_all(&item) else {
            items.push(item);
            continue;
        };
        let name = match &root {
            Expr::Nested(inner) => match inner.as_ref() {
                Expr::Function(function) => function.name.to_string().to_lowercase(),
                _ => String::new(),
            },
            _ => String::new(),
        };
        let Some(fields) = fields_of_function(&name) else {
            return found(SqlError::unsupported("expanding the fields of this expression is not supported"));
        };
        items.extend(fields.into_iter().map(|field| {
            let access_chain = vec![AccessExpr::Dot(Expr::Identifier(Ident::new(field)))];
            SelectItem::UnnamedExpr(Expr::CompoundFieldAccess { root: Box::new(root.clone()), access_chain })
        }));
    }
    select.projection = items;
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
