//! Selects that can have no row, because a catalog of objects that Atoll does not have is in their FROM.
//!
//! What psql asks about policies, publications or partitions of each table is among them, and it is what DataFusion could
//! plan least. Their select lists become NULLs of the right types.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, Expr, Function, Ident, ObjectName, Select, SelectItem, UnaryOperator, Value,
    ValueWithSpan,
};

use super::super::functions;
use super::super::rows::is_always_empty;
use super::build::{call, null_of, parts, value};
use super::expression::{base_type, is_vector, type_name};
use super::is_grouped;
use super::scope::{ItemKind, Scope};
use atoll_connector_api::types::{BuiltinType, PgType, oids};

/// Whether no row can come out of `select`, whose FROM is `scope`.
pub(super) fn is_provably_empty(select: &Select, scope: &Scope<'_>) -> bool {
    let plain = |item: &SelectItem| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. });
    !is_grouped(select) && select.projection.iter().all(plain) && has_empty_item(scope)
}

/// Whether an item without rows is joined so that the whole FROM has none.
pub(super) fn has_empty_item(scope: &Scope<'_>) -> bool {
    scope
        .relations
        .items
        .iter()
        .any(|item| item.inner && matches!(item.kind, ItemKind::System(relation) if is_always_empty(relation)))
}

/// Makes the select list plannable and its condition false.
pub(super) fn replace(select: &mut Select, scope: &Scope<'_>) {
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item
            && !matches!(expr, Expr::Value(_))
        {
            let is_oid = scope.system_column(expr).is_some_and(|fact| fact.data_type.oid == oids::OID);
            let null = null_of(if is_table_oid(expr) { DataType::BigInt(None) } else { type_of(expr, scope) });
            // Elsewhere in a UNION stands an OID of a catalog that has rows.
            *expr = if is_oid { call("oid", vec![null]) } else { null };
        }
    }
    select.selection = Some(value(Value::Boolean(false)));
}

/// `tableoid`, which no catalog lists among its columns.
fn is_table_oid(expr: &Expr) -> bool {
    match expr {
        Expr::Identifier(name) => name.value == "tableoid",
        Expr::CompoundIdentifier(names) => names.last().is_some_and(|name| name.value == "tableoid"),
        _ => false,
    }
}

/// A guess at an expression's type, good enough for a column without rows.
pub(super) fn type_of(expr: &Expr, scope: &Scope<'_>) -> DataType {
    if let Some(fact) = scope.system_column(expr) {
        let builtin = BuiltinType::by_oid(fact.data_type.oid);
        return match builtin.filter(|builtin| builtin.element == 0 && !builtin.name.starts_with("reg")) {
            Some(builtin) if builtin.oid == oids::CHAR => type_named("char", Some('"')),
            Some(builtin) if !is_vector(fact) => type_named(builtin.name, None),
            _ => DataType::Text,
        };
    }
    match expr {
        Expr::Nested(inner) => type_of(inner, scope),
        Expr::Exists { .. }
        | Expr::InList { .. }
        | Expr::InSubquery { .. }
        | Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNotFalse(_)
        | Expr::AnyOp { .. }
        | Expr::AllOp { .. }
        | Expr::Like { .. }
        | Expr::ILike { .. }
        | Expr::Between { .. }
        | Expr::UnaryOp { op: UnaryOperator::Not, .. }
        | Expr::Value(ValueWithSpan { value: Value::Boolean(_), .. }) => DataType::Boolean,
        Expr::BinaryOp { op: BinaryOperator::StringConcat, .. } => DataType::Text,
        Expr::BinaryOp { op, left, .. } => match op {
            BinaryOperator::Plus
            | BinaryOperator::Minus
            | BinaryOperator::Multiply
            | BinaryOperator::Divide
            | BinaryOperator::Modulo
            | BinaryOperator::BitwiseAnd
            | BinaryOperator::BitwiseOr => type_of(left, scope),
            _ => DataType::Boolean,
        },
        Expr::Value(ValueWithSpan { value: Value::Number(..), .. }) => DataType::Integer(None),
        Expr::Case { conditions, else_result, .. } => {
            let results = conditions.iter().map(|when| &when.result).chain(else_result.as_deref());
            let mut known = results.filter(|result| !is_null(result));
            known.next().map_or(DataType::Text, |result| type_of(result, scope))
        }
        Expr::Function(Function { name, .. })
            if parts(name).last().is_some_and(|name| functions::returns_boolean(name)) =>
        {
            DataType::Boolean
        }
        Expr::Cast { data_type, .. } => match type_name(data_type) {
            _ if matches!(data_type, DataType::Array(_)) => DataType::Text,
            Some(name) if name.starts_with("reg") => DataType::Text,
            Some(name) => match base_type(&name) {
                Some(base) => base,
                None if PgType::parse_name(&data_type.to_string()).is_some() => data_type.clone(),
                None => DataType::Text,
            },
            None => data_type.clone(),
        },
        _ => DataType::Text,
    }
}

fn type_named(name: &str, quote_style: Option<char>) -> DataType {
    DataType::Custom(ObjectName::from(vec![Ident { quote_style, ..Ident::new(name) }]), Vec::new())
}

fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(ValueWithSpan { value: Value::Null, .. }))
}
