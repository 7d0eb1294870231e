//! The choices that a statement is made of. A statement is a function of them, so that a shorter list of smaller choices is a
//! simpler statement of the same grammar: shrinking needs no knowledge of SQL.

/// A part of the list: what was chosen while one piece of the statement was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// Pieces of one label may stand for each other.
    pub(super) label: u32,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Where choices come from, and what was chosen.
#[derive(Debug, Clone)]
pub(super) struct Choices {
    /// Choices to repeat; behind their end every choice is 0, the simplest.
    given: Option<Vec<u32>>,
    state: u64,
    made: Vec<u32>,
    spans: Vec<Span>,
}

impl Choices {
    pub(super) fn of_seed(seed: u64) -> Self {
        Self { given: None, state: seed, made: Vec::new(), spans: Vec::new() }
    }

    pub(super) fn again(given: Vec<u32>) -> Self {
        Self { given: Some(given), state: 0, made: Vec::new(), spans: Vec::new() }
    }

    /// SplitMix64: written out, because a seed must mean the same under every version of every crate.
    fn random(&mut self) -> u32 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        u32::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap_or_default()
    }

    /// A number below `count`; 0 is the simplest, and what an exhausted list gives.
    pub(super) fn pick(&mut self, count: usize) -> usize {
        let count = u32::try_from(count).unwrap_or(u32::MAX).max(1);
        let value = match &self.given {
            Some(given) => given.get(self.made.len()).copied().unwrap_or_default(),
            None => self.random(),
        } % count;
        self.made.push(value);
        usize::try_from(value).unwrap_or_default()
    }

    /// True in so many of a hundred cases; false is the simplest.
    pub(super) fn chance(&mut self, percent: usize) -> bool {
        self.pick(100) >= 100 - percent
    }

    /// One of a list; the first is the simplest.
    pub(super) fn of<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        let at = self.pick(list.len());
        list.get(at)
    }

    /// Begins a piece.
    pub(super) fn open(&mut self, label: u32) -> usize {
        let start = self.made.len();
        self.spans.push(Span { label, start, end: start });
        self.spans.len() - 1
    }

    /// Ends it.
    pub(super) fn close(&mut self, piece: usize) {
        let end = self.made.len();
        if let Some(span) = self.spans.get_mut(piece) {
            span.end = end;
        }
    }

    pub(super) fn into_parts(self) -> (Vec<u32>, Vec<Span>) {
        (self.made, self.spans)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_choices_and_its_list_repeats_them() {
        let make = |mut choices: Choices| {
            let piece = choices.open(1);
            let values: Vec<usize> = (1..20).map(|count| choices.pick(count * 7)).collect();
            choices.close(piece);
            (values, choices.into_parts())
        };
        let (values, (made, spans)) = make(Choices::of_seed(7));
        assert_eq!(values.iter().map(|value| u32::try_from(*value).unwrap_or_default()).collect::<Vec<_>>(), made);
        assert_eq!(spans, [Span { label: 1, start: 0, end: 19 }]);
        assert_eq!(make(Choices::of_seed(7)).0, values);
        assert_eq!(make(Choices::again(made)).0, values);
        assert_ne!(make(Choices::of_seed(8)).0, values);
        assert_eq!(make(Choices::again(Vec::new())).0, vec![0; 19]);
    }
}
