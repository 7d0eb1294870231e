//! `x > ANY (SELECT …)`, `x <= ALL (SELECT …)`: both sides in one type, or by keys where storage does not compare as
//! PostgreSQL does.

use std::sync::Arc;

use atoll_connector_api::types::{PgType, oids};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::functions::string::expr_fn::rtrim;
use datafusion::logical_expr::expr::SetComparison;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};

use super::operators::{common_sides, needs_key, plan_comparison, take_type};
use super::{Operand, Settings, cast, compare, float, operand, type_of};

/// Plans one.
///
/// # Errors
/// `42883` for types that have no such operator; what an untyped literal is not.
pub(super) fn plan(settings: &Settings, call: SetComparison, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let SetComparison { expr, subquery, op, quantifier } = call;
    let inner = Arc::clone(subquery.subquery.schema());
    let columns = inner.columns();
    let types = match columns.as_slice() {
        [column] => {
            let column = Expr::Column(column.clone());
            operand(&expr, schema).zip(type_of(&column, inner.as_ref())).map(|types| (types, column))
        }
        _ => None,
    };
    let Some(((left_type, right_type), column)) = types else {
        return Ok(Transformed::no(Expr::SetComparison(SetComparison { expr, subquery, op, quantifier })));
    };
    let (left, left_type) = match left_type {
        Operand::Unknown => (take_type(settings, *expr.clone(), &right_type)?, right_type.clone()),
        Operand::Typed(own) => (*expr.clone(), own),
    };
    // The operator that each row stands for says whether there is one.
    let mut both = schema.clone();
    both.merge(inner.as_ref());
    plan_comparison(settings, left.clone(), op, column.clone(), &both)?;
    let ((known, left_type), (right, right_type)) =
        common_sides(settings, (left.clone(), left_type), (column.clone(), right_type))?;
    let converted = known != left || right != column;
    let sides = match sides(settings, known.clone(), &left_type, right.clone(), &right_type)? {
        None if converted => Some((known, right)),
        sides => sides,
    };
    let Some((left, right)) = sides else {
        let changed = left != *expr;
        let call = Expr::SetComparison(SetComparison { expr: Box::new(left), subquery, op, quantifier });
        return Ok(if changed { Transformed::yes(call) } else { Transformed::no(call) });
    };
    let plan = LogicalPlanBuilder::from(subquery.subquery.as_ref().clone()).project(vec![right])?.build()?;
    let subquery = subquery.with_plan(Arc::new(plan));
    Ok(Transformed::yes(Expr::SetComparison(SetComparison { expr: Box::new(left), subquery, op, quantifier })))
}

/// Both sides as what compares in storage; `None` where they do so already.
fn sides(
    settings: &Settings,
    left: Expr,
    left_type: &PgType,
    right: Expr,
    right_type: &PgType,
) -> Result<Option<(Expr, Expr)>> {
    let typed = |expr: Expr, own: &PgType, target: &PgType| {
        if own.oid == target.oid { expr } else { cast::cast_to(settings, expr, target) }
    };
    if float::is_float(left_type) || float::is_float(right_type) {
        let double = PgType::new(oids::FLOAT8);
        let key = |expr: Expr, own: &PgType| compare::key_of(typed(expr, own, &double), &double, false);
        return Ok(Some((key(left, left_type), key(right, right_type))));
    }
    let is_numeric = |side: &PgType| side.user.is_none() && side.oid == oids::NUMERIC;
    let numeric = is_numeric(left_type) || is_numeric(right_type);
    // What stands for NaN in storage is no number to give more digits.
    let rescaled = numeric && left_type.storage() != right_type.storage();
    if needs_key(left_type) || needs_key(right_type) || rescaled {
        let sides = (compare::key_of(left, left_type, numeric), compare::key_of(right, right_type, numeric));
        return Ok(Some(sides));
    }
    let blanks = |side: &PgType| side.user.is_none() && side.oid == oids::BPCHAR;
    if blanks(left_type) || blanks(right_type) {
        // Blanks at the end of a char(n) say nothing, nor do those of a varchar beside it.
        let trimmed = |expr: Expr, own: &PgType| match own.oid {
            oids::BPCHAR | oids::VARCHAR => rtrim(vec![expr]),
            _ => expr,
        };
        return Ok(Some((trimmed(left, left_type), trimmed(right, right_type))));
    }
    Ok(None)
}
