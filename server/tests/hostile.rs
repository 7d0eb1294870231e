//! Clients that mean harm, over bare sockets: nothing panics, memory and sockets are bounded, other sessions go on.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod raw;
mod support;

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use raw::{Raw, Target, append};
use support::simple_value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What one attack may add to the server's memory.
const GROWTH_MIB_MAX: u64 = 150;

/// A session beside the attack: it asks all the while, and must not wait for long.
struct Bystander {
    stop: tokio::sync::oneshot::Sender<()>,
    asking: tokio::task::JoinHandle<(u32, Duration)>,
}

impl Bystander {
    async fn start(target: &Target) -> Self {
        let client = target.server.connect().await;
        let (stop, mut stopped) = tokio::sync::oneshot::channel();
        let asking = tokio::spawn(async move {
            let (mut answers, mut slowest) = (0, Duration::ZERO);
            while stopped.try_recv().is_err() {
                let asked = Instant::now();
                assert_eq!(simple_value(&client, "SELECT 1").await, "1");
                slowest = slowest.max(asked.elapsed());
                answers += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            (answers, slowest)
        });
        Self { stop, asking }
    }

    /// The session's verdict, and the server's: no panic in its log, a new session gets in.
    async fn finish(self, target: &Target) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let _ = self.stop.send(());
        let (answers, slowest) = self.asking.await.unwrap();
        // Far below what a session would wait that is held up, and above what a busy machine takes.
        assert!(answers > 0 && slowest < Duration::from_secs(12), "{answers} answers, the slowest after {slowest:?}");
        assert_eq!(simple_value(&target.server.connect().await, "SELECT 2").await, "2");
        let log = target.server.log.lock().unwrap();
        assert!(!log.contains("panic"), "{log}");
    }
}

fn startup_packet(body: &[u8]) -> Vec<u8> {
    [&u32::try_from(body.len() + 4).unwrap().to_be_bytes()[..], body].concat()
}

const SSL_REQUEST: &[u8] = &[0, 0, 0, 8, 4, 210, 22, 47];
const GSS_REQUEST: &[u8] = &[0, 0, 0, 8, 4, 210, 22, 48];
const STARTUP: &[u8] = b"\0\x03\0\0user\0atoll\0database\0atoll\0\0";

/// Sends bytes to a fresh connection, ends our direction, and reads to the end.
async fn answer_to(target: &Target, bytes: &[u8]) -> Vec<u8> {
    let mut socket = target.socket().await;
    let _ = socket.write_all(bytes).await;
    let _ = socket.shutdown().await;
    let mut answer = Vec::new();
    let _ =
        tokio::time::timeout(Duration::from_secs(10), socket.read_to_end(&mut answer)).await.expect("it stays open");
    answer
}

