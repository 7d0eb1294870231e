//! Ranges and multiranges as text and binary.

use std::cmp::Ordering;

use bytes::{BufMut, BytesMut};

use super::codec::{Codec, Kind, put_counted, take_counted};
use super::diagnosis;
use super::input::{bad_binary, is_space};
use super::numeric::Numeric;
use super::text::OutputStyle;
use super::{PgType, datetime, input, oids};
use crate::{ConnectorError, Result};

/// Flags of the binary format: src/include/utils/rangetypes.h.
const EMPTY: u8 = 0x01;
const LOWER_INCLUSIVE: u8 = 0x02;
const UPPER_INCLUSIVE: u8 = 0x04;
const LOWER_INFINITE: u8 = 0x08;
const UPPER_INFINITE: u8 = 0x10;

/// The type of a range's bounds, or the range type of a multirange.
pub(crate) fn element_of(oid: u32) -> Option<u32> {
    Some(match oid {
        3904 => oids::INT4,
        3906 => oids::NUMERIC,
        3908 => oids::TIMESTAMP,
        3910 => oids::TIMESTAMPTZ,
        3912 => oids::DATE,
        3926 => oids::INT8,
        4451 => 3904,
        4532 => 3906,
        4533 => 3908,
        4534 => 3910,
        4535 => 3912,
        4536 => 3926,
        _ => return None,
    })
}

/// Whether an OID is a multirange's.
pub(crate) fn is_multirange(oid: u32) -> bool {
    matches!(oid, 4451 | 4532..=4536)
}

/// A range with its bounds as text; `None` for a bound is infinite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RangeText {
    pub(crate) empty: bool,
    pub(crate) lower: Option<String>,
    pub(crate) upper: Option<String>,
    pub(crate) lower_inclusive: bool,
    pub(crate) upper_inclusive: bool,
}

const EMPTY_RANGE: RangeText =
    RangeText { empty: true, lower: None, upper: None, lower_inclusive: false, upper_inclusive: false };

fn malformed(text: &str) -> ConnectorError {
    let error = ConnectorError::value("22P02", format!("malformed range literal: \"{text}\""));
    match diagnosis::range(text) {
        Some(detail) => error.with_detail(detail),
        None => error,
    }
}

/// Reads range text; bounds are not yet checked.
pub(crate) fn parse(text: &str, _codec: &Codec) -> Result<RangeText> {
    let mut reader = Reader { bytes: text.as_bytes(), at: 0 };
    let range = reader.range().ok_or_else(|| malformed(text))?;
    reader.spaces();
    if reader.at == text.len() { Ok(range) } else { Err(malformed(text)) }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn spaces(&mut self) {
        while self.peek().is_some_and(is_space) {
            self.at += 1;
        }
    }

    fn range(&mut self) -> Option<RangeText> {
        self.spaces();
        if self.bytes.get(self.at..self.at + 5).is_some_and(|word| word.eq_ignore_ascii_case(b"empty")) {
            self.at += 5;
            return Some(EMPTY_RANGE);
        }
        let lower_inclusive = match self.next()? {
            b'[' => true,
            b'(' => false,
            _ => return None,
        };
        let lower = self.bound()?;
        if self.next()? != b',' {
            return None;
        }
        let upper = self.bound()?;
        let upper_inclusive = match self.next()? {
            b']' => true,
            b')' => false,
            _ => return None,
        };
        Some(RangeText {
            empty: false,
            // An infinite bound includes nothing.
            lower_inclusive: lower_inclusive && lower.is_some(),
            upper_inclusive: upper_inclusive && upper.is_some(),
            lower,
            upper,
        })
    }

    /// A bound up to `,` or the closing bracket; the inner `None` for none at all.
    fn bound(&mut self) -> Option<Option<String>> {
        if matches!(self.peek()?, b',' | b')' | b']') {
            return Some(None);
        }
        let mut bytes = Vec::new();
        let mut quoted = false;
        loop {
            match self.peek()? {
                b',' | b')' | b']' | b'(' | b'[' if !quoted => break,
                b'\\' => {
                    self.at += 1;
                    bytes.push(self.peek()?);
                }
                b'"' if quoted && self.bytes.get(self.at + 1) == Some(&b'"') => {
                    self.at += 1;
                    bytes.push(b'"');
                }
                b'"' => quoted = !quoted,
                byte => bytes.push(byte),
            }
            self.at += 1;
        }
        String::from_utf8(bytes).ok().map(Some)
    }
}

