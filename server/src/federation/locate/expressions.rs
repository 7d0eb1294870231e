//! Where an expression begins, and the type that it has by its form alone.

use std::collections::HashMap;
use std::ops::ControlFlow;

use atoll_connector_api::types::{PgType, from_sql};
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
    ObjectNamePart, Query, SelectItem, SetExpr, TypedString, UnaryOperator, Value, Visit, Visitor,
};

use super::source::{Source, begin, of_ident, of_value};

/// What is known of an expression's type without looking at any table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Known {
    /// PostgreSQL's name of it, without a modifier.
    Type(String),
    /// A string constant or NULL, which takes its type from where it stands.
    Unknown,
    /// Anything.
    Any,
}

impl Known {
    fn of(name: &str) -> Self {
        Self::Type(name.to_owned())
    }

    /// The name as a message has it.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Type(name) => Some(name),
            Self::Unknown => Some("unknown"),
            Self::Any => None,
        }
    }
}

/// PostgreSQL's name of a written type.
pub(super) fn type_name(data_type: &DataType) -> Option<String> {
    let name = PgType { modifier: -1, ..from_sql(data_type)? }.sql_name();
    Some(if name == "bpchar" { "character".to_owned() } else { name })
}

/// The types of a statement's columns, by their names, with the relation's or without. Nothing is said of a name that
/// stands for columns of different types.
#[derive(Debug, Default)]
pub(in crate::federation) struct Columns(HashMap<(Option<String>, String), Option<String>>);

impl Columns {
    /// Adds a column of a relation.
    pub(in crate::federation) fn add(&mut self, relation: Option<&str>, name: &str, data_type: &PgType) {
        let shown = PgType { modifier: -1, ..data_type.clone() }.sql_name();
        let shown = if shown == "bpchar" { "character".to_owned() } else { shown };
        let named = relation.map(|relation| (Some(relation.to_owned()), name.to_owned()));
        for key in named.into_iter().chain([(None, name.to_owned())]) {
            let known = self.0.entry(key).or_insert_with(|| Some(shown.clone()));
            if known.as_ref() != Some(&shown) {
                *known = None;
            }
        }
    }

    /// Whether nothing is known.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether any column has the name.
    pub(super) fn is_name(&self, name: &str) -> bool {
        self.0.contains_key(&(None, name.to_owned()))
    }

    /// Whether a relation has a column; `None` for one of which nothing is known.
    pub(super) fn has(&self, relation: &str, name: &str) -> Option<bool> {
        if !self.0.keys().any(|(own, _)| own.as_deref() == Some(relation)) {
            return None;
        }
        Some(self.0.contains_key(&(Some(relation.to_owned()), name.to_owned())))
    }

    /// The names of a relation's columns, sorted.
    pub(super) fn of(&self, relation: &str) -> Vec<&str> {
        let own = self.0.keys().filter(|(own, _)| own.as_deref() == Some(relation));
        let mut names: Vec<&str> = own.map(|(_, name)| name.as_str()).collect();
        names.sort_unstable();
        names
    }

    fn get(&self, relation: Option<&Ident>, name: &Ident) -> Known {
        let folded = |ident: &Ident| match ident.quote_style {
            Some(_) => ident.value.clone(),
            None => ident.value.to_lowercase(),
        };
        let found = self.0.get(&(relation.map(folded), folded(name))).cloned().flatten();
        found.map_or(Known::Any, Known::Type)
    }
}

/// The type of an expression.
pub(super) fn type_of(expr: &Expr, columns: &Columns) -> Known {
    typed(expr, columns, DEPTH_MAX)
}

/// Levels that are looked at: a chain of operators is as deep as it is long, and this is asked at each of them.
const DEPTH_MAX: usize = 32;

