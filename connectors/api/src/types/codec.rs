//! One PostgreSQL type's text and binary formats, and the ways between them.

use bytes::{BufMut, BytesMut};

use super::array::{ArrayText, Dimension};
use super::calendar::{POSTGRES_EPOCH_DAYS, POSTGRES_EPOCH_USECS, USECS_PER_DAY};
use super::input::{self, bad_binary};
use super::interval::Interval;
use super::misc::Shape;
use super::network::Inet;
use super::numeric::Numeric;
use super::range::{self, RangeText};
use super::text::{self, OutputStyle};
use super::{BuiltinType, PgType, datetime, interval, json, misc, network, oids};
use crate::{ConnectorError, Result};

/// What decides how a type's values are read and printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Int2,
    Int4,
    Int8,
    /// `oid`, `xid`, `cid`: 32 bits without sign.
    Oid,
    /// `regclass` and its like: a name or a number in text, an OID in binary.
    Reg,
    Float4,
    Float8,
    Numeric,
    /// Any string without a rule of its own; its binary form is its text.
    Text,
    Name,
    Char,
    VarChar,
    BpChar,
    Bytea,
    Date,
    Time,
    TimeTz,
    Timestamp,
    TimestampTz,
    Interval,
    Uuid,
    Json,
    Jsonb,
    JsonPath,
    Inet,
    Cidr,
    MacAddr,
    MacAddr8,
    Money,
    Bit,
    VarBit,
    Shape(Shape),
    Lsn,
    Tid,
    TsVector,
    Enum,
    Array,
    Vector,
    Range,
    MultiRange,
    /// Text whose binary form is not known.
    Opaque,
}

/// A type's formats.
#[derive(Debug, Clone)]
pub(crate) struct Codec {
    pub(crate) kind: Kind,
    pub(crate) data_type: PgType,
    /// The name in messages about invalid text.
    pub(crate) name: &'static str,
    /// An array's element, a range's bound, a multirange's range.
    pub(crate) element: Option<Box<Codec>>,
    /// Characters or bits that the modifier allows.
    pub(crate) length: Option<usize>,
    /// Digits after the seconds' point that the modifier allows.
    pub(crate) precision: Option<u32>,
    /// Between an array's elements of this type.
    delimiter: u8,
}

impl Codec {
    /// The formats of a type.
    pub(crate) fn of(data_type: &PgType) -> Self {
        let kind = kind_of(data_type);
        let element = match kind {
            Kind::Array => data_type.element(),
            Kind::Vector => Some(PgType::new(if data_type.oid == oids::OIDVECTOR { oids::OID } else { oids::INT2 })),
            Kind::Range | Kind::MultiRange => range::element_of(data_type.oid).map(PgType::new),
            _ => None,
        };
        let modifier = data_type.modifier;
        let length = match kind {
            Kind::VarChar | Kind::BpChar => usize::try_from(modifier).ok().and_then(|length| length.checked_sub(4)),
            Kind::Bit | Kind::VarBit => usize::try_from(modifier).ok(),
            _ => None,
        };
        Self {
            kind,
            data_type: data_type.clone(),
            name: message_name(data_type),
            element: element.map(|element| Box::new(Self::of(&element))),
            length,
            precision: u32::try_from(modifier).ok(),
            delimiter: if data_type.oid == BOX_OID { b';' } else { b',' },
        }
    }

    /// Whether the settings change how values of this type print.
    pub(crate) fn is_styled(&self) -> bool {
        match self.kind {
            Kind::Date | Kind::Timestamp | Kind::TimestampTz | Kind::Interval | Kind::Bytea => true,
            Kind::Float4 | Kind::Float8 | Kind::Shape(_) => true,
            Kind::Array | Kind::Range | Kind::MultiRange => {
                self.element.as_ref().is_some_and(|element| element.is_styled())
            }
            _ => false,
        }
    }

