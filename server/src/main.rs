//! The program: dispatches the command line.

use atoll::config::{Command, CommandLine};
use atoll::wire::WireError;
use clap::Parser;

fn main() -> std::process::ExitCode {
    let done = match CommandLine::parse().command {
        Command::Serve(args) => atoll::program::serve(*args),
        Command::Demo(args) => atoll::program::demo(&args),
    };
    match done {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("atoll: {error:#}");
            if let Some(hint) = error.downcast_ref::<WireError>().and_then(WireError::hint) {
                eprintln!("HINT: {hint}");
            }
            std::process::ExitCode::FAILURE
        }
    }
}
