//! Real servers on scratch directories and free ports, stopped when they are dropped.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::packages::{on_path, postgres_bin};

/// How long a server may take to answer.
const START_MAX: Duration = Duration::from_secs(90);
/// How long a server may take to stop before it is killed.
const STOP_MAX: Duration = Duration::from_secs(15);
/// Password of every test server.
pub(crate) const PASSWORD: &str = "test secret 1";

/// A server that runs. Dropping it stops it.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    name: &'static str,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Server {
    /// The number of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        // INT: PostgreSQL's fast shutdown; the others end on it too.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        if self.name == "MariaDB" {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let asked = Instant::now();
        while asked.elapsed() < STOP_MAX {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A free port of the loopback interface.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// A command that is told to end when we die, however that comes about.
fn with_us(program: &Path) -> Command {
    if on_path("setpriv").is_none() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.arg("--pdeathsig=TERM").arg(program);
    command
}

/// The same as a user that is not root, since these servers refuse root; as we are where we are not root.
fn as_user(user: &str, program: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return with_us(program);
    }
    let mut command = Command::new("setpriv");
    // Our own directory for temporary files need not be open to that user.
    command
        .env_remove("TMPDIR")
        .args([format!("--reuid={user}"), format!("--regid={user}"), "--clear-groups".to_owned()])
        .arg("--pdeathsig=TERM")
        .arg(program);
    command
}

/// Makes a directory that belongs to a user.
fn directory_of(user: &str, path: &Path) -> Result<()> {
    fs::create_dir_all(path)?;
    if rustix::process::geteuid().is_root() {
        run(Command::new("chown").arg(user).arg(path))?;
    }
    Ok(())
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("could not run {command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?} failed: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

/// Starts a program and waits until its port answers.
fn start(name: &'static str, command: &mut Command, port: u16, log: &Path) -> Result<Server> {
    let output = fs::File::create(log)?;
    let child = command
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
        .with_context(|| format!("could not start {name}"))?;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut server = Server { child, name, address };
    let started = Instant::now();
    while TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
        if server.child.try_wait()?.is_some() || started.elapsed() > START_MAX {
            bail!("{name} did not start:\n{}", fs::read_to_string(log).unwrap_or_default());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(server)
}

/// Starts PostgreSQL with the superuser `tester`, asked for [`PASSWORD`] over TCP.
pub(crate) fn postgres(scratch: &Path) -> Result<Server> {
    postgres_with(scratch, &[])
}

/// The same with settings, each `name=value`; on the directory of a former run, where there is one.
pub(crate) fn postgres_with(scratch: &Path, settings: &[&str]) -> Result<Server> {
    let bin = postgres_bin().context("PostgreSQL is not installed")?;
    let home = scratch.join("postgres");
    directory_of("postgres", &home)?;
    let secret = home.join("password");
    fs::write(&secret, PASSWORD)?;
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644))?;
    let data = home.join("data");
    if !data.join("PG_VERSION").exists() {
        run(as_user("postgres", &bin.join("initdb"))
            .args(["--auth=scram-sha-256", "--username=tester", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"])
            .arg(format!("--pwfile={}", secret.display()))
            .arg("-D")
            .arg(&data))?;
    }
    let port = free_port()?;
    start(
        "PostgreSQL",
        as_user("postgres", &bin.join("postgres"))
            .arg("-D")
            .arg(&data)
            .arg("-p")
            .arg(port.to_string())
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "unix_socket_directories="])
            // Plans that tests pin show what the server has counted, which must not happen at some moment.
            .args(["-c", "autovacuum=off"])
            .args(["-c", "max_connections=200"])
            .args(settings.iter().flat_map(|setting| ["-c", setting])),
        port,
        &scratch.join("postgres.log"),
    )
}

/// Starts MariaDB with the user `tester`.
pub(crate) fn mariadb(scratch: &Path) -> Result<Server> {
    let program = on_path("mariadbd").or_else(|| on_path("mysqld")).context("MariaDB is not installed")?;
    let install = on_path("mariadb-install-db").or_else(|| on_path("mysql_install_db"));
    let install = install.context("mariadb-install-db is not installed")?;
    let home = scratch.join("mariadb");
    directory_of("mysql", &home)?;
    let data = home.join("data");
    directory_of("mysql", &data)?;
    let user = if rustix::process::geteuid().is_root() { "mysql".to_owned() } else { whoami() };
    run(as_user("mysql", &install)
        .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
        .arg(format!("--user={user}"))
        .arg(format!("--datadir={}", data.display())))?;
    let setup = home.join("setup.sql");
    fs::write(
        &setup,
        format!(
            "CREATE DATABASE IF NOT EXISTS test;\n\
             CREATE USER 'tester'@'%' IDENTIFIED BY '{PASSWORD}';\n\
             GRANT ALL ON *.* TO 'tester'@'%' WITH GRANT OPTION;\n"
        ),
    )?;
    fs::set_permissions(&setup, fs::Permissions::from_mode(0o644))?;
    certify(&home)?;
    let pem = |name: &str| home.join(name).display().to_string();
    let port = free_port()?;
    start(
        "MariaDB",
        as_user("mysql", &program)
            .arg("--no-defaults")
            .arg(format!("--datadir={}", data.display()))
            .arg(format!("--port={port}"))
            .arg(format!("--socket={}", home.join("socket").display()))
            .arg(format!("--init-file={}", setup.display()))
            .args([format!("--ssl-cert={}", pem("cert.pem")), format!("--ssl-key={}", pem("key.pem"))])
            .args(["--bind-address=127.0.0.1", "--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0"]),
        port,
        &scratch.join("mariadb.log"),
    )
}

/// The certificate of the authority that signed MariaDB's, which names `localhost`.
pub(crate) fn mariadb_authority(scratch: &Path) -> PathBuf {
    scratch.join("mariadb/ca.pem")
}

/// Makes an authority, and a certificate of it for `localhost`.
fn certify(home: &Path) -> Result<()> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "Test authority");
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])?.signed_by(&key, &authority)?;
    for (name, text) in [
        ("ca.pem", authority.pem()),
        ("cert.pem", certificate.pem()),
        // The server runs as another user; the key opens nothing but this server, which ends with the tests.
        ("key.pem", key.serialize_pem()),
    ] {
        let path = home.join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
    }
    Ok(())
}

fn whoami() -> String {
    std::env::var("USER").unwrap_or_else(|_| "nobody".to_owned())
}

/// Starts Atoll itself. `files` are its files roots; `name` that of its data directory beneath `scratch`.
pub(crate) fn atoll(binary: &Path, scratch: &Path, name: &str, files: &[&Path]) -> Result<Server> {
    let port = free_port()?;
    start(
        "Atoll",
        with_us(binary)
            .arg("serve")
            .arg(format!("--listen=127.0.0.1:{port}"))
            .arg(format!("--data-dir={}", scratch.join(name).display()))
            .args(files.iter().map(|root| format!("--files-root={}", root.display())))
            .env("ATOLL_PASSWORD", PASSWORD),
        port,
        &scratch.join(format!("{name}.log")),
    )
}

/// Where cargo puts a program of the workspace.
pub(crate) fn built(program: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let directory = own.parent().context("the program has no directory")?;
    let path = directory.join(program);
    anyhow::ensure!(path.exists(), "{} was not built", path.display());
    Ok(path)
}
