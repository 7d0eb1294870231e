//! What clients send, replayed over a sample catalog in a session without a server around it.

mod sample;

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider};
use datafusion::error::Result;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::Statement as PlannedStatement;
use datafusion::sql::sqlparser::ast::Statement;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::{
    PgCatalogContext, information_schema_provider, mentions_system_catalog, output_name, register_functions, rewrite,
    schema_provider,
};
use crate::federation::semantics;

/// A session that resolves names as the server's does.
fn session(context: &Arc<PgCatalogContext>) -> SessionContext {
    let mut config = SessionConfig::new().with_default_catalog_and_schema("atoll", "public").with_target_partitions(1);
    config.options_mut().sql_parser.dialect = datafusion::config::Dialect::PostgreSQL;
    config.options_mut().sql_parser.parse_float_as_decimal = true;
    let builder = SessionStateBuilder::new().with_default_features().with_config(config);
    let state = semantics::session_state(builder, &semantics::Settings::default()).expect("functions have names");
    let session = SessionContext::new_with_state(state);
    let catalog = Arc::new(MemoryCatalogProvider::new());
    let schemas = [
        ("pg_catalog", schema_provider(Arc::clone(context))),
        ("information_schema", information_schema_provider(Arc::clone(context))),
        ("public", Arc::new(MemorySchemaProvider::new())),
    ];
    for (name, schema) in schemas {
        catalog.register_schema(name, schema).expect("an empty catalog takes schemas");
    }
    session.register_catalog("atoll", catalog);
    register_functions(&session, context);
    session
}

/// Column names and rows of a query, in COPY text.
async fn run(session: &SessionContext, sql: &str) -> Result<(Option<Vec<String>>, Vec<String>)> {
    let mut statements = Parser::parse_sql(&PostgreSqlDialect {}, sql)
        .map_err(|error| datafusion::error::DataFusionError::External(error.into()))?;
    let Some(Statement::Query(mut query)) = statements.pop() else { panic!("not one query: {sql}") };
    let rewritten = mentions_system_catalog(&query);
    if rewritten {
        rewrite(&mut query);
        semantics::rewrite_catalog(&mut query);
    }
    if std::env::var_os("ATOLL_TEST_SHOW_REWRITTEN").is_some() {
        println!("{query}");
    }
    let statement = PlannedStatement::Statement(Box::new(Statement::Query(query)));
    let plan = session.state().statement_to_plan(statement).await?;
    // Other queries' columns are named by the session, not here.
    let names =
        rewritten.then(|| plan.schema().fields().iter().map(|field| output_name(field.name()).to_owned()).collect());
    let batches = session.execute_logical_plan(plan).await?.collect().await?;
    Ok((names, batches.iter().flat_map(copy_rows).collect()))
}

fn copy_rows(batch: &RecordBatch) -> Vec<String> {
    let row = |row: usize| batch.columns().iter().map(|array| copy_text(array, row)).collect::<Vec<_>>().join("\t");
    (0..batch.num_rows()).map(row).collect()
}

fn copy_text(array: &ArrayRef, row: usize) -> String {
    if array.is_null(row) || array.data_type() == &DataType::Null {
        return "\\N".to_owned();
    }
    plain_text(array, row).replace('\\', "\\\\").replace('\n', "\\n").replace('\t', "\\t")
}

fn plain_text(array: &ArrayRef, row: usize) -> String {
    match array.data_type() {
        DataType::Float32 => array.as_primitive::<arrow::datatypes::Float32Type>().value(row).to_string(),
        DataType::Float64 => array.as_primitive::<arrow::datatypes::Float64Type>().value(row).to_string(),
        DataType::Boolean => (if array.as_boolean().value(row) { "t" } else { "f" }).to_owned(),
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            let item = |index: usize| {
                if items.is_null(index) {
                    return "NULL".to_owned();
                }
                let text = plain_text(&items, index);
                let plain = !text.is_empty() && !text.contains([',', '"', '\\', '{', '}', ' ', '\n']);
                if plain { text } else { format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")) }
            };
            format!("{{{}}}", (0..items.len()).map(item).collect::<Vec<_>>().join(","))
        }
        _ => {
            let formatter = ArrayFormatter::try_new(array, &FormatOptions::default()).expect("a printable type");
            formatter.value(row).to_string()
        }
    }
}

/// One query of a replay file, and what it should answer.
struct Replay {
    title: String,
    sql: String,
    names: Vec<String>,
    rows: Vec<String>,
    compared: bool,
}

