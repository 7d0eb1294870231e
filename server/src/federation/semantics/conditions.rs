//! Truth values where SQL asks for them: `WHERE`, `HAVING`, `ON`, `FILTER`, `CASE WHEN`, `AND`, `OR`, `NOT`.
//!
//! An untyped literal there is read as boolean, and another type is PostgreSQL's `42804`, which names the clause. DataFusion
//! knows neither, so that the syntax tree's conditions that are not plainly truth values are marked by a call, which the
//! analyzer takes away.

use std::ops::ControlFlow;

use arrow::datatypes::DataType;
use atoll_connector_api::types::{PgType, oids};
use datafusion::common::{DFSchema, exec_err};
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr as SqlExpr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr,
    JoinConstraint, JoinOperator, SelectItem, SetExpr, TableFactor, TableWithJoins, UnaryOperator, Value, Visit,
    Visitor,
};

use super::operators::take_type;
use super::rewrite::call;
use super::{Operand, Settings, cast, operand, parameters};
use crate::error::{SqlError, SqlState};

/// The function that marks a condition: the condition, and the clause's name.
pub(super) const NAME: &str = "pg_condition";

#[derive(Debug, PartialEq, Eq, Hash)]
struct Condition {
    signature: Signature,
}

/// The function.
pub(super) fn function() -> ScalarUDF {
    ScalarUDF::from(Condition { signature: Signature::any(2, Volatility::Immutable) })
}

impl ScalarUDFImpl for Condition {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!("{NAME} is planned away")
    }
}

/// What a marked condition is: checked, and a literal read.
///
/// # Errors
/// `42804`; what a literal is not.
pub(super) fn plan(settings: &Settings, call: ScalarFunction, schema: &DFSchema) -> Result<Expr> {
    let mut args = call.args.into_iter();
    let (Some(condition), Some(Expr::Literal(clause, _))) = (args.next(), args.next()) else {
        return Err(SqlError::internal("a condition of no clause").into());
    };
    let boolean = PgType::new(oids::BOOL);
    let condition = cast::fold(settings, condition)?;
    match operand(&condition, schema) {
        _ if parameters::is_untyped(&condition) => Ok(parameters::typed(condition, &boolean)),
        Some(Operand::Unknown) => take_type(settings, condition, &boolean),
        Some(Operand::Typed(own)) if own != boolean => {
            Err(mismatch(clause.try_as_str().flatten().unwrap_or_default(), own).into())
        }
        _ => Ok(condition),
    }
}

/// `42804`.
pub(super) fn mismatch(clause: &str, own: PgType) -> SqlError {
    let shown = PgType { modifier: -1, ..own }.sql_name();
    let message = format!("argument of {clause} must be type boolean, not type {shown}");
    SqlError::new(SqlState::DATATYPE_MISMATCH, message)
}

/// Marks the conditions of a query's clauses.
pub(super) fn of_clauses(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => {
            if let Some(condition) = &mut select.selection {
                mark(condition, "WHERE");
            }
            if let Some(condition) = &mut select.having {
                // Without aggregates and GROUP BY, too, HAVING makes one group of all rows.
                let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty());
                let calls = select.projection.iter().any(|item| match item {
                    SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => has_call(expr),
                    _ => false,
                });
                let alone = !grouped && !calls && !has_call(condition);
                // Aggregates, too: what they return is known here only.
                if matches!(condition, SqlExpr::Function(_)) {
                    wrap(condition, "HAVING");
                } else {
                    mark(condition, "HAVING");
                }
                if alone {
                    in_one_group(condition);
                }
            }
            select.from.iter_mut().for_each(of_joins);
        }
        SetExpr::SetOperation { left, right, .. } => {
            of_clauses(left);
            of_clauses(right);
        }
        _ => {}
    }
}

