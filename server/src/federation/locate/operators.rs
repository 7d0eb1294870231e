//! The operator that does not exist: PostgreSQL points at its token.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, JoinConstraint, UnaryOperator};

use super::Statement;
use super::candidates::{Candidate, choose, each_expr, each_select};
use super::expressions::{Known, arguments, extent, first_token, plain_name, start_of};
use super::source::Source;
use crate::error::{SqlError, SqlState};
use crate::statement::tree::constraint;

/// Finds the operator of `operands`, which are the message's: `integer + boolean`, `- unknown`.
pub(super) fn find(operands: &str, statement: Statement<'_>, source: &Source<'_>) -> Option<usize> {
    let mut candidates = Vec::new();
    let mut add = |candidate: Option<Candidate>| candidates.extend(candidate);
    each_expr(statement.query, &mut |expr| uses(expr, operands, source, &mut add));
    let is_hidden =
        [" = ", " < ", " > "].iter().any(|operator| operands.contains(operator)) && joins_by_name(statement);
    match candidates.as_slice() {
        // It may be the one that a join by names has.
        [only] if is_hidden && !only.certain => None,
        candidates => choose(candidates),
    }
}

/// An operator that is not there, told by the types of its sides. Errors name these as DataFusion has them, and some
/// operators that take few types only are not built for any other.
pub(super) fn missing(error: &SqlError, statement: Statement<'_>, source: &Source<'_>) -> Option<SqlError> {
    let mut found = None;
    each_expr(statement.query, &mut |expr| found = found.take().or_else(|| untaken(expr, source)));
    found.or_else(|| renamed(error, statement, source))
}

/// Types that are neither containers nor texts of JSON, and have no operators of these.
fn is_scalar(name: &str) -> bool {
    matches!(
        name,
        "smallint" | "integer" | "bigint" | "numeric" | "real" | "double precision" | "boolean" | "text" | "character"
    ) || matches!(name, "character varying" | "date" | "uuid" | "bytea" | "interval")
        || name.starts_with("timestamp ")
        || name.starts_with("time ")
}

fn is_text(name: &str) -> bool {
    matches!(name, "text" | "character" | "character varying")
}

/// Whether DataFusion plans an operator for types that PostgreSQL does not have it for.
pub(super) const fn takes_few(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::BinaryOp { op: BinaryOperator::AtArrow | BinaryOperator::ArrowAt, .. }
            | Expr::UnaryOp { op: UnaryOperator::PGSquareRoot | UnaryOperator::PGCubeRoot | UnaryOperator::PGAbs, .. }
    )
}

/// An operator of JSON, containers or numbers whose operand has a type that it does not take.
pub(super) fn untaken(expr: &Expr, source: &Source<'_>) -> Option<SqlError> {
    match expr {
        Expr::BinaryOp { left, op, right } => {
            let Known::Type(own) = source.type_of(left) else { return None };
            let other = source.type_of(right);
            let takes_it = match op {
                BinaryOperator::Arrow
                | BinaryOperator::LongArrow
                | BinaryOperator::HashArrow
                | BinaryOperator::HashLongArrow
                | BinaryOperator::AtArrow
                | BinaryOperator::Question
                | BinaryOperator::QuestionAnd
                | BinaryOperator::QuestionPipe => !is_scalar(&own),
                // A range contains what is no container.
                BinaryOperator::ArrowAt => {
                    !is_scalar(&own) || !matches!(&other, Known::Type(other) if is_scalar(other))
                }
                _ => true,
            };
            if takes_it {
                return None;
            }
            let name = name_of(op);
            let position = token_between(left, right, &[name.as_str()], source);
            Some(no_operator(&format!("{own} {name} {}", other.name()?), SIDES_HINT).at(position))
        }
        Expr::UnaryOp { op, expr: operand } => {
            let Known::Type(own) = source.type_of(operand) else { return None };
            let of_numbers =
                matches!(op, UnaryOperator::PGSquareRoot | UnaryOperator::PGCubeRoot | UnaryOperator::PGAbs);
            if !of_numbers || !is_text(&own) {
                return None;
            }
            Some(no_operator(&format!("{} {own}", sign(op)?), SIDE_HINT).at(start_of(expr, source)))
        }
        _ => None,
    }
}

const SIDES_HINT: &str =
    "No operator matches the given name and argument types. You might need to add explicit type casts.";
const SIDE_HINT: &str =
    "No operator matches the given name and argument type. You might need to add an explicit type cast.";

fn no_operator(operands: &str, hint: &str) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("operator does not exist: {operands}")).hint(hint)
}

