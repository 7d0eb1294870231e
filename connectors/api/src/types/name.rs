//! Type names as SQL writes them.

use datafusion::sql::sqlparser::ast;

use super::{BuiltinType, PgType, oids};

/// The largest precision of `numeric`.
const NUMERIC_PRECISION_MAX: i64 = 1000;
/// The longest `char(n)` and `varchar(n)`: PostgreSQL's `MaxAttrSize`.
pub const CHARACTERS_MAX: i64 = 10_485_760;
/// The longest `bit(n)`: eight times `MaxAttrSize`.
pub const BITS_MAX: i64 = 83_886_080;

impl PgType {
    /// The built-in type that SQL text names: `numeric(10,2)`, `timestamp(3) with time zone`, `int[]`,
    /// `pg_catalog.int4`. `None` for any other name and for modifiers that the type does not take.
    pub fn parse_name(text: &str) -> Option<Self> {
        parse_type_name(text)
    }
}

/// The type of a parsed SQL type; `None` where it is not built in.
pub fn from_sql(data_type: &ast::DataType) -> Option<PgType> {
    parse_type_name(&data_type.to_string())
}

/// As [`PgType::parse_name`].
pub(crate) fn parse_type_name(text: &str) -> Option<PgType> {
    let text = text.trim();
    // "char" with quotes is another type than char.
    let base = text.strip_prefix("pg_catalog.").unwrap_or(text);
    if base == "\"char\"" {
        return Some(PgType::new(oids::CHAR));
    }
    if base == "\"char\"[]" {
        return PgType::new(oids::CHAR).array();
    }
    let lower = base.replace('"', "").to_ascii_lowercase();
    let mut name = lower.trim();
    let mut is_array = false;
    while let Some(rest) = name.strip_suffix(']') {
        let (rest, bound) = rest.rsplit_once('[')?;
        if !bound.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        name = rest.trim_end();
        is_array = true;
    }
    if let Some(rest) = name.strip_suffix(" array") {
        name = rest.trim_end();
        is_array = true;
    }
    let found = scalar(name)?;
    if is_array { found.array() } else { Some(found) }
}

/// A type that is not written as an array, lower case.
fn scalar(name: &str) -> Option<PgType> {
    let (words, arguments) = match name.split_once('(') {
        Some((before, rest)) => {
            let (arguments, after) = rest.split_once(')')?;
            let arguments: Option<Vec<i64>> = arguments.split(',').map(|part| part.trim().parse().ok()).collect();
            (format!("{before} {after}"), Some(arguments?))
        }
        None => (name.to_owned(), None),
    };
    let words: Vec<&str> = words.split_ascii_whitespace().collect();
    let arguments = arguments.as_deref();
    if let ["interval", fields @ ..] = words.as_slice() {
        return interval(fields, arguments);
    }
    let plain = words.join(" ");
    let oid = match plain.as_str() {
        "character varying" | "char varying" | "national character varying" | "nvarchar" | "varchar" => oids::VARCHAR,
        "character" | "char" | "national character" | "nchar" => {
            // Without a length it is one character.
            return with_arguments(oids::BPCHAR, Some(arguments.unwrap_or(&[1])));
        }
        "bit varying" | "varbit" => oids::VARBIT,
        "bit" => return with_arguments(oids::BIT, Some(arguments.unwrap_or(&[1]))),
        "timestamp with time zone" | "timestamptz" => oids::TIMESTAMPTZ,
        "timestamp" | "timestamp without time zone" => oids::TIMESTAMP,
        "time with time zone" | "timetz" => oids::TIMETZ,
        "time" | "time without time zone" => oids::TIME,
        "float" => match arguments {
            None | Some([25..=53]) => return Some(PgType::new(oids::FLOAT8)),
            Some([1..=24]) => return Some(PgType::new(oids::FLOAT4)),
            Some(_) => return None,
        },
        "integer" | "int" => oids::INT4,
        "string" | "double" => return None,
        "serial" | "bigserial" | "smallserial" => return None,
        other => BuiltinType::by_name(other)?.oid,
    };
    with_arguments(oid, arguments)
}

fn with_arguments(oid: u32, arguments: Option<&[i64]>) -> Option<PgType> {
    let Some(arguments) = arguments else { return Some(PgType::new(oid)) };
    match (oid, arguments) {
        (oids::NUMERIC, [precision @ 1..=NUMERIC_PRECISION_MAX]) => {
            Some(PgType::numeric(u16::try_from(*precision).ok()?, 0))
        }
        (oids::NUMERIC, [precision @ 1..=NUMERIC_PRECISION_MAX, scale @ -1000..=1000]) => {
            Some(PgType::numeric(u16::try_from(*precision).ok()?, i16::try_from(*scale).ok()?))
        }
        (oids::VARCHAR, [length @ 1..=CHARACTERS_MAX]) => Some(PgType::varchar(u32::try_from(*length).ok()?)),
        (oids::BPCHAR, [length @ 1..=CHARACTERS_MAX]) => Some(PgType::bpchar(u32::try_from(*length).ok()?)),
        (oids::BIT | oids::VARBIT, [length @ 1..=BITS_MAX]) => {
            Some(PgType::with_modifier(oid, i32::try_from(*length).ok()?))
        }
        (oids::TIME | oids::TIMETZ | oids::TIMESTAMP | oids::TIMESTAMPTZ, [precision]) if *precision >= 0 => {
            // PostgreSQL lowers a larger precision to 6 with a warning.
            Some(PgType::with_modifier(oid, i32::try_from(*precision.min(&6)).ok()?))
        }
        _ => None,
    }
}

/// `interval` with fields: `day to second(3)`, of which the words and the precision arrive apart.
fn interval(fields: &[&str], arguments: Option<&[i64]>) -> Option<PgType> {
    const FULL_RANGE: i32 = 0x7fff;
    const FULL_PRECISION: i32 = 0xffff;
    // Bits of the fields: src/include/utils/datetime.h.
    let bit = |field: &str| -> Option<(u8, i32)> {
        Some(match field {
            "year" => (0, 1 << 2),
            "month" => (1, 1 << 1),
            "day" => (2, 1 << 3),
            "hour" => (3, 1 << 10),
            "minute" => (4, 1 << 11),
            "second" => (5, 1 << 12),
            _ => return None,
        })
    };
    let precision = match arguments {
        None => FULL_PRECISION,
        Some([precision]) if *precision >= 0 => i32::try_from(*precision.min(&6)).ok()?,
        Some(_) => return None,
    };
    let range = match fields {
        [] if arguments.is_none() => return Some(PgType::new(oids::INTERVAL)),
        [] => FULL_RANGE,
        [field] => bit(field)?.1,
        [first, "to", last] => {
            let ((first, _), (last, _)) = (bit(first)?, bit(last)?);
            if first >= last || (first <= 1) != (last <= 1) {
                return None;
            }
            ["year", "month", "day", "hour", "minute", "second"]
                .iter()
                .filter_map(|field| bit(field))
                .filter(|(rank, _)| (first..=last).contains(rank))
                .fold(0, |range, (_, bit)| range | bit)
        }
        _ => return None,
    };
    Some(PgType::with_modifier(oids::INTERVAL, (range << 16) | precision))
}
