//! Entry points for fuzzers: one function of bytes for each decoder of this crate, and a small mutator with which the
//! ordinary tests run them too, since cargo-fuzz needs a nightly compiler.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use bytes::BytesMut;

use crate::types::binary::{has_binary, write_binary};
use crate::types::text::{DateStyle, IntervalStyle, OutputStyle};
use crate::types::{BUILTIN, ColumnBuilder, PgType, format_scalar, parse_scalar_with, scalar_from_binary};

/// Types that stand beside the built-in ones: with modifiers, and of a user's making.
fn extra_types() -> [PgType; 5] {
    use crate::types::oids;
    [
        PgType::numeric(5, 2),
        PgType::varchar(3),
        PgType::bpchar(4),
        PgType::with_modifier(oids::TIMESTAMP, 2),
        PgType::user("mood", vec!["sad".to_owned(), "happy".to_owned()], false),
    ]
}

fn type_of(choice: u8, more: u8) -> PgType {
    let extra = extra_types();
    let index = (usize::from(choice) + 256 * usize::from(more & 1)) % (BUILTIN.len() + extra.len());
    match BUILTIN.get(index) {
        Some(builtin) => PgType::new(builtin.oid),
        None => extra[index - BUILTIN.len()].clone(),
    }
}

fn style_of(choice: u8) -> OutputStyle {
    OutputStyle {
        time_zone: if choice & 2 == 0 { chrono_tz::UTC } else { chrono_tz::Europe::Berlin },
        date_style: match choice >> 2 & 3 {
            0 => DateStyle::Iso,
            1 => DateStyle::Sql,
            2 => DateStyle::Postgres,
            _ => DateStyle::German,
        },
        day_first: choice & 16 != 0,
        interval_style: match choice >> 5 & 3 {
            0 => IntervalStyle::Postgres,
            1 => IntervalStyle::PostgresVerbose,
            2 => IntervalStyle::SqlStandard,
            _ => IntervalStyle::Iso8601,
        },
        bytea_escape: choice & 128 != 0,
        ..OutputStyle::default()
    }
}

/// Text input of every type: the first byte names the type, the second the style, the rest is the value. What was read is
/// printed in the plain style, reads back, and prints the same again.
pub fn type_text(bytes: &[u8]) {
    let [choice, style, text @ ..] = bytes else { return };
    let (data_type, style, plain) = (type_of(*choice, *style), style_of(*style), OutputStyle::default());
    let text = String::from_utf8_lossy(text);
    let Ok(value) = parse_scalar_with(&text, &data_type, &style) else { return };
    let _ = format_scalar(&value, &data_type, &style);
    let Ok(Some(printed)) = format_scalar(&value, &data_type, &plain) else { return };
    let Ok(again) = parse_scalar_with(&printed, &data_type, &plain) else {
        panic!("{} prints {text:?} as {printed:?}, which it does not read", data_type.sql_name());
    };
    let reprinted = format_scalar(&again, &data_type, &plain).ok().flatten();
    assert_eq!(reprinted.as_deref(), Some(printed.as_str()), "{} out of {text:?}", data_type.sql_name());
}

/// Binary input of every type: the first two bytes name the type and style, the rest is the value. What was read prints, and
/// is written in a form that reads back.
pub fn type_binary(bytes: &[u8]) {
    let [choice, style, value @ ..] = bytes else { return };
    let data_type = type_of(*choice, *style);
    if !has_binary(&data_type) {
        return;
    }
    let Ok(scalar) = scalar_from_binary(value, &data_type) else { return };
    let _ = format_scalar(&scalar, &data_type, &style_of(*style));
    let mut builder = ColumnBuilder::new(&data_type, 1);
    if builder.append_binary(value).is_err() {
        return;
    }
    let array = builder.finish();
    let mut written = BytesMut::new();
    if write_binary(array.as_ref(), 0, &data_type, &mut written).is_ok() {
        let (name, reason) = (data_type.sql_name(), "what was written does not read back");
        assert!(scalar_from_binary(&written, &data_type).is_ok(), "{name}: {reason}: {written:?}");
    }
}

