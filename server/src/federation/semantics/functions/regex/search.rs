//! Searches of long texts, byte by byte, so that they can be let go of: a search by the regex library ends when it ends,
//! which with a large pattern is in minutes.

use std::cell::{OnceCell, RefCell};

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::hybrid::regex::Regex as Hybrid;
use regex_automata::hybrid::{LazyStateID, regex};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

use super::unsupported;
use crate::error::SqlResult;
use crate::interrupt;

/// Bytes of text that are searched without asking whether the search is still wanted.
pub(super) const AT_ONCE_MAX: usize = 1 << 12;
/// Bytes between two questions: a state of a large pattern takes tens of microseconds to make, and each byte may need a
/// new one.
const PACE: usize = 1 << 8;

/// The automata of a pattern, built when they are first needed. All of them are lazy: their states are made while they
/// search, and kept in bounded caches.
pub(super) struct Automata {
    pattern: String,
    syntax: syntax::Config,
    longest: OnceCell<Option<Automaton>>,
    leftmost: OnceCell<Option<(Automaton, Automaton)>>,
}

/// One automaton and the states that it has made.
pub(super) struct Automaton {
    dfa: DFA,
    cache: RefCell<Cache>,
}

/// Where a search in one direction ended.
enum Found {
    At(usize),
    Nowhere,
    /// The automaton cannot say: a word's boundary beside a character outside ASCII.
    Unknown,
}

fn config(kind: MatchKind) -> regex_automata::hybrid::dfa::Config {
    DFA::config().match_kind(kind).unicode_word_boundary(true).skip_cache_capacity_check(true)
}

impl Automata {
    /// Those of a pattern in the regex library's syntax.
    pub(super) fn new(pattern: String, syntax: syntax::Config) -> Self {
        Self { pattern, syntax, longest: OnceCell::new(), leftmost: OnceCell::new() }
    }

    /// The one that knows all matches, and so the longest.
    ///
    /// # Errors
    /// `0A000` for a pattern that has no such automaton.
    pub(super) fn all_matches(&self) -> SqlResult<&Automaton> {
        let built = self.longest.get_or_init(|| {
            let built = DFA::builder().configure(config(MatchKind::All)).syntax(self.syntax).build(&self.pattern);
            built.ok().map(Automaton::new)
        });
        built.as_ref().ok_or_else(|| unsupported("this pattern"))
    }

    /// The one that finds where the leftmost match ends, and the one that walks back to its start.
    fn leftmost(&self) -> Option<&(Automaton, Automaton)> {
        let built = self.leftmost.get_or_init(|| {
            let mut builder = regex::Builder::new();
            builder.syntax(self.syntax).dfa(config(MatchKind::LeftmostFirst));
            let built: Hybrid = builder.build(&self.pattern).ok()?;
            Some((Automaton::new(built.forward().clone()), Automaton::new(built.reverse().clone())))
        });
        built.as_ref()
    }

    /// Whether there is a match. `None` where that cannot be found out this way.
    ///
    /// # Errors
    /// `57014` where nobody wants to know any more.
    pub(super) fn is_match(&self, value: &str) -> SqlResult<Option<bool>> {
        let Some((forward, _)) = self.leftmost() else { return Ok(None) };
        Ok(match forward.forwards(&Input::new(value).earliest(true))? {
            Found::At(_) => Some(true),
            Found::Nowhere => Some(false),
            Found::Unknown => None,
        })
    }

    /// The leftmost longest match from a byte on. The outer `None` where that cannot be found out this way.
    ///
    /// # Errors
    /// `57014` where nobody wants to know any more; `0A000` for a pattern without automaton.
    pub(super) fn find(&self, value: &str, from: usize) -> SqlResult<Option<Option<(usize, usize)>>> {
        let Some((forward, reverse)) = self.leftmost() else { return Ok(None) };
        let end = match forward.forwards(&Input::new(value).range(from..))? {
            Found::At(end) => end,
            Found::Nowhere => return Ok(Some(None)),
            Found::Unknown => return Ok(None),
        };
        let back = Input::new(value).range(from..end).anchored(Anchored::Yes);
        let Found::At(start) = reverse.backwards(&back)? else { return Ok(None) };
        Ok(match self.all_matches()?.forwards(&Input::new(value).range(start..).anchored(Anchored::Yes))? {
            Found::At(end) => Some(Some((start, end))),
            Found::Nowhere | Found::Unknown => None,
        })
    }

    /// Where the longest match ends that begins at a byte.
    ///
    /// # Errors
    /// `57014` where nobody wants to know any more; `0A000` where no automaton can say.
    pub(super) fn longest_from(&self, value: &str, start: usize) -> SqlResult<Option<usize>> {
        match self.all_matches()?.forwards(&Input::new(value).range(start..).anchored(Anchored::Yes))? {
            Found::At(end) => Ok(Some(end)),
            Found::Nowhere => Ok(None),
            Found::Unknown => Err(unsupported("this pattern")),
        }
    }
}

/// What a state says.
enum State {
    Going,
    Match,
    Dead,
    Quit,
}

const fn said(state: LazyStateID) -> State {
    if !state.is_tagged() {
        State::Going
    } else if state.is_match() {
        State::Match
    } else if state.is_dead() {
        State::Dead
    } else if state.is_quit() {
        State::Quit
    } else {
        State::Going
    }
}

