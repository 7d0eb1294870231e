//! `atoll-slt`: runs suites of sqllogictest files against a PostgreSQL endpoint.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use atoll_slt::{Endpoint, Mode, Outcome, expand, run_file};
use clap::Parser;

/// Runs sqllogictest files against a PostgreSQL endpoint, Atoll's or another.
///
/// Files hold records of the sqllogictest format (https://www.sqlite.org/sqllogictest/). Errors are pinned by SQLSTATE:
/// "statement error (42P01)". NULL is written NULL and an empty string (empty). ${NAME} is replaced by --var NAME=VALUE; a
/// file that names a variable that is not given is skipped.
#[derive(Debug, Parser)]
#[command(name = "atoll-slt", version)]
struct Arguments {
    /// Host to connect to
    #[arg(long, default_value = "127.0.0.1", env = "PGHOST")]
    host: String,
    /// Port to connect to
    #[arg(long, default_value_t = 7432, env = "PGPORT")]
    port: u16,
    /// Role to connect as; its password is taken from PGPASSWORD
    #[arg(long, default_value = "atoll", env = "PGUSER")]
    user: String,
    /// Database to connect to
    #[arg(long, default_value = "atoll", env = "PGDATABASE")]
    dbname: String,
    /// Protocol; repeatable [default: both]
    #[arg(long, value_enum)]
    mode: Vec<Mode>,
    /// A variable of the suites; repeatable
    #[arg(long = "var", value_name = "NAME=VALUE")]
    variables: Vec<String>,
    /// Files, or directories with .slt files
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<std::process::ExitCode> {
    let arguments = Arguments::parse();
    let variables = arguments
        .variables
        .iter()
        .map(|pair| {
            let (name, value) = pair.split_once('=').with_context(|| format!("--var {pair} is not NAME=VALUE"))?;
            Ok((name.to_owned(), value.to_owned()))
        })
        .collect::<Result<BTreeMap<_, _>>>()?;
    let endpoint = Endpoint {
        host: arguments.host,
        port: arguments.port,
        user: arguments.user,
        password: std::env::var("PGPASSWORD").ok(),
        dbname: arguments.dbname,
    };
    let modes = if arguments.mode.is_empty() { vec![Mode::Simple, Mode::Extended] } else { arguments.mode };
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for file in expand(&arguments.files)? {
        for mode in &modes {
            let name = format!("{} ({mode:?})", file.display());
            match run_file(&file, &endpoint, *mode, &variables).await? {
                Outcome::Passed => passed += 1,
                Outcome::Failed(why) => {
                    failed += 1;
                    println!("FAILED {name}\n{why}\n");
                }
                Outcome::Skipped(variable) => {
                    skipped += 1;
                    println!("SKIPPED {name}: no --var {variable}");
                }
            }
        }
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    Ok(if failed == 0 { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE })
}
