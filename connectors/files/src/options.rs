//! The options of the file wrappers: their names, their checks and their values in types.

use atoll_connector_api::options::{check_bool, check_positive, parse_bool};
use atoll_connector_api::{ConnectorError, OptionScope, OptionSpec, Options, Result};
use encoding_rs::Encoding;

use crate::location::{Location, parse_list};

/// Rows that are read to find the types of columns, unless `infer_rows` says otherwise.
const INFER_ROWS: usize = 1000;

type Check = std::result::Result<(), String>;

/// What a wrapper reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Parquet,
    Csv,
    Json,
}

impl Format {
    /// The wrapper's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }

    /// The format as messages write it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Parquet => "Parquet",
            Self::Csv => "CSV",
            Self::Json => "JSON",
        }
    }

    fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::Parquet => &["parquet", "parq", "pq"],
            Self::Csv => &["csv", "tsv"],
            Self::Json => &["json", "jsonl", "ndjson"],
        }
    }

    /// A file name without its extensions, if they are this format's; a compression's may follow those of text formats.
    pub(crate) fn stem(self, name: &str) -> Option<&str> {
        let plain = match name.rsplit_once('.') {
            Some((rest, extension)) if self != Self::Parquet && Compression::of_extension(extension).is_some() => rest,
            _ => name,
        };
        let (stem, extension) = plain.rsplit_once('.')?;
        (!stem.is_empty() && self.extensions().iter().any(|known| extension.eq_ignore_ascii_case(known)))
            .then_some(stem)
    }

    /// Whether a file name has this format's extension.
    pub(crate) fn has_extension(self, name: &str) -> bool {
        self.stem(name).is_some()
    }
}

/// Compression of a text file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    fn of_extension(extension: &str) -> Option<Self> {
        match extension.to_ascii_lowercase().as_str() {
            "gz" | "gzip" => Some(Self::Gzip),
            "zst" | "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// The compression that a file's name tells.
    ///
    /// # Errors
    /// One that is known and not built.
    pub(crate) fn of_name(name: &str) -> Result<Self> {
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        match extension.to_ascii_lowercase().as_str() {
            "bz2" | "xz" | "lz4" | "br" | "zip" | "snappy" => Err(ConnectorError::Unsupported {
                message: format!("reading files compressed as \".{extension}\" is not supported"),
                hint: Some("Supported are gzip and zstd.".into()),
            }),
            _ => Ok(Self::of_extension(extension).unwrap_or(Self::None)),
        }
    }
}

/// Whether the first line of a CSV file names its columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Header {
    /// It does when it holds a declared column's name, or where no columns are declared.
    Auto,
    Yes,
    No,
}

/// How the fields of a CSV file are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CsvOptions {
    pub(crate) header: Header,
    /// `None`: a comma, or a tab in files that end in `.tsv`.
    pub(crate) delimiter: Option<u8>,
    pub(crate) quote: u8,
    pub(crate) escape: u8,
    /// What stands for NULL where it is not quoted.
    pub(crate) null: String,
}

/// The options of one foreign table.
#[derive(Debug, Clone)]
pub(crate) struct TableOptions {
    pub(crate) source: TableSource,
    pub(crate) csv: CsvOptions,
    pub(crate) encoding: &'static Encoding,
    /// `None`: as the file's name tells.
    pub(crate) compression: Option<Compression>,
    pub(crate) infer_rows: usize,
}

/// What names the files of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TableSource {
    /// `filename` or `location`.
    Paths(Vec<Location>),
    /// `table_name`: a live table by its name.
    Live(String),
}

const COMMON: [OptionSpec; 16] = [
    OptionSpec::checked("location", OptionScope::Server, check_location),
    OptionSpec::checked("endpoint", OptionScope::Server, check_endpoint),
    OptionSpec::text("region", OptionScope::Server),
    OptionSpec::checked("path_style", OptionScope::Server, check_bool),
    OptionSpec::checked("credentials", OptionScope::Server, check_credentials),
    OptionSpec::text("account", OptionScope::Server),
    OptionSpec::text("access_key_id", OptionScope::UserMapping),
    OptionSpec::secret("secret_access_key", OptionScope::UserMapping),
    OptionSpec::secret("session_token", OptionScope::UserMapping),
    OptionSpec::secret("service_account_key", OptionScope::UserMapping),
    OptionSpec::text("account", OptionScope::UserMapping),
    OptionSpec::secret("access_key", OptionScope::UserMapping),
    OptionSpec::checked("filename", OptionScope::Table, check_paths),
    OptionSpec::checked("location", OptionScope::Table, check_paths),
    OptionSpec::text("table_name", OptionScope::Table),
    OptionSpec::text("column_name", OptionScope::Column),
];

