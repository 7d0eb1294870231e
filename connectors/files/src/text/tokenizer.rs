//! CSV as PostgreSQL's COPY reads it: where records and fields begin and end.
//!
//! A field is known to be quoted or not, because only an unquoted one can be NULL; that is why arrow's and csv's readers,
//! which forget it, are not used.

use std::ops::Range;

use super::COLUMNS_MAX;

/// What makes CSV differ from CSV.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dialect {
    pub(crate) delimiter: u8,
    pub(crate) quote: u8,
    pub(crate) escape: u8,
}

/// How lines end. The first line decides, as in PostgreSQL: a carriage return elsewhere is likelier a broken file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineEnd {
    Unknown,
    /// A line feed, with or without a carriage return before it.
    Feed,
    Return,
}

/// One field of the last record.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Field {
    range: Range<usize>,
    /// The range is of the scratch space, where quotes and escapes are taken out.
    scratch: bool,
    quoted: bool,
}

/// What the tokenizer found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A record of so many bytes and line breaks.
    Record { bytes: usize, lines: u64 },
    /// The data end within a record.
    NeedMore,
    /// There is no further record.
    End,
}

/// Why data are no CSV; the text is PostgreSQL's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Problem {
    UnterminatedQuote,
    ReturnInData,
    FeedInData,
    TooManyColumns,
}

impl Problem {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::UnterminatedQuote => "unterminated CSV quoted field",
            Self::ReturnInData => "unquoted carriage return found in data",
            Self::FeedInData => "unquoted newline found in data",
            Self::TooManyColumns => "a record has more than 1600 fields",
        }
    }
}

/// Splits text into records and fields.
#[derive(Debug)]
pub(crate) struct Tokenizer {
    dialect: Dialect,
    line_end: LineEnd,
    fields: Vec<Field>,
    scratch: Vec<u8>,
}

