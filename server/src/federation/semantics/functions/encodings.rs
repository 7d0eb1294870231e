//! Text in other encodings, Unicode's normal forms, and what is left of the functions of `bytea`.

use atoll_connector_api::types::oids;
use unicode_normalization::UnicodeNormalization;

use super::bits::{bit_index_in, byte_index_in};
use super::{BOOL, BYTEA, Call, Datum, Function, INT4, INT8, Kind, TEXT, invalid, strict, text};
use crate::error::{SqlError, SqlResult, SqlState};

const NAME: Kind = Kind::Of(oids::NAME);
const UNTRANSLATABLE: SqlState = SqlState(*b"22P05");

pub(super) const FUNCTIONS: &[Function] = &[
    strict("convert_from", &[BYTEA, TEXT], TEXT, |call| text(decoded(call.bytes(0), Encoding::source(call.text(1))?)?)),
    strict("convert_from", &[BYTEA, NAME], TEXT, |call| text(decoded(call.bytes(0), Encoding::source(call.text(1))?)?)),
    strict("convert_to", &[TEXT, TEXT], BYTEA, |call| encoded(call.text(0), Encoding::target(call.text(1))?)),
    strict("convert_to", &[TEXT, NAME], BYTEA, |call| encoded(call.text(0), Encoding::target(call.text(1))?)),
    strict("convert", &[BYTEA, TEXT, TEXT], BYTEA, |call| {
        let (source, target) = (Encoding::source(call.text(1))?, Encoding::target(call.text(2))?);
        encoded(&decoded(call.bytes(0), source)?, target)
    }),
    strict("length", &[BYTEA, TEXT], INT4, |call| {
        let encoding =
            Encoding::named(call.text(1), || invalid(format!("invalid encoding name \"{}\"", call.text(1))))?;
        Ok(Datum::Int(i64::try_from(decoded(call.bytes(0), encoding)?.chars().count()).unwrap_or(i64::MAX)))
    }),
    strict("normalize", &[TEXT], TEXT, |call| text(normalized(call.text(0), "nfc")?)),
    strict("normalize", &[TEXT, TEXT], TEXT, |call| text(normalized(call.text(0), call.text(1))?)),
    strict("is_normalized", &[TEXT, TEXT], BOOL, |call| {
        Ok(Datum::Bool(normalized(call.text(0), call.text(1))? == call.text(0)))
    }),
    strict("bit_length", &[BYTEA], INT4, |call| Ok(Datum::Int(i64::try_from(call.bytes(0).len() * 8).unwrap_or(0)))),
    strict("position", &[BYTEA, BYTEA], INT4, |call| {
        let (value, part) = (call.bytes(0), call.bytes(1));
        if part.is_empty() {
            return Ok(Datum::Int(1));
        }
        let found = value.windows(part.len()).position(|window| window == part);
        Ok(Datum::Int(found.map_or(0, |at| i64::try_from(at).unwrap_or(0) + 1)))
    }),
    strict("ltrim", &[BYTEA, BYTEA], BYTEA, |call| Ok(Datum::Bytes(trimmed(call, true, false).to_vec()))),
    strict("rtrim", &[BYTEA, BYTEA], BYTEA, |call| Ok(Datum::Bytes(trimmed(call, false, true).to_vec()))),
    strict("btrim", &[BYTEA, BYTEA], BYTEA, |call| Ok(Datum::Bytes(trimmed(call, true, true).to_vec()))),
    strict("set_byte", &[BYTEA, INT4, INT4], BYTEA, |call| {
        let index = byte_index_in(call)?;
        let mut bytes = call.bytes(0).to_vec();
        if let Some(byte) = bytes.get_mut(index) {
            *byte = u8::try_from(call.int(2) & 0xff).unwrap_or(0);
        }
        Ok(Datum::Bytes(bytes))
    }),
    strict("set_bit", &[BYTEA, INT8, INT4], BYTEA, |call| {
        let index = bit_index_in(call)?;
        if !matches!(call.int(2), 0 | 1) {
            return Err(invalid("new bit must be 0 or 1"));
        }
        let mut bytes = call.bytes(0).to_vec();
        if let Some(byte) = bytes.get_mut(index / 8) {
            let mask = 1_u8 << (index % 8);
            *byte = if call.int(2) == 1 { *byte | mask } else { *byte & !mask };
        }
        Ok(Datum::Bytes(bytes))
    }),
];

/// Encodings that are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Utf8,
    Latin1,
    Ascii,
}

