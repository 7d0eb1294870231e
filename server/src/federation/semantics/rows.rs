//! Comparisons of rows, which are comparisons of their fields in turn, and patterns with another escape character.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, SelectItem, UnaryOperator, Value,
    ValueWithSpan,
};

use super::functions::{self, like_escape};
use super::rewrite::ours;
use super::row_subqueries;
use crate::error::{SqlError, SqlResult, SqlState};

/// Fields of a row that are compared.
const FIELDS_MAX: usize = 1664;

/// Puts comparisons of fields in the place of a comparison of rows.
///
/// # Errors
/// `42601` for rows of different lengths.
pub(super) fn expand(expr: &mut Expr) -> SqlResult<()> {
    let expanded = match expr {
        Expr::BinaryOp { left, op, right } if is_comparison(op) => match (fields(left), fields(right)) {
            (Some(left), Some(right)) => compared(&left, op, &right)?,
            // The subquery stands on the right, in PostgreSQL too.
            _ => match row_subqueries::expand(expr)? {
                Some(expanded) => expanded,
                None => return Ok(()),
            },
        },
        // A row that is printed is a value.
        Expr::BinaryOp { left, op: BinaryOperator::StringConcat, right } => {
            for side in [left, right] {
                if let Some(fields) = fields(side) {
                    **side = record(fields);
                }
            }
            return Ok(());
        }
        Expr::InSubquery { .. } | Expr::AnyOp { .. } | Expr::AllOp { .. } => match row_subqueries::expand(expr)? {
            Some(expanded) => expanded,
            None => return Ok(()),
        },
        Expr::IsDistinctFrom(left, right) => match (fields(left), fields(right)) {
            (Some(left), Some(right)) => distinct(&left, &right)?,
            _ => return Ok(()),
        },
        Expr::IsNotDistinctFrom(left, right) => match (fields(left), fields(right)) {
            (Some(left), Some(right)) => not(distinct(&left, &right)?),
            _ => return Ok(()),
        },
        // A row that is cast is a value.
        Expr::Cast { expr: row, .. } => {
            if let Some(fields) = fields(row) {
                **row = record(fields);
            }
            return Ok(());
        }
        Expr::IsNull(row) => match fields(row) {
            Some(row) => joined(row.into_iter().map(|field| Expr::IsNull(Box::new(field))), BinaryOperator::And),
            None => return Ok(()),
        },
        Expr::IsNotNull(row) => match fields(row) {
            Some(row) => joined(row.into_iter().map(|field| Expr::IsNotNull(Box::new(field))), BinaryOperator::And),
            None => return Ok(()),
        },
        Expr::Between { expr: row, negated, low, high } => match (fields(row), fields(low), fields(high)) {
            (Some(row), Some(low), Some(high)) => {
                let both = binary(
                    compared(&row, &BinaryOperator::GtEq, &low)?,
                    BinaryOperator::And,
                    compared(&row, &BinaryOperator::LtEq, &high)?,
                );
                if *negated { not(both) } else { both }
            }
            _ => return Ok(()),
        },
        Expr::InList { expr: row, list, negated } => {
            let Some(row) = fields(row) else { return Ok(()) };
            let mut parts = Vec::with_capacity(list.len());
            for item in list.iter() {
                let Some(item) = fields(item) else { return Ok(()) };
                parts.push(compared(&row, &BinaryOperator::Eq, &item)?);
            }
            let any = joined(parts.into_iter(), BinaryOperator::Or);
            if *negated { not(any) } else { any }
        }
        _ => return Ok(()),
    };
    *expr = expanded;
    Ok(())
}

/// A row that is a value: what stands for it in a SELECT list, or as an argument.
pub(super) fn record(own: Vec<Expr>) -> Expr {
    let values = own.into_iter().map(|field| match fields(&field) {
        Some(inner) => record(inner),
        None => field,
    });
    ours("record_of", values.collect())
}

/// The fields of what [`record`] has made.
fn record_fields(expr: &Expr) -> Option<Vec<Expr>> {
    let Expr::Function(function) = expr else { return None };
    let FunctionArguments::List(list) = &function.args else { return None };
    if functions::named("record_of").is_none_or(|name| function.name.to_string() != name) {
        return None;
    }
    let field = |arg: &FunctionArg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(field)) => Some(field.clone()),
        _ => None,
    };
    list.args.iter().map(field).collect()
}