/// Parquet files describe themselves: their tables have no options of their own.
pub(crate) static PARQUET: &[OptionSpec] =
    &with::<1, 17>([OptionSpec::checked("format", OptionScope::Table, |value| check_format(value, "parquet"))]);

/// Options of CSV tables and columns; those of `file_fdw` go by its names.
pub(crate) static CSV: &[OptionSpec] = &with::<11, 27>([
    OptionSpec::checked("format", OptionScope::Table, |value| check_format(value, "csv")),
    OptionSpec::checked("header", OptionScope::Table, check_header),
    OptionSpec::checked("delimiter", OptionScope::Table, check_byte),
    OptionSpec::checked("quote", OptionScope::Table, check_byte),
    OptionSpec::checked("escape", OptionScope::Table, check_byte),
    OptionSpec::checked("null", OptionScope::Table, check_null),
    OptionSpec::checked("encoding", OptionScope::Table, check_encoding),
    OptionSpec::checked("compression", OptionScope::Table, check_compression),
    OptionSpec::checked("infer_rows", OptionScope::Table, check_positive),
    OptionSpec::checked("force_not_null", OptionScope::Column, check_bool),
    OptionSpec::checked("force_null", OptionScope::Column, check_bool),
]);

/// Options of JSON tables.
pub(crate) static JSON: &[OptionSpec] = &with::<4, 20>([
    OptionSpec::checked("format", OptionScope::Table, |value| check_format(value, "json")),
    OptionSpec::checked("encoding", OptionScope::Table, check_encoding),
    OptionSpec::checked("compression", OptionScope::Table, check_compression),
    OptionSpec::checked("infer_rows", OptionScope::Table, check_positive),
]);

/// The common options followed by a wrapper's own.
const fn with<const OWN: usize, const TOTAL: usize>(own: [OptionSpec; OWN]) -> [OptionSpec; TOTAL] {
    assert!(TOTAL == COMMON.len() + OWN, "the length is the sum");
    let mut all = [COMMON[0]; TOTAL];
    let mut index = 0;
    while index < TOTAL {
        all[index] = if index < COMMON.len() { COMMON[index] } else { own[index - COMMON.len()] };
        index += 1;
    }
    all
}

fn check_location(value: &str) -> Check {
    Location::parse(value).map(|_| ())
}

fn check_paths(value: &str) -> Check {
    parse_list(value).map(|_| ())
}

fn check_endpoint(value: &str) -> Check {
    let url = url::Url::parse(value).map_err(|_| "requires a URL, for example https://s3.example.com".to_owned())?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("requires a URL that begins with http:// or https://".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL may not hold a user name or password: they belong into the user mapping".into());
    }
    Ok(())
}

fn check_credentials(value: &str) -> Check {
    match value {
        "mapping" | "ambient" => Ok(()),
        _ => Err("valid values are mapping and ambient".into()),
    }
}

fn check_format(value: &str, wrapper: &str) -> Check {
    let lower = value.to_ascii_lowercase();
    if lower == wrapper || (wrapper == "json" && (lower == "ndjson" || lower == "jsonl")) {
        return Ok(());
    }
    Err(format!("the wrapper {wrapper} reads the format {wrapper} only"))
}

fn check_header(value: &str) -> Check {
    parse_header(value).map(|_| ()).ok_or_else(|| "valid values are auto and a Boolean value".into())
}

fn check_byte(value: &str) -> Check {
    parse_byte(value).map(|_| ()).ok_or_else(|| "must be a single one-byte character, not a line break".into())
}

fn check_null(value: &str) -> Check {
    if value.contains(['\n', '\r']) { Err("cannot use newline or carriage return".into()) } else { Ok(()) }
}

