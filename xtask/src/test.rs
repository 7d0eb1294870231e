//! `cargo xtask test`: real servers, every test, one count.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result};
use clap::Args;

use crate::counts::Counts;
use crate::servers::{self, PASSWORD, Server};
use crate::{cargo_command, differential, interrupt, packages, root, s3};

/// How many times the ordinary rounds of fuzzing `--full` runs.
const FULL_FUZZ_ROUNDS: &str = "40";

/// Access key of the S3 server.
const S3_KEY: &str = "atoll-test";

#[derive(Debug, Args)]
pub(crate) struct TestArguments {
    /// Also what takes long: fuzzing of the decoders, forty times as many rounds
    #[arg(long)]
    full: bool,
    /// Only the differential suite, all of it: TPC-H, TPC-DS and random statements at Atoll and at PostgreSQL, and every
    /// sqllogictest suite under each of Atoll's settings that may not change an answer. It takes hours
    #[arg(long)]
    differential: bool,
    /// Random statements of the differential suite
    #[arg(long, default_value_t = differential::STATEMENTS, requires = "differential")]
    statements: u64,
    /// Seed of the first of them
    #[arg(long, default_value_t = 1, requires = "differential")]
    seed: u64,
    /// Only tests whose name contains this; suites are left out
    filter: Option<String>,
}

/// Runs everything.
///
/// # Errors
/// Something the tests need cannot be had; a failing test is an exit code.
pub(crate) fn run(arguments: &TestArguments) -> Result<ExitCode> {
    packages::install()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    interrupt::watch(&runtime)?;
    println!("starting PostgreSQL, MariaDB and an S3 server");
    let sources = Sources::start(&runtime)?;
    let mut counts = Counts::default();
    if arguments.differential {
        build_programs()?;
        let extent = differential::Extent::Whole { seed: arguments.seed, statements: arguments.statements };
        let held = differential::run(&sources, extent, &mut counts)? & switched_suites(&sources, &mut counts)?;
        return Ok(close(sources, counts, held));
    }
    if packages::check_compose_file(&root())? {
        counts.passed += 1;
    } else {
        println!("SKIPPED docker-compose.yml: no docker compose");
        counts.skipped += 1;
    }
    let mut cargo = cargo_command();
    cargo.args(["test", "--workspace", "--no-fail-fast"]).envs(sources.environment());
    if let Some(filter) = &arguments.filter {
        cargo.arg(filter);
    }
    if arguments.full {
        cargo.env("ATOLL_FUZZ_ROUNDS", FULL_FUZZ_ROUNDS);
    }
    cargo.args(["--", "--nocapture", "--test-threads=2"]);
    let tests_held = watch(&mut cargo, &mut counts)?;
    let suites_held = if arguments.filter.is_none() {
        suites(&sources, &mut counts)? & differential::run(&sources, differential::Extent::Sample, &mut counts)?
    } else {
        true
    };
    Ok(close(sources, counts, tests_held && suites_held))
}

