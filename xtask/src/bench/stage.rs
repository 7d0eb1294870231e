//! The stage: TPC-H's tables in PostgreSQL, Parquet and CSV, and the systems that read them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::system::{Asked, Endpoint, Worker};
use crate::servers::{self, PASSWORD, Server};
use crate::{cargo_command, root};

/// What is installed into the environment of the peers.
const PEERS: &[&str] =
    &["duckdb==1.5.5", "duckdb-extension-postgres-scanner==1.5.5", "duckdb-extension-tpch==1.5.5", "chdb==4.4.0"];
/// TPC-H's tables.
pub(super) const TABLES: [&str; 8] =
    ["region", "nation", "part", "supplier", "partsupp", "customer", "orders", "lineitem"];
/// Those that the federated figure reads from PostgreSQL, Parquet and CSV.
pub(super) const IN_POSTGRES: [&str; 4] = ["lineitem", "orders", "customer", "partsupp"];
pub(super) const IN_PARQUET: [&str; 2] = ["part", "supplier"];
pub(super) const IN_CSV: [&str; 2] = ["nation", "region"];
/// Keys of TPC-H's tables.
const KEYS: [(&str, &str); 8] = [
    ("region", "r_regionkey"),
    ("nation", "n_nationkey"),
    ("part", "p_partkey"),
    ("supplier", "s_suppkey"),
    ("partsupp", "ps_partkey, ps_suppkey"),
    ("customer", "c_custkey"),
    ("orders", "o_orderkey"),
    ("lineitem", "l_orderkey, l_linenumber"),
];
/// Settings of PostgreSQL: all data in memory, and a count of the rows that leave it where that is asked for.
const POSTGRES_SETTINGS: &[&str] = &[
    "shared_buffers=2GB",
    "max_wal_size=8GB",
    "maintenance_work_mem=512MB",
    "shared_preload_libraries=pg_stat_statements",
];
/// Rows of the local table that is joined with a big remote one.
pub(super) const LOCAL_ROWS: u64 = 100;
/// How long a load may take.
const LOAD_MAX: Duration = Duration::from_secs(1800);

/// What is wanted of it.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) scale: f64,
    /// A release build of Atoll that is there.
    pub(super) atoll: Option<&'a Path>,
    /// Where everything is kept for the next run.
    pub(super) directory: Option<&'a Path>,
}

/// The running servers and the files.
pub(super) struct Stage {
    pub(super) postgres: Server,
    pub(super) atoll: Server,
    directory: PathBuf,
    files: PathBuf,
    // Last: it goes after the servers in it.
    _scratch: Option<tempfile::TempDir>,
}

