//! Where files lie: the texts of `location` and `filename`, taken apart.

use glob::{MatchOptions, Pattern};

use atoll_connector_api::{ConnectorError, Result};

/// Paths in one list.
const LIST_PATHS_MAX: usize = 10_000;
/// Segments of one path.
const SEGMENTS_MAX: usize = 64;

/// How names are matched: `*` and `?` stop at a slash, and a leading dot must be written out.
pub(crate) const MATCHING: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// Where a path leads, before anything is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Root {
    /// The local file system; the path is absolute, or relative to the first `--files-root`.
    Local {
        /// It began with a slash.
        absolute: bool,
    },
    /// A bucket or container of an object store, or an HTTP host.
    Remote {
        /// Which kind of store.
        kind: StoreKind,
        /// The bucket or container; for HTTP the scheme and authority, `https://host:port`.
        bucket: String,
    },
}

/// Kinds of object stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum StoreKind {
    S3,
    Gcs,
    Azure,
    Http,
}

impl StoreKind {
    /// The scheme under which messages show it.
    pub(crate) fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gcs => "gs",
            Self::Azure => "az",
            Self::Http => "https",
        }
    }
}

/// One path of an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) root: Root,
    /// The parts between slashes, empty ones and `.` left out.
    pub(crate) segments: Vec<String>,
    /// It ended in a slash: a directory is meant.
    pub(crate) directory: bool,
}

impl Location {
    /// Takes a path or URL apart.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> std::result::Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Err("a path may not be empty".into());
        }
        if text.contains('\0') {
            return Err("a path may not contain a NUL character".into());
        }
        let (root, path) = match text.split_once("://") {
            None => (Root::Local { absolute: text.starts_with('/') }, text),
            Some((scheme, rest)) => Self::remote(scheme, rest)?,
        };
        let segments: Vec<_> =
            path.split('/').filter(|part| !part.is_empty() && *part != ".").map(str::to_owned).collect();
        if segments.len() > SEGMENTS_MAX {
            return Err(format!("a path may have at most {SEGMENTS_MAX} parts"));
        }
        if segments.iter().any(|part| part == "..") {
            return Err("a path may not contain \"..\"".into());
        }
        Ok(Self { root, segments, directory: path.ends_with('/') })
    }

    fn remote<'a>(scheme: &str, rest: &'a str) -> std::result::Result<(Root, &'a str), String> {
        let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
        let kind = match scheme.to_ascii_lowercase().as_str() {
            "file" => return Ok((Root::Local { absolute: true }, path_of_file_url(rest)?)),
            "s3" | "s3a" => StoreKind::S3,
            "gs" | "gcs" => StoreKind::Gcs,
            "az" | "azure" | "abfs" | "abfss" => StoreKind::Azure,
            "http" | "https" => StoreKind::Http,
            other => return Err(format!("\"{other}\" is not a scheme that files are read from")),
        };
        if bucket.is_empty() {
            return Err("a URL must name a bucket or host".into());
        }
        if bucket.contains('@') {
            return Err("a URL may not hold a user name or password: they belong into the user mapping".into());
        }
        let bucket = match kind {
            StoreKind::Http => format!("{}://{bucket}", scheme.to_ascii_lowercase()),
            _ if bucket.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)) => bucket.to_owned(),
            _ => return Err(format!("\"{bucket}\" is not the name of a bucket")),
        };
        Ok((Root::Remote { kind, bucket }, path))
    }

    /// This path beneath `base`, the server's location. A path that begins at a root of its own must lie under it.
    ///
    /// # Errors
    /// [`ConnectorError::Denied`] where it does not.
    pub(crate) fn beneath(&self, base: &Self) -> Result<Self> {
        if self.root == (Root::Local { absolute: false }) {
            let segments = base.segments.iter().chain(&self.segments).cloned().collect();
            return Ok(Self { root: base.root.clone(), segments, directory: self.directory });
        }
        if self.root == base.root && self.segments.starts_with(&base.segments) {
            return Ok(self.clone());
        }
        Err(ConnectorError::Denied {
            message: format!("the file \"{}\" does not lie under the server's location", self.display()),
            hint: Some("Give a path relative to the server's location, or one under it.".into()),
        })
    }

    /// The path as a user would write it.
    pub(crate) fn display(&self) -> String {
        let path = self.segments.join("/");
        match &self.root {
            Root::Local { absolute: true } => format!("/{path}"),
            Root::Local { absolute: false } => path,
            Root::Remote { kind: StoreKind::Http, bucket } => format!("{bucket}/{path}"),
            Root::Remote { kind, bucket } => format!("{}://{bucket}/{path}", kind.scheme()),
        }
    }
}

fn path_of_file_url(rest: &str) -> std::result::Result<&str, String> {
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    if path.starts_with('/') { Ok(path) } else { Err("a file URL must hold an absolute path".into()) }
}