#[tokio::test]
async fn broken_openings_are_closed() {
    let target = Target::start_with(&["--startup-timeout", "2s"]).await;
    let bystander = Bystander::start(&target).await;
    let whole = startup_packet(STARTUP);
    for end in 0..whole.len() {
        let answer = answer_to(&target, &whole[..end]).await;
        assert!(answer.is_empty(), "{end}: {answer:?}");
    }
    // 100,000 parameters: longer than a startup packet may be. As many as fit: names that no setting has.
    let many = [b"\0\x03\0\0user\0atoll\0".to_vec(), b"a\0b\0".repeat(100_000), vec![0]].concat();
    assert!(answer_to(&target, &startup_packet(&many)).await.is_empty());
    let fitting = [b"\0\x03\0\0user\0atoll\0".to_vec(), b"a\0b\0".repeat(2_400), vec![0]].concat();
    assert_eq!(answer_to(&target, &startup_packet(&fitting)).await.first(), Some(&b'R'));
    for (bytes, expected) in [
        ([SSL_REQUEST, SSL_REQUEST].concat(), &b"N"[..]),
        ([GSS_REQUEST, GSS_REQUEST].concat(), b"N"),
        ([SSL_REQUEST, GSS_REQUEST, SSL_REQUEST].concat(), b"NN"),
        // Bytes that belong to no request for encryption: it is taken for a version that nobody speaks.
        ([&[0, 0, 0, 9], &SSL_REQUEST[4..], b"x"].concat(), b"E"),
        (b"\0\0\0\x08\0\x02\0\0".to_vec(), b"E"),
        (b"\0\0\0\x08\x7f\xff\xff\xff".to_vec(), b"E"),
        (b"\0\0\0\x09\0\x03\0\0\0".to_vec(), b"E"),
        (startup_packet(b"\0\x03\0\0user\0atoll"), b"E"),
        (startup_packet(b"\0\x03\0\0user\0atoll\0\0trailing\0"), b"E"),
        (startup_packet(b"\0\x03\0\0user\0\xff\xfe\0\0"), b"E"),
        (startup_packet(b"\0\x03\0\0user\0atoll\0options\0-c\0\0"), b"E"),
        (startup_packet(b"\0\x03\0\0user\0atoll\0replication\0true\0\0"), b"E"),
    ] {
        let answer = answer_to(&target, &bytes).await;
        assert!(answer.starts_with(expected) && (expected != b"" || answer.is_empty()), "{bytes:?}: {answer:?}");
    }
    // Both kinds of encryption refused, then a session after all.
    let answer = answer_to(&target, &[GSS_REQUEST, SSL_REQUEST, &whole].concat()).await;
    assert_eq!(&answer[..3], b"NNR");
    bystander.finish(&target).await;
}

#[tokio::test]
async fn nobody_gets_in_without_an_exchange() {
    let target = Target::start_with(&["--startup-timeout", "2s"]).await;
    let bystander = Bystander::start(&target).await;
    for (tag, body) in [
        (b'Q', &b"SELECT 1\0"[..]),
        (b'P', b"\0SELECT 1\0\0\0"),
        (b'S', b""),
        (b'F', b"\0\0\0\0"),
        (b'd', b"data"),
        (b'p', b""),
        (b'p', b"SCRAM-SHA-256\0"),
        (b'p', b"SCRAM-SHA-256\0\xff\xff\xff\xff"),
        (b'p', b"SCRAM-SHA-256\0\x7f\xff\xff\xff"),
        (b'p', b"SCRAM-SHA-256\0\x80\0\0\0"),
        (b'p', b"SCRAM-SHA-256-PLUS\0\0\0\0\x00"),
        (b'p', b"MD5\0\0\0\0\x00"),
        (b'p', b"\xff\xff\xff\xff\xff"),
    ] {
        let mut client = Raw::silent(&target).await;
        client.start_up("atoll").await;
        client.message().await.unwrap();
        client.send(tag, body).await;
        let (answered, error) = client.message().await.unwrap();
        assert_eq!((answered, raw::field(&error, b'S').as_str()), (b'E', "FATAL"), "{body:?}");
        assert!(matches!(raw::field(&error, b'C').as_str(), "08P01" | "22021"), "{}", raw::field(&error, b'C'));
        assert!(client.until_closed().await.is_empty());
    }
    // A message longer than anything before authentication may be.
    let mut client = Raw::silent(&target).await;
    client.start_up("atoll").await;
    client.message().await.unwrap();
    client.send_bytes(b"p\0\0\x7f\xff").await;
    assert_eq!(client.message().await.unwrap().0, b'E');
    bystander.finish(&target).await;
}

#[tokio::test]
async fn no_mutation_of_the_exchange_gets_in() {
    let target = Target::start().await;
    let bystander = Bystander::start(&target).await;
    let mut random = StdRng::seed_from_u64(7);
    for round in 0..120 {
        let mut client = Raw::silent(&target).await;
        client.start_up("atoll").await;
        let changed = client.authenticate_mutated(round % 2 == 0, |bytes| mutate(&mut random, bytes)).await;
        if let Some(changed) = changed {
            panic!("was let in by {:?}", String::from_utf8_lossy(&changed));
        }
    }
    bystander.finish(&target).await;
}

