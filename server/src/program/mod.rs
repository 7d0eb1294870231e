//! The commands: `atoll serve` and `atoll demo`.

mod demo;
mod serve;

use std::io::Write;

pub use demo::demo;
pub use serve::serve;

/// Prints to standard output. Nobody need read it: `atoll demo | head -1` goes on serving.
fn say(text: &str) {
    let mut output = std::io::stdout().lock();
    let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
}
