//! What a query's FROM clauses yield, as queries of their own.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    GroupByExpr, Query, SelectItem, SetExpr, TableFactor, TableWithJoins, Visit, Visitor, WildcardAdditionalOptions,
    With,
};

/// Clauses of one statement that are looked at.
const CLAUSES_MAX: usize = 16;

/// `SELECT * FROM …` for each FROM clause of a query and of the queries in it.
pub(super) fn from_items(query: &Query) -> Vec<Query> {
    let mut finder = Finder { around: Vec::new(), found: Vec::new() };
    let _ = query.visit(&mut finder);
    finder.found
}

/// The same for each relation that one such query joins.
pub(super) fn single_items(query: &Query) -> Vec<Query> {
    let SetExpr::Select(select) = query.body.as_ref() else { return Vec::new() };
    let joined = select
        .from
        .iter()
        .flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)));
    let alone = |relation: &TableFactor| {
        let mut single = query.clone();
        if let SetExpr::Select(select) = single.body.as_mut() {
            select.from = vec![TableWithJoins { relation: relation.clone(), joins: Vec::new() }];
        }
        single
    };
    joined.take(CLAUSES_MAX).map(alone).collect()
}

struct Finder {
    /// The WITH clauses around, the innermost last.
    around: Vec<Option<With>>,
    found: Vec<Query>,
}

impl Visitor for Finder {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.around.push(query.with.clone());
        let with = self.around.iter().rev().find_map(Clone::clone);
        let mut open = vec![query.body.as_ref()];
        while let Some(body) = open.pop() {
            match body {
                SetExpr::Select(select) if !select.from.is_empty() => {
                    let mut select = select.clone();
                    select.projection = vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())];
                    select.distinct = None;
                    select.selection = None;
                    select.group_by = GroupByExpr::Expressions(Vec::new(), Vec::new());
                    select.having = None;
                    select.qualify = None;
                    select.named_window.clear();
                    let mut found = query.clone();
                    found.with.clone_from(&with);
                    *found.body = SetExpr::Select(select);
                    found.order_by = None;
                    found.limit_clause = None;
                    found.fetch = None;
                    self.found.push(found);
                }
                SetExpr::SetOperation { left, right, .. } => open.extend([left.as_ref(), right.as_ref()]),
                _ => {}
            }
        }
        if self.found.len() < CLAUSES_MAX { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.around.pop();
        ControlFlow::Continue(())
    }
}
