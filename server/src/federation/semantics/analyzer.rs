//! The analyzer's first rule: PostgreSQL's comparisons where no binary operator is written.

use std::sync::Arc;

use arrow::datatypes::DataType;
use atoll_connector_api::types::PgType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::functions::encoding::expr_fn::encode;
use datafusion::logical_expr::expr::{
    AggregateFunction, Between, BinaryExpr, InList, Placeholder, ScalarFunction, Sort, WindowFunction,
};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, Join, LogicalPlan, LogicalPlanBuilder, Operator, Sort as SortPlan, Union, lit};
use datafusion::optimizer::AnalyzerRule;

use super::operators::{needs_key, plan_comparison, take_type};
use super::{Operand, Settings, any, cast, choice, compare, datetime, grouping, operand, type_of};
use crate::error::{SqlError, SqlState};

/// The rule's name.
pub(super) const NAME: &str = "postgres_comparisons";

/// The rule.
#[derive(Debug)]
pub(super) struct PostgresComparisons {
    settings: Settings,
}

impl PostgresComparisons {
    pub(super) const fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl AnalyzerRule for PostgresComparisons {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        Ok(plan.transform_up_with_subqueries(|node| self.node(node))?.data)
    }

    fn name(&self) -> &str {
        NAME
    }
}

