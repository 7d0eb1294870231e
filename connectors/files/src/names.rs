//! Names of files and columns as SQL can say them.

use std::collections::HashSet;

/// Bytes of a name in SQL: PostgreSQL cuts what is longer, wherever it is written.
const NAME_BYTES_MAX: usize = 63;

/// The names, in their order, cut to what SQL can name. Of names that would be equal then, those after the first end in
/// a number.
pub(crate) fn shortened<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Vec<String> {
    let whole = |name: &&str| name.len() <= NAME_BYTES_MAX;
    let mut taken: HashSet<String> = names.clone().filter(whole).map(str::to_owned).collect();
    let shorten = |name: &str| {
        if name.len() <= NAME_BYTES_MAX {
            return name.to_owned();
        }
        let mut short = cut(name, NAME_BYTES_MAX).to_owned();
        let mut number = 0_usize;
        while !taken.insert(short.clone()) {
            number += 1;
            let end = format!("_{number}");
            short = format!("{}{end}", cut(name, NAME_BYTES_MAX - end.len()));
        }
        short
    };
    names.map(shorten).collect()
}

/// The longest beginning of at most so many bytes.
fn cut(name: &str, bytes_max: usize) -> &str {
    let mut end = bytes_max.min(name.len());
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_between_characters_and_keeps_names_apart() {
        let long = "é".repeat(40);
        let (one, two) = (format!("{long}1"), format!("{long}2"));
        let taken = "é".repeat(31);
        let found = shortened([one.as_str(), "short", two.as_str(), taken.as_str()].into_iter());
        assert_eq!(found, [format!("{}_1", "é".repeat(30)), "short".into(), format!("{}_2", "é".repeat(30)), taken]);
    }
}
