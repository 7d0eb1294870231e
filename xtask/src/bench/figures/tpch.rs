//! TPC-H's queries over Parquet files.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use crate::bench::rounds::{Case, Rounds, said};
use crate::bench::stage::{Place, Stage, all_in};
use crate::bench::system::{Asked, System};
use crate::bench::table::{Row, geometric_mean};
use crate::root;

const NAME: &str = "tpch";

pub(crate) async fn run(stage: &Stage, rounds: Rounds, rows: &mut Vec<Row>) -> Result<()> {
    let tables = all_in(Place::Parquet);
    let systems = BTreeMap::from([
        (System::Atoll, stage.atoll("files").await?),
        (System::DuckDb, stage.duckdb(&tables).await?),
        (System::ChDb, stage.chdb(&tables).await?),
    ]);
    let begun = rows.len();
    queries(NAME, systems, rounds, rows).await?;
    let mut means = means(NAME, rows.get(begun..).unwrap_or_default());
    for mean in &mut means {
        mean.at_most_times(1.2, System::DuckDb);
    }
    rows.extend(means);
    Ok(())
}

/// Asks all systems all queries.
pub(super) async fn queries(
    figure: &'static str,
    mut systems: BTreeMap<System, Asked>,
    rounds: Rounds,
    rows: &mut Vec<Row>,
) -> Result<()> {
    for number in 1..=22 {
        let path = root().join(format!("sql-tests/differential/tpch/{number:02}.sql"));
        let sql = std::fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
        rows.push(rounds.measure(figure, &Case::new(format!("query {number}"), sql), &mut systems).await);
    }
    Ok(())
}

/// Geometric means, for each peer over the queries that both it and Atoll answered.
pub(super) fn means(figure: &'static str, rows: &[Row]) -> Vec<Row> {
    let peers = System::ALL.into_iter().filter(|system| *system != System::Atoll);
    let mean = |peer: System| {
        let pairs: Vec<(f64, f64)> =
            rows.iter().filter_map(|row| Some((row.value(System::Atoll)?, row.value(peer)?))).collect();
        let (own, other): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        let case = format!("geometric mean, {} queries beside {}", pairs.len(), peer.name());
        let row = Row::new(figure, case, "s").with(System::Atoll, geometric_mean(&own)?);
        Some(row.with(peer, geometric_mean(&other)?))
    };
    let means: Vec<Row> = peers.filter_map(mean).collect();
    means.iter().for_each(|row| println!("{}", said(row)));
    means
}