impl Tokenizer {
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self { dialect, line_end: LineEnd::Unknown, fields: Vec::new(), scratch: Vec::new() }
    }

    /// Fields of the last record.
    pub(crate) fn len(&self) -> usize {
        self.fields.len()
    }

    /// The bytes of one field of the last record, which began at `record`, and whether it was quoted.
    pub(crate) fn field<'a>(&'a self, record: &'a [u8], index: usize) -> Option<(&'a [u8], bool)> {
        let field = self.fields.get(index)?;
        let bytes = if field.scratch { self.scratch.get(field.range.clone()) } else { record.get(field.range.clone()) };
        Some((bytes?, field.quoted))
    }

    /// Reads one record at the start of `data`; `ended` says that nothing follows. After [`Step::NeedMore`] it is read
    /// again from its start: callers double what they offer, so that the whole stays linear.
    pub(crate) fn next(&mut self, data: &[u8], ended: bool) -> Result<Step, Problem> {
        self.fields.clear();
        self.scratch.clear();
        if data.is_empty() {
            return Ok(if ended { Step::End } else { Step::NeedMore });
        }
        let mut cursor = Cursor { data, at: 0, lines: 0 };
        loop {
            match self.read_field(&mut cursor, ended)? {
                After::Field => {}
                After::Record => return Ok(Step::Record { bytes: cursor.at, lines: cursor.lines }),
                After::NeedMore => return Ok(Step::NeedMore),
            }
            if self.fields.len() > COLUMNS_MAX {
                return Err(Problem::TooManyColumns);
            }
        }
    }

    fn read_field(&mut self, cursor: &mut Cursor<'_>, ended: bool) -> Result<After, Problem> {
        let Dialect { delimiter, quote, .. } = self.dialect;
        let mut segment = cursor.at;
        let mut field = Field { range: segment..segment, scratch: false, quoted: false };
        let scratch_start = self.scratch.len();
        loop {
            let Some(byte) = cursor.seek(|byte| byte == delimiter || byte == quote || byte == b'\n' || byte == b'\r')
            else {
                if !ended {
                    return Ok(After::NeedMore);
                }
                self.close(field, cursor.data, segment..cursor.at, scratch_start);
                return Ok(After::Record);
            };
            let end = cursor.at;
            if byte == quote {
                self.scratch.extend_from_slice(&cursor.data[segment..end]);
                (field.scratch, field.quoted) = (true, true);
                cursor.at += 1;
                if !self.read_quoted(cursor, ended)? {
                    return Ok(After::NeedMore);
                }
                segment = cursor.at;
            } else if byte == delimiter {
                cursor.at += 1;
                self.close(field, cursor.data, segment..end, scratch_start);
                return Ok(After::Field);
            } else {
                let Some(length) = self.line_break(cursor, ended)? else { return Ok(After::NeedMore) };
                cursor.at += length;
                cursor.lines += 1;
                self.close(field, cursor.data, segment..end, scratch_start);
                return Ok(After::Record);
            }
        }
    }

    /// Reads up to and with the closing quote; `false` where the data end before it.
    fn read_quoted(&mut self, cursor: &mut Cursor<'_>, ended: bool) -> Result<bool, Problem> {
        let Dialect { quote, escape, .. } = self.dialect;
        loop {
            let segment = cursor.at;
            let found = cursor.seek(|byte| byte == quote || byte == escape || byte == b'\n');
            self.scratch.extend_from_slice(&cursor.data[segment..cursor.at]);
            let Some(byte) = found else {
                return if ended { Err(Problem::UnterminatedQuote) } else { Ok(false) };
            };
            let next = cursor.data.get(cursor.at + 1).copied();
            if byte == escape {
                match next {
                    None if !ended => return Ok(false),
                    Some(next) if next == quote || next == escape => {
                        self.scratch.push(next);
                        cursor.at += 2;
                        continue;
                    }
                    _ => {}
                }
            }
            cursor.at += 1;
            if byte == quote {
                return Ok(true);
            }
            cursor.lines += u64::from(byte == b'\n');
            self.scratch.push(byte);
        }
    }

    /// The length of the line break at the cursor; `None` where it may go on beyond the data.
    fn line_break(&mut self, cursor: &Cursor<'_>, ended: bool) -> Result<Option<usize>, Problem> {
        if cursor.data[cursor.at] == b'\n' {
            if self.line_end == LineEnd::Return {
                return Err(Problem::FeedInData);
            }
            self.line_end = LineEnd::Feed;
            return Ok(Some(1));
        }
        match cursor.data.get(cursor.at + 1) {
            None if !ended => Ok(None),
            Some(b'\n') if self.line_end != LineEnd::Return => {
                self.line_end = LineEnd::Feed;
                Ok(Some(2))
            }
            _ if self.line_end == LineEnd::Feed => Err(Problem::ReturnInData),
            _ => {
                self.line_end = LineEnd::Return;
                Ok(Some(1))
            }
        }
    }

    fn close(&mut self, mut field: Field, data: &[u8], segment: Range<usize>, scratch_start: usize) {
        if field.scratch {
            self.scratch.extend_from_slice(&data[segment]);
            field.range = scratch_start..self.scratch.len();
        } else {
            field.range = segment;
        }
        self.fields.push(field);
    }
}

enum After {
    Field,
    Record,
    NeedMore,
}

struct Cursor<'a> {
    data: &'a [u8],
    at: usize,
    lines: u64,
}