impl RangeText {
    /// Checks and prints the bounds, and brings ranges of whole numbers and days into the form `[a,b)`.
    pub(crate) fn normal(mut self, codec: &Codec, zone_style: &OutputStyle, style: &OutputStyle) -> Result<Self> {
        let element = codec.inner()?;
        if self.empty {
            return Ok(EMPTY_RANGE);
        }
        let plain = OutputStyle::default();
        for bound in [&mut self.lower, &mut self.upper].into_iter().flatten() {
            let mut canonical = String::new();
            element.canonical(bound, zone_style, &plain, &mut canonical)?;
            *bound = canonical;
        }
        if let (Some(lower), Some(upper)) = (&self.lower, &self.upper) {
            match compare(element, lower, upper)? {
                Ordering::Greater => {
                    return Err(ConnectorError::value(
                        "22000",
                        "range lower bound must be less than or equal to range upper bound",
                    ));
                }
                Ordering::Equal if !(self.lower_inclusive && self.upper_inclusive) => return Ok(EMPTY_RANGE),
                _ => {}
            }
        }
        if matches!(element.kind, Kind::Int4 | Kind::Int8 | Kind::Date) {
            self.discrete(element)?;
            if self.empty {
                return Ok(self);
            }
        }
        for bound in [&mut self.lower, &mut self.upper].into_iter().flatten() {
            let mut printed = String::new();
            element.canonical(bound, &plain, style, &mut printed)?;
            *bound = printed;
        }
        Ok(self)
    }

    fn discrete(&mut self, element: &Codec) -> Result<()> {
        if let Some(lower) = &mut self.lower
            && !self.lower_inclusive
            && successor(element, lower)?
        {
            self.lower_inclusive = true;
        }
        if let Some(upper) = &mut self.upper
            && self.upper_inclusive
            && successor(element, upper)?
        {
            self.upper_inclusive = false;
        }
        if let (Some(lower), Some(upper)) = (&self.lower, &self.upper)
            && compare(element, lower, upper)? != Ordering::Less
            && !self.upper_inclusive
        {
            *self = EMPTY_RANGE;
        }
        Ok(())
    }

    /// Appends it as PostgreSQL prints it.
    pub(crate) fn write(&self, out: &mut String) {
        if self.empty {
            return out.push_str("empty");
        }
        out.push(if self.lower_inclusive { '[' } else { '(' });
        if let Some(lower) = &self.lower {
            write_bound(lower, out);
        }
        out.push(',');
        if let Some(upper) = &self.upper {
            write_bound(upper, out);
        }
        out.push(if self.upper_inclusive { ']' } else { ')' });
    }

    /// Appends the binary format; the text must be what PostgreSQL printed.
    pub(crate) fn write_binary(&self, codec: &Codec, out: &mut BytesMut) -> Result<()> {
        let element = codec.inner()?;
        if self.empty {
            out.put_u8(EMPTY);
            return Ok(());
        }
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        out.put_u8(
            flag(self.lower_inclusive, LOWER_INCLUSIVE)
                | flag(self.upper_inclusive, UPPER_INCLUSIVE)
                | flag(self.lower.is_none(), LOWER_INFINITE)
                | flag(self.upper.is_none(), UPPER_INFINITE),
        );
        for bound in [&self.lower, &self.upper].into_iter().flatten() {
            put_counted(out, |out| element.text_to_binary(bound, out))?;
        }
        Ok(())
    }

    /// Reads the binary format.
    pub(crate) fn from_binary(bytes: &[u8], codec: &Codec, style: &OutputStyle) -> Result<Self> {
        let element = codec.inner()?;
        let bad = || bad_binary("range");
        let (flags, mut rest) = bytes.split_first().ok_or_else(bad)?;
        if flags & EMPTY != 0 {
            return if rest.is_empty() { Ok(EMPTY_RANGE) } else { Err(bad()) };
        }
        let mut bound = |infinite: u8| -> Result<Option<String>> {
            if flags & infinite != 0 {
                return Ok(None);
            }
            let (value, after) = take_counted(rest).ok_or_else(bad)?;
            rest = after;
            let mut text = String::new();
            element.binary_to_text(value.ok_or_else(bad)?, style, &mut text)?;
            Ok(Some(text))
        };
        let lower = bound(LOWER_INFINITE)?;
        let upper = bound(UPPER_INFINITE)?;
        if !rest.is_empty() {
            return Err(bad());
        }
        Ok(Self {
            empty: false,
            lower_inclusive: flags & LOWER_INCLUSIVE != 0 && lower.is_some(),
            upper_inclusive: flags & UPPER_INCLUSIVE != 0 && upper.is_some(),
            lower,
            upper,
        })
    }
}