    /// Reads text with the input function and prints the value in `style`. Text without a zone is in `zone_style`'s.
    pub(crate) fn canonical(
        &self,
        value: &str,
        zone_style: &OutputStyle,
        style: &OutputStyle,
        out: &mut String,
    ) -> Result<()> {
        match self.kind {
            Kind::Bool => out.push(if input::boolean(value)? { 't' } else { 'f' }),
            Kind::Int2 => text::write_integer(i64::from(input::integer::<i16>(value, self.name)?), out),
            Kind::Int4 => text::write_integer(i64::from(input::integer::<i32>(value, self.name)?), out),
            Kind::Int8 => text::write_integer(input::integer::<i64>(value, self.name)?, out),
            Kind::Oid => text::write_integer(i64::from(input::oid(value, self.name)?), out),
            Kind::Float4 => text::write_float4(input::float4(value)?, style.extra_float_digits, out),
            Kind::Float8 => text::write_float8(input::float8(value)?, style.extra_float_digits, out),
            Kind::Numeric => self.numeric(value)?.write(out),
            Kind::Text | Kind::Reg | Kind::JsonPath | Kind::TsVector | Kind::Opaque => out.push_str(value),
            Kind::Name => out.push_str(input::clip(value, 63)),
            Kind::Char => out.push_str(input::clip(value, 1)),
            Kind::VarChar => out.push_str(input::varchar(value, self.length)?),
            // Without a length it has the spaces that it was given.
            Kind::BpChar if self.length.is_none() => out.push_str(value),
            Kind::BpChar => self.write_padded(input::bpchar(value, self.length)?, out),
            Kind::Bytea => text::write_bytea(&input::bytea(value)?, style.bytea_escape, out),
            Kind::Date => text::write_date(datetime::date(value, zone_style)?, style, out),
            Kind::Time => text::write_time(datetime::time(value, zone_style, self.precision)?, out),
            Kind::TimeTz => {
                let (usecs, offset) = datetime::timetz(value, zone_style, self.precision)?;
                misc::write_timetz(usecs, offset, out);
            }
            Kind::Timestamp => {
                text::write_timestamp(datetime::timestamp(value, zone_style, self.precision)?, style, out);
            }
            Kind::TimestampTz => {
                text::write_timestamptz(datetime::timestamptz(value, zone_style, self.precision)?, style, out);
            }
            Kind::Interval => {
                let value = interval::interval(value, zone_style, self.data_type.modifier)?;
                interval::write_interval(&value, style.interval_style, out);
            }
            Kind::Uuid => text::write_uuid(&input::uuid(value)?, out),
            Kind::Json => {
                json::validate(value, "json")?;
                out.push_str(value);
            }
            Kind::Jsonb => json::normalize(value, out)?,
            Kind::Inet | Kind::Cidr => Inet::parse(value, self.kind == Kind::Cidr)?.write(self.kind == Kind::Cidr, out),
            Kind::MacAddr => network::write_mac(&network::mac::<6>(value)?, out),
            Kind::MacAddr8 => network::write_mac(&network::mac::<8>(value)?, out),
            Kind::Money => misc::write_money(misc::money(value)?, out),
            Kind::Bit | Kind::VarBit => out.push_str(&misc::bits(value, self.kind == Kind::VarBit, self.length)?),
            Kind::Shape(shape) => {
                let (numbers, closed) = shape.parse(value)?;
                shape.write(&numbers, closed, style.extra_float_digits, out);
            }
            Kind::Lsn => write_lsn(misc::lsn(value)?, out),
            Kind::Tid => write_tid(misc::tid(value)?, out),
            Kind::Enum => out.push_str(self.label(value)?),
            Kind::Array => self.canonical_array(value, zone_style, style, out)?,
            Kind::Vector => self.vector(value, out)?,
            Kind::Range => range::parse(value, self)?.normal(self, zone_style, style)?.write(out),
            Kind::MultiRange => range::canonical_multirange(value, self, zone_style, style, out)?,
        }
        Ok(())
    }

