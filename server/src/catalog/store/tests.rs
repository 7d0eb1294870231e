#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use base64::Engine as _;

use super::super::model::{
    BOOTSTRAP_SUPERUSER_OID, FIRST_USER_OID, Header, INFORMATION_SCHEMA_OID, Object, PG_CATALOG_OID, PUBLIC_SCHEMA_OID,
    Schema, StoredOption, StoredValue, UserMapping,
};
use super::*;

const PASSWORD: &str = "k4n4ri3-p4ssw0rd";

fn config(directory: &std::path::Path) -> StoreConfig {
    StoreConfig {
        data_dir: directory.to_owned(),
        url: None,
        database: "atoll".to_owned(),
        superuser_password: Some(PASSWORD.to_owned()),
        master_key: None,
    }
}

async fn open(config: StoreConfig) -> Arc<Store> {
    Arc::new(Store::open(config).await.unwrap())
}

fn schema(oid: Oid, name: &str) -> Object {
    let header = Header { oid, name: name.to_owned(), owner: BOOTSTRAP_SUPERUSER_OID, acl: None, comment: None };
    Object::Schema(Schema { header })
}

fn put(object: Object) -> Change {
    Change::Put(Arc::new(object))
}

async fn oid(store: &Store) -> Oid {
    store.allocate_oids(1).await.unwrap().take().unwrap()
}

#[tokio::test]
async fn a_fresh_store_has_its_bootstrap_objects_and_keeps_changes() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("new/data");
    let created;
    {
        let store = open(config(&data)).await;
        assert_eq!(store.initial_password().unwrap().password, PASSWORD);
        let catalog = store.snapshot();
        let atoll = catalog.role(BOOTSTRAP_ROLE).unwrap();
        assert!(atoll.superuser && atoll.login && atoll.header.oid == BOOTSTRAP_SUPERUSER_OID);
        assert!(atoll.password.as_ref().unwrap().verify_password(PASSWORD));
        assert_eq!(catalog.schema("public").unwrap().header.oid, PUBLIC_SCHEMA_OID);
        assert_eq!(catalog.schema("pg_catalog").unwrap().header.oid, PG_CATALOG_OID);
        assert_eq!(catalog.schema("information_schema").unwrap().header.oid, INFORMATION_SCHEMA_OID);
        assert_eq!(catalog.database_name(), "atoll");
        for wrapper in ["postgres", "mysql", "sqlite", "parquet", "csv", "json"] {
            assert_eq!(catalog.wrapper(wrapper).unwrap().connector.as_deref(), Some(wrapper));
        }
        created = oid(&store).await;
        assert!(created >= FIRST_USER_OID);
        let after = store.commit(&catalog, vec![put(schema(created, "s"))]).await.unwrap();
        assert_eq!(after.version, catalog.version + 1);
        assert_eq!(store.snapshot().schema("s").unwrap().header.oid, created);
    }
    let store = open(config(&data)).await;
    assert!(store.initial_password().is_none());
    let catalog = store.snapshot();
    assert_eq!(catalog.schema("s").unwrap().header.oid, created);
    assert_eq!(catalog.schema("pg_catalog").unwrap().header.oid, PG_CATALOG_OID);
    assert!(oid(&store).await > created, "an OID is never given twice");
    let after = store.commit(&catalog, vec![Change::Remove(created)]).await.unwrap();
    assert!(after.schema("s").is_none() && after.schema("public").is_some());
    drop(store);
    assert!(open(config(&data)).await.snapshot().schema("s").is_none());
}

#[tokio::test]
async fn files_are_private_and_a_second_server_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let store = open(config(&data)).await;
    assert_eq!(std::fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
    let mut seen = 0;
    for entry in std::fs::read_dir(&data).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
        seen += 1;
    }
    assert!(seen >= 4, "catalog, write-ahead log, key and lock: {seen}");
    let error = Store::open(config(&data)).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, StoreError::Locked { .. }), "{text}");
    assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
    drop(store);
    drop(open(config(&data)).await);
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert!(matches!(Store::open(config(&data)).await, Err(StoreError::Permissions { .. })));
}

