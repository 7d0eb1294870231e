//! Casts and typed literals of the syntax tree become calls of `pg_cast`.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CaseWhen, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, Interval, ObjectName, Query, SelectItem, SetExpr, TypedString, UnaryOperator, Value,
    VisitMut, VisitorMut,
};

use super::{any, cast, choice, datetime};
use crate::error::{SqlError, SqlResult};

/// Turns `CAST`, `::`, `DATE '…'` and `INTERVAL '…'` into calls of ours, in subqueries too. Casts to `regclass` and its
/// like stay: names of relations are the catalog's business.
///
/// # Errors
/// None so far: a type that does not exist is found when the call is planned.
pub fn rewrite_casts(query: &mut Query) -> SqlResult<()> {
    match query.visit(&mut Rewriter) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// Of a query over system tables, whose casts stay as they are, only the syntax of dates and times.
pub fn rewrite_datetime(query: &mut Query) {
    datetime::rewrite::query(query);
}

struct Rewriter;

impl VisitorMut for Rewriter {
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        narrow_results(&mut query.body);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        datetime::rewrite::expression(expr);
        rewrite(expr);
        ControlFlow::Continue(())
    }
}

/// Integer constants that a query returns are `integer` where they fit, not DataFusion's `bigint`. Elsewhere operators
/// see to it, and places such as `LIMIT 1` and `ORDER BY 1` keep their plain numbers.
fn narrow_results(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => {
            for item in &mut select.projection {
                if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                    narrow(expr);
                }
            }
        }
        SetExpr::SetOperation { left, right, .. } => {
            narrow_results(left);
            narrow_results(right);
        }
        _ => {}
    }
}

fn narrow(expr: &mut Expr) {
    let digits = |expr: &Expr| match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, false) => digits.to_string().parse::<i64>().ok(),
            _ => None,
        },
        _ => None,
    };
    let number = match &*expr {
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => digits(expr).map(|number| -number),
        expr => digits(expr),
    };
    if number.is_some_and(|number| i32::try_from(number).is_ok()) {
        let null = Expr::Value(Value::Null.with_empty_span());
        *expr = pg_cast(std::mem::replace(expr, null), "integer");
    }
}

/// Functions whose constants DataFusion reads while it plans.
const PLAIN_NUMBERS: &[&str] = &["lag", "lead", "ntile", "nth_value", cast::NAME];

fn rewrite(expr: &mut Expr) {
    let call = match expr {
        // What neither bigint nor a plain decimal holds.
        Expr::Value(value) => match &value.value {
            Value::Number(digits, false) if is_long(&digits.to_string()) => {
                let digits = digits.to_string();
                pg_cast(Expr::Value(Value::SingleQuotedString(digits).with_empty_span()), "numeric")
            }
            _ => return,
        },
        Expr::Function(function) => {
            let name = function.name.to_string().to_lowercase();
            if let (false, FunctionArguments::List(list)) = (PLAIN_NUMBERS.contains(&name.as_str()), &mut function.args)
            {
                for arg in &mut list.args {
                    if let FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) = arg {
                        narrow(arg);
                    }
                }
            }
            return;
        }
        Expr::Array(array) => {
            array.elem.iter_mut().for_each(narrow);
            return;
        }
        Expr::Cast {
            kind: CastKind::Cast | CastKind::DoubleColon,
            expr: inner,
            data_type,
            array: false,
            format: None,
        } if !is_reg(data_type) => {
            let null = Expr::Value(Value::Null.with_empty_span());
            narrow(inner);
            pg_cast(std::mem::replace(inner.as_mut(), null), &type_text(data_type))
        }
        Expr::TypedString(TypedString { data_type, value, uses_odbc_syntax: false }) if !is_reg(data_type) => {
            pg_cast(Expr::Value(value.clone()), &type_text(data_type))
        }
        Expr::Case { operand, conditions, else_result, .. } => {
            let mut args = Vec::with_capacity(conditions.len() * 2 + 1);
            for CaseWhen { condition, mut result } in std::mem::take(conditions) {
                narrow(&mut result);
                args.push(match operand {
                    Some(operand) => {
                        Expr::BinaryOp { left: operand.clone(), op: BinaryOperator::Eq, right: Box::new(condition) }
                    }
                    None => condition,
                });
                args.push(result);
            }
            if let Some(mut result) = else_result.take() {
                narrow(&mut result);
                args.push(*result);
            }
            call(choice::CASE, args)
        }
        Expr::AnyOp { left, compare_op, right, .. } if !matches!(right.as_ref(), Expr::Subquery(_)) => {
            quantified(any::ANY, left, compare_op, right)
        }
        Expr::AllOp { left, compare_op, right } if !matches!(right.as_ref(), Expr::Subquery(_)) => {
            quantified(any::ALL, left, compare_op, right)
        }
        Expr::Interval(interval) => match interval_type(interval) {
            Some(name) => {
                let null = Expr::Value(Value::Null.with_empty_span());
                pg_cast(std::mem::replace(&mut *interval.value, null), &name)
            }
            None => return,
        },
        _ => return,
    };
    *expr = call;
}

