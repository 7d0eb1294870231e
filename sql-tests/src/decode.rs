//! Binary values as PostgreSQL prints them, so that one expected result serves both formats.
//!
//! Dates print in ISO style and instants in UTC, which the connection asks for.

use tokio_postgres::types::{Kind, Type};

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;
/// Days from 0000-03-01 to 2000-01-01, where PostgreSQL's count begins.
const EPOCH_FROM_MARCH_0000: i64 = 730_425;

/// The bytes of a value, taken from the front.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn i16(&mut self) -> Option<i16> {
        self.array().map(i16::from_be_bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }
}

/// A value's text; where the bytes are not what the type's format says, they are shown in hexadecimal with the type.
pub(crate) fn text(ty: &Type, raw: &[u8]) -> String {
    let mut bytes = Bytes(raw);
    match value(ty, &mut bytes) {
        Some(text) if bytes.0.is_empty() => text,
        _ => format!("<malformed {ty}: {}>", hex(raw)),
    }
}

fn value(ty: &Type, bytes: &mut Bytes) -> Option<String> {
    match ty.kind() {
        Kind::Array(element) => return array(element, bytes),
        Kind::Domain(base) => return value(base, bytes),
        Kind::Range(element) => return range(element, bytes),
        _ => {}
    }
    Some(match *ty {
        Type::BOOL => if bytes.array::<1>()? == [0] { "f" } else { "t" }.to_owned(),
        Type::INT2 => bytes.i16()?.to_string(),
        Type::INT4 => bytes.i32()?.to_string(),
        Type::INT8 => bytes.i64()?.to_string(),
        Type::OID | Type::REGTYPE | Type::REGCLASS | Type::REGPROC | Type::REGNAMESPACE | Type::REGROLE | Type::XID => {
            u32::from_be_bytes(bytes.array()?).to_string()
        }
        Type::FLOAT4 => float4(f32::from_be_bytes(bytes.array()?)),
        Type::FLOAT8 => float8(f64::from_be_bytes(bytes.array()?)),
        Type::NUMERIC => numeric(bytes)?,
        Type::BYTEA => format!("\\x{}", hex(std::mem::take(&mut bytes.0))),
        Type::DATE => date(bytes.i32()?),
        Type::TIME => time(bytes.i64()?),
        Type::TIMETZ => {
            let clock = time(bytes.i64()?);
            format!("{clock}{}", zone(-bytes.i32()?))
        }
        Type::TIMESTAMP => timestamp(bytes.i64()?, ""),
        Type::TIMESTAMPTZ => timestamp(bytes.i64()?, "+00"),
        Type::INTERVAL => {
            let (micros, days, months) = (bytes.i64()?, bytes.i32()?, bytes.i32()?);
            interval(months, days, micros)
        }
        Type::UUID => uuid(&bytes.array::<16>()?),
        Type::JSONB => {
            if bytes.array::<1>()? != [1] {
                return None;
            }
            utf8(bytes)?
        }
        Type::INET | Type::CIDR => network(*ty == Type::CIDR, bytes)?,
        Type::MACADDR | Type::MACADDR8 => {
            let octets: Vec<String> = std::mem::take(&mut bytes.0).iter().map(|octet| format!("{octet:02x}")).collect();
            octets.join(":")
        }
        Type::MONEY => money(bytes.i64()?),
        Type::BIT | Type::VARBIT => bits(bytes)?,
        // Everything else in binary is its text: char types, name, json, xml, enums, unknown.
        _ => utf8(bytes)?,
    })
}

fn utf8(bytes: &mut Bytes) -> Option<String> {
    String::from_utf8(std::mem::take(&mut bytes.0).to_vec()).ok()
}