/// Changes, cuts, doubles or adds a byte or a piece.
fn mutate(random: &mut StdRng, bytes: &mut Vec<u8>) {
    let before = bytes.clone();
    while *bytes == before {
        let at = random.random_range(0..bytes.len().max(1)).min(bytes.len());
        match random.random_range(0..5) {
            0 if at < bytes.len() => bytes[at] = random.random(),
            1 => bytes.truncate(at),
            2 => bytes.insert(at, random.random()),
            3 => {
                let piece = bytes[at..].to_vec();
                bytes.extend(piece);
            }
            _ if at < bytes.len() => {
                bytes.remove(at);
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn no_bytes_after_authentication_harm_anybody_else() {
    let target = Target::start().await;
    let bystander = Bystander::start(&target).await;
    let mut random = StdRng::seed_from_u64(11);
    let good: Vec<Vec<u8>> = [
        (b'Q', &b"SELECT 1\0"[..]),
        (b'P', b"s\0SELECT $1::int8, $2::text, $3::numeric[]\0\0\x03\0\0\0\x14\0\0\0\x19\0\0\x04\xcf"),
        (b'B', b"p\0s\0\0\x01\0\x01\0\x03\0\0\0\x08\0\0\0\0\0\0\0\x01\0\0\0\x01a\xff\xff\xff\xff\0\x01\0\x01"),
        (b'B', b"\0s\0\0\x03\0\0\0\0\0\0\0\x03\0\0\0\x011\0\0\0\x01a\0\0\0\x03{1}\0\0"),
        (b'D', b"Ss\0"),
        (b'D', b"Pp\0"),
        (b'E', b"p\0\0\0\0\0"),
        (b'C', b"Pp\0"),
        (b'H', b""),
        (b'S', b""),
        (b'F', b"\0\0\0\x01\0\0\0\0\0\0"),
        (b'd', b"1\t2\n"),
        (b'c', b""),
        (b'f', b"no\0"),
    ]
    .iter()
    .map(|(tag, body)| {
        let mut message = Vec::new();
        append(&mut message, *tag, body);
        message
    })
    .collect();
    for _ in 0..60 {
        let mut client = Raw::connect(&target).await;
        let mut bytes = Vec::new();
        for _ in 0..random.random_range(1..20) {
            let mut message = good[random.random_range(0..good.len())].clone();
            if random.random_bool(0.5) {
                // The body only: a length that does not fit would end the connection and hide the rest.
                let mut body = message.split_off(5);
                mutate(&mut random, &mut body);
                message.clear();
                append(&mut message, good[random.random_range(0..good.len())][0], &body);
            }
            bytes.extend(message);
        }
        if random.random_bool(0.3) {
            mutate(&mut random, &mut bytes);
        }
        client.flood(&bytes).await;
        client.drained().await;
    }
    bystander.finish(&target).await;
}

#[tokio::test]
async fn wrong_binds_are_errors_of_their_message() {
    let target = Target::start().await;
    let bystander = Bystander::start(&target).await;
    let mut client = Raw::connect(&target).await;
    client.parse("s", "SELECT $1::int4 + $2::int4, 'x'").await;
    client.send(b'S', b"").await;
    assert_eq!(raw::shape(&client.until_ready().await), "1 Z");
    let (one, two) = (&b"\0\0\0\x011"[..], &b"\0\0\0\x04\0\0\0\x02"[..]);
    for (what, body, expected) in [
        ("no parameters", b"\0s\0\0\0\0\0\0\0".to_vec(), "E(08P01) Z"),
        ("one parameter", [b"\0s\0\0\0\0\x01", one, b"\0\0"].concat(), "E(08P01) Z"),
        ("three parameters", [b"\0s\0\0\0\0\x03", one, one, one, b"\0\0"].concat(), "E(08P01) Z"),
        ("three formats", [b"\0s\0\0\x03\0\0\0\0\0\0\0\x02", one, one, b"\0\0"].concat(), "E(08P01) Z"),
        ("format 2", [b"\0s\0\0\x01\0\x02\0\x02", one, one, b"\0\0"].concat(), "E(22023) Z"),
        ("result format -1", [b"\0s\0\0\0\0\x02", one, one, b"\0\x01\xff\xff"].concat(), "E(22023) Z"),
        ("three result formats", [b"\0s\0\0\0\0\x02", one, one, b"\0\x03\0\0\0\0\0\0"].concat(), "E(08P01) Z"),
        (
            "a short integer",
            [&b"\0s\0\0\x01\0\x01\0\x02"[..], two, b"\0\0\0\x03\0\0\x01", b"\0\0"].concat(),
            "E(22P03) Z",
        ),
        ("no integer", [&b"\0s\0\0\0\0\x02"[..], one, b"\0\0\0\x01x", b"\0\0"].concat(), "E(22P02) Z"),
        ("a zero byte", [&b"\0s\0\0\0\0\x02"[..], one, b"\0\0\0\x01\0", b"\0\0"].concat(), "E(22021) Z"),
        ("an unknown statement", b"\0t\0\0\0\0\0\0\0".to_vec(), "E(26000) Z"),
    ] {
        client.send(b'B', &body).await;
        client.execute("", 0).await;
        client.send(b'S', b"").await;
        assert_eq!(raw::shape(&client.until_ready().await), expected, "{what}");
    }
    bystander.finish(&target).await;
}

#[tokio::test]
async fn claimed_lengths_cost_nothing() {
    let target = Target::start().await;
    let bystander = Bystander::start(&target).await;
    let before = target.server.resident_mib();
    for length in [1_u32 << 30, 0x7fff_ffff, 0xffff_ffff, 0x8000_0000, 0, 3] {
        for tag in *b"PQBdFDCEHSXpcf" {
            let mut client = Raw::connect(&target).await;
            client.send_bytes(&[&[tag][..], &length.to_be_bytes(), b"SELECT 1"].concat()).await;
            let (answered, error) = client.message().await.unwrap();
            assert_eq!((answered, raw::field(&error, b'C').as_str()), (b'E', "08P01"), "{length} {tag}");
            assert!(client.until_closed().await.is_empty());
        }
    }
    // Lengths that are allowed, and bodies that never come.
    let mut waiting = Vec::new();
    for _ in 0..40 {
        let mut client = Raw::connect(&target).await;
        client.send_bytes(&[&b"P"[..], &(60_u32 << 20).to_be_bytes(), b"s\0SELECT 1"].concat()).await;
        waiting.push(client);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let grown = target.server.resident_mib().saturating_sub(before);
    assert!(grown < GROWTH_MIB_MAX, "grew by {grown} MiB");
    drop(waiting);
    bystander.finish(&target).await;
}

#[tokio::test]
async fn floods_whose_answers_nobody_reads_do_not_pile_up() {
    let target = Target::start().await;
    let bystander = Bystander::start(&target).await;
    let columns: Vec<String> =
        (0..1000).map(|column| format!("{column} AS a_rather_long_column_name_{column}")).collect();
    let wide = format!("SELECT {}", columns.join(", "));
    let before = target.server.resident_mib();
    let repeated = |tag: u8, body: &[u8], times: usize| {
        let mut bytes = Vec::new();
        (0..times).for_each(|_| append(&mut bytes, tag, body));
        bytes
    };
    let commits = "COMMIT;".repeat(150_000);
    for (what, flood) in [
        ("Describe", repeated(b'D', b"Swide\0", 100_000)),
        ("Flush", repeated(b'H', b"", 300_000)),
        ("Sync", repeated(b'S', b"", 300_000)),
        ("SHOW ALL", repeated(b'Q', b"SHOW ALL\0", 20_000)),
        ("Bind", repeated(b'B', b"\0wide\0\0\0\0\0\0\0", 20_000)),
        ("notices", repeated(b'Q', [commits.as_bytes(), b"\0"].concat().as_slice(), 1)),
        ("empty statements", repeated(b'Q', [&b";".repeat(900_000)[..], b"\0"].concat().as_slice(), 3)),
        ("errors", repeated(b'Q', b"selec\0", 200_000)),
    ] {
        let mut client = Raw::connect(&target).await;
        client.parse("wide", &wide).await;
        client.send(b'S', b"").await;
        client.until_ready().await;
        client.flood(&flood).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let grown = target.server.resident_mib().saturating_sub(before);
        assert!(grown < GROWTH_MIB_MAX, "{what}: grew by {grown} MiB");
        drop(client);
    }
    bystander.finish(&target).await;
}

#[tokio::test]
async fn statements_and_portals_are_bounded() {
    let target = Target::start_with(&["--prepared-statements-max", "20", "--portals-max", "10"]).await;
    let mut client = Raw::connect(&target).await;
    for number in 0..20 {
        client.parse(&format!("s{number}"), "SELECT 1").await;
    }
    client.parse("one_more", "SELECT 1").await;
    client.send(b'S', b"").await;
    assert!(raw::shape(&client.until_ready().await).ends_with("1 1 E(53400) Z"));
    client.send(b'Q', b"BEGIN\0").await;
    client.until_ready().await;
    for number in 0..11 {
        client.bind(&format!("p{number}"), "s0").await;
    }
    client.send(b'S', b"").await;
    assert!(raw::shape(&client.until_ready().await).ends_with("2 2 E(53400) Z"));
    let client = target.server.connect().await;
    for number in 0..20 {
        client.batch_execute(&format!("PREPARE q{number} AS SELECT 1")).await.unwrap();
    }
    let error = client.batch_execute("PREPARE one_more AS SELECT 1").await.unwrap_err();
    assert_eq!(support::code(&error), "53400");
}

#[tokio::test]
async fn guessed_cancel_keys_cancel_nothing() {
    let target = Target::start().await;
    let client = target.server.connect().await;
    let query = "SELECT count(*) FROM generate_series(1, 100000000) AS g(n) WHERE n % 7 = 3";
    let running = tokio::spawn(async move { simple_value(&client, query).await });
    let mut random = StdRng::seed_from_u64(3);
    for _ in 0..500 {
        let pid = random.random_range(0..20);
        let key: [u8; 4] = random.random();
        target.cancel(pid, &key).await;
    }
    for key in [&[][..], &[0; 3], &[0; 4], &[0; 256], &[0; 257], &[0; 5000]] {
        target.cancel(1, key).await;
    }
    assert_eq!(running.await.unwrap(), "14285714");
}

/// Thousands of connections that say nothing, or half of something.
#[tokio::test]
async fn half_open_connections_are_bounded_and_let_go() {
    const CONNECTIONS: usize = 10_000;
    let mut limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current = limit.maximum;
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
    if limit.current.is_some_and(|files| files < CONNECTIONS as u64 + 500) {
        println!("SKIPPED half_open_connections_are_bounded_and_let_go: this process may not open {CONNECTIONS} files");
        return;
    }
    let target = Target::start_with(&["--startup-timeout", "3s", "--max-connections", "20"]).await;
    let client = target.server.connect().await;
    let before = target.server.resident_mib();
    let started = Instant::now();
    let mut sockets: Vec<TcpStream> = Vec::with_capacity(CONNECTIONS);
    let mut files_max = 0;
    for number in 0..CONNECTIONS {
        let mut socket = target.socket().await;
        if number % 3 == 1 {
            let _ = socket.write_all(b"\0\0\0\x29\0\x03").await;
        }
        if number % 3 == 2 {
            let _ = socket.write_all(&startup_packet(STARTUP)).await;
        }
        sockets.push(socket);
        if number % 500 == 0 {
            files_max = files_max.max(target.server.open_files());
            assert_eq!(simple_value(&client, "SELECT 1").await, "1");
        }
    }
    // The configured connections, those that wait to be told, and the server's own files.
    assert!(files_max < 20 + 256 + 150, "{files_max} files were open");
    let grown = target.server.resident_mib().saturating_sub(before);
    assert!(grown < GROWTH_MIB_MAX, "grew by {grown} MiB");
    println!("{CONNECTIONS} connections in {:?}, at most {files_max} files, {grown} MiB more", started.elapsed());
    // Whoever holds a place without a word loses it.
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    assert_eq!(simple_value(&target.server.connect().await, "SELECT 1").await, "1");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(target.server.open_files() < 100, "{} files are open", target.server.open_files());
    assert!(!target.server.log.lock().unwrap().contains("panic"));
}
