//! `cargo xtask`: the one door to every chore of the repository.

mod bench;
mod counts;
mod differential;
mod interrupt;
mod packages;
mod s3;
mod servers;
mod test;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Chores of Atoll's repository")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Install what the tests need, start real servers, run every test, stop the servers
    Test(test::TestArguments),
    /// Measure Atoll beside its peers, in one run, and write the table to BENCHMARKS.md
    Bench(bench::BenchArguments),
    /// Start the servers that the tests read from, print where they are, and keep them until interrupted
    Servers,
    /// Format the code
    Fmt,
    /// Check formatting, clippy with warnings denied, and, where they are installed, cargo-deny and docker compose
    Lint,
    /// Serve the folders of a directory as S3 buckets until interrupted
    #[command(hide = true)]
    ServeS3 {
        /// The directory.
        directory: PathBuf,
        /// The one access key.
        #[arg(long)]
        key: String,
        /// Its secret.
        #[arg(long)]
        secret: String,
        /// Where to listen.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
    },
}

fn main() -> Result<ExitCode> {
    match Arguments::parse().chore {
        Chore::Test(arguments) => test::run(&arguments),
        Chore::Bench(arguments) => bench::run(&arguments),
        Chore::Servers => test::serve_sources(),
        Chore::Fmt => cargo(&["fmt", "--all"]),
        Chore::Lint => {
            packages::check_compose_file(&root())?;
            if packages::on_path("cargo-deny").is_some() {
                cargo(&["deny", "--config", ".deny.toml", "check"])?;
            }
            cargo(&["fmt", "--all", "--check"])?;
            cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])
        }
        Chore::ServeS3 { directory, key, secret, listen } => serve_s3(&directory, &key, &secret, listen),
    }
}

fn serve_s3(directory: &std::path::Path, key: &str, secret: &str, listen: SocketAddr) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let (address, server) = s3::serve(directory, key, secret, listen).await?;
        println!("serving {} on http://{address}", directory.display());
        tokio::signal::ctrl_c().await?;
        server.abort();
        Ok(ExitCode::SUCCESS)
    })
}

/// Cargo, as if it was called by hand. What `cargo run` tells this program about itself would reach build scripts, and
/// ring's runs again whenever such a variable changes, and all that is built over it.
fn cargo_command() -> Command {
    let mut command = Command::new(env!("CARGO"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let own = ["CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];
        if own.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command.current_dir(root());
    command
}

/// Runs cargo in the repository.
fn cargo(arguments: &[&str]) -> Result<ExitCode> {
    let status = cargo_command().args(arguments).current_dir(root()).status().context("could not run cargo")?;
    anyhow::ensure!(status.success(), "cargo {} failed", arguments.join(" "));
    Ok(ExitCode::SUCCESS)
}

/// The repository's root: as cargo says at run time, because clones that share a target directory share this program.
fn root() -> PathBuf {
    let manifest =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    manifest.parent().map(PathBuf::from).unwrap_or_default()
}