/// Compares records, of which at least one is no row as it is written: NULLs in them are equal.
///
/// # Errors
/// `42804` for records of different lengths; `0A000` for their order.
pub(super) fn compare_records(expr: &mut Expr) -> SqlResult<()> {
    let (left, right) = match &*expr {
        Expr::BinaryOp { left, op, right } if is_comparison(op) => (left, right),
        Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => (left, right),
        _ => return Ok(()),
    };
    let records = (record_fields(left), record_fields(right));
    if records.0.is_none() && records.1.is_none() {
        return Ok(());
    }
    let (Some(one), Some(other)) = (records.0.or_else(|| fields(left)), records.1.or_else(|| fields(right))) else {
        return Ok(());
    };
    if one.len() != other.len() {
        let message = "cannot compare record types with different numbers of columns";
        return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message));
    }
    let differ = distinct(&one, &other)?;
    *expr = match &*expr {
        Expr::BinaryOp { op: BinaryOperator::Eq, .. } | Expr::IsNotDistinctFrom(..) => not(differ),
        Expr::BinaryOp { op: BinaryOperator::NotEq, .. } | Expr::IsDistinctFrom(..) => differ,
        _ => return Err(SqlError::unsupported("ordering values of type record is not supported")),
    };
    Ok(())
}

/// Makes values of the rows in a SELECT list.
pub(super) fn shown(items: &mut [SelectItem]) {
    for item in items {
        let shown = match item {
            SelectItem::UnnamedExpr(expr) => fields(expr).map(|fields| (fields, Ident::with_quote('"', "row"))),
            SelectItem::ExprWithAlias { expr, alias } => fields(expr).map(|fields| (fields, alias.clone())),
            _ => None,
        };
        if let Some((fields, alias)) = shown {
            *item = SelectItem::ExprWithAlias { expr: record(fields), alias };
        }
    }
}

/// Makes values of the rows among a function's arguments; of functions of JSON their members.
pub(super) fn arguments(expr: &mut Expr) {
    let Expr::Function(function) = expr else { return };
    let name = function.name.to_string().to_lowercase();
    let FunctionArguments::List(list) = &mut function.args else { return };
    // Rows are counted as they are.
    if matches!(name.as_str(), "count" | "row" | "struct") {
        return;
    }
    let json = name.contains("json");
    for arg in &mut list.args {
        let FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) = arg else { continue };
        let Some(fields) = fields(arg) else { continue };
        *arg = if json { numbered_members(fields, name.contains("jsonb")) } else { record(fields) };
    }
    if name.ends_with("row_to_json") {
        function.name = vec![Ident::new("to_json")].into();
    }
}

/// A row of fields without names as JSON: PostgreSQL calls them f1, f2 and so on.
fn numbered_members(fields: Vec<Expr>, binary: bool) -> Expr {
    let members = fields.into_iter().enumerate().flat_map(|(index, field)| {
        [Expr::Value(Value::SingleQuotedString(format!("f{}", index + 1)).with_empty_span()), field]
    });
    ours(if binary { "jsonb_build_object" } else { "record_json" }, members.collect())
}

pub(super) const fn is_comparison(op: &BinaryOperator) -> bool {
    matches!(
        op,
        BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq
    )
}

/// The fields of a row as it is written: `(a, b)`, `ROW(a, b)`.
pub fn fields(expr: &Expr) -> Option<Vec<Expr>> {
    match expr {
        Expr::Nested(inner) => fields(inner),
        Expr::Tuple(fields) => Some(fields.clone()),
        Expr::Function(function) if function.name.to_string().eq_ignore_ascii_case("row") => match &function.args {
            FunctionArguments::List(list) => list
                .args
                .iter()
                .map(|arg| match arg {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(field)) => Some(field.clone()),
                    _ => None,
                })
                .collect(),
            _ => None,
        },
        _ => None,
    }
}