fn replays(client: &str) -> Vec<Replay> {
    // Read at run time: clones that share a target directory share this program.
    let server = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let folder = PathBuf::from(server).join("../sql-tests/suites/clients").join(client);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    files.sort();
    let mut found: Vec<Replay> = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a readable replay file");
        let prefix = format!("-- {}: ", client.trim_end_matches(char::is_numeric));
        for line in text.lines() {
            if let Some(title) = line.strip_prefix(&prefix) {
                found.push(Replay {
                    title: title.to_owned(),
                    sql: String::new(),
                    names: Vec::new(),
                    rows: Vec::new(),
                    compared: true,
                });
            }
            let Some(replay) = found.last_mut() else { continue };
            if let Some(names) = line.strip_prefix("--= ") {
                replay.names = names.split('\t').map(str::to_owned).collect();
            } else if let Some(row) = line.strip_prefix("--> ") {
                replay.rows.push(row.to_owned());
            } else if line.starts_with("--?") {
                replay.compared = false;
            } else if !line.starts_with("--") {
                replay.sql.push_str(line);
                replay.sql.push('\n');
            }
        }
    }
    found
}

/// Runs every replay of a client and lists those that failed.
async fn replay(client: &str) {
    let sessions = [("ada", sample::ADA), ("ben", sample::BEN), ("atoll", sample::ATOLL)]
        .map(|(name, role)| (name, session(&Arc::new(sample::context(role)))));
    let mut failures = Vec::new();
    let all = replays(client);
    assert!(!all.is_empty());
    let filter = std::env::var("ATOLL_TEST_REPLAY").unwrap_or_default();
    for replay in all.iter().filter(|replay| replay.title.contains(&filter)) {
        // A title that begins with a role's name is that role's query; all others are the superuser's.
        let by_role = sessions.iter().find(|(name, _)| replay.title.split(' ').next() == Some(name));
        let Some((_, session)) = by_role.or(sessions.last()) else { continue };
        match run(session, &replay.sql).await {
            Err(error) => failures.push(format!("{}\n{}ERROR {error}", replay.title, replay.sql)),
            Ok((names, mut rows)) => {
                let mut wanted = replay.rows.clone();
                if !replay.sql.contains("ORDER BY") {
                    rows.sort();
                    wanted.sort();
                }
                let named = names.as_ref().is_none_or(|names| *names == replay.names);
                if !named || (replay.compared && rows != wanted) {
                    failures.push(format!(
                        "{}\n{}want {:?}\n{}\ngot  {names:?}\n{}",
                        replay.title,
                        replay.sql,
                        replay.names,
                        replay.rows.join("\n"),
                        if replay.compared { rows.join("\n") } else { String::new() }
                    ));
                }
            }
        }
    }
    let count = failures.len();
    assert!(failures.is_empty(), "{count} of {} failed\n\n{}", all.len(), failures.join("\n\n"));
}

#[tokio::test]
async fn answers_asyncpg_as_postgresql_does() {
    replay("asyncpg0").await;
}

#[tokio::test]
async fn shows_each_role_what_postgresql_shows_it() {
    replay("catalog15").await;
}

#[tokio::test]
async fn scans_every_relation_of_postgresql_15_and_shows_no_secret() -> Result<()> {
    let session = session(&Arc::new(sample::context(sample::ATOLL)));
    for relation in &super::facts::facts().relations {
        let (names, rows) = run(&session, &format!("SELECT * FROM {}.{}", relation.schema, relation.name)).await?;
        let expected: Vec<&str> = relation.columns.iter().map(|column| column.name).collect();
        assert_eq!(names.unwrap_or_default(), expected, "{}", relation.name);
        let text = rows.join("\n");
        assert!(!text.contains("c2VjcmV0") && !text.contains("SCRAM-SHA-256$"), "{} shows a secret", relation.name);
    }
    Ok(())
}

#[tokio::test]
async fn refuses_restricted_catalogs_to_others_than_superusers() {
    let session = session(&Arc::new(sample::context(sample::BEN)));
    for name in ["pg_authid", "pg_user_mapping", "pg_shadow"] {
        let error = run(&session, &format!("SELECT * FROM {name}")).await.expect_err("restricted");
        assert!(error.to_string().contains("permission denied for"), "{error}");
    }
}

#[tokio::test]
async fn leaves_queries_over_user_tables_alone() {
    let sql = "SELECT array_to_string(tags, ','), version() FROM orders WHERE id = ANY (ARRAY[1, 2])";
    let Some(Statement::Query(query)) = Parser::parse_sql(&PostgreSqlDialect {}, sql).expect("valid SQL").pop() else {
        panic!("not a query")
    };
    assert!(!mentions_system_catalog(&query));
}

#[tokio::test]
async fn answers_psql_15_as_postgresql_does() {
    replay("psql15").await;
}

/// How long psql's commands take over many tables. It says so and asserts a generous bound, which an accidental
/// quadratic would break.
#[tokio::test]
async fn lists_ten_thousand_foreign_tables_quickly() -> Result<()> {
    let context = Arc::new(sample::large(10_000));
    let session = session(&context);
    let all = replays("psql15");
    for title in ["\\d", "\\dE+", "\\d orders", "\\det+"] {
        let start = std::time::Instant::now();
        for replay in all.iter().filter(|replay| replay.title == title) {
            run(&session, &replay.sql).await?;
        }
        let took = start.elapsed();
        println!("{title}: {} ms", took.as_millis());
        assert!(took.as_secs() < 30, "{title} took {took:?}");
    }
    Ok(())
}