/// One input may take this long, on a busy machine and unoptimized.
const INPUT_TIME_MAX: Duration = Duration::from_secs(10);
/// Mutations of one input.
const MUTATIONS_MAX: u64 = 6;
/// What a mutated input may grow to.
const INPUT_BYTES_MAX: usize = 4_096;

/// Runs an entry point over a corpus and `rounds` seeded mutations of it.
///
/// # Panics
/// Where the entry point does, or takes long: with the input, so that it can become a test.
pub fn run_mutations(corpus: &[&[u8]], rounds: u32, seed: u64, entry: fn(&[u8])) {
    let mut random = Random(seed | 1);
    for input in corpus {
        run_one(input, entry);
    }
    for _ in 0..rounds {
        let mut input = pick(corpus, &mut random).to_vec();
        for _ in 0..=random.below(MUTATIONS_MAX) {
            mutate(&mut input, corpus, &mut random);
        }
        input.truncate(INPUT_BYTES_MAX);
        run_one(&input, entry);
    }
}

fn run_one(input: &[u8], entry: fn(&[u8])) {
    let started = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| entry(input)));
    assert!(outcome.is_ok(), "the input {:?} ({input:?}) panicked", String::from_utf8_lossy(input));
    let elapsed = started.elapsed();
    assert!(elapsed < INPUT_TIME_MAX, "the input {:?} took {elapsed:?}", String::from_utf8_lossy(input));
}

fn pick<'a>(corpus: &[&'a [u8]], random: &mut Random) -> &'a [u8] {
    corpus.get(random.index(corpus.len())).copied().unwrap_or_default()
}

fn mutate(input: &mut Vec<u8>, corpus: &[&[u8]], random: &mut Random) {
    const ODD: &[&[u8]] = &[
        b"\0",
        b"\xff",
        b"\xff\xff\xff\xff",
        b"\x7f\xff\xff\xff",
        b"\x80\0\0\0",
        b"\0\0\0\0",
        b"-",
        b"'",
        b"\"",
        b"\\",
        b"{",
        b"}",
        b"(",
        b")",
        b"[",
        b"]",
        b",",
        b";",
        b"$",
        b"E'",
        b"U&'",
        b"--",
        b"/*",
        b"e999999999",
        b"1e-400",
        b"00",
        b"99999999999999999999",
        b"NaN",
        b"infinity",
        b"-infinity",
        b"NULL",
        b" BC",
        b"24:00:00",
        b"+1459",
        b"\xc3\xa9",
        b"\xf0\x9f\x98\x80",
        b"\xe2\x80\xae",
        b"%",
        b"=",
        b":",
        b".",
        b" ",
    ];
    let at = random.index(input.len() + 1);
    let end = at + random.index(input.len() - at + 1);
    match random.below(7) {
        0 if at < input.len() => input[at] ^= 1 << random.below(8),
        1 => drop(input.drain(at..end)),
        2 => {
            let piece = input[at..end].to_vec();
            drop(input.splice(at..at, piece));
        }
        3 => {
            let odd = ODD.get(random.index(ODD.len())).copied().unwrap_or_default();
            drop(input.splice(at..at, odd.iter().copied()));
        }
        4 => {
            let other = pick(corpus, random);
            let from = random.index(other.len() + 1);
            let to = from + random.index(other.len() - from + 1);
            drop(input.splice(at..end, other[from..to].iter().copied()));
        }
        5 if at < input.len() => input[at] = u8::try_from(random.below(256)).unwrap_or_default(),
        _ => {
            let times = random.index(40);
            let piece = input[at..end.min(at + 8)].repeat(times);
            drop(input.splice(at..at, piece));
        }
    }
}

/// xorshift64*, which is enough to be repeatable.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % bound.max(1)
    }

    fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(u64::try_from(bound).unwrap_or(u64::MAX))).unwrap_or_default()
    }
}

