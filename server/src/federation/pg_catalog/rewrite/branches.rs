//! `regclass` and its like in a column of a set operation whose first branch has plain OIDs: then it is one, too.

use datafusion::sql::sqlparser::ast::{DataType, Expr, Ident, ObjectName, SelectItem, SetExpr};

use super::build::cast;
use super::expression::is_reg;

/// Casts such columns to `oid`.
pub(super) fn settle(body: &mut SetExpr) {
    // Both kinds become the other implicitly: then the first branch's type counts.
    let mut first: Vec<bool> = Vec::new();
    each_item(body, &mut |index, item| {
        if first.len() == index {
            first.push(expression(item).is_some_and(|expr| is_reg_cast(expr)));
        }
    });
    if first.iter().all(|is_reg| *is_reg) {
        return;
    }
    each_item(body, &mut |index, item| {
        if first.get(index) == Some(&false)
            && let Some(expr) = expression(item)
            && is_reg_cast(expr)
        {
            let oid = DataType::Custom(ObjectName::from(vec![Ident::new("oid")]), Vec::new());
            let value = std::mem::replace(expr, super::build::value(datafusion::sql::sqlparser::ast::Value::Null));
            *expr = cast(value, oid);
        }
    });
}

fn each_item(body: &mut SetExpr, see: &mut dyn FnMut(usize, &mut SelectItem)) {
    match body {
        SetExpr::Select(select) => select.projection.iter_mut().enumerate().for_each(|(index, item)| see(index, item)),
        SetExpr::SetOperation { left, right, .. } => {
            each_item(left, see);
            each_item(right, see);
        }
        _ => {}
    }
}

const fn expression(item: &mut SelectItem) -> Option<&mut Expr> {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    }
}

fn is_reg_cast(expr: &Expr) -> bool {
    matches!(expr, Expr::Cast { data_type, .. } if is_reg(data_type))
}