fn has_call(expr: &SqlExpr) -> bool {
    struct Calls;
    impl Visitor for Calls {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &SqlExpr) -> ControlFlow<()> {
            if matches!(expr, SqlExpr::Function(_)) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    expr.visit(&mut Calls).is_break()
}

/// `condition AND count(*) IS NOT NULL`: an aggregate says that all rows are one group.
fn in_one_group(condition: &mut SqlExpr) {
    let null = SqlExpr::Value(Value::Null.with_empty_span());
    let mut count = call("count", Vec::new());
    if let SqlExpr::Function(Function { args: FunctionArguments::List(list), .. }) = &mut count {
        list.args.push(FunctionArg::Unnamed(FunctionArgExpr::Wildcard));
    }
    let own = std::mem::replace(condition, null);
    *condition = SqlExpr::BinaryOp {
        left: Box::new(SqlExpr::Nested(Box::new(own))),
        op: BinaryOperator::And,
        right: Box::new(SqlExpr::IsNotNull(Box::new(count))),
    };
}

fn of_joins(from: &mut TableWithJoins) {
    of_factor(&mut from.relation);
    for join in &mut from.joins {
        of_factor(&mut join.relation);
        if let JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint) = &mut join.join_operator
            && let JoinConstraint::On(condition) = constraint
        {
            mark(condition, "JOIN/ON");
        }
    }
}

fn of_factor(factor: &mut TableFactor) {
    if let TableFactor::NestedJoin { table_with_joins, .. } = factor {
        of_joins(table_with_joins);
    }
}

/// Marks the conditions that are an expression's parts.
pub(super) fn of_parts(expr: &mut SqlExpr) {
    match expr {
        SqlExpr::BinaryOp { left, op: BinaryOperator::And, right } => {
            mark(left, "AND");
            mark(right, "AND");
        }
        SqlExpr::BinaryOp { left, op: BinaryOperator::Or, right } => {
            mark(left, "OR");
            mark(right, "OR");
        }
        SqlExpr::UnaryOp { op: UnaryOperator::Not, expr } => mark(expr, "NOT"),
        SqlExpr::IsTrue(expr) => mark(expr, "IS TRUE"),
        SqlExpr::IsNotTrue(expr) => mark(expr, "IS NOT TRUE"),
        SqlExpr::IsFalse(expr) => mark(expr, "IS FALSE"),
        SqlExpr::IsNotFalse(expr) => mark(expr, "IS NOT FALSE"),
        SqlExpr::IsUnknown(expr) => mark(expr, "IS UNKNOWN"),
        SqlExpr::IsNotUnknown(expr) => mark(expr, "IS NOT UNKNOWN"),
        SqlExpr::Case { operand: None, conditions, .. } => {
            for when in conditions {
                mark(&mut when.condition, "CASE/WHEN");
            }
        }
        SqlExpr::Function(function) => {
            if let Some(filter) = &mut function.filter {
                mark(filter, "FILTER");
            }
        }
        _ => {}
    }
}

/// Marks a condition that may be something else than a truth value.
fn mark(condition: &mut SqlExpr, clause: &str) {
    if may_be_else(condition) {
        wrap(condition, clause);
    }
}

fn wrap(condition: &mut SqlExpr, clause: &str) {
    let null = SqlExpr::Value(Value::Null.with_empty_span());
    let clause = SqlExpr::Value(Value::SingleQuotedString(clause.to_owned()).with_empty_span());
    *condition = call(NAME, vec![std::mem::replace(condition, null), clause]);
}

fn may_be_else(condition: &SqlExpr) -> bool {
    match condition {
        SqlExpr::Nested(inner) => may_be_else(inner),
        SqlExpr::Value(value) => !matches!(value.value, Value::Boolean(_) | Value::Placeholder(_)),
        SqlExpr::Identifier(_) | SqlExpr::CompoundIdentifier(_) | SqlExpr::Cast { .. } => true,
        SqlExpr::TypedString(_) => true,
        SqlExpr::Function(function) => function.name.to_string() == cast::NAME,
        SqlExpr::UnaryOp { op, .. } => matches!(op, UnaryOperator::Minus | UnaryOperator::Plus),
        SqlExpr::BinaryOp { op, .. } => matches!(
            op,
            BinaryOperator::Plus
                | BinaryOperator::Minus
                | BinaryOperator::Multiply
                | BinaryOperator::Divide
                | BinaryOperator::Modulo
                | BinaryOperator::StringConcat
        ),
        _ => false,
    }
}