/// Stops the servers and says how it went.
fn close(sources: Sources, counts: Counts, held: bool) -> ExitCode {
    drop(sources);
    println!("{} passed, {} failed, {} skipped", counts.passed, counts.failed, counts.skipped);
    if held && counts.failed == 0 && counts.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn build_programs() -> Result<()> {
    let build = cargo_command().args(["build", "--workspace", "--bins"]).status()?;
    anyhow::ensure!(build.success(), "the programs could not be built");
    Ok(())
}

/// Starts the servers that the tests read from, prints where they are and keeps them until interrupted.
///
/// # Errors
/// A server cannot be had.
pub(crate) fn serve_sources() -> Result<ExitCode> {
    packages::install()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let sources = Sources::start(&runtime)?;
    sources.load_fixtures()?;
    for (name, value) in sources.environment() {
        println!("export {name}='{value}'");
    }
    runtime.block_on(tokio::signal::ctrl_c())?;
    Ok(ExitCode::SUCCESS)
}

/// The servers that the tests read from.
pub(crate) struct Sources {
    pub(crate) postgres: Server,
    pub(crate) mariadb: Server,
    s3: SocketAddr,
    buckets: PathBuf,
    // Last: the servers' directories go after the servers.
    pub(crate) scratch: tempfile::TempDir,
}

impl Sources {
    fn start(runtime: &tokio::runtime::Runtime) -> Result<Self> {
        let scratch = tempfile::Builder::new().prefix("atoll-test-").tempdir()?;
        // Other users' servers keep their directories beneath it.
        std::fs::set_permissions(scratch.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        let postgres = servers::postgres(scratch.path())?;
        let mariadb = servers::mariadb(scratch.path())?;
        let buckets = scratch.path().join("s3");
        std::fs::create_dir_all(buckets.join("test"))?;
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let (s3, _serving) = runtime.block_on(s3::serve(&buckets, S3_KEY, PASSWORD, listen))?;
        Ok(Self { postgres, mariadb, s3, buckets, scratch })
    }

    /// What the tests read to find them.
    pub(crate) fn environment(&self) -> [(&'static str, String); 7] {
        let secret = PASSWORD.replace(' ', "%20");
        [
            ("ATOLL_TEST_POSTGRES_URL", format!("postgres://tester:{secret}@{}/postgres", self.postgres.address)),
            ("ATOLL_TEST_MYSQL_URL", format!("mysql://tester:{secret}@{}/test", self.mariadb.address)),
            ("ATOLL_TEST_MYSQL_CA", servers::mariadb_authority(self.scratch.path()).display().to_string()),
            ("ATOLL_TEST_S3_URL", format!("http://{}", self.s3)),
            ("ATOLL_TEST_S3_KEY", S3_KEY.to_owned()),
            ("ATOLL_TEST_S3_SECRET", PASSWORD.to_owned()),
            ("ATOLL_TEST_S3_ROOT", self.buckets.display().to_string()),
        ]
    }
}

/// What the suites' variables stand for.
fn variables(sources: &Sources) -> [(&'static str, String); 13] {
    let (postgres, mariadb, s3) = (sources.postgres.address, sources.mariadb.address, sources.s3);
    [
        ("PG_HOST", postgres.ip().to_string()),
        ("PG_PORT", postgres.port().to_string()),
        ("PG_USER", "tester".to_owned()),
        ("PG_DB", "postgres".to_owned()),
        ("MYSQL_HOST", mariadb.ip().to_string()),
        ("MYSQL_PORT", mariadb.port().to_string()),
        ("MYSQL_USER", "tester".to_owned()),
        ("MYSQL_DB", "test".to_owned()),
        ("S3_ENDPOINT", format!("http://{s3}")),
        ("S3_KEY", S3_KEY.to_owned()),
        ("PASSWORD", PASSWORD.to_owned()),
        ("FIXTURES", "sql-tests/fixtures".to_owned()),
        ("DEMO", "server/demo".to_owned()),
    ]
}

/// `atoll-slt` with the suites' variables.
fn suite_runner(sources: &Sources, atoll: SocketAddr, mode: &str) -> Result<Command> {
    let mut runner = Command::new(servers::built("atoll-slt")?);
    runner
        .args(["--host", "127.0.0.1", "--mode", mode, "--port"])
        .arg(atoll.port().to_string())
        .env("PGPASSWORD", PASSWORD)
        .current_dir(root());
    for (name, value) in variables(sources) {
        runner.arg("--var").arg(format!("{name}={value}"));
    }
    Ok(runner)
}

/// The sqllogictest suites, against the real server.
fn suites(sources: &Sources, counts: &mut Counts) -> Result<bool> {
    build_programs()?;
    sources.load_fixtures()?;
    let atoll = servers::atoll(&servers::built("atoll")?, sources.scratch.path(), "atoll", &[&root()])?;
    let mut held = true;
    for mode in ["simple", "extended"] {
        held &= watch(suite_runner(sources, atoll.address, mode)?.arg("sql-tests/suites"), counts)?;
    }
    held &= clients(atoll.address, counts)?;
    drop(atoll);
    // What these suites expect is what PostgreSQL answers.
    let mut runner = Command::new(servers::built("atoll-slt")?);
    runner
        .args(["--host", "127.0.0.1", "--user", "tester", "--dbname", "postgres", "--label", "postgresql", "--port"])
        .arg(sources.postgres.address.port().to_string())
        .env("PGPASSWORD", PASSWORD)
        .current_dir(root());
    held &= watch(runner.arg("sql-tests/suites/pg_compat"), counts)?;
    Ok(held)
}

/// The same under every setting that may not change an answer, one at a time. Plans are others then: the label `switched`
/// leaves out the records that pin one.
fn switched_suites(sources: &Sources, counts: &mut Counts) -> Result<bool> {
    sources.load_fixtures()?;
    let mut held = true;
    for (number, setting) in differential::switched_settings()?.iter().enumerate() {
        let name = format!("atoll-switched-{number}");
        let atoll = servers::atoll(&servers::built("atoll")?, sources.scratch.path(), &name, &[&root()])?;
        println!("suites with {setting}");
        let mut runner = suite_runner(sources, atoll.address, "extended")?;
        held &= watch(runner.args(["--label", "switched", "--set", setting]).arg("sql-tests/suites"), counts)?;
    }
    Ok(held)
}

/// The scripts that drive other clients. They exit with 77 where the client is missing.
fn clients(atoll: SocketAddr, counts: &mut Counts) -> Result<bool> {
    let mut scripts: Vec<PathBuf> = std::fs::read_dir(root().join("sql-tests/clients"))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    scripts.retain(|path| path.extension().is_some_and(|end| end == "sh"));
    scripts.sort();
    let mut held = true;
    for script in scripts {
        let name = script.display();
        let status = Command::new("sh")
            .arg(&script)
            .env("PGHOST", atoll.ip().to_string())
            .env("PGPORT", atoll.port().to_string())
            .envs([("PGUSER", "atoll"), ("PGDATABASE", "atoll"), ("PGPASSWORD", PASSWORD)])
            .status()?;
        match status.code() {
            Some(0) => counts.passed += 1,
            Some(77) => {
                println!("SKIPPED {name}: its client is not installed");
                counts.skipped += 1;
            }
            _ => {
                println!("FAILED {name}");
                counts.failed += 1;
                held = false;
            }
        }
    }
    Ok(held)
}

impl Sources {
    /// Loads what the suites read: into PostgreSQL and MariaDB with the clients that came with them, and the demo's
    /// files into the bucket `lake`.
    fn load_fixtures(&self) -> Result<()> {
        copy_folder(&root().join("server/demo/orders"), &self.buckets.join("lake/orders"))?;
        for name in ["products.csv", "shipments.jsonl"] {
            std::fs::copy(root().join("server/demo").join(name), self.buckets.join("lake").join(name))?;
        }
        load_fixtures(&root().join("sql-tests/fixtures"), self.postgres.address, self.mariadb.address)
    }
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from).with_context(|| format!("no folder {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn load_fixtures(fixtures: &Path, postgres: SocketAddr, mariadb: SocketAddr) -> Result<()> {
    let sql = |name: &str| std::fs::File::open(fixtures.join(name)).with_context(|| format!("no fixture {name}"));
    let loaded = Command::new("psql")
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", "tester", "-d", "postgres", "-p"])
        .arg(postgres.port().to_string())
        .env("PGPASSWORD", PASSWORD)
        .stdin(sql("postgres.sql")?)
        .status()?;
    anyhow::ensure!(loaded.success(), "the PostgreSQL fixture could not be loaded");
    let client = packages::on_path("mariadb").or_else(|| packages::on_path("mysql")).context("no MariaDB client")?;
    let loaded = Command::new(client)
        .args(["--no-defaults", "--protocol=tcp", "-h", "127.0.0.1", "-u", "tester", "test", "-P"])
        .arg(mariadb.port().to_string())
        .env("MYSQL_PWD", PASSWORD)
        .stdin(sql("mysql.sql")?)
        .status()?;
    anyhow::ensure!(loaded.success(), "the MariaDB fixture could not be loaded");
    Ok(())
}

/// Runs a command, passes its output on and counts its tests. False: it failed.
pub(crate) fn watch(command: &mut Command, counts: &mut Counts) -> Result<bool> {
    let mut child = interrupt::spawn(command.stdout(Stdio::piped()))?;
    let output = child.stdout.take().context("no output")?;
    let mut terminal = std::io::stdout().lock();
    for line in BufReader::new(output).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        counts.take(&line);
        writeln!(terminal, "{line}")?;
    }
    interrupt::wait(child)
}
