//! `ROLLUP`, `CUBE` and `GROUPING SETS`, nested and combined, written out as one list of sets.
//!
//! DataFusion takes one of them at a time, of plain expressions. PostgreSQL multiplies the items of `GROUP BY` with each
//! other, and takes numbers and names of the select list for keys.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Query, Select, SelectItem, SetExpr, Value,
    VisitMut, VisitorMut,
};

use super::join_using::Describe;
use super::rewrite::parsed;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::federation::naming::folded;

/// PostgreSQL's bounds.
const SETS_MAX: usize = 4096;
const CUBE_MAX: usize = 12;

type Sets = Vec<Vec<Expr>>;

/// Writes out the grouping sets of a query.
///
/// # Errors
/// `54001` and `54011` for too many of them.
pub fn expand_grouping_sets(query: &mut Query, describe: &Describe<'_>) -> SqlResult<()> {
    struct Clauses<'a>(&'a Describe<'a>);
    impl VisitorMut for Clauses<'_> {
        type Break = SqlError;

        fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
            match expand_body(&mut query.body, self.0) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => ControlFlow::Break(error),
            }
        }
    }
    match query.visit(&mut Clauses(describe)) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

fn expand_body(body: &mut SetExpr, describe: &Describe<'_>) -> SqlResult<()> {
    let select = match body {
        SetExpr::SetOperation { left, right, .. } => {
            expand_body(left, describe)?;
            return expand_body(right, describe);
        }
        SetExpr::Select(select) => select,
        _ => return Ok(()),
    };
    let GroupByExpr::Expressions(items, _) = &select.group_by else { return Ok(()) };
    let empty = |item: &Expr| matches!(item, Expr::Tuple(keys) if keys.is_empty());
    let sets = |item: &Expr| matches!(item, Expr::Rollup(_) | Expr::Cube(_) | Expr::GroupingSets(_));
    if !items.iter().any(|item| sets(item) || empty(item)) {
        return Ok(());
    }
    let mut sets: Sets = vec![Vec::new()];
    for item in items {
        let own = sets_of(item)?;
        if sets.len().saturating_mul(own.len()) > SETS_MAX {
            return Err(too_many_sets());
        }
        sets = sets.iter().flat_map(|set| own.iter().map(move |other| joined(set, other))).collect();
    }
    let keys = Keys { select, columns: input_columns(select, &sets, describe) };
    let sets = sets.into_iter().map(|set| keys.of_set(set)).collect();
    select.group_by = GroupByExpr::Expressions(vec![Expr::GroupingSets(sets)], Vec::new());
    Ok(())
}

/// The items of `GROUP BY DISTINCT` as grouping sets, each once.
///
/// # Errors
/// As [`expand_grouping_sets`]; `0A000` for keys by their number or by several names, which are compared as written.
pub fn distinct_grouping_sets(items: &[Expr]) -> SqlResult<Expr> {
    let mut sets: Sets = vec![Vec::new()];
    for item in items {
        let own = sets_of(item)?;
        if sets.len().saturating_mul(own.len()) > SETS_MAX {
            return Err(too_many_sets());
        }
        sets = sets.iter().flat_map(|set| own.iter().map(move |other| joined(set, other))).collect();
    }
    let keys = || sets.iter().flatten();
    let qualified = keys().any(|key| matches!(key, Expr::CompoundIdentifier(_)));
    let plain = keys().all(|key| matches!(key, Expr::Identifier(_)));
    if !(plain || qualified && keys().all(|key| matches!(key, Expr::CompoundIdentifier(names) if names.len() == 2))) {
        let message = "GROUP BY DISTINCT by anything but columns that are all written alike is not supported";
        return Err(SqlError::unsupported(message));
    }
    let mut kept: Sets = Vec::with_capacity(sets.len());
    for set in sets {
        let same = |other: &Vec<Expr>| other.len() == set.len() && other.iter().all(|key| set.contains(key));
        if !kept.iter().any(same) {
            kept.push(set);
        }
    }
    Ok(Expr::GroupingSets(kept))
}

fn too_many_sets() -> SqlError {
    let message = format!("too many grouping sets present (maximum {SETS_MAX})");
    SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, message)
}

fn joined(set: &[Expr], other: &[Expr]) -> Vec<Expr> {
    let mut all = set.to_vec();
    all.extend(other.iter().filter(|key| !set.contains(key)).cloned());
    all
}

