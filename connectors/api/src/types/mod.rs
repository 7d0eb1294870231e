//! The type table: which Arrow storage holds a PostgreSQL type, and how its values are read and printed.
//!
//! A field's metadata carries the PostgreSQL type from the scan to the wire. A field without metadata has the type that
//! its Arrow type suggests ([`PgType::of_field`]).

mod arithmetic;
mod array;
pub mod binary;
pub mod builder;
mod calendar;
pub mod cast;
mod codec;
mod datetime;
mod diagnosis;
mod elements;
mod input;
mod interval;
mod json;
pub mod key;
mod misc;
mod name;
mod network;
mod numeric;
mod range;
mod scalar;
mod short_numeric;
mod source;
mod table;
pub mod temporal;
#[cfg(test)]
mod tests;
pub mod text;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};
use serde::{Deserialize, Serialize};

pub use arithmetic::Arithmetic;
pub use array::{ArrayText, Dimension};
pub use binary::BinaryWriter;
pub use builder::ColumnBuilder;
pub use elements::elements;
pub use name::from_sql;
pub use numeric::Numeric;
pub use range::{
    RangeMerge, RangeParts, RangeTest, range_contains_value, range_from, range_merge, range_parts, range_test,
};
pub use scalar::{format_scalar, parse_scalar, parse_scalar_with, scalar_from_binary};
pub use short_numeric::{ShortNumeric, ShortNumerics};
pub use table::{BUILTIN, BuiltinType, oids};
pub use text::TextWriter;

/// Metadata keys of a field that carries its PostgreSQL type.
const KEY_OID: &str = "pg.oid";
const KEY_MODIFIER: &str = "pg.modifier";
const KEY_USER: &str = "pg.user_type";

/// Between a string type and its collation.
const COLLATE: &str = " collate ";

/// `uuid` is 16 bytes: RFC 9562.
const UUID_BYTES: i32 = 16;

/// The stored representation of `NaN` in a `Decimal128`: outside every precision up to 38, so that it sorts after all
/// numbers and equals itself, as PostgreSQL has it.
pub const DECIMAL128_NAN: i128 = i128::MAX;
/// The same for a `Decimal256`, whose precision ends at 76 digits.
pub const DECIMAL256_NAN: arrow::datatypes::i256 = arrow::datatypes::i256::MAX;

/// A PostgreSQL type with its modifier.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "StoredType")]
pub struct PgType {
    /// The type's OID: PostgreSQL's own for built-in types, derived from name and labels for others.
    pub oid: u32,
    /// PostgreSQL's `atttypmod`; -1 where there is none.
    pub modifier: i32,
    /// What is known of a type that PostgreSQL does not have built in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Arc<UserType>>,
}

/// A type that some source defines: an enum, a composite, a range …
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UserType {
    /// As `format_type` prints it, for example `mood` or `mood[]`.
    pub name: String,
    /// An enum's labels in their order; empty for every other type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// It is an array.
    #[serde(default)]
    pub array: bool,
    /// It is a composite type: its values are rows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub composite: bool,
}

/// A type as catalogs keep it.
#[derive(Deserialize)]
struct StoredType {
    oid: u32,
    modifier: i32,
    #[serde(default)]
    user: Option<Arc<UserType>>,
}

impl From<StoredType> for PgType {
    /// The OID of a source's type follows from its name and labels, whatever was stored.
    fn from(stored: StoredType) -> Self {
        let oid = stored.user.as_ref().map_or(stored.oid, |user| derived_oid(&user.name, &user.labels));
        Self { oid, modifier: stored.modifier, user: stored.user }
    }
}

impl PgType {
    /// A built-in type without a modifier.
    pub const fn new(oid: u32) -> Self {
        Self { oid, modifier: -1, user: None }
    }

    /// A built-in type with a modifier as PostgreSQL encodes it.
    pub const fn with_modifier(oid: u32, modifier: i32) -> Self {
        Self { oid, modifier, user: None }
    }

    /// `numeric(precision, scale)`.
    pub fn numeric(precision: u16, scale: i16) -> Self {
        // src/include/utils/numeric.h: ((precision << 16) | (scale & 0x7ff)) + VARHDRSZ.
        let modifier = ((i32::from(precision) << 16) | (i32::from(scale) & 0x7ff)) + 4;
        Self::with_modifier(oids::NUMERIC, modifier)
    }

    /// `varchar(length)`.
    pub fn varchar(length: u32) -> Self {
        Self::with_modifier(oids::VARCHAR, i32::try_from(length).unwrap_or(i32::MAX - 4).saturating_add(4))
    }

    /// `char(length)`.
    pub fn bpchar(length: u32) -> Self {
        Self::with_modifier(oids::BPCHAR, i32::try_from(length).unwrap_or(i32::MAX - 4).saturating_add(4))
    }

    /// A type that some source defines. Its OID is derived from its name and labels, so that it is the same after a
    /// restart, and another one where an enum of the same name has other labels: their values do not compare.
    pub fn user(name: impl Into<String>, labels: Vec<String>, array: bool) -> Self {
        let name = name.into();
        let oid = derived_oid(&name, &labels);
        Self { oid, modifier: -1, user: Some(Arc::new(UserType { name, labels, array, composite: false })) }
    }

