//! Functions that read identifiers and escapes out of text.

use super::{BOOL, Function, TEXT, TEXTS, invalid, strict, text};
use crate::error::{SqlError, SqlResult};

pub(super) const FUNCTIONS: &[Function] = &[
    strict("parse_ident", &[TEXT], TEXTS, |call| parts(call.text(0), true).and_then(super::arrays::flat)),
    strict("parse_ident", &[TEXT, BOOL], TEXTS, |call| parts(call.text(0), call.bool(1)).and_then(super::arrays::flat)),
    strict("unistr", &[TEXT], TEXT, |call| text(unescaped(call.text(0))?)),
];

/// The parts of a qualified name. What follows them is an error, or not if that is not asked for.
fn parts(name: &str, strictly: bool) -> SqlResult<Vec<Option<String>>> {
    let malformed = |detail: Option<&str>| {
        let error = invalid(format!("string is not a valid identifier: \"{name}\""));
        match detail {
            Some(detail) => error.detail(detail),
            None => error,
        }
    };
    let mut found = Vec::new();
    let mut rest = name.trim_start_matches(is_space);
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut part = String::new();
            let mut open = quoted;
            loop {
                let (before, after) =
                    open.split_once('"').ok_or_else(|| malformed(Some("String has unclosed double quotes.")))?;
                part.push_str(before);
                match after.strip_prefix('"') {
                    Some(after) => {
                        part.push('"');
                        open = after;
                    }
                    None => {
                        rest = after;
                        break;
                    }
                }
            }
            if part.is_empty() {
                return Err(malformed(Some("Quoted identifier must not be empty.")));
            }
            found.push(Some(part));
        } else {
            let starts = |c: char| c.is_ascii_alphabetic() || c == '_' || !c.is_ascii();
            let continues = |c: char| starts(c) || c.is_ascii_digit() || c == '$';
            let end = rest.find(|c| !continues(c)).unwrap_or(rest.len());
            let (part, after) = rest.split_at(end);
            if !part.starts_with(starts) {
                let detail = match rest.chars().next() {
                    Some('.') => Some("No valid identifier before \".\"."),
                    _ if !found.is_empty() => Some("No valid identifier after \".\"."),
                    _ => None,
                };
                return Err(malformed(detail));
            }
            found.push(Some(part.to_ascii_lowercase()));
            rest = after;
        }
        rest = rest.trim_start_matches(is_space);
        match rest.strip_prefix('.') {
            Some(after) => rest = after.trim_start_matches(is_space),
            None if rest.is_empty() || !strictly => return Ok(found),
            None => return Err(malformed(None)),
        }
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}')
}

/// `\0061`, `\u0061`, `\+000061`, `\U00000061` as the characters that they stand for.
fn unescaped(value: &str) -> SqlResult<String> {
    let malformed = || {
        SqlError::syntax("invalid Unicode escape")
            .hint("Unicode escapes must be \\XXXX, \\+XXXXXX, \\uXXXX, or \\UXXXXXXXX.")
    };
    let mut out = String::with_capacity(value.len());
    let mut high: Option<u32> = None;
    let mut rest = value;
    while let Some(c) = rest.chars().next() {
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
        if c != '\\' || rest.starts_with('\\') {
            if high.is_some() {
                return Err(SqlError::syntax("invalid Unicode surrogate pair"));
            }
            rest = if c == '\\' { rest.get(1..).unwrap_or_default() } else { rest };
            out.push(c);
            continue;
        }
        let (skip, digits) = match rest.chars().next() {
            Some('u') => (1, 4),
            Some('+') => (1, 6),
            Some('U') => (1, 8),
            _ => (0, 4),
        };
        let code = rest.get(skip..skip + digits).filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let code = code.and_then(|code| u32::from_str_radix(code, 16).ok()).ok_or_else(malformed)?;
        rest = rest.get(skip + digits..).unwrap_or_default();
        let code = match (high.take(), code) {
            (Some(high), 0xdc00..=0xdfff) => 0x1_0000 + ((high & 0x3ff) << 10) + (code & 0x3ff),
            (None, 0xd800..=0xdbff) => {
                high = Some(code);
                continue;
            }
            (Some(_), _) | (None, 0xdc00..=0xdfff) => return Err(SqlError::syntax("invalid Unicode surrogate pair")),
            (None, code) => code,
        };
        let found = char::from_u32(code).filter(|c| *c != '\0');
        out.push(found.ok_or_else(|| SqlError::syntax("invalid Unicode escape value"))?);
    }
    if high.is_some() {
        return Err(SqlError::syntax("invalid Unicode surrogate pair"));
    }
    Ok(out)
}