#[tokio::test]
async fn a_password_is_generated_once_and_kept_in_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let config = StoreConfig { superuser_password: None, ..config(&data) };
    let store = open(config.clone()).await;
    let initial = store.initial_password().unwrap().clone();
    assert_eq!(initial.password.len(), 24);
    let file = initial.file.clone().unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap().trim(), initial.password);
    assert!(!format!("{initial:?} {config:?}").contains(&initial.password));
    let atoll = store.snapshot().role(BOOTSTRAP_ROLE).unwrap().clone();
    assert!(atoll.password.unwrap().verify_password(&initial.password));
    drop(store);
    assert!(open(config).await.initial_password().is_none());
}

#[tokio::test]
async fn the_key_belongs_to_the_catalog() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    drop(open(config(&data)).await);
    let other = StoreConfig { master_key: Some(SecretKey::from_bytes(&[1; 32])), ..config(&data) };
    assert!(matches!(Store::open(other).await, Err(StoreError::WrongKey)));
    std::fs::remove_file(data.join(KEY_FILE)).unwrap();
    assert!(matches!(Store::open(config(&data)).await, Err(StoreError::KeyMissing { .. })));

    let data = directory.path().join("given");
    let given = StoreConfig { master_key: Some(SecretKey::from_bytes(&[1; 32])), ..config(&data) };
    drop(open(given.clone()).await);
    assert!(!data.join(KEY_FILE).exists(), "a given key is not written down");
    drop(open(given).await);
}

#[tokio::test]
async fn a_newer_format_is_refused_and_damage_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    drop(open(config(&data)).await);
    let run = async |sql: &'static str| {
        use sqlx::Connection as _;
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(data.join("catalog.sqlite"));
        let mut connection = sqlx::sqlite::SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::query(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    };
    run("UPDATE atoll_meta SET format = 99").await;
    let error = Store::open(config(&data)).await.unwrap_err();
    assert!(matches!(error, StoreError::NewerFormat { found: 99 }), "{error}");
    run("UPDATE atoll_meta SET format = -1").await;
    assert!(matches!(Store::open(config(&data)).await, Err(StoreError::Damaged { .. })));
    run("UPDATE atoll_meta SET format = 1").await;
    run("UPDATE atoll_object SET body = '{' WHERE oid = 10").await;
    assert!(matches!(Store::open(config(&data)).await, Err(StoreError::Corrupt { oid: 10, .. })));
    run("UPDATE atoll_object SET body = (SELECT body FROM atoll_object WHERE oid = 5) WHERE oid = 10").await;
    assert!(matches!(Store::open(config(&data)).await, Err(StoreError::Damaged { .. })));
}

#[tokio::test]
async fn the_database_is_renamed_when_asked() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    drop(open(config(&data)).await);
    let renamed = StoreConfig { database: "lake".to_owned(), ..config(&data) };
    assert_eq!(open(renamed).await.snapshot().database_name(), "lake");
}

/// The rules of conflicts, on whichever backend.
async fn check_conflicts(store: &Arc<Store>, other: &Arc<Store>) {
    let settle = async || {
        // The other server hears of a commit before it is used as a base.
        let version = store.snapshot().version.max(other.snapshot().version);
        let mut receiver = other.subscribe();
        receiver.wait_for(|catalog| catalog.version >= version).await.unwrap();
        let mut receiver = store.subscribe();
        receiver.wait_for(|catalog| catalog.version >= version).await.unwrap();
    };
    let (a, b) = (oid(store).await, oid(other).await);
    assert_ne!(a, b);
    // The same name twice.
    let base = store.snapshot();
    let base_b = other.snapshot();
    store.commit(&base, vec![put(schema(a, "same"))]).await.unwrap();
    let lost = other.commit(&base_b, vec![put(schema(b, "same"))]).await;
    assert!(matches!(lost, Err(CommitError::Conflict)), "{lost:?}");
    // Different objects side by side.
    other.commit(&base_b, vec![put(schema(b, "other"))]).await.unwrap();
    settle().await;
    let (base, base_b) = (store.snapshot(), other.snapshot());
    assert!(base.schema("same").is_some() && base.schema("other").is_some());
    assert!(base_b.schema("same").is_some() && base_b.schema("other").is_some());
    // The same object twice.
    store.commit(&base, vec![put(schema(a, "renamed"))]).await.unwrap();
    let lost = other.commit(&base_b, vec![Change::Remove(a)]).await;
    assert!(matches!(lost, Err(CommitError::Conflict)), "{lost:?}");
    settle().await;
    // What a new object refers to is dropped meanwhile, and the other way round.
    let (base, base_b) = (store.snapshot(), other.snapshot());
    let mut grant = schema(b, "other");
    grant.header_mut().owner = a;
    store.commit(&base, vec![Change::Remove(a)]).await.unwrap();
    let lost = other.commit(&base_b, vec![put(grant.clone())]).await;
    assert!(matches!(lost, Err(CommitError::Conflict)), "{lost:?}");
    settle().await;
    // Names are swapped in one transaction.
    let c = oid(store).await;
    let base = store.snapshot();
    let base = store.commit(&base, vec![put(schema(c, "second"))]).await.unwrap();
    let swapped = vec![put(schema(b, "second")), put(schema(c, "other"))];
    let after = store.commit(&base, swapped).await.unwrap();
    assert_eq!(after.schema("second").unwrap().header.oid, b);
    assert_eq!(after.schema("other").unwrap().header.oid, c);
    settle().await;
    assert_eq!(other.snapshot().schema("other").unwrap().header.oid, c);
    let cleared = store.commit(&after, vec![Change::Remove(b), Change::Remove(c)]).await.unwrap();
    assert!(cleared.schema("second").is_none());
    settle().await;
}

