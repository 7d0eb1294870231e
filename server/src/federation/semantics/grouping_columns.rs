//! Keys of grouping sets as columns of their own, so that what becomes of an expression changes no set.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::logical_expr::expr::{AggregateFunction, GroupingSet};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, LogicalPlanBuilder, when};

use super::grouping::{group_key, groups_by_key};
use super::{choice, type_of};

/// Names of columns that hold a key.
const KEY: &str = "\u{1}group";
/// Names of columns by which values are compared that are shown otherwise.
const COMPARED: &str = "\u{1}groupkey";
/// Names of columns that hold such values.
const VALUE: &str = "\u{1}groupvalue";

/// Projects the keys of grouping sets that are no columns beneath their aggregate.
///
/// # Errors
/// None of its own.
pub(super) fn name_keys(plan: LogicalPlan) -> Result<LogicalPlan> {
    let named = plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::Aggregate(aggregate) = &node else { return Ok(Transformed::no(node)) };
        let expressions = KeyColumns::of(aggregate, KEY, |key| !matches!(key, Expr::Column(_)));
        match expressions {
            Some(keys) => keys.aggregate(|key, _| key, false).map(Transformed::yes),
            None => Ok(Transformed::no(node)),
        }
    })?;
    Ok(named.data)
}

/// Groups by what equal values have in common, and shows the first of them; `None` where equal values are stored equally.
///
/// # Errors
/// None of its own.
pub(super) fn compared(aggregate: &Aggregate) -> Result<Option<LogicalPlan>> {
    let schema = aggregate.input.schema();
    let is_compared = |key: &Expr| matches!(key, Expr::Column(column) if column.name.starts_with(COMPARED));
    let keyed = |key: &Expr| !is_compared(key) && type_of(key, schema.as_ref()).is_some_and(|own| groups_by_key(&own));
    KeyColumns::of(aggregate, COMPARED, keyed).map(|keys| keys.aggregate(group_key, true)).transpose()
}

/// Keys of an aggregate's grouping sets that get columns.
struct KeyColumns<'a> {
    aggregate: &'a Aggregate,
    sets: &'a [Vec<Expr>],
    keys: Vec<Expr>,
    prefix: &'static str,
}

impl<'a> KeyColumns<'a> {
    /// `None` where none is picked.
    fn of(aggregate: &'a Aggregate, prefix: &'static str, picked: impl Fn(&Expr) -> bool) -> Option<Self> {
        let sets = aggregate.group_expr.iter().find_map(|expr| match expr {
            Expr::GroupingSet(GroupingSet::GroupingSets(sets)) => Some(sets.as_slice()),
            _ => None,
        })?;
        let mut keys: Vec<Expr> = Vec::new();
        for key in sets.iter().flatten() {
            if picked(key) && !keys.contains(key) {
                keys.push(key.clone());
            }
        }
        (!keys.is_empty()).then_some(Self { aggregate, sets, keys, prefix })
    }

    fn name(&self, index: usize) -> String {
        format!("{}{index}", self.prefix)
    }

    fn column_of(&self, key: &Expr) -> Expr {
        match self.keys.iter().position(|own| own == key) {
            Some(index) => Expr::Column(Column::new_unqualified(self.name(index))),
            None => key.clone(),
        }
    }

    /// The aggregate over the keys' columns, with the columns that it had. `shows`: of each group the first value.
    fn aggregate(&self, key_of: impl Fn(Expr, &DFSchema) -> Expr, shows: bool) -> Result<LogicalPlan> {
        let input = &self.aggregate.input;
        let keys = self.keys.iter().enumerate();
        let projected = input.schema().columns().into_iter().map(Expr::Column);
        let projected =
            projected.chain(keys.clone().map(|(i, key)| key_of(key.clone(), input.schema()).alias(self.name(i))));
        let below = LogicalPlanBuilder::from(input.as_ref().clone()).project(projected.collect::<Vec<_>>())?.build()?;
        let sets = self.sets.iter().map(|set| set.iter().map(|key| self.column_of(key)).collect()).collect();
        let mut calls = self.calls()?;
        if shows {
            calls.extend(keys.map(|(i, key)| {
                let first =
                    AggregateFunction::new_udf(first_value_udaf(), vec![key.clone()], false, None, vec![], None);
                Expr::AggregateFunction(first).alias(format!("{VALUE}{i}"))
            }));
        }
        let sets = vec![Expr::GroupingSet(GroupingSet::GroupingSets(sets))];
        let above = Aggregate::try_new(Arc::new(below), sets, calls)?;
        let shown = self.shown(&above, shows)?;
        LogicalPlanBuilder::from(LogicalPlan::Aggregate(above)).project(shown)?.build()
    }

    /// The aggregate's calls; what `grouping` is asked about is a key.
    fn calls(&self) -> Result<Vec<Expr>> {
        let names = NamePreserver::new(&LogicalPlan::Aggregate(self.aggregate.clone()));
        let calls = self.aggregate.aggr_expr.iter().map(|expr| {
            let name = names.save(expr);
            let call = expr.clone().transform_down(|expr| {
                Ok(match expr {
                    Expr::AggregateFunction(mut call) if call.func.name() == "grouping" => {
                        call.params.args = call.params.args.iter().map(|key| self.column_of(key)).collect();
                        Transformed::yes(Expr::AggregateFunction(call))
                    }
                    expr => Transformed::no(expr),
                })
            })?;
            Ok(name.restore(call.data))
        });
        calls.collect()
    }

    /// The columns that the aggregate had, of those that it has.
    fn shown(&self, above: &Aggregate, values: bool) -> Result<Vec<Expr>> {
        let mut shown = Vec::new();
        for (index, (qualifier, field)) in self.aggregate.schema.iter().enumerate() {
            // It is read by what resolves `grouping`, beneath this.
            if field.name() == Aggregate::INTERNAL_GROUPING_ID {
                continue;
            }
            let column = Column::from(above.schema.qualified_field(index));
            let key = (0..self.keys.len()).find(|key| values && column.name == self.name(*key));
            let expr = match key {
                Some(key) => {
                    let own = type_of(&self.keys[key], self.aggregate.input.schema().as_ref());
                    let value = Expr::Column(Column::new_unqualified(format!("{VALUE}{key}")));
                    let null = Expr::Literal(ScalarValue::try_from(field.data_type())?, None);
                    // Of a set without the key, any value would be the first.
                    let shown = when(Expr::Column(column).is_null(), null).otherwise(value)?;
                    match own {
                        Some(own) => choice::typed(shown, &own)?,
                        None => shown,
                    }
                }
                None => Expr::Column(column),
            };
            shown.push(expr.alias_qualified(qualifier.cloned(), field.name()));
        }
        Ok(shown)
    }
}