/// How many mutations a test tries: `ATOLL_FUZZ_ROUNDS` times the default.
pub fn rounds(default: u32) -> u32 {
    let times = std::env::var("ATOLL_FUZZ_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_u32);
    default.saturating_mul(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fuzzing_has_found_stays_refused() {
        use crate::types::oids;
        let berlin = OutputStyle { time_zone: chrono_tz::Europe::Berlin, ..OutputStyle::default() };
        let timestamptz = PgType::new(oids::TIMESTAMPTZ);
        // The zone carries it below the first day that there is.
        let error = parse_scalar_with("4714-11-24 00:00:00 BC", &timestamptz, &berlin);
        assert!(matches!(error, Err(error) if error.to_string().contains("timestamp out of range")));
        assert!(parse_scalar_with("4714-11-24 02:00:00 BC", &timestamptz, &berlin).is_ok());
        // A "char" has one byte.
        assert!(scalar_from_binary(b"ab", &PgType::new(oids::CHAR)).is_err());
        assert!(scalar_from_binary(b"a", &PgType::new(oids::CHAR)).is_ok());
    }

    /// Values of every kind that PostgreSQL reads; each is tried with each type.
    const VALUES: &[&str] = &[
        "1",
        "-32768",
        "9223372036854775807",
        "1.5e10",
        "NaN",
        "-Infinity",
        "12345.678900",
        "true",
        "text",
        "",
        "2024-02-29",
        "0044-03-15 BC",
        "infinity",
        "12:34:56.789",
        "24:00:00",
        "12:34:56+05:30",
        "2024-02-29 12:34:56.789",
        "2024-02-29 12:34:56.789+02",
        "Thu Feb 29 12:34:56 2024 CET",
        "1 year 2 mons -3 days 04:05:06.7",
        "P1Y2M3DT4H5M6S",
        "@ 1 minute ago",
        "1-2 3 4:05:06",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "{\"a\": [1, null, \"x\"]}",
        "[1,2]",
        "{1,2,NULL}",
        "{{1,2},{3,4}}",
        "[0:1]={a,\"b,c\"}",
        "192.168.1.0/24",
        "2001:db8::1",
        "08:00:2b:01:02:03",
        "[1,10)",
        "(,]",
        "empty",
        "{[1,2),[5,6)}",
        "$1,234.56",
        "101",
        "<a>b</a>",
        "\\xdeadbeef",
        "\\001ab",
        "(1,2)",
        "pg_class",
        "0/16B3748",
        "1:2:1",
        "sad",
    ];

    #[test]
    fn no_text_makes_a_type_panic() {
        let mut corpus = Vec::new();
        for choice in 0..=u8::MAX {
            for value in VALUES {
                corpus.push([&[choice, choice.rotate_left(3)][..], value.as_bytes()].concat());
            }
        }
        let corpus: Vec<&[u8]> = corpus.iter().map(Vec::as_slice).collect();
        run_mutations(&corpus, rounds(60_000), 1, type_text);
    }

    #[test]
    fn no_bytes_make_a_type_panic() {
        let values: &[&[u8]] = &[
            b"",
            b"\x01",
            b"\0\x01",
            b"\0\0\0\x01",
            b"\0\0\0\0\0\0\0\x01",
            b"\x7f\xf8\0\0\0\0\0\0",
            b"\0\x02\0\x01\0\0\0\x02\0\x01\x09\xc4",
            b"\0\0\0\x01\0\0\0\0\0\0\0\x17\0\0\0\x02\0\0\0\x01\0\0\0\x04\0\0\0\x01\xff\xff\xff\xff",
            b"\0\0\0\x02\0\0\0\x01\0\0\0\x17\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x04\0\0\0\x01",
            b"\x02\0\0\0\x04\0\0\0\x01\0\0\0\x04\0\0\0\x09",
            b"\x01",
            b"\x02\x18\0\x04\xc0\xa8\x01\x00",
            b"\0\0\0\0\0\x01\xe2\x40\0\0\0\x01\0\0\0\x02",
            b"\x01{\"a\": 1}",
            b"\0\0\0\x05\xa8",
            b"\xa0\xee\xbc\x99\x9c\x0b\x4e\xf8\xbb\x6d\x6b\xb9\xbd\x38\x0a\x11",
        ];
        let mut corpus = Vec::new();
        for choice in 0..=u8::MAX {
            for value in values {
                corpus.push([&[choice, choice & 1][..], value].concat());
            }
        }
        let corpus: Vec<&[u8]> = corpus.iter().map(Vec::as_slice).collect();
        run_mutations(&corpus, rounds(60_000), 2, type_binary);
    }
}
