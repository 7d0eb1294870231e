//! Casts and typed literals of the syntax tree become calls of `pg_cast`.

use std::ops::ControlFlow;

use atoll_connector_api::types::{PgType, oids};
use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, CaseWhen, CastKind, CeilFloorKind, DataType, DateTimeField, DuplicateTreatment, Expr,
    Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, Interval, ObjectName,
    Query, SelectItem, SetExpr, Subscript, TrimWhereField, TypedString, UnaryOperator, Value, VisitMut, VisitorMut,
};

use super::{
    any, array_subquery, cast, choice, collect, conditions, datetime, from_sets, functions, hypothetical,
    row_subqueries, rows, shapes, statistics,
};
use crate::error::{SqlError, SqlResult};

/// Turns `CAST`, `::`, `DATE '…'` and `INTERVAL '…'` into calls of ours, in subqueries too. Casts to `regclass` and its
/// like stay: names of relations are the catalog's business.
///
/// # Errors
/// None so far: a type that does not exist is found when the call is planned.
pub fn rewrite_casts(query: &mut Query) -> SqlResult<()> {
    from_sets::rewrite_sets(query)?;
    match query.visit(&mut Rewriter) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// Takes `pg_catalog.` off the names of functions that are planned by their types and not by the rewrite of queries over
/// system tables.
pub fn unqualify_functions(query: &mut Query) {
    struct Names;
    impl VisitorMut for Names {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if let Expr::Function(function) = expr
                && let Some(bare) = function.name.to_string().to_lowercase().strip_prefix("pg_catalog.")
                && (matches!(bare, "count" | "min" | "max" | "sum" | "avg" | "now")
                    || functions::named(bare).is_some()
                    || collect::named(bare, true).is_some()
                    || statistics::named(bare).is_some())
            {
                function.name = ObjectName::from(vec![Ident::new(bare)]);
            }
            ControlFlow::Continue(())
        }
    }
    let _ = query.visit(&mut Names);
}

struct Rewriter;

impl VisitorMut for Rewriter {
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        if let SetExpr::Select(select) = query.body.as_mut() {
            stop(row_subqueries::conditions(select))?;
        }
        conditions::of_clauses(&mut query.body);
        show_rows(&mut query.body);
        narrow_results(&mut query.body);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        stop(shapes::check(expr))?;
        shapes::empty_array(expr);
        stop(hypothetical::expand(expr))?;
        rows::arguments(expr);
        any::collect_patterns(expr);
        stop(array_subquery::expand(expr))
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        stop(shapes::check_empty(expr))?;
        datetime::rewrite::expression(expr);
        stop(rows::expand(expr))?;
        rows::escape(expr);
        conditions::of_parts(expr);
        rewrite(expr);
        ControlFlow::Continue(())
    }
}

fn show_rows(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => rows::shown(&mut select.projection),
        SetExpr::SetOperation { left, right, .. } => {
            show_rows(left);
            show_rows(right);
        }
        _ => {}
    }
}

fn stop(result: SqlResult<()>) -> ControlFlow<SqlError> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    }
}