    /// A composite type of some source.
    pub fn composite(name: impl Into<String>) -> Self {
        let name = name.into();
        let oid = derived_oid(&name, &[]);
        Self {
            oid,
            modifier: -1,
            user: Some(Arc::new(UserType { name, labels: Vec::new(), array: false, composite: true })),
        }
    }

    /// A string type whose collation equates different texts: how its values compare only their source knows.
    pub fn collated(name: impl std::fmt::Display, collation: &str) -> Self {
        Self::user(format!("{name}{COLLATE}{collation}"), Vec::new(), false)
    }

    /// Whether this is such a type.
    pub fn is_collated(&self) -> bool {
        self.user.as_ref().is_some_and(|user| user.labels.is_empty() && user.name.contains(COLLATE))
    }

    /// Whether this is `citext`, whose values are text of which the case says nothing.
    pub fn is_citext(&self) -> bool {
        self.is_extension()
            && self.user.as_ref().is_some_and(|user| user.name == "citext" || user.name.ends_with(".citext"))
    }

    /// Whether values are rows.
    pub fn is_composite(&self) -> bool {
        self.user.as_ref().is_some_and(|user| user.composite)
    }

    /// Whether this is a type of an extension's or of its own making: neither enum nor array nor composite. What operators
    /// it has is not known.
    pub fn is_extension(&self) -> bool {
        self.user.as_ref().is_some_and(|user| !user.array && !user.composite && user.labels.is_empty())
    }

    /// Precision and scale of a `numeric` that has them.
    pub fn numeric_bounds(&self) -> Option<(u16, i16)> {
        (self.oid == oids::NUMERIC && self.modifier >= 4).then(|| {
            let packed = self.modifier - 4;
            let precision = u16::try_from((packed >> 16) & 0xffff).unwrap_or(u16::MAX);
            // The scale is an 11-bit signed number since PostgreSQL 15.
            let scale = ((packed & 0x7ff) ^ 1024) - 1024;
            (precision, i16::try_from(scale).unwrap_or(0))
        })
    }

    /// The labels of an enum, in their order; empty for every other type.
    pub fn labels(&self) -> &[String] {
        self.user.as_ref().map_or(&[], |user| user.labels.as_slice())
    }

    /// Whether this is an array type.
    pub fn is_array(&self) -> bool {
        match &self.user {
            Some(user) => user.array,
            None => BuiltinType::by_oid(self.oid).is_some_and(|builtin| builtin.element != 0),
        }
    }

    /// The type of an array's elements, with the array's modifier.
    pub fn element(&self) -> Option<Self> {
        match &self.user {
            Some(user) if user.array => Some(Self::user(user.name.trim_end_matches("[]"), user.labels.clone(), false)),
            Some(_) => None,
            None => BuiltinType::by_oid(self.oid)
                .filter(|builtin| builtin.element != 0)
                .map(|builtin| Self::with_modifier(builtin.element, self.modifier)),
        }
    }

    /// The type of a range's bounds; `None` for every other type.
    pub fn range_bound(&self) -> Option<Self> {
        let builtin = self.user.is_none() && !range::is_multirange(self.oid);
        range::element_of(self.oid).filter(|_| builtin).map(Self::new)
    }

    /// The array type over this one; `None` where PostgreSQL has none.
    pub fn array(&self) -> Option<Self> {
        match &self.user {
            Some(user) if user.array => None,
            Some(user) => Some(Self::user(format!("{}[]", user.name), user.labels.clone(), true)),
            None => BuiltinType::by_oid(self.oid)
                .filter(|builtin| builtin.array != 0)
                .map(|builtin| Self::with_modifier(builtin.array, self.modifier)),
        }
    }

    /// The Arrow type that holds it.
    ///
    /// Everything that Arrow has no exact type for is text in PostgreSQL's output format: `numeric` without or beyond 76
    /// digits of precision, arrays (any number of dimensions fits), enums, ranges, network addresses and so on.
    pub fn storage(&self) -> DataType {
        if self.user.is_some() {
            return DataType::Utf8View;
        }
        match self.oid {
            oids::BOOL => DataType::Boolean,
            oids::INT2 => DataType::Int16,
            oids::INT4 => DataType::Int32,
            oids::INT8 | oids::OID | oids::XID | oids::CID => DataType::Int64,
            oids::FLOAT4 => DataType::Float32,
            oids::FLOAT8 => DataType::Float64,
            oids::NUMERIC => self.numeric_storage(),
            oids::BYTEA => DataType::BinaryView,
            oids::DATE => DataType::Date32,
            oids::TIME => DataType::Time64(TimeUnit::Microsecond),
            oids::TIMESTAMP => DataType::Timestamp(TimeUnit::Microsecond, None),
            oids::TIMESTAMPTZ => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            oids::INTERVAL => DataType::Interval(IntervalUnit::MonthDayNano),
            oids::UUID => DataType::FixedSizeBinary(UUID_BYTES),
            _ => DataType::Utf8View,
        }
    }