impl Automaton {
    fn new(dfa: DFA) -> Self {
        let cache = RefCell::new(dfa.create_cache());
        Self { dfa, cache }
    }

    /// Where the match ends. A match shows one byte late: see `regex_automata::dfa::Automaton::next_state`.
    fn forwards(&self, input: &Input<'_>) -> SqlResult<Found> {
        let mut cache = self.cache.borrow_mut();
        let Ok(mut state) = self.dfa.start_state_forward(&mut cache, input) else { return Ok(Found::Unknown) };
        let mut last = Found::Nowhere;
        let searched = input.haystack().iter().enumerate().take(input.end()).skip(input.start());
        for (at, byte) in searched {
            if at % PACE == 0 {
                interrupt::check()?;
            }
            let Ok(next) = self.dfa.next_state(&mut cache, state, *byte) else { return Ok(Found::Unknown) };
            state = next;
            match said(state) {
                State::Going => {}
                State::Match if input.get_earliest() => return Ok(Found::At(at)),
                State::Match => last = Found::At(at),
                State::Dead => return Ok(last),
                State::Quit => return Ok(Found::Unknown),
            }
        }
        let next = match input.haystack().get(input.end()) {
            Some(byte) => self.dfa.next_state(&mut cache, state, *byte),
            None => self.dfa.next_eoi_state(&mut cache, state),
        };
        Ok(match next.map(said) {
            Ok(State::Match) => Found::At(input.end()),
            Ok(State::Quit) | Err(_) => Found::Unknown,
            Ok(State::Going | State::Dead) => last,
        })
    }

    /// Where the match begins that ends where the input does.
    fn backwards(&self, input: &Input<'_>) -> SqlResult<Found> {
        let mut cache = self.cache.borrow_mut();
        let Ok(mut state) = self.dfa.start_state_reverse(&mut cache, input) else { return Ok(Found::Unknown) };
        let mut last = Found::Nowhere;
        let searched = input.haystack().iter().enumerate().take(input.end()).skip(input.start()).rev();
        for (at, byte) in searched {
            if at % PACE == 0 {
                interrupt::check()?;
            }
            let Ok(next) = self.dfa.next_state(&mut cache, state, *byte) else { return Ok(Found::Unknown) };
            state = next;
            match said(state) {
                State::Going => {}
                State::Match => last = Found::At(at + 1),
                State::Dead => return Ok(last),
                State::Quit => return Ok(Found::Unknown),
            }
        }
        let before = input.start().checked_sub(1).and_then(|at| input.haystack().get(at));
        let next = match before {
            Some(byte) => self.dfa.next_state(&mut cache, state, *byte),
            None => self.dfa.next_eoi_state(&mut cache, state),
        };
        Ok(match next.map(said) {
            Ok(State::Match) => Found::At(input.start()),
            Ok(State::Quit) | Err(_) => Found::Unknown,
            Ok(State::Going | State::Dead) => last,
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use crate::interrupt::StopFlag;

    fn automata(pattern: &str) -> Automata {
        Automata::new(pattern.to_owned(), syntax::Config::new().dot_matches_new_line(true))
    }

    /// What the regex library finds, and how far the longest match goes.
    #[test]
    fn finds_what_the_library_finds() {
        let texts = ["", "a", "abcd", "xxabcdabc", "foo bar baz", "aaab", "été à la", "a\nb", "bc", "zabcabcd"];
        let patterns =
            ["a", "abcd|bc", "bc|abcd", "a+", "(a|ab)(c|bcd)", "^a", "d$", "\\bbar\\b", "x*", "", "é.*a", "[^a]b"];
        let mut found = 0;
        for pattern in patterns {
            let ours = automata(pattern);
            let theirs = ::regex::RegexBuilder::new(pattern).dot_matches_new_line(true).build().unwrap();
            for text in texts {
                for from in (0..=text.len()).filter(|from| text.is_char_boundary(*from)) {
                    let expected = theirs.find_at(text, from).map(|found| found.start());
                    let Ok(Some(got)) = ours.find(text, from) else {
                        assert!(pattern.contains("\\b") && !text.is_ascii(), "{pattern} in {text}");
                        continue;
                    };
                    assert_eq!(got.map(|(start, _)| start), expected, "{pattern} in {text} from {from}");
                    found += usize::from(got.is_some());
                }
                if let Ok(Some(got)) = ours.is_match(text) {
                    assert_eq!(got, theirs.is_match(text), "{pattern} in {text}");
                }
            }
        }
        assert!(found > 100, "{found}");
        assert_eq!(automata("a|ab|abc").find("xabcx", 0).unwrap(), Some(Some((1, 4))));
    }

    #[test]
    fn a_search_stops_when_nobody_wants_it() {
        let flag = StopFlag::default();
        flag.stop();
        let text = "b".repeat(AT_ONCE_MAX * 2);
        flag.during(|| {
            assert!(automata("a").is_match(&text).is_err());
            assert!(automata("a").find(&text, 0).is_err());
        });
        assert_eq!(automata("a").is_match(&text).unwrap(), Some(false));
    }
}