fn write_bound(bound: &str, out: &mut String) {
    let quote = bound.is_empty()
        || bound.bytes().any(|byte| matches!(byte, b'"' | b'\\' | b'(' | b')' | b'[' | b']' | b',') || is_space(byte));
    if !quote {
        return out.push_str(bound);
    }
    out.push('"');
    for character in bound.chars() {
        if matches!(character, '"' | '\\') {
            out.push(character);
        }
        out.push(character);
    }
    out.push('"');
}

/// The order of two bounds in their default text.
fn compare(element: &Codec, left: &str, right: &str) -> Result<Ordering> {
    let style = OutputStyle::default();
    Ok(match element.kind {
        Kind::Numeric => Numeric::parse(left)?.compare(&Numeric::parse(right)?),
        Kind::Timestamp => datetime::timestamp(left, &style, None)?.cmp(&datetime::timestamp(right, &style, None)?),
        Kind::TimestampTz => {
            datetime::timestamptz(left, &style, None)?.cmp(&datetime::timestamptz(right, &style, None)?)
        }
        Kind::Date => datetime::date(left, &style)?.cmp(&datetime::date(right, &style)?),
        _ => input::integer::<i64>(left, "bigint")?.cmp(&input::integer::<i64>(right, "bigint")?),
    })
}

/// Moves a bound of whole numbers or days to the next one; infinite days stay, and answer `false`.
fn successor(element: &Codec, bound: &mut String) -> Result<bool> {
    let style = OutputStyle::default();
    let overflow = || ConnectorError::value("22003", format!("{} out of range", element.name));
    let mut next = String::new();
    match element.kind {
        Kind::Date => {
            let day = datetime::date(bound, &style)?;
            if day == i32::MAX || day == i32::MIN {
                return Ok(false);
            }
            super::text::write_date(day.checked_add(1).ok_or_else(overflow)?, &style, &mut next);
        }
        Kind::Int4 => {
            let value: i32 = input::integer(bound, element.name)?;
            super::text::write_integer(i64::from(value.checked_add(1).ok_or_else(overflow)?), &mut next);
        }
        _ => {
            let value: i64 = input::integer(bound, element.name)?;
            super::text::write_integer(value.checked_add(1).ok_or_else(overflow)?, &mut next);
        }
    }
    *bound = next;
    Ok(true)
}

/// The ranges of multirange text.
pub(crate) fn parse_multirange(text: &str) -> Result<Vec<RangeText>> {
    let malformed = || ConnectorError::value("22P02", format!("malformed multirange literal: \"{text}\""));
    let mut reader = Reader { bytes: text.as_bytes(), at: 0 };
    reader.spaces();
    if reader.next() != Some(b'{') {
        return Err(malformed());
    }
    let mut ranges = Vec::new();
    reader.spaces();
    if reader.peek() == Some(b'}') {
        reader.at += 1;
    } else {
        loop {
            ranges.push(reader.range().ok_or_else(malformed)?);
            reader.spaces();
            match reader.next() {
                Some(b',') => {}
                Some(b'}') => break,
                _ => return Err(malformed()),
            }
        }
    }
    reader.spaces();
    if reader.at == text.len() { Ok(ranges) } else { Err(malformed()) }
}

/// Appends a multirange with its ranges in order, those that touch made one.
pub(crate) fn canonical_multirange(
    text: &str,
    codec: &Codec,
    zone_style: &OutputStyle,
    style: &OutputStyle,
    out: &mut String,
) -> Result<()> {
    let range_codec = codec.inner()?;
    let element = range_codec.inner()?;
    let plain = OutputStyle::default();
    let mut ranges = Vec::new();
    for range in parse_multirange(text)? {
        let range = range.normal(range_codec, zone_style, &plain)?;
        if !range.empty {
            ranges.push(range);
        }
    }
    let mut failure = None;
    ranges.sort_by(|left, right| {
        compare_lower(element, left, right).unwrap_or_else(|error| {
            failure = Some(error);
            Ordering::Equal
        })
    });
    if let Some(error) = failure {
        return Err(error);
    }
    let mut merged: Vec<RangeText> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if touches(element, last, &range)? => extend(element, last, range)?,
            _ => merged.push(range),
        }
    }
    write_multirange(merged.into_iter().map(|range| range.normal(range_codec, &plain, style)), out)
}

