//! Properties of the formats: round trips, agreement of text and binary, and that no input panics.
#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that fails")]

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, Decimal128Array, DictionaryArray, FixedSizeListArray, Int32Array, Int64Array, ListArray,
    StringArray, StructArray, TimestampNanosecondArray, TimestampSecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Fields, Int32Type};
use bytes::BytesMut;
use proptest::prelude::*;

use super::binary::write_binary;
use super::text::{OutputStyle, write_text};
use super::{BUILTIN, ColumnBuilder, PgType, cast, format_scalar, key, oids, parse_scalar, scalar_from_binary};

fn text_of(array: &dyn Array, row: usize, data_type: &PgType) -> String {
    let mut text = String::new();
    write_text(array, row, data_type, &OutputStyle::default(), &mut text).unwrap();
    text
}

fn column(data_type: &PgType, texts: &[&str]) -> ArrayRef {
    let mut builder = ColumnBuilder::new(data_type, texts.len());
    texts.iter().for_each(|text| builder.append_text(text).unwrap());
    builder.finish()
}

/// Text through storage and back, and through binary and back, is the same text.
fn round_trip(data_type: &PgType, text: &str) {
    let array = column(data_type, &[text]);
    let printed = text_of(array.as_ref(), 0, data_type);
    let again = column(data_type, &[&printed]);
    assert_eq!(text_of(again.as_ref(), 0, data_type), printed, "{} {text}", data_type.sql_name());
    let mut bytes = BytesMut::new();
    write_binary(array.as_ref(), 0, data_type, &mut bytes).unwrap();
    let scalar = scalar_from_binary(&bytes, data_type).unwrap();
    let style = OutputStyle::default();
    assert_eq!(format_scalar(&scalar, data_type, &style).unwrap().unwrap(), printed, "{}", data_type.sql_name());
}

fn every_type() -> Vec<PgType> {
    let mut types: Vec<PgType> = BUILTIN.iter().map(|builtin| PgType::new(builtin.oid)).collect();
    types.extend([
        PgType::numeric(10, 2),
        PgType::numeric(38, 38),
        PgType::numeric(76, 10),
        PgType::varchar(3),
        PgType::bpchar(3),
        PgType::user("mood", vec!["sad".into(), "ok".into()], false),
        PgType::user("mood[]", vec!["sad".into(), "ok".into()], true),
        PgType::user("thing", Vec::new(), false),
    ]);
    types
}

