//! Entry points for fuzzers: one function of bytes for each decoder that clients feed.

use crate::host::Registry;
use crate::{statement, wire};
use atoll_connector_api::{OptionScope, Options};

/// Statements: any text is parsed or refused, with an error position inside it.
pub fn statement(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match statement::parse(&text) {
        Ok(statements) => {
            for parsed in statements {
                assert!(text.contains(&parsed.text), "a statement's text is not the client's");
            }
        }
        Err(error) => {
            let characters = text.chars().count();
            assert!(error.position.is_none_or(|position| (1..=characters + 1).contains(&position)), "{error:?}");
            assert_ne!(error.sqlstate, crate::error::SqlState::INTERNAL_ERROR, "{error:?}");
        }
    }
}

/// Messages after authentication: frames and their bodies.
pub fn frontend(bytes: &[u8]) {
    wire::fuzz_frontend(bytes);
}

/// What comes before: startup packets, and the messages of SCRAM.
pub fn startup(bytes: &[u8]) {
    wire::fuzz_startup(bytes);
}

/// Options: the first byte chooses the scope, then come names and values, separated by zero bytes. Every connector says yes
/// or no to them.
pub fn options(bytes: &[u8]) {
    let [scope, rest @ ..] = bytes else { return };
    let scopes =
        [OptionScope::Server, OptionScope::UserMapping, OptionScope::Table, OptionScope::Column, OptionScope::Import];
    let Some(scope) = scopes.get(usize::from(*scope) % scopes.len()) else { return };
    let registry = Registry::default();
    let words: Vec<String> = rest.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into()).collect();
    for name in registry.names() {
        let Some(connector) = registry.get(name) else { continue };
        let mut options = Options::default();
        for pair in words.chunks(2) {
            let [name, value] = pair else { continue };
            // A name that is a number is that of a known option, so that values are tried too.
            let known = name.parse::<usize>().ok().and_then(|index| connector.options().get(index));
            options.set(known.map_or(name.as_str(), |known| known.name), value.as_str());
        }
        let checked = atoll_connector_api::options::check_options(connector.options(), *scope, options.iter());
        if checked.is_ok() {
            let _ = connector.check(*scope, &options);
        }
    }
}

#[cfg(test)]
mod tests {
    use atoll_connector_api::fuzzing::{rounds, run_mutations};

    use super::*;

    /// Deep nesting is parsed recursively; a test's thread has less stack than the server's.
    fn with_stack(run: impl FnOnce() + Send + 'static) {
        let thread = std::thread::Builder::new().stack_size(16 << 20).spawn(run);
        assert!(thread.is_ok_and(|thread| thread.join().is_ok()), "see above");
    }