/// Whether a part of a path is a pattern rather than a name.
pub(crate) fn is_pattern(segment: &str) -> bool {
    segment.contains(['*', '?', '['])
}

/// The pattern of one part of a path.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn pattern(segment: &str) -> std::result::Result<Pattern, String> {
    Pattern::new(segment).map_err(|error| format!("\"{segment}\" is not a valid pattern: {}", error.msg))
}

/// The paths of an option: one, several between commas, a JSON array of strings or a PostgreSQL array.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse_list(text: &str) -> std::result::Result<Vec<Location>, String> {
    let paths = split_list(text)?;
    if paths.is_empty() {
        return Err("at least one path is needed".into());
    }
    if paths.len() > LIST_PATHS_MAX {
        return Err(format!("a list may hold at most {LIST_PATHS_MAX} paths"));
    }
    let locations: Vec<_> = paths.iter().map(|path| Location::parse(path)).collect::<std::result::Result<_, _>>()?;
    for segment in locations.iter().flat_map(|location| &location.segments).filter(|segment| is_pattern(segment)) {
        pattern(segment)?;
    }
    Ok(locations)
}

fn split_list(text: &str) -> std::result::Result<Vec<String>, String> {
    let text = text.trim();
    // A pattern may begin with a bracket too; only what is an array of strings is taken for one.
    if text.starts_with('[')
        && let Ok(paths) = serde_json::from_str::<Vec<String>>(text)
    {
        return Ok(paths);
    }
    let text = match text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        Some(inner) => inner,
        None => text,
    };
    let mut paths = Vec::new();
    let mut current = String::new();
    let mut quoted = false;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => quoted = !quoted,
            '\\' if quoted => current.extend(chars.next()),
            ',' if !quoted => paths.push(std::mem::take(&mut current)),
            c => current.push(c),
        }
    }
    if quoted {
        return Err("a quoted path is not terminated".into());
    }
    paths.push(current);
    Ok(paths.into_iter().map(|path| path.trim().to_owned()).collect())
}

/// Decodes `%41` as URLs and Hive's directories write it; anything else stays as it is.
pub(crate) fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let code = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| byte == b'%') {
            Some(decoded) if tail[..2].iter().all(u8::is_ascii_hexdigit) => {
                bytes.push(decoded);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        parse_list(text).unwrap().iter().map(Location::display).collect()
    }

    #[test]
    fn splits_lists_in_all_three_spellings() {
        assert_eq!(shown("a.csv, b.csv"), ["a.csv", "b.csv"]);
        assert_eq!(shown(r#"["a,1.csv", "b.csv"]"#), ["a,1.csv", "b.csv"]);
        assert_eq!(shown(r#"{a.csv,"b,2.csv"}"#), ["a.csv", "b,2.csv"]);
        assert_eq!(shown("[ab]*.csv"), ["[ab]*.csv"]);
        assert!(parse_list("\"a.csv").is_err());
        assert!(parse_list("a.csv,").is_err());
    }

    #[test]
    fn takes_urls_apart() {
        let s3 = Location::parse("s3://bucket/a/b.csv").unwrap();
        assert_eq!(s3.root, Root::Remote { kind: StoreKind::S3, bucket: "bucket".into() });
        assert_eq!(s3.segments, ["a", "b.csv"]);
        assert_eq!(Location::parse("http://h:9000/x").unwrap().display(), "http://h:9000/x");
        assert_eq!(Location::parse("file:///srv/x.csv").unwrap().display(), "/srv/x.csv");
        assert!(Location::parse("ftp://h/x").is_err());
        assert!(Location::parse("https://user:secret@h/x").is_err_and(|reason| !reason.contains("secret")));
        assert!(Location::parse("s3://").is_err());
        assert!(Location::parse("a/../b").is_err());
    }

    #[test]
    fn keeps_paths_beneath_the_server_s_location() {
        let base = Location::parse("s3://bucket/data").unwrap();
        let beneath = |text| Location::parse(text).unwrap().beneath(&base).map(|location| location.display());
        assert_eq!(beneath("x/*.csv").unwrap(), "s3://bucket/data/x/*.csv");
        assert_eq!(beneath("s3://bucket/data/x.csv").unwrap(), "s3://bucket/data/x.csv");
        assert!(matches!(beneath("s3://bucket/database/x.csv"), Err(ConnectorError::Denied { .. })));
        assert!(matches!(beneath("/etc/passwd"), Err(ConnectorError::Denied { .. })));
        assert!(matches!(beneath("s3://other/data/x.csv"), Err(ConnectorError::Denied { .. })));
    }

    #[test]
    fn decodes_percent_sequences_and_nothing_else() {
        assert_eq!(percent_decode("S%C3%A3o%20Paulo").as_deref(), Some("São Paulo"));
        assert_eq!(percent_decode("100%").as_deref(), Some("100%"));
        assert_eq!(percent_decode("%zz%+1").as_deref(), Some("%zz%+1"));
        assert_eq!(percent_decode("%ff"), None);
    }
}