fn write_multirange(ranges: impl Iterator<Item = Result<RangeText>>, out: &mut String) -> Result<()> {
    out.push('{');
    for (index, range) in ranges.enumerate() {
        if index > 0 {
            out.push(',');
        }
        range?.write(out);
    }
    out.push('}');
    Ok(())
}

fn compare_lower(element: &Codec, left: &RangeText, right: &RangeText) -> Result<Ordering> {
    Ok(match (&left.lower, &right.lower) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (Some(a), Some(b)) => compare(element, a, b)?.then(right.lower_inclusive.cmp(&left.lower_inclusive)),
    })
}

/// Whether the second range, which does not begin before the first, leaves no gap to it.
fn touches(element: &Codec, first: &RangeText, second: &RangeText) -> Result<bool> {
    let (Some(upper), Some(lower)) = (&first.upper, &second.lower) else { return Ok(true) };
    Ok(match compare(element, upper, lower)? {
        Ordering::Less => false,
        Ordering::Equal => first.upper_inclusive || second.lower_inclusive,
        Ordering::Greater => true,
    })
}

fn extend(element: &Codec, first: &mut RangeText, second: RangeText) -> Result<()> {
    let further = match (&first.upper, &second.upper) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(a), Some(b)) => match compare(element, a, b)? {
            Ordering::Less => true,
            Ordering::Equal => second.upper_inclusive,
            Ordering::Greater => false,
        },
    };
    if further {
        first.upper = second.upper;
        first.upper_inclusive = second.upper_inclusive;
    }
    Ok(())
}

/// Appends the binary format of multirange text.
pub(crate) fn multirange_to_binary(text: &str, codec: &Codec, out: &mut BytesMut) -> Result<()> {
    let range_codec = codec.inner()?;
    let ranges = parse_multirange(text)?;
    out.put_u32(u32::try_from(ranges.len()).unwrap_or(u32::MAX));
    for range in &ranges {
        put_counted(out, |out| range.write_binary(range_codec, out))?;
    }
    Ok(())
}

/// Appends the text of a binary multirange.
pub(crate) fn multirange_from_binary(bytes: &[u8], codec: &Codec, style: &OutputStyle, out: &mut String) -> Result<()> {
    let range_codec = codec.inner()?;
    let bad = || bad_binary("multirange");
    let (count, mut rest) = bytes.split_first_chunk::<4>().ok_or_else(bad)?;
    let mut ranges = Vec::new();
    for _ in 0..u32::from_be_bytes(*count) {
        let (range, after) = take_counted(rest).ok_or_else(bad)?;
        rest = after;
        ranges.push(RangeText::from_binary(range.ok_or_else(bad)?, range_codec, style)?);
    }
    if !rest.is_empty() {
        return Err(bad());
    }
    write_multirange(ranges.into_iter().map(Ok), out)
}

/// What is asked of two ranges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeTest {
    /// Every value of the second is in the first.
    Contains,
    /// Some value is in both.
    Overlaps,
    /// The first ends before the second begins.
    Before,
    /// The first begins behind the second's end.
    After,
    /// They do not overlap, and nothing is between them.
    Adjacent,
    /// The first does not end behind the second.
    NotRight,
    /// The first does not begin before the second.
    NotLeft,
}

/// What is made of two ranges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeMerge {
    /// What is in one of them, which must leave no gap.
    Union,
    /// What is in both.
    Intersection,
    /// What is in the first only, which must be in one piece.
    Difference,
    /// The least range that holds both.
    Hull,
}

/// A range taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeParts {
    /// It holds no value.
    pub empty: bool,
    /// `None`: no bound.
    pub lower: Option<String>,
    /// `None`: no bound.
    pub upper: Option<String>,
    /// The lower bound is in it.
    pub lower_inclusive: bool,
    /// The upper bound is in it.
    pub upper_inclusive: bool,
}

