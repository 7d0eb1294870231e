//! Expressions of PostgreSQL's that sqlparser has not: a string after any type's name, `LIKE ANY`, and a list of rows or
//! `TABLE t` where a subquery may stand.

use datafusion::sql::sqlparser::ast::{BinaryOperator, CastKind, DataType, Expr, Ident, ObjectName, UnaryOperator};
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

use super::keywords::{Category, category};
use super::reshape::is_table_command;
use crate::federation::semantics::array_of;

/// Types whose strings sqlparser reads, with the fields and zones that belong to them.
const READ_BY_SQLPARSER: &[&str] = &["date", "interval", "time", "timestamp", "timestamptz", "timetz"];

/// Words that name types and, as keywords, no function.
const TYPE_KEYWORDS: &[&str] =
    &["bit", "char", "character", "dec", "decimal", "float", "interval", "national", "nchar", "numeric", "varchar"];

/// Numbers behind a type's name: none takes more. Looking further would make long lists of arguments quadratic.
const MODIFIERS_MAX: usize = 2;
/// Parts of a type's name.
const PARTS_MAX: usize = 3;

/// What an operand of PostgreSQL's begins with, where sqlparser would read something else.
pub(super) fn prefix(parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
    if begins_rows(parser, 0) {
        return Some(parser.parse_query().map(Expr::Subquery));
    }
    if parser.peek_nth_token_ref(0).token == Token::LParen && begins_rows(parser, 1) {
        parser.advance_token();
        let query = parser.parse_query().and_then(|query| {
            parser.expect_token(&Token::RParen)?;
            Ok(Expr::Subquery(query))
        });
        return Some(query);
    }
    if parser.peek_nth_token_ref(0).token == Token::ExclamationMark {
        // PostgreSQL has no such operator, which is found when the operand's type is known.
        parser.advance_token();
        let operand = parser.parse_subexpr(SIGN_PRECEDENCE);
        return Some(operand.map(|operand| Expr::UnaryOp { op: UnaryOperator::BangNot, expr: Box::new(operand) }));
    }
    typed_literal(parser)
}

/// Binds as any operator without a precedence of its own.
const SIGN_PRECEDENCE: u8 = 19;

/// Whether `VALUES (…)` or `TABLE t` is to come.
fn begins_rows(parser: &Parser, at: usize) -> bool {
    let token = &parser.peek_nth_token_ref(at).token;
    is_table_command(token)
        || (unquoted(token) == Some("values") && parser.peek_nth_token_ref(at + 1).token == Token::LParen)
}

fn unquoted(token: &Token) -> Option<&str> {
    match token {
        Token::Word(word) if word.quote_style.is_none() => Some(&word.value),
        _ => None,
    }
}

/// `inet '10.0.0.1'`, `pg_catalog.int4 '1'`, `character varying(3) 'abc'`.
fn typed_literal(parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
    let (data_type, length) = type_ahead(parser)?;
    let text = match &parser.peek_nth_token_ref(length).token {
        Token::SingleQuotedString(_) | Token::EscapedStringLiteral(_) => length,
        _ => return None,
    };
    for _ in 0..text {
        parser.advance_token();
    }
    Some(parser.parse_value().map(|value| Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(Expr::Value(value)),
        data_type,
        array: false,
        format: None,
    }))
}

