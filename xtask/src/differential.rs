//! The differential suite: `atoll-diff` with a server and the sources that it needs.

use std::process::Command;

use anyhow::{Context, Result};

use crate::counts::Counts;
use crate::root;
use crate::servers::{self, PASSWORD};
use crate::test::{Sources, watch};

/// Random statements of the whole suite.
pub(crate) const STATEMENTS: u64 = 20_000;

/// How much of it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Extent {
    /// A minute of it.
    Sample,
    /// All.
    Whole {
        /// Seed of the first random statement.
        seed: u64,
        /// How many random statements.
        statements: u64,
    },
}

impl Extent {
    /// What `atoll-diff` is called with, one call after the other.
    fn calls(self) -> Vec<Vec<String>> {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        match self {
            Self::Sample => {
                vec![words("benchmark tpch --scale 0.002"), words("random --count 60 --combinations 2 --seconds 45")]
            }
            Self::Whole { seed, statements } => vec![
                words("benchmark tpch --scale 0.01"),
                words("benchmark tpcds --scale 0.01"),
                words(&format!("random --seed {seed} --count {statements}")),
            ],
        }
    }
}

/// Runs it. False: something differs.
///
/// # Errors
/// A server is gone.
pub(crate) fn run(sources: &Sources, extent: Extent, counts: &mut Counts) -> Result<bool> {
    let files = sources.scratch.path().join("differential");
    std::fs::create_dir_all(&files)?;
    let atoll = servers::atoll(&servers::built("atoll")?, sources.scratch.path(), "atoll-differential", &[&files])?;
    let mut held = true;
    for call in extent.calls() {
        println!("atoll-diff {}", call.join(" "));
        let mut command = Command::new(servers::built("atoll-diff")?);
        command
            .args(call)
            .arg(format!("--atoll-port={}", atoll.address.port()))
            .arg(format!("--postgres-port={}", sources.postgres.address.port()))
            .arg(format!("--files={}", files.display()))
            .env("PGPASSWORD", PASSWORD)
            .envs(sources.environment())
            .current_dir(root());
        held &= watch(&mut command, counts)?;
    }
    Ok(held)
}

/// The settings other than the defaults, as `NAME=VALUE`, which `atoll-diff` knows.
///
/// # Errors
/// `atoll-diff` cannot be run.
pub(crate) fn switched_settings() -> Result<Vec<String>> {
    let output = Command::new(servers::built("atoll-diff")?).arg("switches").output()?;
    anyhow::ensure!(output.status.success(), "atoll-diff does not list its switches");
    let text = String::from_utf8(output.stdout).context("a setting that is not UTF-8")?;
    Ok(text.lines().map(str::to_owned).collect())
}
