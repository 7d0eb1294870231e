//! Parameters that nobody gave a type take the one that their place asks for.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use atoll_connector_api::types::{PgType, oids};
use datafusion::common::DFSchema;
use datafusion::error::Result;
use datafusion::logical_expr::expr::{BinaryExpr, InList, Placeholder, ScalarFunction};
use datafusion::logical_expr::{Expr, LogicalPlan, Operator, Projection};

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr as SqlExpr, Query, Value, VisitMut, VisitorMut};

use super::rows::is_comparison;
use super::{Operand, choice, operand};
use crate::federation::pg_catalog;

/// A query without what would be taken for another type than a parameter's first place says: `NULL` stands for the sum in
/// `t >= $1 AND t < $1 + interval '1 day'`, so that planning the rest tells the type of `$1`. `None` where there is none.
pub fn without_guesses(query: &Query, given: &[Option<PgType>]) -> Option<Query> {
    struct Guesses<'a> {
        given: &'a [Option<PgType>],
        seen: HashSet<String>,
        found: bool,
    }
    impl Guesses<'_> {
        fn untyped<'e>(&self, expr: &'e SqlExpr) -> Option<&'e str> {
            let SqlExpr::Value(value) = expr else { return None };
            let Value::Placeholder(name) = &value.value else { return None };
            let number = name.strip_prefix('$')?.parse::<usize>().ok()?.checked_sub(1)?;
            self.given.get(number).is_none_or(Option::is_none).then_some(name.as_str())
        }

        fn see(&mut self, expr: &SqlExpr) {
            if let Some(name) = self.untyped(expr).map(str::to_owned) {
                self.seen.insert(name);
            }
        }
    }
    impl VisitorMut for Guesses<'_> {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &mut SqlExpr) -> ControlFlow<()> {
            match &*expr {
                SqlExpr::BinaryOp { left, op, right } if is_comparison(op) => {
                    self.see(left);
                    self.see(right);
                }
                SqlExpr::Between { low, .. } => self.see(low),
                SqlExpr::BinaryOp { left, op: BinaryOperator::Plus | BinaryOperator::Minus, right } => {
                    let guessed = [left, right]
                        .iter()
                        .any(|side| self.untyped(side).is_some_and(|name| self.seen.contains(name)));
                    if guessed {
                        self.found = true;
                        *expr = SqlExpr::Value(Value::Null.with_empty_span());
                    }
                }
                _ => {}
            }
            ControlFlow::Continue(())
        }
    }
    let mut query = query.clone();
    let mut guesses = Guesses { given, seen: HashSet::new(), found: false };
    let _ = query.visit(&mut guesses);
    guesses.found.then_some(query)
}

/// Whether an expression is a parameter without a type. DataFusion gives one the type of another that has none.
pub(super) fn is_untyped(expr: &Expr) -> bool {
    let untyped = |field: &Option<FieldRef>| field.as_ref().is_none_or(|field| field.data_type() == &DataType::Null);
    matches!(expr, Expr::Placeholder(placeholder) if untyped(&placeholder.field))
}

/// A parameter without a type as one of a type; everything else as it is.
pub(super) fn typed(expr: Expr, data_type: &PgType) -> Expr {
    match expr {
        Expr::Placeholder(Placeholder { ref id, .. }) if is_untyped(&expr) => {
            let bare = PgType { modifier: -1, ..data_type.clone() };
            let field = Arc::new(bare.field(id, true));
            Expr::Placeholder(Placeholder::new_with_field(id.clone(), Some(field)))
        }
        expr => expr,
    }
}

fn condition(expr: Expr) -> Box<Expr> {
    Box::new(typed(expr, &PgType::new(oids::BOOL)))
}

