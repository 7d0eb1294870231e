//! `atoll serve`: opens the catalog, listens, and ends cleanly on SIGTERM and SIGINT.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use atoll_connector_api::paths::FilesRoots;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::say;
use crate::catalog::secret::{ReferencePolicy, SecretKey};
use crate::catalog::store::{InitialPassword, PASSWORD_FILE, Store, StoreConfig};
use crate::config::{Auth, Config, EnvironmentSecrets, ServeArgs, unknown_variables};
use crate::host::{Host, HostConfig};
use crate::session::engine::CPU_STACK_BYTES;
use crate::session::{Engine, EngineConfig};
use crate::wire::{AuthMode, ServerTls, WireConfig, WireServer};

/// Runs the server until a signal ends it.
///
/// # Errors
/// Settings, directories, addresses and certificates that cannot be used.
pub fn serve(args: ServeArgs) -> Result<()> {
    hide_memory()?;
    let print = args.print_config;
    let config = Config::load(args)?;
    if print {
        say(&config.in_force().to_toml());
        return Ok(());
    }
    let secrets = EnvironmentSecrets::read();
    start_log(&config.log)?;
    let variables = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for name in unknown_variables(variables, &config.secret_env) {
        tracing::warn!("the environment variable {name} is no setting of atoll: it is ignored");
    }
    runtime()?.block_on(async {
        let server = Server::start(&config, secrets).await?;
        server.announce();
        server.run_until_signal().await
    })
}

/// A core dump would hold passwords, and the process's memory is nobody else's business either. The limit is for kernels
/// that pipe the dumps of processes which are not dumpable to a program.
pub(super) fn hide_memory() -> Result<()> {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    set_dumpable_behavior(DumpableBehavior::NotDumpable).context("could not turn core dumps off")?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).context("could not turn core dumps off")
}

/// The runtime of the sockets; queries run on the engine's own. Plans are bound and dropped here, too, which recurses: the
/// stacks are as large as there.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    Ok(builder.thread_name("atoll-io").thread_stack_size(CPU_STACK_BYTES).enable_all().build()?)
}

/// Logs to standard error.
pub(super) fn start_log(filter: &str) -> Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(filter).context("the log filter is not valid")?;
    let color = std::io::IsTerminal::is_terminal(&std::io::stderr());
    hide_panics();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(color).with_writer(std::io::stderr);
    // Where nobody reads the log, a complaint about it on the same stream would panic.
    let _ = log.log_internal_errors(false).try_init();
    Ok(())
}

/// Logs where a panic was, and its text only where that is part of the program: one made while it ran may hold a value of a
/// statement, a row or a password.
fn hide_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.payload().downcast_ref::<&'static str>().copied().unwrap_or("(a text made at run time)");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        tracing::error!(thread = thread.name().unwrap_or_default(), place, "panic: {text}");
    }));
}

/// A running server.
pub(super) struct Server {
    pub(super) engine: Arc<Engine>,
    pub(super) listeners: WireServer,
    pub(super) password: Option<InitialPassword>,
    /// Of an earlier start.
    password_file: Option<PathBuf>,
    stop: CancellationToken,
}

