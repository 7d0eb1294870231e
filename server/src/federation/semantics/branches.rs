//! The branches of `UNION`, `INTERSECT` and `EXCEPT` within a query, and the terms of a recursive one, in one type.
//!
//! An operator over the result of a set operation is planned by the types of its first branch. So the branches of one that
//! lies in another query are cast to the type that they have in common before the query is planned. What a recursive term
//! gives goes back into it: there both terms have to be of the first one's type.

use std::ops::ControlFlow;

use atoll_connector_api::types::{PgType, oids};
use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, Ident, ObjectName, ObjectNamePart, Query, Select, SelectItem, SetExpr, SetOperator, TableAlias,
    TableAliasColumnDef, TableFactor, TableWithJoins, UnaryOperator, Value, Visit, VisitMut, Visitor, VisitorMut,
};

use super::around::Around;
use super::choice;
use super::join_using::Describe;
use super::rewrite::{parsed, pg_cast};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::federation::naming::folded;

/// The alias of a branch that is cast as a whole, and the beginning of its columns' names.
const BRANCH: &str = "\u{1}branch";

/// Casts the branches of the set operations within a query.
///
/// # Errors
/// `42804` where a recursive term's column is of another type than its non-recursive term's. What `describe` cannot plan by
/// itself, for example because it reads the query around, stays as it is.
pub fn unify_branches(query: &mut Query, describe: &Describe<'_>) -> SqlResult<()> {
    if !has_set_operation(query) {
        return Ok(());
    }
    match query.visit(&mut Branches { describe, around: Around::default() }) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

fn has_set_operation(query: &Query) -> bool {
    struct Finder;
    impl Visitor for Finder {
        type Break = ();

        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            match query.body.as_ref() {
                SetExpr::SetOperation { .. } => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    query.visit(&mut Finder).is_break()
}

struct Branches<'a> {
    describe: &'a Describe<'a>,
    around: Around,
}

/// What is known of a branch's column.
#[derive(Debug, Clone)]
struct Column {
    name: String,
    /// `None`: an untyped literal.
    data_type: Option<PgType>,
}

impl VisitorMut for Branches<'_> {
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        self.around.enter(query);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        let done = match self.recursion(query) {
            Ok(false) if self.around.is_inner() => {
                self.aligned(&mut query.body);
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        self.around.leave(query);
        match done {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

impl Branches<'_> {
    /// The columns of a body, its branches cast; `None` where they cannot be told.
    fn aligned(&self, body: &mut SetExpr) -> Option<Vec<Column>> {
        let SetExpr::SetOperation { left, right, .. } = body else { return self.described(body, None) };
        let (of_left, of_right) = (self.aligned(left)?, self.aligned(right)?);
        if of_left.len() != of_right.len() {
            return None;
        }
        let mut common = Vec::with_capacity(of_left.len());
        for (one, other) in of_left.iter().zip(&of_right) {
            let data_type = match (&one.data_type, &other.data_type) {
                (Some(one), Some(other)) => choice::unify(one, other)?,
                // A literal has no modifier, and must not be cut to the other's.
                (Some(known), None) | (None, Some(known)) => PgType { modifier: -1, ..known.clone() },
                (None, None) => PgType::new(oids::TEXT),
            };
            common.push(Column { name: one.name.clone(), data_type: Some(data_type) });
        }
        for (branch, own) in [(left, of_left), (right, of_right)] {
            cast_branch(branch, &own, &targets(&own, &common))?;
        }
        Some(common)
    }

    /// Casts the terms of a recursive table. Returns whether the query is one.
    fn recursion(&self, query: &mut Query) -> SqlResult<bool> {
        let Some(table) = self.around.recursive_table() else { return Ok(false) };
        let SetExpr::SetOperation { op: SetOperator::Union, left, right, .. } = query.body.as_mut() else {
            return Ok(false);
        };
        let name = folded(&table.alias.name);
        if !mentions(right, &name) {
            return Ok(false);
        }
        let Some(first) = self.aligned(left) else { return Ok(true) };
        let typed: Vec<Column> = first
            .iter()
            .map(|column| {
                let data_type = column.data_type.clone().unwrap_or(PgType::new(oids::TEXT));
                Column { name: column.name.clone(), data_type: Some(data_type) }
            })
            .collect();
        let all: Vec<Option<PgType>> = typed.iter().map(|column| castable(column.data_type.as_ref())).collect();
        if cast_branch(left, &first, &all).is_none() {
            return Ok(true);
        }
        let mut itself = table.clone();
        *itself.query = parsed("SELECT 1")?;
        itself.query.body.clone_from(left);
        let Some(second) = self.described(right, Some(itself)) else { return Ok(true) };
        for (index, (one, other)) in typed.iter().zip(&second).enumerate() {
            let (Some(one), Some(other)) = (&one.data_type, &other.data_type) else { continue };
            check_recursion(&name, index, one, other)?;
        }
        if second.len() == typed.len() {
            cast_branch(right, &second, &all);
        }
        Ok(true)
    }

    /// The columns of one branch, planned with the tables around and one more.
    fn described(&self, body: &SetExpr, more: Option<datafusion::sql::sqlparser::ast::Cte>) -> Option<Vec<Column>> {
        let mut query = parsed("SELECT 1").ok()?;
        *query.body = body.clone();
        query.with = self.around.clause(more);
        let columns = (self.describe)(query).ok()?;
        let items = match body {
            SetExpr::Select(select) if select.projection.len() == columns.len() => Some(&select.projection),
            _ => None,
        };
        let item = |index: usize| match items.and_then(|items| items.get(index)) {
            Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) => Some(expr),
            _ => None,
        };
        let columns = columns.into_iter().enumerate().map(|(index, column)| {
            let data_type = match item(index) {
                Some(item) if is_untyped(item) => None,
                // The type of a number that is written out has no modifier.
                Some(item) if is_number(item) => Some(PgType { modifier: -1, ..column.data_type }),
                _ => Some(column.data_type),
            };
            Column { name: column.name, data_type }
        });
        Some(columns.collect())
    }
}

/// What each column has to be cast to.
fn targets(own: &[Column], common: &[Column]) -> Vec<Option<PgType>> {
    own.iter()
        .zip(common)
        .map(|(own, common)| if own.data_type == common.data_type { None } else { castable(common.data_type.as_ref()) })
        .collect()
}

/// Types of sources have no names that a cast could use.
fn castable(data_type: Option<&PgType>) -> Option<PgType> {
    data_type.filter(|data_type| data_type.user.is_none()).cloned()
}

fn check_recursion(table: &str, index: usize, first: &PgType, second: &PgType) -> SqlResult<()> {
    let mismatch = |message: String| Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message));
    let Some(overall) = choice::unify(first, second) else {
        let bare = |data_type: &PgType| PgType { modifier: -1, ..data_type.clone() }.sql_name();
        return mismatch(format!("UNION types {} and {} cannot be matched", bare(first), bare(second)));
    };
    if overall == *first {
        return Ok(());
    }
    mismatch(format!(
        "recursive query \"{table}\" column {} has type {} in non-recursive term but type {} overall",
        index + 1,
        first.sql_name(),
        overall.sql_name()
    ))
}

/// Casts the columns of a branch: in its select list, or around it. `None` where that cannot be written.
fn cast_branch(branch: &mut SetExpr, own: &[Column], targets: &[Option<PgType>]) -> Option<()> {
    if targets.iter().all(Option::is_none) {
        return Some(());
    }
    match branch {
        SetExpr::Select(select) if has_plain_items(select, own.len()) => {
            for ((item, column), target) in select.projection.iter_mut().zip(own).zip(targets) {
                if let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }, Some(target)) =
                    (&*item, target)
                {
                    *item = cast_item(expr.clone(), target, &column.name);
                }
            }
        }
        branch => *branch = wrapped(branch.clone(), own, targets)?,
    }
    Some(())
}

