//! Arrow's names of types, as they stand in DataFusion's messages, to PostgreSQL's.

/// PostgreSQL's name of a type that Arrow prints as `arrow`.
pub(super) fn pg_name(arrow: &str) -> String {
    let arrow = arrow.trim();
    let (base, arguments) = match arrow.split_once('(') {
        Some((base, rest)) => (base, rest.strip_suffix(')').unwrap_or(rest)),
        None => (arrow, ""),
    };
    let name = match base {
        "Null" => "unknown",
        "Boolean" => "boolean",
        "Int8" | "Int16" | "UInt8" => "smallint",
        "Int32" | "UInt16" => "integer",
        "Int64" | "UInt32" => "bigint",
        "Float16" | "Float32" => "real",
        "Float64" => "double precision",
        "UInt64" | "Decimal32" | "Decimal64" | "Decimal128" | "Decimal256" => "numeric",
        "Utf8" | "LargeUtf8" | "Utf8View" | "String" => "text",
        "Binary" | "LargeBinary" | "BinaryView" => "bytea",
        "FixedSizeBinary" if arguments == "16" => "uuid",
        "FixedSizeBinary" => "bytea",
        "Date32" | "Date64" => "date",
        "Time32" | "Time64" => "time without time zone",
        "Timestamp" if arguments.contains(", \"") || arguments.contains("Some(") => "timestamp with time zone",
        "Timestamp" => "timestamp without time zone",
        "Interval" | "Duration" => "interval",
        "Struct" => "record",
        "List" | "LargeList" | "FixedSizeList" | "ListView" | "LargeListView" => {
            // `List(Int64)`, `List(non-null Int64)`, `FixedSizeList(3 x Int64)`: the element's type comes last.
            let element = arguments.rsplit_once(" x ").map_or(arguments, |(_, element)| element);
            return format!("{}[]", pg_name(element.trim_start_matches("non-null ")));
        }
        "Dictionary" => return pg_name(arguments.split_once(", ").map_or(arguments, |(_, value)| value)),
        _ => return arrow.to_lowercase(),
    };
    name.to_owned()
}

/// The short name that input functions use in their messages: `timestamp` rather than `timestamp without time zone`.
pub(super) fn input_name(arrow: &str) -> String {
    let name = pg_name(arrow);
    match name.as_str() {
        "timestamp without time zone" => "timestamp".to_owned(),
        "time without time zone" => "time".to_owned(),
        _ => name,
    }
}

/// PostgreSQL's names for a list as it stands between the parentheses of a call.
pub(super) fn pg_names(arrow: &str) -> String {
    let mut names = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (index, char) in arrow.char_indices() {
        match char {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                names.push(pg_name(&arrow[start..index]));
                start = index + 1;
            }
            _ => {}
        }
    }
    if !arrow[start..].trim().is_empty() {
        names.push(pg_name(&arrow[start..]));
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_nested_and_parameterised_types() {
        for (arrow, name) in [
            ("Int64", "bigint"),
            ("Decimal128(38, 10)", "numeric"),
            ("Timestamp(ns)", "timestamp without time zone"),
            ("Timestamp(µs, \"UTC\")", "timestamp with time zone"),
            ("List(Int64)", "bigint[]"),
            ("List(non-null Utf8)", "text[]"),
            ("FixedSizeList(3 x Int32)", "integer[]"),
            ("Dictionary(Int32, Utf8)", "text"),
            ("FixedSizeBinary(16)", "uuid"),
            ("Union", "union"),
        ] {
            assert_eq!(pg_name(arrow), name, "{arrow}");
        }
        assert_eq!(pg_names("Int64, Decimal128(1, 1), List(Utf8)"), "bigint, numeric, text[]");
        assert_eq!(pg_names(""), "");
    }
}
