//! What a column's declared type means: SQLite's affinity, and the PostgreSQL type under which it is seen.

use atoll_connector_api::types::{PgType, oids};

/// Digits of precision that `numeric(p,s)` may declare here: those that Arrow stores.
const NUMERIC_PRECISION_MAX: u16 = 76;

/// The type that SQLite prefers for a column's values (sqlite.org/datatype3.html, 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Affinity {
    Integer,
    Text,
    /// No preference; SQLite calls it BLOB.
    Blob,
    Real,
    Numeric,
}

impl Affinity {
    /// The affinity of a declared type. In a STRICT table `ANY` means no preference, elsewhere it is a name like another.
    pub(crate) fn of(declared: &str, strict: bool) -> Self {
        let upper = declared.to_ascii_uppercase();
        let has = |part: &str| upper.contains(part);
        if has("INT") {
            Self::Integer
        } else if has("CHAR") || has("CLOB") || has("TEXT") {
            Self::Text
        } else if has("BLOB") || upper.is_empty() || (strict && upper == "ANY") {
            Self::Blob
        } else if has("REAL") || has("FLOA") || has("DOUB") {
            Self::Real
        } else {
            Self::Numeric
        }
    }
}

/// The PostgreSQL type of a declared type. What is not known is text, which takes every value.
pub(crate) fn pg_type(declared: &str) -> PgType {
    let lower = declared.to_ascii_lowercase();
    let (base, arguments) = split(&lower);
    let oid = match base {
        "bool" | "boolean" => oids::BOOL,
        "date" => oids::DATE,
        "datetime" | "timestamp" | "timestamp without time zone" => oids::TIMESTAMP,
        "timestamptz" | "timestamp with time zone" => oids::TIMESTAMPTZ,
        "time" | "time without time zone" => oids::TIME,
        "uuid" => oids::UUID,
        "json" => oids::JSON,
        "jsonb" => oids::JSONB,
        "binary" | "varbinary" | "image" | "bytea" => oids::BYTEA,
        "smallserial" | "serial" | "bigserial" => oids::INT8,
        "numeric" | "decimal" | "dec" | "number" | "num" => return numeric(arguments),
        _ if base.split_whitespace().any(is_integer_word) => oids::INT8,
        _ => match Affinity::of(declared, false) {
            Affinity::Real => oids::FLOAT8,
            Affinity::Blob if base.contains("blob") => oids::BYTEA,
            _ => oids::TEXT,
        },
    };
    PgType::new(oid)
}

// `POINT` or `PRINTED` have integer affinity by SQLite's rule too, but hold anything.
fn is_integer_word(word: &str) -> bool {
    matches!(word, "int" | "integer" | "tinyint" | "smallint" | "mediumint" | "bigint" | "int2" | "int4" | "int8")
}

fn numeric(arguments: &str) -> PgType {
    let mut parts = arguments.split(',').map(str::trim);
    let precision = parts.next().and_then(|text| text.parse::<u16>().ok());
    let scale = parts.next().map_or(Some(0), |text| text.parse::<u16>().ok());
    match (precision, scale) {
        (Some(precision @ 1..=NUMERIC_PRECISION_MAX), Some(scale)) if scale <= precision => {
            i16::try_from(scale).map_or(PgType::new(oids::NUMERIC), |scale| PgType::numeric(precision, scale))
        }
        _ => PgType::new(oids::NUMERIC),
    }
}

/// A declared type's name and what stands in its parentheses.
fn split(declared: &str) -> (&str, &str) {
    match declared.split_once('(') {
        Some((base, rest)) => (base.trim(), rest.split(')').next().unwrap_or("")),
        None => (declared.trim(), ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_rules_of_affinity_in_their_order() {
        let cases = [
            ("INTEGER", Affinity::Integer),
            ("CHARINT", Affinity::Integer),
            ("VARCHAR(10)", Affinity::Text),
            ("native character(70)", Affinity::Text),
            ("", Affinity::Blob),
            ("blob", Affinity::Blob),
            ("DOUBLE PRECISION", Affinity::Real),
            ("FLOATING POINT", Affinity::Integer),
            ("DECIMAL(10,5)", Affinity::Numeric),
            ("STRING", Affinity::Numeric),
            ("ANY", Affinity::Numeric),
        ];
        for (declared, expected) in cases {
            assert_eq!(Affinity::of(declared, false), expected, "{declared}");
        }
        assert_eq!(Affinity::of("ANY", true), Affinity::Blob);
    }

    #[test]
    fn maps_declared_types_to_types_of_postgresql() {
        let cases = [
            ("INTEGER", "bigint"),
            ("UNSIGNED BIG INT", "bigint"),
            ("unsigned bigint", "bigint"),
            ("INT(11)", "bigint"),
            ("POINT", "text"),
            ("REAL", "double precision"),
            ("VARCHAR(20)", "text"),
            ("BLOB", "bytea"),
            ("", "text"),
            ("NUMERIC", "numeric"),
            ("DECIMAL(10, 2)", "numeric(10,2)"),
            ("DECIMAL(5)", "numeric(5,0)"),
            ("DECIMAL(99,2)", "numeric"),
            ("DECIMAL(2,5)", "numeric"),
            ("DECIMAL(x", "numeric"),
            ("BOOLEAN", "boolean"),
            ("DATE", "date"),
            ("DATETIME", "timestamp without time zone"),
            ("TIME", "time without time zone"),
            ("UUID", "uuid"),
            ("JSON", "json"),
            ("STRING", "text"),
            ("BINARY(16)", "bytea"),
            ("varbinary(20)", "bytea"),
            ("IMAGE", "bytea"),
            ("BYTEA", "bytea"),
            ("JSONB", "jsonb"),
            ("BIGSERIAL", "bigint"),
        ];
        for (declared, expected) in cases {
            assert_eq!(pg_type(declared).sql_name(), expected, "{declared}");
        }
    }
}
