//! `JOIN … USING` and `NATURAL JOIN`: one column for both sides', as PostgreSQL merges them.
//!
//! DataFusion reads the merged column from the left side, also where the join is a right or a full one, and leaves it at its
//! place in `SELECT *`. Here such joins get an `ON` clause, the merged columns become the expressions that they are, and
//! stars are written out. That needs the columns of what is joined, so each relation is planned for its columns first.

use std::collections::HashSet;
use std::ops::ControlFlow;

use atoll_connector_api::types::PgType;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Distinct, Expr, GroupByExpr, Ident, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart,
    OrderByKind, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableAlias, TableFactor,
    TableWithJoins, Value, Visit, VisitMut, Visitor, VisitorMut, With,
};

use super::around;
use super::merged_names::Names;
use super::{cast, choice, rewrite};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::federation::naming::{self, folded};
use crate::statement::tree::constraint;

/// A column of a relation in FROM.
#[derive(Debug, Clone)]
pub struct JoinedColumn {
    /// Its relation's name or alias.
    pub relation: Option<String>,
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: PgType,
}

/// Plans a query for its columns.
pub type Describe<'a> = dyn Fn(Query) -> SqlResult<Vec<JoinedColumn>> + 'a;

/// Rewrites the joins of a query and of its subqueries.
///
/// # Errors
/// `42703`, `42702`: a column that is not there, or there twice; what `describe` says.
pub fn merge_join_columns(query: &mut Query, describe: &Describe<'_>) -> SqlResult<()> {
    struct Finder;
    impl Visitor for Finder {
        type Break = ();

        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
            if select.from.iter().any(has_merging_join) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    if Visit::visit(query, &mut Finder).is_continue() {
        return Ok(());
    }
    Merger { describe, with: Vec::new() }.query(query)
}

struct Merger<'a> {
    describe: &'a Describe<'a>,
    /// The WITH clauses around.
    with: Vec<With>,
}

/// A column that a FROM item shows.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub(super) name: String,
    pub(super) expr: Expr,
    data_type: PgType,
    pub(super) merged: bool,
}

/// What a lateral FROM item sees.
#[derive(Clone, Copy)]
struct Before<'a> {
    items: &'a [TableWithJoins],
    shown: &'a [Shown],
}