impl PostgresComparisons {
    fn node(&self, plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        let mut schema = merge_schema(&plan.inputs());
        if let LogicalPlan::TableScan(scan) = &plan {
            let source = DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())?;
            schema.merge(&source);
        }
        let names = NamePreserver::new(&plan);
        let plan = plan.map_expressions(|expr| {
            let name = names.save(&expr);
            Ok(expr.transform_up(|expr| self.expression(expr, &schema))?.update_data(|expr| name.restore(expr)))
        })?;
        let plan = plan.transform_data(|plan| match plan {
            LogicalPlan::Sort(sort) => Ok(sort_by_keys(sort, &schema)),
            LogicalPlan::Join(join) => join_by_keys(join),
            LogicalPlan::Aggregate(aggregate) => grouping::aggregate(aggregate),
            LogicalPlan::Union(union) => self.union(union),
            LogicalPlan::Distinct(distinct) => grouping::distinct(distinct),
            plan => Ok(Transformed::no(plan)),
        })?;
        // A child may have changed its types though this node did not change.
        plan.map_data(LogicalPlan::recompute_schema)
    }

    /// The columns of a union's parts in the type that they have in common.
    fn union(&self, union: Union) -> Result<Transformed<LogicalPlan>> {
        let columns = union.inputs.iter().map(|input| input.schema().fields().len()).min().unwrap_or(0);
        let mut targets: Vec<Option<PgType>> = Vec::with_capacity(columns);
        for index in 0..columns {
            let fields: Vec<_> = union.inputs.iter().map(|input| input.schema().field(index)).collect();
            let mut types =
                fields.iter().filter(|field| field.data_type() != &DataType::Null).map(|field| PgType::of_field(field));
            let Some(first) = types.next() else {
                targets.push(None);
                continue;
            };
            let common = types.try_fold(first.clone(), |common, next| {
                choice::unify(&common, &next).ok_or_else(|| {
                    let name = |data_type: &PgType| PgType { modifier: -1, ..data_type.clone() }.sql_name();
                    SqlError::new(
                        SqlState::DATATYPE_MISMATCH,
                        format!("UNION types {} and {} cannot be matched", name(&common), name(&next)),
                    )
                })
            })?;
            let storage = fields.first().map(|field| field.data_type());
            let same =
                fields.iter().all(|field| PgType::of_field(field) == common && Some(field.data_type()) == storage);
            targets.push((!same && common.user.is_none()).then_some(common));
        }
        if targets.iter().all(Option::is_none) {
            return Ok(Transformed::no(LogicalPlan::Union(union)));
        }
        let mut inputs = Vec::with_capacity(union.inputs.len());
        for input in &union.inputs {
            let exprs: Vec<Expr> = input
                .schema()
                .iter()
                .zip(&targets)
                .map(|((qualifier, field), target)| {
                    let column = Expr::Column(Column::new(qualifier.cloned(), field.name()));
                    match target {
                        Some(target) => cast::cast_to(&self.settings, column, target)
                            .alias_qualified(qualifier.cloned(), field.name()),
                        None => column,
                    }
                })
                .collect();
            inputs.push(Arc::new(LogicalPlanBuilder::from(input.as_ref().clone()).project(exprs)?.build()?));
        }
        Ok(Transformed::yes(LogicalPlan::Union(Union::try_new(inputs)?)))
    }

    fn expression(&self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        if let Some(planned) = datetime::plan_call(&expr, schema)? {
            return Ok(Transformed::yes(planned));
        }
        if let Some(planned) = datetime::plan_printing(&self.settings, &expr, schema) {
            return Ok(Transformed::yes(planned));
        }
        match expr {
            Expr::Between(between) => self.between(between, schema),
            Expr::InList(list) => self.in_list(list, schema),
            Expr::AggregateFunction(call)
                if call.params.distinct
                    && matches!(call.func.name(), "sum" | "avg")
                    && call
                        .params
                        .args
                        .first()
                        .and_then(|arg| type_of(arg, schema))
                        .is_some_and(|own| matches!(own.oid, atoll_connector_api::types::oids::INTERVAL)) =>
            {
                // Equal intervals are stored differently, and which of them counts nobody knows.
                let message = format!("{}(DISTINCT interval) is not supported", call.func.name());
                Err(SqlError::unsupported(message).into())
            }
            Expr::AggregateFunction(call) => Ok(count_distinct(call, schema)),
            Expr::WindowFunction(call) => Ok(window_by_keys(call, schema)),
            Expr::BinaryExpr(BinaryExpr { left, op, right })
                if matches!(op, Operator::IsDistinctFrom | Operator::IsNotDistinctFrom) =>
            {
                let before = Expr::BinaryExpr(BinaryExpr { left: left.clone(), op, right: right.clone() });
                let after = plan_comparison(&self.settings, *left, op, *right, schema)?;
                Ok(if after == before { Transformed::no(before) } else { Transformed::yes(after) })
            }
            Expr::ScalarFunction(ScalarFunction { func, args })
                if func.name() == any::ANY || func.name() == any::ALL =>
            {
                any::plan(&self.settings, func, args, schema)
            }
            Expr::ScalarFunction(ScalarFunction { func, args }) if func.name() == cast::NAME => {
                let args = self.typed_parameter(args)?;
                let call = Expr::ScalarFunction(ScalarFunction { func, args });
                cast::fold(&self.settings, call).map(Transformed::yes)
            }
            expr => Ok(Transformed::no(expr)),
        }
    }

    /// `$1::integer` says what `$1` is.
    fn typed_parameter(&self, args: Vec<Expr>) -> Result<Vec<Expr>> {
        let ([Expr::Placeholder(placeholder), Expr::Literal(name, _)], None) =
            (args.as_slice(), args.first().and_then(placeholder_field))
        else {
            return Ok(args);
        };
        let data_type = self.settings.resolve(name.try_as_str().flatten().unwrap_or_default())?;
        let bare = PgType { modifier: -1, ..data_type };
        let field = Arc::new(bare.field(&placeholder.id, true));
        let typed = Expr::Placeholder(Placeholder::new_with_field(placeholder.id.clone(), Some(field)));
        Ok(std::iter::once(typed).chain(args.into_iter().skip(1)).collect())
    }

    fn between(&self, between: Between, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let Between { expr, negated, low, high } = between;
        let settings = &self.settings;
        let lower = plan_comparison(settings, (*expr).clone(), Operator::GtEq, (*low).clone(), schema)?;
        let upper = plan_comparison(settings, (*expr).clone(), Operator::LtEq, (*high).clone(), schema)?;
        // Plain comparisons stay BETWEEN, which connectors and DataFusion read more easily.
        if let (Expr::BinaryExpr(lower), Expr::BinaryExpr(upper)) = (&lower, &upper)
            && lower.left == expr
            && upper.left == expr
        {
            let changed = *lower.right != *low || *upper.right != *high;
            let between = Expr::Between(Between { expr, negated, low: lower.right.clone(), high: upper.right.clone() });
            return Ok(if changed { Transformed::yes(between) } else { Transformed::no(between) });
        }
        let both = lower.and(upper);
        Ok(Transformed::yes(if negated { Expr::Not(Box::new(both)) } else { both }))
    }

    fn in_list(&self, list: InList, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let InList { expr, list, negated } = list;
        let Some(Operand::Typed(data_type)) = operand(&expr, schema) else {
            return Ok(Transformed::no(Expr::InList(InList { expr, list, negated })));
        };
        let mixed = || list.iter().any(|item| datetime::are_mixed(&data_type, type_of(item, schema).as_ref()));
        if needs_key(&data_type) || mixed() {
            let mut parts = list
                .into_iter()
                .map(|item| plan_comparison(&self.settings, (*expr).clone(), Operator::Eq, item, schema))
                .collect::<Result<Vec<_>>>()?
                .into_iter();
            let Some(first) = parts.next() else {
                return Ok(Transformed::yes(Expr::Literal(ScalarValue::Boolean(Some(negated)), None)));
            };
            let any = parts.fold(first, Expr::or);
            return Ok(Transformed::yes(if negated { Expr::Not(Box::new(any)) } else { any }));
        }
        let mut changed = false;
        let mut items = Vec::with_capacity(list.len());
        for item in list {
            if operand(&item, schema) == Some(Operand::Unknown) {
                let typed = take_type(&self.settings, item.clone(), &data_type)?;
                changed |= typed != item;
                items.push(typed);
            } else {
                items.push(item);
            }
        }
        let list = Expr::InList(InList { expr, list: items, negated });
        Ok(if changed { Transformed::yes(list) } else { Transformed::no(list) })
    }
}