proptest! {
    #[test]
    fn floats_round_trip(value in any::<f64>(), single in any::<f32>()) {
        round_trip(&PgType::new(oids::FLOAT8), &value.to_string());
        round_trip(&PgType::new(oids::FLOAT4), &single.to_string());
    }

    #[test]
    fn printed_floats_read_back_exactly(bits in any::<u64>()) {
        let value = f64::from_bits(bits);
        let mut text = String::new();
        super::text::write_float8(value, 1, &mut text);
        let read: f64 = text.parse().unwrap();
        prop_assert!(read.to_bits() == value.to_bits() || (read.is_nan() && value.is_nan()), "{}", text);
    }

    #[test]
    fn numerics_round_trip(text in "-?[0-9]{1,40}(\\.[0-9]{1,30})?(e-?[0-9])?") {
        round_trip(&PgType::new(oids::NUMERIC), &text);
    }

    #[test]
    fn short_decimals_round_trip(unscaled in -99_999_999_999_i64..99_999_999_999, scale in 0_u32..10) {
        let data_type = PgType::numeric(20, i16::try_from(scale).unwrap());
        let array = Decimal128Array::from(vec![i128::from(unscaled)])
            .with_precision_and_scale(20, i8::try_from(scale).unwrap()).unwrap();
        round_trip(&data_type, &text_of(&array, 0, &data_type));
    }

    #[test]
    fn numeric_keys_are_in_the_order_of_the_numbers(
        left in "-?[0-9]{0,5}[0-9](\\.[0-9]{0,6})?", right in "-?[0-9]{0,5}[0-9](\\.[0-9]{0,6})?",
    ) {
        let keys = key::keys(column(&PgType::new(oids::NUMERIC), &[&left, &right]).as_ref(), &PgType::new(oids::NUMERIC)).unwrap();
        let keys = keys.as_any().downcast_ref::<arrow::array::BinaryArray>().unwrap();
        let order = left.parse::<f64>().unwrap().partial_cmp(&right.parse::<f64>().unwrap()).unwrap();
        prop_assert_eq!(keys.value(0).cmp(keys.value(1)), order);
    }

    #[test]
    fn timestamps_round_trip(usecs in -210_866_803_200_000_000_i64..9_000_000_000_000_000_000) {
        let data_type = PgType::new(oids::TIMESTAMPTZ);
        let mut text = String::new();
        super::text::write_timestamptz(usecs, &OutputStyle::default(), &mut text);
        round_trip(&data_type, &text);
        prop_assert_eq!(parse_scalar(&text, &data_type).unwrap().to_string(), usecs.to_string());
    }

    #[test]
    fn dates_round_trip(days in -2_440_588_i32..2_145_042_905) {
        let mut text = String::new();
        super::text::write_date(days, &OutputStyle::default(), &mut text);
        round_trip(&PgType::new(oids::DATE), &text);
    }

    #[test]
    fn intervals_round_trip(months in any::<i32>(), days in any::<i32>(), usecs in -9_000_000_000_000_000_i64..9_000_000_000_000_000) {
        let interval = super::interval::Interval { months, days, usecs };
        for interval_style in [
            super::text::IntervalStyle::Postgres, super::text::IntervalStyle::PostgresVerbose,
            super::text::IntervalStyle::SqlStandard, super::text::IntervalStyle::Iso8601,
        ] {
            let style = OutputStyle { interval_style, ..OutputStyle::default() };
            let mut text = String::new();
            super::interval::write_interval(&interval, interval_style, &mut text);
            prop_assert_eq!(super::interval::interval(&text, &style, -1).unwrap(), interval, "{}", text);
        }
    }

    #[test]
    fn text_arrays_round_trip(elements in prop::collection::vec(prop::option::of("[a-zA-Z{}\"\\\\, \\t]{0,5}"), 0..5)) {
        let mut text = String::new();
        let length = i32::try_from(elements.len()).unwrap();
        let dimensions = if length == 0 { vec![] } else { vec![super::array::Dimension { lower: 1, length }] };
        super::array::ArrayText { dimensions, elements: elements.clone() }.write(b',', &mut text);
        prop_assert_eq!(super::array::ArrayText::parse(&text, b',').unwrap().elements, elements);
        round_trip(&PgType::new(oids::TEXT_ARRAY), &text);
    }

    #[test]
    fn hostile_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        for data_type in every_type() {
            let mut builder = ColumnBuilder::new(&data_type, 1);
            if builder.append_binary(&bytes).is_ok() {
                let array = builder.finish();
                let mut text = String::new();
                let _ = write_text(array.as_ref(), 0, &data_type, &OutputStyle::default(), &mut text);
                let _ = write_binary(array.as_ref(), 0, &data_type, &mut BytesMut::new());
                let _ = key::keys(array.as_ref(), &data_type);
            }
        }
    }

    #[test]
    fn hostile_text_does_not_panic(text in "[-+0-9a-zA-Z:./ ,{}()\\[\\]\"\\\\äT@]{0,30}") {
        for data_type in every_type() {
            let mut builder = ColumnBuilder::new(&data_type, 1);
            if builder.append_text(&text).is_ok() {
                let array = builder.finish();
                let mut printed = String::new();
                let _ = write_text(array.as_ref(), 0, &data_type, &OutputStyle::default(), &mut printed);
                let _ = write_binary(array.as_ref(), 0, &data_type, &mut BytesMut::new());
                let _ = key::keys(array.as_ref(), &data_type);
            }
        }
        let _ = PgType::parse_name(&text);
    }
}

