//! `GROUP BY` and `DISTINCT` over types of which equal values are stored differently: `1.0` and `1.00`.

use std::sync::Arc;

use atoll_connector_api::types::key::{Comparison, comparison};
use atoll_connector_api::types::{PgType, oids};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, DFSchema};
use datafusion::error::Result;
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::logical_expr::expr::{AggregateFunction, Sort};
use datafusion::logical_expr::{Aggregate, Distinct, DistinctOn, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder};

use super::analyzer::order_by_keys;
use super::compare::key_of;
use super::float::{has_one_zero, is_float, one_zero};
use super::{grouping_columns, type_of};
use crate::error::{SqlError, SqlState};

/// Whether values of a type are equal that are stored differently.
pub(super) fn groups_by_key(data_type: &PgType) -> bool {
    match data_type.element() {
        Some(element) => element.oid == oids::BPCHAR || groups_by_key(&element),
        None => {
            comparison(data_type) == Comparison::Key
                && matches!(
                    data_type.oid,
                    oids::NUMERIC
                        | oids::INTERVAL
                        | oids::TIMETZ
                        | oids::JSONB
                        | oids::BPCHAR
                        | NUMRANGE
                        | NUMMULTIRANGE
                )
                || is_float(data_type)
        }
    }
}

/// Ranges of `numeric`, which are equal however many zeros their bounds end in.
const NUMRANGE: u32 = 3906;
const NUMMULTIRANGE: u32 = 4532;

/// What values of such a type are grouped by.
pub(super) fn group_key(expr: Expr, schema: &DFSchema) -> Expr {
    match type_of(&expr, schema) {
        Some(data_type) if !is_float(&data_type) => key_of(expr, &data_type, false),
        _ => one_zero(expr),
    }
}

/// The type of an expression by which rows are grouped or ordered, and how it compares; `None` where DataFusion knows
/// better: lists and records that catalogs make up.
fn compared(expr: &Expr, schema: &DFSchema) -> Option<(PgType, Comparison)> {
    let (_, field) = expr.to_field(schema).ok()?;
    let data_type = PgType::of_field(&field);
    (!field.data_type().is_nested()).then(|| {
        let comparison = comparison(&data_type);
        (data_type, comparison)
    })
}

fn shown(data_type: &PgType) -> String {
    PgType { modifier: -1, ..data_type.clone() }.sql_name()
}

/// Refuses to find equal values of types that have no equality, or none that is known here.
pub(super) fn check_equality(expr: &Expr, schema: &DFSchema) -> Result<()> {
    match compared(expr, schema) {
        Some((data_type, Comparison::None)) => Err(SqlError::new(
            SqlState::UNDEFINED_FUNCTION,
            format!("could not identify an equality operator for type {}", shown(&data_type)),
        )
        .into()),
        Some((data_type, Comparison::Unknown)) => {
            Err(SqlError::unsupported(format!("comparing values of type {} is not supported", shown(&data_type)))
                .into())
        }
        _ => Ok(()),
    }
}

/// Refuses to order values of types that have no order, or none that is known here.
pub(super) fn check_order(expr: &Expr, schema: &DFSchema) -> Result<()> {
    match compared(expr, schema) {
        Some((data_type, Comparison::None)) => Err(SqlError::new(
            SqlState::UNDEFINED_FUNCTION,
            format!("could not identify an ordering operator for type {}", shown(&data_type)),
        )
        .hint("Use an explicit ordering operator or modify the query.")
        .into()),
        Some((data_type, Comparison::Unknown | Comparison::EqualityOnly)) => {
            Err(SqlError::unsupported(format!("ordering values of type {} is not supported", shown(&data_type))).into())
        }
        _ => Ok(()),
    }
}

/// `SELECT DISTINCT` over such types is `GROUP BY` all columns.
pub(super) fn distinct(distinct: Distinct) -> Result<Transformed<LogicalPlan>> {
    let input = match distinct {
        Distinct::All(input) => input,
        Distinct::On(on) => return distinct_on(on),
    };
    let distinct = Distinct::All(Arc::clone(&input));
    for column in input.schema().columns() {
        check_equality(&Expr::Column(column), input.schema())?;
    }
    if !input.schema().fields().iter().any(|field| groups_by_key(&PgType::of_field(field))) {
        return Ok(Transformed::no(LogicalPlan::Distinct(distinct)));
    }
    let columns: Vec<Expr> = input.schema().columns().into_iter().map(Expr::Column).collect();
    let aggregate = Aggregate::try_new(input, columns, Vec::new())?;
    Ok(Transformed::yes(self::aggregate(aggregate)?.data))
}

