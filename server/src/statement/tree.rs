//! Questions that many ask of sqlparser's tree.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, JoinConstraint, JoinOperator, Query, Visit, Visitor};

/// What a join that may have `ON` or `USING` has; `None` for `CROSS JOIN` and for joins that PostgreSQL has not.
pub const fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint) => Some(constraint),
        _ => None,
    }
}

/// The same, to be changed.
pub const fn constraint_mut(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint) => Some(constraint),
        _ => None,
    }
}

/// Looks at the expressions of a part of a query, the whole before its parts and its subqueries left out, until `look`
/// breaks; says with what.
pub fn find_own<T>(part: &impl Visit, look: impl FnMut(&Expr) -> ControlFlow<T>) -> Option<T> {
    struct Walk<F> {
        queries: usize,
        look: F,
    }
    impl<T, F: FnMut(&Expr) -> ControlFlow<T>> Visitor for Walk<F> {
        type Break = T;

        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<T> {
            self.queries += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<T> {
            self.queries -= 1;
            ControlFlow::Continue(())
        }

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<T> {
            if self.queries == 0 { (self.look)(expr) } else { ControlFlow::Continue(()) }
        }
    }
    part.visit(&mut Walk { queries: 0, look }).break_value()
}
