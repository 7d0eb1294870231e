//! The systems that are measured: how each is asked, and how long it took.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::servers::PASSWORD;

/// What a peer may take beyond the time that a statement has, before it is ended.
const GRACE: Duration = Duration::from_secs(20);
/// How often, and after which pause, a server is tried that says that it is starting.
const START_TRIES_MAX: u32 = 100;
const START_PAUSE: Duration = Duration::from_millis(200);

/// Whose figure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum System {
    Atoll,
    DuckDb,
    ChDb,
    Postgres,
    PostgresFdw,
}

impl System {
    pub(super) const ALL: [Self; 5] = [Self::Atoll, Self::DuckDb, Self::ChDb, Self::Postgres, Self::PostgresFdw];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Atoll => "Atoll",
            Self::DuckDb => "DuckDB",
            Self::ChDb => "chDB",
            Self::Postgres => "PostgreSQL",
            Self::PostgresFdw => "postgres_fdw",
        }
    }
}

/// Rows as text, and the time until the last one was there.
#[derive(Debug, Clone, Default)]
pub(super) struct Answer {
    pub(super) seconds: f64,
    pub(super) rows: Vec<Vec<Option<String>>>,
}

/// Where a database listens.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    pub(super) port: u16,
    pub(super) user: &'static str,
    pub(super) database: &'static str,
}

impl Endpoint {
    /// Connects, as soon as a server that is starting lets it; the connection is driven by the runtime until the client is
    /// dropped.
    pub(super) async fn connect(&self) -> Result<Client> {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.port).user(self.user).password(PASSWORD).dbname(self.database);
        let mut tries = START_TRIES_MAX;
        let (client, connection) = loop {
            match config.connect(NoTls).await {
                Err(error) if error.code() == Some(&SqlState::CANNOT_CONNECT_NOW) && tries > 0 => {
                    tries -= 1;
                    tokio::time::sleep(START_PAUSE).await;
                }
                answer => break answer.with_context(|| format!("could not connect to database {}", self.database))?,
            }
        };
        tokio::spawn(connection);
        Ok(client)
    }
}

/// One system with a connection.
pub(super) enum Asked {
    /// Over PostgreSQL's protocol.
    Wire(Client),
    /// In a process of its own.
    Library(Worker),
}

impl Asked {
    /// Runs statements whose answers do not matter.
    pub(super) async fn run(&mut self, statements: &[String]) -> Result<()> {
        match self {
            Self::Wire(client) => {
                for statement in statements {
                    client.batch_execute(statement).await.map_err(|error| said(&error)).context(statement.clone())?;
                }
            }
            Self::Library(worker) => {
                worker.request(&json!({ "run": statements }), GRACE * 30).await?;
            }
        }
        Ok(())
    }

    /// Asks one query, within a bound.
    pub(super) async fn ask(&mut self, sql: &str, within: Duration) -> Result<Answer> {
        match self {
            Self::Wire(client) => {
                client.batch_execute(&format!("SET statement_timeout = {}", within.as_millis())).await?;
                let begun = Instant::now();
                let messages = tokio::time::timeout(within + GRACE, client.simple_query(sql)).await;
                let messages = messages.context("no answer in time")?.map_err(|error| said(&error))?;
                let seconds = begun.elapsed().as_secs_f64();
                let rows = messages.iter().filter_map(|message| match message {
                    SimpleQueryMessage::Row(row) => {
                        Some((0..row.len()).map(|index| row.get(index).map(str::to_owned)).collect())
                    }
                    _ => None,
                });
                Ok(Answer { seconds, rows: rows.collect() })
            }
            Self::Library(worker) => {
                let request = json!({ "ask": sql, "seconds": within.as_secs() });
                worker.request(&request, within + GRACE).await
            }
        }
    }
}

/// What the server said, with its SQLSTATE.
fn said(error: &tokio_postgres::Error) -> anyhow::Error {
    match error.as_db_error() {
        Some(server) => anyhow!("{} ({})", server.message(), server.code().code()),
        None => anyhow!("{error}"),
    }
}

/// A library's process.
pub(super) struct Worker {
    child: Child,
    requests: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    /// Starts `worker.py` for a library of the environment.
    pub(super) fn start(python: &Path, library: &str, extensions: &[String], log: &Path) -> Result<Self> {
        let mut child = tokio::process::Command::new(python)
            .args(["-c", include_str!("worker.py"), library])
            .args(extensions)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(log)?)
            .kill_on_drop(true)
            .spawn()
            .context("could not start Python")?;
        let requests = child.stdin.take().context("no input")?;
        let answers = BufReader::new(child.stdout.take().context("no output")?).lines();
        Ok(Self { child, requests, answers })
    }

    /// The number of its process.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Asks for a result that is read and dropped; yields the time and the number of rows.
    pub(super) async fn drain(&mut self, sql: &str, within: Duration) -> Result<(f64, u64)> {
        let reply = self.reply(&json!({ "drain": sql, "seconds": within.as_secs() }), within + GRACE).await?;
        let seconds = reply.get("seconds").and_then(Value::as_f64).context("an answer without its time")?;
        Ok((seconds, reply.get("count").and_then(Value::as_u64).unwrap_or(0)))
    }

    async fn request(&mut self, request: &Value, within: Duration) -> Result<Answer> {
        let reply = self.reply(request, within).await?;
        let seconds = reply.get("seconds").and_then(Value::as_f64).context("an answer without its time")?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let row = |row: &Value| row.as_array().map(|row| row.iter().map(text).collect()).unwrap_or_default();
        let rows = reply.get("rows").and_then(Value::as_array).map(|rows| rows.iter().map(row).collect());
        Ok(Answer { seconds, rows: rows.unwrap_or_default() })
    }

    async fn reply(&mut self, request: &Value, within: Duration) -> Result<Value> {
        self.requests.write_all(format!("{request}\n").as_bytes()).await.context("the process is gone")?;
        let Ok(line) = tokio::time::timeout(within, self.answers.next_line()).await else {
            self.child.kill().await?;
            bail!("no answer in time");
        };
        let reply: Value = serde_json::from_str(&line?.context("the process ended")?)?;
        match reply.get("error").and_then(Value::as_str) {
            Some(error) => bail!("{error}"),
            None => Ok(reply),
        }
    }
}