/// The order and partitions of a window.
fn window_by_keys(mut call: Box<WindowFunction>, schema: &DFSchema) -> Transformed<Expr> {
    let mut changed = order_by_keys(&mut call.params.order_by, schema);
    if changed {
        // Frames of ranges take text, not bytes: in hexadecimal the order is the same.
        for item in &mut call.params.order_by {
            if matches!(&item.expr, Expr::ScalarFunction(call) if call.func.name() == compare::KEY) {
                item.expr = encode(item.expr.clone(), lit("hex"));
            }
        }
    }
    for expr in &mut call.params.partition_by {
        if type_of(expr, schema).is_some_and(|data_type| grouping::groups_by_key(&data_type)) {
            *expr = compare::key_of(expr.clone(), false);
            changed = true;
        }
    }
    let call = Expr::WindowFunction(call);
    if changed { Transformed::yes(call) } else { Transformed::no(call) }
}

fn order_by_keys(order: &mut [Sort], schema: &DFSchema) -> bool {
    let mut changed = false;
    for item in order {
        if type_of(&item.expr, schema).is_some_and(|data_type| needs_key(&data_type)) {
            item.expr = compare::key_of(item.expr.clone(), false);
            changed = true;
        }
    }
    changed
}

/// `count(DISTINCT …)` counts keys where equal values are stored differently.
fn count_distinct(mut call: AggregateFunction, schema: &DFSchema) -> Transformed<Expr> {
    let ordered = order_by_keys(&mut call.params.order_by, schema);
    let keyed = call.params.distinct
        && call.func.name() == "count"
        && call
            .params
            .args
            .first()
            .and_then(|arg| type_of(arg, schema))
            .is_some_and(|data_type| grouping::groups_by_key(&data_type));
    if !keyed {
        let call = Expr::AggregateFunction(call);
        return if ordered { Transformed::yes(call) } else { Transformed::no(call) };
    }
    call.params.args = call.params.args.into_iter().map(|arg| compare::key_of(arg, false)).collect();
    Transformed::yes(Expr::AggregateFunction(call))
}

fn placeholder_field(expr: &Expr) -> Option<&Arc<arrow::datatypes::Field>> {
    match expr {
        Expr::Placeholder(placeholder) => placeholder.field.as_ref(),
        _ => None,
    }
}

/// ORDER BY of a type whose storage has another order.
fn sort_by_keys(mut sort: SortPlan, schema: &DFSchema) -> Transformed<LogicalPlan> {
    let changed = order_by_keys(&mut sort.expr, schema);
    if changed { Transformed::yes(LogicalPlan::Sort(sort)) } else { Transformed::no(LogicalPlan::Sort(sort)) }
}

/// Join keys that are columns: `USING`, `NATURAL`, set operations.
fn join_by_keys(mut join: Join) -> Result<Transformed<LogicalPlan>> {
    let mut changed = false;
    for (left, right) in &mut join.on {
        let types = (type_of(left, join.left.schema()), type_of(right, join.right.schema()));
        let (Some(left_type), Some(right_type)) = types else { continue };
        if needs_key(&left_type) || needs_key(&right_type) {
            let numeric = left_type.oid == atoll_connector_api::types::oids::NUMERIC
                || right_type.oid == atoll_connector_api::types::oids::NUMERIC;
            *left = compare::key_of(left.clone(), numeric);
            *right = compare::key_of(right.clone(), numeric);
            changed = true;
        }
    }
    Ok(if changed { Transformed::yes(LogicalPlan::Join(join)) } else { Transformed::no(LogicalPlan::Join(join)) })
}
