//! Times and sizes of memory, with their units.

/// PostgreSQL's bound of times in milliseconds and of memory in kB.
pub(super) const INTEGER_MAX: u64 = i32::MAX as u64;
/// Beyond this no number is read.
const UNITS_MAX: f64 = 1e18;

fn split_unit(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let number: f64 = number.trim().parse().ok()?;
    number.is_finite().then_some((number, unit.trim()))
}

/// Milliseconds of `10`, `5s`, `1.5min`.
pub fn parse_time_ms(text: &str) -> Option<u64> {
    parse_signed_time_ms(text).and_then(|time| u64::try_from(time).ok()).filter(|time| *time <= INTEGER_MAX)
}

/// The same, below zero and beyond PostgreSQL's bound too.
pub(super) fn parse_signed_time_ms(text: &str) -> Option<i64> {
    let (number, unit) = split_unit(text)?;
    let factor = match unit {
        "us" => 0.001,
        "" | "ms" => 1.0,
        "s" => 1e3,
        "min" => 6e4,
        "h" => 3.6e6,
        "d" => 8.64e7,
        _ => return None,
    };
    let milliseconds = (number * factor).round();
    #[expect(clippy::cast_possible_truncation, reason = "bounded by the comparison")]
    (milliseconds.abs() <= UNITS_MAX).then_some(milliseconds as i64)
}

pub(super) fn show_time_ms(milliseconds: u64) -> String {
    for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000)] {
        if milliseconds > 0 && milliseconds.is_multiple_of(size) {
            return format!("{}{unit}", milliseconds / size);
        }
    }
    if milliseconds == 0 { "0".to_owned() } else { format!("{milliseconds}ms") }
}

/// Bytes of `64MB`, `1GB`; without a unit it is kB.
pub fn parse_memory(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    let factor = match unit {
        "B" => 1.0,
        "" | "kB" => 1024.0,
        "MB" => 1_048_576.0,
        "GB" => 1_073_741_824.0,
        "TB" => 1_099_511_627_776.0,
        _ => return None,
    };
    let bytes = number * factor;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded by the comparison")]
    (0.0..=UNITS_MAX).contains(&bytes).then_some(bytes as u64)
}

pub(super) fn show_memory(bytes: u64) -> String {
    for (unit, size) in [("TB", 1_u64 << 40), ("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10)] {
        if bytes > 0 && bytes.is_multiple_of(size) {
            return format!("{}{unit}", bytes / size);
        }
    }
    format!("{bytes}B")
}