#[test]
fn prints_every_storage_of_a_value() {
    let int = PgType::new(oids::INT4);
    assert_eq!(text_of(&UInt64Array::from(vec![u64::MAX]), 0, &PgType::numeric(20, 0)), "18446744073709551615");
    let dictionary: DictionaryArray<Int32Type> = vec!["a", "b", "a"].into_iter().collect();
    assert_eq!(text_of(&dictionary, 2, &PgType::new(oids::TEXT)), "a");
    let seconds = TimestampSecondArray::from(vec![86_400]).with_timezone("+02:00");
    assert_eq!(text_of(&seconds, 0, &PgType::new(oids::TIMESTAMPTZ)), "1970-01-02 00:00:00+00");
    let nanos = TimestampNanosecondArray::from(vec![-1]);
    assert_eq!(text_of(&nanos, 0, &PgType::new(oids::TIMESTAMP)), "1969-12-31 23:59:59.999999");
    let scaled = Decimal128Array::from(vec![12, 0, super::DECIMAL128_NAN]).with_data_type(DataType::Decimal128(5, -2));
    assert_eq!(text_of(&scaled, 0, &PgType::numeric(5, -2)), "1200");
    assert_eq!(text_of(&scaled, 1, &PgType::numeric(5, -2)), "0");
    assert_eq!(text_of(&scaled, 2, &PgType::numeric(5, -2)), "NaN");
    assert_eq!(text_of(&StringArray::from(vec!["ab"]), 0, &PgType::bpchar(4)), "ab  ");
    assert_eq!(text_of(&Int32Array::from(vec![7]), 0, &int), "7");
}

#[test]
fn lists_are_arrays_of_several_dimensions() {
    let inner = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![
        Some(vec![Some(1), None]),
        Some(vec![Some(3), Some(4)]),
        Some(vec![]),
        Some(vec![]),
    ]);
    let field = Arc::new(Field::new("item", inner.data_type().clone(), true));
    let outer = FixedSizeListArray::new(field, 2, Arc::new(inner), None);
    let data_type = PgType::of_arrow(outer.data_type());
    assert_eq!(data_type, PgType::new(oids::INT4_ARRAY));
    assert_eq!(text_of(&outer, 0, &data_type), "{{1,NULL},{3,4}}");
    let mut bytes = BytesMut::new();
    write_binary(&outer, 0, &data_type, &mut bytes).unwrap();
    let read = scalar_from_binary(&bytes, &data_type).unwrap();
    assert_eq!(read.try_as_str().flatten().unwrap(), "{{1,NULL},{3,4}}");
}

