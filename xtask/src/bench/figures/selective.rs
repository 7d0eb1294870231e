//! A few local rows joined with a big remote table: the time, and the rows that left PostgreSQL.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use crate::bench::rounds::{Case, Rounds, said};
use crate::bench::stage::{Place, Stage};
use crate::bench::system::{Asked, System};
use crate::bench::table::{Cell, Row};

const NAME: &str = "selective";
const ROWS_MAX: f64 = 1000.0;
const JOIN: &str = "SELECT count(*), sum(l_extendedprice), max(l_comment) FROM keys JOIN lineitem ON l_orderkey = k";

pub(crate) async fn run(stage: &Stage, rounds: Rounds, rows: &mut Vec<Row>) -> Result<()> {
    let tables = [("lineitem", Place::Postgres), ("keys", Place::Parquet)];
    let mut systems = BTreeMap::from([
        (System::Atoll, stage.atoll("files").await?),
        (System::DuckDb, stage.duckdb(&tables).await?),
        (System::ChDb, stage.chdb(&tables).await?),
        (System::PostgresFdw, stage.postgres_fdw().await?),
    ]);
    let mut case = Case::new("100 local rows join lineitem", JOIN);
    case.other.insert(System::Atoll, JOIN.replace(" lineitem", " remote.lineitem"));
    let row = rounds.measure(NAME, &case, &mut systems).await;
    rows.push(row);
    let mut left = Row::new(NAME, "rows that left PostgreSQL", "rows");
    let mut postgres = stage.postgres().await?;
    stage.count_rows(true).await?;
    for (system, asked) in &mut systems {
        let sql = case.other.get(system).unwrap_or(&case.sql);
        let counted = rows_left(&mut postgres, asked, sql, rounds).await;
        left.cells.insert(*system, counted.map_or_else(|error| Cell::Failed(format!("{error:#}")), Cell::Value));
    }
    stage.count_rows(false).await?;
    left.at_most(ROWS_MAX);
    println!("{}", said(&left));
    rows.push(left);
    Ok(())
}

/// PostgreSQL's own count of the rows that its statements returned.
async fn rows_left(postgres: &mut Asked, asked: &mut Asked, sql: &str, rounds: Rounds) -> Result<f64> {
    postgres.run(&["SELECT pg_stat_statements_reset()".to_owned()]).await?;
    asked.ask(sql, rounds.within).await?;
    // Catalog queries are no data; nor is what runs in other databases.
    let counted = postgres
        .ask(
            "SELECT coalesce(sum(s.rows), 0) FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid \
             WHERE d.datname = 'tpch' AND s.query NOT LIKE '%pg\\_%' AND s.query NOT LIKE '%information\\_schema%'",
            rounds.within,
        )
        .await?;
    let value = counted.rows.first().and_then(|row| row.first()).cloned().flatten();
    value.and_then(|value| value.parse().ok()).context("no count")
}
