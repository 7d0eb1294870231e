//! A statement's tokens as they are written, for finding the place that an error is about.

use super::lexer::{TokenKind, lex};

/// What a token is, as far as a search for it has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrittenKind {
    /// An identifier or keyword, folded.
    Word,
    /// An identifier in quotes, without them.
    Quoted,
    /// A string, a number or a parameter.
    Constant,
    /// An operator or a single character.
    Symbol,
}

/// One token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenToken {
    /// What it is.
    pub kind: WrittenKind,
    /// A word folded, a quoted name without its quotes, anything else as it is written.
    pub text: String,
    /// Characters from 1.
    pub position: usize,
}

/// The tokens of a text; none where it cannot be read.
pub fn written_tokens(text: &str) -> Vec<WrittenToken> {
    let Ok(lexed) = lex(text) else { return Vec::new() };
    let written = |token| {
        let raw = || lexed.raw(token).to_owned();
        let (kind, text) = match &token.kind {
            TokenKind::Word(word) => (WrittenKind::Word, word.to_string()),
            TokenKind::Quoted(name) => (WrittenKind::Quoted, name.to_string()),
            TokenKind::String(_)
            | TokenKind::Bits(_)
            | TokenKind::Hex(_)
            | TokenKind::Integer
            | TokenKind::Decimal
            | TokenKind::Parameter => (WrittenKind::Constant, raw()),
            TokenKind::Symbol(_) | TokenKind::Typecast | TokenKind::Arrow | TokenKind::Operator => {
                (WrittenKind::Symbol, raw())
            }
        };
        WrittenToken { kind, text, position: token.chars as usize + 1 }
    };
    lexed.tokens.iter().map(written).collect()
}