impl Server {
    /// Opens everything and listens.
    pub(super) async fn start(config: &Config, secrets: EnvironmentSecrets) -> Result<Self> {
        let tls = match (&config.tls_cert, &config.tls_key) {
            (Some(certificate), Some(key)) => Some(ServerTls::load(certificate, key)?),
            _ => None,
        };
        let mut listen = Vec::new();
        for address in &config.listen {
            listen.extend(address.resolve().with_context(|| format!("could not resolve --listen {address}"))?);
        }
        let mut wire = WireConfig {
            listen,
            unix_socket_dir: Some(config.socket_dir.clone().unwrap_or_else(|| config.data_dir.clone())),
            auth: match config.auth {
                Auth::Scram => AuthMode::Scram,
                Auth::Trust => AuthMode::Trust,
            },
            tls,
            tls_required: config.tls_required,
            max_connections: config.max_connections,
            reserved_superuser_connections: config.reserved_superuser_connections,
            startup_timeout: config.startup_timeout(),
            shutdown_grace: config.shutdown_grace(),
            message_bytes_max: config.message_bytes_max(),
            prepared_statements_max: config.prepared_statements_max,
            portals_max: config.portals_max,
            ..WireConfig::default()
        };
        // Before a catalog is made, whose password nobody would see: another server may have the port.
        let sockets = WireServer::listen(&wire).await?;
        let master_key = secrets.master_key.as_deref().map(SecretKey::from_text).transpose()?;
        let store = Arc::new(
            Store::open(StoreConfig {
                data_dir: config.data_dir.clone(),
                url: config.catalog_url.as_ref().map(|url| url.expose().to_owned()),
                database: config.database.clone(),
                superuser_password: secrets.password,
                master_key,
            })
            .await?,
        );
        // From the key that all servers of a catalog share: whoever asks about a role twice, here or there, before or after
        // a restart, cannot tell by its salt whether it exists.
        wire.mock_nonce = store.key().derive("scram mock verifiers");
        let password = store.initial_password().cloned();
        let files =
            FilesRoots::open(&config.files_root, std::slice::from_ref(&config.data_dir)).with_context(|| {
                let closed = |root: &&PathBuf| FilesRoots::open(std::slice::from_ref(*root), &[]).is_err();
                match config.files_root.iter().find(closed) {
                    Some(root) => format!("could not open --files-root {}", root.display()),
                    None => "could not open a --files-root".to_owned(),
                }
            })?;
        let host = Arc::new(Host::new(HostConfig {
            files,
            network_allow: config.network_allow.clone(),
            references: ReferencePolicy {
                variables: config.secret_env.clone(),
                files: config.secret_dir.clone(),
                refused: vec![config.data_dir.clone()],
            },
            key: store.key().clone(),
        }));
        let temp_dir = config.data_dir.join("spill");
        std::fs::create_dir_all(&temp_dir).context("could not make the spill directory")?;
        let engine = Engine::new(
            EngineConfig {
                database: config.database.clone(),
                temp_dir,
                cpu_threads: config.cpu_threads,
                max_connections: config.max_connections,
                memory_max: config.memory_max(),
                running_queries_max: config.max_running_queries,
                waiting_queries_max: config.max_waiting_queries,
                prepared_statements_max: config.prepared_statements_max,
                portals_max: config.portals_max,
            },
            store,
            host,
        )?;
        let stop = CancellationToken::new();
        let listeners = WireServer::bind(wire, sockets, Arc::clone(&engine), stop.clone())?;
        let password_file = Some(config.data_dir.join(PASSWORD_FILE)).filter(|path| path.exists());
        Ok(Self { engine, listeners, password, password_file, stop })
    }

    fn announce(&self) {
        for address in self.listeners.local_addresses() {
            tracing::info!("listening on {address}");
        }
        if let Some(path) = self.listeners.unix_socket() {
            tracing::info!("listening on {}", path.display());
        }
        if let (None, Some(file)) = (&self.password, &self.password_file) {
            tracing::info!("the password that was made for the superuser atoll is kept in {}", file.display());
        }
        let Some(InitialPassword { password, file: Some(file) }) = &self.password else { return };
        let Some(address) = self.listeners.local_addresses().first().copied() else { return };
        // To the terminal once, never to the log.
        say(&format!(
            "A password was made for the superuser atoll; it is kept in {}. Connect with\n  {}\n",
            file.display(),
            psql_line(address, &self.engine.config.database, password)
        ));
    }

    /// Serves until SIGTERM or SIGINT, then lets running queries go on for the grace period.
    pub(super) async fn run_until_signal(self) -> Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let stop = self.stop.clone();
        let waiting = tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::info!("shutting down");
            stop.cancel();
        });
        self.listeners.run().await;
        waiting.abort();
        tracing::info!("stopped");
        Ok(())
    }
}

/// The line that connects.
pub(super) fn psql_line(address: std::net::SocketAddr, database: &str, password: &str) -> String {
    format!("psql 'postgresql://atoll:{password}@{address}/{database}'")
}
