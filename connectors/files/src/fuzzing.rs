//! Entry points for fuzzers: one function of bytes for each decoder of this crate.

use atoll_connector_api::types::{BUILTIN, PgType};

use crate::text::infer::Guess;
use crate::text::json;
use crate::text::tokenizer::{Dialect, Step, Tokenizer};

/// CSV: the first byte chooses delimiter, quote and escape, the rest is a file. It is cut into the same records whether it
/// arrives whole or a byte at a time, and every field is looked at.
pub fn csv(bytes: &[u8]) {
    let [choice, text @ ..] = bytes else { return };
    let dialect = Dialect {
        delimiter: [b',', b';', b'\t', b'|'][usize::from(choice & 3)],
        quote: if choice & 4 == 0 { b'"' } else { b'\'' },
        escape: if choice & 8 == 0 { b'"' } else { b'\\' },
    };
    let whole = records(dialect, text, text.len());
    assert_eq!(whole, records(dialect, text, 1), "the records depend on how the bytes arrive");
    let mut guess = Guess::default();
    for field in whole.iter().flatten().filter_map(|field| std::str::from_utf8(field).ok()) {
        guess.text(field);
    }
    let _ = guess.data_type();
}

/// All records up to the end or the first problem; the text is offered in pieces.
fn records(dialect: Dialect, text: &[u8], piece: usize) -> Vec<Vec<Vec<u8>>> {
    let mut tokenizer = Tokenizer::new(dialect);
    let (mut start, mut end, mut found) = (0, piece.min(text.len()), Vec::new());
    loop {
        match tokenizer.next(&text[start..end], end == text.len()) {
            Err(_) | Ok(Step::End) => return found,
            Ok(Step::NeedMore) => end = (end + piece).min(text.len()),
            Ok(Step::Record { bytes, .. }) => {
                let fields = (0..tokenizer.len()).filter_map(|index| tokenizer.field(&text[start..end], index));
                found.push(fields.map(|(field, _)| field.to_vec()).collect());
                start += bytes;
            }
        }
    }
}

/// JSON: a sequence of objects, each value read as each type.
pub fn json(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let types: Vec<PgType> = BUILTIN.iter().map(|builtin| PgType::new(builtin.oid)).collect();
    json::read_all(&text, &types);
}

#[cfg(test)]
mod tests {
    use atoll_connector_api::fuzzing::{rounds, run_mutations};

    use super::*;

    #[test]
    fn no_csv_makes_the_tokenizer_panic() {
        let corpus: &[&[u8]] = &[
            b"\0a,b,c\n1,2,3\n",
            b"\0\"a\",\"b\"\"c\",\"d\ne\"\r\n,,\r\n",
            b"\x0da;'b\\'c';\\\n",
            b"\x01\xef\xbb\xbfa;b\r1;2\r",
            b"\x02a\tb\t\n\n\"",
            b"\x032024-01-01|12:00|1e5|t|\xc3\xa9\n\"unclosed",
        ];
        run_mutations(corpus, rounds(20_000), 3, csv);
    }

    #[test]
    fn no_json_makes_the_parser_panic() {
        let corpus: &[&[u8]] = &[
            br#"{"a": 1, "b": "x\u00e9\ud83d\ude00", "c": [1, {"d": null}], "e": true, "f": -1.5e-7}"#,
            b"{\"a\":{}}\n{\"a\":[]}\n{\"\":\"\"}",
            br#"{"a": "2024-01-01", "b": "\\xdead", "c": [[1,2],[3,null]], "d": "\"\\\/\b\f\n\r\t"}"#,
            br#"{"deep": [[[[[[[[[[{"x": [[[[1]]]]}]]]]]]]]]]}"#,
        ];
        run_mutations(corpus, rounds(6_000), 4, json);
    }
}