/// The type whose name is to come, and how many tokens it takes.
fn type_ahead(parser: &Parser) -> Option<(DataType, usize)> {
    let word = |at: usize| match &parser.peek_nth_token_ref(at).token {
        Token::Word(word) => Some(word),
        _ => None,
    };
    let plain = |at: usize| word(at).filter(|word| word.quote_style.is_none()).map(|word| word.value.as_str());
    let first = word(0)?;
    if let Some(first) = plain(0) {
        let names_type = match category(first) {
            Category::Free | Category::TypeOrFunctionName => true,
            Category::ColumnName => TYPE_KEYWORDS.contains(&first),
            Category::Reserved => false,
        };
        if !names_type {
            return None;
        }
    }
    let mut at = 0;
    let mut parts = Vec::new();
    let keyword = match plain(0) {
        Some("national") => {
            at += 1;
            matches!(plain(1), Some("char" | "character")).then_some("character")?
        }
        Some("char" | "character" | "nchar") => "character",
        Some("bit") => "bit",
        _ => "",
    };
    if keyword.is_empty() {
        parts.push(ident(first.value.as_str(), first.quote_style));
        at += 1;
        while parser.peek_nth_token_ref(at).token == Token::Period && parts.len() < PARTS_MAX {
            let part = word(at + 1)?;
            parts.push(ident(part.value.as_str(), part.quote_style));
            at += 2;
        }
    } else {
        at += 1;
        let varying = plain(at) == Some("varying");
        at += usize::from(varying);
        parts.push(match (keyword, varying) {
            ("bit", true) => ident("varbit", None),
            // Without a length they are of any length, other than as the type of a column or cast.
            ("bit", false) if parser.peek_nth_token_ref(at).token != Token::LParen => ident("bit", Some('"')),
            ("bit", false) => ident("bit", None),
            (_, true) => ident("varchar", None),
            (_, false) if parser.peek_nth_token_ref(at).token != Token::LParen => ident("bpchar", None),
            (_, false) => ident("char", None),
        });
    }
    let mut modifiers = Vec::new();
    if parser.peek_nth_token_ref(at).token == Token::LParen {
        loop {
            let Token::Number(digits, false) = &parser.peek_nth_token_ref(at + 1).token else { return None };
            modifiers.push(digits.to_string());
            if modifiers.len() > MODIFIERS_MAX {
                return None;
            }
            at += 2;
            match parser.peek_nth_token_ref(at).token {
                Token::Comma => {}
                Token::RParen => break,
                _ => return None,
            }
        }
        at += 1;
    }
    if parts.len() == 1 && plain(0).is_some_and(|name| READ_BY_SQLPARSER.contains(&name)) {
        // sqlparser takes the precision of `interval(2) '…'` and forgets it.
        let precise = plain(0) == Some("interval") && !modifiers.is_empty();
        if !precise {
            return None;
        }
    }
    if parts.len() == 1 && plain(0) == Some("regclass") {
        return Some((DataType::Regclass, at));
    }
    Some((DataType::Custom(ObjectName::from(parts), modifiers), at))
}

fn ident(value: &str, quote_style: Option<char>) -> Ident {
    match quote_style {
        Some(quote) => Ident::with_quote(quote, value),
        None => Ident::new(value),
    }
}

/// `x LIKE ANY (…)`, `x NOT ILIKE ALL (…)`. The expression is the one before it; `precedence` is that of what is within.
pub(super) fn quantified_like(parser: &mut Parser, expr: &Expr) -> Option<Result<Expr, ParserError>> {
    let word = |at: usize| unquoted(&parser.peek_nth_token_ref(at).token);
    let negated = word(0) == Some("not");
    let first = usize::from(negated);
    let operator = match (word(first)?, negated) {
        ("like", false) => BinaryOperator::PGLikeMatch,
        ("like", true) => BinaryOperator::PGNotLikeMatch,
        ("ilike", false) => BinaryOperator::PGILikeMatch,
        ("ilike", true) => BinaryOperator::PGNotILikeMatch,
        _ => return None,
    };
    let all = match word(first + 1)? {
        "any" | "some" => false,
        "all" => true,
        _ => return None,
    };
    for _ in 0..first + 2 {
        parser.advance_token();
    }
    Some(quantified_right(parser).map(|right| {
        let (left, right) = (Box::new(expr.clone()), Box::new(right));
        match all {
            true => Expr::AllOp { left, compare_op: operator, right },
            false => Expr::AnyOp { left, compare_op: operator, right, is_some: false },
        }
    }))
}

/// An array in parentheses, or a query, whose rows are made an array.
fn quantified_right(parser: &mut Parser) -> Result<Expr, ParserError> {
    parser.expect_token(&Token::LParen)?;
    let is_query = matches!(unquoted(&parser.peek_nth_token_ref(0).token), Some("select" | "with"));
    let right = match is_query || begins_rows(parser, 0) {
        true => array_of(parser.parse_query()?),
        false => match parser.parse_expr()? {
            Expr::Subquery(query) => array_of(query),
            array => array,
        },
    };
    parser.expect_token(&Token::RParen)?;
    Ok(right)
}