    /// Appends the binary form of text, which is read with the input function.
    pub(crate) fn text_to_binary(&self, value: &str, out: &mut BytesMut) -> Result<()> {
        let style = OutputStyle::default();
        match self.kind {
            Kind::Bool => out.put_u8(u8::from(input::boolean(value)?)),
            Kind::Int2 => out.put_i16(input::integer(value, self.name)?),
            Kind::Int4 => out.put_i32(input::integer(value, self.name)?),
            Kind::Int8 => out.put_i64(input::integer(value, self.name)?),
            Kind::Oid => out.put_u32(input::oid(value, self.name)?),
            Kind::Reg => out.put_u32(self.reg_oid(value)?),
            Kind::Float4 => out.put_f32(input::float4(value)?),
            Kind::Float8 => out.put_f64(input::float8(value)?),
            Kind::Numeric => self.numeric(value)?.write_binary(out),
            Kind::Text | Kind::Name | Kind::VarChar | Kind::Json | Kind::Enum => out.put_slice(value.as_bytes()),
            Kind::Char => out.put_slice(value.as_bytes().get(..1).unwrap_or(b"\0")),
            Kind::BpChar => {
                let mut padded = String::with_capacity(value.len());
                self.write_padded(input::bpchar_value(value, self.length), &mut padded);
                out.put_slice(padded.as_bytes());
            }
            Kind::Bytea => out.put_slice(&input::bytea(value)?),
            Kind::Date => put_date(datetime::date(value, &style)?, out),
            Kind::Time => out.put_i64(datetime::time(value, &style, self.precision)?),
            Kind::TimeTz => {
                let (usecs, offset) = datetime::timetz(value, &style, self.precision)?;
                out.put_i64(usecs);
                // PostgreSQL counts zones westwards.
                out.put_i32(i32::try_from(-offset).unwrap_or(0));
            }
            Kind::Timestamp => put_timestamp(datetime::timestamp(value, &style, self.precision)?, out)?,
            Kind::TimestampTz => put_timestamp(datetime::timestamptz(value, &style, self.precision)?, out)?,
            Kind::Interval => put_interval(&interval::interval(value, &style, self.data_type.modifier)?, out),
            Kind::Uuid => out.put_slice(&input::uuid(value)?),
            Kind::Jsonb | Kind::JsonPath => {
                out.put_u8(JSONB_VERSION);
                out.put_slice(value.as_bytes());
            }
            Kind::Inet | Kind::Cidr => {
                let is_cidr = self.kind == Kind::Cidr;
                Inet::parse(value, is_cidr)?.write_binary(is_cidr, out);
            }
            Kind::MacAddr => out.put_slice(&network::mac::<6>(value)?),
            Kind::MacAddr8 => out.put_slice(&network::mac::<8>(value)?),
            Kind::Money => out.put_i64(misc::money(value)?),
            Kind::Bit | Kind::VarBit => {
                misc::write_bits_binary(&misc::bits(value, self.kind == Kind::VarBit, None)?, out)?;
            }
            Kind::Shape(shape) => {
                let (numbers, closed) = shape.parse(value)?;
                shape.write_binary(&numbers, closed, out);
            }
            Kind::Lsn => out.put_u64(misc::lsn(value)?),
            Kind::Tid => {
                let (block, row) = misc::tid(value)?;
                out.put_u32(block);
                out.put_u16(row);
            }
            Kind::Array => self.array_to_binary(value, out)?,
            Kind::Vector => {
                let elements: Vec<_> = value.split_ascii_whitespace().map(|part| Some(part.to_owned())).collect();
                self.write_array_binary(&vector_dimensions(elements.len()), &elements, out)?;
            }
            Kind::Range => range::parse(value, self)?.write_binary(self, out)?,
            Kind::MultiRange => range::multirange_to_binary(value, self, out)?,
            Kind::TsVector => misc::write_tsvector(value, out)?,
            Kind::Opaque => return Err(self.no_binary()),
        }
        Ok(())
    }

