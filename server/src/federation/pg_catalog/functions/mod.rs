//! PostgreSQL's system information functions, bound to one session's context.

mod arrays;
mod definitions;
mod name;
mod privileges;
mod session;
mod text;
mod udf;
mod view_text;
mod waiting;

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use atoll_connector_api::types::{PgType, oids};
use datafusion::logical_expr::ScalarUDF;
use datafusion::prelude::SessionContext;

use super::context::PgCatalogContext;
use super::current::CurrentContext;
use super::facts::facts;
use crate::catalog::Oid;
use udf::{CatalogFunction, Definition};

pub(super) use definitions::index_definition;
pub(super) use view_text::view_definition;

/// Every function, with where it finds the context it answers from. Names that DataFusion has too (`version`,
/// `array_to_string`, `array_length` …) are meant to replace its own.
pub fn scalar_functions(context: &Arc<CurrentContext>) -> Vec<Arc<ScalarUDF>> {
    definitions_of_all()
        .map(|definition| {
            let function = CatalogFunction::new(definition, Arc::clone(context));
            Arc::new(ScalarUDF::new_from_impl(function))
        })
        .chain([
            Arc::new(ScalarUDF::new_from_impl(arrays::ExpandArray::default())),
            Arc::new(ScalarUDF::new_from_impl(arrays::ArrayOrEmpty::default())),
        ])
        .chain(waiting::functions(context))
        .collect()
}

/// Registers [`scalar_functions`].
pub fn register_functions(session: &SessionContext, context: &Arc<PgCatalogContext>) {
    for function in scalar_functions(&CurrentContext::new(Arc::clone(context))) {
        session.register_udf(function.as_ref().clone());
    }
}

fn definitions_of_all() -> impl Iterator<Item = &'static Definition> {
    [
        name::FUNCTIONS,
        definitions::FUNCTIONS,
        privileges::FUNCTIONS,
        session::FUNCTIONS,
        text::FUNCTIONS,
        arrays::FUNCTIONS,
    ]
    .into_iter()
    .flatten()
}

/// The names of the functions that PostgreSQL has too, and what they return, for `pg_proc`.
pub(super) fn documented() -> impl Iterator<Item = (&'static str, Oid)> {
    // Those that only the rewrite calls are not PostgreSQL's.
    let internal = |name: &str| {
        name.starts_with("reg")
            || ["text_array", "array_any_equal", "vector_subscript", "name_subscript", "array_subscript"]
                .contains(&name)
            || ["option_name", "option_value", "domain_base_type"].contains(&name)
    };
    definitions_of_all()
        .filter(move |definition| !internal(definition.name))
        .map(|definition| (definition.name, udf::return_oid(definition.returns)))
        .chain(waiting::NAMES.map(|name| (name, oids::VOID)))
}

/// Whether PostgreSQL has a function of that name which is one of these.
pub(super) fn is_documented(name: &str) -> bool {
    static NAMES: OnceLock<HashSet<&'static str>> = OnceLock::new();
    NAMES.get_or_init(|| documented().map(|(name, _)| name).collect()).contains(name)
}

/// The types of the arguments of one of these functions, for parameters in their places.
pub fn argument_types(name: &str, count: usize) -> Option<Vec<PgType>> {
    if is_documented(name) { facts().argument_types(name, count) } else { None }
}

/// What a function returns, for places that must know it before planning.
pub(super) fn returns_boolean(name: &str) -> bool {
    definitions_of_all().any(|definition| definition.name == name && definition.returns == udf::Returns::Bool)
}
