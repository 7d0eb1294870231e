//! Rows compared with the rows of a subquery: `(a, b) IN (SELECT …)`, `(a, b) = (SELECT …)`, `(a, b) < ALL (SELECT …)`.
//!
//! As a condition of WHERE that must be true, `IN` becomes an `EXISTS`, which is a semi join. Elsewhere the answer may be
//! NULL: two `EXISTS` tell true, false and NULL apart.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Ident, Query, Select, SelectItem, SetExpr, TableAliasColumnDef, TableFactor, UnaryOperator,
    Value,
};

use super::rewrite::parsed;
use super::rows::{compared, fields, is_comparison};
use crate::error::{SqlError, SqlResult};

/// The alias of the subquery, and the beginning of its columns' names.
const ROWS: &str = "\u{1}row";

/// Conditions of WHERE and HAVING that must be true.
///
/// # Errors
/// `42601` for rows of different lengths.
pub(super) fn conditions(select: &mut Select) -> SqlResult<()> {
    for condition in select.selection.iter_mut().chain(select.having.iter_mut()) {
        must_be_true(condition)?;
    }
    Ok(())
}

fn must_be_true(condition: &mut Expr) -> SqlResult<()> {
    if let Expr::BinaryOp { left, op: BinaryOperator::And, right } = condition {
        must_be_true(left)?;
        return must_be_true(right);
    }
    if let Expr::Nested(inner) = condition {
        return must_be_true(inner);
    }
    let Some(comparison) = Comparison::of(condition) else { return Ok(()) };
    match comparison.quantifier {
        Quantifier::Any => *condition = comparison.exists(Truth::True, false)?,
        Quantifier::All => *condition = comparison.exists(Truth::NotTrue, true)?,
        Quantifier::One => {}
    }
    Ok(())
}

/// A comparison anywhere else; `None` where no row is compared with a subquery.
///
/// # Errors
/// `42601` for rows of different lengths.
pub(super) fn expand(expr: &Expr) -> SqlResult<Option<Expr>> {
    let Some(comparison) = Comparison::of(expr) else { return Ok(None) };
    let null = Expr::Value(Value::Null.with_empty_span());
    let boolean = |value: bool| Expr::Value(Value::Boolean(value).with_empty_span());
    let (decisive, decided) = match comparison.quantifier {
        Quantifier::Any => (Truth::True, true),
        Quantifier::All => (Truth::False, false),
        Quantifier::One => return comparison.value().map(Some),
    };
    let when = |condition: Expr, result: Expr| datafusion::sql::sqlparser::ast::CaseWhen { condition, result };
    Ok(Some(Expr::Case {
        case_token: datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken::empty(),
        end_token: datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken::empty(),
        operand: None,
        conditions: vec![
            when(comparison.exists(decisive, false)?, boolean(decided)),
            when(comparison.exists(Truth::Null, false)?, null),
        ],
        else_result: Some(Box::new(boolean(!decided))),
    }))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quantifier {
    Any,
    All,
    /// The subquery has one row at most.
    One,
}

#[derive(Clone, Copy)]
enum Truth {
    True,
    False,
    Null,
    NotTrue,
}

struct Comparison<'a> {
    row: Vec<Expr>,
    operator: BinaryOperator,
    quantifier: Quantifier,
    query: &'a Query,
}

impl<'a> Comparison<'a> {
    fn of(expr: &'a Expr) -> Option<Self> {
        let (row, operator, quantifier, query) = match expr {
            Expr::InSubquery { expr: row, subquery, negated: false } => {
                (row, BinaryOperator::Eq, Quantifier::Any, subquery.as_ref())
            }
            Expr::InSubquery { expr: row, subquery, negated: true } => {
                (row, BinaryOperator::NotEq, Quantifier::All, subquery.as_ref())
            }
            Expr::AnyOp { left, compare_op, right, .. } => {
                (left, compare_op.clone(), Quantifier::Any, subquery_of(right)?)
            }
            Expr::AllOp { left, compare_op, right } => (left, compare_op.clone(), Quantifier::All, subquery_of(right)?),
            Expr::BinaryOp { left, op, right } => (left, op.clone(), Quantifier::One, subquery_of(right)?),
            _ => return None,
        };
        if !is_comparison(&operator) {
            return None;
        }
        Some(Self { row: fields(row)?, operator, quantifier, query })
    }

    /// The subquery under an alias whose columns stand beside the row's fields.
    fn over_rows(&self) -> SqlResult<(Query, Expr)> {
        if let Some(columns) = width(&self.query.body)
            && columns != self.row.len()
        {
            let problem = if columns < self.row.len() { "few" } else { "many" };
            return Err(SqlError::syntax(format!("subquery has too {problem} columns")));
        }
        let columns: Vec<Ident> =
            (0..self.row.len()).map(|index| Ident::with_quote('"', format!("{ROWS}{index}"))).collect();
        let others: Vec<Expr> = columns.iter().cloned().map(Expr::Identifier).collect();
        let condition = compared(&self.row, &self.operator, &others)?;
        let mut query = parsed("SELECT 1 FROM (SELECT 1) AS rows")?;
        if let SetExpr::Select(select) = query.body.as_mut()
            && let Some(TableFactor::Derived { subquery, alias: Some(alias), .. }) =
                select.from.first_mut().map(|from| &mut from.relation)
        {
            **subquery = self.query.clone();
            alias.name = Ident::with_quote('"', ROWS);
            alias.columns = columns.into_iter().map(|name| TableAliasColumnDef { name, data_type: None }).collect();
        }
        Ok((query, condition))
    }

    fn exists(&self, truth: Truth, negated: bool) -> SqlResult<Expr> {
        let (mut query, condition) = self.over_rows()?;
        let condition = Box::new(condition);
        let condition = match truth {
            Truth::True => *condition,
            Truth::False => Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(Expr::Nested(condition)) },
            Truth::Null => Expr::IsNull(condition),
            Truth::NotTrue => Expr::IsNotTrue(condition),
        };
        if let SetExpr::Select(select) = query.body.as_mut() {
            select.selection = Some(condition);
        }
        Ok(Expr::Exists { subquery: Box::new(query), negated })
    }

    /// `(SELECT a = c0 AND b = c1 FROM (query) AS rows(c0, c1))`: NULL where there is no row, an error where there are two.
    fn value(&self) -> SqlResult<Expr> {
        let (mut query, condition) = self.over_rows()?;
        if let SetExpr::Select(select) = query.body.as_mut() {
            select.projection = vec![SelectItem::UnnamedExpr(condition)];
        }
        Ok(Expr::Subquery(Box::new(query)))
    }
}

fn subquery_of(expr: &Expr) -> Option<&Query> {
    match expr {
        Expr::Nested(inner) => subquery_of(inner),
        Expr::Subquery(query) => Some(query),
        _ => None,
    }
}

/// How many columns a query has; `None` where that is not written.
fn width(body: &SetExpr) -> Option<usize> {
    match body {
        SetExpr::Select(select) => {
            let all = select
                .projection
                .iter()
                .any(|item| !matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. }));
            (!all).then_some(select.projection.len())
        }
        SetExpr::Query(query) => width(&query.body),
        SetExpr::SetOperation { left, .. } => width(left),
        SetExpr::Values(values) => values.rows.first().map(|row| row.content.len()),
        _ => None,
    }
}