/// Types the parameters that are an expression's direct parts.
pub(super) fn parts_of(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    Ok(match expr {
        Expr::Not(inner) => Expr::Not(condition(*inner)),
        Expr::IsTrue(inner) => Expr::IsTrue(condition(*inner)),
        Expr::IsFalse(inner) => Expr::IsFalse(condition(*inner)),
        Expr::IsUnknown(inner) => Expr::IsUnknown(condition(*inner)),
        Expr::IsNotTrue(inner) => Expr::IsNotTrue(condition(*inner)),
        Expr::IsNotFalse(inner) => Expr::IsNotFalse(condition(*inner)),
        Expr::IsNotUnknown(inner) => Expr::IsNotUnknown(condition(*inner)),
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
            Expr::BinaryExpr(BinaryExpr { left: condition(*left), op, right: condition(*right) })
        }
        Expr::AggregateFunction(mut call) => {
            call.params.filter = call.params.filter.map(|filter| condition(*filter));
            Expr::AggregateFunction(call)
        }
        Expr::InList(list) => Expr::InList(in_list(list, schema)),
        Expr::ScalarFunction(call) if call.args.iter().any(is_untyped) => {
            Expr::ScalarFunction(arguments(choice::typed_parameters(call, schema)?))
        }
        expr => expr,
    })
}

/// `$1 IN (1, $2)`: the first side that has a type says it for the others.
fn in_list(list: InList, schema: &DFSchema) -> InList {
    let InList { expr, list, negated } = list;
    let known = std::iter::once(expr.as_ref()).chain(&list).find_map(|item| match operand(item, schema) {
        Some(Operand::Typed(data_type)) => Some(data_type),
        _ => None,
    });
    let data_type = known.unwrap_or(PgType::new(oids::TEXT));
    InList {
        expr: Box::new(typed(*expr, &data_type)),
        list: list.into_iter().map(|item| typed(item, &data_type)).collect(),
        negated,
    }
}

/// Arguments of system functions, whose types PostgreSQL's `pg_proc` has.
fn arguments(mut call: ScalarFunction) -> ScalarFunction {
    let Some(types) = pg_catalog::argument_types(call.func.name(), call.args.len()) else { return call };
    call.args = call.args.into_iter().zip(&types).map(|(arg, data_type)| typed(arg, data_type)).collect();
    call
}

/// Types the parameters that are a node's own: conditions and numbers of rows.
pub(super) fn node(plan: LogicalPlan) -> LogicalPlan {
    let rows = |expr: Box<Expr>| Box::new(typed(*expr, &PgType::new(oids::INT8)));
    match plan {
        LogicalPlan::Filter(mut filter) => {
            filter.predicate = typed(filter.predicate, &PgType::new(oids::BOOL));
            LogicalPlan::Filter(filter)
        }
        LogicalPlan::Join(mut join) => {
            join.filter = join.filter.map(|filter| typed(filter, &PgType::new(oids::BOOL)));
            LogicalPlan::Join(join)
        }
        LogicalPlan::Limit(mut limit) => {
            limit.skip = limit.skip.map(rows);
            limit.fetch = limit.fetch.map(rows);
            LogicalPlan::Limit(limit)
        }
        plan => plan,
    }
}

/// Types the parameters that are a query's columns.
///
/// # Errors
/// DataFusion's, where the columns cannot be put together again.
pub(super) fn columns(plan: LogicalPlan, targets: &[Option<PgType>]) -> Result<LogicalPlan> {
    let LogicalPlan::Projection(projection) = plan else { return Ok(plan) };
    let mut inner: Vec<Option<PgType>> = vec![None; projection.input.schema().fields().len()];
    let mut exprs = Vec::with_capacity(projection.expr.len());
    for (index, expr) in projection.expr.into_iter().enumerate() {
        let target = targets.get(index).and_then(Option::as_ref);
        let (bare, alias) = match expr {
            Expr::Alias(alias) => (*alias.expr, Some((alias.relation, alias.name))),
            expr => (expr, None),
        };
        if let (Some(target), Expr::Column(column)) = (target, &bare)
            && let Some(index) = projection.input.schema().maybe_index_of_column(column)
            && let Some(slot) = inner.get_mut(index)
        {
            *slot = Some(target.clone());
        }
        let name = bare.schema_name().to_string();
        let bare = match target {
            Some(target) if is_untyped(&bare) => typed(bare, target),
            _ => bare,
        };
        exprs.push(match alias {
            Some((relation, name)) => bare.alias_qualified(relation, name),
            None if matches!(bare, Expr::Placeholder(_)) => bare.alias(name),
            None => bare,
        });
    }
    let input = columns(projection.input.as_ref().clone(), &inner)?;
    Ok(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(input))?))
}