    /// Appends the text of a value in binary form.
    pub(crate) fn binary_to_text(&self, bytes: &[u8], style: &OutputStyle, out: &mut String) -> Result<()> {
        match self.kind {
            Kind::Bool => out.push(if self.fixed::<1>(bytes)? == [0] { 'f' } else { 't' }),
            Kind::Int2 => text::write_integer(i64::from(i16::from_be_bytes(self.fixed(bytes)?)), out),
            Kind::Int4 => text::write_integer(i64::from(i32::from_be_bytes(self.fixed(bytes)?)), out),
            Kind::Int8 => text::write_integer(i64::from_be_bytes(self.fixed(bytes)?), out),
            Kind::Oid => text::write_integer(i64::from(u32::from_be_bytes(self.fixed(bytes)?)), out),
            Kind::Reg => self.write_reg(u32::from_be_bytes(self.fixed(bytes)?), out),
            Kind::Float4 => text::write_float4(f32::from_be_bytes(self.fixed(bytes)?), style.extra_float_digits, out),
            Kind::Float8 => text::write_float8(f64::from_be_bytes(self.fixed(bytes)?), style.extra_float_digits, out),
            Kind::Numeric => Numeric::from_binary(bytes)?.write(out),
            Kind::Text | Kind::Name | Kind::VarChar | Kind::Json | Kind::Enum => out.push_str(utf8(bytes)?),
            Kind::Char => out.push_str(char_text(bytes)?),
            Kind::BpChar => self.write_padded(input::bpchar_value(utf8(bytes)?, self.length), out),
            Kind::Bytea => text::write_bytea(bytes, style.bytea_escape, out),
            Kind::Date => text::write_date(date_from_binary(self.fixed(bytes)?)?, style, out),
            Kind::Time => text::write_time(time_from_binary(self.fixed(bytes)?)?, out),
            Kind::TimeTz => {
                let (usecs, zone) = bytes.split_first_chunk::<8>().ok_or_else(|| bad_binary(self.name))?;
                let zone = i64::from(i32::from_be_bytes(self.fixed(zone)?));
                if !(-57_600 < zone && zone < 57_600) {
                    return Err(ConnectorError::value("22009", "time zone displacement out of range"));
                }
                misc::write_timetz(time_from_binary(*usecs)?, -zone, out);
            }
            Kind::Timestamp => text::write_timestamp(timestamp_from_binary(self.fixed(bytes)?)?, style, out),
            Kind::TimestampTz => text::write_timestamptz(timestamp_from_binary(self.fixed(bytes)?)?, style, out),
            Kind::Interval => interval::write_interval(&interval_from_binary(bytes)?, style.interval_style, out),
            Kind::Uuid => text::write_uuid(&self.fixed(bytes)?, out),
            Kind::Jsonb => match bytes {
                [JSONB_VERSION, json @ ..] => out.push_str(utf8(json)?),
                _ => return Err(bad_binary("jsonb")),
            },
            Kind::JsonPath => match bytes {
                [JSONB_VERSION, path @ ..] => out.push_str(utf8(path)?),
                _ => return Err(bad_binary("jsonpath")),
            },
            Kind::Inet | Kind::Cidr => {
                let is_cidr = self.kind == Kind::Cidr;
                Inet::from_binary(bytes, is_cidr)?.write(is_cidr, out);
            }
            Kind::MacAddr => network::write_mac(&self.fixed::<6>(bytes)?, out),
            Kind::MacAddr8 => network::write_mac(&self.fixed::<8>(bytes)?, out),
            Kind::Money => misc::write_money(i64::from_be_bytes(self.fixed(bytes)?), out),
            Kind::Bit | Kind::VarBit => misc::read_bits_binary(bytes, out)?,
            Kind::Shape(shape) => {
                let (numbers, closed) = shape.read_binary(bytes)?;
                shape.write(&numbers, closed, style.extra_float_digits, out);
            }
            Kind::Lsn => write_lsn(u64::from_be_bytes(self.fixed(bytes)?), out),
            Kind::Tid => {
                let [a, b, c, d, e, f] = self.fixed(bytes)?;
                write_tid((u32::from_be_bytes([a, b, c, d]), u16::from_be_bytes([e, f])), out);
            }
            Kind::TsVector => misc::read_tsvector(bytes, out)?,
            Kind::Array => self.array_from_binary(bytes, style)?.write(self.element_delimiter(), out),
            Kind::Vector => {
                let elements = self.array_from_binary(bytes, style)?.elements;
                let words: Vec<_> = elements.into_iter().flatten().collect();
                out.push_str(&words.join(" "));
            }
            Kind::Range => RangeText::from_binary(bytes, self, style)?.write(out),
            Kind::MultiRange => range::multirange_from_binary(bytes, self, style, out)?,
            Kind::Opaque => return Err(self.no_binary()),
        }
        Ok(())
    }

