//! A server killed at any moment leaves the catalog before or after a transaction, never between.
//!
//! The test runs itself as a child process that does DDL in a loop, kills it with SIGKILL, and opens the catalog again.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use atoll::catalog::ddl::{self, DdlContext, Facts, Working, WrapperRegistry};
use atoll::catalog::model::{BOOTSTRAP_SUPERUSER_OID, Object};
use atoll::catalog::{Catalog, Store, StoreConfig};
use atoll::statement::Statement;
use atoll::statement::ast::{
    AlterAction, AlterServer, Comment, CommentTarget, CreateSchema, CreateServer, CreateWrapper, Drop, DropKind,
    OptionAction, OptionClause, OptionValue, QualifiedName,
};
use atoll_connector_api::types::text::OutputStyle;
use atoll_connector_api::{ConnectorError, OptionScope, OptionSpec, Options};
use rand::Rng as _;

/// Tells the child which catalog to use; without it the child's test does nothing.
const CHILD: &str = "ATOLL_TEST_KILL_DIRECTORY";
const ROUNDS: usize = 200;
/// One round in this many begins with a fresh data directory, so that its creation is killed too.
const FRESH_EVERY: usize = 10;
const CHILD_START_MAX: Duration = Duration::from_secs(60);

struct NoConnectors;

impl WrapperRegistry for NoConnectors {
    fn options(&self, _: &str) -> Option<&'static [OptionSpec]> {
        None
    }

    fn check(&self, _: &str, _: OptionScope, _: &Options) -> Result<(), ConnectorError> {
        Ok(())
    }
}

async fn open(directory: &Path) -> Arc<Store> {
    let config = StoreConfig {
        data_dir: directory.to_owned(),
        url: None,
        database: "atoll".to_owned(),
        superuser_password: None,
        master_key: None,
    };
    Arc::new(Store::open(config).await.unwrap())
}

/// Runs statements as one transaction.
async fn transaction(store: &Arc<Store>, statements: &[Statement]) {
    let path = ["public".to_owned()];
    let style = OutputStyle::default();
    let cx = DdlContext {
        session_user: BOOTSTRAP_SUPERUSER_OID,
        current_user: BOOTSTRAP_SUPERUSER_OID,
        search_path: &path,
        wrappers: &NoConnectors,
        key: store.key(),
        style: &style,
        is_system_relation: |_, _| false,
    };
    let mut working = Working::new(store.snapshot());
    working.supply_oids(store.allocate_oids(8).await.unwrap());
    for statement in statements {
        ddl::apply(&cx, &mut working, statement, &Facts::None).unwrap();
    }
    store.commit(working.base(), working.changes()).await.unwrap();
}

fn note(number: u64) -> OptionClause {
    OptionClause { name: "note".to_owned(), value: OptionValue(number.to_string()), position: 1 }
}

fn comment(number: u64) -> Statement {
    let target = CommentTarget::Schema("public".to_owned());
    Statement::Comment(Comment { target, comment: Some(number.to_string()) })
}

fn first() -> Vec<Statement> {
    let wrapper = "dummy".to_owned();
    vec![
        Statement::CreateWrapper(CreateWrapper {
            name: wrapper.clone(),
            if_not_exists: false,
            handler: None,
            validator: None,
            options: vec![],
        }),
        Statement::CreateServer(CreateServer {
            name: "s".to_owned(),
            if_not_exists: false,
            server_type: None,
            version: None,
            wrapper,
            options: vec![note(0)],
        }),
        comment(0),
    ]
}

/// Changes a server, a comment, and whether a schema is there: all to the same number.
fn next(number: u64) -> Vec<Statement> {
    let action = AlterAction::Options(vec![OptionAction::Set(note(number))]);
    let schema = if number % 2 == 1 {
        Statement::CreateSchema(CreateSchema {
            name: Some("odd".to_owned()),
            if_not_exists: false,
            authorization: None,
            elements: Vec::new(),
        })
    } else {
        let names = vec![QualifiedName { parts: vec!["odd".to_owned()], position: 1 }];
        Statement::Drop(Drop { kind: DropKind::Schema, names, if_exists: false, cascade: false })
    };
    vec![Statement::AlterServer(AlterServer { name: "s".to_owned(), action }), comment(number), schema]
}

