//! What DataFusion sees: names resolved, views opened, queries planned, foreign scans run.

mod aliases;
pub mod ctes;
mod distinct_keys;
mod from_items;
pub mod lazy;
pub mod locate;
pub mod name_barrier;
pub mod naming;
pub mod no_pushdown;
mod opening;
pub mod optimize;
mod ordinals;
mod origins;
pub mod pg_catalog;
pub mod planner;
pub mod provider;
pub mod pushdown;
pub mod refused;
pub mod relations;
pub mod semantics;
mod unbuilt;
mod unknown_call;
mod unread;
mod view_barrier;
pub mod view_facts;
mod viewed;
