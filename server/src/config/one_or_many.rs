//! Settings of several values, of which a single one may stand without brackets.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{Deserializer, Error, SeqAccess, Visitor};

/// Reads `"a"` as `["a"]`. What is wrong with a value is said without the value.
///
/// # Errors
/// Neither a text nor a list of texts; a text that is no such value.
pub(super) fn one_or_many<'de, D: Deserializer<'de>, T: FromStr>(deserializer: D) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_any(OneOrMany(PhantomData))
}

struct OneOrMany<T>(PhantomData<T>);

fn parsed<T: FromStr, E: Error>(text: &str) -> Result<T, E> {
    text.parse().map_err(|_| E::custom(format!("not a valid {}", kind::<T>())))
}

/// What a value is called.
fn kind<T>() -> &'static str {
    if std::any::type_name::<T>().ends_with("ListenAddress") { "ADDRESS:PORT" } else { "value" }
}

impl<'de, T: FromStr> Visitor<'de> for OneOrMany<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a list of texts")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(vec![parsed(text)?])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(text) = list.next_element::<String>()? {
            values.push(parsed(&text)?);
        }
        Ok(values)
    }
}
