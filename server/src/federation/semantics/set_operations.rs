//! `UNION`, `INTERSECT` and `EXCEPT`: columns in the type they have in common, and rows as often as `ALL` says.
//!
//! DataFusion plans `EXCEPT ALL` and `INTERSECT ALL` as anti and semi joins, which keep or drop all copies of a row. With
//! the number of the copy among its like as one more join key, copies pair up one by one, as the standard counts them.

use std::sync::Arc;

use arrow::datatypes::DataType;
use atoll_connector_api::types::PgType;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, JoinType, NullEquality, ScalarValue};
use datafusion::error::Result;
use datafusion::functions_window::row_number::row_number;
use datafusion::logical_expr::{Distinct, Expr, ExprFunctionExt, Join, LogicalPlan, LogicalPlanBuilder, Union};

use super::{Settings, cast, choice, parameters};
use crate::error::{SqlError, SqlState};

/// The column that numbers the copies of a row.
const COPY: &str = "\u{1}copy";

/// The columns of a union's parts in the type that they have in common.
pub(super) fn union(settings: &Settings, union: Union) -> Result<Transformed<LogicalPlan>> {
    let inputs: Vec<&LogicalPlan> = union.inputs.iter().map(AsRef::as_ref).collect();
    let targets = common_types(&inputs, "UNION")?;
    if targets.iter().all(Option::is_none) {
        return Ok(Transformed::no(LogicalPlan::Union(union)));
    }
    let inputs = inputs
        .into_iter()
        .map(|input| aligned(settings, input.clone(), &targets).map(Arc::new))
        .collect::<Result<Vec<_>>>()?;
    Ok(Transformed::yes(LogicalPlan::Union(Union::try_new(inputs)?)))
}

/// The join of `INTERSECT` or `EXCEPT`, which no other clause makes.
pub(super) fn join(settings: &Settings, join: Join) -> Result<Transformed<LogicalPlan>> {
    let set_operation = join.null_equality == NullEquality::NullEqualsNull
        && matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti)
        && join.filter.is_none()
        && join.on.len() == join.left.schema().fields().len()
        && join.on.len() == join.right.schema().fields().len();
    let numbered = join.left.schema().fields().iter().any(|field| field.name() == COPY);
    if !set_operation || numbered {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    }
    let (distinct, left) = match join.left.as_ref() {
        LogicalPlan::Distinct(Distinct::All(input)) => (true, input.as_ref().clone()),
        left => (false, left.clone()),
    };
    let name = if join.join_type == JoinType::LeftSemi { "INTERSECT" } else { "EXCEPT" };
    let targets = common_types(&[&left, join.right.as_ref()], name)?;
    let same = targets.iter().all(Option::is_none);
    if distinct && same {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    }
    let (left, right) = if same {
        (left, join.right.as_ref().clone())
    } else {
        (aligned(settings, left, &targets)?, aligned(settings, join.right.as_ref().clone(), &targets)?)
    };
    if distinct {
        let left = LogicalPlanBuilder::from(left).distinct()?.build()?;
        return Ok(Transformed::yes(joined(left, right, join.join_type)?));
    }
    let shown: Vec<Expr> = left.schema().columns().into_iter().map(Expr::Column).collect();
    let plan = joined(numbered_copies(left)?, numbered_copies(right)?, join.join_type)?;
    Ok(Transformed::yes(LogicalPlanBuilder::from(plan).project(shown)?.build()?))
}

fn joined(left: LogicalPlan, right: LogicalPlan, join_type: JoinType) -> Result<LogicalPlan> {
    let keys = (left.schema().columns(), right.schema().columns());
    LogicalPlanBuilder::from(left).join_detailed(right, join_type, keys, None, NullEquality::NullEqualsNull)?.build()
}

fn numbered_copies(plan: LogicalPlan) -> Result<LogicalPlan> {
    let columns: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
    let number = row_number().partition_by(columns.clone()).build()?.alias(COPY);
    let name = number.clone().unalias().schema_name().to_string();
    let windowed = LogicalPlanBuilder::from(plan).window(vec![number.unalias()])?;
    let shown = columns.into_iter().chain([Expr::Column(Column::new_unqualified(name)).alias(COPY)]);
    windowed.project(shown.collect::<Vec<_>>())?.build()
}

/// The type of each column that is not the same in all inputs.
fn common_types(inputs: &[&LogicalPlan], operation: &str) -> Result<Vec<Option<PgType>>> {
    let columns = inputs.iter().map(|input| input.schema().fields().len()).min().unwrap_or(0);
    let mut targets: Vec<Option<PgType>> = Vec::with_capacity(columns);
    for index in 0..columns {
        let fields: Vec<_> = inputs.iter().map(|input| input.schema().field(index)).collect();
        let unknown: Vec<bool> = inputs.iter().map(|input| is_unknown(input, index)).collect();
        let mut types =
            fields.iter().zip(&unknown).filter(|(_, unknown)| !**unknown).map(|(field, _)| PgType::of_field(field));
        let Some(first) = types.next() else {
            targets.push(None);
            continue;
        };
        let common = types.try_fold(first.clone(), |common, next| {
            choice::unify(&common, &next).ok_or_else(|| {
                let name = |data_type: &PgType| PgType { modifier: -1, ..data_type.clone() }.sql_name();
                SqlError::new(
                    SqlState::DATATYPE_MISMATCH,
                    format!("{operation} types {} and {} cannot be matched", name(&common), name(&next)),
                )
            })
        })?;
        // A literal has no modifier, and must not be cut to the others'.
        let common = if unknown.contains(&true) { PgType { modifier: -1, ..common } } else { common };
        let storage = fields.first().map(|field| field.data_type());
        let same = !unknown.contains(&true)
            && fields.iter().all(|field| PgType::of_field(field) == common && Some(field.data_type()) == storage);
        targets.push((!same && common.user.is_none()).then_some(common));
    }
    Ok(targets)
}

/// Whether a column is an untyped literal, which takes the type of the other parts.
fn is_unknown(plan: &LogicalPlan, index: usize) -> bool {
    if plan.schema().field(index).data_type() == &DataType::Null {
        return true;
    }
    let projection = match plan {
        LogicalPlan::Projection(projection) => projection,
        LogicalPlan::SubqueryAlias(alias) => return is_unknown(&alias.input, index),
        LogicalPlan::Distinct(Distinct::All(input)) => return is_unknown(input, index),
        _ => return false,
    };
    let literal = |expr: &Expr| {
        matches!(expr, Expr::Literal(ScalarValue::Utf8(_) | ScalarValue::Utf8View(_) | ScalarValue::Null, None))
    };
    projection.expr.get(index).is_some_and(|expr| literal(&expr.clone().unalias_nested().data))
}

fn aligned(settings: &Settings, input: LogicalPlan, targets: &[Option<PgType>]) -> Result<LogicalPlan> {
    let input = parameters::columns(input, targets)?.recompute_schema()?;
    let exprs: Vec<Expr> = input
        .schema()
        .iter()
        .zip(targets)
        .map(|((qualifier, field), target)| {
            let column = Expr::Column(Column::new(qualifier.cloned(), field.name()));
            match target {
                Some(target) => {
                    cast::cast_to(settings, column, target).alias_qualified(qualifier.cloned(), field.name())
                }
                None => column,
            }
        })
        .collect();
    LogicalPlanBuilder::from(input).project(exprs)?.build()
}
