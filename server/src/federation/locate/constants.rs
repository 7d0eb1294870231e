//! The constants of a statement that are read as values of a type: PostgreSQL reads them before it plans, and says where a
//! wrong one is.

use std::ops::ControlFlow;

use atoll_connector_api::types::{PgType, from_sql, parse_scalar};
use datafusion::sql::sqlparser::ast::{
    DataType, Expr, LimitClause, Query, SetExpr, TypedString, Value, ValueWithSpan, Visit, Visitor,
};

use super::expressions::{Columns, Known, arguments, item_expr, plain_name, select_items, type_of};
use super::source::of_value;
use crate::error::{SqlError, SqlState};
use crate::wire::sqlstate::connector_error;

/// Constants of one statement that are kept: beyond them none is looked for.
const CONSTANTS_MAX: usize = 5_000;

/// A constant, and what is known of the type that it is read as.
#[derive(Debug, Clone)]
pub struct CastConstant {
    text: String,
    target: Target,
    position: Option<usize>,
}

#[derive(Debug, Clone)]
enum Target {
    /// It is cast where it stands.
    Type(Box<PgType>),
    /// Cast to `regclass` or its like.
    Object(String),
    /// `$1`.
    Parameter,
    /// It stands beside others of these types.
    Beside(Vec<String>),
    /// A type that its place gives it.
    Open,
}

/// When an error came up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Before any row was read: what is rejected is a constant's text.
    Planning,
    /// It may be a row's.
    Running,
}

impl CastConstant {
    /// Adds the place of the constant that an error is about, where there is one.
    pub fn locate(constants: &[Self], error: SqlError, stage: Stage) -> SqlError {
        if error.position.is_some() || !is_of_a_value(&error) {
            return error;
        }
        let rejected = Rejected::of(&error);
        let cast = constants.iter().find(|constant| constant.is_rejected(&error, rejected.as_ref()));
        let loose = || {
            let rejected = rejected.as_ref().filter(|_| stage == Stage::Planning)?;
            let mut same = constants.iter().filter(|constant| {
                constant.text == rejected.text && matches!(constant.target, Target::Open | Target::Beside(_))
            });
            let first = same.next()?;
            same.next().is_none().then_some(first)
        };
        match cast.or_else(loose) {
            Some(constant) => {
                let position = constant.position;
                error.at(position)
            }
            None => error,
        }
    }

    fn is_rejected(&self, error: &SqlError, rejected: Option<&Rejected<'_>>) -> bool {
        let is_text = rejected.is_some_and(|rejected| rejected.text == self.text);
        let is_type = |name: &str| rejected.is_some_and(|rejected| rejected.type_name.is_none_or(|own| own == name));
        match &self.target {
            Target::Type(target) => {
                (is_text && is_type(&target.sql_name())) || reading_fails_so(&self.text, target, error)
            }
            Target::Object(kind) => {
                let missing = format!("{kind} \"{}\" does not exist", self.text);
                error.message == missing
            }
            Target::Parameter => error.message.strip_prefix("there is no parameter ") == Some(self.text.as_str()),
            Target::Beside(types) => {
                let fails = |name: &String| {
                    PgType::parse_name(name).is_some_and(|target| reading_fails_so(&self.text, &target, error))
                };
                (is_text && types.iter().any(|name| is_type(name))) || types.iter().any(fails)
            }
            Target::Open => false,
        }
    }
}

fn is_of_a_value(error: &SqlError) -> bool {
    error.sqlstate.0.starts_with(b"22")
        || error.sqlstate == SqlState::UNDEFINED_PARAMETER
        || error.message.ends_with(" does not exist")
}