fn check_encoding(value: &str) -> Check {
    parse_encoding(value).map(|_| ()).ok_or_else(|| "is not an encoding that Atoll knows".into())
}

fn check_compression(value: &str) -> Check {
    parse_compression(value).map(|_| ()).ok_or_else(|| "valid values are auto, none, gzip and zstd".into())
}

fn parse_header(value: &str) -> Option<Header> {
    match value.to_ascii_lowercase().as_str() {
        "auto" => Some(Header::Auto),
        "match" => Some(Header::Yes),
        other => parse_bool(other).map(|yes| if yes { Header::Yes } else { Header::No }),
    }
}

fn parse_byte(value: &str) -> Option<u8> {
    match value.as_bytes() {
        // A tab is hard to type between quotes.
        b"\\t" => Some(b'\t'),
        [byte] if byte.is_ascii() && !matches!(byte, b'\n' | b'\r' | 0) => Some(*byte),
        _ => None,
    }
}

fn parse_encoding(value: &str) -> Option<&'static Encoding> {
    // PostgreSQL's names that the WHATWG's table of labels lacks.
    let lower = value.trim().to_ascii_lowercase().replace('_', "-");
    let label = match lower.as_str() {
        "unicode" => "utf-8",
        "latin2" => "iso-8859-2",
        "win" | "win1251" => "windows-1251",
        "win1250" => "windows-1250",
        "win1252" => "windows-1252",
        "win1253" => "windows-1253",
        "win1254" => "windows-1254",
        "win1255" => "windows-1255",
        "win1256" => "windows-1256",
        "win1257" => "windows-1257",
        "win1258" | "abc" | "vscii" => "windows-1258",
        "win866" | "alt" => "ibm866",
        "koi8" => "koi8-r",
        "koi8r" => "koi8-r",
        "koi8u" => "koi8-u",
        "sjis" | "shiftjis" => "shift-jis",
        "uhc" | "win949" => "euc-kr",
        other => other,
    };
    Encoding::for_label(label.as_bytes())
}

fn parse_compression(value: &str) -> Option<Option<Compression>> {
    match value.to_ascii_lowercase().as_str() {
        "auto" => Some(None),
        "none" => Some(Some(Compression::None)),
        "gzip" | "gz" => Some(Some(Compression::Gzip)),
        "zstd" | "zst" => Some(Some(Compression::Zstd)),
        _ => None,
    }
}

fn value_error(option: &str, reason: impl Into<String>) -> ConnectorError {
    ConnectorError::OptionValue { option: option.into(), reason: reason.into() }
}

impl TableOptions {
    /// Reads the options of a foreign table, `object` in messages.
    ///
    /// # Errors
    /// Option errors, those that only show between two options included.
    pub(crate) fn parse(options: &Options, object: &str) -> Result<Self> {
        Ok(Self {
            source: source(options, object)?,
            csv: csv(options)?,
            encoding: read(options, "encoding", parse_encoding)?.unwrap_or(encoding_rs::UTF_8),
            compression: read(options, "compression", parse_compression)?.flatten(),
            infer_rows: options.number("infer_rows", INFER_ROWS)?,
        })
    }
}

fn source(options: &Options, object: &str) -> Result<TableSource> {
    let given: Vec<_> =
        ["filename", "location", "table_name"].into_iter().filter(|name| options.get(name).is_some()).collect();
    match given.as_slice() {
        [] => Err(ConnectorError::OptionMissing { option: "filename", object: object.to_owned() }),
        ["table_name"] => Ok(TableSource::Live(options.get("table_name").unwrap_or_default().to_owned())),
        [one] => {
            let paths = parse_list(options.get(one).unwrap_or_default()).map_err(|reason| value_error(one, reason))?;
            Ok(TableSource::Paths(paths))
        }
        [first, second, ..] => Err(value_error(second, format!("cannot be given beside \"{first}\""))),
    }
}

