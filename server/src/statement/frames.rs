//! Windows' frames, of which sqlparser reads less than PostgreSQL: offsets that begin with a string, and EXCLUDE.
//!
//! sqlparser takes a string at a bound for an interval, and has no EXCLUDE. So its tokens are given another shape before it
//! reads them, as many as there were: such a string becomes one of another kind, and an exclusion becomes a part of the last
//! bound, `offset OR 'mark' PRECEDING`, which is taken apart again where windows are planned.

use std::mem;

use datafusion::sql::sqlparser::ast::Value;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Whitespace, Word};

use crate::federation::semantics::frame_marks::{CURRENT_ROW, MARK, UNBOUNDED};

/// Gives tokens of frames the shape that sqlparser reads.
pub(super) fn prepare(tokens: &mut [TokenWithSpan]) {
    for index in 0..tokens.len() {
        match &tokens[index].token {
            Token::SingleQuotedString(_) if index > 0 && is_word(&tokens[index - 1], BEFORE_BOUND) => {
                if let Token::SingleQuotedString(text) = mem::replace(&mut tokens[index].token, Token::EOF) {
                    tokens[index].token = Token::EscapedStringLiteral(text);
                }
            }
            _ if is_word(&tokens[index], &["exclude"]) => exclusion(tokens, index),
            _ => {}
        }
    }
}

const BEFORE_BOUND: &[&str] = &["between", "and", "rows", "range", "groups"];

/// A string of another kind is a string.
pub(super) fn restore(value: &mut Value) -> &Value {
    if let Value::EscapedStringLiteral(text) = value {
        *value = Value::SingleQuotedString(mem::take(text));
    }
    value
}

fn is_word(token: &TokenWithSpan, words: &[&str]) -> bool {
    matches!(&token.token, Token::Word(Word { value, quote_style: None, .. })
        if words.iter().any(|word| value.eq_ignore_ascii_case(word)))
}

/// `EXCLUDE` at `index`, if it is one.
fn exclusion(tokens: &mut [TokenWithSpan], index: usize) {
    let word = |place: usize, word: &str| tokens.get(place).is_some_and(|token| is_word(token, &[word]));
    let (name, length) = match index + 1 {
        next if word(next, "ties") => ("ties", 2),
        next if word(next, "group") => ("group", 2),
        next if word(next, "current") && word(next + 1, "row") => ("row", 3),
        next if word(next, "no") && word(next + 1, "others") => ("none", 3),
        _ => return,
    };
    if index < 2 || !matches!(tokens.get(index + length).map(|token| &token.token), Some(Token::RParen)) {
        return;
    }
    let string = |text: String| Token::EscapedStringLiteral(text);
    let current = word(index - 2, "current") && word(index - 1, "row");
    let unbounded = word(index - 2, "unbounded");
    let direction = match () {
        () if current => Keyword::FOLLOWING,
        () if word(index - 1, "preceding") => Keyword::PRECEDING,
        () if word(index - 1, "following") => Keyword::FOLLOWING,
        () => return,
    };
    if current || unbounded {
        tokens[index - 2].token = string(if current { CURRENT_ROW } else { UNBOUNDED }.to_owned());
    }
    let keyword =
        |keyword: Keyword, value: &str| Token::Word(Word { value: value.to_owned(), quote_style: None, keyword });
    tokens[index - 1].token = keyword(Keyword::OR, "or");
    tokens[index].token = string(format!("{MARK}{name}"));
    for token in tokens.iter_mut().skip(index + 1).take(length - 2) {
        token.token = Token::Whitespace(Whitespace::Space);
    }
    let last = if direction == Keyword::PRECEDING { "preceding" } else { "following" };
    tokens[index + length - 1].token = keyword(direction, last);
}