/// The sets that one item of `GROUP BY` stands for.
fn sets_of(item: &Expr) -> SqlResult<Sets> {
    match item {
        Expr::Rollup(parts) => rollup(parts),
        Expr::Cube(parts) => cube(parts),
        Expr::GroupingSets(items) => {
            let mut sets = Sets::new();
            for item in items {
                match item.as_slice() {
                    [only] => sets.extend(sets_of(only)?),
                    keys => sets.push(keys.iter().flat_map(keys_of).collect()),
                }
                if sets.len() > SETS_MAX {
                    return Err(too_many_sets());
                }
            }
            Ok(sets)
        }
        Expr::Function(function) => {
            // Within GROUPING SETS the parser takes them for functions.
            let FunctionArguments::List(list) = &function.args else { return Ok(vec![vec![item.clone()]]) };
            let parts = || {
                let parts = list.args.iter().map(|arg| match arg {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(part)) => keys_of(part),
                    _ => Vec::new(),
                });
                parts.collect::<Sets>()
            };
            match function.name.to_string().to_lowercase().as_str() {
                "rollup" => rollup(&parts()),
                "cube" => cube(&parts()),
                _ => Ok(vec![vec![item.clone()]]),
            }
        }
        item => Ok(vec![keys_of(item)]),
    }
}

/// The keys of `a` and of `(a, b)`.
fn keys_of(item: &Expr) -> Vec<Expr> {
    match item {
        Expr::Tuple(keys) => keys.iter().flat_map(keys_of).collect(),
        Expr::Nested(inner) => keys_of(inner),
        key => vec![key.clone()],
    }
}

fn flattened(part: &[Expr]) -> impl Iterator<Item = Expr> {
    part.iter().flat_map(keys_of)
}

fn rollup(parts: &[Vec<Expr>]) -> SqlResult<Sets> {
    if parts.len() >= SETS_MAX {
        return Err(too_many_sets());
    }
    Ok((0..=parts.len())
        .rev()
        .map(|count| parts.iter().take(count).flat_map(|part| flattened(part)).collect())
        .collect())
}

fn cube(parts: &[Vec<Expr>]) -> SqlResult<Sets> {
    if parts.len() > CUBE_MAX {
        let message = format!("CUBE is limited to {CUBE_MAX} elements");
        return Err(SqlError::new(SqlState::TOO_MANY_COLUMNS, message));
    }
    let subsets = (0..1_usize << parts.len()).rev().map(|mask| {
        let chosen = parts.iter().enumerate().filter(|(index, _)| mask >> (parts.len() - 1 - index) & 1 == 1);
        chosen.flat_map(|(_, part)| flattened(part)).collect()
    });
    Ok(subsets.collect())
}

/// The columns of FROM, where a key could be one of them or a name of the select list.
fn input_columns(select: &Select, sets: &Sets, describe: &Describe<'_>) -> Vec<String> {
    let shown = sets.iter().flatten().any(|key| item_named(select, key).is_some());
    if !shown || select.from.is_empty() {
        return Vec::new();
    }
    let Ok(mut query) = parsed("SELECT * FROM t") else { return Vec::new() };
    if let SetExpr::Select(all) = query.body.as_mut() {
        all.from.clone_from(&select.from);
    }
    let columns = describe(query).unwrap_or_default();
    columns.into_iter().map(|column| column.name).collect()
}

/// The item of a select list that a name alone stands for.
fn item_named<'a>(select: &'a Select, key: &Expr) -> Option<&'a Expr> {
    let Expr::Identifier(name) = key else { return None };
    select.projection.iter().find_map(|item| match item {
        SelectItem::ExprWithAlias { expr, alias } if folded(alias) == folded(name) && expr != key => Some(expr),
        _ => None,
    })
}

struct Keys<'a> {
    select: &'a Select,
    columns: Vec<String>,
}

impl Keys<'_> {
    fn of_set(&self, set: Vec<Expr>) -> Vec<Expr> {
        let mut keys: Vec<Expr> = Vec::with_capacity(set.len());
        for key in set {
            let key = self.item(&key).cloned().unwrap_or(key);
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }

    /// The item of the select list that a key stands for, by its number or its name.
    fn item(&self, key: &Expr) -> Option<&Expr> {
        if let Expr::Value(value) = key
            && let Value::Number(digits, _) = &value.value
        {
            let index = digits.to_string().parse::<usize>().ok()?.checked_sub(1)?;
            return match self.select.projection.get(index)? {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
                _ => None,
            };
        }
        let item = item_named(self.select, key)?;
        // A column of FROM counts more.
        let is_column = matches!(key, Expr::Identifier(name) if self.columns.contains(&folded(name)));
        (!is_column).then_some(item)
    }
}
