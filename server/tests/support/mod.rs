//! Starts the real server on a scratch directory and a free port, and stops it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![allow(dead_code, reason = "not every test file uses every helper")]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// The superuser's password in every test.
pub(crate) const PASSWORD: &str = "a test's password";

/// A running server. Dropping it ends it.
pub(crate) struct TestServer {
    child: Child,
    pub address: SocketAddr,
    pub directory: tempfile::TempDir,
    pub log: std::sync::Arc<std::sync::Mutex<String>>,
}

impl TestServer {
    /// Starts a server with further arguments.
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), arguments).await
    }

    /// Starts one on a directory that may hold a catalog.
    pub(crate) async fn start_in(directory: tempfile::TempDir, arguments: &[&str]) -> Self {
        Self::start_with(directory, arguments, &[]).await
    }

    /// The same with further variables in its environment.
    pub(crate) async fn start_with(
        directory: tempfile::TempDir,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let mut command = command(&directory);
        command.args(arguments).envs(variables.iter().copied()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
        let kept = std::sync::Arc::clone(&log);
        let (sender, receiver) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let mut sender = Some(sender);
            while let Some(Ok(line)) = lines.next() {
                let found = line.split("listening on ").nth(1).and_then(|text| text.trim().parse::<SocketAddr>().ok());
                if let (Some(address), true) = (found, sender.is_some()) {
                    let _ = sender.take().unwrap().send(address);
                }
                let mut kept = kept.lock().unwrap();
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        let waited = tokio::time::timeout(Duration::from_secs(60), receiver).await;
        let Ok(Ok(address)) = waited else {
            let _ = child.kill();
            let _ = child.wait();
            panic!("the server did not start:\n{}", log.lock().unwrap());
        };
        Self { child, address, directory, log }
    }

    /// A client of the superuser.
    pub(crate) async fn connect(&self) -> Client {
        self.connect_as("atoll", PASSWORD, "atoll").await.unwrap()
    }

    /// A client of any role.
    pub(crate) async fn connect_as(
        &self,
        user: &str,
        password: &str,
        database: &str,
    ) -> Result<Client, tokio_postgres::Error> {
        let (client, connection) = self.config(user, password, database).connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// A client and its connection, not yet driven.
    pub(crate) async fn raw(
        &self,
    ) -> (Client, tokio_postgres::Connection<tokio_postgres::Socket, tokio_postgres::tls::NoTlsStream>) {
        self.config("atoll", PASSWORD, "atoll").connect(NoTls).await.unwrap()
    }

    fn config(&self, user: &str, password: &str, database: &str) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.host(self.address.ip().to_string()).port(self.address.port());
        config.user(user).password(password).dbname(database);
        config
    }

    /// Tries to start another server on the same directory.
    pub(crate) async fn second(&self) -> Output {
        let mut command = command(&self.directory);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    /// How many files and sockets the server holds.
    pub(crate) fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// Resident memory in MiB.
    pub(crate) fn resident_mib(&self) -> u64 {
        // The server is not dumpable, which hides its memory map but not its status.
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    }

    /// The server's process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The CPU time that the server has used.
    pub(crate) fn cpu_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // Behind the name in parentheses: state, ppid …; user and system time are fields 14 and 15, in ticks of 10 ms.
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// The CPU time that the server uses in half a second.
    pub(crate) async fn cpu_now(&self) -> Duration {
        let before = self.cpu_time();
        tokio::time::sleep(Duration::from_millis(500)).await;
        self.cpu_time() - before
    }

    /// Sends SIGTERM and waits; bounded by 20 seconds.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < Duration::from_secs(20), "the server did not stop");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(directory: &tempfile::TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atoll"));
    command
        .arg("serve")
        .args(["--listen", "127.0.0.1:0", "--data-dir"])
        .arg(directory.path().join("data"))
        .env("ATOLL_PASSWORD", PASSWORD)
        .env_remove("ATOLL_LISTEN")
        .stdout(Stdio::piped());
    command
}

/// The SQLSTATE of an error.
pub(crate) fn code(error: &tokio_postgres::Error) -> String {
    error.code().map_or_else(|| format!("no SQLSTATE: {error}"), |code| code.code().to_owned())
}

/// The one value of a query, as text.
pub(crate) async fn simple_value(client: &Client, query: &str) -> String {
    let messages = client.simple_query(query).await.unwrap();
    messages
        .iter()
        .find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("NULL").to_owned()),
            _ => None,
        })
        .unwrap()
}

/// The options of a server, and of a user mapping for it, that reach the PostgreSQL server of a URL.
pub(crate) struct PostgresOptions {
    pub server: String,
    pub mapping: String,
}

/// What `url` says, as options of DDL.
pub(crate) fn postgres_options(url: &str) -> PostgresOptions {
    let (who, rest) = url.split_once("://").unwrap().1.rsplit_once('@').unwrap();
    let (user, password) = who.split_once(':').unwrap();
    let (address, database) = rest.split_once('/').unwrap();
    let (host, port) = address.split_once(':').unwrap();
    PostgresOptions {
        server: format!("host '{host}', port '{port}', dbname '{database}'"),
        mapping: format!("user '{user}', password '{}'", password.replace("%20", " ")),
    }
}
