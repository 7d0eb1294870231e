//! Rewrites queries over the system catalogs, in place, so that DataFusion can plan them, without changing what they mean.
//!
//! PostgreSQL's clients lean on what DataFusion's SQL does not have: `pg_catalog.f(x)`, `OPERATOR(pg_catalog.~)`,
//! `'t'::regclass`, `ARRAY(SELECT …)`, set-returning functions in FROM, and above all scalar subqueries that are correlated
//! and not aggregated. [`expression`] turns the first ones into functions of ours, [`from`] turns set-returning functions
//! into derived tables, and [`subquery`] turns correlated subqueries into left joins with derived tables, grouped by the
//! correlation's keys, so that no row is ever doubled.

mod branches;
mod build;
mod detect;
mod empty;
mod expression;
mod from;
mod naming;
mod scope;
mod subquery;

use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, LimitClause, OrderByKind, Query, Select, SelectItem, SetExpr, TableFactor,
};

use super::facts::facts;
use scope::{Relations, Scope};

pub use detect::mentions_system_catalog;
pub use naming::output_name;

/// Whether an unqualified name is a relation of `pg_catalog`, which is searched before the search path.
pub fn is_system_table(name: &str) -> bool {
    facts().relation("pg_catalog", name).is_some()
}

/// Whether a name is a system relation's: unqualified, of `pg_catalog`.
pub fn is_system_relation(schema: Option<&str>, name: &str) -> bool {
    facts().relation(schema.unwrap_or("pg_catalog"), name).is_some()
}

/// Makes a query over the system catalogs plannable. Unqualified names of system catalogs become `pg_catalog.name`.
///
/// Every unnamed output column is given the name that PostgreSQL would give it; where such names repeat, DataFusion needs
/// them apart, so that [`output_name`] has to be applied to the plan's field names. Returns whether anything changed.
pub fn rewrite(query: &mut Query) -> bool {
    let before = query.clone();
    let mut rewriter = Rewriter::default();
    rewriter.query(query, &Scope::root());
    *query != before
}

/// The state of one rewrite: the names that it has given out.
#[derive(Debug, Default)]
struct Rewriter {
    aliases: usize,
}

impl Rewriter {
    fn fresh_alias(&mut self) -> String {
        self.aliases += 1;
        format!("__system_{}", self.aliases)
    }

    fn query(&mut self, query: &mut Query, outer: &Scope<'_>) {
        let mut scope = outer.child(Relations::default());
        if let Some(with) = &mut query.with {
            for table in &mut with.cte_tables {
                // A recursive one sees itself; the name hides a system catalog of the same name.
                scope.hide(&table.alias.name);
                self.query(&mut table.query, &scope);
            }
        }
        let order = match &mut query.order_by {
            Some(order) => match &mut order.kind {
                OrderByKind::Expressions(expressions) => expressions.iter_mut().map(|by| &mut by.expr).collect(),
                OrderByKind::All(_) => Vec::new(),
            },
            None => Vec::new(),
        };
        let emptied = self.body(&mut query.body, order, &scope);
        if emptied {
            query.order_by = None;
        }
        if let Some(LimitClause::LimitOffset { limit: Some(limit), .. }) = &mut query.limit_clause {
            self.expression(limit, &mut expression::Place::inner(&scope));
        }
    }

    /// Rewrites a query's body, and the expressions of its ORDER BY where they can refer to the body's FROM. Returns whether
    /// the body was replaced by one without rows.
    fn body(&mut self, body: &mut SetExpr, order: Vec<&mut Expr>, scope: &Scope<'_>) -> bool {
        match body {
            SetExpr::Select(select) => return self.select(select, order, scope),
            SetExpr::Query(query) => self.query(query, scope),
            SetExpr::SetOperation { .. } => {
                branches::settle(body);
                let SetExpr::SetOperation { left, right, .. } = body else { return false };
                self.body(left, Vec::new(), scope);
                self.body(right, Vec::new(), scope);
            }
            SetExpr::Values(values) => {
                for row in &mut values.rows {
                    for value in row.iter_mut() {
                        self.expression(value, &mut expression::Place::inner(scope));
                    }
                }
            }
            _ => {}
        }
        false
    }

    fn select(&mut self, select: &mut Select, order: Vec<&mut Expr>, outer: &Scope<'_>) -> bool {
        let names = naming::output_names(&select.projection);
        let reserved = naming::reserved_by(&order);
        let relations = self.from(&mut select.from, outer);
        let scope = outer.child(relations);
        let emptied = empty::is_provably_empty(select, &scope);
        if emptied {
            empty::replace(select, &scope);
            naming::apply(&mut select.projection, names, &reserved);
            return true;
        }
        let grouped = is_grouped(select);
        let hoistable = !select.from.is_empty() && !has_wildcard(select);
        let mut hoists = Vec::new();
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                let mut place = expression::Place::output(&scope);
                // Above an aggregation the correlation's columns are gone.
                place.hoists = (hoistable && !grouped).then_some(&mut hoists);
                self.expression(expr, &mut place);
            }
        }
        if let Some(selection) = &mut select.selection {
            let mut place = expression::Place::inner(&scope);
            place.hoists = hoistable.then_some(&mut hoists);
            place.conjunct = true;
            self.expression(selection, &mut place);
        }
        if let GroupByExpr::Expressions(expressions, _) = &mut select.group_by {
            for expr in expressions {
                self.expression(expr, &mut expression::Place::inner(&scope));
            }
        }
        if let Some(having) = &mut select.having {
            self.expression(having, &mut expression::Place::inner(&scope));
        }
        let mut order = order;
        for by in &mut order {
            scope::qualify(by, &scope);
            self.expression(by, &mut expression::Place::output(&scope));
        }
        subquery::attach(&mut select.from, hoists);
        naming::apply(&mut select.projection, names, &reserved);
        naming::follow(order, &select.projection);
        false
    }
}

/// Whether the select list is computed over groups.
fn is_grouped(select: &Select) -> bool {
    let by = match &select.group_by {
        GroupByExpr::Expressions(expressions, _) => !expressions.is_empty(),
        GroupByExpr::All(_) => true,
    };
    by || select.having.is_some()
        || select.projection.iter().any(|item| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => scope::has_aggregate(expr),
            _ => false,
        })
}

fn has_wildcard(select: &Select) -> bool {
    select.projection.iter().any(|item| matches!(item, SelectItem::Wildcard(_)))
        || select.from.iter().any(|item| {
            // A left join after a lateral item would change what the item may refer to.
            std::iter::once(&item.relation)
                .chain(item.joins.iter().map(|join| &join.relation))
                .any(|factor| matches!(factor, TableFactor::Derived { lateral: true, .. }))
        })
}
