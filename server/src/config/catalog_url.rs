//! The URL of a shared catalog: shown without its password, whoever shows it.

use std::convert::Infallible;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};
use url::Url;

/// What stands for a secret.
const MASK: &str = "***";

/// A PostgreSQL URL, which may hold a password. `Debug` and serialization mask it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct CatalogUrl(String);

impl CatalogUrl {
    /// The URL with its password: for connecting, not for showing.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The URL as it may be shown. One that cannot be taken apart is masked whole: nobody knows where its password is.
    pub fn masked(&self) -> String {
        // A password with a bare `?`, `#` or `/` ends up in another part of the URL, so each has to look as it should.
        let Ok(mut url) = Url::parse(&self.0) else { return MASK.to_owned() };
        let plausible = self.0.matches('@').count() <= 1 && url.fragment().is_none();
        if !plausible || (url.password().is_some() && url.set_password(Some(MASK)).is_err()) {
            return MASK.to_owned();
        }
        if url.query().is_some() {
            let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
            let mut query = url.query_pairs_mut();
            query.clear();
            for (name, value) in pairs {
                let shown = if SHOWN_PARAMETERS.contains(&name.as_str()) { value.as_str() } else { MASK };
                query.append_pair(&name, shown);
            }
        }
        url.into()
    }
}

/// Parameters whose values are no secrets.
const SHOWN_PARAMETERS: [&str; 9] =
    ["sslmode", "sslrootcert", "sslcert", "sslkey", "host", "hostaddr", "port", "dbname", "user"];

impl From<String> for CatalogUrl {
    fn from(url: String) -> Self {
        Self(url)
    }
}

impl FromStr for CatalogUrl {
    type Err = Infallible;

    fn from_str(url: &str) -> Result<Self, Infallible> {
        Ok(Self(url.to_owned()))
    }
}

impl std::fmt::Debug for CatalogUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CatalogUrl({})", self.masked())
    }
}

impl Serialize for CatalogUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.masked())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_spelling_shows_the_password() {
        for (url, shown) in [
            ("postgres://u:canary@h:5433/d", "postgres://u:***@h:5433/d"),
            (
                "postgres://u@h/d?password=canary&sslmode=verify-full",
                "postgres://u@h/d?password=***&sslmode=verify-full",
            ),
            ("postgres://u@h/d?passwrod=canary", "postgres://u@h/d?passwrod=***"),
            ("postgres://u@h/d", "postgres://u@h/d"),
            ("postgres://u:can#ary@h/d", MASK),
            ("postgres://u:canary#1@h/d", MASK),
            ("postgres://u:can@ary@h/d", MASK),
            ("host=h password=canary", MASK),
            ("", MASK),
        ] {
            let url = CatalogUrl::from(url.to_owned());
            assert_eq!(url.masked(), shown);
            assert!(!format!("{url:?}").contains("canary"));
        }
    }
}
