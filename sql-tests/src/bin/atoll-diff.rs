//! `atoll-diff`: asks Atoll and one PostgreSQL the same, and reports what differs.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use atoll_slt::Endpoint;
use atoll_slt::differential::{
    Asker, Benchmark, Places, RandomRun, Run, SWITCHES, Switch, known, mysql_address, run_benchmark, run_random,
};
use clap::{Args, Parser, Subcommand};

/// Asks Atoll and one PostgreSQL the same questions, and reports every difference: in rows, in their order where the
/// statement decides it, in names and types of columns, in the SQLSTATE of errors.
///
/// The tables are made anew: all of them in a database "atoll_diff_…" of the PostgreSQL, and each in the source that Atoll
/// reads it from: that PostgreSQL, MariaDB, or files. At Atoll the servers "diff_…" and the schemas tpch, tpcds, pg, my,
/// lite, parq and csv are replaced.
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
        /// The tables are those of a former run
        #[arg(long)]
        reuse: bool,
        /// Compare with the answers that TPC-H publishes for scale 1, too
        #[arg(long)]
        published: bool,
        /// Only these queries, by their numbers: 01, 14
        queries: Vec<String>,
        #[command(flatten)]
        places: Addresses,
    },
    /// List the settings that may not change an answer, but for their defaults: NAME=VALUE, one a line
    Switches,
    /// Random statements over tables of all common types at every source; each is made from a seed, and shrunk where it
    /// fails
    Random {
        /// The first seed; with --count 1 a single statement is asked again
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How many statements
        #[arg(long, default_value_t = 1000)]
        count: u64,
        /// Settings under which each is asked: 1 the defaults, 2 push-down off too, 3 and more random ones too
        #[arg(long, default_value_t = 3)]
        combinations: usize,
        /// Connections that ask at once
        #[arg(long, default_value_t = 2)]
        jobs: u64,
        /// Seconds after which no further statement is begun
        #[arg(long)]
        seconds: Option<u64>,
        /// The tables are those of a former run
        #[arg(long)]
        reuse: bool,
        /// Print how often each operator was tried with each type at each source
        #[arg(long)]
        verbose: bool,
        /// Print the statements, and ask nobody
        #[arg(long)]
        show: bool,
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
    fn places(self, set: &'static str) -> Result<Places> {
        let password = std::env::var("PGPASSWORD").ok();
        let endpoint = |port: u16, user: &str, dbname: &str| Endpoint {
            host: "127.0.0.1".to_owned(),
            port,
            user: user.to_owned(),
            password: password.clone(),
            dbname: dbname.to_owned(),
        };
        Ok(Places {
            set,
            oracle: endpoint(self.postgres_port, "tester", "postgres"),
            mysql: mysql_address(&self.mysql_url)?,
            atoll: endpoint(self.atoll_port, "atoll", "atoll"),
            folder: std::path::absolute(&self.files).context("the folder's name is not usable")?,
        })
    }
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let report = match Arguments::parse().command {
        Command::Benchmark { benchmark, scale, folder, reuse, published, queries, places } => {
            anyhow::ensure!(
                !published || (benchmark == Benchmark::Tpch && scale == 1.0),
                "only TPC-H at scale 1 is published"
            );
            let (places, switches) = begin(places, benchmark.name(), reuse).await?;
            run_benchmark(&Run { benchmark, scale, folder, reuse, published, only: queries }, &places, &switches)
                .await?
        }
        Command::Switches => {
            for switch in SWITCHES {
                switch.values.iter().skip(1).for_each(|value| println!("{}={value}", switch.name));
            }
            return Ok(ExitCode::SUCCESS);
        }
        Command::Random { seed, count, combinations, jobs, seconds, reuse, verbose, show, places } => {
            let (places, switches) = begin(places, "random", reuse || show).await?;
            let time = seconds.map(Duration::from_secs);
            let run = RandomRun { seed, count, combinations, jobs, time, reuse, verbose, show };
            run_random(&run, &places, &switches).await?
        }
    };
    println!("{} passed, {} failed, 0 skipped", report.passed, report.failed);
    Ok(if report.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Makes the databases and the servers, unless those of a former run do, and asks Atoll which switches it has.
async fn begin(addresses: Addresses, set: &'static str, reuse: bool) -> Result<(Places, Vec<Switch>)> {
    let places = addresses.places(set)?;
    if !reuse {
        places.prepare().await?;
    }
    let settings = Asker::connect(&places.atoll).await?.list("SHOW ALL").await?;
    let (switches, unknown) = known(&settings);
    if !unknown.is_empty() {
        println!("this server has no {}", unknown.join(", "));
    }
    Ok((places, switches))
}
