//! TPC-H's queries with the big tables in PostgreSQL, two in Parquet and two in CSV.

use std::collections::BTreeMap;

use anyhow::Result;

use super::tpch::{means, queries};
use crate::bench::rounds::Rounds;
use crate::bench::stage::{Stage, scattered};
use crate::bench::system::System;
use crate::bench::table::Row;

const NAME: &str = "federated";
/// No query may take longer than so many times the best peer's.
const WORST: f64 = 2.0;

pub(crate) async fn run(stage: &Stage, rounds: Rounds, rows: &mut Vec<Row>) -> Result<()> {
    let tables = scattered();
    let systems = BTreeMap::from([
        (System::Atoll, stage.atoll("fed").await?),
        (System::DuckDb, stage.duckdb(&tables).await?),
        (System::ChDb, stage.chdb(&tables).await?),
        (System::PostgresFdw, stage.postgres_fdw().await?),
    ]);
    let begun = rows.len();
    queries(NAME, systems, rounds, rows).await?;
    let queries = rows.get_mut(begun..).unwrap_or_default();
    for row in queries.iter_mut() {
        let peers = [System::DuckDb, System::ChDb, System::PostgresFdw];
        let best = peers.into_iter().filter(|peer| row.value(*peer).is_some());
        let best = best.min_by(|a, b| f64::total_cmp(&time(row, *a), &time(row, *b)));
        if let Some(best) = best {
            row.at_most_times(WORST, best);
        }
    }
    let mut means = means(NAME, queries);
    for mean in &mut means {
        mean.at_most_times(0.7, System::DuckDb);
        mean.at_most_times(0.25, System::PostgresFdw);
    }
    rows.extend(means);
    Ok(())
}

fn time(row: &Row, system: System) -> f64 {
    row.value(system).unwrap_or(f64::INFINITY)
}