impl Merger<'_> {
    fn query(&mut self, query: &mut Query) -> SqlResult<()> {
        let depth = self.with.len();
        if let Some(with) = &mut query.with {
            for index in 0..with.cte_tables.len() {
                // A recursive one sees itself, which its first part does not need.
                let before = With { cte_tables: with.cte_tables.iter().take(index).cloned().collect(), ..with.clone() };
                self.with.push(before);
                if let Some(table) = with.cte_tables.get_mut(index) {
                    self.query(&mut table.query)?;
                }
                self.with.truncate(depth);
            }
            self.with.push(with.clone());
        }
        let order = match &mut query.order_by {
            Some(order) => match &mut order.kind {
                OrderByKind::Expressions(expressions) => expressions.iter_mut().map(|by| &mut by.expr).collect(),
                OrderByKind::All(_) => Vec::new(),
            },
            None => Vec::new(),
        };
        let done = self.body(&mut query.body, order);
        self.with.truncate(depth);
        done
    }

    fn body(&mut self, body: &mut SetExpr, order: Vec<&mut Expr>) -> SqlResult<()> {
        match body {
            SetExpr::Select(select) => self.select(select, order),
            SetExpr::Query(query) => self.query(query),
            SetExpr::SetOperation { left, right, .. } => {
                self.body(left, Vec::new())?;
                self.body(right, Vec::new())
            }
            _ => Ok(()),
        }
    }

    fn select(&mut self, select: &mut Select, order: Vec<&mut Expr>) -> SqlResult<()> {
        for item in &mut select.from {
            self.derived(item)?;
        }
        let merges = select.from.iter().any(has_merging_join);
        self.subqueries(select)?;
        if !merges {
            return Ok(());
        }
        let mut shown: Vec<Shown> = Vec::new();
        for index in 0..select.from.len() {
            let before = select.from.get(..index).unwrap_or_default().to_vec();
            let Some(item) = select.from.get_mut(index) else { break };
            let own = self.joined(item, Before { items: &before, shown: &shown })?;
            shown.extend(own);
        }
        let names = Names { describe: self.describe, with: &self.with, shown: &shown };
        let mut outputs = HashSet::new();
        let items = std::mem::take(&mut select.projection);
        for item in items {
            match item {
                SelectItem::Wildcard(_) => {
                    select.projection.extend(shown.iter().map(|column| match &column.expr {
                        Expr::CompoundIdentifier(_) => SelectItem::UnnamedExpr(column.expr.clone()),
                        expr => SelectItem::ExprWithAlias { expr: expr.clone(), alias: quoted(&column.name) },
                    }));
                    outputs.extend(shown.iter().map(|column| column.name.clone()));
                }
                SelectItem::UnnamedExpr(Expr::Identifier(ident)) => {
                    let name = folded(&ident);
                    outputs.insert(name.clone());
                    let mut expr = Expr::Identifier(ident);
                    names.put_into(&mut expr);
                    select.projection.push(match expr {
                        Expr::Identifier(_) => SelectItem::UnnamedExpr(expr),
                        expr => SelectItem::ExprWithAlias { expr, alias: quoted(&name) },
                    });
                }
                SelectItem::ExprWithAlias { mut expr, alias } => {
                    outputs.insert(folded(&alias));
                    names.put_into(&mut expr);
                    select.projection.push(SelectItem::ExprWithAlias { expr, alias });
                }
                SelectItem::UnnamedExpr(mut expr) => {
                    names.put_into(&mut expr);
                    select.projection.push(SelectItem::UnnamedExpr(expr));
                }
                item => select.projection.push(item),
            }
        }
        for expr in select.selection.iter_mut().chain(&mut select.having) {
            names.put_into(expr);
        }
        if let GroupByExpr::Expressions(exprs, _) = &mut select.group_by {
            exprs.iter_mut().for_each(|expr| names.put_into(expr));
        }
        if let Some(Distinct::On(exprs)) = &mut select.distinct {
            exprs.iter_mut().for_each(|expr| names.put_into(expr));
        }
        for window in &mut select.named_window {
            names.put_into(window);
        }
        for expr in order {
            // A name alone is an output column's first.
            if !matches!(&*expr, Expr::Identifier(ident) if outputs.contains(&folded(ident))) {
                names.put_into(expr);
            }
        }
        Ok(())
    }

    /// The queries in a FROM item.
    fn derived(&mut self, item: &mut TableWithJoins) -> SqlResult<()> {
        for factor in std::iter::once(&mut item.relation).chain(item.joins.iter_mut().map(|join| &mut join.relation)) {
            match factor {
                TableFactor::Derived { subquery, .. } => self.query(subquery)?,
                TableFactor::NestedJoin { table_with_joins, .. } => self.derived(table_with_joins)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// The queries in a select's expressions.
    fn subqueries(&mut self, select: &mut Select) -> SqlResult<()> {
        struct Inner<'m, 'a> {
            merger: &'m mut Merger<'a>,
            depth: usize,
        }
        impl VisitorMut for Inner<'_, '_> {
            type Break = SqlError;

            fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
                self.depth += 1;
                if self.depth > 1 {
                    return ControlFlow::Continue(());
                }
                match self.merger.query(query) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(error) => ControlFlow::Break(error),
                }
            }

            fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<SqlError> {
                self.depth -= 1;
                ControlFlow::Continue(())
            }
        }
        let mut inner = Inner { merger: self, depth: 0 };
        let mut flow = VisitMut::visit(&mut select.projection, &mut inner);
        for expr in select.selection.iter_mut().chain(&mut select.having) {
            if flow.is_continue() {
                flow = VisitMut::visit(expr, &mut inner);
            }
        }
        match flow {
            ControlFlow::Break(error) => Err(error),
            ControlFlow::Continue(()) => Ok(()),
        }
    }

    /// Turns the merging joins of one FROM item into joins with ON, and says what the item shows.
    fn joined(&mut self, item: &mut TableWithJoins, before: Before<'_>) -> SqlResult<Vec<Shown>> {
        let mut left = self.factor(&mut item.relation, before)?;
        for index in 0..item.joins.len() {
            let lateral = item.joins.get(index).is_some_and(|join| is_lateral(&join.relation));
            let (mut items, mut seen) = (Vec::new(), Vec::new());
            if lateral {
                items.extend_from_slice(before.items);
                let joins = item.joins.iter().take(index).cloned().collect();
                items.push(TableWithJoins { relation: item.relation.clone(), joins });
                seen.extend(before.shown.iter().chain(&left).cloned());
            }
            let Some(join) = item.joins.get_mut(index) else { break };
            let right = self.factor(&mut join.relation, Before { items: &items, shown: &seen })?;
            let (side, constraint) = match &mut join.join_operator {
                JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => (Side::Either, constraint),
                JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => (Side::Left, constraint),
                JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => (Side::Right, constraint),
                JoinOperator::FullOuter(constraint) => (Side::Both, constraint),
                JoinOperator::CrossJoin(_) => {
                    left.extend(right);
                    continue;
                }
                _ => return Err(SqlError::unsupported("this kind of join is not supported")),
            };
            let names: Vec<String> = match constraint {
                JoinConstraint::Using(names) => names.iter().filter_map(last_part).collect(),
                JoinConstraint::Natural => {
                    let mut seen = HashSet::new();
                    left.iter()
                        .filter(|column| right.iter().any(|other| other.name == column.name))
                        .map(|column| column.name.clone())
                        .filter(|name| seen.insert(name.clone()))
                        .collect()
                }
                JoinConstraint::On(condition) => {
                    left.extend(right);
                    Names { describe: self.describe, with: &self.with, shown: &left }.put_into(condition);
                    continue;
                }
                JoinConstraint::None => {
                    left.extend(right);
                    continue;
                }
            };
            let mut merged = Vec::with_capacity(names.len());
            let mut condition: Option<Expr> = None;
            for name in &names {
                let (l, r) = (only(&left, name, "left")?, only(&right, name, "right")?);
                let equal = Expr::BinaryOp {
                    left: Box::new(l.expr.clone()),
                    op: BinaryOperator::Eq,
                    right: Box::new(r.expr.clone()),
                };
                condition = Some(match condition {
                    Some(before) => {
                        Expr::BinaryOp { left: Box::new(before), op: BinaryOperator::And, right: Box::new(equal) }
                    }
                    None => equal,
                });
                merged.push(merge(l, r, side)?);
            }
            // No common column: every row meets every other.
            *constraint =
                JoinConstraint::On(condition.unwrap_or_else(|| Expr::Value(Value::Boolean(true).with_empty_span())));
            let rest = |columns: Vec<Shown>| columns.into_iter().filter(|column| !names.contains(&column.name));
            merged.extend(rest(left));
            merged.extend(rest(right));
            left = merged;
        }
        Ok(left)
    }

    fn factor(&mut self, factor: &mut TableFactor, before: Before<'_>) -> SqlResult<Vec<Shown>> {
        match factor {
            TableFactor::NestedJoin { table_with_joins, alias: None } => return self.joined(table_with_joins, before),
            TableFactor::NestedJoin { table_with_joins, alias: Some(alias) } => {
                let shown = self.joined(table_with_joins, before)?;
                let joined = TableWithJoins::clone(table_with_joins);
                *factor = around_join(joined, &shown, alias.clone())?;
            }
            TableFactor::Derived { lateral: true, subquery, alias: Some(_), .. } => {
                Names { describe: self.describe, with: &self.with, shown: before.shown }.put_into(subquery.as_mut());
            }
            factor if is_lateral(factor) => {
                return Err(SqlError::unsupported("LATERAL beside a join with USING or NATURAL is not supported"));
            }
            _ => {}
        }
        let mut select = rewrite::parsed("SELECT * FROM x")?;
        if let SetExpr::Select(body) = select.body.as_mut() {
            let own = TableWithJoins { relation: factor.clone(), joins: Vec::new() };
            if let TableFactor::Derived { lateral: true, alias: Some(alias), .. } = &*factor {
                let mut shown = rewrite::parsed("SELECT x.* FROM x")?;
                if let SetExpr::Select(shown) = shown.body.as_mut()
                    && let Some(SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _)) =
                        shown.projection.first_mut()
                {
                    *name = ObjectName::from(vec![alias.name.clone()]);
                    std::mem::swap(&mut body.projection, &mut shown.projection);
                }
                body.from = before.items.iter().cloned().chain([own]).collect();
            } else {
                body.from = vec![own];
            }
        }
        select.with = around::merged(&self.with);
        let alias = match &*factor {
            TableFactor::Table { alias: Some(alias), .. }
            | TableFactor::Derived { alias: Some(alias), .. }
            | TableFactor::NestedJoin { alias: Some(alias), .. }
            | TableFactor::UNNEST { alias: Some(alias), .. }
            | TableFactor::Function { alias: Some(alias), .. } => Some(folded(&alias.name)),
            TableFactor::Table { name, .. } => last_part(name),
            _ => None,
        };
        let columns = (self.describe)(select)?;
        Ok(columns
            .into_iter()
            .map(|column| {
                let parts = alias.clone().or(column.relation).into_iter().chain([column.name.clone()]);
                Shown {
                    expr: Expr::CompoundIdentifier(parts.map(|part| quoted(&part)).collect()),
                    name: column.name,
                    data_type: column.data_type,
                    merged: false,
                }
            })
            .collect())
    }
}

