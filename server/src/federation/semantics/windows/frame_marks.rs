//! How the syntax tree, which has no place for it, holds `EXCLUDE`: the frame's last bound is `offset OR 'mark'`.

use std::mem;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Value, WindowFrame, WindowFrameBound};

/// How marks begin; `ties`, `group`, `row` or `none` follows.
pub const MARK: &str = "frame exclusion: ";
/// What stands for `CURRENT ROW` before a mark.
pub const CURRENT_ROW: &str = "current row";
/// What stands for `UNBOUNDED` before a mark.
pub const UNBOUNDED: &str = "unbounded";

/// Takes the exclusion out of a frame: `ties`, `group`, `row`, `none`.
pub(super) fn excluded(frame: &mut WindowFrame) -> Option<String> {
    let bound = frame.end_bound.as_mut().unwrap_or(&mut frame.start_bound);
    let (WindowFrameBound::Preceding(offset) | WindowFrameBound::Following(offset)) = bound else { return None };
    let Expr::BinaryOp { left, op: BinaryOperator::Or, right } = offset.as_deref_mut()? else { return None };
    let name = string(right)?.strip_prefix(MARK)?.to_owned();
    match string(left) {
        Some(CURRENT_ROW) => *bound = WindowFrameBound::CurrentRow,
        Some(UNBOUNDED) => *offset = None,
        _ => {
            let left = mem::replace(left.as_mut(), Expr::Value(Value::Null.with_empty_span()));
            *offset = Some(Box::new(left));
        }
    }
    Some(name)
}

fn string(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}
