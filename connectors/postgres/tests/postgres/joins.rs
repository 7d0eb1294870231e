//! Joins with other sources: what leaves the server, and at which moment.

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int32Array, Int64Array, RecordBatch, StringViewArray};
use atoll_connector_api::statement::StatementScans;
use datafusion::datasource::MemTable;
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::StreamExt;

use atoll_connector_api::ForeignSource;

use crate::support::{Remote, remote};

/// A session as the server sets it up, as far as joins go.
fn session(partitions: usize) -> SessionContext {
    let config = SessionConfig::new().with_target_partitions(partitions);
    let mut config = config.with_extension(Arc::new(StatementScans::default()));
    let options = &mut config.options_mut().optimizer;
    options.enable_topk_dynamic_filter_pushdown = false;
    options.enable_aggregate_dynamic_filter_pushdown = false;
    options.hash_join_inlist_pushdown_max_distinct_values = 1000;
    SessionContext::new_with_config(config)
}

fn register(context: &SessionContext, name: &str, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
    context.register_table(name, Arc::new(table)).unwrap();
}

/// The scan's line, and the rows that it received.
fn scans(plan: &Arc<dyn ExecutionPlan>) -> Vec<(String, usize)> {
    let mut found: Vec<_> = plan.children().into_iter().flat_map(scans).collect();
    if plan.name() == "ForeignScanExec" {
        let shown = datafusion::physical_plan::displayable(plan.as_ref()).one_line().to_string().trim_end().to_owned();
        let rows = plan.metrics().and_then(|metrics| metrics.output_rows()).unwrap_or_default();
        found.push((shown, rows));
    }
    found
}

async fn run(context: &SessionContext, sql: &str) -> (usize, Vec<(String, usize)>) {
    let plan = planned(context, sql).await;
    let batches = collect(Arc::clone(&plan), context.task_ctx()).await.unwrap();
    (batches.iter().map(RecordBatch::num_rows).sum(), scans(&plan))
}

async fn make_big(remote: &Remote) {
    remote
        .execute(
            "CREATE UNLOGGED TABLE big AS SELECT g AS id, 'v' || g AS label, date '2020-01-01' + g % 100 AS day, \
             CASE WHEN g % 10 = 0 THEN NULL ELSE g % 7 END AS gap, repeat('x', 150) AS filler \
             FROM generate_series(1, 200000) g; ANALYZE big",
        )
        .await;
}

/// A statement's session in which `tables` are the foreign tables.
async fn statement(
    remote: &Remote,
    source: &Arc<dyn ForeignSource>,
    tables: &[&str],
    partitions: usize,
) -> SessionContext {
    let context = session(partitions);
    for table in tables {
        context.register_table(*table, source.provider(remote.table(source, table).await).await.unwrap()).unwrap();
    }
    context
}