/// The range of a type from bounds in their text, as `int4range(lower, upper, '[)')` makes it, in the same style.
///
/// # Errors
/// `22000`: the bounds are the wrong way round; `42601`: `flags` is none of `[]`, `[)`, `(]`, `()`.
pub fn range_from(
    data_type: &PgType,
    lower: Option<&str>,
    upper: Option<&str>,
    flags: &str,
    style: &OutputStyle,
) -> Result<String> {
    let (lower_inclusive, upper_inclusive) = match flags {
        "[]" => (true, true),
        "[)" => (true, false),
        "(]" => (false, true),
        "()" => (false, false),
        _ => return Err(ConnectorError::value("42601", "invalid range bound flags")),
    };
    let range = RangeText {
        empty: false,
        lower_inclusive: lower_inclusive && lower.is_some(),
        upper_inclusive: upper_inclusive && upper.is_some(),
        lower: lower.map(str::to_owned),
        upper: upper.map(str::to_owned),
    };
    let mut out = String::new();
    range.normal(&Codec::of(data_type), style, style)?.write(&mut out);
    Ok(out)
}

/// The parts of a range's text, its bounds in the same style.
///
/// # Errors
/// `22P02`.
pub fn range_parts(data_type: &PgType, text: &str, style: &OutputStyle) -> Result<RangeParts> {
    let codec = Codec::of(data_type);
    let RangeText { empty, lower, upper, lower_inclusive, upper_inclusive } =
        parse(text, &codec)?.normal(&codec, style, style)?;
    Ok(RangeParts { empty, lower, upper, lower_inclusive, upper_inclusive })
}

/// Whether something holds of two ranges of a type, both in the same style.
///
/// # Errors
/// `22P02`.
pub fn range_test(data_type: &PgType, test: RangeTest, left: &str, right: &str, style: &OutputStyle) -> Result<bool> {
    let codec = Codec::of(data_type);
    let element = codec.inner()?;
    let plain = OutputStyle::default();
    let read = |text: &str| parse(text, &codec)?.normal(&codec, style, &plain);
    let (left, right) = (read(left)?, read(right)?);
    if test == RangeTest::Contains && right.empty {
        return Ok(true);
    }
    if left.empty || right.empty {
        return Ok(false);
    }
    let order = |one: &Bound<'_>, other: &Bound<'_>| one.compare(element, other);
    let (one, other) = ((left.begin(), left.end()), (right.begin(), right.end()));
    Ok(match test {
        RangeTest::Contains => order(&one.0, &other.0)?.is_le() && order(&one.1, &other.1)?.is_ge(),
        RangeTest::Overlaps => overlap(element, &left, &right)?,
        RangeTest::Before => order(&one.1, &other.0)?.is_lt(),
        RangeTest::After => order(&one.0, &other.1)?.is_gt(),
        RangeTest::Adjacent => one.1.meets(element, &other.0)? || other.1.meets(element, &one.0)?,
        RangeTest::NotRight => order(&one.1, &other.1)?.is_le(),
        RangeTest::NotLeft => order(&one.0, &other.0)?.is_ge(),
    })
}

/// A range made of two of a type, all in the same style.
///
/// # Errors
/// `22P02`; `22000` where the result would have a gap.
pub fn range_merge(
    data_type: &PgType,
    merge: RangeMerge,
    left: &str,
    right: &str,
    style: &OutputStyle,
) -> Result<String> {
    let codec = Codec::of(data_type);
    let element = codec.inner()?;
    let plain = OutputStyle::default();
    let read = |text: &str| parse(text, &codec)?.normal(&codec, style, &plain);
    let (left, right) = (read(left)?, read(right)?);
    let merged = match merge {
        RangeMerge::Union | RangeMerge::Hull if left.empty => right,
        RangeMerge::Union | RangeMerge::Hull if right.empty => left,
        RangeMerge::Union | RangeMerge::Hull => {
            let apart = !overlap(element, &left, &right)?
                && !left.end().meets(element, &right.begin())?
                && !right.end().meets(element, &left.begin())?;
            if apart && merge == RangeMerge::Union {
                return Err(gap("union"));
            }
            let begin =
                if left.begin().compare(element, &right.begin())?.is_le() { left.begin() } else { right.begin() };
            let end = if left.end().compare(element, &right.end())?.is_ge() { left.end() } else { right.end() };
            between(&begin, &end)
        }
        RangeMerge::Intersection if left.empty || right.empty || !overlap(element, &left, &right)? => EMPTY_RANGE,
        RangeMerge::Intersection => {
            let begin =
                if left.begin().compare(element, &right.begin())?.is_ge() { left.begin() } else { right.begin() };
            let end = if left.end().compare(element, &right.end())?.is_le() { left.end() } else { right.end() };
            between(&begin, &end)
        }
        RangeMerge::Difference => difference(element, left, &right)?,
    };
    let mut out = String::new();
    merged.normal(&codec, &plain, style)?.write(&mut out);
    Ok(out)
}

