//! Set-returning functions in a select list beside an ORDER BY of what is not in that list.
//!
//! DataFusion unnests above the select list, where the other columns are gone. So the keys become columns of an inner
//! query: `SELECT a, unnest(b) AS c FROM t ORDER BY t.k` is `SELECT c0 AS a, c1 AS c FROM (SELECT a AS c0, unnest(b) AS c1,
//! t.k AS k0, positions AS k1 FROM t) ORDER BY k0, k1`. The last key keeps a row's elements in their order.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, OrderByExpr, OrderByKind, OrderByOptions,
    Query, SelectItem, SetExpr, TableFactor, Value, Visit, Visitor,
};

use super::lists;
use super::rewrite::{call, parsed};
use crate::federation::naming::{folded, name_of};

/// The inner query's name, and the beginning of its columns'.
const SETS: &str = "\u{1}sets";

/// Carries the keys of a query's ORDER BY through its sets, where that is needed.
pub(super) fn carry_keys(query: &mut Query) {
    if let Some(carried) = carried(query) {
        *query = carried;
    }
}

/// What a key of ORDER BY is.
enum Key {
    /// A column of the result.
    Output(usize),
    /// Something else.
    Hidden(Box<Expr>),
}

fn carried(query: &Query) -> Option<Query> {
    let OrderByKind::Expressions(keys) = &query.order_by.as_ref()?.kind else { return None };
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let items = select
        .projection
        .iter()
        .map(|item| match item {
            SelectItem::UnnamedExpr(expr) => Some((expr.clone(), Ident::with_quote('"', name_of(expr)))),
            SelectItem::ExprWithAlias { expr, alias } => Some((expr.clone(), alias.clone())),
            _ => None,
        })
        .collect::<Option<Vec<(Expr, Ident)>>>()?;
    let lists: Vec<Expr> = items.iter().flat_map(|(expr, _)| lists_of(expr)).collect();
    if lists.is_empty() || select.distinct.is_some() {
        return None;
    }
    let meant = keys.iter().map(|key| meaning(&key.expr, &items)).collect::<Option<Vec<Key>>>()?;
    // A set that is both selected and ordered by is one set, and not two.
    let sets = keys.iter().any(|key| !lists_of(&key.expr).is_empty());
    if !sets && !meant.iter().any(|key| matches!(key, Key::Hidden(_))) {
        return None;
    }
    let column = |index: usize| Ident::with_quote('"', format!("{SETS}{index}"));
    let mut inner = query.clone();
    (inner.order_by, inner.limit_clause, inner.fetch) = (None, None, None);
    let SetExpr::Select(select) = inner.body.as_mut() else { return None };
    select.projection = items
        .iter()
        .enumerate()
        .map(|(index, (expr, _))| SelectItem::ExprWithAlias { expr: expr.clone(), alias: column(index) })
        .collect();
    let mut order: Vec<OrderByExpr> = Vec::with_capacity(keys.len() + 1);
    for (key, meaning) in keys.iter().zip(meant) {
        let index = match meaning {
            Key::Output(index) => index,
            Key::Hidden(expr) => {
                let index = select.projection.len();
                select.projection.push(SelectItem::ExprWithAlias { expr: *expr, alias: column(index) });
                index
            }
        };
        order.push(OrderByExpr { expr: Expr::Identifier(column(index)), ..key.clone() });
    }
    let position = call(lists::ITEM, vec![call("unnest", vec![call(lists::POSITIONS, lists)])]);
    let index = select.projection.len();
    select.projection.push(SelectItem::ExprWithAlias { expr: position, alias: column(index) });
    let options = OrderByOptions { asc: None, nulls_first: None };
    order.push(OrderByExpr { expr: Expr::Identifier(column(index)), options, with_fill: None });

    let mut outer = parsed("SELECT NULL FROM (SELECT NULL) AS x").ok()?;
    outer.order_by.clone_from(&query.order_by);
    if let Some(by) = &mut outer.order_by {
        by.kind = OrderByKind::Expressions(order);
    }
    outer.limit_clause.clone_from(&query.limit_clause);
    outer.fetch.clone_from(&query.fetch);
    outer.with = inner.with.take();
    let SetExpr::Select(select) = outer.body.as_mut() else { return None };
    let from = select.from.first_mut().map(|from| &mut from.relation);
    let Some(TableFactor::Derived { subquery, alias: Some(alias), .. }) = from else { return None };
    **subquery = inner;
    alias.name = Ident::with_quote('"', SETS);
    select.projection = items
        .into_iter()
        .enumerate()
        .map(|(index, (_, alias))| SelectItem::ExprWithAlias { expr: Expr::Identifier(column(index)), alias })
        .collect();
    Some(outer)
}

/// `None` where it cannot be told: a key that is a set itself and not of the result.
fn meaning(key: &Expr, items: &[(Expr, Ident)]) -> Option<Key> {
    match key {
        Expr::Identifier(name) => {
            let mut found = items.iter().enumerate().filter(|(_, (_, alias))| folded(alias) == folded(name));
            Some(match (found.next(), found.next()) {
                (Some((index, _)), None) => Key::Output(index),
                (None, _) => Key::Hidden(Box::new(key.clone())),
                _ => return None,
            })
        }
        Expr::Value(value) => match &value.value {
            Value::Number(digits, false) => {
                let index = digits.to_string().parse::<usize>().ok()?.checked_sub(1)?;
                (index < items.len()).then_some(Key::Output(index))
            }
            _ => None,
        },
        key => match items.iter().position(|(expr, _)| expr == key) {
            Some(index) => Some(Key::Output(index)),
            None if lists_of(key).is_empty() => Some(Key::Hidden(Box::new(key.clone()))),
            None => None,
        },
    }
}

/// The lists whose elements an expression takes.
fn lists_of(expr: &Expr) -> Vec<Expr> {
    struct Lists(Vec<Expr>, usize);
    impl Visitor for Lists {
        type Break = ();

        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.1 += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.1 -= 1;
            ControlFlow::Continue(())
        }

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if let (0, Expr::Function(function)) = (self.1, expr) {
                self.0.extend(unnested(function));
            }
            ControlFlow::Continue(())
        }
    }
    let mut lists = Lists(Vec::new(), 0);
    let _ = expr.visit(&mut lists);
    lists.0
}

fn unnested(function: &Function) -> Option<Expr> {
    let FunctionArguments::List(list) = &function.args else { return None };
    match list.args.as_slice() {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(list))] if function.name.to_string() == "unnest" => {
            Some(list.clone())
        }
        _ => None,
    }
}
