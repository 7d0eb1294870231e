//! The tokens of a statement's text, by their places.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Ident, Query, SetExpr, ValueWithSpan, Visit, Visitor};
use datafusion::sql::sqlparser::tokenizer::Span;

use super::expressions::{Columns, Known, type_of};
use crate::statement::{WrittenKind, WrittenToken, written_tokens};

/// Statements of more tokens are not searched.
const TOKENS_MAX: usize = 4_000;

/// A text's tokens, and the types of the columns that it names.
pub(super) struct Source<'a> {
    tokens: Vec<WrittenToken>,
    columns: &'a Columns,
}

impl<'a> Source<'a> {
    /// The tokens of a query's statement. The places in the query count in all that the client sent, of which the
    /// statement's text is a part: the first SELECT of both is the same.
    pub(super) fn of(text: &str, query: &Query, columns: &'a Columns) -> Self {
        let nothing = || Self { tokens: Vec::new(), columns };
        let mut tokens = written_tokens(text);
        if tokens.len() > TOKENS_MAX {
            return nothing();
        }
        let word = |wanted: &str| tokens.iter().find(|token| token.kind == WrittenKind::Word && token.text == wanted);
        let opening = || {
            let values = tokens.iter().position(|token| token.kind == WrittenKind::Word && token.text == "values")?;
            tokens.get(values + 1).map(|token| token.position)
        };
        let mut first = First::default();
        let _ = query.visit(&mut first);
        let shift = match first {
            First { select: Some(place), .. } => word("select").map(|token| (place, token.position)),
            First { row: Some(place), .. } => opening().map(|own| (place, own)),
            _ => None,
        };
        let Some((place, own)) = shift.filter(|(place, own)| place >= own) else { return nothing() };
        for token in &mut tokens {
            token.position += place - own;
        }
        Self { tokens, columns }
    }

    /// The tokens of a text by itself.
    pub(super) fn of_text(text: &str, columns: &'a Columns) -> Self {
        Self { tokens: written_tokens(text), columns }
    }

    /// The type of an expression, as far as it is known.
    pub(super) fn type_of(&self, expr: &Expr) -> Known {
        type_of(expr, self.columns)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The token that begins at a position.
    pub(super) fn index_at(&self, position: usize) -> Option<usize> {
        self.tokens.binary_search_by_key(&position, |token| token.position).ok()
    }

    pub(super) fn position(&self, index: usize) -> Option<usize> {
        self.tokens.get(index).map(|token| token.position)
    }

    /// A word or symbol; nothing for quoted names and constants.
    pub(super) fn text(&self, index: usize) -> &str {
        match self.tokens.get(index) {
            Some(token) if matches!(token.kind, WrittenKind::Word | WrittenKind::Symbol) => &token.text,
            _ => "",
        }
    }

    /// The text before a token, as [`Self::text`].
    pub(super) fn before(&self, index: usize) -> &str {
        index.checked_sub(1).map_or("", |index| self.text(index))
    }

    /// Whether a token is a name, with or without quotes.
    pub(super) fn is_name(&self, index: usize, name: &str) -> bool {
        let named = |token: &WrittenToken| matches!(token.kind, WrittenKind::Word | WrittenKind::Quoted);
        self.tokens.get(index).is_some_and(|token| named(token) && token.text == name)
    }

    pub(super) fn is_constant(&self, index: usize) -> bool {
        self.tokens.get(index).is_some_and(|token| token.kind == WrittenKind::Constant)
    }

    /// Constants and numbers as they are written.
    pub(super) fn raw(&self, index: usize) -> &str {
        self.tokens.get(index).map_or("", |token| &token.text)
    }

    /// The first token between two positions that is wanted.
    pub(super) fn between(&self, after: usize, before: usize, wanted: impl Fn(usize) -> bool) -> Option<usize> {
        let first = self.tokens.partition_point(|token| token.position <= after);
        let last = self.tokens.partition_point(|token| token.position < before);
        (first..last).find(|index| wanted(*index)).and_then(|index| self.position(index))
    }

    /// The only token that is wanted.
    pub(super) fn only(&self, wanted: impl Fn(usize) -> bool) -> Option<usize> {
        let mut found = (0..self.tokens.len()).filter(|index| wanted(*index));
        let first = found.next()?;
        if found.next().is_some() { None } else { self.position(first) }
    }

    /// The first token that is wanted.
    pub(super) fn first(&self, wanted: impl Fn(usize) -> bool) -> Option<usize> {
        (0..self.tokens.len()).find(|index| wanted(*index)).and_then(|index| self.position(index))
    }
}

/// The first SELECT and the first row of VALUES.
#[derive(Default)]
struct First {
    select: Option<usize>,
    row: Option<usize>,
}

impl Visitor for First {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let mut open = vec![query.body.as_ref()];
        let least = |one: Option<usize>, other: Option<usize>| one.into_iter().chain(other).min();
        while let Some(body) = open.pop() {
            match body {
                SetExpr::Select(select) => self.select = least(self.select, begin(select.select_token.0.span)),
                SetExpr::SetOperation { left, right, .. } => open.extend([left.as_ref(), right.as_ref()]),
                SetExpr::Values(values) => {
                    let row = values.rows.first().and_then(|row| begin(row.opening_token.0.span));
                    self.row = least(self.row, row);
                }
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }
}

/// The character position of a node: the parser counts columns in the whole text, on one line.
pub(super) fn begin(span: Span) -> Option<usize> {
    if span.start.line == 0 { None } else { usize::try_from(span.start.column).ok() }
}

pub(super) fn of_ident(ident: &Ident) -> Option<usize> {
    begin(ident.span)
}

pub(super) fn of_value(value: &ValueWithSpan) -> Option<usize> {
    begin(value.span)
}