    /// The element's codec, which every array and range has.
    pub(crate) fn inner(&self) -> Result<&Self> {
        self.element.as_deref().ok_or_else(|| ConnectorError::Internal {
            message: format!("type {} has no element type", self.data_type.sql_name()),
        })
    }

    /// Between this array's elements.
    pub(crate) fn element_delimiter(&self) -> u8 {
        self.element.as_ref().map_or(b',', |element| element.delimiter)
    }

    /// The bytes of a type of fixed length.
    pub(crate) fn fixed<const N: usize>(&self, bytes: &[u8]) -> Result<[u8; N]> {
        bytes.try_into().map_err(|_| bad_binary(self.name))
    }

    /// The refusal of a type without a known binary format.
    pub(crate) fn no_binary(&self) -> ConnectorError {
        ConnectorError::unsupported(format!("the binary format of type {} is not supported", self.data_type.sql_name()))
    }

    /// `numeric_in` with the modifier applied.
    pub(crate) fn numeric(&self, value: &str) -> Result<Numeric> {
        let numeric = Numeric::parse(value)?;
        match self.data_type.numeric_bounds() {
            Some((precision, scale)) => numeric.bounded(precision, scale),
            None => Ok(numeric),
        }
    }

    /// Appends `char(n)` text filled up with spaces.
    pub(crate) fn write_padded(&self, value: &str, out: &mut String) {
        out.push_str(value);
        if let Some(length) = self.length {
            (value.chars().count()..length).for_each(|_| out.push(' '));
        }
    }

