//! Big tables: streamed in bounded memory, and cut into parts that see one moment.

use datafusion::physical_plan::ExecutionPlanProperties;
use futures::StreamExt;

use crate::support::{plan, remote, rows};

fn resident_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_million_rows_stream_in_bounded_memory() {
    let Some(remote) = remote("two_million_rows_stream_in_bounded_memory").await else { return };
    remote
        .execute("CREATE UNLOGGED TABLE big AS SELECT g AS a, g::bigint * 2 AS b, 'row number ' || g AS c, repeat('x', 100) AS d FROM generate_series(1, 2000000) g")
        .await;
    let source = remote.source(&[]);
    let context = remote.context(&source, "big").await;
    let before = resident_mb();
    let started = std::time::Instant::now();
    let mut stream = context.sql("SELECT * FROM big").await.unwrap().execute_stream().await.unwrap();
    let (mut count, mut most, mut first) = (0, 0, None);
    while let Some(batch) = stream.next().await {
        let batch = batch.unwrap();
        first.get_or_insert_with(|| started.elapsed());
        count += batch.num_rows();
        most = most.max(resident_mb());
        assert!(batch.num_rows() <= 8192);
    }
    println!("2M rows in {:?}, first after {:?}, memory {before} MB then at most {most} MB", started.elapsed(), first);
    assert_eq!(count, 2_000_000);
    // The rows are about 300 MB; other tests run beside this one.
    assert!(most < before + 150, "{before} MB then {most} MB");
    remote.drop_schema().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_index_finds_is_asked_for_once() {
    let Some(remote) = remote("what_an_index_finds_is_asked_for_once").await else { return };
    remote
        .execute(
            "CREATE UNLOGGED TABLE looked AS SELECT g AS a, g AS b, g % 2 AS c, repeat('x', 200) AS filler \
             FROM generate_series(1, 200000) g; CREATE INDEX ON looked (a); CREATE INDEX ON looked (c); \
             CREATE INDEX ON looked (b) WHERE b > 10; ANALYZE looked",
        )
        .await;
    let source = remote.source(&[("partitions", "4")]);
    let context = remote.context(&source, "looked").await;
    for (condition, parts, count) in [
        ("a = 7", 1, "1"),
        ("a IN (7, 8, 900000)", 1, "2"),
        ("a = 7 AND c = 0", 1, "0"),
        // No index of all rows begins with it.
        ("b = 7", 4, "1"),
        // Half of the table.
        ("c = 1", 4, "100000"),
    ] {
        let query = format!("SELECT a FROM looked WHERE {condition}");
        let physical = context.sql(&query).await.unwrap().create_physical_plan().await.unwrap();
        assert_eq!(physical.output_partitioning().partition_count(), parts, "{condition}");
        assert_eq!(rows(&context, &format!("SELECT count(a) FROM looked WHERE {condition}")).await, [[count]]);
    }
    remote.drop_schema().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_of_a_scan_see_one_moment() {
    let Some(remote) = remote("parts_of_a_scan_see_one_moment").await else { return };
    remote
        .execute("CREATE UNLOGGED TABLE cut AS SELECT g AS a, repeat('x', 200) AS filler FROM generate_series(1, 200000) g; ANALYZE cut")
        .await;
    let source = remote.source(&[("partitions", "4")]);
    let context = remote.context(&source, "cut").await;
    let text = plan(&context, "SELECT a FROM cut").await;
    assert!(text.contains("partitions=4") && text.contains("ctid < '("), "{text}");
    assert_eq!(rows(&context, "SELECT count(a), sum(a) FROM cut").await, [["200000", "20000100000"]]);

    let physical = context.sql("SELECT a FROM cut").await.unwrap().create_physical_plan().await.unwrap();
    assert_eq!(physical.output_partitioning().partition_count(), 4);
    let mut first = physical.execute(0, context.task_ctx()).unwrap();
    let mut sum: i64 = 0;
    let mut count = 0;
    let mut add = |batch: arrow::record_batch::RecordBatch| {
        use arrow::array::AsArray;
        count += batch.num_rows();
        sum += batch
            .column(0)
            .as_primitive::<arrow::datatypes::Int32Type>()
            .values()
            .iter()
            .map(|a| i64::from(*a))
            .sum::<i64>();
    };
    add(first.next().await.unwrap().unwrap());
    remote
        .execute("DELETE FROM cut WHERE a % 2 = 0; INSERT INTO cut SELECT -g, '' FROM generate_series(1, 1000) g")
        .await;
    while let Some(batch) = first.next().await {
        add(batch.unwrap());
    }
    for part in 1..4 {
        let mut stream = physical.execute(part, context.task_ctx()).unwrap();
        while let Some(batch) = stream.next().await {
            add(batch.unwrap());
        }
    }
    assert_eq!((count, sum), (200_000, 20_000_100_000));
    // The next execution sees the next moment.
    assert_eq!(rows(&context, "SELECT count(a) FROM cut").await, [["101000"]]);
    remote.drop_schema().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scans_in_parts_do_not_wait_for_each_other_for_ever() {
    let Some(remote) = remote("scans_in_parts_do_not_wait_for_each_other_for_ever").await else { return };
    remote
        .execute("CREATE UNLOGGED TABLE cut AS SELECT g AS a, repeat('x', 200) AS filler FROM generate_series(1, 200000) g; ANALYZE cut")
        .await;
    // Two connections, and six scans that each want two.
    let source = remote.source(&[("partitions", "4"), ("max_connections", "2")]);
    let context = remote.context(&source, "cut").await;
    assert!(plan(&context, "SELECT a FROM cut").await.contains("partitions=2"));
    let scans = (0..6).map(|_| rows(&context, "SELECT count(a), sum(a) FROM cut"));
    let all = tokio::time::timeout(std::time::Duration::from_secs(40), futures::future::join_all(scans));
    assert!(all.await.unwrap().iter().all(|answer| *answer == [["200000", "20000100000"]]));
    // Filters go into every part; a limit makes one.
    assert_eq!(rows(&context, "SELECT count(a) FROM cut WHERE a <= 10").await, [["10"]]);
    assert_eq!(rows(&context, "SELECT a FROM cut LIMIT 5").await.len(), 5);
    assert!(!plan(&context, "SELECT a FROM cut LIMIT 5").await.contains("partitions="));
    assert_eq!(rows(&context, "SELECT count(*) FROM cut").await, [["200000"]]);
    remote.drop_schema().await;
}
