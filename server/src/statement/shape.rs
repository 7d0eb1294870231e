//! Trees of a query brought into a shape that can be walked: long chains balanced.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, SetExpr, SetOperator, SetQuantifier, Value, Values};

/// A chain of this many operands or more is balanced. Shorter ones stay as they are: plans read more naturally.
const CHAIN_MIN: usize = 16;

/// Makes a chain of one of AND and OR, which the parser builds as deep as it is long, a balanced tree: both are
/// associative, in three-valued logic too, and the operands keep their order.
pub(super) fn balance(expr: &mut Expr) {
    let Some(operator) = chain_operator(expr) else { return };
    let mut length = 1;
    let mut node = &*expr;
    while let Expr::BinaryOp { left, op, .. } = node
        && *op == operator
    {
        length += 1;
        node = left;
    }
    if length < CHAIN_MIN {
        return;
    }
    let mut operands = Vec::with_capacity(length);
    let mut rest = take(expr);
    loop {
        match rest {
            Expr::BinaryOp { left, op, right } if op == operator => {
                operands.push(*right);
                rest = *left;
            }
            first => {
                operands.push(first);
                break;
            }
        }
    }
    operands.reverse();
    let join = |left, right| Expr::BinaryOp { left: Box::new(left), op: operator.clone(), right: Box::new(right) };
    if let Some(root) = pairwise(operands, join) {
        *expr = root;
    }
}

/// A balanced tree over operands in their order.
fn pairwise<T>(mut operands: Vec<T>, join: impl Fn(T, T) -> T) -> Option<T> {
    while operands.len() > 1 {
        let mut joined = Vec::with_capacity(operands.len().div_ceil(2));
        let mut rest = operands.into_iter();
        while let Some(left) = rest.next() {
            joined.push(match rest.next() {
                Some(right) => join(left, right),
                None => left,
            });
        }
        operands = joined;
    }
    operands.pop()
}

/// The same for UNION and INTERSECT, which are associative with and without ALL.
pub(super) fn balance_set_operations(body: &mut SetExpr) {
    let (operator, quantifier) = match body {
        SetExpr::SetOperation { op, set_quantifier, .. }
            if matches!(op, SetOperator::Union | SetOperator::Intersect)
                && matches!(set_quantifier, SetQuantifier::None | SetQuantifier::All | SetQuantifier::Distinct) =>
        {
            (*op, *set_quantifier)
        }
        _ => return,
    };
    let mut length = 1;
    let mut node = &*body;
    while let SetExpr::SetOperation { left, op, set_quantifier, .. } = node
        && (*op, *set_quantifier) == (operator, quantifier)
    {
        length += 1;
        node = left;
    }
    if length < CHAIN_MIN {
        return;
    }
    let empty = || SetExpr::Values(Values { explicit_row: false, value_keyword: false, rows: Vec::new() });
    let mut operands = Vec::with_capacity(length);
    let mut rest = std::mem::replace(body, empty());
    loop {
        match rest {
            SetExpr::SetOperation { left, op, set_quantifier, right }
                if (op, set_quantifier) == (operator, quantifier) =>
            {
                operands.push(*right);
                rest = *left;
            }
            first => {
                operands.push(first);
                break;
            }
        }
    }
    operands.reverse();
    let join = |left, right| SetExpr::SetOperation {
        op: operator,
        set_quantifier: quantifier,
        left: Box::new(left),
        right: Box::new(right),
    };
    if let Some(root) = pairwise(operands, join) {
        *body = root;
    }
}

fn chain_operator(expr: &Expr) -> Option<BinaryOperator> {
    match expr {
        Expr::BinaryOp { op: op @ (BinaryOperator::And | BinaryOperator::Or), .. } => Some(op.clone()),
        _ => None,
    }
}

fn take(expr: &mut Expr) -> Expr {
    std::mem::replace(expr, Expr::Value(Value::Null.into()))
}
