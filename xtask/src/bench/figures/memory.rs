//! The anonymous peak of a server whose client reads a result of many rows.

use anyhow::{Context, Result, ensure};

use super::scan::drained;
use crate::bench::memory::Peak;
use crate::bench::rounds::{Rounds, said};
use crate::bench::stage::Stage;
use crate::bench::system::{Asked, System};
use crate::bench::table::{Cell, Row};

const NAME: &str = "memory";
const PEAK_MAX_MB: f64 = 300.0;
/// Rows at scale 1 and above; below it so many times the scale.
const ROWS: f64 = 50_000_000.0;

pub(crate) async fn run(stage: &Stage, scale: f64, rounds: Rounds, rows: &mut Vec<Row>) -> Result<()> {
    let count = ROWS * scale.min(1.0);
    // Rows that PostgreSQL makes as they are read: they need no disk.
    stage
        .postgres()
        .await?
        .run(&[format!(
            "CREATE OR REPLACE VIEW many AS SELECT id, id * 7 AS value, 'row number ' || id AS label \
             FROM (SELECT generate_series(1, {count}::bigint) AS id) AS series"
        )])
        .await?;
    let mut peak_row = Row::new(NAME, format!("anonymous peak, {count} rows to the client"), "MB");
    let mut time_row = Row::new(NAME, format!("{count} rows to the client"), "s");
    let peak = Peak::of(stage.atoll.pid());
    let read = drained(&stage.atoll_endpoint(), "SELECT * FROM pg.public.many").await;
    let peak = peak.megabytes();
    let (seconds, read) = read?;
    ensure!(read.to_string() == count.to_string(), "{read} rows came");
    peak_row = peak_row.with(System::Atoll, peak);
    time_row = time_row.with(System::Atoll, seconds);
    let (seconds, _) = drained(&stage.postgres_endpoint(), "SELECT * FROM many").await?;
    time_row = time_row.with(System::Postgres, seconds);
    match duckdb(stage, rounds).await {
        Ok((seconds, peak)) => {
            time_row = time_row.with(System::DuckDb, seconds);
            peak_row = peak_row.with(System::DuckDb, peak);
        }
        Err(error) => _ = peak_row.cells.insert(System::DuckDb, Cell::Failed(format!("{error:#}"))),
    }
    peak_row.at_most(PEAK_MAX_MB);
    println!("{}\n{}", said(&peak_row), said(&time_row));
    rows.extend([peak_row, time_row]);
    Ok(())
}

/// The same read by DuckDB into its Python client, which is one process with it.
async fn duckdb(stage: &Stage, rounds: Rounds) -> Result<(f64, f64)> {
    let mut asked = Asked::Library(stage.duckdb_worker()?);
    asked.run(&[stage.duckdb_attach()]).await?;
    let Asked::Library(worker) = &mut asked else { anyhow::bail!("DuckDB is a library") };
    let peak = Peak::of(worker.pid().context("DuckDB is gone")?);
    let drained = worker.drain("SELECT * FROM pg.public.many", rounds.within).await;
    let peak = peak.megabytes();
    Ok((drained?.0, peak))
}