fn hex(raw: &[u8]) -> String {
    raw.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The shortest digits that read back as the number, with an exponent where PostgreSQL has one: outside 1e-4 … 1e`digits`.
fn float(plain: &str, scientific: &str, digits: i32) -> String {
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return plain.to_owned() };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..digits).contains(&exponent) {
        return plain.to_owned();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

fn float4(number: f32) -> String {
    special(f64::from(number)).unwrap_or_else(|| float(&format!("{number}"), &format!("{number:e}"), 6))
}

fn float8(number: f64) -> String {
    special(number).unwrap_or_else(|| float(&format!("{number}"), &format!("{number:e}"), 15))
}

fn special(number: f64) -> Option<String> {
    if number.is_nan() {
        Some("NaN".to_owned())
    } else if number.is_infinite() {
        Some(if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned())
    } else {
        None
    }
}

/// Groups of four decimal digits, of which the first has the weight 10000^weight.
fn numeric(bytes: &mut Bytes) -> Option<String> {
    let (count, weight, sign, scale) = (bytes.i16()?, i32::from(bytes.i16()?), bytes.u16()?, bytes.u16()?);
    let groups = (0..count).map(|_| bytes.u16()).collect::<Option<Vec<u16>>>()?;
    match sign {
        0xC000 => return Some("NaN".to_owned()),
        0xD000 => return Some("Infinity".to_owned()),
        0xF000 => return Some("-Infinity".to_owned()),
        _ => {}
    }
    let group = |index: i32| usize::try_from(index).ok().and_then(|index| groups.get(index)).copied().unwrap_or(0);
    let mut text = String::from(if sign == 0x4000 { "-" } else { "" });
    if weight < 0 {
        text.push('0');
    }
    for index in 0..=weight {
        let digits = group(index);
        if index == 0 { text.push_str(&digits.to_string()) } else { text.push_str(&format!("{digits:04}")) }
    }
    if scale > 0 {
        let scale = usize::from(scale);
        let groups = i32::try_from(scale.div_ceil(4)).ok()?;
        let fraction: String = (weight + 1..=weight + groups).map(|index| format!("{:04}", group(index))).collect();
        text.push('.');
        text.push_str(fraction.get(..scale)?);
    }
    Some(text)
}

/// Year (0 is 1 BC), month and day of a count of days from 2000-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    // The years of this calendar begin in March, so that the leap day is their last.
    let days = days + EPOCH_FROM_MARCH_0000;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn calendar(days: i64) -> (String, &'static str) {
    let (year, month, day) = civil(days);
    let (year, era) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    (format!("{year:04}-{month:02}-{day:02}"), era)
}

fn date(days: i32) -> String {
    match days {
        i32::MAX => "infinity".to_owned(),
        i32::MIN => "-infinity".to_owned(),
        _ => {
            let (date, era) = calendar(i64::from(days));
            format!("{date}{era}")
        }
    }
}

fn time(micros: i64) -> String {
    let seconds = micros / 1_000_000;
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    clock + &fraction(micros % 1_000_000)
}

/// Of a second, without trailing zeros.
fn fraction(micros: i64) -> String {
    if micros == 0 { String::new() } else { format!(".{micros:06}").trim_end_matches('0').to_owned() }
}

fn zone(seconds: i32) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let seconds = seconds.abs();
    let mut text = format!("{sign}{:02}", seconds / 3600);
    if seconds % 3600 != 0 {
        text.push_str(&format!(":{:02}", seconds / 60 % 60));
    }
    text
}

fn timestamp(micros: i64, zone: &str) -> String {
    match micros {
        i64::MAX => "infinity".to_owned(),
        i64::MIN => "-infinity".to_owned(),
        _ => {
            let (date, era) = calendar(micros.div_euclid(DAY));
            format!("{date} {}{zone}{era}", time(micros.rem_euclid(DAY)))
        }
    }
}

/// `1 year 2 mons 3 days 04:05:06.7`; a sign is repeated after a negative part, as PostgreSQL does.
fn interval(months: i32, days: i32, micros: i64) -> String {
    let mut parts = Vec::new();
    let mut negative = false;
    let units = [(months / 12, "year"), (months % 12, "mon"), (days, "day")];
    for (number, unit) in units.iter().filter(|(number, _)| *number != 0) {
        let sign = if negative && *number > 0 { "+" } else { "" };
        let plural = if *number == 1 { "" } else { "s" };
        parts.push(format!("{sign}{number} {unit}{plural}"));
        negative = *number < 0;
    }
    if micros != 0 || parts.is_empty() {
        let sign = match (micros < 0, negative) {
            (true, _) => "-",
            (false, true) => "+",
            _ => "",
        };
        let seconds = micros.unsigned_abs() / 1_000_000;
        let below = i64::try_from(micros.unsigned_abs() % 1_000_000).unwrap_or(0);
        parts.push(format!(
            "{sign}{:02}:{:02}:{:02}{}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60,
            fraction(below)
        ));
    }
    parts.join(" ")
}