/// Whether to read a text as a value of a type says the same.
fn reading_fails_so(text: &str, target: &PgType, error: &SqlError) -> bool {
    // Most errors are of others: a long constant is not read again for them.
    const TEXT_BYTES_MAX: usize = 100_000;
    if text.len() > TEXT_BYTES_MAX {
        return false;
    }
    match parse_scalar(text, target) {
        Ok(_) => false,
        Err(problem) => {
            let problem = connector_error(&problem);
            (problem.sqlstate, problem.message, problem.detail)
                == (error.sqlstate, error.message.clone(), error.detail.clone())
        }
    }
}

/// What an error says of a value that it rejects.
struct Rejected<'a> {
    text: &'a str,
    type_name: Option<&'a str>,
}

impl<'a> Rejected<'a> {
    pub(super) fn of(error: &'a SqlError) -> Option<Self> {
        let values = [*b"22P02", *b"22007", *b"22008", *b"22003", *b"22009"];
        if !values.contains(&error.sqlstate.0) {
            return None;
        }
        let message = error.message.as_str();
        if let Some((text, type_name)) =
            message.strip_prefix("value \"").and_then(|rest| rest.split_once("\" is out of range for type "))
        {
            return Some(Self { text, type_name: Some(type_name) });
        }
        if let Some((text, type_name)) =
            message.strip_prefix('"').and_then(|rest| rest.split_once("\" is out of range for type "))
        {
            return Some(Self { text, type_name: Some(type_name) });
        }
        let (before, text) = message.strip_suffix('"')?.split_once(": \"")?;
        Some(Self { text, type_name: before.strip_prefix("invalid input syntax for type ") })
    }
}

/// The constants of a query that take a type where they stand.
pub(in crate::federation) fn cast_constants(query: &Query, columns: &Columns) -> Vec<CastConstant> {
    let mut finder = Constants { found: Vec::new(), columns };
    let _ = query.visit(&mut finder);
    let Constants { mut found, .. } = finder;
    found.dedup_by(|one, other| one.position == other.position && one.position.is_some());
    found
}

fn string_of(constant: &ValueWithSpan) -> Option<&str> {
    match &constant.value {
        Value::SingleQuotedString(text)
        | Value::EscapedStringLiteral(text)
        | Value::SingleQuotedByteStringLiteral(text)
        | Value::HexStringLiteral(text)
        | Value::Placeholder(text) => Some(text),
        _ => None,
    }
}

struct Constants<'a> {
    found: Vec<CastConstant>,
    columns: &'a Columns,
}