fn typed(expr: &Expr, columns: &Columns, depth: usize) -> Known {
    let Some(depth) = depth.checked_sub(1) else { return Known::Any };
    match expr {
        Expr::Identifier(name) => columns.get(None, name),
        Expr::CompoundIdentifier(names) => match names.as_slice() {
            [.., relation, name] => columns.get(Some(relation), name),
            _ => Known::Any,
        },
        Expr::Nested(inner) => typed(inner, columns, depth),
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => {
                let digits = digits.to_string();
                match (digits.parse::<i32>(), digits.parse::<i64>()) {
                    (Ok(_), _) => Known::of("integer"),
                    (_, Ok(_)) => Known::of("bigint"),
                    _ => Known::of("numeric"),
                }
            }
            Value::SingleQuotedString(_) | Value::EscapedStringLiteral(_) | Value::Null => Known::Unknown,
            Value::Boolean(_) => Known::of("boolean"),
            Value::SingleQuotedByteStringLiteral(_) | Value::HexStringLiteral(_) => Known::of("bit"),
            _ => Known::Any,
        },
        Expr::TypedString(TypedString { data_type, .. }) | Expr::Cast { data_type, array: false, .. } => {
            type_name(data_type).map_or(Known::Any, Known::Type)
        }
        Expr::Interval(_) => Known::of("interval"),
        Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } => match typed(expr, columns, depth) {
            Known::Unknown => Known::Any,
            known => known,
        },
        Expr::UnaryOp { op: UnaryOperator::Not, .. }
        | Expr::IsFalse(_)
        | Expr::IsNotFalse(_)
        | Expr::IsTrue(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotUnknown(_)
        | Expr::IsDistinctFrom(..)
        | Expr::IsNotDistinctFrom(..)
        | Expr::InList { .. }
        | Expr::InSubquery { .. }
        | Expr::Between { .. }
        | Expr::Like { .. }
        | Expr::ILike { .. }
        | Expr::SimilarTo { .. }
        | Expr::AnyOp { .. }
        | Expr::AllOp { .. }
        | Expr::Exists { .. } => Known::of("boolean"),
        Expr::BinaryOp { left, op, right } => binary_type((left, right), op, columns, depth),
        Expr::Array(array) => array_type(&array.elem, columns, depth),
        Expr::Tuple(_) => Known::of("record"),
        Expr::Function(call) => call_type(call),
        Expr::Subquery(query) => match only_column(query) {
            Some(expr) => match typed(expr, columns, depth) {
                Known::Unknown => Known::of("text"),
                known => known,
            },
            None => Known::Any,
        },
        _ => Known::Any,
    }
}

fn binary_type((left, right): (&Expr, &Expr), op: &BinaryOperator, columns: &Columns, depth: usize) -> Known {
    match op {
        BinaryOperator::And
        | BinaryOperator::Or
        | BinaryOperator::Eq
        | BinaryOperator::NotEq
        | BinaryOperator::Lt
        | BinaryOperator::LtEq
        | BinaryOperator::Gt
        | BinaryOperator::GtEq => Known::of("boolean"),
        BinaryOperator::Plus | BinaryOperator::Minus | BinaryOperator::Multiply => {
            match (typed(left, columns, depth), typed(right, columns, depth)) {
                (Known::Type(left), Known::Type(right)) if left == right && is_number(&left) => Known::Type(left),
                _ => Known::Any,
            }
        }
        BinaryOperator::StringConcat => match (typed(left, columns, depth), typed(right, columns, depth)) {
            (Known::Unknown, Known::Unknown) => Known::of("text"),
            (Known::Unknown, Known::Type(other)) | (Known::Type(other), Known::Unknown)
                if is_number(&other) || matches!(other.as_str(), "text" | "boolean") =>
            {
                // One of them is a string: what is no array becomes one.
                Known::of("text")
            }
            (Known::Type(one), Known::Type(other)) if one == "text" || other == "text" => Known::of("text"),
            _ => Known::Any,
        },
        _ => Known::Any,
    }
}