impl Stage {
    /// Builds, installs, generates, loads and starts what is not there.
    ///
    /// # Errors
    /// Something cannot be had.
    pub(super) async fn set(wanted: &Wanted<'_>) -> Result<Self> {
        let binary = match wanted.atoll {
            Some(path) => path.to_owned(),
            None => build()?,
        };
        let scratch = match wanted.directory {
            Some(_) => None,
            None => Some(tempfile::Builder::new().prefix("atoll-bench-").tempdir()?),
        };
        let directory = match (&scratch, wanted.directory) {
            (Some(scratch), _) => scratch.path().to_owned(),
            (None, Some(directory)) => std::path::absolute(directory)?,
            (None, None) => std::env::temp_dir(),
        };
        std::fs::create_dir_all(&directory)?;
        // PostgreSQL runs as another user.
        std::fs::set_permissions(&directory, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        install_peers(&directory)?;
        let files = directory.join(format!("tpch-{}", wanted.scale));
        generate(&directory, &files, wanted.scale).await?;
        let postgres = servers::postgres_with(&directory, POSTGRES_SETTINGS)?;
        load(&postgres, &directory, &files, wanted.scale).await?;
        // A data directory of its own each time: what is registered in it is of this run.
        let data = directory.join("atoll");
        if data.exists() {
            std::fs::remove_dir_all(&data)?;
        }
        let atoll = servers::atoll(&binary, &directory, "atoll", &[&files])?;
        let stage = Self { postgres, atoll, directory, files, _scratch: scratch };
        stage.register().await?;
        stage.register_fdw().await?;
        stage.count_rows(false).await?;
        Ok(stage)
    }

    /// Has PostgreSQL count the rows that its statements return, or not: that costs time.
    pub(super) async fn count_rows(&self, counted: bool) -> Result<()> {
        let track = if counted { "top" } else { "none" };
        let set = format!("ALTER SYSTEM SET pg_stat_statements.track = {track}");
        // Its processes hear of it a moment later.
        let statements = [set, "SELECT pg_reload_conf()".to_owned(), "SELECT pg_sleep(0.5)".to_owned()];
        self.postgres().await?.run(&statements).await
    }

    /// Atoll's own database.
    pub(super) fn atoll_endpoint(&self) -> Endpoint {
        Endpoint { port: self.atoll.address.port(), user: "atoll", database: "atoll" }
    }

    /// The database that holds the tables.
    pub(super) fn postgres_endpoint(&self) -> Endpoint {
        Endpoint { port: self.postgres.address.port(), user: "tester", database: "tpch" }
    }

    /// A connection to Atoll that finds tables in a schema.
    pub(super) async fn atoll(&self, schema: &str) -> Result<Asked> {
        searching(&self.atoll_endpoint(), schema).await
    }

    /// A connection to PostgreSQL itself.
    pub(super) async fn postgres(&self) -> Result<Asked> {
        searching(&self.postgres_endpoint(), "public").await
    }

    /// A connection to the database whose tables `postgres_fdw` and `file_fdw` bring.
    pub(super) async fn postgres_fdw(&self) -> Result<Asked> {
        searching(&Endpoint { database: "fdw", ..self.postgres_endpoint() }, "public").await
    }

    /// DuckDB with PostgreSQL's tables in the database `pg`, and tables as views of them or of files.
    pub(super) async fn duckdb(&self, places: &[(&str, Place)]) -> Result<Asked> {
        let mut asked = Asked::Library(self.duckdb_worker()?);
        asked.run(&[self.duckdb_attach()]).await?;
        let views = places.iter().map(|(table, place)| {
            let from = match place {
                Place::Postgres => format!("pg.public.{table}"),
                Place::Parquet => format!("read_parquet('{}')", self.file(table, "parquet")),
                Place::Csv => {
                    let columns = columns(table)?.into_iter().map(|(name, kind)| format!("'{name}': '{kind}'"));
                    let columns = columns.collect::<Vec<_>>().join(", ");
                    format!("read_csv('{}', header = false, columns = {{{columns}}})", self.file(table, "csv"))
                }
            };
            Ok(format!("CREATE VIEW {table} AS SELECT * FROM {from}"))
        });
        asked.run(&views.collect::<Result<Vec<_>>>()?).await?;
        Ok(asked)
    }

    pub(super) fn duckdb_worker(&self) -> Result<Worker> {
        let extensions = [extension(&self.directory, "postgres_scanner")?, extension(&self.directory, "tpch")?];
        Worker::start(&python(&self.directory), "duckdb", &extensions, &self.directory.join("duckdb.log"))
    }

    pub(super) fn duckdb_attach(&self) -> String {
        let port = self.postgres.address.port();
        format!(
            "ATTACH 'host=127.0.0.1 port={port} dbname=tpch user=tester password=''{PASSWORD}''' \
             AS pg (TYPE postgres, READ_ONLY)"
        )
    }

    /// chDB with tables of its engines over PostgreSQL and files.
    pub(super) async fn chdb(&self, places: &[(&str, Place)]) -> Result<Asked> {
        let log = self.directory.join("chdb.log");
        let mut asked = Asked::Library(Worker::start(&python(&self.directory), "chdb", &[], &log)?);
        let address = self.postgres.address;
        let mut statements =
            vec!["SET join_use_nulls = 1".to_owned(), "SET allow_experimental_correlated_subqueries = 1".to_owned()];
        for (table, place) in places {
            statements.push(match place {
                Place::Postgres => format!(
                    "CREATE TABLE {table} ENGINE = PostgreSQL('{address}', 'tpch', '{table}', 'tester', '{PASSWORD}')"
                ),
                Place::Parquet => {
                    format!("CREATE TABLE {table} ENGINE = File(Parquet, '{}')", self.file(table, "parquet"))
                }
                Place::Csv => {
                    let typed = columns(table)?.into_iter().map(|(name, kind)| format!("{name} {}", clickhouse(&kind)));
                    let typed = typed.collect::<Vec<_>>().join(", ");
                    format!("CREATE TABLE {table} ({typed}) ENGINE = File(CSV, '{}')", self.file(table, "csv"))
                }
            });
        }
        asked.run(&statements).await?;
        Ok(asked)
    }

    /// A file's path.
    fn file(&self, table: &str, end: &str) -> String {
        self.files.join(format!("{table}.{end}")).display().to_string()
    }

    /// Atoll's catalog: `remote`, all tables in PostgreSQL; `files`, all in Parquet; `fed`, scattered.
    async fn register(&self) -> Result<()> {
        let mut atoll = self.atoll("public").await?;
        let port = self.postgres.address.port();
        let location = self.files.display();
        let mut statements = vec![
            format!(
                "CREATE SERVER pg FOREIGN DATA WRAPPER postgres OPTIONS (host '127.0.0.1', port '{port}', dbname 'tpch')"
            ),
            format!("CREATE USER MAPPING FOR CURRENT_USER SERVER pg OPTIONS (user 'tester', password '{PASSWORD}')"),
            format!("CREATE SERVER parquet FOREIGN DATA WRAPPER parquet OPTIONS (location '{location}')"),
            format!("CREATE SERVER csv FOREIGN DATA WRAPPER csv OPTIONS (location '{location}')"),
        ];
        statements.extend(["remote", "files", "fed"].map(|schema| format!("CREATE SCHEMA {schema}")));
        statements.push("IMPORT FOREIGN SCHEMA public FROM SERVER pg INTO remote".to_owned());
        let listed = IN_POSTGRES.join(", ");
        statements.push(format!("IMPORT FOREIGN SCHEMA public LIMIT TO ({listed}) FROM SERVER pg INTO fed"));
        for (schema, tables) in [("files", &TABLES[..]), ("fed", &IN_PARQUET), ("files", &["keys"])] {
            statements.extend(tables.iter().map(|table| {
                format!("CREATE FOREIGN TABLE {schema}.{table} SERVER parquet OPTIONS (filename '{table}.parquet')")
            }));
        }
        for table in IN_CSV {
            statements.push(format!(
                "CREATE FOREIGN TABLE fed.{table} ({}) SERVER csv OPTIONS (filename '{table}.csv', header 'false')",
                declared(table)?
            ));
        }
        atoll.run(&statements).await
    }

    /// The same scattered tables for `postgres_fdw` and `file_fdw`, which reads CSV where others read Parquet. Told to
    /// ask the remote for its estimates, and analyzed: as fast as it can be made.
    async fn register_fdw(&self) -> Result<()> {
        let mut admin = searching(&Endpoint { database: "postgres", ..self.postgres_endpoint() }, "public").await?;
        admin.run(&["DROP DATABASE IF EXISTS fdw".to_owned(), "CREATE DATABASE fdw".to_owned()]).await?;
        let mut fdw = self.postgres_fdw().await?;
        let port = self.postgres.address.port();
        let mut statements = vec![
            "CREATE EXTENSION postgres_fdw".to_owned(),
            "CREATE EXTENSION file_fdw".to_owned(),
            format!(
                "CREATE SERVER pg FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '{port}', \
                 dbname 'tpch', use_remote_estimate 'true', fetch_size '10000')"
            ),
            format!("CREATE USER MAPPING FOR CURRENT_USER SERVER pg OPTIONS (user 'tester', password '{PASSWORD}')"),
            "CREATE SERVER csv FOREIGN DATA WRAPPER file_fdw".to_owned(),
            format!("IMPORT FOREIGN SCHEMA public LIMIT TO ({}) FROM SERVER pg INTO public", IN_POSTGRES.join(", ")),
        ];
        for table in IN_PARQUET.iter().chain(&IN_CSV) {
            statements.push(format!(
                "CREATE FOREIGN TABLE {table} ({}) SERVER csv OPTIONS (filename '{}', format 'csv')",
                declared(table)?,
                self.file(table, "csv")
            ));
            statements.push(format!("ANALYZE {table}"));
        }
        statements.push(format!(
            "CREATE FOREIGN TABLE keys (k bigint) SERVER csv OPTIONS (filename '{}', format 'csv')",
            self.file("keys", "csv")
        ));
        statements.push("ANALYZE keys".to_owned());
        fdw.run(&statements).await
    }
}

/// Where a table lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Postgres,
    Parquet,
    Csv,
}