/// Whether a cast of an item changes nothing but the item.
fn has_plain_items(select: &Select, columns: usize) -> bool {
    let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty());
    let plain = |item: &SelectItem| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. });
    !grouped && select.distinct.is_none() && select.projection.len() == columns && select.projection.iter().all(plain)
}

fn cast_item(expr: Expr, target: &PgType, name: &str) -> SelectItem {
    SelectItem::ExprWithAlias { expr: pg_cast(expr, &target.sql_name()), alias: Ident::with_quote('"', name) }
}

/// `SELECT cast(c0), c1 FROM (branch) AS branch(c0, c1)`.
fn wrapped(branch: SetExpr, own: &[Column], targets: &[Option<PgType>]) -> Option<SetExpr> {
    let column = |index: usize| Ident::with_quote('"', format!("{BRANCH}{index}"));
    let mut outer = *parsed("SELECT 1 FROM x").ok()?.body;
    let mut subquery = parsed("SELECT 1").ok()?;
    *subquery.body = branch;
    let SetExpr::Select(select) = &mut outer else { return None };
    let alias = TableAlias {
        explicit: true,
        name: Ident::with_quote('"', BRANCH),
        columns: (0..own.len()).map(|index| TableAliasColumnDef { name: column(index), data_type: None }).collect(),
        at: None,
    };
    let relation =
        TableFactor::Derived { lateral: false, subquery: Box::new(subquery), alias: Some(alias), sample: None };
    select.from = vec![TableWithJoins { relation, joins: Vec::new() }];
    let items = own.iter().zip(targets).enumerate().map(|(index, (own, target))| {
        let expr = Expr::Identifier(column(index));
        match target {
            Some(target) => cast_item(expr, target, &own.name),
            None => SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', &own.name) },
        }
    });
    select.projection = items.collect();
    Some(outer)
}

/// Whether an item is a string or NULL without a type.
fn is_untyped(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_untyped(inner),
        Expr::Value(value) => matches!(
            value.value,
            Value::Null
                | Value::SingleQuotedString(_)
                | Value::EscapedStringLiteral(_)
                | Value::DollarQuotedString(_)
                | Value::Placeholder(_)
        ),
        _ => false,
    }
}

fn is_number(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) | Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr: inner } => {
            is_number(inner)
        }
        Expr::Value(value) => matches!(value.value, Value::Number(..)),
        _ => false,
    }
}

/// Whether a body reads a table.
fn mentions(body: &SetExpr, table: &str) -> bool {
    struct Finder<'a>(&'a str);
    impl Visitor for Finder<'_> {
        type Break = ();

        fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
            match relation.0.as_slice() {
                [ObjectNamePart::Identifier(name)] if folded(name) == self.0 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    body.visit(&mut Finder(table)).is_break()
}