impl Cursor<'_> {
    /// Moves to the next byte that is wanted, or to the end.
    fn seek(&mut self, wanted: impl Fn(u8) -> bool) -> Option<u8> {
        match self.data[self.at..].iter().position(|byte| wanted(*byte)) {
            Some(distance) => {
                self.at += distance;
                Some(self.data[self.at])
            }
            None => {
                self.at = self.data.len();
                None
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COMMA: Dialect = Dialect { delimiter: b',', quote: b'"', escape: b'"' };

    /// All records of a text, offered whole, or a byte more at a time.
    fn records(dialect: Dialect, text: &[u8], whole: bool) -> Result<Vec<Vec<(String, bool)>>, Problem> {
        let mut tokenizer = Tokenizer::new(dialect);
        let (mut start, mut end) = (0, if whole { text.len() } else { 0 });
        let mut found = Vec::new();
        loop {
            match tokenizer.next(&text[start..end], end == text.len())? {
                Step::End => return Ok(found),
                Step::NeedMore => end += 1,
                Step::Record { bytes, .. } => {
                    let record = &text[start..end];
                    found.push(
                        (0..tokenizer.len())
                            .map(|index| {
                                let (bytes, quoted) = tokenizer.field(record, index).unwrap();
                                (String::from_utf8_lossy(bytes).into_owned(), quoted)
                            })
                            .collect(),
                    );
                    start += bytes;
                }
            }
        }
    }

    fn texts(text: &str) -> Vec<Vec<String>> {
        let found = records(COMMA, text.as_bytes(), true).unwrap();
        assert_eq!(found, records(COMMA, text.as_bytes(), false).unwrap());
        found.into_iter().map(|record| record.into_iter().map(|(text, _)| text).collect()).collect()
    }

    #[test]
    fn splits_records_and_fields() {
        assert_eq!(texts("a,b\nc,d\n"), [["a", "b"], ["c", "d"]]);
        assert_eq!(texts("a,b\r\nc,d"), [["a", "b"], ["c", "d"]]);
        assert_eq!(texts("a\rb\r"), [["a"], ["b"]]);
        assert_eq!(texts("a,\n,b\n"), [["a", ""], ["", "b"]]);
        assert_eq!(texts(""), Vec::<Vec<String>>::new());
        assert_eq!(texts("\n"), [[""]]);
    }

    #[test]
    fn takes_quotes_out_as_copy_does() {
        assert_eq!(texts("\"a,\"\"b\"\"\n\",c\n"), [["a,\"b\"\n", "c"]]);
        assert_eq!(texts("x\"y,\"z,1\n"), [["xy,z", "1"]]);
        let quoted = records(COMMA, b"\"\",\n", true).unwrap();
        assert_eq!(quoted, [[(String::new(), true), (String::new(), false)]]);
        let backslash = Dialect { delimiter: b';', quote: b'\'', escape: b'\\' };
        let found = records(backslash, br"'it\'s \\ \n';b", true).unwrap();
        assert_eq!(found[0][0].0, r"it's \ \n");
    }

    #[test]
    fn counts_lines_within_quotes() {
        let mut tokenizer = Tokenizer::new(COMMA);
        assert_eq!(tokenizer.next(b"\"a\nb\nc\"\nd", false), Ok(Step::Record { bytes: 8, lines: 3 }));
    }

    #[test]
    fn refuses_what_is_no_csv() {
        assert_eq!(records(COMMA, b"\"a", true), Err(Problem::UnterminatedQuote));
        assert_eq!(records(COMMA, b"a\nb\rc\n", true), Err(Problem::ReturnInData));
        assert_eq!(records(COMMA, b"a\rb\nc", true), Err(Problem::FeedInData));
        assert_eq!(records(COMMA, &[b','; 2000], true), Err(Problem::TooManyColumns));
    }

    proptest! {
        #[test]
        fn finds_the_same_records_however_the_bytes_arrive(text in "[ab,\"\n\r\\\\]{0,40}") {
            prop_assert_eq!(records(COMMA, text.as_bytes(), true), records(COMMA, text.as_bytes(), false));
        }

        #[test]
        fn gives_back_what_was_quoted(fields in prop::collection::vec("[a-c,\"\n\r é]{0,8}", 1..6)) {
            let line: Vec<_> = fields.iter().map(|field| format!("\"{}\"", field.replace('"', "\"\""))).collect();
            let found = records(COMMA, line.join(",").as_bytes(), true).unwrap();
            let expected: Vec<_> = fields.into_iter().map(|field| (field, true)).collect();
            prop_assert_eq!(found, vec![expected]);
        }
    }
}