impl Constants<'_> {
    fn add(&mut self, constant: &ValueWithSpan, target: Target) -> ControlFlow<()> {
        let Some(text) = string_of(constant) else { return ControlFlow::Continue(()) };
        let position = of_value(constant);
        let known = self.found.iter().rev().take(64).any(|found| found.position == position);
        if !known {
            self.found.push(CastConstant { text: text.to_owned(), target, position });
        }
        if self.found.len() < CONSTANTS_MAX { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn cast(&mut self, constant: &ValueWithSpan, data_type: &DataType) -> ControlFlow<()> {
        if let Some(kind) = object_kind(data_type) {
            return self.add(constant, Target::Object(kind.to_owned()));
        }
        let target = from_sql(data_type).map_or(Target::Open, |own| {
            // A length is applied after a text is read.
            Target::Type(Box::new(PgType { modifier: -1, ..own }))
        });
        self.add(constant, target)
    }

    /// Constants that take the type of what they stand beside.
    fn beside(&mut self, parts: &[&Expr]) -> ControlFlow<()> {
        let is_open = |part: &&Expr| matches!(part, Expr::Value(value) if string_of(value).is_some());
        if !parts.iter().any(is_open) {
            return ControlFlow::Continue(());
        }
        let types: Vec<String> = parts
            .iter()
            .filter_map(|part| match type_of(part, self.columns) {
                Known::Type(name) => Some(name),
                _ => None,
            })
            .collect();
        for part in parts {
            if let (Expr::Value(constant), false) = (part, types.is_empty())
                && matches!(constant.value, Value::SingleQuotedString(_) | Value::EscapedStringLiteral(_))
            {
                self.add(constant, Target::Beside(types.clone()))?;
            }
        }
        ControlFlow::Continue(())
    }
}

impl Constants<'_> {
    /// The columns of set operations and lists of rows.
    fn body(&mut self, body: &SetExpr) -> ControlFlow<()> {
        match body {
            SetExpr::SetOperation { left, right, .. } => {
                let (Some(left_items), Some(right_items)) = (select_items(left), select_items(right)) else {
                    self.body(left)?;
                    return self.body(right);
                };
                for pair in left_items.iter().zip(right_items) {
                    if let (Some(left), Some(right)) = (item_expr(pair.0), item_expr(pair.1)) {
                        self.beside(&[left, right])?;
                    }
                }
                ControlFlow::Continue(())
            }
            SetExpr::Values(values) => {
                let width = values.rows.first().map_or(0, |row| row.content.len());
                for column in 0..width {
                    let parts: Vec<&Expr> = values.rows.iter().filter_map(|row| row.content.get(column)).collect();
                    self.beside(&parts)?;
                }
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

/// What a type that stands for objects of the catalog is called in messages.
fn object_kind(data_type: &DataType) -> Option<&'static str> {
    Some(match data_type.to_string().to_lowercase().trim_start_matches("pg_catalog.") {
        "regclass" => "relation",
        "regtype" => "type",
        "regproc" | "regprocedure" => "function",
        "regrole" => "role",
        "regnamespace" => "schema",
        _ => return None,
    })
}

impl Visitor for Constants<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if let Some(LimitClause::LimitOffset { limit, offset, .. }) = &query.limit_clause {
            for rows in limit.iter().chain(offset.iter().map(|offset| &offset.value)) {
                if let Expr::Value(constant) = rows {
                    self.add(constant, Target::Beside(vec!["bigint".to_owned()]))?;
                }
            }
        }
        self.body(&query.body)
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Cast { expr: inner, data_type, .. } => match inner.as_ref() {
                Expr::Value(constant) => self.cast(constant, data_type),
                _ => ControlFlow::Continue(()),
            },
            Expr::TypedString(TypedString { data_type, value, .. }) => self.cast(value, data_type),
            Expr::Value(constant) => match &constant.value {
                Value::SingleQuotedByteStringLiteral(_) | Value::HexStringLiteral(_) => {
                    let bits = atoll_connector_api::types::oids::VARBIT;
                    self.add(constant, Target::Type(Box::new(PgType::new(bits))))
                }
                Value::Placeholder(_) => self.add(constant, Target::Parameter),
                _ => self.add(constant, Target::Open),
            },
            Expr::BinaryOp { left, right, .. } => self.beside(&[left, right]),
            Expr::Between { expr, low, high, .. } => self.beside(&[expr, low, high]),
            Expr::InList { expr, list, .. } => {
                let parts: Vec<&Expr> = std::iter::once(expr.as_ref()).chain(list).collect();
                self.beside(&parts)
            }
            Expr::AnyOp { left, right, .. } | Expr::AllOp { left, right, .. } => {
                match (type_of(left, self.columns), right.as_ref()) {
                    (Known::Type(own), Expr::Value(constant)) => match PgType::parse_name(&format!("{own}[]")) {
                        Some(array) => self.add(constant, Target::Type(Box::new(array))),
                        None => ControlFlow::Continue(()),
                    },
                    _ => ControlFlow::Continue(()),
                }
            }
            Expr::Array(array) => self.beside(&array.elem.iter().collect::<Vec<_>>()),
            Expr::Case { conditions, else_result, .. } => {
                let parts: Vec<&Expr> =
                    conditions.iter().map(|when| &when.result).chain(else_result.as_deref()).collect();
                self.beside(&parts)
            }
            Expr::Function(call)
                if matches!(plain_name(call).as_deref(), Some("coalesce" | "greatest" | "least" | "nullif")) =>
            {
                self.beside(&arguments(call).unwrap_or_default())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}