fn is_number(name: &str) -> bool {
    matches!(name, "smallint" | "integer" | "bigint" | "numeric" | "real" | "double precision")
}

fn array_type(elements: &[Expr], columns: &Columns, depth: usize) -> Known {
    let mut types =
        elements.iter().map(|element| typed(element, columns, depth)).filter(|known| *known != Known::Unknown);
    match types.next() {
        None if elements.is_empty() => Known::Any,
        None => Known::of("text[]"),
        Some(Known::Type(first)) if types.all(|known| known == Known::Type(first.clone())) => {
            Known::Type(if first.ends_with("[]") { first } else { format!("{first}[]") })
        }
        Some(_) => Known::Any,
    }
}

fn call_type(call: &Function) -> Known {
    match plain_name(call).as_deref() {
        Some("row") => Known::of("record"),
        Some("now" | "clock_timestamp" | "statement_timestamp" | "transaction_timestamp" | "current_timestamp") => {
            Known::of("timestamp with time zone")
        }
        Some("count" | "row_number" | "rank" | "dense_rank") => Known::of("bigint"),
        Some("upper" | "lower" | "concat" | "md5" | "to_char") => Known::of("text"),
        Some("length" | "strpos" | "ascii") => Known::of("integer"),
        Some("random" | "pi") => Known::of("double precision"),
        _ => Known::Any,
    }
}

/// The folded name of a call that has no schema.
pub(super) fn plain_name(call: &Function) -> Option<String> {
    match call.name.0.as_slice() {
        [ObjectNamePart::Identifier(name)] if name.quote_style.is_none() => Some(name.value.to_lowercase()),
        [ObjectNamePart::Identifier(name)] => Some(name.value.clone()),
        _ => None,
    }
}

/// The arguments of a call, where all of them are plain.
pub(super) fn arguments(call: &Function) -> Option<Vec<&Expr>> {
    let FunctionArguments::List(list) = &call.args else { return Some(Vec::new()) };
    let plain = |argument: &FunctionArg| !matches!(argument, FunctionArg::Unnamed(FunctionArgExpr::Wildcard));
    list.args
        .iter()
        .filter(|argument| plain(argument))
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
            _ => None,
        })
        .collect()
}

/// The columns of a query that is one SELECT.
pub(super) fn select_items(body: &SetExpr) -> Option<&[SelectItem]> {
    match body {
        SetExpr::Select(select) => Some(&select.projection),
        SetExpr::Query(query) => select_items(&query.body),
        _ => None,
    }
}

/// An item's expression; `None` for a star.
pub(super) fn item_expr(item: &SelectItem) -> Option<&Expr> {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    }
}

fn only_column(query: &Query) -> Option<&Expr> {
    match select_items(&query.body)? {
        [item] => item_expr(item),
        _ => None,
    }
}

/// What stands at the beginning of an expression that has an operator behind it.
fn leading(expr: &Expr) -> Option<&Expr> {
    Some(match expr {
        Expr::BinaryOp { left, .. }
        | Expr::AnyOp { left, .. }
        | Expr::AllOp { left, .. }
        | Expr::IsDistinctFrom(left, _)
        | Expr::IsNotDistinctFrom(left, _) => left,
        Expr::IsFalse(inner)
        | Expr::IsNotFalse(inner)
        | Expr::IsTrue(inner)
        | Expr::IsNotTrue(inner)
        | Expr::IsNull(inner)
        | Expr::IsNotNull(inner)
        | Expr::IsUnknown(inner)
        | Expr::IsNotUnknown(inner)
        | Expr::InList { expr: inner, .. }
        | Expr::InSubquery { expr: inner, .. }
        | Expr::Between { expr: inner, .. }
        | Expr::Like { expr: inner, .. }
        | Expr::ILike { expr: inner, .. }
        | Expr::SimilarTo { expr: inner, .. }
        | Expr::Collate { expr: inner, .. }
        | Expr::AtTimeZone { timestamp: inner, .. }
        | Expr::CompoundFieldAccess { root: inner, .. }
        | Expr::Cast { kind: CastKind::DoubleColon, expr: inner, .. } => inner,
        _ => return None,
    })
}