fn same_length(left: &[Expr], right: &[Expr]) -> SqlResult<()> {
    if left.len() != right.len() {
        return Err(SqlError::syntax("unequal number of entries in row expressions"));
    }
    if left.is_empty() {
        return Err(SqlError::unsupported("cannot compare rows of zero length"));
    }
    if left.len() > FIELDS_MAX {
        return Err(SqlError::unsupported(format!("rows of more than {FIELDS_MAX} fields are not supported")));
    }
    Ok(())
}

/// Rows are equal where all fields are; of two that are not, the first fields that differ decide.
pub(super) fn compared(left: &[Expr], op: &BinaryOperator, right: &[Expr]) -> SqlResult<Expr> {
    same_length(left, right)?;
    let pairs = || left.iter().zip(right);
    if matches!(op, BinaryOperator::Eq | BinaryOperator::NotEq) {
        let parts = pairs().map(|(left, right)| pair(left, op.clone(), right)).collect::<SqlResult<Vec<_>>>()?;
        let glue = if *op == BinaryOperator::Eq { BinaryOperator::And } else { BinaryOperator::Or };
        return Ok(joined(parts.into_iter(), glue));
    }
    let strict = match op {
        BinaryOperator::Lt | BinaryOperator::LtEq => BinaryOperator::Lt,
        _ => BinaryOperator::Gt,
    };
    let mut whole: Option<Expr> = None;
    for (left, right) in pairs().rev() {
        whole = Some(match whole {
            None => pair(left, op.clone(), right)?,
            Some(rest) => {
                let equal = binary(pair(left, BinaryOperator::Eq, right)?, BinaryOperator::And, rest);
                binary(pair(left, strict.clone(), right)?, BinaryOperator::Or, equal)
            }
        });
    }
    whole.ok_or_else(|| SqlError::unsupported("cannot compare rows of zero length"))
}

fn distinct(left: &[Expr], right: &[Expr]) -> SqlResult<Expr> {
    same_length(left, right)?;
    let mut parts = Vec::with_capacity(left.len());
    for (left, right) in left.iter().zip(right) {
        parts.push(match (fields(left), fields(right)) {
            (Some(left), Some(right)) => distinct(&left, &right)?,
            _ => Expr::IsDistinctFrom(Box::new(left.clone()), Box::new(right.clone())),
        });
    }
    Ok(joined(parts.into_iter(), BinaryOperator::Or))
}

/// One field, which may be a row itself.
fn pair(left: &Expr, op: BinaryOperator, right: &Expr) -> SqlResult<Expr> {
    match (fields(left), fields(right)) {
        (Some(left), Some(right)) => compared(&left, &op, &right),
        _ => Ok(binary(left.clone(), op, right.clone())),
    }
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::Nested(Box::new(Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }))
}

fn not(expr: Expr) -> Expr {
    Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(Expr::Nested(Box::new(expr))) }
}

fn joined(parts: impl Iterator<Item = Expr>, op: BinaryOperator) -> Expr {
    parts
        .reduce(|left, right| binary(left, op.clone(), right))
        .unwrap_or_else(|| Expr::Value(Value::Boolean(op == BinaryOperator::And).with_empty_span()))
}

/// `LIKE … ESCAPE …`: the pattern becomes one whose escape character is the backslash.
pub(super) fn escape(expr: &mut Expr) {
    let (Expr::Like { pattern, escape_char, any: false, .. } | Expr::ILike { pattern, escape_char, any: false, .. }) =
        expr
    else {
        return;
    };
    let Some(character) = escape_char.take() else { return };
    let string = |value: &ValueWithSpan| match &value.value {
        Value::SingleQuotedString(text) => Some(text.clone()),
        _ => None,
    };
    let constant = match pattern.as_ref() {
        Expr::Value(pattern) => string(pattern),
        _ => None,
    };
    let translated = match (constant, string(&character)) {
        (Some(pattern), Some(character)) => like_escape(&pattern, &character).ok(),
        _ => None,
    };
    **pattern = match translated {
        Some(pattern) => Expr::Value(Value::SingleQuotedString(pattern).with_empty_span()),
        // What is wrong with it is said when it is run.
        None => ours("like_escape", vec![(**pattern).clone(), Expr::Value(character)]),
    };
}