    /// An enum's label, checked where the labels are known.
    pub(crate) fn label<'a>(&self, value: &'a str) -> Result<&'a str> {
        let labels = self.data_type.labels();
        if labels.is_empty() || labels.iter().any(|label| label == value) {
            return Ok(value);
        }
        let name = self.data_type.sql_name();
        Err(ConnectorError::value("22P02", format!("invalid input value for enum {name}: \"{value}\"")))
    }

    /// The OID behind a `reg…` name, where it can be known here.
    fn reg_oid(&self, value: &str) -> Result<u32> {
        if value == "-" {
            return Ok(0);
        }
        if let Ok(oid) = value.parse() {
            return Ok(oid);
        }
        let found = if self.data_type.oid == oids::REGTYPE { super::name::parse_type_name(value) } else { None };
        found.map(|found| found.oid).ok_or_else(|| self.no_binary())
    }

    fn write_reg(&self, oid: u32, out: &mut String) {
        match (oid, self.data_type.oid) {
            (0, _) => out.push('-'),
            (_, oids::REGTYPE) if BuiltinType::by_oid(oid).is_some() => out.push_str(&PgType::new(oid).sql_name()),
            _ => text::write_integer(i64::from(oid), out),
        }
    }

    fn canonical_array(
        &self,
        value: &str,
        zone_style: &OutputStyle,
        style: &OutputStyle,
        out: &mut String,
    ) -> Result<()> {
        let element = self.inner()?;
        let mut array = ArrayText::parse(value, self.element_delimiter())?;
        for text in array.elements.iter_mut().flatten() {
            let mut canonical = String::with_capacity(text.len());
            element.canonical(text, zone_style, style, &mut canonical)?;
            *text = canonical;
        }
        array.write(self.element_delimiter(), out);
        Ok(())
    }

    /// `int2vector` and `oidvector`: numbers between spaces.
    fn vector(&self, value: &str, out: &mut String) -> Result<()> {
        let element = self.inner()?;
        let style = OutputStyle::default();
        for (index, number) in value.split_ascii_whitespace().enumerate() {
            if index > 0 {
                out.push(' ');
            }
            element.canonical(number, &style, &style, out)?;
        }
        Ok(())
    }

    fn array_to_binary(&self, value: &str, out: &mut BytesMut) -> Result<()> {
        let array = ArrayText::parse(value, self.element_delimiter())?;
        self.write_array_binary(&array.dimensions, &array.elements, out)
    }

    fn write_array_binary(
        &self,
        dimensions: &[Dimension],
        elements: &[Option<String>],
        out: &mut BytesMut,
    ) -> Result<()> {
        let element = self.inner()?;
        put_array_header(dimensions, elements.iter().any(Option::is_none), element.data_type.oid, out);
        for value in elements {
            match value {
                None => out.put_i32(-1),
                Some(value) => put_counted(out, |out| element.text_to_binary(value, out))?,
            }
        }
        Ok(())
    }

    fn array_from_binary(&self, bytes: &[u8], style: &OutputStyle) -> Result<ArrayText> {
        let element = self.inner()?;
        let bad = || bad_binary("array");
        let (header, mut rest) = bytes.split_first_chunk::<12>().ok_or_else(bad)?;
        let [n0, n1, n2, n3, _, _, _, _, o0, o1, o2, o3] = *header;
        let oid = u32::from_be_bytes([o0, o1, o2, o3]);
        // A user type's OID is the remote's own.
        if element.data_type.user.is_none() && oid != element.data_type.oid {
            return Err(bad());
        }
        let mut dimensions = Vec::new();
        for _ in 0..u32::from_be_bytes([n0, n1, n2, n3]) {
            let ([l0, l1, l2, l3, b0, b1, b2, b3], after) = rest.split_first_chunk::<8>().ok_or_else(bad)?;
            let length = i32::from_be_bytes([*l0, *l1, *l2, *l3]);
            let lower = i32::from_be_bytes([*b0, *b1, *b2, *b3]);
            dimensions.push(Dimension { lower, length });
            rest = after;
        }
        let count = super::array::count(&dimensions).ok_or_else(bad)?;
        // Each element takes at least four bytes: what a header claims beyond that is a lie.
        if count > rest.len() / 4 {
            return Err(bad());
        }
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            let (value, after) = take_counted(rest).ok_or_else(bad)?;
            rest = after;
            elements.push(match value {
                None => None,
                Some(value) => {
                    let mut text = String::new();
                    element.binary_to_text(value, style, &mut text)?;
                    Some(text)
                }
            });
        }
        if !rest.is_empty() {
            return Err(bad());
        }
        if elements.is_empty() {
            dimensions.clear();
        }
        Ok(ArrayText { dimensions, elements })
    }
}

const BOX_OID: u32 = 603;
/// The only version of the binary formats of `jsonb` and `jsonpath`.
pub(crate) const JSONB_VERSION: u8 = 1;

/// The dimensions of an `int2vector`: it counts from 0.
fn vector_dimensions(length: usize) -> Vec<Dimension> {
    vec![Dimension { lower: 0, length: i32::try_from(length).unwrap_or(i32::MAX) }]
}