/// `DISTINCT ON`: of each group of its keys the first row in the statement's order.
fn distinct_on(on: DistinctOn) -> Result<Transformed<LogicalPlan>> {
    let schema = Arc::clone(on.input.schema());
    let bare = |expr: &Expr| expr.clone().unalias();
    let mut order: Vec<Sort> =
        on.sort_expr.iter().flatten().map(|sort| Sort { expr: bare(&sort.expr), ..sort.clone() }).collect();
    let written: Vec<Expr> = order.iter().map(|sort| sort.expr.clone()).collect();
    order_by_keys(&mut order, schema.as_ref(), false)?;
    // A key that is named twice decides nothing, and the aggregate takes each once.
    let mut deciding: Vec<Sort> = Vec::with_capacity(order.len());
    for sort in &order {
        if deciding.iter().all(|known| known.expr != sort.expr) {
            deciding.push(sort.clone());
        }
    }
    let mut groups = Vec::with_capacity(on.on_expr.len());
    let mut sorted = Vec::new();
    for (index, expr) in on.on_expr.iter().map(bare).enumerate() {
        check_equality(&expr, schema.as_ref())?;
        let name = format!("pg_on_{index}");
        let keyed = type_of(&expr, schema.as_ref())
            .is_some_and(|data_type| comparison(&data_type) == Comparison::Key || groups_by_key(&data_type));
        let key = if keyed { group_key(expr.clone(), schema.as_ref()) } else { expr.clone() };
        groups.push(key.alias(name.clone()));
        if let Some((place, sort)) = order.iter().enumerate().find(|(place, _)| written.get(*place) == Some(&expr)) {
            sorted.push((place, Sort { expr: Expr::Column(Column::new_unqualified(name)), ..sort.clone() }));
        }
    }
    sorted.sort_by_key(|(place, _)| *place);
    let mut values = Vec::with_capacity(on.select_expr.len());
    let mut projected = Vec::with_capacity(on.select_expr.len());
    for (index, (expr, (qualifier, field))) in on.select_expr.iter().zip(on.schema.iter()).enumerate() {
        let name = format!("pg_value_{index}");
        values.push(
            Expr::AggregateFunction(AggregateFunction::new_udf(
                first_value_udaf(),
                vec![bare(expr)],
                false,
                None,
                deciding.clone(),
                None,
            ))
            .alias(name.clone()),
        );
        projected.push(
            Expr::Column(Column::new_unqualified(name)).alias_qualified(qualifier.cloned(), field.name().clone()),
        );
    }
    let grouped = LogicalPlan::Aggregate(Aggregate::try_new(Arc::clone(&on.input), groups, values)?);
    let mut plan = LogicalPlanBuilder::from(grouped);
    if !sorted.is_empty() {
        plan = plan.sort(sorted.into_iter().map(|(_, sort)| sort))?;
    }
    Ok(Transformed::yes(plan.project(projected)?.build()?))
}

/// Groups by keys and shows of each group the first of its values.
pub(super) fn aggregate(aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
    let schema = aggregate.input.schema();
    for expr in &aggregate.group_expr {
        check_equality(expr, schema)?;
    }
    let keyed: Vec<bool> = aggregate
        .group_expr
        .iter()
        .map(|expr| {
            !has_one_zero(expr) && type_of(expr, schema.as_ref()).is_some_and(|data_type| groups_by_key(&data_type))
        })
        .collect();
    let is_of_sets = aggregate.group_expr.iter().any(|expr| matches!(expr, Expr::GroupingSet(_)));
    if is_of_sets {
        return Ok(match grouping_columns::compared(&aggregate)? {
            Some(plan) => Transformed::yes(plan),
            None => Transformed::no(LogicalPlan::Aggregate(aggregate)),
        });
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
            shown.push(Expr::Column(Column::new_unqualified(name)));
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
    Expr::Column(Column::new(qualifier, name))
}
