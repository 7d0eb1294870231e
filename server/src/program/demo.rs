//! `atoll demo`: a server on a throw-away catalog with sample sources that are part of the program.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use futures::StreamExt;

use super::say;
use super::serve::{Server, hide_memory, psql_line, runtime, start_log};
use crate::config::{Config, DemoArgs, EnvironmentSecrets};
use crate::session::{Engine, Outcome, Session, Startup};

/// The sample files, by their path beneath the demo's files root. `demo/generate.py` made them.
const SAMPLES: &[(&str, &[u8])] = &[
    ("shop.db", include_bytes!("../../demo/shop.db")),
    ("products.csv", include_bytes!("../../demo/products.csv")),
    ("shipments.jsonl", include_bytes!("../../demo/shipments.jsonl")),
    ("orders/year=2024/part-0.parquet", include_bytes!("../../demo/orders/year=2024/part-0.parquet")),
    ("orders/year=2025/part-0.parquet", include_bytes!("../../demo/orders/year=2025/part-0.parquet")),
];
/// What registers them.
const SETUP: &str = include_str!("../../demo/setup.sql");
/// What to try first.
const QUERIES: &[(&str, &str)] = &[
    (
        "the five best customers, out of SQLite, CSV, Parquet and JSON at once",
        "SELECT customer, country, count(*) AS orders, sum(amount) AS spent FROM sales \
         GROUP BY customer, country ORDER BY spent DESC LIMIT 5;",
    ),
    (
        "which carrier is slow",
        "SELECT carrier, count(*) AS parcels, count(*) FILTER (WHERE delivered_at IS NULL) AS lost \
         FROM shipments GROUP BY carrier ORDER BY lost DESC;",
    ),
    (
        "what goes to the files: only one year's directory is read, only two columns of it",
        "EXPLAIN SELECT sum(quantity) FROM orders WHERE year = 2025 AND sku = 'ESP-250';",
    ),
];

/// Runs the demo until a signal ends it.
///
/// # Errors
/// The directory or the address cannot be used.
pub fn demo(args: &DemoArgs) -> Result<()> {
    hide_memory()?;
    start_log("warn")?;
    let (directory, _kept) = directory(args)?;
    let files = directory.join("files");
    for (name, bytes) in SAMPLES {
        write_sample(&files.join(name), bytes)?;
    }
    let config = Config {
        listen: vec![args.listen.clone()],
        data_dir: directory.join("data"),
        files_root: vec![files.clone()],
        ..Config::default()
    };
    runtime()?.block_on(async {
        let server = Server::start(&config, EnvironmentSecrets::read())
            .await
            .with_context(|| format!("could not start on {} (--listen 127.0.0.1:0 takes a free port)", args.listen))?;
        set_up(&server.engine).await.context("could not register the sample sources")?;
        let address = *server.listeners.local_addresses().first().context("no address was bound")?;
        let password = server.password.as_ref().map_or("", |initial| initial.password.as_str());
        let examples: String = QUERIES.iter().map(|(about, query)| format!("  -- {about}\n  {query}\n\n")).collect();
        say(&format!(
            "Atoll is ready: one database over SQLite, CSV, Parquet and JSON lines. Files: {}\n\nConnect with\n\n  {}\n\n\
             and try\n\n{examples}Ctrl-C ends it; nothing is kept.\n",
            files.display(),
            psql_line(address, "atoll", password)
        ));
        server.run_until_signal().await
    })
}

/// Where the demo lives, and what removes it at the end.
fn directory(args: &DemoArgs) -> Result<(PathBuf, Option<RemoveOnDrop>)> {
    if let Some(given) = &args.data_dir {
        let data = given.join("data");
        if data.exists() {
            // Only what a demo made is made anew.
            if !given.join(".atoll-demo").exists() {
                bail!("{} holds something that no demo made; name another directory", given.display());
            }
            std::fs::remove_dir_all(&data).context("could not remove the last demo's catalog")?;
        }
        std::fs::create_dir_all(given)?;
        std::fs::write(given.join(".atoll-demo"), "")?;
        return Ok((given.clone(), None));
    }
    let path = std::env::temp_dir().join(format!("atoll-demo-{}", std::process::id()));
    // create_dir fails on what is there already: a directory somebody else prepared is not used.
    std::fs::create_dir(&path).with_context(|| format!("could not make {}", path.display()))?;
    Ok((path.clone(), Some(RemoveOnDrop(path))))
}

struct RemoveOnDrop(PathBuf);

impl Drop for RemoveOnDrop {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn write_sample(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(path, bytes).with_context(|| format!("could not write {}", path.display()))
}

/// Runs the set-up script as the superuser.
async fn set_up(engine: &Arc<Engine>) -> Result<()> {
    let startup = Startup {
        user: "atoll".to_owned(),
        database: None,
        settings: Vec::new(),
        peer: None,
        pid: 0,
        tls_offered: false,
        tls: None,
    };
    let mut session = Session::open(Arc::clone(engine), startup).await?;
    for statement in session.parse(SETUP)? {
        let prepared = session.prepare(Some(statement), &[]).await?;
        if let Outcome::Rows(mut rows) = session.run(&prepared, Vec::new()).await? {
            while let Some(batch) = rows.batches.next().await {
                batch?;
            }
        }
        session.end_implicit().await?;
    }
    Ok(())
}