/// The plan of the one statement that a session runs.
async fn planned(context: &SessionContext, sql: &str) -> Arc<dyn ExecutionPlan> {
    let plan = context.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
    context.task_ctx().session_config().get_extension::<StatementScans>().unwrap().expect_plan(&plan);
    plan
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_fetches_the_rows_of_its_keys() {
    let Some(remote) = remote("a_join_fetches_the_rows_of_its_keys").await else { return };
    make_big(&remote).await;
    let context = statement(&remote, &remote.source(&[("partitions", "3")]), &["big"], 3).await;
    let ids: Vec<i32> = (0..100).map(|n| n * 1999 + 1).collect();
    register(
        &context,
        "small",
        vec![
            ("id", Arc::new(Int32Array::from(ids.clone())) as ArrayRef),
            ("wide", Arc::new(Int64Array::from_iter_values(ids.iter().map(|id| i64::from(*id) << (id % 2 * 31))))),
            ("label", Arc::new(StringViewArray::from_iter_values(ids.iter().map(|id| format!("v{id}"))))),
            ("day", Arc::new(Date32Array::from(vec![18_270; 100]))),
        ],
    );
    register(&context, "none", vec![("id", Arc::new(Int32Array::from(vec![None::<i32>; 3])) as ArrayRef)]);
    register(&context, "many", vec![("id", Arc::new(Int32Array::from_iter_values(500..2_500)) as ArrayRef)]);
    for (sql, answer, sent, shown) in [
        ("SELECT b.label FROM small s JOIN big b ON b.id = s.id", 100, 100, "dynamic filters=[id: 100 keys]"),
        ("SELECT b.id FROM small s JOIN big b ON b.label = s.label", 100, 100, "[label: 100 keys]"),
        // Keys beyond the column's type match nothing.
        ("SELECT b.id FROM small s JOIN big b ON b.id = s.wide", 50, 50, "[id: 50 keys]"),
        ("SELECT b.id FROM small s JOIN big b ON b.id = s.id AND b.day = s.day", 1, 1, "[id: 100 keys, day: 1 key]"),
        ("SELECT s.id, b.label FROM small s LEFT JOIN big b ON b.id = s.id AND b.id > 100", 100, 99, "[id: 100 keys]"),
        ("SELECT b.id FROM many m JOIN big b ON b.id = m.id", 2_000, 2_000, "[id: range]"),
        ("SELECT b.id FROM none n JOIN big b ON b.id = n.id", 0, 0, "dynamic filters=["),
        ("SELECT id FROM big WHERE id IN (SELECT id FROM small)", 100, 100, "[id: 100 keys]"),
        (
            "SELECT s.id FROM small s JOIN (SELECT id, count(*) FROM big GROUP BY id) b ON b.id = s.id",
            100,
            100,
            "id: 100 keys",
        ),
        // What a join keeps of the remote side for itself is not cut.
        ("SELECT b.id FROM small s RIGHT JOIN big b ON b.id = s.id", 200_000, 200_000, "Remote SQL"),
        ("SELECT id FROM big WHERE id NOT IN (SELECT id FROM small)", 199_900, 200_000, "Remote SQL"),
    ] {
        let (rows, scans) = run(&context, sql).await;
        let [(line, received)] = scans.as_slice() else { panic!("{sql}: {scans:?}") };
        assert_eq!((rows, *received), (answer, sent), "{sql}\n{line}");
        assert!(line.contains(shown) && line.contains("partitions=3"), "{sql}\n{line}");
    }
    // A limit that the remote applies is of its own rows.
    let limited = "SELECT s.id FROM small s JOIN (SELECT id FROM big LIMIT 10) b ON b.id = s.id";
    let (_, scans) = run(&context, limited).await;
    assert!(scans[0].0.ends_with("LIMIT 10") && !scans[0].0.contains("dynamic"), "{scans:?}");
    assert_eq!(scans[0].1, 10);
    remote.drop_schema().await;
}

/// Reads one partition of a plan.
async fn read(plan: &Arc<dyn ExecutionPlan>, context: &SessionContext, partition: usize) -> usize {
    let mut stream = plan.execute(partition, context.task_ctx()).unwrap();
    let mut rows = 0;
    while let Some(batch) = stream.next().await {
        rows += batch.unwrap().num_rows();
    }
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scans_of_one_statement_see_one_moment() {
    let Some(remote) = remote("scans_of_one_statement_see_one_moment").await else { return };
    for connections in ["1", "2", "8"] {
        remote
            .execute("DROP TABLE IF EXISTS one, two; CREATE TABLE one AS SELECT g AS a FROM generate_series(1, 30000) g; CREATE TABLE two AS TABLE one")
            .await;
        let source = remote.source(&[("max_connections", connections)]);
        let context = statement(&remote, &source, &["one", "two"], 1).await;
        let plan = planned(&context, "SELECT a FROM one UNION ALL SELECT a + 0 FROM two").await;
        assert_eq!(plan.children().len(), 2, "{plan:?}");
        let first = plan.children()[0].clone();
        let second = plan.children()[1].clone();
        let mut stream = first.execute(0, context.task_ctx()).unwrap();
        let mut rows = stream.next().await.unwrap().unwrap().num_rows();
        remote.execute("DELETE FROM two WHERE a > 10; DELETE FROM one WHERE a > 10").await;
        while let Some(batch) = stream.next().await {
            rows += batch.unwrap().num_rows();
        }
        let second = tokio::time::timeout(std::time::Duration::from_secs(20), read(&second, &context, 0));
        assert_eq!((rows, second.await.unwrap()), (30_000, 30_000), "{connections} connections");
        // A statement of its own sees what is there now, on the same connections.
        let now = statement(&remote, &source, &["two"], 1).await;
        assert_eq!(run(&now, "SELECT a FROM two").await.0, 10);
        // Nothing holds the old snapshot.
        for _ in 0..100 {
            if remote
                .text("SELECT 1 FROM pg_stat_activity WHERE application_name = 'atoll' AND state LIKE 'idle in%'")
                .await
                .is_empty()
            {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
    remote.drop_schema().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_scans_of_a_statement_end_with_few_connections() {
    let Some(remote) = remote("many_scans_of_a_statement_end_with_few_connections").await else { return };
    make_big(&remote).await;
    for connections in ["1", "2", "3"] {
        let source = remote.source(&[("partitions", "4"), ("max_connections", connections)]);
        let statements = [
            "SELECT x.id FROM big x JOIN big y ON x.id = y.id JOIN big z ON z.id = y.id WHERE x.id % 1000 = 0",
            "SELECT id FROM big UNION ALL SELECT id FROM big UNION ALL SELECT id FROM big",
            "SELECT x.id FROM big x, big y WHERE x.id < 30 AND y.id < 30 AND x.id > y.id",
            "SELECT x.id FROM (SELECT id, sum(gap) FROM big GROUP BY id) x JOIN (SELECT id, max(day) FROM big GROUP BY id) y ON x.id = y.id ORDER BY 1",
        ];
        for (sql, expected) in statements.into_iter().zip([200, 600_000, 406, 200_000]) {
            let context = statement(&remote, &source, &["big"], 3).await;
            let plan = planned(&context, sql).await;
            let all = tokio::time::timeout(std::time::Duration::from_secs(40), collect(plan, context.task_ctx()));
            let rows: usize = all.await.unwrap().unwrap().iter().map(RecordBatch::num_rows).sum();
            assert_eq!(rows, expected, "{connections} connections: {sql}");
        }
    }
    remote.drop_schema().await;
}