#[tokio::test]
async fn conflicting_commits_are_refused_whole() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(config(&directory.path().join("data"))).await;
    check_conflicts(&store, &store).await;
}

#[tokio::test]
async fn many_sessions_commit_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(config(&directory.path().join("data"))).await;
    let mut tasks = tokio::task::JoinSet::new();
    for session in 0..8 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            for round in 0..10 {
                let oid = oid(&store).await;
                let base = store.snapshot();
                store.commit(&base, vec![put(schema(oid, &format!("s{session}_{round}")))]).await.unwrap();
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let catalog = store.snapshot();
    let made = catalog.objects().filter(|object| object.header().name.starts_with('s')).count();
    assert_eq!(made, 80 + 1, "with the wrapper sqlite");
}

#[tokio::test]
async fn no_secret_is_in_the_data_directory() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let secret = "k4n4ri3-m4pp1ng-s3cr3t";
    let store = open(config(&data)).await;
    let (server, mapping) = (oid(&store).await, oid(&store).await);
    let value = StoredValue::Secret(store.key().seal(mapping, "password", secret).unwrap());
    let object = Object::UserMapping(UserMapping {
        header: Header { oid: mapping, name: String::new(), owner: BOOTSTRAP_SUPERUSER_OID, acl: None, comment: None },
        user: BOOTSTRAP_SUPERUSER_OID,
        server,
        options: vec![StoredOption { name: "password".to_owned(), value, implicit: false }],
    });
    let debug = format!("{object:?}");
    store.commit(&store.snapshot(), vec![put(object)]).await.unwrap();
    let search = |when: &str| {
        let mut bytes = 0;
        for entry in std::fs::read_dir(&data).unwrap() {
            let path = entry.unwrap().path();
            // SQLite removes its journal files as it likes.
            let Ok(content) = std::fs::read(&path) else { continue };
            bytes += content.len();
            for canary in canaries(secret).into_iter().chain(canaries(PASSWORD)) {
                let found = content.windows(canary.len()).any(|window| window == canary.as_bytes());
                assert!(!found, "{when}: {canary} in {}", path.display());
            }
        }
        assert!(bytes > 10_000, "{when}: searched {bytes} bytes");
    };
    search("open");
    assert!(canaries(secret).iter().all(|canary| !debug.contains(canary)), "{debug}");
    drop(store);
    search("closed");
    let store = open(config(&data)).await;
    let catalog = store.snapshot();
    let stored = catalog.user_mapping(server, BOOTSTRAP_SUPERUSER_OID).unwrap();
    let policy = super::super::secret::ReferencePolicy::default();
    let revealed = store.key().reveal(mapping, &stored.options, |_| true, &policy).unwrap();
    assert_eq!(revealed.get("password"), Some(secret));
}

fn canaries(secret: &str) -> Vec<String> {
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let engine = base64::engine::general_purpose::STANDARD_NO_PAD;
    // Base64 of the same bytes looks different at each of three offsets.
    let base64 = (0..3).map(|offset| {
        let text = engine.encode([&vec![b'x'; offset], secret.as_bytes()].concat());
        text[4..text.len() - 4].to_owned()
    });
    let mut found: Vec<_> = base64.collect();
    found.extend([secret.to_owned(), hex.to_uppercase(), hex]);
    found
}