#[test]
fn structs_print_as_json() {
    let fields = Fields::from(vec![Field::new("bb", DataType::Int64, true), Field::new("a", DataType::Utf8, true)]);
    let columns: Vec<ArrayRef> =
        vec![Arc::new(Int64Array::from(vec![Some(1)])), Arc::new(StringArray::from(vec!["x\"y"]))];
    let array = StructArray::new(fields, columns, None);
    assert_eq!(text_of(&array, 0, &PgType::new(oids::JSONB)), r#"{"a": "x\"y", "bb": 1}"#);
}

#[test]
fn type_names_are_those_of_sql() {
    for (name, shown) in [
        ("int", "integer"),
        ("INT4", "integer"),
        ("pg_catalog.int8", "bigint"),
        ("numeric(10,2)", "numeric(10,2)"),
        ("decimal(5)", "numeric(5,0)"),
        ("timestamp(3) with time zone", "timestamp(3) with time zone"),
        ("timestamptz", "timestamp with time zone"),
        ("character varying(20)", "character varying(20)"),
        ("char", "character(1)"),
        ("\"char\"", "\"char\""),
        ("int[]", "integer[]"),
        ("text[][]", "text[]"),
        ("float(10)", "real"),
        ("double precision", "double precision"),
        ("bit varying(5)", "bit varying(5)"),
    ] {
        assert_eq!(PgType::parse_name(name).unwrap().sql_name(), shown, "{name}");
    }
    for name in ["foo", "int(5)", "numeric(0)", "varchar(0)", "text(3)", "", "int]", "interval day to year"] {
        assert_eq!(PgType::parse_name(name), None, "{name}");
    }
}

#[test]
fn casts_round_and_refuse_as_postgresql() {
    let style = OutputStyle::default();
    let cast_one = |text: &str, from: &str, to: &str| -> Result<String, String> {
        let (from, to) = (PgType::parse_name(from).unwrap(), PgType::parse_name(to).unwrap());
        let array = column(&from, &[text]);
        let cast = cast::cast(array.as_ref(), &from, &to, &style).map_err(|error| error.to_string())?;
        Ok(text_of(cast.as_ref(), 0, &to))
    };
    for (text, from, to, expected) in [
        ("2.5", "float8", "int", "2"),
        ("3.5", "float8", "int", "4"),
        ("2.5", "numeric", "int", "3"),
        ("-2.5", "numeric(5,2)", "int", "-3"),
        ("1.005", "numeric", "numeric(5,2)", "1.01"),
        ("0.1", "float4", "numeric", "0.1"),
        ("1.23456789012345678", "float8", "numeric", "1.23456789012346"),
        ("t", "bool", "text", "true"),
        ("t", "bool", "int", "1"),
        ("abcdef", "text", "varchar(3)", "abc"),
        ("ab", "char(5)", "text", "ab"),
        ("2024-05-06", "date", "timestamp", "2024-05-06 00:00:00"),
        ("infinity", "date", "timestamp", "infinity"),
        ("2024-05-06 07:08:09.5", "timestamp", "date", "2024-05-06"),
        ("2024-05-06 07:08:09.5", "timestamp", "time", "07:08:09.5"),
        ("{\"b\":1,\"a\":2}", "json", "jsonb", "{\"a\": 2, \"b\": 1}"),
        ("{1.5,2.5}", "numeric[]", "int[]", "{2,3}"),
        ("101", "bit varying", "bit(5)", "10100"),
        ("1234.5", "numeric", "money", "$1,234.50"),
        ("12", "jsonb", "int", "12"),
    ] {
        assert_eq!(cast_one(text, from, to), Ok(expected.to_owned()), "{text}::{from}::{to}");
    }
    for (text, from, to, expected) in [
        ("3e9", "float8", "int", "integer out of range"),
        ("40000", "int", "smallint", "smallint out of range"),
        ("t", "bool", "float8", "cannot cast type boolean to double precision"),
        ("1", "int", "date", "cannot cast type integer to date"),
        ("x", "text", "int", "invalid input syntax for type integer: \"x\""),
    ] {
        assert_eq!(cast_one(text, from, to), Err(expected.to_owned()), "{text}::{from}::{to}");
    }
}

#[test]
fn text_search_and_paths_have_a_binary_form() {
    let vector = PgType::new(3614);
    for text in ["", "'a':1A,3 'b':2", "'a b':16383 'c'", "'it''s' 'x\\\\y':1B,2C"] {
        round_trip(&vector, text);
    }
    let array = column(&vector, &["'a':1A,3 'b'"]);
    let mut bytes = BytesMut::new();
    write_binary(array.as_ref(), 0, &vector, &mut bytes).unwrap();
    assert_eq!(bytes.as_ref(), b"\0\0\0\x02a\0\0\x02\xc0\x01\0\x03b\0\0\0");
    for text in ["a", "'a", "'a':x", "'a' b"] {
        let array = column(&vector, &[text]);
        assert!(write_binary(array.as_ref(), 0, &vector, &mut BytesMut::new()).is_err(), "{text}");
    }
    round_trip(&PgType::new(oids::JSONPATH), "$.\"a\"");
}

#[test]
fn integers_and_oids_share_their_bits() {
    let oid = PgType::new(oids::OID);
    let style = OutputStyle::default();
    let minus_one = column(&PgType::new(oids::INT4), &["-1"]);
    let cast_oid = cast::cast(minus_one.as_ref(), &PgType::new(oids::INT4), &oid, &style).unwrap();
    assert_eq!(text_of(cast_oid.as_ref(), 0, &oid), "4294967295");
    let back = cast::cast(cast_oid.as_ref(), &oid, &PgType::new(oids::INT4), &style).unwrap();
    assert_eq!(text_of(back.as_ref(), 0, &PgType::new(oids::INT4)), "-1");
    let long = column(&PgType::new(oids::INT8), &["-1"]);
    assert!(cast::cast(long.as_ref(), &PgType::new(oids::INT8), &oid, &style).is_err());
    let truth = column(&PgType::new(oids::BOOL), &["t"]);
    let name = cast::cast(truth.as_ref(), &PgType::new(oids::BOOL), &PgType::new(oids::NAME), &style).unwrap();
    assert_eq!(text_of(name.as_ref(), 0, &PgType::new(oids::NAME)), "t");
}
