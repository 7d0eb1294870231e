//! `atoll-diff`: asks Atoll and one PostgreSQL the same, and reports what differs.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use atoll_slt::Endpoint;
use atoll_slt::differential::{Asker, Benchmark, Places, known, mysql_address, run_benchmark};
use clap::{Args, Parser, Subcommand};

/// Asks Atoll and one PostgreSQL the same questions, and reports every difference: in rows, in their order where the
/// statement decides it, in names and types of columns, in the SQLSTATE of errors.
///
/// The tables are made anew: all of them in the database "atoll_diff" of the PostgreSQL, and each in the source that Atoll
/// reads it from: that PostgreSQL, MariaDB, or files. At Atoll the servers diff_pg, diff_my … and the schemas tpch,
/// tpcds, pg, my, lite, parq and csv are replaced.
///
/// Exits with 1 where something differs, and closes with the line "N passed, N failed, N skipped".
#[derive(Debug, Parser)]
#[command(name = "atoll-diff", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The queries of TPC-H or TPC-DS, with push-down on and off
    Benchmark {
        /// Which
        #[arg(value_enum)]
        benchmark: Benchmark,
        /// Scale factor; 1 is a gigabyte
        #[arg(long, default_value_t = 0.01)]
        scale: f64,
        /// The folder of the standards' queries
        #[arg(long, default_value = "sql-tests/differential")]
        folder: PathBuf,
        /// Only these queries, by their numbers: 01, 14
        queries: Vec<String>,
        #[command(flatten)]
        places: Addresses,
    },
}

#[derive(Debug, Args)]
struct Addresses {
    /// Port of Atoll on this machine; its role "atoll" has the password in PGPASSWORD
    #[arg(long, env = "ATOLL_DIFF_PORT")]
    atoll_port: u16,
    /// Port of the PostgreSQL on this machine; its superuser "tester" has the password in PGPASSWORD
    #[arg(long, env = "ATOLL_DIFF_POSTGRES_PORT")]
    postgres_port: u16,
    /// MariaDB: mysql://user:password@host:port/
    #[arg(long, env = "ATOLL_TEST_MYSQL_URL", hide_env_values = true)]
    mysql_url: String,
    /// A folder for files that Atoll may read
    #[arg(long, env = "ATOLL_DIFF_FILES")]
    files: PathBuf,
}

impl Addresses {
    fn places(self) -> Result<Places> {
        let password = std::env::var("PGPASSWORD").ok();
        let endpoint = |port: u16, user: &str, dbname: &str| Endpoint {
            host: "127.0.0.1".to_owned(),
            port,
            user: user.to_owned(),
            password: password.clone(),
            dbname: dbname.to_owned(),
        };
        Ok(Places {
            oracle: endpoint(self.postgres_port, "tester", "postgres"),
            mysql: mysql_address(&self.mysql_url)?,
            atoll: endpoint(self.atoll_port, "atoll", "atoll"),
            folder: std::path::absolute(&self.files).context("the folder's name is not usable")?,
        })
    }
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let Command::Benchmark { benchmark, scale, folder, queries, places } = Arguments::parse().command;
    let places = places.places()?;
    places.prepare().await?;
    let settings = Asker::connect(&places.atoll).await?.list("SHOW ALL").await?;
    let (switches, unknown) = known(&settings);
    if !unknown.is_empty() {
        println!("this server has no {}", unknown.join(", "));
    }
    let report = run_benchmark(benchmark, &places, &switches, &folder, scale, &queries).await?;
    println!("{} passed, {} failed, 0 skipped", report.passed, report.failed);
    Ok(if report.failed == 0 && report.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