    #[test]
    fn no_text_makes_the_parser_panic() {
        let corpus: &[&[u8]] = &[
            b"SELECT a.b, count(*) FILTER (WHERE x > 1) OVER (PARTITION BY y ORDER BY z DESC NULLS LAST) FROM s.t AS a (b, c) \
              LEFT JOIN LATERAL (SELECT 1) q ON true WHERE a.b = ANY ($1) AND c::numeric(5, 2) IN (1, 2.5e3) GROUP BY 1 LIMIT 5",
            b"WITH RECURSIVE r (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM r WHERE n < 10) SELECT * FROM r;",
            b"CREATE SERVER IF NOT EXISTS \"My S\" TYPE 't' VERSION '1' FOREIGN DATA WRAPPER postgres OPTIONS (host 'h', port '5')",
            b"CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (user 'u', password E'\\'p')",
            b"CREATE FOREIGN TABLE t (a int NOT NULL OPTIONS (column_name 'x'), b varchar(10)[]) SERVER s OPTIONS (table_name 'y')",
            b"IMPORT FOREIGN SCHEMA public LIMIT TO (a, \"B\") FROM SERVER s INTO l OPTIONS (import_default 'true')",
            b"ALTER FOREIGN TABLE t ADD COLUMN c date, DROP COLUMN IF EXISTS d CASCADE, OPTIONS (ADD a 'b', SET c 'd', DROP e)",
            b"CREATE ROLE r WITH LOGIN PASSWORD 'x' VALID UNTIL '2030-01-01' CONNECTION LIMIT 5 IN ROLE a, b",
            b"ALTER ROLE r SET search_path TO a, \"B c\"; ALTER DATABASE d SET timezone = 'UTC'; RESET ALL",
            b"GRANT SELECT (a, b), UPDATE ON TABLE t, u TO r, PUBLIC WITH GRANT OPTION; REVOKE ALL ON FOREIGN SERVER s FROM r CASCADE",
            b"BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY; SAVEPOINT a; ROLLBACK TO a; COMMIT AND CHAIN",
            b"DECLARE c NO SCROLL CURSOR WITH HOLD FOR SELECT 1; FETCH FORWARD ALL FROM c; MOVE -5 IN c; CLOSE ALL",
            b"COPY (SELECT 1) TO STDOUT WITH (FORMAT csv, HEADER, DELIMITER ';', NULL '')",
            b"EXPLAIN (ANALYZE, VERBOSE, FORMAT json) SELECT $$a$$, $x$b$x$, U&'d\\0061t', B'101', X'1F', 'a'\n'b' -- end",
            b"PREPARE p (int, text) AS SELECT $1, $2; EXECUTE p (1 + 2, 'x'); DEALLOCATE ALL; /* a /* nested */ comment */",
            b"COMMENT ON COLUMN s.t.c IS 'it''s'; DROP SERVER IF EXISTS a, b CASCADE; SET LOCAL a.b = 1, 'x', off",
            b"SELECT ARRAY[[1,2],[3,4]][1:2][1], (ROW(1, 'a')).f1, interval '1 day' * 2, x AT TIME ZONE 'UTC', CASE WHEN a THEN b END",
        ];
        with_stack(move || run_mutations(corpus, rounds(8_000), 5, statement));
    }

    #[test]
    fn no_message_makes_the_decoder_panic() {
        let corpus: &[&[u8]] = &[
            b"Q\0\0\0\x0dSELECT 1\0S\0\0\0\x04",
            b"P\0\0\0\x16s\0SELECT $1\0\0\x01\0\0\0\x17",
            b"B\0\0\0\x1ep\0s\0\0\x01\0\x01\0\x02\0\0\0\x02ab\xff\xff\xff\xff\0\x01\0\0",
            b"D\0\0\0\x06Ss\0E\0\0\0\x0ap\0\0\0\0\x05C\0\0\0\x06Pp\0H\0\0\0\x04X\0\0\0\x04",
            b"F\0\0\0\x0e\0\0\0\x01\0\0\0\0\0\0d\0\0\0\x08data",
        ];
        run_mutations(corpus, rounds(60_000), 6, frontend);
    }

    #[test]
    fn no_opening_makes_the_decoder_panic() {
        let corpus: &[&[u8]] = &[
            b"\0\x03\0\0user\0atoll\0database\0atoll\0options\0-c a=b --c-d=e\\ f\0application_name\0x\0\0",
            b"\0\x03\0\x02user\0u\0_pq_.x\0y\0replication\0off\0\0",
            b"\x04\xd2\x16\x2e\0\0\0\x01abcd",
            b"n,,n=,r=rOprNGfwEbeRWgbNEkqO",
            b"p=tls-server-end-point,,n=user,r=abc",
            b"c=biws,r=abcn,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        ];
        run_mutations(corpus, rounds(40_000), 7, startup);
    }

    #[test]
    fn no_option_makes_a_connector_panic() {
        let corpus: &[&[u8]] = &[
            b"\0host\0db.example\0port\x005432\0dbname\0x\0sslmode\0verify-full",
            b"\0location\0s3://bucket/prefix/\0endpoint\0http://127.0.0.1:9000\0region\0eu\0path_style\0true",
            b"\x02filename\0a/b*.csv\0header\0match\0delimiter\0;\0quote\0'\0null\0\\N\0encoding\0latin1",
            b"\x02location\0s3://b/x=[0-9]/**/y.parquet\0format\0parquet",
            b"\x030\0x\x001\0y\x002\x00z\x003\0w\x004\x00100\x005\0true\x006\0",
            b"\0hostaddr\0::1\0connect_timeout\x0010\0fetch_size\x00100\0partitions\x004",
        ];
        run_mutations(corpus, rounds(10_000), 8, options);
    }
}
