//! How the syntax tree, which has no place for it, holds `EXCLUDE`: the frame's last bound is `offset OR 'mark'`.

use std::mem;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Value, WindowFrame, WindowFrameBound};

/// How marks begin; `ties`, `group`, `row` or `none` follows.
pub const MARK: &str = "frame exclusion: ";
/// What stands for `CURRENT ROW` before a mark.
pub const CURRENT_ROW: &str = "current row";
/// What stands for `UNBOUNDED` before a mark.
pub const UNBOUNDED: &str = "unbounded";

/// A query's text with exclusions as they are written, in the place of marks.
pub fn written(text: &str) -> String {
    let between = format!(" OR '{MARK}");
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(found) = rest.find(&between) {
        let (before, mark) = rest.split_at(found);
        let name = mark.get(between.len()..).and_then(|mark| mark.split_once("' "));
        let taken = name.and_then(|(name, behind)| {
            let words = exclusion(name)?;
            let direction = ["PRECEDING", "FOLLOWING"].into_iter().find(|word| behind.starts_with(word))?;
            Some((words, direction, behind.get(direction.len()..)?))
        });
        let Some((words, direction, behind)) = taken else {
            let (start, end) = rest.split_at(found + between.len());
            out.push_str(start);
            rest = end;
            continue;
        };
        if let Some(before) = before.strip_suffix(&format!("'{CURRENT_ROW}'")) {
            out.push_str(&format!("{before}CURRENT ROW {words}"));
        } else if let Some(before) = before.strip_suffix(&format!("'{UNBOUNDED}'")) {
            out.push_str(&format!("{before}UNBOUNDED {direction} {words}"));
        } else {
            out.push_str(&format!("{before} {direction} {words}"));
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}

fn exclusion(name: &str) -> Option<&'static str> {
    Some(match name {
        "ties" => "EXCLUDE TIES",
        "group" => "EXCLUDE GROUP",
        "row" => "EXCLUDE CURRENT ROW",
        "none" => "EXCLUDE NO OTHERS",
        _ => return None,
    })
}

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

#[cfg(test)]
mod tests {
    use super::written;

    #[test]
    fn marks_are_written_as_exclusions() {
        for (marked, expected) in [
            (
                "ROWS BETWEEN 1 PRECEDING AND 'current row' OR 'frame exclusion: ties' FOLLOWING)",
                "ROWS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE TIES)",
            ),
            (
                "ROWS 'unbounded' OR 'frame exclusion: row' PRECEDING) + 1",
                "ROWS UNBOUNDED PRECEDING EXCLUDE CURRENT ROW) + 1",
            ),
            (
                "RANGE '1 day' OR 'frame exclusion: group' PRECEDING), (ROWS 2 OR 'frame exclusion: none' PRECEDING)",
                "RANGE '1 day' PRECEDING EXCLUDE GROUP), (ROWS 2 PRECEDING EXCLUDE NO OTHERS)",
            ),
            ("a OR 'frame exclusion: other'", "a OR 'frame exclusion: other'"),
        ] {
            assert_eq!(written(marked), expected);
        }
    }
}
