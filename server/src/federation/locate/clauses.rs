//! Clauses and constructs whose parts are of the wrong type or number.

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, Expr, Function, JoinConstraint, LimitClause, Query, Select, SelectItem, SetExpr,
    Subscript, UnaryOperator,
};

use super::Statement;
use super::candidates::{Candidate, choose, each_body, each_expr, each_query, each_select, is_type};
use super::expressions::{Known, arguments, item_expr, plain_name, select_items, start_of};
use super::operators::{token_after, token_between};
use super::source::Source;

/// `argument of AND must be type boolean, not type integer`.
pub(super) fn argument(message: &str, statement: Statement<'_>, source: &Source<'_>) -> Option<usize> {
    let (place, rest) = message.strip_prefix("argument of ")?.split_once(" must be type ")?;
    let (_, own) = rest.split_once(", not type ")?;
    let mut candidates = Vec::new();
    let mut offer = |expr: &Expr| {
        let fit = is_type(&source.type_of(expr), own);
        candidates.extend(fit.map(|certain| Candidate { certain, position: start_of(expr, source) }));
    };
    match place {
        "WHERE" => each_select(statement.query, &mut |select: &Select| select.selection.iter().for_each(&mut offer)),
        "JOIN/ON" => each_select(statement.query, &mut |select: &Select| {
            for join in select.from.iter().flat_map(|from| &from.joins) {
                if let Some(JoinConstraint::On(on)) = crate::statement::tree::constraint(&join.join_operator) {
                    offer(on);
                }
            }
        }),
        "HAVING" => each_select(statement.query, &mut |select: &Select| select.having.iter().for_each(&mut offer)),
        "LIMIT" | "OFFSET" => each_query(statement.query, &mut |query: &Query| {
            if let Some(LimitClause::LimitOffset { limit, offset, .. }) = &query.limit_clause {
                match place {
                    "LIMIT" => limit.iter().for_each(&mut offer),
                    _ => offset.iter().for_each(|offset| offer(&offset.value)),
                }
            }
        }),
        _ => each_expr(statement.query, &mut |expr| match (place, expr) {
            ("AND", Expr::BinaryOp { left, op: BinaryOperator::And, right })
            | ("OR", Expr::BinaryOp { left, op: BinaryOperator::Or, right }) => {
                offer(left);
                offer(right);
            }
            ("NOT", Expr::UnaryOp { op: UnaryOperator::Not, expr })
            | ("IS TRUE", Expr::IsTrue(expr))
            | ("IS NOT TRUE", Expr::IsNotTrue(expr))
            | ("IS FALSE", Expr::IsFalse(expr))
            | ("IS NOT FALSE", Expr::IsNotFalse(expr))
            | ("IS UNKNOWN", Expr::IsUnknown(expr))
            | ("IS NOT UNKNOWN", Expr::IsNotUnknown(expr)) => offer(expr),
            ("CASE/WHEN", Expr::Case { operand: None, conditions, .. }) => {
                conditions.iter().for_each(|when| offer(&when.condition));
            }
            ("FILTER", Expr::Function(Function { filter: Some(filter), .. })) => offer(filter),
            _ => {}
        }),
    }
    choose(&candidates)
}

/// `CASE types integer and text cannot be matched`: the first part of the second type.
pub(super) fn unmatched(message: &str, statement: Statement<'_>, source: &Source<'_>) -> Option<usize> {
    let (construct, types) = message.strip_suffix(" cannot be matched")?.split_once(" types ")?;
    let (_, other) = types.split_once(" and ")?;
    let mut candidates = Vec::new();
    let mut offer = |parts: &[&Expr]| candidates.extend(second(parts, other, source));
    match construct {
        "VALUES" => each_body(statement.query, &mut |body| {
            let SetExpr::Values(values) = body else { return };
            let width = values.rows.first().map_or(0, |row| row.content.len());
            for column in 0..width {
                let parts: Vec<&Expr> = values.rows.iter().filter_map(|row| row.content.get(column)).collect();
                offer(&parts);
            }
        }),
        "UNION" | "INTERSECT" | "EXCEPT" => each_body(statement.query, &mut |body| {
            let SetExpr::SetOperation { op, left, right, .. } = body else { return };
            if op.to_string() != construct {
                return;
            }
            let (Some(left), Some(right)) = (first_items(left), select_items(right)) else { return };
            for (left, right) in left.iter().zip(right) {
                if let (Some(left), Some(right)) = (item_expr(left), item_expr(right)) {
                    offer(&[left, right]);
                }
            }
        }),
        _ => each_expr(statement.query, &mut |expr| match (construct, expr) {
            ("CASE", Expr::Case { conditions, else_result, .. }) => {
                // ELSE is looked at first.
                let results = conditions.iter().map(|when| &when.result);
                offer(&else_result.as_deref().into_iter().chain(results).collect::<Vec<_>>());
            }
            ("ARRAY", Expr::Array(array)) => offer(&array.elem.iter().collect::<Vec<_>>()),
            ("COALESCE" | "GREATEST" | "LEAST", Expr::Function(call))
                if plain_name(call).is_some_and(|name| name.eq_ignore_ascii_case(construct)) =>
            {
                offer(&arguments(call).unwrap_or_default());
            }
            _ => {}
        }),
    }
    choose(&candidates)
}

