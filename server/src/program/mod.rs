//! The commands: `atoll serve` and `atoll demo`.

mod demo;
mod serve;

pub use demo::demo;
pub use serve::serve;
