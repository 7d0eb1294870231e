//! The settings under which every statement must be answered alike.

use std::fmt;

/// A setting of Atoll's that may not change an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switch {
    /// Its name.
    pub name: &'static str,
    /// The values to try, the default first.
    pub values: &'static [&'static str],
}

/// Every switch. One that the server does not know is left out, with a line that says so.
pub const SWITCHES: &[Switch] = &[
    Switch { name: "atoll.pushdown", values: &["on", "off"] },
    Switch { name: "atoll.dynamic_filters", values: &["on", "off"] },
    Switch { name: "atoll.pushdown_joins", values: &["on", "off"] },
    Switch { name: "atoll.pushdown_aggregates", values: &["on", "off"] },
    Switch { name: "atoll.decimal_sums", values: &["on", "off"] },
    Switch { name: "atoll.scan_partitions", values: &["0", "1", "3"] },
];

/// The switches among [`SWITCHES`] that a server knows, and the names of the others.
#[must_use]
pub fn known(settings: &[String]) -> (Vec<Switch>, Vec<&'static str>) {
    let (known, unknown): (Vec<_>, Vec<_>) =
        SWITCHES.iter().partition(|switch| settings.iter().any(|name| name == switch.name));
    (known, unknown.into_iter().map(|switch| switch.name).collect())
}

/// A value for each switch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Combination(Vec<(&'static str, &'static str)>);

impl Combination {
    /// Every switch at its default but the named one.
    #[must_use]
    pub fn only(switches: &[Switch], name: &str, value: &'static str) -> Self {
        Self::of(switches, |switch| if switch.name == name { Some(value) } else { None })
    }

    /// The values that `choose` gives, the defaults where it gives none.
    #[must_use]
    pub fn of(switches: &[Switch], mut choose: impl FnMut(&Switch) -> Option<&'static str>) -> Self {
        let default = |switch: &Switch| switch.values.first().copied().unwrap_or_default();
        Self(switches.iter().map(|switch| (switch.name, choose(switch).unwrap_or_else(|| default(switch)))).collect())
    }

    /// The statements that set them.
    #[must_use]
    pub fn statements(&self) -> String {
        self.0.iter().map(|(name, value)| format!("SET {name} = '{value}';")).collect()
    }

    /// The same, as arguments of a program.
    #[must_use]
    pub fn settings(&self) -> Vec<String> {
        self.0.iter().map(|(name, value)| format!("{name}={value}")).collect()
    }
}

impl fmt::Display for Combination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<_> =
            self.0.iter().map(|(name, value)| format!("{}={value}", name.trim_start_matches("atoll."))).collect();
        f.write_str(&parts.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_that_the_server_does_not_know_is_left_out() {
        let (known, unknown) = known(&["atoll.pushdown".to_owned()]);
        assert_eq!(known.iter().map(|switch| switch.name).collect::<Vec<_>>(), ["atoll.pushdown"]);
        assert_eq!(unknown.len(), SWITCHES.len() - 1);
        assert_eq!(Combination::only(&known, "atoll.pushdown", "off").statements(), "SET atoll.pushdown = 'off';");
    }
}
