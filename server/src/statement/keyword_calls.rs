//! Calls whose names are keywords of PostgreSQL's grammar (gram.y: `func_expr_common_subexpr`), which says how many
//! arguments they take. sqlparser takes them for functions.

use super::lexer::{Lexed, Token, TokenKind};
use crate::error::{SqlError, SqlResult};

/// Refuses calls that the grammar has not.
///
/// # Errors
/// `42601`.
pub(super) fn check(lexed: &Lexed, start: usize, tokens: &[Token]) -> SqlResult<()> {
    let is_symbol =
        |at: usize, symbol: char| tokens.get(at).is_some_and(|token| token.kind == TokenKind::Symbol(symbol));
    for (at, token) in tokens.iter().enumerate() {
        let TokenKind::Word(word) = &token.kind else { continue };
        let before = at.checked_sub(1).and_then(|before| tokens.get(before)).map(|token| &token.kind);
        if !is_symbol(at + 1, '(') || before == Some(&TokenKind::Symbol('.')) {
            continue;
        }
        let wrong = match word.as_ref() {
            "coalesce" | "greatest" | "least" | "current_time" | "current_timestamp" | "localtime"
            | "localtimestamp" => is_symbol(at + 2, ')').then_some(at + 2),
            "current_date" | "current_user" | "current_role" | "current_catalog" | "session_user" => Some(at + 1),
            "int" | "integer" | "smallint" | "bigint" | "real" | "boolean" => {
                let is_type = match before {
                    Some(TokenKind::Typecast) => true,
                    Some(TokenKind::Word(word)) => word.as_ref() == "as",
                    _ => false,
                };
                let has_modifier = tokens.get(at + 2).is_some_and(|token| token.kind == TokenKind::Integer);
                (is_type && has_modifier).then_some(at + 1)
            }
            "nullif" => not_a_pair(tokens, at + 1),
            _ => None,
        };
        if let Some(wrong) = wrong {
            return Err(lexed.syntax_error(start + wrong));
        }
    }
    Ok(())
}

/// The token at which a list, whose parenthesis opens at `open`, is none of two: its end or the second comma.
fn not_a_pair(tokens: &[Token], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut commas = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.kind {
            TokenKind::Symbol('(' | '[') => depth += 1,
            TokenKind::Symbol(')' | ']') => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return (commas == 0).then_some(at);
                }
            }
            TokenKind::Symbol(',') if depth == 1 => {
                commas += 1;
                if commas == 2 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// MySQL's `LIMIT 5, 10`, where a parser stopped at the comma.
pub(super) fn two_limits(lexed: &Lexed, comma: usize) -> Option<SqlError> {
    let tokens = lexed.tokens.get(..comma)?;
    if lexed.tokens.get(comma)?.kind != TokenKind::Symbol(',') {
        return None;
    }
    let is_limit = |token: &&Token| token.kind == TokenKind::Word("limit".into());
    let is_part =
        |token: &&Token| matches!(token.kind, TokenKind::Integer | TokenKind::Operator | TokenKind::Parameter);
    let limit = tokens.iter().rev().find(|token| !is_part(token)).filter(is_limit)?;
    if !lexed.tokens.get(comma + 1).is_some_and(|token| is_part(&token)) {
        return Some(lexed.syntax_error(comma + 1));
    }
    Some(
        SqlError::syntax("LIMIT #,# syntax is not supported")
            .hint("Use separate LIMIT and OFFSET clauses.")
            .at(limit.chars as usize + 1),
    )
}
