//! All of `lineitem` out of PostgreSQL: into an aggregate, and to the client.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use futures::TryStreamExt;

use crate::bench::rounds::{Case, Rounds, said};
use crate::bench::stage::{Place, Stage, psql};
use crate::bench::system::{Endpoint, System};
use crate::bench::table::{Row, median};

const NAME: &str = "scan";
/// Columns of all kinds that an aggregate has to read.
const WIDE: &str = "SELECT count(*), sum(l_orderkey), sum(l_partkey), sum(l_suppkey), sum(l_linenumber), \
    sum(l_quantity), sum(l_extendedprice), sum(l_discount), sum(l_tax), min(l_shipdate), max(l_commitdate), \
    max(l_receiptdate), sum(length(l_returnflag)), sum(length(l_linestatus)), max(l_shipinstruct), max(l_shipmode), \
    sum(length(l_comment)) FROM lineitem";
const NARROW: &str = "SELECT count(*), sum(l_quantity), sum(l_extendedprice) FROM lineitem";

pub(crate) async fn run(stage: &Stage, rounds: Rounds, rows: &mut Vec<Row>) -> Result<()> {
    aggregates(stage, rounds, rows).await?;
    for (format, goal) in [("binary", Some(1.0)), ("text", None)] {
        rows.push(copied(stage, rounds, format, goal)?);
    }
    rows.push(selected(stage, rounds).await?);
    Ok(())
}

/// Aggregates that Atoll computes itself, and the same where it may let PostgreSQL do it.
async fn aggregates(stage: &Stage, rounds: Rounds, rows: &mut Vec<Row>) -> Result<()> {
    let table = [("lineitem", Place::Postgres)];
    let mut systems = BTreeMap::from([
        (System::Atoll, stage.atoll("remote").await?),
        (System::DuckDb, stage.duckdb(&table).await?),
        (System::ChDb, stage.chdb(&table).await?),
    ]);
    let cases = [("three columns, aggregated", NARROW), ("all columns, aggregated", WIDE)];
    if let Some(atoll) = systems.get_mut(&System::Atoll) {
        // Whole aggregates may go to the source: here the rows shall come.
        atoll.run(&["SET atoll.pushdown = off".to_owned()]).await?;
    }
    for (name, sql) in cases {
        let mut row = rounds.measure(NAME, &Case::new(name, sql), &mut systems).await;
        row.at_most_times(0.77, System::DuckDb);
        rows.push(row);
    }
    if let Some(atoll) = systems.get_mut(&System::Atoll) {
        atoll.run(&["RESET atoll.pushdown".to_owned()]).await?;
    }
    systems.retain(|system, _| *system == System::Atoll);
    systems.insert(System::Postgres, stage.postgres().await?);
    systems.insert(System::PostgresFdw, stage.postgres_fdw().await?);
    rows.push(rounds.measure(NAME, &Case::new("three columns, push-down as it is", NARROW), &mut systems).await);
    Ok(())
}

/// The same psql, at Atoll and at PostgreSQL.
fn copied(stage: &Stage, rounds: Rounds, format: &str, goal: Option<f64>) -> Result<Row> {
    let mut times: BTreeMap<System, Vec<f64>> = BTreeMap::new();
    let mut counts = Vec::new();
    for round in 0..=rounds.count {
        for (system, server, database, table) in [
            (System::Atoll, &stage.atoll, "atoll", "remote.lineitem"),
            (System::Postgres, &stage.postgres, "tpch", "lineitem"),
        ] {
            let begun = Instant::now();
            let command = format!("\\copy (SELECT * FROM {table}) TO '/dev/null' (FORMAT {format})");
            counts.push(psql(server, database, &command)?);
            if round > 0 {
                times.entry(system).or_default().push(begun.elapsed().as_secs_f64());
            }
        }
    }
    ensure!(counts.windows(2).all(|pair| pair[0] == pair[1]), "other numbers of rows: {counts:?}");
    Ok(judged(Row::new(NAME, format!("psql \\copy to the client, {format}"), "s"), times, goal))
}

/// A SELECT, rows in binary, read and dropped.
async fn selected(stage: &Stage, rounds: Rounds) -> Result<Row> {
    let mut times: BTreeMap<System, Vec<f64>> = BTreeMap::new();
    let mut counts = Vec::new();
    for round in 0..=rounds.count {
        for (system, endpoint, table) in [
            (System::Atoll, stage.atoll_endpoint(), "remote.lineitem"),
            (System::Postgres, stage.postgres_endpoint(), "lineitem"),
        ] {
            let (seconds, count) = drained(&endpoint, &format!("SELECT * FROM {table}")).await?;
            counts.push(count);
            if round > 0 {
                times.entry(system).or_default().push(seconds);
            }
        }
    }
    ensure!(counts.windows(2).all(|pair| pair[0] == pair[1]), "other numbers of rows: {counts:?}");
    Ok(judged(Row::new(NAME, "SELECT * to the client, extended protocol, binary", "s"), times, Some(1.0)))
}

/// Reads a result and drops it: the time, and how many rows came.
pub(super) async fn drained(endpoint: &Endpoint, sql: &str) -> Result<(f64, u64)> {
    let client = endpoint.connect().await?;
    let statement = client.prepare(sql).await.context("could not prepare")?;
    let begun = Instant::now();
    let no_parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 0] = [];
    let stream = client.query_raw(&statement, no_parameters).await.context("could not run")?;
    let mut stream = std::pin::pin!(stream);
    let mut rows = 0;
    while stream.try_next().await.context("could not read")?.is_some() {
        rows += 1;
    }
    Ok((begun.elapsed().as_secs_f64(), rows))
}

fn judged(mut row: Row, times: BTreeMap<System, Vec<f64>>, goal: Option<f64>) -> Row {
    for (system, times) in times {
        if let Some(time) = median(times) {
            row = row.with(system, time);
        }
    }
    if let Some(goal) = goal {
        row.at_most_times(goal, System::Postgres);
    }
    println!("{}", said(&row));
    row
}
