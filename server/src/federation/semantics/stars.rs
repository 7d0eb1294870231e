//! `*` and `t.*` as the columns that they cover, and NATURAL joins as USING: so PostgreSQL writes a view's text.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, JoinConstraint, JoinOperator, ObjectName, Query, Select, SelectItem, SetExpr, TableFactor,
    TableWithJoins, VisitMut as _, VisitorMut, WildcardAdditionalOptions,
};

use super::around::Around;
use super::join_using::Describe;
use super::rewrite;
use crate::federation::naming;
use crate::federation::pg_catalog::output_name;
use crate::statement::tree::constraint_mut;

/// Writes the stars of a query out. One whose FROM cannot be planned alone stays as it is.
pub fn expand_stars(query: &mut Query, describe: &Describe<'_>) {
    let _ = query.visit(&mut Expander { describe, around: Around::default() });
}

struct Expander<'a> {
    describe: &'a Describe<'a>,
    around: Around,
}

impl VisitorMut for Expander<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.around.enter(query);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.around.leave(query);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.from {
            self.name_common_columns(item);
        }
        if !select.projection.iter().any(is_star) {
            return ControlFlow::Continue(());
        }
        let mut expanded = Vec::with_capacity(select.projection.len());
        for item in &select.projection {
            match is_star(item).then(|| self.covered(select, item)) {
                None => expanded.push(item.clone()),
                Some(Some(columns)) => expanded.extend(columns),
                Some(None) => return ControlFlow::Continue(()),
            }
        }
        // A table may have no column at all; a select list may not be empty.
        if !expanded.is_empty() {
            select.projection = expanded;
        }
        ControlFlow::Continue(())
    }
}

impl Expander<'_> {
    /// `NATURAL JOIN` as `JOIN … USING`, for which columns that come later mean nothing either.
    fn name_common_columns(&self, item: &mut TableWithJoins) {
        for factor in std::iter::once(&mut item.relation).chain(item.joins.iter_mut().map(|join| &mut join.relation)) {
            if let TableFactor::NestedJoin { table_with_joins, .. } = factor {
                self.name_common_columns(table_with_joins);
            }
        }
        for index in 0..item.joins.len() {
            let Some((before, [join, ..])) = item.joins.split_at_mut_checked(index) else { return };
            let Some(constraint) = natural(&mut join.join_operator) else { continue };
            let left = TableWithJoins { relation: item.relation.clone(), joins: before.to_vec() };
            let right = TableWithJoins { relation: join.relation.clone(), joins: Vec::new() };
            let (Some(left), Some(right)) = (self.names(left), self.names(right)) else { return };
            let common: Vec<ObjectName> = left
                .iter()
                .filter(|name| right.contains(name))
                .map(|name| ObjectName::from(vec![Ident::with_quote('"', name)]))
                .collect();
            if !common.is_empty() {
                *constraint = JoinConstraint::Using(common);
            }
        }
    }

    fn names(&self, item: TableWithJoins) -> Option<Vec<String>> {
        let mut query = rewrite::parsed("SELECT * FROM x").ok()?;
        let SetExpr::Select(part) = query.body.as_mut() else { return None };
        part.from = vec![item];
        query.with = self.around.clause(&query, None);
        let columns = (self.describe)(query).ok()?;
        Some(columns.iter().map(|column| naming::shown(output_name(&column.name)).to_owned()).collect())
    }

    fn covered(&self, select: &Select, star: &SelectItem) -> Option<Vec<SelectItem>> {
        let mut query = rewrite::parsed("SELECT * FROM x").ok()?;
        let SetExpr::Select(part) = query.body.as_mut() else { return None };
        part.from.clone_from(&select.from);
        part.projection = vec![star.clone()];
        query.with = self.around.clause(&query, None);
        let columns = (self.describe)(query).ok()?;
        let mut seen = HashSet::new();
        if !columns
            .iter()
            .all(|column| seen.insert((column.relation.clone(), naming::shown(output_name(&column.name)))))
        {
            // No name says which is meant.
            return None;
        }
        let item = |name: &str, relation: Option<&str>| {
            let column = Ident::with_quote('"', naming::shown(output_name(name)));
            SelectItem::UnnamedExpr(match relation {
                Some(table) => Expr::CompoundIdentifier(vec![Ident::with_quote('"', table), column]),
                None => Expr::Identifier(column),
            })
        };
        Some(columns.iter().map(|column| item(&column.name, column.relation.as_deref())).collect())
    }
}

fn natural(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    constraint_mut(operator).filter(|constraint| matches!(constraint, JoinConstraint::Natural))
}

fn is_star(item: &SelectItem) -> bool {
    let plain = WildcardAdditionalOptions::default();
    match item {
        SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) => {
            options.opt_ilike == plain.opt_ilike
                && options.opt_exclude == plain.opt_exclude
                && options.opt_except == plain.opt_except
                && options.opt_replace == plain.opt_replace
                && options.opt_rename == plain.opt_rename
        }
        _ => false,
    }
}
