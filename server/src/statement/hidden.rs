//! Tokens that the queries' parser is not shown.

use std::collections::HashSet;

use datafusion::sql::sqlparser::tokenizer::{Token as SqlToken, TokenWithSpan, Whitespace};

use super::lexer::{Token, TokenKind};

/// Tokens that sqlparser's grammar has no place for, and without which it reads what PostgreSQL reads: FROM in
/// `trim(both from x)`, and what is around the operator in `OPERATOR(pg_catalog.=) ANY`.
pub(super) fn hidden_tokens(tokens: &[Token]) -> HashSet<usize> {
    let kind = |index: usize| tokens.get(index).map(|token| &token.kind);
    let word = |index: usize| match kind(index) {
        Some(TokenKind::Word(word)) => word.as_ref(),
        _ => "",
    };
    let mut hidden = HashSet::new();
    for index in 0..tokens.len() {
        if kind(index + 1) != Some(&TokenKind::Symbol('(')) {
            continue;
        }
        match word(index) {
            "trim" => {
                let from = index + 2 + usize::from(matches!(word(index + 2), "both" | "leading" | "trailing"));
                if word(from) == "from" {
                    hidden.insert(from);
                }
            }
            "operator" => {
                let mut at = index + 2;
                while kind(at + 1) == Some(&TokenKind::Symbol('.')) {
                    at += 2;
                }
                let closed = kind(at) == Some(&TokenKind::Operator) && kind(at + 1) == Some(&TokenKind::Symbol(')'));
                if closed && matches!(word(at + 2), "any" | "all" | "some") {
                    hidden.extend((index..=at + 1).filter(|token| *token != at));
                }
            }
            _ => {}
        }
    }
    hidden
}

/// White space in a token's place, which keeps the count of tokens.
pub(super) fn blank(token: &TokenWithSpan) -> TokenWithSpan {
    TokenWithSpan::new(SqlToken::Whitespace(Whitespace::Space), token.span)
}
