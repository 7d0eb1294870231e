//! `atoll-slt`: runs suites of sqllogictest files against a PostgreSQL endpoint.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use atoll_slt::{Endpoint, Mode, Outcome, expand, run_file};
use clap::Parser;

/// Runs sqllogictest files against a PostgreSQL endpoint, Atoll's or another.
///
/// Files hold records of the sqllogictest format (https://www.sqlite.org/sqllogictest/): "statement ok" or
/// "query TT rowsort", SQL, and behind "----" the rows. Values are PostgreSQL's text with a space between; NULL is written
/// NULL, an empty string (empty), line breaks and tabs \n, \r and \t.
///
/// "statement error (42P01)" and "query error (42P01)" pin an error by SQLSTATE; without parentheses a regular expression
/// is matched with "message (SQLSTATE) DETAIL: … HINT: … POSITION: n". "onlyif simple" and "skipif extended" choose by
/// protocol, or by --label, "connection NAME" takes another connection. ${NAME} is replaced by --var NAME=VALUE; a file that names a
/// variable that is not given is skipped.
///
/// Exits with 1 where a record fails, and closes with the line "N passed, N failed, N skipped", which counts statements
/// and queries, and files that were skipped.
#[derive(Debug, Parser)]
#[command(name = "atoll-slt", version)]
struct Arguments {
    /// Host to connect to
    #[arg(long, default_value = "127.0.0.1", env = "PGHOST")]
    host: String,
    /// Port to connect to
    #[arg(long, default_value_t = 7432, env = "PGPORT")]
    port: u16,
    /// Role to connect as
    #[arg(long, default_value = "atoll", env = "PGUSER")]
    user: String,
    /// File whose first line is the role's password [default: PGPASSWORD in the environment]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Database to connect to
    #[arg(long, default_value = "atoll", env = "PGDATABASE")]
    dbname: String,
    /// Protocol; repeatable [default: both]
    #[arg(long, value_enum)]
    mode: Vec<Mode>,
    /// A variable of the suites; repeatable
    #[arg(long = "var", value_name = "NAME=VALUE")]
    variables: Vec<String>,
    /// A label that "onlyif" and "skipif" in the suites know; repeatable
    #[arg(long = "label", value_name = "NAME")]
    labels: Vec<String>,
    /// A setting that each connection begins with; repeatable
    #[arg(long = "set", value_name = "NAME=VALUE")]
    settings: Vec<String>,
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
    let settings = arguments
        .settings
        .iter()
        .map(|pair| {
            let (name, value) = pair.split_once('=').with_context(|| format!("--set {pair} is not NAME=VALUE"))?;
            Ok(format!("SET {name} = '{}';", value.replace('\'', "''")))
        })
        .collect::<Result<String>>()?;
    let endpoint = Endpoint {
        host: arguments.host,
        port: arguments.port,
        user: arguments.user,
        password: password(arguments.password_file.as_deref())?,
        dbname: arguments.dbname,
    };
    let modes = if arguments.mode.is_empty() { vec![Mode::Simple, Mode::Extended] } else { arguments.mode };
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for file in expand(&arguments.files)? {
        for mode in &modes {
            let name = format!("{} ({mode:?})", file.display());
            match run_file(&file, &endpoint, *mode, &variables, &arguments.labels, &settings).await? {
                Outcome::Ran { passed: held, failures } => {
                    passed += held;
                    failed += failures.len();
                    for why in failures {
                        println!("FAILED {name}\n{why}\n");
                    }
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

fn password(file: Option<&Path>) -> Result<Option<String>> {
    let Some(path) = file else { return Ok(std::env::var("PGPASSWORD").ok()) };
    let text = std::fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))?;
    Ok(Some(text.lines().next().unwrap_or_default().to_owned()))
}