/// The columns of the first SELECT of a set operation.
fn first_items(body: &SetExpr) -> Option<&[SelectItem]> {
    match body {
        SetExpr::SetOperation { left, .. } => first_items(left),
        body => select_items(body),
    }
}

fn second(parts: &[&Expr], other: &str, source: &Source<'_>) -> Option<Candidate> {
    let types: Vec<Known> = parts.iter().map(|part| source.type_of(part)).collect();
    let (index, certain) = types.iter().enumerate().skip(1).find_map(|(index, own)| {
        let certain = is_type(own, other)?;
        Some((index, certain && types.iter().take(index).all(|before| *before != Known::Any)))
    })?;
    let position = parts.get(index).and_then(|part| start_of(part, source));
    Some(Candidate { certain, position })
}

/// `ORDER BY position 2 is not in select list`.
pub(super) fn ordinal(message: &str, statement: Statement<'_>, source: &Source<'_>) -> Option<usize> {
    use datafusion::sql::sqlparser::ast::{GroupByExpr, OrderByKind};
    let (clause, number) = message.strip_suffix(" is not in select list")?.split_once(" position ")?;
    let mut candidates = Vec::new();
    let mut offer = |key: &Expr| {
        if key.to_string() == number {
            candidates.push(Candidate { certain: true, position: start_of(key, source) });
        }
    };
    match clause {
        "ORDER BY" => each_query(statement.query, &mut |query| {
            if let Some(OrderByKind::Expressions(keys)) = query.order_by.as_ref().map(|order| &order.kind) {
                keys.iter().for_each(|key| offer(&key.expr));
            }
        }),
        "GROUP BY" => each_select(statement.query, &mut |select| {
            if let GroupByExpr::Expressions(keys, _) = &select.group_by {
                keys.iter().for_each(&mut offer);
            }
        }),
        _ => return None,
    }
    match candidates.as_slice() {
        [only] => only.position,
        _ => None,
    }
}

/// The first key of ORDER BY that DISTINCT does not have.
pub(super) fn distinct_key(message: &str, statement: Statement<'_>, source: &Source<'_>) -> Option<usize> {
    use datafusion::sql::sqlparser::ast::{OrderByKind, Spanned, Value};
    if message != "for SELECT DISTINCT, ORDER BY expressions must appear in select list" {
        return None;
    }
    let mut candidates = Vec::new();
    each_query(statement.query, &mut |query| {
        let SetExpr::Select(select) = query.body.as_ref() else { return };
        let Some(OrderByKind::Expressions(keys)) = query.order_by.as_ref().map(|order| &order.kind) else { return };
        if select.distinct.is_none() || select.projection.iter().any(|item| item_expr(item).is_none()) {
            return;
        }
        let is_shown = |key: &Expr| {
            matches!(key, Expr::Value(value) if matches!(value.value, Value::Number(..)))
                || select.projection.iter().any(|item| {
                    let text = item.to_string();
                    let shown = key.to_string();
                    item_expr(item).is_some_and(|expr| expr.to_string() == shown)
                        || text.ends_with(&format!(" AS {shown}"))
                        || text.ends_with(&format!(".{shown}"))
                })
        };
        if let Some(key) = keys.iter().find(|key| !is_shown(&key.expr)) {
            let position = start_of(&key.expr, source).filter(|_| key.expr.span().start.line > 0);
            candidates.push(Candidate { certain: true, position });
        }
    });
    choose(&candidates)
}

