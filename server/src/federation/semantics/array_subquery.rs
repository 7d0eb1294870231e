//! `ARRAY(SELECT …)`: an aggregate over the subquery's rows in their order, empty where there is none.

use datafusion::sql::sqlparser::ast::{
    Distinct, DuplicateTreatment, Expr, FunctionArgumentClause, FunctionArguments, GroupByExpr, Ident, OrderByExpr,
    OrderByKind, Query, Select, SelectItem, SetExpr, TableAliasColumnDef, TableFactor, Value,
};

use super::rewrite::{call, parsed};
use crate::error::SqlResult;
use crate::federation::naming::folded;

/// The alias of a subquery whose rows are collected, and the beginning of its columns' names.
const ROWS: &str = "\u{1}rows";

/// `ARRAY(query)`.
pub fn array_of(query: Box<Query>) -> Expr {
    let mut array = call("ARRAY", Vec::new());
    if let Expr::Function(function) = &mut array {
        function.args = FunctionArguments::Subquery(query);
    }
    array
}

/// Puts an aggregate in the place of `ARRAY(SELECT …)`.
///
/// # Errors
/// None so far: a subquery of several columns is found when it is planned.
pub(super) fn expand(expr: &mut Expr) -> SqlResult<()> {
    let Expr::Function(function) = expr else { return Ok(()) };
    let FunctionArguments::Subquery(query) = &function.args else { return Ok(()) };
    let query = query.as_ref().clone();
    let collected = if is_plain(&query) { over_rows(query) } else { over_result(query)? };
    let empty = Expr::Value(Value::SingleQuotedString("{}".to_owned()).with_empty_span());
    *expr = call("coalesce", vec![Expr::Subquery(Box::new(collected)), empty]);
    Ok(())
}

/// Whether the rows are those of FROM and WHERE, so that the aggregate can take the select list's place.
fn is_plain(query: &Query) -> bool {
    let SetExpr::Select(select) = query.body.as_ref() else { return false };
    let [SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, .. }] = select.projection.as_slice()
    else {
        return false;
    };
    let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty());
    // Anything but a column could be an aggregate, a window, or a set of rows.
    matches!(item, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
        && query.limit_clause.is_none()
        && query.fetch.is_none()
        && query.with.is_none()
        && select.distinct.is_none()
        && select.having.is_none()
        && !grouped
        && keys(query).iter().all(|key| !matches!(&key.expr, Expr::Function(_)))
}

fn keys(query: &Query) -> &[OrderByExpr] {
    match query.order_by.as_ref().map(|order| &order.kind) {
        Some(OrderByKind::Expressions(keys)) => keys,
        _ => &[],
    }
}

/// `ARRAY(SELECT x FROM t ORDER BY y)` as `(SELECT array_agg(x ORDER BY y) FROM t)`.
fn over_rows(mut query: Query) -> Query {
    let order = keys(&query).to_vec();
    query.order_by = None;
    if let SetExpr::Select(select) = query.body.as_mut()
        && let Some(SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, .. }) =
            select.projection.first().cloned()
    {
        let order = order.into_iter().map(|key| match shown_by(&key.expr, select) {
            true => OrderByExpr { expr: item.clone(), ..key },
            false => key,
        });
        select.projection = vec![SelectItem::UnnamedExpr(aggregate(item.clone(), order.collect()))];
    }
    query
}

/// Whether a key is the one column of a select list, by its number or name.
fn shown_by(key: &Expr, select: &Select) -> bool {
    if matches!(key, Expr::Value(value) if matches!(value.value, Value::Number(..))) {
        return true;
    }
    match select.projection.as_slice() {
        [SelectItem::UnnamedExpr(item)] => item == key,
        [SelectItem::ExprWithAlias { expr, alias }] => {
            expr == key || matches!(key, Expr::Identifier(ident) if folded(alias) == folded(ident))
        }
        _ => false,
    }
}

/// `ARRAY(query)` as `(SELECT array_agg(e ORDER BY k) FROM (query, its keys in its select list) AS rows(e, k))`.
fn over_result(mut query: Query) -> SqlResult<Query> {
    let mut columns = vec![column(0)];
    let mut order = Vec::new();
    // The aggregate can see to it that each value comes once, which leaves a plainer subquery.
    let distinct = query.limit_clause.is_none() && query.fetch.is_none() && take_distinct(&mut query.body);
    for mut key in keys(&query).to_vec() {
        let own = match query.body.as_mut() {
            SetExpr::Select(select) if !distinct && select.distinct.is_none() && !shown_by(&key.expr, select) => {
                select.projection.push(SelectItem::UnnamedExpr(key.expr.clone()));
                let own = column(columns.len());
                columns.push(own.clone());
                own
            }
            // Of DISTINCT and of UNION a key can only be the column that is shown.
            _ => column(0),
        };
        key.expr = Expr::Identifier(own);
        order.push(key);
    }
    let mut outer = *parsed("SELECT 1 FROM (SELECT 1) AS rows")?.body;
    if let SetExpr::Select(select) = &mut outer {
        let mut collected = aggregate(Expr::Identifier(column(0)), order);
        if let (true, Expr::Function(function)) = (distinct, &mut collected)
            && let FunctionArguments::List(list) = &mut function.args
        {
            list.duplicate_treatment = Some(DuplicateTreatment::Distinct);
        }
        select.projection = vec![SelectItem::UnnamedExpr(collected)];
        if let Some(TableFactor::Derived { subquery, alias: Some(alias), .. }) =
            select.from.first_mut().map(|from| &mut from.relation)
        {
            **subquery = query;
            alias.name = Ident::with_quote('"', ROWS);
            alias.columns = columns.into_iter().map(|name| TableAliasColumnDef { name, data_type: None }).collect();
        }
    }
    let mut whole = parsed("SELECT 1")?;
    *whole.body = outer;
    Ok(whole)
}

/// Takes a plain DISTINCT off a select, and says whether there was one.
fn take_distinct(body: &mut SetExpr) -> bool {
    match body {
        SetExpr::Select(select) if matches!(select.distinct, Some(Distinct::Distinct)) => {
            select.distinct = None;
            true
        }
        _ => false,
    }
}

fn column(index: usize) -> Ident {
    Ident::with_quote('"', format!("{ROWS}{index}"))
}

fn aggregate(value: Expr, order: Vec<OrderByExpr>) -> Expr {
    let mut aggregate = call("array_agg", vec![value]);
    if let Expr::Function(function) = &mut aggregate
        && let FunctionArguments::List(list) = &mut function.args
        && !order.is_empty()
    {
        list.clauses.push(FunctionArgumentClause::OrderBy(order));
    }
    aggregate
}