fn kind_of(data_type: &PgType) -> Kind {
    if let Some(user) = &data_type.user {
        if data_type.is_collated() || data_type.is_citext() {
            // Both formats are the text's; how it compares is another matter.
            return Kind::Text;
        }
        return match (user.array, user.labels.is_empty()) {
            (true, _) => Kind::Array,
            (false, false) => Kind::Enum,
            (false, true) => Kind::Opaque,
        };
    }
    match data_type.oid {
        oids::BOOL => Kind::Bool,
        oids::INT2 => Kind::Int2,
        oids::INT4 => Kind::Int4,
        oids::INT8 => Kind::Int8,
        oids::OID | oids::XID | oids::CID => Kind::Oid,
        oids::REGPROC | 2202..=2206 | oids::REGNAMESPACE | oids::REGROLE => Kind::Reg,
        oids::FLOAT4 => Kind::Float4,
        oids::FLOAT8 => Kind::Float8,
        oids::NUMERIC => Kind::Numeric,
        oids::TEXT | oids::UNKNOWN | oids::XML | REFCURSOR | PG_NODE_TREE => Kind::Text,
        oids::NAME => Kind::Name,
        oids::CHAR => Kind::Char,
        oids::VARCHAR => Kind::VarChar,
        oids::BPCHAR => Kind::BpChar,
        oids::BYTEA => Kind::Bytea,
        oids::DATE => Kind::Date,
        oids::TIME => Kind::Time,
        oids::TIMETZ => Kind::TimeTz,
        oids::TIMESTAMP => Kind::Timestamp,
        oids::TIMESTAMPTZ => Kind::TimestampTz,
        oids::INTERVAL => Kind::Interval,
        oids::UUID => Kind::Uuid,
        oids::JSON => Kind::Json,
        oids::JSONB => Kind::Jsonb,
        oids::JSONPATH => Kind::JsonPath,
        oids::INET => Kind::Inet,
        oids::CIDR => Kind::Cidr,
        oids::MACADDR => Kind::MacAddr,
        oids::MACADDR8 => Kind::MacAddr8,
        oids::MONEY => Kind::Money,
        oids::BIT => Kind::Bit,
        oids::VARBIT => Kind::VarBit,
        oids::POINT => Kind::Shape(Shape::Point),
        601 => Kind::Shape(Shape::Segment),
        602 => Kind::Shape(Shape::Path),
        BOX_OID => Kind::Shape(Shape::Box),
        604 => Kind::Shape(Shape::Polygon),
        628 => Kind::Shape(Shape::Line),
        718 => Kind::Shape(Shape::Circle),
        3220 => Kind::Lsn,
        27 => Kind::Tid,
        3614 => Kind::TsVector,
        oids::INT2VECTOR | oids::OIDVECTOR => Kind::Vector,
        oid if range::is_multirange(oid) => Kind::MultiRange,
        oid if range::element_of(oid).is_some() => Kind::Range,
        _ if data_type.is_array() => Kind::Array,
        // What has no OID we know has its text only.
        _ => Kind::Opaque,
    }
}

const REFCURSOR: u32 = 1790;
const PG_NODE_TREE: u32 = 194;

/// A type's name as messages about its text have it.
fn message_name(data_type: &PgType) -> &'static str {
    if data_type.user.is_some() {
        return "enum";
    }
    match data_type.oid {
        oids::TIME => "time",
        oids::TIMESTAMP => "timestamp",
        oid => BuiltinType::by_oid(oid).map_or("unknown", |builtin| builtin.sql_name),
    }
}

/// Text out of bytes.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| ConnectorError::value("22021", "invalid byte sequence for encoding \"UTF8\""))?;
    if text.contains('\0') {
        return Err(ConnectorError::value("22021", "invalid byte sequence for encoding \"UTF8\": 0x00"));
    }
    Ok(text)
}

/// The text of a `"char"`: nothing for byte 0.
pub(crate) fn char_text(bytes: &[u8]) -> Result<&str> {
    match bytes {
        [] | [0] => Ok(""),
        [_] => utf8(bytes),
        // More than the one byte would be printed and not read back.
        _ => Err(bad_binary("char")),
    }
}

/// Days since 1970 of a binary `date`; the infinities stay the extremes.
pub(crate) fn date_from_binary(bytes: [u8; 4]) -> Result<i32> {
    match i32::from_be_bytes(bytes) {
        extreme @ (i32::MAX | i32::MIN) => Ok(extreme),
        days => days
            .checked_add(POSTGRES_EPOCH_DAYS)
            .filter(|days| *days != i32::MAX)
            .ok_or_else(|| ConnectorError::value("22008", "date out of range")),
    }
}