/// Integer constants that a query returns are `integer` where they fit, not DataFusion's `bigint`. Elsewhere operators
/// see to it, and places such as `LIMIT 1` and `ORDER BY 1` keep their plain numbers.
pub(super) fn narrow_results(body: &mut SetExpr) {
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

pub(super) fn narrow(expr: &mut Expr) {
    if integer(expr).is_some_and(|number| i32::try_from(number).is_ok()) {
        let null = Expr::Value(Value::Null.with_empty_span());
        *expr = pg_cast(std::mem::replace(expr, null), "integer");
    }
}

/// The value of an integer that is written out, with signs and parentheses.
fn integer(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Nested(inner) => integer(inner),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => integer(expr)?.checked_neg(),
        Expr::Value(value) => match &value.value {
            Value::Number(digits, false) => digits.to_string().parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

/// Functions whose constants DataFusion reads while it plans.
const PLAIN_NUMBERS: &[&str] = &["lag", "lead", "ntile", "nth_value", cast::NAME];

/// Window functions whose counts DataFusion gives without a sign, and their types.
const COUNTING_WINDOWS: &[(&str, &str)] =
    &[("row_number", "bigint"), ("rank", "bigint"), ("dense_rank", "bigint"), ("ntile", "integer")];

fn rewrite(expr: &mut Expr) {
    let replaced = match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, false) => match long_number(&digits.to_string()) {
                Some(cast) => cast,
                None => return,
            },
            Value::SingleQuotedByteStringLiteral(bits) => bit_string(bits.clone()),
            Value::HexStringLiteral(digits) => {
                let bits = digits.chars().map(|c| c.to_digit(16).map_or(c.to_string(), |digit| format!("{digit:04b}")));
                bit_string(bits.collect())
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
            let bare = name.strip_prefix("pg_catalog.").unwrap_or(&name);
            if let Some(cast) = counting_window(function) {
                *expr = cast;
                return;
            }
            if bare == "normalize"
                && let FunctionArguments::List(list) = &mut function.args
                && let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(form))) = list.args.get_mut(1)
                && let Expr::Identifier(word) = &*form
                && word.quote_style.is_none()
            {
                // The form is a word of the grammar's.
                *form = Expr::Value(Value::SingleQuotedString(word.value.clone()).with_empty_span());
            }
            if bare == "gen_random_uuid" {
                *expr = pg_cast(call("uuid", Vec::new()), "uuid");
                return;
            }
            let distinct = matches!(
                &function.args,
                FunctionArguments::List(list) if list.duplicate_treatment == Some(DuplicateTreatment::Distinct)
            );
            let ours = match bare {
                "every" => Some("bool_and".to_owned()),
                // Operators have functions of ours that are not PostgreSQL's.
                bare if functions::is_operator_only(bare) => None,
                bare => functions::named(bare)
                    .or_else(|| collect::named(bare, distinct))
                    .or_else(|| statistics::named(bare)),
            };
            if let (Some(ours), None) = (ours, &function.over) {
                function.name = ObjectName::from(vec![Ident::new(ours)]);
            }
            return;
        }
        Expr::Substring { expr: value, substring_from, substring_for, .. } => {
            let one = || Box::new(Expr::Value(Value::Number("1".into(), false).with_empty_span()));
            let args = match (substring_from.take(), substring_for.take()) {
                (from, Some(count)) => vec![*value.clone(), *from.unwrap_or_else(one), *count],
                (from, None) => vec![*value.clone(), *from.unwrap_or_else(one)],
            };
            ours("substring", args)
        }
        Expr::Position { expr: part, r#in } => ours("position", vec![*r#in.clone(), *part.clone()]),
        Expr::Overlay { expr: value, overlay_what, overlay_from, overlay_for } => {
            let mut args = vec![*value.clone(), *overlay_what.clone(), *overlay_from.clone()];
            args.extend(overlay_for.take().map(|count| *count));
            ours("overlay", args)
        }
        Expr::Trim { expr: value, trim_where, trim_what, trim_characters }
            if trim_characters.as_ref().is_none_or(|c| c.len() == 1) =>
        {
            let name = match trim_where {
                None | Some(TrimWhereField::Both) => "btrim",
                Some(TrimWhereField::Leading) => "ltrim",
                Some(TrimWhereField::Trailing) => "rtrim",
            };
            let listed = trim_characters.take().and_then(|mut characters| characters.pop());
            let what = trim_what.take().map(|what| *what).or(listed);
            ours(name, std::iter::once(*value.clone()).chain(what).collect())
        }
        Expr::Ceil { expr: value, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => {
            ours("ceil", vec![*value.clone()])
        }
        Expr::Floor { expr: value, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => {
            ours("floor", vec![*value.clone()])
        }
        Expr::SimilarTo { negated, expr: value, pattern, escape_char } => {
            let mut args = vec![*value.clone(), *pattern.clone()];
            args.extend(escape_char.take().map(Expr::Value));
            let call = ours("similar_to", args);
            if *negated { Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(call) } } else { call }
        }
        Expr::IsNormalized { expr: value, form, negated } => {
            let form = form.as_ref().map_or_else(|| "nfc".to_owned(), |form| form.to_string().to_lowercase());
            let form = Expr::Value(Value::SingleQuotedString(form).with_empty_span());
            let call = ours("is_normalized", vec![*value.clone(), form]);
            if *negated { Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(call) } } else { call }
        }
        // DataFusion gives a parameter the type of what it is compared with before we see it.
        Expr::InList { expr: value, list, .. } if list.iter().any(is_placeholder) => {
            narrow(value);
            return;
        }
        Expr::Between { expr: value, low, high, .. } if is_placeholder(low) || is_placeholder(high) => {
            narrow(value);
            return;
        }
        Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right)
            if is_placeholder(left) || is_placeholder(right) =>
        {
            narrow(left);
            narrow(right);
            return;
        }
        Expr::BinaryOp {
            left,
            op:
                BinaryOperator::BitwiseAnd
                | BinaryOperator::BitwiseOr
                | BinaryOperator::PGBitwiseXor
                | BinaryOperator::PGBitwiseShiftLeft
                | BinaryOperator::PGBitwiseShiftRight,
            right,
        } => {
            narrow(left);
            narrow(right);
            return;
        }
        // All bits are set in -1.
        Expr::UnaryOp { op: UnaryOperator::BitwiseNot, expr: value } => {
            narrow(value);
            let ones = Expr::Value(Value::SingleQuotedString("-1".into()).with_empty_span());
            let right = Box::new(pg_cast(ones, "smallint"));
            Expr::Nested(Box::new(Expr::BinaryOp { left: value.clone(), op: BinaryOperator::PGBitwiseXor, right }))
        }
        Expr::UnaryOp {
            op: op @ (UnaryOperator::PGSquareRoot | UnaryOperator::PGCubeRoot | UnaryOperator::PGAbs),
            expr: value,
        } => {
            let name = match op {
                UnaryOperator::PGSquareRoot => "sqrt",
                UnaryOperator::PGCubeRoot => "cbrt",
                _ => "abs",
            };
            let value =
                if *op == UnaryOperator::PGAbs { *value.clone() } else { pg_cast(value.clone(), "double precision") };
            ours(name, vec![value])
        }
        Expr::CompoundFieldAccess { root, access_chain } => match subscripts(root, access_chain) {
            Some(call) => call,
            None => match field(root, access_chain) {
                Some(call) => call,
                None => return,
            },
        },
        Expr::Collate { expr: value, collation } if is_plain_collation(collation) => *value.clone(),
        // DataFusion asks for the type of the comparison before the literal has one.
        Expr::IsDistinctFrom(left, right) if is_string(left) != is_string(right) => {
            let operator = Expr::Value(Value::SingleQuotedString(any::DISTINCT.to_owned()).with_empty_span());
            call(any::ANY, vec![*left.clone(), operator, *right.clone()])
        }
        Expr::IsNotDistinctFrom(left, right) if is_string(left) != is_string(right) => {
            let operator = Expr::Value(Value::SingleQuotedString(any::NOT_DISTINCT.to_owned()).with_empty_span());
            call(any::ANY, vec![*left.clone(), operator, *right.clone()])
        }
        Expr::UnaryOp { op: UnaryOperator::Minus, expr: value } if !is_number(value) => match negative_text(value) {
            Some(text) => {
                // The least bigint.
                let name = if text.parse::<i64>().is_ok() { "bigint" } else { "numeric" };
                pg_cast(Expr::Value(Value::SingleQuotedString(text).with_empty_span()), name)
            }
            None => ours("negate", vec![*value.clone()]),
        },
        Expr::Array(array) if !array.elem.is_empty() => {
            array.elem.iter_mut().for_each(narrow);
            // DataFusion's array forgets what its elements are; of plain literals there is nothing to forget.
            let simple = array.elem.iter().any(is_typed_by_itself) && array.elem.iter().all(is_simple);
            if array.elem.is_empty() || (simple && are_alike(&array.elem)) {
                return;
            }
            ours("array_of", std::mem::take(&mut array.elem))
        }
        Expr::Array(_) => {
            return;
        }
        Expr::Cast { .. } | Expr::TypedString(_) => match cast_call(expr) {
            Some(call) => call,
            None => return,
        },
        Expr::Case { .. } => match case_call(expr) {
            Some(call) => call,
            None => return,
        },
        Expr::AnyOp { left, compare_op, right, .. } if any::is_pattern(compare_op) => {
            matched(left, compare_op, right, false)
        }
        Expr::AllOp { left, compare_op, right } if any::is_pattern(compare_op) => {
            matched(left, compare_op, right, true)
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
    *expr = replaced;
}

fn is_string(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_string(inner),
        Expr::Value(value) => matches!(value.value, Value::SingleQuotedString(_)),
        _ => false,
    }
}