/// All tables in one place.
pub(super) fn all_in(place: Place) -> Vec<(&'static str, Place)> {
    TABLES.iter().map(|table| (*table, place)).collect()
}

/// The scattered tables.
pub(super) fn scattered() -> Vec<(&'static str, Place)> {
    let in_postgres = IN_POSTGRES.iter().map(|table| (*table, Place::Postgres));
    let in_parquet = IN_PARQUET.iter().map(|table| (*table, Place::Parquet));
    in_postgres.chain(in_parquet).chain(IN_CSV.iter().map(|table| (*table, Place::Csv))).collect()
}

async fn searching(endpoint: &Endpoint, schema: &str) -> Result<Asked> {
    let client = endpoint.connect().await?;
    client.batch_execute(&format!("SET search_path = {schema}")).await?;
    Ok(Asked::Wire(client))
}

/// Builds Atoll as it is released.
fn build() -> Result<PathBuf> {
    println!("building Atoll in release mode");
    let built = cargo_command().args(["build", "--release", "--workspace", "--bin", "atoll"]).status()?;
    ensure!(built.success(), "Atoll could not be built");
    let own = std::env::current_exe()?;
    // This program lies in the profile's directory of the same target directory.
    let target = own.parent().and_then(Path::parent).context("the program has no directory")?;
    Ok(target.join("release/atoll"))
}