/// Names of PostgreSQL's other encodings, without what is no letter or digit.
const UNBUILT: &[&str] = &[
    "abc",
    "alt",
    "big5",
    "euccn",
    "eucjis2004",
    "eucjp",
    "euckr",
    "euctw",
    "gb18030",
    "gbk",
    "iso885910",
    "iso885913",
    "iso885914",
    "iso885915",
    "iso885916",
    "iso88592",
    "iso88593",
    "iso88594",
    "iso88595",
    "iso88596",
    "iso88597",
    "iso88598",
    "iso88599",
    "johab",
    "koi8",
    "koi8r",
    "koi8u",
    "latin10",
    "latin2",
    "latin3",
    "latin4",
    "latin5",
    "latin6",
    "latin7",
    "latin8",
    "latin9",
    "muleinternal",
    "shiftjis",
    "shiftjis2004",
    "sjis",
    "tcvn",
    "tcvn5712",
    "uhc",
    "vscii",
    "win",
    "win1250",
    "win1251",
    "win1252",
    "win1253",
    "win1254",
    "win1255",
    "win1256",
    "win1257",
    "win1258",
    "win866",
    "win874",
    "win932",
    "win936",
    "win949",
    "win950",
    "windows1250",
    "windows1251",
    "windows1252",
    "windows1253",
    "windows1254",
    "windows1255",
    "windows1256",
    "windows1257",
    "windows1258",
    "windows866",
    "windows874",
    "windows932",
    "windows936",
    "windows949",
    "windows950",
];

impl Encoding {
    fn named(name: &str, unknown: impl FnOnce() -> SqlError) -> SqlResult<Self> {
        let plain: String =
            name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect();
        match plain.as_str() {
            "utf8" | "unicode" => Ok(Self::Utf8),
            "latin1" | "iso88591" => Ok(Self::Latin1),
            "sqlascii" => Ok(Self::Ascii),
            plain if UNBUILT.contains(&plain) => {
                Err(SqlError::unsupported(format!("the encoding \"{name}\" is not supported")))
            }
            _ => Err(unknown()),
        }
    }

    fn source(name: &str) -> SqlResult<Self> {
        Self::named(name, || invalid(format!("invalid source encoding name \"{name}\"")))
    }

    fn target(name: &str) -> SqlResult<Self> {
        Self::named(name, || invalid(format!("invalid destination encoding name \"{name}\"")))
    }
}

fn bad_bytes(bytes: &[u8]) -> SqlError {
    let shown: Vec<String> = bytes.iter().map(|byte| format!("0x{byte:02x}")).collect();
    let message = format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" "));
    SqlError::new(SqlState(*b"22021"), message)
}

fn decoded(bytes: &[u8], encoding: Encoding) -> SqlResult<String> {
    if bytes.contains(&0) {
        return Err(bad_bytes(&[0]));
    }
    if encoding == Encoding::Latin1 {
        return Ok(bytes.iter().map(|byte| char::from(*byte)).collect());
    }
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|error| {
        let first = error.valid_up_to();
        let length = error.error_len().unwrap_or(bytes.len() - first);
        bad_bytes(bytes.get(first..first + length.max(1)).unwrap_or_default())
    })
}

fn encoded(value: &str, encoding: Encoding) -> SqlResult<Datum> {
    if encoding != Encoding::Latin1 {
        return Ok(Datum::Bytes(value.as_bytes().to_vec()));
    }
    let byte = |letter: char| {
        u8::try_from(u32::from(letter)).map_err(|_| {
            let bytes: Vec<String> = letter.to_string().bytes().map(|byte| format!("0x{byte:02x}")).collect();
            let message = format!(
                "character with byte sequence {} in encoding \"UTF8\" has no equivalent in encoding \"LATIN1\"",
                bytes.join(" ")
            );
            SqlError::new(UNTRANSLATABLE, message)
        })
    };
    value.chars().map(byte).collect::<SqlResult<Vec<u8>>>().map(Datum::Bytes)
}

fn normalized(value: &str, form: &str) -> SqlResult<String> {
    Ok(match form.to_ascii_lowercase().as_str() {
        "nfc" => value.nfc().collect(),
        "nfd" => value.nfd().collect(),
        "nfkc" => value.nfkc().collect(),
        "nfkd" => value.nfkd().collect(),
        _ => return Err(invalid(format!("invalid normalization form: {form}"))),
    })
}

/// The first argument without bytes of the second at its ends.
fn trimmed<'a>(call: &'a Call<'_>, front: bool, back: bool) -> &'a [u8] {
    let (mut value, set) = (call.bytes(0), call.bytes(1));
    while front
        && let [first, rest @ ..] = value
        && set.contains(first)
    {
        value = rest;
    }
    while back
        && let [rest @ .., last] = value
        && set.contains(last)
    {
        value = rest;
    }
    value
}