fn csv(options: &Options) -> Result<CsvOptions> {
    let quote = read(options, "quote", parse_byte)?.unwrap_or(b'"');
    let parsed = CsvOptions {
        header: read(options, "header", parse_header)?.unwrap_or(Header::Auto),
        delimiter: read(options, "delimiter", parse_byte)?,
        quote,
        escape: read(options, "escape", parse_byte)?.unwrap_or(quote),
        null: options.get("null").unwrap_or_default().to_owned(),
    };
    let delimiter = parsed.delimiter.unwrap_or(b',');
    if delimiter == quote {
        return Err(value_error("quote", "delimiter and quote must be different"));
    }
    if parsed.null.as_bytes().contains(&delimiter) {
        return Err(value_error("null", "the delimiter must not appear in the NULL specification"));
    }
    if parsed.null.as_bytes().contains(&quote) {
        return Err(value_error("null", "the quote character must not appear in the NULL specification"));
    }
    Ok(parsed)
}

fn read<T>(options: &Options, name: &str, parse: fn(&str) -> Option<T>) -> Result<Option<T>> {
    match options.get(name) {
        None => Ok(None),
        Some(text) => parse(text).map(Some).ok_or_else(|| value_error(name, "is not valid")),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use atoll_connector_api::options::check_options;

    fn options(pairs: &[(&str, &str)]) -> Options {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn parse(pairs: &[(&str, &str)]) -> Result<TableOptions> {
        TableOptions::parse(&options(pairs), "foreign table \"t\"")
    }

    #[test]
    fn knows_file_names_with_and_without_compression() {
        assert_eq!(Format::Csv.stem("orders.csv.gz"), Some("orders"));
        assert_eq!(Format::Csv.stem("a.b.CSV"), Some("a.b"));
        assert_eq!(Format::Json.stem("events.ndjson.zst"), Some("events"));
        assert_eq!(Format::Parquet.stem("x.parquet"), Some("x"));
        assert_eq!(Format::Parquet.stem("x.parquet.gz"), None);
        assert_eq!(Format::Csv.stem(".csv"), None);
        assert_eq!(Format::Csv.stem("x.parquet"), None);
    }

    #[test]
    fn has_file_fdw_s_defaults() {
        let parsed = parse(&[("filename", "a.csv")]).unwrap();
        assert_eq!(
            parsed.csv,
            CsvOptions { header: Header::Auto, delimiter: None, quote: b'"', escape: b'"', null: String::new() }
        );
        assert_eq!(parsed.encoding, encoding_rs::UTF_8);
        assert_eq!(parse(&[("filename", "a.csv"), ("quote", "'")]).unwrap().csv.escape, b'\'');
    }

    #[test]
    fn refuses_options_that_contradict_each_other() {
        let reason = |pairs: &[(&str, &str)]| parse(pairs).unwrap_err().to_string();
        assert!(reason(&[]).contains("filename"));
        assert!(reason(&[("filename", "a"), ("location", "b")]).contains("beside"));
        assert!(reason(&[("filename", "a"), ("delimiter", "\"")]).contains("different"));
        assert!(reason(&[("filename", "a"), ("null", "a,b")]).contains("NULL"));
    }

    #[test]
    fn checks_values_when_they_are_given() {
        let refused = |name, value| check_options(CSV, OptionScope::Table, [(name, value)]).is_err();
        assert!(refused("delimiter", "ab") && refused("delimiter", "\n") && !refused("delimiter", "\\t"));
        assert!(refused("header", "maybe") && !refused("header", "auto"));
        assert!(refused("format", "text") && !refused("format", "csv"));
        assert!(refused("encoding", "klingon") && !refused("encoding", "LATIN1"));
        assert!(refused("compression", "rar"));
        assert!(refused("infer_rows", "0"));
        assert!(refused("filename", "a/../b"));
        assert!(refused("program", "rm -rf /"));
        let server = |name, value| check_options(CSV, OptionScope::Server, [(name, value)]).is_err();
        assert!(server("endpoint", "localhost:9000") && !server("endpoint", "http://localhost:9000"));
        assert!(server("endpoint", "http://user:pw@localhost"));
        assert!(server("location", "ftp://x/y"));
        assert!(!server("credentials", "ambient") && server("credentials", "mine"));
    }

    #[test]
    fn secrets_are_declared_as_such() {
        for specs in [PARQUET, CSV, JSON] {
            for spec in specs {
                let expected =
                    ["secret_access_key", "session_token", "service_account_key", "access_key"].contains(&spec.name);
                assert_eq!(spec.secret, expected, "{}", spec.name);
            }
        }
    }
}