    fn numeric_storage(&self) -> DataType {
        match self.numeric_bounds() {
            Some((precision @ 1..=76, scale)) if scale >= 0 && i32::from(scale) <= i32::from(precision) => {
                let (precision, scale) = (u8::try_from(precision).unwrap_or(76), i8::try_from(scale).unwrap_or(0));
                if precision <= 38 {
                    DataType::Decimal128(precision, scale)
                } else {
                    DataType::Decimal256(precision, scale)
                }
            }
            _ => DataType::Utf8View,
        }
    }

    /// A field of this type, in its storage.
    pub fn field(&self, name: &str, nullable: bool) -> Field {
        self.tag(Field::new(name, self.storage(), nullable))
    }

    /// Writes this type into a field's metadata, whatever its storage.
    #[must_use]
    pub fn tag(&self, field: Field) -> Field {
        let mut metadata = field.metadata().clone();
        metadata.extend(self.metadata());
        field.with_metadata(metadata)
    }

    /// The metadata that carries this type.
    pub fn metadata(&self) -> HashMap<String, String> {
        let mut metadata = HashMap::from([
            (KEY_OID.to_owned(), self.oid.to_string()),
            (KEY_MODIFIER.to_owned(), self.modifier.to_string()),
        ]);
        if let Some(user) = &self.user
            && let Ok(text) = serde_json::to_string(user.as_ref())
        {
            metadata.insert(KEY_USER.to_owned(), text);
        }
        metadata
    }

    /// The type that a field's metadata carries, else the one that its Arrow type suggests.
    pub fn of_field(field: &Field) -> Self {
        let number = |key: &str| field.metadata().get(key);
        let Some(oid) = number(KEY_OID).and_then(|text| text.parse().ok()) else {
            return Self::of_arrow(field.data_type());
        };
        let modifier = number(KEY_MODIFIER).and_then(|text| text.parse().ok()).unwrap_or(-1);
        let user = number(KEY_USER).and_then(|text| serde_json::from_str(text).ok()).map(Arc::new);
        Self { oid, modifier, user }
    }

    /// The PostgreSQL type under which an Arrow type without metadata is seen.
    pub fn of_arrow(data_type: &DataType) -> Self {
        let oid = match data_type {
            DataType::Boolean => oids::BOOL,
            DataType::Int8 | DataType::Int16 | DataType::UInt8 => oids::INT2,
            DataType::Int32 | DataType::UInt16 => oids::INT4,
            DataType::Int64 | DataType::UInt32 => oids::INT8,
            DataType::UInt64 => return Self::numeric(20, 0),
            DataType::Float16 | DataType::Float32 => oids::FLOAT4,
            DataType::Float64 => oids::FLOAT8,
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale)
            | DataType::Decimal256(precision, scale) => return Self::numeric(u16::from(*precision), i16::from(*scale)),
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                oids::BYTEA
            }
            DataType::Date32 | DataType::Date64 => oids::DATE,
            DataType::Time32(_) | DataType::Time64(_) => oids::TIME,
            DataType::Timestamp(_, None) => oids::TIMESTAMP,
            DataType::Timestamp(_, Some(_)) => oids::TIMESTAMPTZ,
            DataType::Interval(_) | DataType::Duration(_) => oids::INTERVAL,
            DataType::Dictionary(_, value) => return Self::of_arrow(value),
            DataType::List(field)
            | DataType::LargeList(field)
            | DataType::FixedSizeList(field, _)
            | DataType::ListView(field)
            | DataType::LargeListView(field) => {
                let element = Self::of_field(field);
                // A list of lists is one PostgreSQL array of several dimensions.
                return if element.is_array() {
                    element
                } else {
                    element.array().unwrap_or(Self::new(oids::TEXT_ARRAY))
                };
            }
            DataType::Struct(_) | DataType::Map(_, _) | DataType::Union(_, _) => oids::JSONB,
            _ => oids::TEXT,
        };
        Self::new(oid)
    }

    /// The type as `format_type` prints it: `integer`, `numeric(10,2)`, `text[]`, `mood`.
    pub fn sql_name(&self) -> String {
        table::sql_name(self)
    }
}

/// OIDs of types that PostgreSQL does not have begin here and end below 2^31, where clients that read OIDs as signed
/// numbers would find negative ones. Every OID that a catalog assigns is lower.
pub const DERIVED_OID_MIN: u32 = 0x6000_0000;

/// A stable OID for a type that PostgreSQL does not have: FNV-1a of its name, and of its labels where it has some.
fn derived_oid(name: &str, labels: &[String]) -> u32 {
    // A byte that is in no UTF-8 text keeps one label from running into the next.
    let labels = labels.iter().flat_map(|label| std::iter::once(0xff).chain(label.bytes()));
    let hash = name
        .bytes()
        .chain(labels)
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    DERIVED_OID_MIN | (hash >> 3)
}
