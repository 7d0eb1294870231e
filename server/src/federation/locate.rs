//! Where in a statement's text an error's name stands.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Ident, ObjectNamePart, Query, Visit, Visitor};

use super::relations::position;
use crate::error::{SqlError, SqlState};

/// Adds the position of the first place that names what an error is about: a column or a function.
pub(super) fn locate(error: SqlError, query: &Query, text: &str) -> SqlError {
    if error.position.is_some() {
        return error;
    }
    let Some(wanted) = name_of(&error) else { return error };
    let mut finder = Finder { wanted, function: error.sqlstate == SqlState::UNDEFINED_FUNCTION, found: None };
    let _ = query.visit(&mut finder);
    let Some(start) = finder.found else { return error };
    error.at(position(text, start))
}

/// The name in the messages of which `sqlstate` is the author: `column "a" …`, `column t.a …`, `function f(…) …`.
fn name_of(error: &SqlError) -> Option<String> {
    let message = error.message.as_str();
    let rest = match error.sqlstate {
        SqlState::UNDEFINED_COLUMN => message.strip_prefix("column ")?,
        SqlState::AMBIGUOUS_COLUMN => message.strip_prefix("column reference ")?,
        SqlState::UNDEFINED_FUNCTION => message.strip_prefix("function ")?.split('(').next()?,
        _ => return None,
    };
    Some(match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next()?.to_owned(),
        None => rest.split(' ').next()?.to_owned(),
    })
}

struct Finder {
    wanted: String,
    function: bool,
    found: Option<(u64, u64)>,
}

impl Finder {
    fn offer(&mut self, parts: &[&Ident]) -> ControlFlow<()> {
        let fold = |ident: &&Ident| match ident.quote_style {
            Some(_) => ident.value.clone(),
            None => ident.value.to_lowercase(),
        };
        let names: Vec<String> = parts.iter().map(fold).collect();
        let same = names.join(".") == self.wanted || names.last() == Some(&self.wanted);
        let start = parts.first().map(|ident| ident.span.start);
        match start.filter(|start| same && start.line > 0) {
            Some(start) => {
                self.found = Some((start.line, start.column));
                ControlFlow::Break(())
            }
            None => ControlFlow::Continue(()),
        }
    }
}

impl Visitor for Finder {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(call) if self.function => {
                let parts: Vec<&Ident> = call.name.0.iter().filter_map(ObjectNamePart::as_ident).collect();
                self.offer(&parts)
            }
            Expr::Identifier(ident) if !self.function => self.offer(&[ident]),
            Expr::CompoundIdentifier(idents) if !self.function => self.offer(&idents.iter().collect::<Vec<_>>()),
            _ => ControlFlow::Continue(()),
        }
    }
}
