//! The merged columns of `JOIN … USING` where they are named: in a query's own expressions, and in its subqueries as far as
//! no relation in between has a column of that name.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Query, Select, TableFactor, TableWithJoins, Visit, VisitMut, Visitor, VisitorMut, With,
};

use super::around;
use super::join_using::{Describe, Shown};
use super::rewrite::parsed;
use crate::federation::naming::folded;

/// The names that a FROM shows, and what it takes to tell them from those of a subquery.
pub(super) struct Names<'a> {
    pub(super) describe: &'a Describe<'a>,
    pub(super) with: &'a [With],
    pub(super) shown: &'a [Shown],
}

impl Names<'_> {
    /// Puts the merged columns' expressions in the place of their names.
    pub(super) fn put_into(&self, part: &mut impl VisitMut) {
        let _ = part.visit(&mut Substitute { names: self, queries: Vec::new(), scopes: Vec::new() });
    }

    fn merged(&self, name: &str) -> Option<&Expr> {
        let mut found = self.shown.iter().filter(|column| column.name == name);
        match (found.next(), found.next()) {
            (Some(column), None) if column.merged => Some(&column.expr),
            _ => None,
        }
    }
}

/// What a subquery's FROM shows.
struct Scope {
    relations: HashSet<String>,
    columns: HashSet<String>,
}

struct Substitute<'a> {
    names: &'a Names<'a>,
    /// The subqueries around, by their WITH clauses.
    queries: Vec<Option<With>>,
    /// Their FROM clauses; `None` where it cannot be told what one shows.
    scopes: Vec<Option<Scope>>,
}

impl Substitute<'_> {
    fn scope(&self, select: &Select) -> Option<Scope> {
        let mut scope = Scope { relations: HashSet::new(), columns: HashSet::new() };
        for item in &select.from {
            self.item(item, &mut scope)?;
        }
        Some(scope)
    }

    fn item(&self, item: &TableWithJoins, scope: &mut Scope) -> Option<()> {
        for factor in std::iter::once(&item.relation).chain(item.joins.iter().map(|join| &join.relation)) {
            if let TableFactor::NestedJoin { table_with_joins, alias: None } = factor {
                self.item(table_with_joins, scope)?;
                continue;
            }
            let mut query = parsed("SELECT * FROM x").ok()?;
            if let datafusion::sql::sqlparser::ast::SetExpr::Select(select) = query.body.as_mut() {
                select.from = vec![TableWithJoins { relation: factor.clone(), joins: Vec::new() }];
            }
            let with: Vec<With> = self.names.with.iter().chain(self.queries.iter().flatten()).cloned().collect();
            query.with = around::merged(&with);
            for column in (self.names.describe)(query).ok()? {
                scope.columns.insert(column.name);
                scope.relations.extend(column.relation);
            }
        }
        Some(())
    }

    /// Whether a subquery names a merged column at all; to look at its relations takes time.
    fn concerns(&self, select: &Select) -> bool {
        struct Finder<'a>(&'a Names<'a>);
        impl Visitor for Finder<'_> {
            type Break = ();

            fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
                match expr {
                    Expr::Identifier(ident) if self.0.merged(&folded(ident)).is_some() => ControlFlow::Break(()),
                    _ => ControlFlow::Continue(()),
                }
            }
        }
        select.visit(&mut Finder(self.names)).is_break()
    }

    /// Whether the relations of the subqueries around leave a name to the query that merges it, and what stands for it
    /// means there what it means here.
    fn passes(&self, name: &str, meant: &Expr) -> bool {
        struct Tables<'a>(&'a Scope);
        impl Visitor for Tables<'_> {
            type Break = ();

            fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
                match expr {
                    Expr::CompoundIdentifier(parts)
                        if parts.first().is_some_and(|table| self.0.relations.contains(&folded(table))) =>
                    {
                        ControlFlow::Break(())
                    }
                    _ => ControlFlow::Continue(()),
                }
            }
        }
        // ORDER BY and LIMIT of a subquery stand outside of its FROM's scope.
        self.scopes.len() == self.queries.len()
            && self.scopes.iter().all(|scope| {
                scope
                    .as_ref()
                    .is_some_and(|scope| !scope.columns.contains(name) && meant.visit(&mut Tables(scope)).is_continue())
            })
    }
}

impl VisitorMut for Substitute<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.queries.push(query.with.clone());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.queries.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let scope = if self.concerns(select) { self.scope(select) } else { None };
        self.scopes.push(scope);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _: &mut Select) -> ControlFlow<()> {
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Identifier(ident) = &*expr {
            let name = folded(ident);
            if let Some(meant) = self.names.merged(&name)
                && self.passes(&name, meant)
            {
                *expr = meant.clone();
            }
        }
        ControlFlow::Continue(())
    }
}
