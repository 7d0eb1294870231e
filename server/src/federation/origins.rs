//! Which relation's column a result's column is, for clients that ask: PostgreSQL's `markTargetListOrigin`.

use std::collections::HashMap;

use datafusion::common::{Column as DfColumn, JoinType};
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan};

use super::pg_catalog;
use super::planner::Named;
use super::provider::{RelationKey, relation_key};
use crate::catalog::model::{Column, Object};

/// The OID of a relation and the number of a column of it; zeros for what is computed.
pub(super) type Origin = (u32, i16);

/// What a plan's relations are.
pub(super) struct Origins<'a> {
    /// The relations that the query names.
    pub(super) named: &'a HashMap<RelationKey, Named>,
    /// Names of common table expressions, which hide relations.
    pub(super) ctes: &'a [String],
}

impl Origins<'_> {
    /// The origins of all columns of a plan.
    pub(super) fn of(&self, plan: &LogicalPlan) -> Vec<Origin> {
        (0..plan.schema().fields().len()).map(|index| self.column(plan, index).unwrap_or((0, 0))).collect()
    }

    fn column(&self, plan: &LogicalPlan, index: usize) -> Option<Origin> {
        match plan {
            LogicalPlan::Projection(projection) => self.expression(&projection.input, projection.expr.get(index)?),
            LogicalPlan::Distinct(Distinct::On(distinct)) => {
                self.expression(&distinct.input, distinct.select_expr.get(index)?)
            }
            LogicalPlan::Aggregate(aggregate) => self.expression(&aggregate.input, aggregate.group_expr.get(index)?),
            LogicalPlan::Filter(filter) => self.column(&filter.input, index),
            LogicalPlan::Sort(sort) => self.column(&sort.input, index),
            LogicalPlan::Limit(limit) => self.column(&limit.input, index),
            LogicalPlan::Distinct(Distinct::All(input)) => self.column(input, index),
            // The window's own columns stand behind its input's.
            LogicalPlan::Window(window) if index < window.input.schema().fields().len() => {
                self.column(&window.input, index)
            }
            LogicalPlan::Join(join) => {
                let left = join.left.schema().fields().len();
                match join.join_type {
                    JoinType::RightSemi | JoinType::RightAnti => self.column(&join.right, index),
                    _ if index < left => self.column(&join.left, index),
                    JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
                        self.column(&join.right, index - left)
                    }
                    _ => None,
                }
            }
            LogicalPlan::SubqueryAlias(alias) => {
                let key = relation_key(&alias.alias);
                let hidden = matches!(&key[..], [only] if self.ctes.contains(only));
                // A view's plan stands in its place, under its name and with its columns.
                if !hidden
                    && let Some(Named::Stored(object)) = self.named.get(&key)
                    && let Object::View(view) = object.as_ref()
                    && view.columns.len() == plan.schema().fields().len()
                    && view
                        .columns
                        .iter()
                        .zip(plan.schema().fields())
                        .all(|(column, field)| column.name == *field.name())
                {
                    return view.columns.get(index).map(|column| (view.header.oid, column.number));
                }
                self.column(&alias.input, index)
            }
            LogicalPlan::TableScan(scan) => {
                let name = scan.projected_schema.field(index).name();
                let numbered = |columns: &[Column]| columns.iter().find(|c| c.name == *name).map(|c| c.number);
                match self.named.get(&relation_key(&scan.table_name))? {
                    Named::Stored(object) => match object.as_ref() {
                        Object::ForeignTable(table) => Some((table.header.oid, numbered(&table.columns)?)),
                        Object::View(view) => Some((view.header.oid, numbered(&view.columns)?)),
                        _ => None,
                    },
                    Named::System(schema, relation) => pg_catalog::column_origin(schema, relation, name),
                    Named::Live(..) => None,
                }
            }
            _ => None,
        }
    }

    fn expression(&self, input: &LogicalPlan, expr: &Expr) -> Option<Origin> {
        match expr {
            Expr::Alias(alias) => self.expression(input, &alias.expr),
            Expr::Column(column) => self.column(input, position(input, column)?),
            _ => None,
        }
    }
}

fn position(plan: &LogicalPlan, column: &DfColumn) -> Option<usize> {
    plan.schema().maybe_index_of_column(column)
}