fn difference(element: &Codec, left: RangeText, right: &RangeText) -> Result<RangeText> {
    if left.empty || right.empty || !overlap(element, &left, right)? {
        return Ok(left);
    }
    let begins = left.begin().compare(element, &right.begin())?;
    let ends = left.end().compare(element, &right.end())?;
    Ok(match (begins, ends) {
        (Ordering::Less, Ordering::Greater) => return Err(gap("difference")),
        (Ordering::Less, _) => between(&left.begin(), &right.begin().turned()),
        (_, Ordering::Greater) => between(&right.end().turned(), &left.end()),
        _ => EMPTY_RANGE,
    })
}

fn gap(of: &str) -> ConnectorError {
    ConnectorError::value("22000", format!("result of range {of} would not be contiguous"))
}

fn overlap(element: &Codec, left: &RangeText, right: &RangeText) -> Result<bool> {
    Ok(left.begin().compare(element, &right.end())?.is_le() && right.begin().compare(element, &left.end())?.is_le())
}

fn between(begin: &Bound<'_>, end: &Bound<'_>) -> RangeText {
    RangeText {
        empty: false,
        lower: begin.value.map(str::to_owned),
        upper: end.value.map(str::to_owned),
        lower_inclusive: begin.inclusive,
        upper_inclusive: end.inclusive,
    }
}

/// One end of a range.
#[derive(Debug, Clone, Copy)]
struct Bound<'a> {
    /// `None`: infinite.
    value: Option<&'a str>,
    inclusive: bool,
    lower: bool,
}

impl RangeText {
    fn begin(&self) -> Bound<'_> {
        Bound { value: self.lower.as_deref(), inclusive: self.lower_inclusive, lower: true }
    }

    fn end(&self) -> Bound<'_> {
        Bound { value: self.upper.as_deref(), inclusive: self.upper_inclusive, lower: false }
    }
}

impl Bound<'_> {
    /// The order of two bounds, of which each may begin or end a range.
    fn compare(&self, element: &Codec, other: &Self) -> Result<Ordering> {
        let outwards = |bound: &Self| if bound.lower { Ordering::Less } else { Ordering::Greater };
        // What is excluded stands a little further inwards.
        let inwards = |bound: &Self| if bound.inclusive { Ordering::Equal } else { outwards(bound).reverse() };
        Ok(match (self.value, other.value) {
            (None, None) => outwards(self).cmp(&outwards(other)),
            (None, Some(_)) => outwards(self),
            (Some(_), None) => outwards(other).reverse(),
            (Some(one), Some(two)) => compare(element, one, two)?.then(inwards(self).cmp(&inwards(other))),
        })
    }

    /// Whether a range that ends here leaves nothing between itself and one that begins at `begin`, nor overlaps it.
    fn meets(&self, element: &Codec, begin: &Self) -> Result<bool> {
        let (Some(end), Some(start)) = (self.value, begin.value) else { return Ok(false) };
        Ok(compare(element, end, start)? == Ordering::Equal && self.inclusive != begin.inclusive)
    }

    /// The end of what is on its other side.
    const fn turned(self) -> Self {
        Self { value: self.value, inclusive: !self.inclusive, lower: !self.lower }
    }
}

/// Whether a value, in its text, is in a range of a type, both in the same style.
///
/// # Errors
/// `22P02`.
pub fn range_contains_value(data_type: &PgType, text: &str, value: &str, style: &OutputStyle) -> Result<bool> {
    let codec = Codec::of(data_type);
    let element = codec.inner()?;
    let plain = OutputStyle::default();
    let range = parse(text, &codec)?.normal(&codec, style, &plain)?;
    let mut canonical = String::new();
    element.canonical(value, style, &plain, &mut canonical)?;
    let within = |bound: &Option<String>, inclusive: bool, outside: Ordering| -> Result<bool> {
        let Some(bound) = bound else { return Ok(true) };
        let order = compare(element, &canonical, bound)?;
        Ok(order != outside && (inclusive || order != Ordering::Equal))
    };
    Ok(!range.empty
        && within(&range.lower, range.lower_inclusive, Ordering::Less)?
        && within(&range.upper, range.upper_inclusive, Ordering::Greater)?)
}