/// The same error with PostgreSQL's names of the types, where one place alone can be meant. Comparisons are left out:
/// they are hidden in other forms too.
fn renamed(error: &SqlError, statement: Statement<'_>, source: &Source<'_>) -> Option<SqlError> {
    let operands = error.message.strip_prefix("operator does not exist: ")?;
    let mut places = Vec::new();
    each_expr(statement.query, &mut |expr| {
        let Expr::BinaryOp { left, op, right } = expr else { return };
        let name = name_of(op);
        if operands.contains(&format!(" {name} ")) && !matches!(name.as_str(), "=" | "<>" | "<" | ">" | "<=" | ">=") {
            let sides = (source.type_of(left), source.type_of(right));
            places.push((name.clone(), sides, token_between(left, right, &[name.as_str()], source)));
        }
    });
    let [(name, (left, right), position)] = places.as_slice() else { return None };
    Some(no_operator(&format!("{} {name} {}", left.name()?, right.name()?), SIDES_HINT).at(*position))
}

/// USING and NATURAL compare, and no operator is written.
fn joins_by_name(statement: Statement<'_>) -> bool {
    let mut found = false;
    each_select(statement.query, &mut |select| {
        found |= select.from.iter().flat_map(|from| &from.joins).any(|join| {
            matches!(constraint(&join.join_operator), Some(JoinConstraint::Using(_) | JoinConstraint::Natural))
        });
    });
    found
}

/// Whether an operator of two sides is the one: `None` if not, else whether that is certain.
fn fits(operands: &str, left: &Known, operator: &str, right: &Known) -> Option<bool> {
    match (left.name(), right.name()) {
        (Some(left), Some(right)) => (operands == format!("{left} {operator} {right}")).then_some(true),
        (Some(left), None) => operands.starts_with(&format!("{left} {operator} ")).then_some(false),
        (None, Some(right)) => operands.ends_with(&format!(" {operator} {right}")).then_some(false),
        (None, None) => operands.contains(&format!(" {operator} ")).then_some(false),
    }
}

fn element(known: Known) -> Known {
    match known {
        Known::Type(name) => name.strip_suffix("[]").map_or(Known::Any, |name| Known::Type(name.to_owned())),
        _ => Known::Any,
    }
}