/// Whose rows a join keeps, and so whose value a merged column has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Either,
    Left,
    Right,
    Both,
}

fn merge(left: &Shown, right: &Shown, side: Side) -> SqlResult<Shown> {
    let common = choice::unify(&left.data_type, &right.data_type).ok_or_else(|| {
        let name = |data_type: &PgType| PgType { modifier: -1, ..data_type.clone() }.sql_name();
        SqlError::new(
            SqlState::DATATYPE_MISMATCH,
            format!("JOIN/USING types {} and {} cannot be matched", name(&left.data_type), name(&right.data_type)),
        )
    })?;
    let typed = |column: &Shown| {
        if column.data_type.oid == common.oid {
            column.expr.clone()
        } else {
            rewrite::pg_cast(column.expr.clone(), &cast::full_name(&common))
        }
    };
    let expr = match side {
        Side::Either if left.data_type.oid != common.oid => typed(right),
        Side::Either | Side::Left => typed(left),
        Side::Right => typed(right),
        Side::Both => rewrite::call("coalesce", vec![left.expr.clone(), right.expr.clone()]),
    };
    Ok(Shown { name: left.name.clone(), expr, data_type: common, merged: true })
}

fn only<'a>(columns: &'a [Shown], name: &str, side: &str) -> SqlResult<&'a Shown> {
    let mut found = columns.iter().filter(|column| column.name == name);
    match (found.next(), found.next()) {
        (Some(column), None) => Ok(column),
        (None, _) => Err(SqlError::new(
            SqlState::UNDEFINED_COLUMN,
            format!("column \"{name}\" specified in USING clause does not exist in {side} table"),
        )),
        (Some(_), Some(_)) => Err(SqlError::new(
            SqlState::AMBIGUOUS_COLUMN,
            format!("common column name \"{name}\" appears more than once in {side} table"),
        )),
    }
}