/// Whether a number is written in a way that only `numeric` takes: with an exponent, or with many digits.
fn is_long(digits: &str) -> bool {
    const DIGITS_MAX: usize = 37;
    let whole = !digits.contains(['.', 'e', 'E']);
    (whole && digits.parse::<i64>().is_err()) || digits.contains(['e', 'E']) || digits.len() > DIGITS_MAX
}

/// The type's name as its resolution takes it: a user's type without quotes.
fn type_text(data_type: &DataType) -> String {
    let text = data_type.to_string();
    // "char" in quotes is another type than char.
    if text == "\"char\"" { text } else { text.replace('"', "") }
}

fn is_reg(data_type: &DataType) -> bool {
    let name = data_type.to_string().to_ascii_lowercase();
    let name = name.strip_prefix("pg_catalog.").unwrap_or(&name);
    name.starts_with("reg")
        && matches!(
            name.trim_end_matches("[]"),
            "regclass"
                | "regtype"
                | "regproc"
                | "regprocedure"
                | "regoper"
                | "regoperator"
                | "regnamespace"
                | "regrole"
                | "regconfig"
                | "regdictionary"
                | "regcollation"
        )
}

/// `interval`, with the fields that the literal names; `None` for forms that PostgreSQL does not have.
fn interval_type(interval: &Interval) -> Option<String> {
    let Expr::Value(value) = interval.value.as_ref() else { return None };
    if !matches!(value.value, Value::SingleQuotedString(_)) {
        return None;
    }
    let mut name = "interval".to_owned();
    if let Some(field) = &interval.leading_field {
        name = format!("{name} {}", field.to_string().to_ascii_lowercase());
    }
    if let Some(field) = &interval.last_field {
        name = format!("{name} to {}", field.to_string().to_ascii_lowercase());
    }
    if let Some(precision) = interval.fractional_seconds_precision {
        name = format!("{name}({precision})");
    }
    Some(name)
}

pub(super) fn pg_cast(value: impl Into<Box<Expr>>, name: &str) -> Expr {
    let name = Expr::Value(Value::SingleQuotedString(name.to_owned()).with_empty_span());
    call(cast::NAME, vec![*value.into(), name])
}

/// A query of ours.
pub(super) fn parsed(text: &str) -> SqlResult<Query> {
    crate::statement::parse_query(text)
}

/// `x = ANY (array)`.
fn quantified(name: &str, left: &Expr, operator: &BinaryOperator, right: &Expr) -> Expr {
    let operator = Expr::Value(Value::SingleQuotedString(operator.to_string()).with_empty_span());
    call(name, vec![left.clone(), operator, right.clone()])
}

/// A call of a function of ours.
pub(super) fn call(name: &str, args: Vec<Expr>) -> Expr {
    let args = args.into_iter().map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))).collect();
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}
