//! Finds out whether a query needs the rewrite at all.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, BinaryOperator, DataType, Expr, ObjectName, Query, TableFactor, TypedString, Visit, Visitor,
};

use super::build::parts;
use super::is_system_table;

/// Whether a query reads `pg_catalog` or `information_schema`, or uses one of their functions, types or operators by its
/// qualified name. Functions of ours that DataFusion plans as they are need no rewrite and do not count.
pub fn mentions_system_catalog(query: &Query) -> bool {
    query.visit(&mut Detector).is_break()
}

struct Detector;

fn is_system_schema(name: &str) -> bool {
    name == "pg_catalog" || name == "information_schema"
}

fn in_system_schema(name: &ObjectName) -> bool {
    let parts = parts(name);
    match parts.as_slice() {
        [.., schema, _] => is_system_schema(schema),
        _ => false,
    }
}

/// `regclass` and its kin, `oid`, and everything that is written with `pg_catalog.`.
fn is_system_type(data_type: &DataType) -> bool {
    match data_type {
        DataType::Regclass => true,
        DataType::Custom(name, _) => {
            let parts = parts(name);
            parts.len() > 1 && is_system_schema(&parts[parts.len() - 2])
                || parts.last().is_some_and(|last| last.starts_with("reg") || last == "oid" || last == "name")
        }
        DataType::Array(element) => match element {
            ArrayElemTypeDef::SquareBracket(inner, _)
            | ArrayElemTypeDef::AngleBracket(inner)
            | ArrayElemTypeDef::Parenthesis(inner) => is_system_type(inner),
            ArrayElemTypeDef::None => false,
        },
        _ => false,
    }
}

impl Visitor for Detector {
    type Break = ();

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let parts = parts(relation);
        let system = in_system_schema(relation) || matches!(parts.as_slice(), [name] if is_system_table(name));
        if system { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        let system = match factor {
            TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => {
                parts(name).last().is_some_and(|name| super::from::is_system_function(name))
            }
            _ => false,
        };
        if system { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let system = match expr {
            Expr::Function(function) => {
                let finds_object = |name: &String| name.starts_with("to_reg");
                in_system_schema(&function.name) || parts(&function.name).last().is_some_and(finds_object)
            }
            Expr::Cast { data_type, .. } | Expr::TypedString(TypedString { data_type, .. }) => {
                is_system_type(data_type)
            }
            Expr::BinaryOp { op: BinaryOperator::PGCustomBinaryOperator(_), .. } => true,
            Expr::Collate { collation, .. } => in_system_schema(collation),
            Expr::Identifier(ident) => ident.quote_style.is_none() && super::expression::is_session_word(&ident.value),
            _ => false,
        };
        if system { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
