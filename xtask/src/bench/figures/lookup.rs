//! Point look-ups at several numbers of connections, through Atoll and at PostgreSQL itself.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio_postgres::SimpleQueryMessage;

use crate::bench::rounds::{Rounds, said};
use crate::bench::stage::Stage;
use crate::bench::system::{Endpoint, System};
use crate::bench::table::{Row, median};

const NAME: &str = "lookup";
const CONNECTIONS: [u64; 4] = [1, 8, 32, 100];
/// Look-ups of one round, over all connections.
const LOOKUPS: u64 = 800;
const ADDED_MAX_MS: f64 = 0.5;

/// How a statement is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Parsed once, bound and executed again and again.
    Prepared,
    /// A new text each time.
    Simple,
}

pub(crate) async fn run(stage: &Stage, rounds: Rounds, rows: &mut Vec<Row>) -> Result<()> {
    for (way, said_as) in [(Way::Prepared, "prepared"), (Way::Simple, "simple")] {
        for connections in CONNECTIONS {
            rows.extend(compared(stage, rounds, way, said_as, connections).await?);
        }
    }
    Ok(())
}

async fn compared(stage: &Stage, rounds: Rounds, way: Way, said_as: &str, connections: u64) -> Result<Vec<Row>> {
    let case = |what: &str| format!("{what}, {said_as}, {connections} connections");
    let mut latency = Row::new(NAME, case("median latency"), "ms");
    let mut rate = Row::new(NAME, case("look-ups per second"), "1/s");
    let targets = [
        (System::Atoll, stage.atoll_endpoint(), "remote.orders"),
        (System::Postgres, stage.postgres_endpoint(), "orders"),
    ];
    let mut latencies: [Vec<f64>; 2] = Default::default();
    let mut rates: [Vec<f64>; 2] = Default::default();
    for round in 0..=rounds.count {
        for (index, (_, endpoint, table)) in targets.iter().enumerate() {
            let begun = Instant::now();
            let times = tokio::time::timeout(rounds.within, many(endpoint, table, way, connections)).await;
            let times = times.context("look-ups did not end in time")??;
            let seconds = begun.elapsed().as_secs_f64();
            if round > 0 {
                let count = u32::try_from(times.len()).unwrap_or(u32::MAX);
                rates[index].push(f64::from(count) / seconds);
                latencies[index].extend(times.iter().map(|time| time.as_secs_f64() * 1000.0));
            }
        }
    }
    for ((system, ..), (times, per_second)) in targets.iter().zip(latencies.into_iter().zip(rates)) {
        latency = latency.with(*system, median(times).context("no look-up")?);
        rate = rate.with(*system, median(per_second).context("no look-up")?);
    }
    if let (1, Some(own), Some(direct)) = (connections, latency.value(System::Atoll), latency.value(System::Postgres)) {
        let added = own - direct;
        latency.verdicts.push((format!("adds {added:.2} ms (≤ {ADDED_MAX_MS})"), added <= ADDED_MAX_MS));
    }
    println!("{}\n{}", said(&latency), said(&rate));
    Ok(vec![latency, rate])
}

/// Look-ups on so many connections at once; each one's time.
async fn many(endpoint: &Endpoint, table: &str, way: Way, connections: u64) -> Result<Vec<Duration>> {
    let count = LOOKUPS.div_ceil(connections);
    let mut running = tokio::task::JoinSet::new();
    for connection in 0..connections {
        let (endpoint, table) = (endpoint.clone(), table.to_owned());
        running.spawn(async move { one(&endpoint, &table, way, connection, count).await });
    }
    let mut times = Vec::new();
    while let Some(ended) = running.join_next().await {
        times.extend(ended??);
    }
    Ok(times)
}

async fn one(endpoint: &Endpoint, table: &str, way: Way, seed: u64, count: u64) -> Result<Vec<Duration>> {
    let client = endpoint.connect().await?;
    let text = format!("SELECT o_orderkey, o_custkey, o_totalprice, o_orderdate FROM {table} WHERE o_orderkey = ");
    let statement = match way {
        Way::Prepared => Some(client.prepare(&format!("{text}$1")).await?),
        Way::Simple => None,
    };
    let mut times = Vec::new();
    for number in 0..count {
        // Keys come in groups of eight, of which 32 numbers are used: 1 to 7 of each exist.
        let key = i32::try_from((seed * 7919 + number * 104_729) % 1000 * 32 + 1)?;
        let begun = Instant::now();
        let found = match &statement {
            Some(statement) => key_of(statement, &client, key).await?,
            None => {
                let messages = client.simple_query(&format!("{text}{key}")).await?;
                messages.iter().filter(|message| matches!(message, SimpleQueryMessage::Row(_))).count()
            }
        };
        times.push(begun.elapsed());
        ensure!(found == 1, "{found} rows have the key {key}");
    }
    Ok(times)
}

async fn key_of(statement: &tokio_postgres::Statement, client: &tokio_postgres::Client, key: i32) -> Result<usize> {
    let wide = statement.params().first() == Some(&tokio_postgres::types::Type::INT8);
    let rows = if wide {
        client.query(statement, &[&i64::from(key)]).await?
    } else {
        client.query(statement, &[&key]).await?
    };
    Ok(rows.len())
}