/// The index of an expression's first token, parentheses around it included.
pub(super) fn first_token(expr: &Expr, source: &Source<'_>) -> Option<usize> {
    match (expr, leading(expr)) {
        (Expr::Nested(inner), _) => opening(first_token(inner, source)?, source),
        (_, Some(leading)) => first_token(leading, source),
        _ => source.index_at(start_of(expr, source)?),
    }
}

/// The parenthesis before a token.
fn opening(index: usize, source: &Source<'_>) -> Option<usize> {
    (source.before(index) == "(").then(|| index - 1)
}

/// Where PostgreSQL says that an expression is: its leftmost part without the parentheses around it.
pub(super) fn start_of(expr: &Expr, source: &Source<'_>) -> Option<usize> {
    if let Some(leading) = leading(expr) {
        return start_of(leading, source);
    }
    match expr {
        Expr::Nested(inner) => start_of(inner, source),
        Expr::Value(value) | Expr::TypedString(TypedString { value, .. }) => of_value(value),
        Expr::Identifier(ident) => of_ident(ident),
        Expr::CompoundIdentifier(idents) => idents.first().and_then(of_ident),
        Expr::Function(call) => call.name.0.first().and_then(ObjectNamePart::as_ident).and_then(of_ident),
        Expr::Case { case_token, .. } => begin(case_token.0.span),
        Expr::Interval(interval) => start_of(&interval.value, source),
        Expr::UnaryOp { expr, .. } => source.position(first_token(expr, source)?.checked_sub(1)?),
        Expr::Array(array) => {
            let bracket = first_token(array.elem.first()?, source)?.checked_sub(1)?;
            let word = bracket.checked_sub(1)?;
            (source.text(bracket) == "[" && source.text(word) == "array").then(|| source.position(word))?
        }
        Expr::Tuple(fields) => source.position(opening(first_token(fields.first()?, source)?, source)?),
        Expr::Subquery(query) => source.position(opening(source.index_at(select_start(&query.body)?)?, source)?),
        // A string takes its type at once, and stays where it is.
        Expr::Cast { kind: CastKind::Cast, expr, .. } => match source.type_of(expr) {
            Known::Unknown => start_of(expr, source),
            _ => source.position(opening(first_token(expr, source)?, source)?.checked_sub(1)?),
        },
        _ => None,
    }
}

fn select_start(body: &SetExpr) -> Option<usize> {
    match body {
        SetExpr::Select(select) => begin(select.select_token.0.span),
        _ => None,
    }
}

/// The positions of an expression's first and last name or constant.
pub(super) fn extent(expr: &Expr) -> Option<(usize, usize)> {
    let mut leaves = Leaves(None);
    let _ = expr.visit(&mut leaves);
    leaves.0
}

struct Leaves(Option<(usize, usize)>);

impl Leaves {
    fn add(&mut self, position: Option<usize>) {
        if let Some(position) = position {
            let (first, last) = self.0.unwrap_or((position, position));
            self.0 = Some((first.min(position), last.max(position)));
        }
    }
}

impl Visitor for Leaves {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(ident) => self.add(of_ident(ident)),
            Expr::CompoundIdentifier(idents) => idents.iter().for_each(|ident| self.add(of_ident(ident))),
            Expr::Function(call) => {
                call.name.0.iter().filter_map(ObjectNamePart::as_ident).for_each(|ident| self.add(of_ident(ident)));
            }
            Expr::Value(value) | Expr::TypedString(TypedString { value, .. }) => self.add(of_value(value)),
            Expr::Case { case_token, end_token, .. } => {
                self.add(begin(case_token.0.span));
                self.add(begin(end_token.0.span));
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