fn python(directory: &Path) -> PathBuf {
    directory.join("venv/bin/python")
}

/// An environment for the peers that are Python packages.
fn install_peers(directory: &Path) -> Result<()> {
    let ready = directory.join("venv/ready");
    if ready.exists() {
        return Ok(());
    }
    println!("installing {}", PEERS.join(", "));
    let made = Command::new("python3").args(["-m", "venv"]).arg(directory.join("venv")).status();
    ensure!(
        made.context("could not run python3")?.success(),
        "no virtual environment: sudo apt-get install -y python3-venv"
    );
    let installed = Command::new(python(directory))
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(PEERS)
        .status()?;
    ensure!(installed.success(), "the peers could not be installed");
    std::fs::write(ready, "")?;
    Ok(())
}

/// The file of an extension, which its package brings.
fn extension(directory: &Path, name: &str) -> Result<String> {
    let pattern_end = format!("{name}.duckdb_extension");
    let mut folders = vec![directory.join("venv/lib")];
    // The environment's depth bounds the walk.
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if file == pattern_end {
                return Ok(path.display().to_string());
            }
            let wanted = ["python3", "site-packages", "duckdb_extension", "extensions", "v"];
            if path.is_dir() && wanted.iter().any(|start| file.starts_with(start)) {
                folders.push(path);
            }
        }
    }
    anyhow::bail!("the package of DuckDB's extension {name} has no {pattern_end}")
}

/// TPC-H's tables by DuckDB's generator, as Parquet and CSV; and the keys of the selective join.
async fn generate(directory: &Path, files: &Path, scale: f64) -> Result<()> {
    let ready = files.join("ready");
    if ready.exists() {
        return Ok(());
    }
    println!("generating TPC-H at scale {scale}");
    std::fs::create_dir_all(files)?;
    let extensions = [extension(directory, "tpch")?];
    let log = directory.join("generate.log");
    let mut duckdb = Asked::Library(Worker::start(&python(directory), "duckdb", &extensions, &log)?);
    let mut statements = vec![
        format!("CALL dbgen(sf = {scale})"),
        // Evenly over the whole of orders, whose keys have gaps.
        format!(
            "CREATE TABLE keys AS SELECT o_orderkey AS k FROM (SELECT o_orderkey, row_number() OVER (ORDER BY o_orderkey) \
             AS n, count(*) OVER () AS whole FROM orders) WHERE n % (whole // {LOCAL_ROWS}) = 1 LIMIT {LOCAL_ROWS}"
        ),
    ];
    for table in TABLES.iter().chain(&["keys"]) {
        let path = |end: &str| files.join(format!("{table}.{end}")).display().to_string();
        statements.push(format!("COPY {table} TO '{}' (FORMAT parquet)", path("parquet")));
        statements.push(format!("COPY {table} TO '{}' (FORMAT csv, HEADER false)", path("csv")));
    }
    duckdb.run(&statements).await?;
    std::fs::write(ready, "")?;
    Ok(())
}

