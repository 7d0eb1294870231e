//! `cargo xtask bench`: Atoll and its peers in the same run, one table.

mod figures;
mod machine;
mod memory;
mod rounds;
mod stage;
mod system;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use crate::{packages, root};
use rounds::Rounds;
use stage::{Stage, Wanted};
use table::{Cell, Row};

#[derive(Debug, Args)]
pub(crate) struct BenchArguments {
    /// Figures; none: all
    figures: Vec<Figure>,
    /// Scale factor of TPC-H
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Rounds that count; one more warms the caches
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// How long one statement may take
    #[arg(long, default_value_t = 120)]
    seconds: u64,
    /// A release build of Atoll, instead of building it
    #[arg(long)]
    atoll: Option<PathBuf>,
    /// Keep the peers, the files and PostgreSQL's data in this directory, for the next run
    #[arg(long)]
    directory: Option<PathBuf>,
    /// Where the table is written; when some figures are named only if this is given
    #[arg(long)]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Figure {
    /// All of lineitem out of PostgreSQL: into an aggregate, and to the client
    Scan,
    /// TPC-H on Parquet
    Tpch,
    /// TPC-H over PostgreSQL, Parquet and CSV
    Federated,
    /// A few local rows joined with a big remote table
    Selective,
    /// Point look-ups at 1, 8, 32 and 100 connections
    Lookup,
    /// Peak memory of a big result
    Memory,
}

/// Measures.
///
/// # Errors
/// The stage cannot be set; a figure that fails is a line of the table.
pub(crate) fn run(arguments: &BenchArguments) -> Result<ExitCode> {
    packages::install()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        // What runs is dropped on a signal, and the servers with it.
        tokio::select! {
            measured = measure(arguments) => measured,
            _ = terminate.recv() => bail!("interrupted"),
            _ = interrupt.recv() => bail!("interrupted"),
        }
    })
}

async fn measure(arguments: &BenchArguments) -> Result<ExitCode> {
    let BenchArguments { scale, rounds, seconds, atoll, directory, .. } = arguments;
    let wanted = Wanted { scale: *scale, atoll: atoll.as_deref(), directory: directory.as_deref() };
    let stage = Stage::set(&wanted).await?;
    let rounds = Rounds { count: (*rounds).max(1), within: Duration::from_secs(*seconds) };
    let chosen = if arguments.figures.is_empty() { Figure::value_variants() } else { &arguments.figures };
    let mut rows = Vec::new();
    let mut failed = false;
    for figure in chosen {
        let measured = match figure {
            Figure::Scan => figures::scan::run(&stage, rounds, &mut rows).await,
            Figure::Tpch => figures::tpch::run(&stage, rounds, &mut rows).await,
            Figure::Federated => figures::federated::run(&stage, rounds, &mut rows).await,
            Figure::Selective => figures::selective::run(&stage, rounds, &mut rows).await,
            Figure::Lookup => figures::lookup::run(&stage, rounds, &mut rows).await,
            Figure::Memory => figures::memory::run(&stage, *scale, rounds, &mut rows).await,
        };
        if let Err(error) = measured {
            // One figure's failure hides no other.
            println!("FAILED {figure:?}: {error:#}");
            let mut row = Row::new("", format!("{figure:?}").to_lowercase(), "");
            row.cells.insert(system::System::Atoll, Cell::Failed(format!("{error:#}")));
            rows.push(row);
            failed = true;
        }
    }
    drop(stage);
    let report = report(arguments, &table::markdown(&rows));
    println!("\n{report}");
    let whole = arguments.figures.is_empty().then(|| root().join("BENCHMARKS.md"));
    if let Some(path) = arguments.output.clone().or(whole) {
        std::fs::write(&path, report).with_context(|| format!("could not write {}", path.display()))?;
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn report(arguments: &BenchArguments, table: &str) -> String {
    let BenchArguments { scale, rounds, .. } = arguments;
    format!(
        "# Benchmarks\n\n\
         What `cargo xtask bench --scale {scale} --rounds {rounds}` measured on {}: {}.\n\n\
         Atoll and its peers ran in the same run on the same cores, in turn, with warm caches; each figure is the median\n\
         of {rounds} rounds after one that does not count. Atoll and PostgreSQL are asked over the wire on the loopback\n\
         interface, DuckDB and chDB in a process of their own. Answers are compared with Atoll's. TPC-H is at scale\n\
         {scale}; `federated` has lineitem, orders, customer and partsupp in PostgreSQL, part and supplier in Parquet,\n\
         nation and region in CSV, and postgres_fdw reads CSV by file_fdw instead of Parquet. Memory is the peak of a\n\
         process's anonymous memory. The last column compares Atoll's figure with its goal.\n\n{table}",
        machine::today(),
        machine::description(),
    )
}