/// `CASE` as a call of ours.
pub(super) fn case_call(expr: &mut Expr) -> Option<Expr> {
    let Expr::Case { operand, conditions, else_result, .. } = expr else { return None };
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
    Some(call(choice::CASE, args))
}

/// A cast or a typed literal as a call of ours; `None` for the `reg…` types.
pub(super) fn cast_call(expr: &mut Expr) -> Option<Expr> {
    match expr {
        Expr::Cast {
            kind: CastKind::Cast | CastKind::DoubleColon,
            expr: inner,
            data_type,
            array: false,
            format: None,
        } if !is_reg(data_type) => {
            let null = Expr::Value(Value::Null.with_empty_span());
            narrow(inner);
            let (literal, name) = (is_string(inner), type_text(data_type));
            let value = std::mem::replace(inner.as_mut(), null);
            // A literal is read as bits of any number, which are then cut or filled up.
            let bits =
                literal && PgType::parse_name(&name).is_some_and(|own| matches!(own.oid, oids::BIT | oids::VARBIT));
            Some(pg_cast(if bits { pg_cast(value, "varbit") } else { value }, &name))
        }
        Expr::TypedString(TypedString { data_type, value, uses_odbc_syntax: false }) if !is_reg(data_type) => {
            Some(pg_cast(Expr::Value(value.clone()), &type_text(data_type)))
        }
        _ => None,
    }
}

