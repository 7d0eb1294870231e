//! `GROUP BY` and `DISTINCT` over types of which equal values are stored differently: `1.0` and `1.00`.

use std::sync::Arc;

use atoll_connector_api::types::key::{Comparison, comparison};
use atoll_connector_api::types::{PgType, oids};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::logical_expr::expr::{AggregateFunction, GroupingSet};
use datafusion::logical_expr::{Aggregate, Distinct, DistinctOn, Expr, LogicalPlan, LogicalPlanBuilder};

use super::compare::key_of;
use super::float::{has_one_zero, is_float, one_zero};
use super::type_of;
use crate::error::SqlError;

/// Whether values of a type are equal that are stored differently.
pub(super) fn groups_by_key(data_type: &PgType) -> bool {
    match data_type.element() {
        Some(element) => groups_by_key(&element),
        None => {
            comparison(data_type) == Comparison::Key
                && matches!(data_type.oid, oids::NUMERIC | oids::INTERVAL | oids::TIMETZ | oids::JSONB)
                || is_float(data_type)
        }
    }
}

/// What values of such a type are grouped by.
pub(super) fn group_key(expr: Expr, schema: &DFSchema) -> Expr {
    let data_type = type_of(&expr, schema);
    if data_type.as_ref().is_some_and(is_float) { one_zero(expr) } else { key_of(expr, false) }
}

/// `SELECT DISTINCT` over such types is `GROUP BY` all columns.
pub(super) fn distinct(distinct: Distinct) -> Result<Transformed<LogicalPlan>> {
    let input = match distinct {
        Distinct::All(input) => input,
        Distinct::On(on) => return distinct_on(on),
    };
    let distinct = Distinct::All(Arc::clone(&input));
    if !input.schema().fields().iter().any(|field| groups_by_key(&PgType::of_field(field))) {
        return Ok(Transformed::no(LogicalPlan::Distinct(distinct)));
    }
    let columns: Vec<Expr> = input.schema().columns().into_iter().map(Expr::Column).collect();
    let aggregate = Aggregate::try_new(input, columns, Vec::new())?;
    Ok(Transformed::yes(self::aggregate(aggregate)?.data))
}

/// `DISTINCT ON` compares keys and shows what the select list says.
fn distinct_on(mut on: DistinctOn) -> Result<Transformed<LogicalPlan>> {
    let schema = Arc::clone(on.input.schema());
    let mut changed = false;
    for expr in &mut on.on_expr {
        if type_of(expr, schema.as_ref()).is_some_and(|data_type| groups_by_key(&data_type)) {
            let key = group_key(expr.clone(), schema.as_ref());
            changed |= key != *expr;
            for sort in on.sort_expr.iter_mut().flatten().filter(|sort| sort.expr == *expr) {
                sort.expr = key.clone();
            }
            *expr = key;
        }
    }
    let plan = LogicalPlan::Distinct(Distinct::On(on));
    Ok(if changed { Transformed::yes(plan) } else { Transformed::no(plan) })
}

/// Groups by keys and shows of each group the first of its values.
pub(super) fn aggregate(aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
    let schema = aggregate.input.schema();
    let keyed: Vec<bool> = aggregate
        .group_expr
        .iter()
        .map(|expr| {
            !has_one_zero(expr) && type_of(expr, schema.as_ref()).is_some_and(|data_type| groups_by_key(&data_type))
        })
        .collect();
    let sets = aggregate.group_expr.iter().find_map(|expr| match expr {
        Expr::GroupingSet(GroupingSet::Cube(exprs) | GroupingSet::Rollup(exprs)) => Some(exprs.clone()),
        Expr::GroupingSet(GroupingSet::GroupingSets(sets)) => Some(sets.iter().flatten().cloned().collect()),
        _ => None,
    });
    if let Some(exprs) = sets {
        let any =
            exprs.iter().any(|expr| type_of(expr, schema.as_ref()).is_some_and(|data_type| groups_by_key(&data_type)));
        if any {
            return Err(SqlError::unsupported("grouping sets over numeric without precision are not supported").into());
        }
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    }
    if !keyed.contains(&true) {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    }
    let names: Vec<_> =
        aggregate.schema.iter().map(|(qualifier, field)| (qualifier.cloned(), field.name().clone())).collect();
    let mut groups = Vec::new();
    let mut aggregates = aggregate.aggr_expr.clone();
    let mut shown = Vec::new();
    for (index, expr) in aggregate.group_expr.iter().enumerate() {
        if keyed.get(index) == Some(&true) {
            groups.push(group_key(expr.clone(), schema.as_ref()).alias(format!("pg_key_{index}")));
            let name = format!("pg_group_{index}");
            aggregates.push(
                Expr::AggregateFunction(AggregateFunction::new_udf(
                    first_value_udaf(),
                    vec![expr.clone()],
                    false,
                    None,
                    Vec::new(),
                    None,
                ))
                .alias(name.clone()),
            );
            shown.push(Expr::Column(datafusion::common::Column::new_unqualified(name)));
        } else {
            groups.push(expr.clone());
            shown.push(column_of(expr));
        }
    }
    shown.extend(aggregate.aggr_expr.iter().map(column_of));
    let projected = shown
        .into_iter()
        .zip(names)
        .map(|(expr, (qualifier, name))| expr.alias_qualified(qualifier, name))
        .collect::<Vec<_>>();
    let grouped = Aggregate::try_new(Arc::clone(&aggregate.input), groups, aggregates)?;
    let plan = LogicalPlanBuilder::from(LogicalPlan::Aggregate(grouped)).project(projected)?.build()?;
    Ok(Transformed::yes(plan))
}

/// The output column of an aggregate's expression.
fn column_of(expr: &Expr) -> Expr {
    let (qualifier, name) = expr.qualified_name();
    Expr::Column(datafusion::common::Column::new(qualifier, name))
}