fn is_lateral(factor: &TableFactor) -> bool {
    match factor {
        TableFactor::Derived { lateral, .. } | TableFactor::Function { lateral, .. } => *lateral,
        TableFactor::NestedJoin { table_with_joins, .. } => {
            is_lateral(&table_with_joins.relation)
                || table_with_joins.joins.iter().any(|join| is_lateral(&join.relation))
        }
        _ => false,
    }
}

/// A join in parentheses that has an alias, as a query of the columns that it shows.
fn around_join(joined: TableWithJoins, shown: &[Shown], alias: TableAlias) -> SqlResult<TableFactor> {
    let mut query = rewrite::parsed("SELECT NULL FROM x")?;
    if let SetExpr::Select(select) = query.body.as_mut() {
        let mut seen = HashSet::new();
        select.projection = shown
            .iter()
            .enumerate()
            .map(|(index, column)| {
                let repeated = !seen.insert(&column.name);
                let name = if repeated { naming::numbered(&column.name, index) } else { column.name.clone() };
                SelectItem::ExprWithAlias { expr: column.expr.clone(), alias: quoted(&name) }
            })
            .collect();
        select.from = vec![joined];
    }
    Ok(TableFactor::Derived { lateral: false, subquery: Box::new(query), alias: Some(alias), sample: None })
}

/// Whether a FROM item has a join that merges columns, or one with an alias, which hides the tables that it joins.
fn has_merging_join(item: &TableWithJoins) -> bool {
    let nested = |factor: &TableFactor| match factor {
        TableFactor::NestedJoin { alias: Some(_), .. } => true,
        TableFactor::NestedJoin { table_with_joins, .. } => has_merging_join(table_with_joins),
        _ => false,
    };
    nested(&item.relation)
        || item.joins.iter().any(|join| {
            nested(&join.relation)
                || matches!(constraint(&join.join_operator), Some(JoinConstraint::Using(_) | JoinConstraint::Natural))
        })
}

fn quoted(name: &str) -> Ident {
    Ident::with_quote('"', name)
}

fn last_part(name: &ObjectName) -> Option<String> {
    name.0.last().and_then(ObjectNamePart::as_ident).map(folded)
}