/// What neither bigint nor a plain decimal holds.
pub(super) fn long_number(digits: &str) -> Option<Expr> {
    let text = || Expr::Value(Value::SingleQuotedString(digits.to_owned()).with_empty_span());
    is_long(digits).then(|| pg_cast(text(), "numeric"))
}

/// A window function whose count is of another type to DataFusion.
pub(super) fn counting_window(function: &Function) -> Option<Expr> {
    let name = function.name.to_string().to_lowercase();
    let bare = name.strip_prefix("pg_catalog.").unwrap_or(&name);
    let (_, type_name) = COUNTING_WINDOWS.iter().find(|(name, _)| *name == bare && function.over.is_some())?;
    Some(pg_cast(Expr::Function(function.clone()), type_name))
}

fn is_placeholder(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::Placeholder(_)))
}

fn is_number(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::Number(..)))
}

/// A long number with a minus before it: the sign belongs to the literal.
fn negative_text(expr: &Expr) -> Option<String> {
    let Expr::Function(function) = expr else { return None };
    let FunctionArguments::List(list) = &function.args else { return None };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))), name] = list.args.as_slice() else {
        return None;
    };
    match &value.value {
        Value::SingleQuotedString(digits)
            if function.name.to_string() == cast::NAME
                && name.to_string() == "'numeric'"
                && digits.starts_with(|c: char| c.is_ascii_digit()) =>
        {
            Some(format!("-{digits}"))
        }
        _ => None,
    }
}

/// `B'101'` is a `bit(3)`.
fn bit_string(bits: String) -> Expr {
    let name = if bits.is_empty() { "varbit".to_owned() } else { format!("bit({})", bits.chars().count()) };
    pg_cast(Expr::Value(Value::SingleQuotedString(bits).with_empty_span()), &name)
}

/// Elements that an array takes as they are: strings, booleans, NULL, small integers.
fn is_simple(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => !matches!(value.value, Value::Number(..) | Value::Placeholder(_)),
        Expr::Function(function) if function.name.to_string() == cast::NAME => match &function.args {
            FunctionArguments::List(list) => {
                list.args.get(1).is_some_and(|name| name.to_string() == "'integer'")
                    && list.args.first().is_some_and(|value| value.to_string().parse::<i64>().is_ok())
            }
            _ => false,
        },
        Expr::Array(array) => array.elem.iter().all(is_simple),
        _ => false,
    }
}

/// Whether no boolean stands beside a number: DataFusion would refuse them in words of its own.
fn are_alike(elements: &[Expr]) -> bool {
    let is_boolean =
        |element: &&Expr| matches!(element, Expr::Value(value) if matches!(value.value, Value::Boolean(_)));
    let is_number = |element: &&Expr| matches!(element, Expr::Function(_));
    !(elements.iter().any(|element| is_boolean(&element)) && elements.iter().any(|element| is_number(&element)))
}

fn is_typed_by_itself(expr: &Expr) -> bool {
    !matches!(expr, Expr::Value(value) if value.value == Value::Null)
}

