//! Windows: the WINDOW clause, references to it, the frames that DataFusion has not, and what is fetched with ties.
//!
//! [`rewrite`] resolves names of windows in the syntax tree, and gives each call whose frame or function DataFusion cannot
//! run as PostgreSQL does to the function of [`frames`], which computes the frame of each row itself.

mod bind;
pub mod frame_marks;
mod frames;
mod rewrite;
mod spec;
mod ties;
mod unite;

pub(super) use bind::bind;
pub use rewrite::rewrite_windows;
pub(super) use unite::{COMMON, UniteEqualWindows};

use std::sync::Arc;

use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::WindowUDF;

/// The function that stands for a call over a frame, by the name that [`rewrite_windows`] gave it.
pub fn framed_function(state: &SessionState, name: &str) -> Option<Arc<WindowUDF>> {
    let spec = spec::Spec::parse(name)?;
    let inner = match spec::Pick::named(&spec.function) {
        Some(pick) => frames::Inner::Pick(pick),
        None => frames::Inner::Aggregate(Arc::clone(state.aggregate_functions().get(&spec.function)?)),
    };
    Some(Arc::new(WindowUDF::from(frames::Framed::unbound(name, spec, inner))))
}