/// A database of its own on the PostgreSQL server that tests may use.
async fn test_database() -> Option<(String, String)> {
    let Ok(url) = std::env::var("ATOLL_TEST_POSTGRES_URL") else {
        println!("SKIPPED catalog on PostgreSQL: ATOLL_TEST_POSTGRES_URL is not set");
        return None;
    };
    static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let name = format!("atoll_catalog_{}_{number}", std::process::id());
    execute(&url, format!("CREATE DATABASE {name}")).await;
    let (base, query) = url.split_once('?').map_or((url.as_str(), None), |(base, query)| (base, Some(query)));
    let slash = base.rfind('/').filter(|index| *index > "postgresql://".len()).unwrap_or(base.len());
    let query = query.map_or_else(String::new, |query| format!("?{query}"));
    Some((format!("{}/{name}{query}", &base[..slash]), name))
}

async fn execute(url: &str, sql: String) {
    use sqlx::Connection as _;
    let mut connection = sqlx::postgres::PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_share_a_postgresql_catalog() {
    let Some((url, name)) = test_database().await else { return };
    let directory = tempfile::tempdir().unwrap();
    let key = Some(SecretKey::from_bytes(&[3; 32]));
    let shared = |data: &str| StoreConfig {
        url: Some(url.clone()),
        master_key: key.clone(),
        ..config(&directory.path().join(data))
    };
    // Both find an empty database at the same moment: one of them makes the catalog.
    let (one, two) = tokio::join!(Store::open(shared("one")), Store::open(shared("two")));
    let (one, two) = (Arc::new(one.unwrap()), Arc::new(two.unwrap()));
    assert_ne!(one.initial_password().is_some(), two.initial_password().is_some());
    check_conflicts(&one, &two).await;
    check_conflicts(&two, &one).await;

    let mut slowest = Duration::ZERO;
    for round in 0..20 {
        let (from, to) = if round % 2 == 0 { (&one, &two) } else { (&two, &one) };
        let oid = oid(from).await;
        let started = Instant::now();
        let committed = from.commit(&from.snapshot(), vec![put(schema(oid, &format!("s{round}")))]).await.unwrap();
        let mut receiver = to.subscribe();
        let seen = receiver.wait_for(|catalog| catalog.version >= committed.version);
        let seen = tokio::time::timeout(Duration::from_secs(5), seen).await.unwrap().unwrap();
        assert_eq!(seen.schema(&format!("s{round}")).unwrap().header.oid, oid);
        slowest = slowest.max(started.elapsed());
    }
    println!("20 changes were seen by the other server, the slowest after {slowest:?}");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");

    // A third server with another key is refused.
    let wrong = StoreConfig { master_key: Some(SecretKey::from_bytes(&[4; 32])), ..shared("three") };
    assert!(matches!(Store::open(wrong).await, Err(StoreError::WrongKey)));
    let none = StoreConfig { master_key: None, ..shared("three") };
    assert!(matches!(Store::open(none).await, Err(StoreError::KeyMissing { .. })));
    let unreachable = StoreConfig {
        url: Some("postgres://nobody:s3cr3t@127.0.0.1:1/none".to_owned()),
        ..config(&directory.path().join("four"))
    };
    let error = Store::open(unreachable).await.unwrap_err();
    assert!(matches!(error, StoreError::Database { .. }) && !format!("{error} {error:?}").contains("s3cr3t"));

    // A server that loses its connections finds the catalog again by itself.
    let admin = std::env::var("ATOLL_TEST_POSTGRES_URL").unwrap();
    let sql = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    execute(&admin, sql).await;
    let oid = oid(&one).await;
    let committed = one.commit(&one.snapshot(), vec![put(schema(oid, "after"))]).await.unwrap();
    let mut receiver = two.subscribe();
    let seen = receiver.wait_for(|catalog| catalog.version >= committed.version);
    tokio::time::timeout(Duration::from_secs(10), seen).await.unwrap().unwrap();

    drop((one, two));
    execute(&admin, format!("DROP DATABASE {name} WITH (FORCE)")).await;
}
