//! EXPLAIN's plan as YAML and XML, in PostgreSQL's way of writing both.

use serde_json::{Map, Value};

/// `- Plan: …`, two spaces for each level.
pub(super) fn yaml(shown: &Value) -> String {
    let mut text = String::new();
    if let Value::Object(shown) = shown {
        yaml_properties(&mut text, shown, 1, true);
    }
    text.trim_end_matches('\n').to_owned()
}

/// `dashed`: the first line begins an item of a list.
fn yaml_properties(text: &mut String, properties: &Map<String, Value>, level: usize, dashed: bool) {
    for (index, (name, value)) in properties.iter().enumerate() {
        let indent = "  ".repeat(level.saturating_sub(1));
        text.push_str(&indent);
        text.push_str(if dashed && index == 0 { "- " } else { "  " });
        text.push_str(name);
        match value {
            Value::Object(inner) => {
                text.push_str(": \n");
                yaml_properties(text, inner, level + 1, false);
            }
            Value::Array(items) => {
                text.push_str(": \n");
                for item in items {
                    match item {
                        Value::Object(inner) => yaml_properties(text, inner, level + 2, true),
                        item => text.push_str(&format!("{}  - {item}\n", "  ".repeat(level))),
                    }
                }
            }
            // A JSON string is a YAML string.
            value => text.push_str(&format!(": {value}\n")),
        }
    }
}

/// `<explain …><Query><Plan>…`.
pub(super) fn xml(shown: &Value) -> String {
    let mut text = "<explain xmlns=\"http://www.postgresql.org/2009/explain\">\n  <Query>\n".to_owned();
    if let Value::Object(shown) = shown {
        xml_properties(&mut text, shown, 2);
    }
    text.push_str("  </Query>\n</explain>");
    text
}

fn xml_properties(text: &mut String, properties: &Map<String, Value>, level: usize) {
    let indent = "  ".repeat(level);
    for (name, value) in properties {
        let tag = xml_name(name);
        match value {
            Value::Object(inner) => {
                text.push_str(&format!("{indent}<{tag}>\n"));
                xml_properties(text, inner, level + 1);
                text.push_str(&format!("{indent}</{tag}>\n"));
            }
            Value::Array(items) => {
                // `Plans` holds each `Plan`.
                let item_tag = tag.strip_suffix('s').unwrap_or("Item");
                text.push_str(&format!("{indent}<{tag}>\n"));
                for item in items {
                    match item {
                        Value::Object(inner) => {
                            text.push_str(&format!("{indent}  <{item_tag}>\n"));
                            xml_properties(text, inner, level + 2);
                            text.push_str(&format!("{indent}  </{item_tag}>\n"));
                        }
                        item => text.push_str(&format!("{indent}  <{item_tag}>{}</{item_tag}>\n", xml_value(item))),
                    }
                }
                text.push_str(&format!("{indent}</{tag}>\n"));
            }
            value => text.push_str(&format!("{indent}<{tag}>{}</{tag}>\n", xml_value(value))),
        }
    }
}

/// What a name of a metric may hold that a tag may not becomes a hyphen, as PostgreSQL's spaces do.
fn xml_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    name.chars().map(plain).collect()
}

fn xml_value(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\r' => escaped.push_str("&#x0d;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plan_is_written_as_postgresql_writes_it() {
        let shown =
            json!({ "Plan": { "Node Type": "A <b>", "Plans": [{ "Node Type": "B", "Rows": 1 }] }, "Time": 0.5 });
        let expected =
            "- Plan: \n    Node Type: \"A <b>\"\n    Plans: \n      - Node Type: \"B\"\n        Rows: 1\n  Time: 0.5";
        assert_eq!(yaml(&shown), expected);
        let expected = "<explain xmlns=\"http://www.postgresql.org/2009/explain\">\n  <Query>\n    <Plan>\n      \
                        <Node-Type>A &lt;b&gt;</Node-Type>\n      <Plans>\n        <Plan>\n          \
                        <Node-Type>B</Node-Type>\n          <Rows>1</Rows>\n        </Plan>\n      </Plans>\n    \
                        </Plan>\n    <Time>0.5</Time>\n  </Query>\n</explain>";
        assert_eq!(xml(&shown), expected);
    }
}
