//! What a call over a frame of ours is: its function and the shape of its frame, which travel in the function's name.

/// How names of such functions begin; no SQL name has a blank there.
const PREFIX: &str = "atoll frame";

/// What a frame counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Units {
    Rows,
    Range,
    Groups,
}

/// Where a frame begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Bound {
    UnboundedPreceding,
    Preceding,
    CurrentRow,
    Following,
    UnboundedFollowing,
}

impl Bound {
    /// Whether it has an offset.
    pub(super) const fn is_offset(self) -> bool {
        matches!(self, Self::Preceding | Self::Following)
    }
}

/// Which rows around the current one a frame leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Exclusion {
    NoOthers,
    CurrentRow,
    Group,
    Ties,
}

impl Exclusion {
    /// By its word in names.
    pub(super) fn named(name: &str) -> Option<Self> {
        value(&EXCLUSIONS, name)
    }
}

/// A function of the rows around that is no aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Pick {
    First,
    Last,
    Nth,
    Lag,
    Lead,
}

impl Pick {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "first_value" => Self::First,
            "last_value" => Self::Last,
            "nth_value" => Self::Nth,
            "lag" => Self::Lag,
            "lead" => Self::Lead,
            _ => return None,
        })
    }

    /// Whether it is of the frame's rows, and not of the partition's.
    pub(super) const fn reads_frame(self) -> bool {
        !matches!(self, Self::Lag | Self::Lead)
    }
}

/// The arguments are the function's own, the condition of FILTER if there is one, and the offsets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Spec {
    pub(super) function: String,
    pub(super) arguments: usize,
    pub(super) filter: bool,
    pub(super) units: Units,
    pub(super) start: Bound,
    pub(super) end: Bound,
    pub(super) exclusion: Exclusion,
}

const UNITS: [(Units, &str); 3] = [(Units::Rows, "rows"), (Units::Range, "range"), (Units::Groups, "groups")];

const BOUNDS: [(Bound, &str); 5] = [
    (Bound::UnboundedPreceding, "first"),
    (Bound::Preceding, "preceding"),
    (Bound::CurrentRow, "current"),
    (Bound::Following, "following"),
    (Bound::UnboundedFollowing, "last"),
];

const EXCLUSIONS: [(Exclusion, &str); 4] = [
    (Exclusion::NoOthers, "none"),
    (Exclusion::CurrentRow, "row"),
    (Exclusion::Group, "group"),
    (Exclusion::Ties, "ties"),
];

fn word<T: PartialEq>(words: &[(T, &'static str)], value: &T) -> &'static str {
    words.iter().find(|(known, _)| known == value).map_or("", |(_, word)| word)
}

fn value<T: Copy>(words: &[(T, &'static str)], word: &str) -> Option<T> {
    words.iter().find(|(_, known)| *known == word).map(|(value, _)| *value)
}

impl Spec {
    /// How many offsets there are.
    pub(super) fn offsets(&self) -> usize {
        usize::from(self.start.is_offset()) + usize::from(self.end.is_offset())
    }

    /// The name of the function.
    pub(super) fn name(&self) -> String {
        format!(
            "{PREFIX} {} {} {} {} {} {} {}",
            word(&UNITS, &self.units),
            word(&BOUNDS, &self.start),
            word(&BOUNDS, &self.end),
            word(&EXCLUSIONS, &self.exclusion),
            self.arguments,
            if self.filter { "filtered" } else { "all" },
            self.function,
        )
    }

    /// What a name says; `None` for any other function's.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let rest = name.strip_prefix(PREFIX)?.strip_prefix(' ')?;
        let mut words = rest.splitn(7, ' ');
        Some(Self {
            units: value(&UNITS, words.next()?)?,
            start: value(&BOUNDS, words.next()?)?,
            end: value(&BOUNDS, words.next()?)?,
            exclusion: value(&EXCLUSIONS, words.next()?)?,
            arguments: words.next()?.parse().ok()?,
            filter: words.next()? == "filtered",
            function: words.next()?.to_owned(),
        })
    }
}