/// Loads PostgreSQL, with keys and statistics.
async fn load(postgres: &Server, directory: &Path, files: &Path, scale: f64) -> Result<()> {
    let ready = directory.join(format!("postgres/loaded-{scale}"));
    if ready.exists() {
        return Ok(());
    }
    println!("loading PostgreSQL");
    let endpoint = Endpoint { port: postgres.address.port(), user: "tester", database: "postgres" };
    let mut admin = searching(&endpoint, "public").await?;
    admin.run(&["DROP DATABASE IF EXISTS tpch".to_owned(), "CREATE DATABASE tpch".to_owned()]).await?;
    let mut tpch = searching(&Endpoint { database: "tpch", ..endpoint }, "public").await?;
    tpch.run(&["CREATE EXTENSION pg_stat_statements".to_owned()]).await?;
    for (table, key) in KEYS {
        let begun = Instant::now();
        tpch.run(&[format!("CREATE TABLE {table} ({})", declared(table)?)]).await?;
        let path = files.join(format!("{table}.csv"));
        psql(postgres, "tpch", &format!("\\copy {table} from '{}' (format csv)", path.display()))?;
        tpch.run(&[format!("ALTER TABLE {table} ADD PRIMARY KEY ({key})"), format!("VACUUM ANALYZE {table}")]).await?;
        ensure!(begun.elapsed() < LOAD_MAX, "loading {table} took too long");
    }
    std::fs::write(ready, "")?;
    Ok(())
}

/// Runs psql and yields what it prints.
///
/// # Errors
/// It failed.
pub(super) fn psql(server: &Server, database: &str, command: &str) -> Result<String> {
    let user = if database == "atoll" { "atoll" } else { "tester" };
    let output = Command::new("psql")
        .args(["-X", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", user, "-d", database, "-c", command, "-p"])
        .arg(server.address.port().to_string())
        .env("PGPASSWORD", PASSWORD)
        .output()
        .context("could not run psql")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(text)
}

/// The columns of a table with the standard's types.
fn columns(table: &str) -> Result<Vec<(String, String)>> {
    let path = root().join("sql-tests/differential/tpch/tables.txt");
    let text = std::fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
    let mut lines = text.lines().skip_while(|line| line.split(' ').next() != Some(table));
    ensure!(lines.next().is_some(), "TPC-H has no table {table}");
    let pair = |line: &str| line.trim().split_once(' ').map(|(name, kind)| (name.to_owned(), kind.to_owned()));
    Ok(lines.take_while(|line| line.starts_with(' ')).filter_map(pair).collect())
}

fn declared(table: &str) -> Result<String> {
    let columns = columns(table)?;
    Ok(columns.iter().map(|(name, kind)| format!("{name} {kind} NOT NULL")).collect::<Vec<_>>().join(", "))
}

/// ClickHouse's name of one of TPC-H's types.
fn clickhouse(kind: &str) -> String {
    match kind.split_once('(') {
        None if kind == "integer" => "Int32".to_owned(),
        None if kind == "bigint" => "Int64".to_owned(),
        None if kind == "date" => "Date".to_owned(),
        Some(("numeric", bounds)) => format!("Decimal({bounds}"),
        _ => "String".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_has_columns_and_a_key_among_them() {
        for (table, key) in KEYS {
            let columns = columns(table).expect("the list is in the repository");
            assert!(key.split(", ").all(|key| columns.iter().any(|(name, _)| name == key)), "{table}");
        }
        assert!(columns("nothing").is_err());
        assert_eq!(clickhouse("numeric(15,2)"), "Decimal(15,2)");
        assert_eq!(clickhouse("char(25)"), "String");
    }
}