/// Microseconds since 1970 of a binary `timestamp`; the infinities stay the extremes.
pub(crate) fn timestamp_from_binary(bytes: [u8; 8]) -> Result<i64> {
    match i64::from_be_bytes(bytes) {
        extreme @ (i64::MAX | i64::MIN) => Ok(extreme),
        usecs => usecs
            .checked_add(POSTGRES_EPOCH_USECS)
            .filter(|usecs| *usecs != i64::MAX)
            .ok_or_else(|| ConnectorError::value("22008", "timestamp out of range")),
    }
}

/// Microseconds of a binary `time`.
pub(crate) fn time_from_binary(bytes: [u8; 8]) -> Result<i64> {
    let usecs = i64::from_be_bytes(bytes);
    if (0..=USECS_PER_DAY).contains(&usecs) {
        Ok(usecs)
    } else {
        Err(ConnectorError::value("22008", "time out of range"))
    }
}

/// A binary `interval`.
pub(crate) fn interval_from_binary(bytes: &[u8]) -> Result<Interval> {
    let bytes: [u8; 16] = bytes.try_into().map_err(|_| bad_binary("interval"))?;
    let [u0, u1, u2, u3, u4, u5, u6, u7, d0, d1, d2, d3, m0, m1, m2, m3] = bytes;
    Ok(Interval {
        usecs: i64::from_be_bytes([u0, u1, u2, u3, u4, u5, u6, u7]),
        days: i32::from_be_bytes([d0, d1, d2, d3]),
        months: i32::from_be_bytes([m0, m1, m2, m3]),
    })
}

/// Appends a binary `date`.
pub(crate) fn put_date(days: i32, out: &mut BytesMut) {
    out.put_i32(match days {
        extreme @ (i32::MAX | i32::MIN) => extreme,
        days => days.saturating_sub(POSTGRES_EPOCH_DAYS),
    });
}

/// Appends a binary `timestamp`.
pub(crate) fn put_timestamp(usecs: i64, out: &mut BytesMut) -> Result<()> {
    out.put_i64(match usecs {
        extreme @ (i64::MAX | i64::MIN) => extreme,
        usecs => usecs
            .checked_sub(POSTGRES_EPOCH_USECS)
            .ok_or_else(|| ConnectorError::value("22008", "timestamp out of range"))?,
    });
    Ok(())
}

/// Appends a binary `interval`.
pub(crate) fn put_interval(interval: &Interval, out: &mut BytesMut) {
    out.put_i64(interval.usecs);
    out.put_i32(interval.days);
    out.put_i32(interval.months);
}

/// Appends a binary array's header.
pub(crate) fn put_array_header(dimensions: &[Dimension], has_nulls: bool, element: u32, out: &mut BytesMut) {
    out.put_i32(i32::try_from(dimensions.len()).unwrap_or(0));
    out.put_i32(i32::from(has_nulls));
    out.put_u32(element);
    for dimension in dimensions {
        out.put_i32(dimension.length);
        out.put_i32(dimension.lower);
    }
}

/// Appends what `write` writes with its length before it.
pub(crate) fn put_counted(out: &mut BytesMut, write: impl FnOnce(&mut BytesMut) -> Result<()>) -> Result<()> {
    let start = out.len();
    out.put_i32(0);
    write(out)?;
    let length = i32::try_from(out.len() - start - 4)
        .map_err(|_| ConnectorError::value("54000", "value is too long for the binary format"))?;
    if let Some(slot) = out.get_mut(start..start + 4) {
        slot.copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}

/// A value with its length before it, `None` inside for NULL, and the bytes after it.
pub(crate) fn take_counted(bytes: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    match i32::from_be_bytes(*length) {
        -1 => Some((None, rest)),
        length => {
            let (value, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            Some((Some(value), rest))
        }
    }
}

fn write_lsn(lsn: u64, out: &mut String) {
    out.push_str(&format!("{:X}/{:X}", lsn >> 32, lsn & 0xffff_ffff));
}

fn write_tid((block, row): (u32, u16), out: &mut String) {
    out.push_str(&format!("({block},{row})"));
}