/// A call of one of our functions, its numbers narrowed.
pub(super) fn ours(name: &str, mut args: Vec<Expr>) -> Expr {
    args.iter_mut().for_each(narrow);
    call(&functions::named(name).unwrap_or_else(|| name.to_owned()), args)
}

/// Text is compared by its bytes, whatever the collation of these is called.
fn is_plain_collation(collation: &ObjectName) -> bool {
    let parts: Vec<String> = collation.0.iter().filter_map(|part| part.as_ident()).map(|i| i.value.clone()).collect();
    let name = match &parts[..] {
        [name] => name,
        [schema, name] if schema == "pg_catalog" => name,
        _ => return false,
    };
    matches!(name.as_str(), "C" | "POSIX" | "default" | "ucs_basic")
}

/// `a[1]`, `a[1][2]`, `a[1:2]`, `a[1:2][3]`.
/// `(row).field`, and `(array)[1].field`.
fn field(root: &Expr, chain: &[AccessExpr]) -> Option<Expr> {
    let (AccessExpr::Dot(Expr::Identifier(name)), before) = chain.split_last()? else { return None };
    let value = match (root, before) {
        (Expr::Nested(_) | Expr::Subquery(_), []) => root.clone(),
        (_, []) => return None,
        (root, before) => subscripts(root, before)?,
    };
    let name = Expr::Value(Value::SingleQuotedString(crate::federation::naming::folded(name)).with_empty_span());
    Some(call(super::FIELD, vec![value, name]))
}

fn subscripts(root: &Expr, chain: &[AccessExpr]) -> Option<Expr> {
    if let (Some(fields), [AccessExpr::Dot(Expr::Identifier(field))], Expr::Nested(_)) =
        (rows::fields(root), chain, root)
    {
        // `(ROW(a, b)).f2`; another name is refused when it is planned.
        let place = field.value.strip_prefix('f').and_then(|place| place.parse::<usize>().ok())?.checked_sub(1)?;
        return fields.into_iter().nth(place).map(|field| Expr::Nested(Box::new(field)));
    }
    if chain.iter().any(|access| matches!(access, AccessExpr::Subscript(Subscript::Slice { .. }))) {
        let mut args = vec![root.clone()];
        let flag = |there: bool| Expr::Value(Value::Number(u8::from(there).to_string(), false).with_empty_span());
        for access in chain {
            // Beside a slice, a subscript is the slice from 1 on.
            let (lower, upper) = match access {
                AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, stride: None }) => {
                    (lower_bound.clone(), upper_bound.clone())
                }
                AccessExpr::Subscript(Subscript::Index { index }) => (Some(flag(true)), Some(index.clone())),
                _ => return None,
            };
            let flags = [flag(lower.is_some()), flag(upper.is_some())];
            let null = || pg_cast(Expr::Value(Value::Null.with_empty_span()), "integer");
            args.extend([lower, upper].map(|bound| bound.map_or_else(null, subscript)));
            args.extend(flags);
        }
        return Some(ours("array_slice", args));
    }
    let indexes = chain.iter().map(|access| match access {
        AccessExpr::Subscript(Subscript::Index { index }) => Some(subscript(index.clone())),
        _ => None,
    });
    let args: Option<Vec<Expr>> = std::iter::once(Some(root.clone())).chain(indexes).collect();
    Some(ours("array_subscript", args?))
}

/// A subscript, which is an integer; a number with a fraction is rounded.
fn subscript(index: Expr) -> Expr {
    let fraction = matches!(&index, Expr::Value(value)
        if matches!(&value.value, Value::Number(digits, _) if digits.to_string().contains('.')));
    if fraction { pg_cast(index, "integer") } else { index }
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
    // "char" and "bit" in quotes are other types than char and bit.
    if text == "\"char\"" || text == cast::ANY_BIT { text } else { text.replace('"', "") }
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

/// `x LIKE ANY (array)`, `x ~ ALL (array)`.
fn matched(left: &Expr, operator: &BinaryOperator, right: &Expr, all: bool) -> Expr {
    let operator = Expr::Value(Value::SingleQuotedString(operator.to_string()).with_empty_span());
    let all = Expr::Value(Value::Boolean(all).with_empty_span());
    ours("matches_any", vec![left.clone(), operator, right.clone(), all])
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