fn uuid(raw: &[u8; 16]) -> String {
    let digits = hex(raw);
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

fn network(cidr: bool, bytes: &mut Bytes) -> Option<String> {
    let [_family, bits, _, length] = bytes.array::<4>()?;
    let (address, full) = match length {
        4 => (std::net::IpAddr::from(bytes.array::<4>()?), 32),
        16 => (std::net::IpAddr::from(bytes.array::<16>()?), 128),
        _ => return None,
    };
    Some(if cidr || bits != full { format!("{address}/{bits}") } else { address.to_string() })
}

fn money(cents: i64) -> String {
    let amount = cents.unsigned_abs();
    let units = (amount / 100).to_string();
    let mut grouped = String::new();
    for (index, digit) in units.chars().enumerate() {
        if index > 0 && (units.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{}${grouped}.{:02}", if cents < 0 { "-" } else { "" }, amount % 100)
}

fn bits(bytes: &mut Bytes) -> Option<String> {
    let count = usize::try_from(bytes.i32()?).ok()?;
    let packed = bytes.take(count.div_ceil(8))?;
    let bit =
        |index: usize| packed.get(index / 8).map(|byte| if byte & (0x80 >> (index % 8)) == 0 { '0' } else { '1' });
    (0..count).map(bit).collect()
}

fn array(element: &Type, bytes: &mut Bytes) -> Option<String> {
    let (dimensions, _nulls, _oid) = (bytes.i32()?, bytes.i32()?, bytes.i32()?);
    let sizes = (0..dimensions).map(|_| Some((bytes.i32()?, bytes.i32()?))).collect::<Option<Vec<(i32, i32)>>>()?;
    if sizes.is_empty() {
        return Some("{}".to_owned());
    }
    let mut text = String::new();
    // Bounds are told where one of them is not 1.
    if sizes.iter().any(|(_, lower)| *lower != 1) {
        for (size, lower) in &sizes {
            text.push_str(&format!("[{lower}:{}]", lower + size - 1));
        }
        text.push('=');
    }
    dimension(element, &sizes, bytes, &mut text)?;
    Some(text)
}

fn dimension(element: &Type, sizes: &[(i32, i32)], bytes: &mut Bytes, text: &mut String) -> Option<()> {
    let Some(((size, _), inner)) = sizes.split_first() else {
        match nested(element, bytes)? {
            Some(value) => text.push_str(&quoted_element(&value)),
            None => text.push_str("NULL"),
        }
        return Some(());
    };
    text.push('{');
    for index in 0..*size {
        if index > 0 {
            text.push(',');
        }
        dimension(element, inner, bytes, text)?;
    }
    text.push('}');
    Some(())
}

/// A value with its length before it.
fn nested(ty: &Type, bytes: &mut Bytes) -> Option<Option<String>> {
    match bytes.i32()? {
        -1 => Some(None),
        length => bytes.take(usize::try_from(length).ok()?).map(|raw| Some(self::text(ty, raw))),
    }
}

fn quoted_element(value: &str) -> String {
    let plain = !value.is_empty()
        && !value.eq_ignore_ascii_case("null")
        && !value.contains(|c: char| matches!(c, '{' | '}' | ',' | '"' | '\\') || c.is_ascii_whitespace());
    if plain { value.to_owned() } else { format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")) }
}

fn range(element: &Type, bytes: &mut Bytes) -> Option<String> {
    let [flags] = bytes.array::<1>()?;
    if flags & 0x01 != 0 {
        return Some("empty".to_owned());
    }
    let mut bound = |infinite: u8| {
        if flags & infinite != 0 {
            Some(String::new())
        } else {
            nested(element, bytes)?.map(|value| quoted_bound(&value))
        }
    };
    let (lower, upper) = (bound(0x08)?, bound(0x10)?);
    let (open, close) = (if flags & 0x02 != 0 { '[' } else { '(' }, if flags & 0x04 != 0 { ']' } else { ')' });
    Some(format!("{open}{lower},{upper}{close}"))
}

fn quoted_bound(value: &str) -> String {
    let special = |c: char| matches!(c, '(' | ')' | '[' | ']' | ',' | '"' | '\\') || c.is_ascii_whitespace();
    if value.is_empty() || value.contains(special) {
        format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\"\""))
    } else {
        value.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_as_postgresql_prints_them() {
        for (number, text) in [
            (1.0, "1"),
            (0.1, "0.1"),
            (1e15, "1e+15"),
            (123456789012345.0, "123456789012345"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"),
            (-0.0, "-0"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(float8(number), text);
        }
        assert_eq!((float4(1e6), float4(123456.0), float4(0.1)), ("1e+06".into(), "123456".into(), "0.1".into()));
    }

    #[test]
    fn dates_reach_before_christ() {
        assert_eq!((date(0), date(-1), date(60)), ("2000-01-01".into(), "1999-12-31".into(), "2000-03-01".into()));
        assert_eq!(date(-730_119), "0001-01-01");
        assert_eq!(date(-730_120), "0001-12-31 BC");
        assert_eq!(timestamp(-1, "+00"), "1999-12-31 23:59:59.999999+00");
        assert_eq!(timestamp(i64::MIN, ""), "-infinity");
    }

    #[test]
    fn numerics_keep_their_scale() {
        let numeric = |raw: &[u8]| text(&Type::NUMERIC, raw);
        assert_eq!(numeric(&[0, 0, 0, 0, 0, 0, 0, 2]), "0.00");
        assert_eq!(numeric(&[0, 2, 0, 0, 0x40, 0, 0, 2, 0, 12, 0x13, 0x88]), "-12.50");
        assert_eq!(numeric(&[0, 1, 0, 1, 0, 0, 0, 0, 0, 1]), "10000");
        assert_eq!(numeric(&[0, 1, 0xff, 0xfe, 0, 0, 0, 8, 0, 1]), "0.00000001");
    }

    #[test]
    fn intervals_repeat_their_signs() {
        assert_eq!(interval(14, 3, 4_000_000), "1 year 2 mons 3 days 00:00:04");
        assert_eq!(interval(-1, 1, -1), "-1 mons +1 day -00:00:00.000001");
        assert_eq!(interval(0, 0, 0), "00:00:00");
    }

    #[test]
    fn malformed_values_are_shown_as_such() {
        assert_eq!(text(&Type::INT4, &[1, 2]), "<malformed int4: 0102>");
        assert_eq!(text(&Type::INT4_ARRAY, &[0, 0, 0, 1]), "<malformed _int4: 00000001>");
    }
}