/// The operators that an expression stands for.
fn uses(expr: &Expr, operands: &str, source: &Source<'_>, add: &mut dyn FnMut(Option<Candidate>)) {
    let mut pair = |left: &Expr, name: &str, types: (&Known, &Known), right: &Expr, words: &[&str]| {
        let fit = fits(operands, types.0, name, types.1);
        add(fit.map(|certain| Candidate { certain, position: token_between(left, right, words, source) }));
    };
    match expr {
        Expr::BinaryOp { left, op, right } if fields(left).is_some() && fields(right).is_some() => {
            let name = name_of(op);
            let words: &[&str] = if name == "<>" { &["<>", "!="] } else { &[name.as_str()] };
            let mut pairs = fields(left).unwrap_or_default().into_iter().zip(fields(right).unwrap_or_default());
            let fit =
                pairs.find_map(|(one, other)| fits(operands, &source.type_of(one), &name, &source.type_of(other)));
            add(fit.map(|certain| Candidate { certain, position: token_between(left, right, words, source) }));
        }
        Expr::BinaryOp { left, op, right } => {
            let name = name_of(op);
            let words: &[&str] = if name == "<>" { &["<>", "!="] } else { &[name.as_str()] };
            pair(left, &name, (&source.type_of(left), &source.type_of(right)), right, words);
        }
        Expr::AnyOp { left, compare_op: op, right, .. } | Expr::AllOp { left, compare_op: op, right } => {
            let name = name_of(op);
            let words: &[&str] = if name == "<>" { &["<>", "!="] } else { &[name.as_str()] };
            let own = if matches!(right.as_ref(), Expr::Subquery(_)) {
                source.type_of(right)
            } else {
                element(source.type_of(right))
            };
            pair(left, &name, (&source.type_of(left), &own), right, words);
        }
        Expr::Like { negated, expr: left, pattern, .. } | Expr::ILike { negated, expr: left, pattern, .. } => {
            let name = match (negated, matches!(expr, Expr::ILike { .. })) {
                (false, false) => "~~",
                (false, true) => "~~*",
                (true, false) => "!~~",
                (true, true) => "!~~*",
            };
            let words: &[&str] = if *negated { &["not"] } else { &["like", "ilike"] };
            pair(left, name, (&source.type_of(left), &source.type_of(pattern)), pattern, words);
        }
        Expr::InList { expr: left, list, negated } => {
            let (name, words): (_, &[&str]) = if *negated { ("<>", &["not"]) } else { ("=", &["in"]) };
            let Some(first) = list.first() else { return };
            let fit = list.iter().find_map(|item| match (fields(left), fields(item)) {
                (Some(left), Some(item)) => left
                    .into_iter()
                    .zip(item)
                    .find_map(|(one, other)| fits(operands, &source.type_of(one), name, &source.type_of(other))),
                _ => fits(operands, &source.type_of(left), name, &source.type_of(item)),
            });
            add(fit.map(|certain| Candidate { certain, position: token_between(left, first, words, source) }));
        }
        Expr::InSubquery { expr: left, negated, .. } => {
            let (name, word) = if *negated { ("<>", "not") } else { ("=", "in") };
            let fit = fits(operands, &source.type_of(left), name, &Known::Any);
            add(fit.map(|certain| Candidate { certain, position: token_after(left, &[word], source) }));
        }
        Expr::Between { expr: left, negated, low, high } => {
            let words: &[&str] = if *negated { &["not"] } else { &["between"] };
            let names = if *negated { ["<", ">"] } else { [">=", "<="] };
            for (name, bound) in names.iter().zip([low, high]) {
                let fit = fits(operands, &source.type_of(left), name, &source.type_of(bound));
                add(fit.map(|certain| Candidate { certain, position: token_between(left, low, words, source) }));
            }
        }
        Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => {
            pair(left, "=", (&source.type_of(left), &source.type_of(right)), right, &["is"]);
        }
        Expr::Function(call) if plain_name(call).as_deref() == Some("nullif") => {
            if let Some([left, right]) = arguments(call).as_deref() {
                let fit = fits(operands, &source.type_of(left), "=", &source.type_of(right));
                add(fit.map(|certain| Candidate { certain, position: start_of(expr, source) }));
            }
        }
        Expr::Case { operand: Some(operand), conditions, .. } => {
            for when in conditions {
                let fit = fits(operands, &source.type_of(operand), "=", &source.type_of(&when.condition));
                let word = first_token(&when.condition, source).and_then(|index| index.checked_sub(1));
                let position = word.filter(|index| source.text(*index) == "when").and_then(|at| source.position(at));
                add(fit.map(|certain| Candidate { certain, position }));
            }
        }
        Expr::UnaryOp { op, expr: operand } => {
            let Some(name) = sign(op) else { return };
            let fit = match source.type_of(operand).name() {
                Some(own) => (operands == format!("{name} {own}")).then_some(true),
                None => operands.starts_with(&format!("{name} ")).then_some(false),
            };
            add(fit.map(|certain| Candidate { certain, position: start_of(expr, source) }));
        }
        _ => {}
    }
}

/// The fields of a row that is written out.
fn fields(expr: &Expr) -> Option<Vec<&Expr>> {
    match expr {
        Expr::Nested(inner) => fields(inner),
        Expr::Tuple(fields) => Some(fields.iter().collect()),
        Expr::Function(call) if plain_name(call).as_deref() == Some("row") => arguments(call),
        _ => None,
    }
}

fn name_of(op: &BinaryOperator) -> String {
    match op {
        BinaryOperator::NotEq => "<>".to_owned(),
        op => op.to_string(),
    }
}

fn sign(op: &UnaryOperator) -> Option<&'static str> {
    Some(match op {
        UnaryOperator::Minus => "-",
        UnaryOperator::Plus => "+",
        UnaryOperator::BitwiseNot => "~",
        UnaryOperator::PGSquareRoot => "|/",
        UnaryOperator::PGCubeRoot => "||/",
        UnaryOperator::PGAbs => "@",
        UnaryOperator::BangNot => "!",
        _ => return None,
    })
}

/// The token of an operator between its sides.
pub(super) fn token_between(left: &Expr, right: &Expr, words: &[&str], source: &Source<'_>) -> Option<usize> {
    let ((_, after), (before, _)) = (extent(left)?, extent(right)?);
    source.between(after, before, |index| is_operator(index, words, source))
}

/// The token of an operator behind its left side.
pub(super) fn token_after(left: &Expr, words: &[&str], source: &Source<'_>) -> Option<usize> {
    let (_, after) = extent(left)?;
    source.between(after, usize::MAX, |index| is_operator(index, words, source))
}

/// A star is no product behind a parenthesis or a point.
fn is_operator(index: usize, words: &[&str], source: &Source<'_>) -> bool {
    let text = source.text(index);
    words.contains(&text) && !(text == "*" && matches!(source.before(index), "(" | "."))
}