/// What is said of the numbers of columns.
pub(super) fn columns(message: &str, statement: Statement<'_>, source: &Source<'_>) -> Option<usize> {
    let mut candidates = Vec::new();
    let count = |query: &Query| {
        let items = select_items(&query.body)?;
        items.iter().all(|item| item_expr(item).is_some()).then_some(items.len())
    };
    match message {
        "subquery must return only one column" => each_expr(statement.query, &mut |expr| {
            if let Expr::Subquery(query) = expr
                && count(query) != Some(1)
            {
                candidates.push(Candidate { certain: count(query).is_some(), position: start_of(expr, source) });
            }
        }),
        "subquery has too many columns" | "subquery has too few columns" => each_expr(statement.query, &mut |expr| {
            let (left, query, position) = match expr {
                Expr::InSubquery { expr: left, subquery, negated } => {
                    (left, subquery, token_after(left, &[if *negated { "not" } else { "in" }], source))
                }
                Expr::AnyOp { left, compare_op, right, .. } | Expr::AllOp { left, compare_op, right } => {
                    let Expr::Subquery(query) = right.as_ref() else { return };
                    (left, query, token_after(left, &[&compare_op.to_string()], source))
                }
                _ => return,
            };
            let width = width(left);
            let wrong = match message {
                "subquery has too many columns" => count(query).map(|count| count > width),
                _ => count(query).map(|count| count < width),
            };
            if wrong != Some(false) {
                candidates.push(Candidate { certain: wrong.is_some(), position });
            }
        }),
        "unequal number of entries in row expressions" => each_expr(statement.query, &mut |expr| {
            if let Expr::BinaryOp { left, op, right } = expr
                && width(left) != width(right)
            {
                let position = token_between(left, right, &[&op.to_string()], source);
                candidates.push(Candidate { certain: true, position });
            }
        }),
        "VALUES lists must all be the same length" => each_body(statement.query, &mut |body| {
            let SetExpr::Values(values) = body else { return };
            let first = values.rows.first().map_or(0, |row| row.content.len());
            if let Some(row) = values.rows.iter().find(|row| row.content.len() != first) {
                let position = row.content.first().and_then(|expr| start_of(expr, source));
                candidates.push(Candidate { certain: true, position });
            }
        }),
        _ => {
            let operation =
                message.strip_prefix("each ")?.strip_suffix(" query must have the same number of columns")?;
            each_body(statement.query, &mut |body| {
                let SetExpr::SetOperation { op, left, right, .. } = body else { return };
                let (Some(left), Some(right)) = (select_items(left), select_items(right)) else { return };
                let stars = left.iter().chain(right).any(|item| item_expr(item).is_none());
                if op.to_string() != operation || (!stars && left.len() == right.len()) {
                    return;
                }
                let position = right.first().and_then(item_expr).and_then(|expr| start_of(expr, source));
                candidates.push(Candidate { certain: !stars, position });
            });
        }
    }
    choose(&candidates)
}

/// How many fields the left side of a comparison has.
fn width(expr: &Expr) -> usize {
    match expr {
        Expr::Nested(inner) => width(inner),
        Expr::Tuple(fields) => fields.len(),
        Expr::Function(call) if plain_name(call).as_deref() == Some("row") => {
            arguments(call).map_or(1, |fields| fields.len())
        }
        _ => 1,
    }
}

/// `cannot subscript type integer because it does not support subscripting`, and the arguments of GROUPING.
pub(super) fn part(message: &str, statement: Statement<'_>, source: &Source<'_>) -> Option<usize> {
    let mut candidates = Vec::new();
    if let Some(own) = message
        .strip_prefix("cannot subscript type ")
        .and_then(|rest| rest.strip_suffix(" because it does not support subscripting"))
    {
        each_expr(statement.query, &mut |expr| {
            if let Expr::CompoundFieldAccess { root, .. } = expr {
                let fit = is_type(&source.type_of(root), own);
                candidates.extend(fit.map(|certain| Candidate { certain, position: start_of(root, source) }));
            }
        });
    } else if let Some(field) = message
        .strip_prefix("column notation .")
        .and_then(|rest| rest.split(" applied to type ").next())
        .or_else(|| message.strip_prefix("could not identify column \"")?.split('"').next())
    {
        each_expr(statement.query, &mut |expr| {
            if let Expr::CompoundFieldAccess { root, access_chain } = expr
                && let Some(AccessExpr::Dot(Expr::Identifier(last))) = access_chain.last()
                && super::folded(last) == field
            {
                candidates.push(Candidate { certain: false, position: start_of(root, source) });
            }
        });
    } else if message == "array subscript must have type integer" {
        each_expr(statement.query, &mut |expr| {
            let Expr::CompoundFieldAccess { access_chain, .. } = expr else { return };
            for access in access_chain {
                let AccessExpr::Subscript(Subscript::Index { index }) = access else { continue };
                let certain = match source.type_of(index) {
                    Known::Type(own) if matches!(own.as_str(), "smallint" | "integer" | "bigint") => continue,
                    Known::Type(_) => true,
                    Known::Unknown => continue,
                    Known::Any => false,
                };
                candidates.push(Candidate { certain, position: start_of(index, source) });
            }
        });
    } else if message == "arguments to GROUPING must be grouping expressions of the associated query level" {
        each_expr(statement.query, &mut |expr| {
            if let Expr::Function(call) = expr
                && plain_name(call).as_deref() == Some("grouping")
            {
                // Of several arguments it is not known which.
                let position = match arguments(call).as_deref() {
                    Some([only]) => start_of(only, source),
                    _ => None,
                };
                candidates.push(Candidate { certain: false, position });
            }
        });
    } else if let Some((from, to)) = message.strip_prefix("cannot cast type ").and_then(|rest| rest.split_once(" to "))
    {
        each_expr(statement.query, &mut |expr| {
            let Expr::Cast { kind, expr: inner, data_type, .. } = expr else { return };
            let named = super::expressions::type_name(data_type).is_none_or(|name| name == to);
            let Some(certain) = is_type(&source.type_of(inner), from).filter(|_| named) else { return };
            let position = match kind {
                datafusion::sql::sqlparser::ast::CastKind::DoubleColon => token_after(inner, &["::"], source),
                _ => start_of(expr, source),
            };
            candidates.push(Candidate { certain, position });
        });
    }
    choose(&candidates)
}
