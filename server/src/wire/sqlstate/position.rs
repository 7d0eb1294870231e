//! Where in a statement's text an error is. Positions count characters from 1, as the protocol wants.

/// The only place where an identifier stands, if there is just one. Strings, comments and longer words do not count.
pub(super) fn of_identifier(sql: &str, identifier: &str) -> Option<usize> {
    let chars: Vec<char> = sql.chars().collect();
    let mut found = None;
    let mut index = 0;
    while let Some(&char) = chars.get(index) {
        let start = index;
        let word: String = match char {
            '\'' => {
                index = closing(&chars, index, '\'');
                continue;
            }
            '-' if chars.get(index + 1) == Some(&'-') => {
                index = chars[index..].iter().position(|char| *char == '\n').map_or(chars.len(), |at| index + at);
                continue;
            }
            '/' if chars.get(index + 1) == Some(&'*') => {
                index = end_of_comment(&chars, index);
                continue;
            }
            '"' => {
                index = closing(&chars, index, '"');
                let inner = chars.get(start + 1..index.saturating_sub(1)).unwrap_or_default();
                inner.iter().collect::<String>().replace("\"\"", "\"")
            }
            char if char.is_alphabetic() || char == '_' => {
                let length = chars[index..].iter().take_while(|char| is_word(**char)).count();
                index += length;
                chars[start..index].iter().flat_map(|char| char.to_lowercase()).collect()
            }
            char if char.is_ascii_digit() => {
                index += chars[index..].iter().take_while(|char| is_word(**char)).count();
                continue;
            }
            _ => {
                index += 1;
                continue;
            }
        };
        if word == identifier && found.replace(start + 1).is_some() {
            return None;
        }
    }
    found
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_' || char == '$'
}

/// The index after a quoted run that begins at `start`; doubled quotes are part of it.
fn closing(chars: &[char], start: usize, quote: char) -> usize {
    let mut index = start + 1;
    while let Some(&char) = chars.get(index) {
        index += 1;
        if char == quote {
            if chars.get(index) != Some(&quote) {
                return index;
            }
            index += 1;
        }
    }
    chars.len()
}

fn end_of_comment(chars: &[char], start: usize) -> usize {
    let (mut index, mut depth) = (start, 0_usize);
    while index < chars.len() {
        match (chars[index], chars.get(index + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                index += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                index += 2;
                if depth == 0 {
                    return index;
                }
            }
            _ => index += 1,
        }
    }
    chars.len()
}

/// PostgreSQL's types of the arguments of the call at a position, where all of them are literals.
pub(super) fn literal_arguments(sql: &str, position: usize, name: &str) -> Option<Vec<&'static str>> {
    let chars: Vec<char> = sql.chars().collect();
    let start = position.checked_sub(1)?;
    let end = start + name.chars().count();
    let written: String = chars.get(start..end)?.iter().flat_map(|char| char.to_lowercase()).collect();
    let open = end + chars[end..].iter().position(|char| !char.is_whitespace())?;
    if written != name || chars[open] != '(' {
        return None;
    }
    let (mut types, mut argument, mut index) = (Vec::new(), String::new(), open + 1);
    loop {
        match *chars.get(index)? {
            '\'' => {
                let end = closing(&chars, index, '\'');
                argument.extend(&chars[index..end]);
                index = end;
                continue;
            }
            ',' => types.push(literal_type(&std::mem::take(&mut argument))?),
            ')' if types.is_empty() && argument.trim().is_empty() => return Some(types),
            ')' => {
                types.push(literal_type(&argument)?);
                return Some(types);
            }
            char => argument.push(char),
        }
        index += 1;
    }
}

fn literal_type(argument: &str) -> Option<&'static str> {
    let text = argument.trim();
    let digits = text.strip_prefix('-').unwrap_or(text);
    if text.starts_with('\'') && text.ends_with('\'') || text.eq_ignore_ascii_case("null") {
        return Some("unknown");
    }
    if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") {
        return Some("boolean");
    }
    if !digits.starts_with(|char: char| char.is_ascii_digit() || char == '.') || digits.parse::<f64>().is_err() {
        return None;
    }
    match (text.parse::<i32>(), text.parse::<i64>()) {
        (Ok(_), _) => Some("integer"),
        (Err(_), Ok(_)) => Some("bigint"),
        (Err(_), Err(_)) => Some("numeric"),
    }
}

/// The position of a line and column, both from 1.
pub(super) fn of_line_and_column(sql: &str, line: u64, column: u64) -> Option<usize> {
    let (line, column) = (usize::try_from(line).ok()?, usize::try_from(column).ok()?);
    let before: usize = sql.split('\n').take(line.checked_sub(1)?).map(|text| text.chars().count() + 1).sum();
    let position = before + column;
    (column > 0 && position <= sql.chars().count() + 1).then_some(position)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn finds_an_identifier_only_where_it_is_unambiguous() {
        assert_eq!(of_identifier("select nosuch from t", "nosuch"), Some(8));
        assert_eq!(of_identifier("select NoSuch from t", "nosuch"), Some(8));
        assert_eq!(of_identifier("select \"NoSuch\" from t", "nosuch"), None);
        assert_eq!(of_identifier("select 'nosuch', /* nosuch /* */ */ é.nosuch -- nosuch\n", "nosuch"), Some(39));
        assert_eq!(of_identifier("select x, x from t", "x"), None);
        assert_eq!(of_identifier("select \"a\"\"b\"", "a\"b"), Some(8));
        assert_eq!(of_identifier("select nosuch2, 1nosuch", "nosuch"), None);
    }

    #[test]
    fn types_the_arguments_of_a_call_where_they_are_literals() {
        let types = |sql| literal_arguments(sql, 8, "foo").map(|types| types.join(", "));
        for (sql, expected) in [
            ("select foo()", Some("")),
            (
                "select FOO ( 1, 'a,)''b', -3000000000 ,1.5, TRUE,null)",
                Some("integer, unknown, bigint, numeric, boolean, unknown"),
            ),
            ("select foo(a)", None),
            ("select foo(1, bar(2))", None),
            ("select foo(1", None),
            ("select foo(1,)", None),
            ("select foo", None),
            ("select bar(1)", None),
        ] {
            assert_eq!(types(sql).as_deref(), expected, "{sql}");
        }
    }

    #[test]
    fn counts_characters_over_lines() {
        assert_eq!(of_line_and_column("sélect\n  x", 2, 3), Some(10));
        assert_eq!(of_line_and_column("x", 0, 1), None);
        assert_eq!(of_line_and_column("x", 5, 5), None);
    }

    proptest! {
        #[test]
        fn any_text_is_scanned_to_its_end(sql in ".{0,60}", quoted in "['\"/*\\-a]{0,12}") {
            of_identifier(&sql, "a");
            of_identifier(&quoted, "a");
            for position in 0..5 {
                literal_arguments(&sql, position, "");
                literal_arguments(&quoted, position, "a");
            }
        }
    }
}
