//! Structs, maps and lists as JSON, in the form that `jsonb` has.

use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;

use super::super::PgType;
use super::super::json::{sort_members, write_string};
use super::super::source::{Source, Spans};
use super::{OutputStyle, TextWriter};
use crate::Result;

/// One array of a nested value.
pub(super) struct JsonNode<'a> {
    array: &'a dyn Array,
    shape: Shape<'a>,
}

enum Shape<'a> {
    Object(Vec<(String, JsonNode<'a>)>),
    Map {
        offsets: &'a [i32],
        keys: TextWriter<'a>,
        values: Box<JsonNode<'a>>,
    },
    List {
        spans: Spans<'a>,
        values: Box<JsonNode<'a>>,
    },
    /// Numbers, booleans and JSON stand as they are.
    Plain(TextWriter<'a>),
    Boolean(TextWriter<'a>),
    Quoted(TextWriter<'a>),
}

impl<'a> JsonNode<'a> {
    pub(super) fn of(array: &'a dyn Array, style: &'a OutputStyle) -> Result<Self> {
        let shape = match array.data_type() {
            DataType::Struct(fields) => {
                let mut members = Vec::with_capacity(fields.len());
                for (field, column) in fields.iter().zip(array.as_struct().columns()) {
                    members.push((field.name().clone(), Self::of(column.as_ref(), style)?));
                }
                sort_members(&mut members);
                Shape::Object(members)
            }
            DataType::Map(_, _) => {
                let map = array.as_map();
                Shape::Map {
                    offsets: map.value_offsets(),
                    keys: TextWriter::new(map.keys().as_ref(), &PgType::of_arrow(map.keys().data_type()), style)?,
                    values: Box::new(Self::of(map.values().as_ref(), style)?),
                }
            }
            _ => match Source::of(array)? {
                Source::List(spans, values) => {
                    Shape::List { spans, values: Box::new(Self::of(values.as_ref(), style)?) }
                }
                source => {
                    let writer = TextWriter::new(array, &PgType::of_arrow(array.data_type()), style)?;
                    match source {
                        Source::Bool(_) => Shape::Boolean(writer),
                        Source::Int(_) | Source::UInt64(_) | Source::Decimal(..) => Shape::Plain(writer),
                        Source::Float16(_) | Source::Float32(_) | Source::Float64(_) => Shape::Plain(writer),
                        _ => Shape::Quoted(writer),
                    }
                }
            },
        };
        Ok(Self { array, shape })
    }

    pub(super) fn write(&self, row: usize, out: &mut String) -> Result<()> {
        if self.array.is_null(row) {
            out.push_str("null");
            return Ok(());
        }
        match &self.shape {
            Shape::Object(members) => {
                self.write_members(members.iter().map(|(key, node)| (key.as_str(), node, row)), out)?
            }
            Shape::Map { offsets, keys, values } => {
                let index = |at: usize| offsets.get(at).and_then(|at| usize::try_from(*at).ok()).unwrap_or(0);
                let mut members = Vec::new();
                for entry in index(row)..index(row + 1) {
                    let mut key = String::new();
                    keys.write(entry, &mut key)?;
                    members.push((key, entry));
                }
                sort_members(&mut members);
                self.write_members(members.iter().map(|(key, entry)| (key.as_str(), values.as_ref(), *entry)), out)?;
            }
            Shape::List { spans, values } => {
                out.push('[');
                for (index, row) in spans.get(row).enumerate() {
                    if index > 0 {
                        out.push_str(", ");
                    }
                    values.write(row, out)?;
                }
                out.push(']');
            }
            Shape::Plain(writer) => {
                let start = out.len();
                writer.write(row, out)?;
                // JSON has no NaN and no infinities: PostgreSQL's to_json quotes them.
                let text = out.get(start..).unwrap_or_default();
                if text.contains(|c: char| c.is_ascii_alphabetic() && c != 'e') {
                    let text = text.to_owned();
                    out.truncate(start);
                    write_string(&text, out);
                }
            }
            Shape::Boolean(writer) => {
                let mut text = String::new();
                writer.write(row, &mut text)?;
                out.push_str(if text == "t" { "true" } else { "false" });
            }
            Shape::Quoted(writer) => {
                let mut text = String::new();
                writer.write(row, &mut text)?;
                if matches!(self.array.data_type(), DataType::Timestamp(_, _)) {
                    // ISO 8601, as PostgreSQL's to_json writes it.
                    text = text.replacen(' ', "T", 1);
                }
                write_string(&text, out);
            }
        }
        Ok(())
    }

    fn write_members<'n>(
        &self,
        members: impl Iterator<Item = (&'n str, &'n JsonNode<'a>, usize)>,
        out: &mut String,
    ) -> Result<()>
    where
        'a: 'n,
    {
        out.push('{');
        for (index, (key, node, row)) in members.enumerate() {
            if index > 0 {
                out.push_str(", ");
            }
            write_string(key, out);
            out.push_str(": ");
            node.write(row, out)?;
        }
        out.push('}');
        Ok(())
    }
}
