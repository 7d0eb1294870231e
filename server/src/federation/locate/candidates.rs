//! The places that an error may be about, and which of them it is.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Query, Select, SetExpr, Visit, Visitor};

use super::expressions::Known;

/// A place that an error may be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    /// All that the message says is so there.
    pub(super) certain: bool,
    pub(super) position: Option<usize>,
}

/// The place, in the order in which PostgreSQL looks at them; `None` where it is not certain.
pub(super) fn choose(candidates: &[Candidate]) -> Option<usize> {
    match candidates {
        [only] => only.position,
        [first, ..] if first.certain => first.position,
        _ => None,
    }
}

/// Whether a type is the one that a message names: `None` where it is not, else whether that is certain.
pub(super) fn is_type(known: &Known, name: &str) -> Option<bool> {
    match known.name() {
        Some(known) => (known == name).then_some(true),
        None => Some(false),
    }
}

/// Looks at every expression, the parts before the whole.
pub(super) fn each_expr(query: &Query, look: &mut dyn FnMut(&Expr)) {
    struct Walk<'a>(&'a mut dyn FnMut(&Expr));
    impl Visitor for Walk<'_> {
        type Break = ();

        fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            (self.0)(expr);
            ControlFlow::Continue(())
        }
    }
    let _ = query.visit(&mut Walk(look));
}

/// Looks at every query, inner ones first.
pub(super) fn each_query(query: &Query, look: &mut dyn FnMut(&Query)) {
    struct Walk<'a>(&'a mut dyn FnMut(&Query));
    impl Visitor for Walk<'_> {
        type Break = ();

        fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            (self.0)(query);
            ControlFlow::Continue(())
        }
    }
    let _ = query.visit(&mut Walk(look));
}

/// Looks at every SELECT, inner ones first.
pub(super) fn each_select(query: &Query, look: &mut dyn FnMut(&Select)) {
    each_body(query, &mut |body| {
        if let SetExpr::Select(select) = body {
            look(select);
        }
    });
}

/// Looks at the parts of set operations, and at the operations after them.
pub(super) fn each_body(query: &Query, look: &mut dyn FnMut(&SetExpr)) {
    fn walk(body: &SetExpr, look: &mut dyn FnMut(&SetExpr)) {
        if let SetExpr::SetOperation { left, right, .. } = body {
            walk(left, look);
            walk(right, look);
        }
        look(body);
    }
    each_query(query, &mut |query| walk(&query.body, look));
}
