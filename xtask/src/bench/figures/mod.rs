//! The figures, each a module.

pub(super) mod federated;
pub(super) mod lookup;
pub(super) mod memory;
pub(super) mod scan;
pub(super) mod selective;
pub(super) mod tpch;