/// The number that all of the catalog agrees on; `None`: the first transaction is not there.
fn state(catalog: &Catalog) -> Option<u64> {
    assert!(catalog.role("atoll").is_some() && catalog.wrapper("postgres").is_some(), "bootstrap is whole");
    let comment = catalog.schema("public").unwrap().header.comment.clone().unwrap_or_default();
    let Some(server) = catalog.server("s") else {
        assert!(comment.parse::<u64>().is_err() && catalog.wrapper("dummy").is_none(), "{comment}");
        return None;
    };
    let number: u64 = comment.parse().unwrap();
    assert_eq!(server.options[0].value.shown(), Some(comment.as_str()), "server and comment agree");
    assert_eq!(catalog.schema("odd").is_some(), number % 2 == 1, "schema and comment agree");
    for object in catalog.objects() {
        for reference in object.references() {
            assert!(catalog.get(reference).is_some(), "{object:?} refers to {reference}");
        }
    }
    assert!(catalog.objects().any(|object| matches!(object.as_ref(), Object::Role(_))));
    Some(number)
}

/// Runs in the child process only.
#[test]
fn child_does_ddl_until_it_is_killed() {
    let Ok(directory) = std::env::var(CHILD) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let say = |line: &str| {
            let mut out = std::io::stdout().lock();
            writeln!(out, "{line}").unwrap();
            out.flush().unwrap();
        };
        say("opening");
        let store = open(Path::new(&directory)).await;
        let mut number = match state(&store.snapshot()) {
            Some(number) => number,
            None => {
                transaction(&store, &first()).await;
                0
            }
        };
        loop {
            say(&format!("committed {number}"));
            number += 1;
            transaction(&store, &next(number)).await;
        }
    });
}

/// Starts the child, kills it after `delay` from the line that `until` waits for, and returns the last number it wrote.
fn run_and_kill(directory: &Path, until: &str, delay: Duration) -> Option<u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_does_ddl_until_it_is_killed", "--nocapture", "--test-threads=1"])
        .env(CHILD, directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let started = Instant::now();
    let mut last = None;
    let mut number = |line: &str| {
        if let Some((_, text)) = line.split_once("committed ") {
            last = text.trim().parse().ok();
        }
    };
    loop {
        let line = lines.next().expect("the child ended by itself");
        number(&line);
        if line.contains(until) {
            break;
        }
        assert!(started.elapsed() < CHILD_START_MAX, "the child does not start");
    }
    let killer = std::thread::spawn(move || {
        std::thread::sleep(delay);
        child.kill().unwrap();
        child.wait().unwrap();
    });
    lines.for_each(|line| number(&line));
    killer.join().unwrap();
    last
}

#[test]
fn killed_200_times_the_catalog_is_before_or_after() {
    let directory = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut transactions, mut unacknowledged, mut bootstraps) = (0, 0, 0);
    let mut random = rand::rng();
    let data = directory.path().join("data");
    for round in 0..ROUNDS {
        let (data, until, delay) = if round % FRESH_EVERY == 0 {
            bootstraps += 1;
            (directory.path().join(format!("fresh{round}")), "opening", random.random_range(0..40_000))
        } else {
            (data.clone(), "committed", random.random_range(0..40_000))
        };
        let before =
            if data.exists() { runtime.block_on(async { state(&open(&data).await.snapshot()) }) } else { None };
        let written = run_and_kill(&data, until, Duration::from_micros(delay));
        let after = runtime.block_on(async { state(&open(&data).await.snapshot()) });
        match (written, after) {
            (None, _) => {}
            (Some(written), Some(after)) => {
                assert!(after == written || after == written + 1, "round {round}: {written} was said, {after} is");
                unacknowledged += u64::from(after != written);
            }
            (Some(written), None) => panic!("round {round}: {written} was said and lost"),
        }
        transactions += after.unwrap_or(0) - before.unwrap_or(0);
    }
    println!(
        "killed {ROUNDS} times ({bootstraps} while the catalog was created) over {transactions} transactions of 3 \
         changes: always before or after; {unacknowledged} were written and not yet acknowledged"
    );
    assert!(transactions > 100, "{transactions}");
}
