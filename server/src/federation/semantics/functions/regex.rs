//! Regular expressions as PostgreSQL has them, as far as a finite automaton goes.
//!
//! PostgreSQL takes the longest match, other engines the first of the alternatives. Where a match begins is the same; how
//! far it goes is found by an automaton that keeps all matches. Groups are what the backtracking order says, and where
//! that would end elsewhere than the longest match, the call is refused.

mod search;

use std::cell::RefCell;
use std::rc::Rc;

use regex::{Captures, Regex, RegexBuilder};
use regex_automata::util::syntax;

use search::Automata;

use super::{BOOL, Call, Datum, Function, INT4, TEXT, TEXTS, invalid, lenient, optional, regex_fault, strict, text};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::interrupt::{self, Pace};

/// Bytes that a compiled pattern may take.
const PATTERN_BYTES_MAX: usize = 10 << 20;

pub(super) const FUNCTIONS: &[Function] = &[
    strict("regexp_replace", &[TEXT, TEXT, TEXT], TEXT, |call| replace(call, "", 1, Some(1))),
    strict("regexp_replace", &[TEXT, TEXT, TEXT, TEXT], TEXT, |call| {
        if call.text(3).starts_with(|c: char| c.is_ascii_digit()) {
            return Err(invalid(format!("invalid regular expression option: \"{}\"", first(call.text(3))))
                .hint("If you meant to use regexp_replace() with a start parameter, cast the fourth argument to integer explicitly."));
        }
        let all = call.text(3).contains('g');
        replace(call, &call.text(3).replace('g', ""), 1, if all { None } else { Some(1) })
    }),
    strict("regexp_replace", &[TEXT, TEXT, TEXT, INT4], TEXT, |call| replace(call, "", call.int(3), Some(1))),
    strict("regexp_replace", &[TEXT, TEXT, TEXT, INT4, INT4], TEXT, |call| {
        replace(call, "", call.int(3), nth(call.int(4))?)
    }),
    strict("regexp_replace", &[TEXT, TEXT, TEXT, INT4, INT4, TEXT], TEXT, |call| {
        replace(call, &call.text(5).replace('g', ""), call.int(3), nth(call.int(4))?)
    }),
    strict("regexp_match", &[TEXT, TEXT], TEXTS, |call| matched(call, "")),
    strict("regexp_match", &[TEXT, TEXT, TEXT], TEXTS, |call| {
        no_global(call.text(2), "regexp_match")?;
        matched(call, call.text(2))
    }),
    strict("regexp_like", &[TEXT, TEXT], BOOL, |call| like(call, "")),
    strict("regexp_like", &[TEXT, TEXT, TEXT], BOOL, |call| {
        no_global(call.text(2), "regexp_like")?;
        like(call, call.text(2))
    }),
    strict("regexp_count", &[TEXT, TEXT], INT4, |call| count(call, "", 1)),
    strict("regexp_count", &[TEXT, TEXT, INT4], INT4, |call| count(call, "", call.int(2))),
    strict("regexp_count", &[TEXT, TEXT, INT4, TEXT], INT4, |call| {
        no_global(call.text(3), "regexp_count")?;
        count(call, call.text(3), call.int(2))
    }),
    strict("regexp_substr", &[TEXT, TEXT], TEXT, |call| substr(call, 1, 1, "")),
    strict("regexp_substr", &[TEXT, TEXT, INT4], TEXT, |call| substr(call, call.int(2), 1, "")),
    strict("regexp_substr", &[TEXT, TEXT, INT4, INT4], TEXT, |call| substr(call, call.int(2), call.int(3), "")),
    strict("regexp_substr", &[TEXT, TEXT, INT4, INT4, TEXT], TEXT, |call| {
        no_global(call.text(4), "regexp_substr")?;
        substr(call, call.int(2), call.int(3), call.text(4))
    }),
    strict("regexp_substr", &[TEXT, TEXT, INT4, INT4, TEXT, INT4], TEXT, |call| {
        no_global(call.text(4), "regexp_substr")?;
        let found = nth_match(call, call.int(2), call.int(3), call.text(4), call.int(5))?;
        optional(found.and_then(|(from, to)| call.text(0).get(from..to)).map(str::to_owned))
    }),
    strict("regexp_instr", &[TEXT, TEXT], INT4, |call| instr(call, 1, 1, 0, "", 0)),
    strict("regexp_instr", &[TEXT, TEXT, INT4], INT4, |call| instr(call, call.int(2), 1, 0, "", 0)),
    strict("regexp_instr", &[TEXT, TEXT, INT4, INT4], INT4, |call| instr(call, call.int(2), call.int(3), 0, "", 0)),
    strict("regexp_instr", &[TEXT, TEXT, INT4, INT4, INT4], INT4, |call| {
        instr(call, call.int(2), call.int(3), call.int(4), "", 0)
    }),
    strict("regexp_instr", &[TEXT, TEXT, INT4, INT4, INT4, TEXT], INT4, |call| {
        instr(call, call.int(2), call.int(3), call.int(4), call.text(5), 0)
    }),
    strict("regexp_instr", &[TEXT, TEXT, INT4, INT4, INT4, TEXT, INT4], INT4, |call| {
        instr(call, call.int(2), call.int(3), call.int(4), call.text(5), call.int(6))
    }),
    strict("regexp_split_to_array", &[TEXT, TEXT], TEXTS, |call| split(call, "")),
    strict("regexp_split_to_array", &[TEXT, TEXT, TEXT], TEXTS, |call| {
        no_global(call.text(2), "regexp_split_to_array")?;
        split(call, call.text(2))
    }),
    strict("substring", &[TEXT, TEXT], TEXT, |call| {
        let pattern = pattern(call.text(1), "")?;
        let Some((start, end)) = pattern.find(call.text(0), 0)? else { return Ok(Datum::Null) };
        if pattern.regex.captures_len() == 1 {
            return optional(call.text(0).get(start..end).map(str::to_owned));
        }
        let captures = pattern.captures(call.text(0), start, end)?;
        optional(captures.get(1).map(|group| group.as_str().to_owned()))
    }),
    strict("similar_to", &[TEXT, TEXT], BOOL, |call| similar(call, Some('\\'))),
    strict("similar_to", &[BPCHAR, TEXT], BOOL, |call| similar(call, Some('\\'))),
    strict("similar_to", &[BPCHAR, TEXT, TEXT], BOOL, |call| similar(call, escape_of(call.text(2))?)),
    strict("similar_to", &[TEXT, TEXT, TEXT], BOOL, |call| similar(call, escape_of(call.text(2))?)),
];

/// With their quantifiers, the operators that compare with patterns.
pub(super) const QUANTIFIED: &[Function] = &[
    lenient("matches_any", &[TEXT, TEXT, TEXTS, BOOL], BOOL, matches_any),
    lenient("matches_any", &[BPCHAR, TEXT, TEXTS, BOOL], BOOL, matches_any),
];

/// A value, an operator, an array of patterns, and whether all must match.
fn matches_any(call: &Call<'_>) -> SqlResult<Datum> {
    let all = call.bool(3);
    if call.is_null(2) {
        return Ok(Datum::Null);
    }
    let patterns = super::arrays::parsed(call, 2)?.elements;
    if patterns.is_empty() {
        return Ok(Datum::Bool(all));
    }
    if call.is_null(0) {
        return Ok(Datum::Null);
    }
    let (value, operator) = (call.text(0), call.text(1));
    let negated = operator.starts_with('!');
    let (is_like, folds) = (operator.contains("~~"), operator.ends_with('*'));
    let folded = super::strings::lower(if is_like && folds { value } else { "" });
    let mut unknown = false;
    for source in patterns {
        let Some(source) = source else {
            unknown = true;
            continue;
        };
        interrupt::check()?;
        let found = match (is_like, folds) {
            (true, false) => super::bits::like(value.as_bytes(), source.as_bytes(), true)?,
            (true, true) => super::bits::like(folded.as_bytes(), super::strings::lower(&source).as_bytes(), true)?,
            (false, _) => pattern(&source, &format!("{WHETHER}{}", if folds { "i" } else { "" }))?.is_match(value)?,
        };
        if (found != negated) != all {
            return Ok(Datum::Bool(!all));
        }
    }
    Ok(if unknown { Datum::Null } else { Datum::Bool(all) })
}

/// With its padding.
const BPCHAR: super::Kind = super::Kind::Of(atoll_connector_api::types::oids::BPCHAR);

fn escape_of(text: &str) -> SqlResult<Option<char>> {
    let mut chars = text.chars();
    let escape = chars.next();
    if chars.next().is_some() {
        return Err(SqlError::new(SqlState(*b"22025"), "invalid escape string")
            .hint("Escape string must be empty or one character."));
    }
    Ok(escape)
}

fn first(value: &str) -> String {
    value.chars().next().map(String::from).unwrap_or_default()
}

fn no_global(flags: &str, function: &str) -> SqlResult<()> {
    if flags.contains('g') {
        return Err(invalid(format!("{function}() does not support the \"global\" option")));
    }
    Ok(())
}

fn nth(number: i64) -> SqlResult<Option<usize>> {
    match usize::try_from(number) {
        Ok(0) => Ok(None),
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(invalid(format!("invalid value for parameter \"n\": {number}"))),
    }
}

/// A compiled pattern.
struct Pattern {
    regex: Regex,
    /// Whether only whether it matches is asked: how much it takes does not matter then.
    whether: bool,
    automata: Automata,
}

/// Before the flags of a pattern of which is asked only whether it matches: how much it takes does not matter then.
const WHETHER: char = '\u{1}';

thread_local! {
    /// The last pattern: it is mostly the same one for all rows.
    static LAST: RefCell<Option<(String, String, Rc<Pattern>)>> = const { RefCell::new(None) };
}

fn pattern(source: &str, flags: &str) -> SqlResult<Rc<Pattern>> {
    let known = LAST.with(|last| {
        last.borrow()
            .as_ref()
            .and_then(|(text, own, pattern)| (text == source && own == flags).then(|| Rc::clone(pattern)))
    });
    if let Some(pattern) = known {
        return Ok(pattern);
    }
    let pattern = Rc::new(compile(source, flags)?);
    LAST.with(|last| *last.borrow_mut() = Some((source.to_owned(), flags.to_owned(), Rc::clone(&pattern))));
    Ok(pattern)
}

fn unsupported(what: &str) -> SqlError {
    SqlError::unsupported(format!("regular expressions with {what} are not supported"))
}

fn compile(source: &str, flags: &str) -> SqlResult<Pattern> {
    let (mut insensitive, mut dot_newline, mut lines, mut expanded, mut literal) = (false, true, false, false, false);
    let whether = flags.starts_with(WHETHER);
    let (options, source) = embedded(source);
    for flag in flags.trim_start_matches(WHETHER).chars().chain(options.chars()) {
        match flag {
            'i' => insensitive = true,
            'c' => insensitive = false,
            'm' | 'n' => (dot_newline, lines) = (false, true),
            'p' => (dot_newline, lines) = (false, false),
            'w' => (dot_newline, lines) = (true, true),
            's' => (dot_newline, lines) = (true, false),
            'x' => expanded = true,
            't' => expanded = false,
            'q' => literal = true,
            'e' => {}
            other => return Err(invalid(format!("invalid regular expression option: \"{other}\""))),
        }
    }
    if expanded {
        return Err(unsupported("expanded syntax"));
    }
    let translated = if literal { regex::escape(source) } else { translate(source, whether)? };
    let invalid_pattern = |_| {
        let fault = regex_fault::fault(source).unwrap_or("the pattern is malformed");
        SqlError::new(SqlState::INVALID_REGULAR_EXPRESSION, format!("invalid regular expression: {fault}"))
    };
    let regex = RegexBuilder::new(&translated)
        .case_insensitive(insensitive)
        .dot_matches_new_line(dot_newline)
        .multi_line(lines)
        .size_limit(PATTERN_BYTES_MAX)
        .build()
        .map_err(invalid_pattern)?;
    let syntax =
        syntax::Config::new().case_insensitive(insensitive).dot_matches_new_line(dot_newline).multi_line(lines);
    let automata = Automata::new(translated, syntax);
    if !whether {
        automata.all_matches()?;
    }
    Ok(Pattern { regex, whether, automata })
}

/// The options before a pattern, `(?i)`, and what follows them.
fn embedded(source: &str) -> (&str, &str) {
    let split = source.strip_prefix("(?").and_then(|rest| rest.split_once(')'));
    match split {
        Some((options, rest)) if !options.is_empty() && options.bytes().all(|byte| byte.is_ascii_lowercase()) => {
            (options, rest)
        }
        _ => ("", source),
    }
}

/// Whether a pattern means the same to DataFusion: text, its ends, alternatives.
pub(in crate::federation::semantics) fn is_plain_pattern(source: &str) -> bool {
    let anchored = source.strip_prefix('^').unwrap_or(source);
    let text = anchored.strip_suffix('$').unwrap_or(anchored);
    text.chars().all(|c| c.is_alphanumeric() || matches!(c, ' ' | '_' | '-' | '/' | ',' | ':' | ';' | '@' | '='))
}

/// PostgreSQL's escapes in the other engine's words.
fn translate(source: &str, whether: bool) -> SqlResult<String> {
    if source.starts_with("***") || source.starts_with("(?") && !source.starts_with("(?:") {
        return Err(unsupported("embedded options or lookaround"));
    }
    let mut out = String::with_capacity(source.len());
    let mut chars = source.chars().peekable();
    let mut in_class = false;
    while let Some(c) = chars.next() {
        // The ends of words in brackets, as elsewhere a class.
        if c == '[' && !in_class {
            let rest: String = chars.clone().take(6).collect();
            let boundary = match rest.as_str() {
                "[:<:]]" => Some("\\b{start}"),
                "[:>:]]" => Some("\\b{end}"),
                _ => None,
            };
            if let Some(boundary) = boundary {
                out.push_str(boundary);
                chars.nth(5);
                continue;
            }
        }
        match c {
            '\\' => {
                let Some(next) = chars.next() else {
                    return Err(SqlError::new(
                        SqlState::INVALID_REGULAR_EXPRESSION,
                        "invalid regular expression: invalid escape \\ sequence",
                    ));
                };
                match next {
                    'm' => out.push_str("\\b{start}"),
                    'M' => out.push_str("\\b{end}"),
                    'y' => out.push_str("\\b"),
                    'Y' => out.push_str("\\B"),
                    'Z' => out.push_str("\\z"),
                    'A' | 'd' | 'D' | 's' | 'S' | 'w' | 'W' | 'n' | 'r' | 't' | 'f' | 'v' => {
                        out.push('\\');
                        out.push(next);
                    }
                    '0'..='9' => return Err(unsupported("back references")),
                    next if next.is_ascii_alphabetic() => return Err(unsupported("this escape")),
                    next => out.push_str(&regex::escape(&next.to_string())),
                }
            }
            '[' if in_class => match chars.peek() {
                Some(':') => {
                    out.push('[');
                    for c in chars.by_ref() {
                        out.push(c);
                        if c == ']' {
                            break;
                        }
                    }
                }
                Some('.' | '=') => return Err(unsupported("collating elements")),
                _ => out.push_str("\\["),
            },
            '[' => {
                in_class = true;
                out.push('[');
                if chars.peek() == Some(&'^') {
                    out.push('^');
                    chars.next();
                }
                if chars.peek() == Some(&']') {
                    out.push_str("\\]");
                    chars.next();
                }
            }
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            '&' | '~' if in_class => {
                out.push('\\');
                out.push(c);
            }
            '(' if !in_class && chars.peek() == Some(&'?') => {
                out.push_str("(?");
                chars.next();
                if chars.peek() != Some(&':') {
                    return Err(unsupported("lookaround"));
                }
            }
            '*' | '+' | '?' | '}' if !in_class => {
                out.push(c);
                if chars.peek() == Some(&'?') && !whether {
                    return Err(unsupported("non-greedy quantifiers"));
                }
            }
            c => out.push(c),
        }
    }
    Ok(out)
}

impl Pattern {
    /// Whether there is a match anywhere.
    fn is_match(&self, value: &str) -> SqlResult<bool> {
        if value.len() > search::AT_ONCE_MAX
            && let Some(found) = self.automata.is_match(value)?
        {
            return Ok(found);
        }
        Ok(self.regex.is_match(value))
    }

    /// The leftmost longest match from a byte on.
    fn find(&self, value: &str, from: usize) -> SqlResult<Option<(usize, usize)>> {
        if self.whether {
            return Err(unsupported("this pattern"));
        }
        if value.len() - from > search::AT_ONCE_MAX
            && let Some(found) = self.automata.find(value, from)?
        {
            return Ok(found);
        }
        let Some(found) = self.regex.find_at(value, from) else { return Ok(None) };
        let end = self.automata.longest_from(value, found.start())?;
        Ok(Some((found.start(), end.unwrap_or(found.end()))))
    }

    /// The groups of a match.
    fn captures<'v>(&self, value: &'v str, start: usize, end: usize) -> SqlResult<Captures<'v>> {
        let captures = self.regex.captures_at(value, start);
        captures
            .filter(|captures| captures.get(0).is_some_and(|all| all.start() == start && all.end() == end))
            .ok_or_else(|| SqlError::unsupported("groups of this regular expression's longest match are not supported"))
    }
}

/// The byte of the character from which a search starts.
fn start_byte(value: &str, start: i64) -> SqlResult<Option<usize>> {
    let index = usize::try_from(start).ok().and_then(|start| start.checked_sub(1));
    let Some(index) = index else {
        return Err(invalid(format!("invalid value for parameter \"start\": {start}")));
    };
    let mut places = value.char_indices().map(|(at, _)| at).chain([value.len()]);
    Ok(places.nth(index))
}

fn next_char(value: &str, at: usize) -> usize {
    value.get(at..).and_then(|rest| rest.chars().next()).map_or(at + 1, |c| at + c.len_utf8())
}

/// Matches one after the other, as PostgreSQL steps over empty ones.
fn all(pattern: &Pattern, value: &str, from: usize) -> SqlResult<Vec<(usize, usize)>> {
    let mut matches = Vec::new();
    let mut at = from;
    while at <= value.len() {
        interrupt::check()?;
        interrupt::reserve((matches.len() + 1) * size_of::<(usize, usize)>())?;
        let Some((start, end)) = pattern.find(value, at)? else { break };
        matches.push((start, end));
        at = if start == end { next_char(value, end) } else { end };
    }
    Ok(matches)
}

fn replace(call: &Call<'_>, flags: &str, start: i64, wanted: Option<usize>) -> SqlResult<Datum> {
    let pattern = pattern(call.text(1), flags)?;
    let (value, by) = (call.text(0), call.text(2));
    let Some(mut at) = start_byte(value, start)? else { return text(value) };
    let mut out = String::with_capacity(value.len());
    let mut copied = 0;
    let mut number = 0;
    while at <= value.len() {
        interrupt::check()?;
        let Some((from, to)) = pattern.find(value, at)? else { break };
        number += 1;
        at = if from == to { next_char(value, to) } else { to };
        if wanted.is_some_and(|wanted| wanted != number) {
            continue;
        }
        let before = value.get(copied..from).unwrap_or_default();
        call.reserve(out.len() + before.len())?;
        out.push_str(before);
        append_replacement(call, &pattern, (from, to), by, &mut out)?;
        copied = to;
        if wanted.is_some() {
            break;
        }
    }
    let rest = value.get(copied..).unwrap_or_default();
    call.reserve(out.len() + rest.len())?;
    out.push_str(rest);
    text(out)
}

fn append_replacement(
    call: &Call<'_>,
    pattern: &Pattern,
    (from, to): (usize, usize),
    by: &str,
    out: &mut String,
) -> SqlResult<()> {
    let value = call.text(0);
    if !by.contains('\\') {
        call.reserve(out.len() + by.len())?;
        out.push_str(by);
        return Ok(());
    }
    let mut pace = Pace::default();
    let mut groups: Option<Captures<'_>> = None;
    let mut chars = by.chars();
    while let Some(c) = chars.next() {
        pace.step(1)?;
        call.reserve(out.len() + 2 * c.len_utf8())?;
        if c != '\\' {
            out.push(c);
            continue;
        }
        let mut append = |part: &str| {
            pace.step(part.len())?;
            call.reserve(out.len() + part.len())?;
            out.push_str(part);
            Ok::<(), SqlError>(())
        };
        match chars.next() {
            Some(digit @ '1'..='9') => {
                let group = usize::try_from(digit.to_digit(10).unwrap_or(0)).unwrap_or(0);
                let captures = match groups.take() {
                    Some(captures) => captures,
                    None => pattern.captures(value, from, to)?,
                };
                append(groups.insert(captures).get(group).map_or("", |group| group.as_str()))?;
            }
            Some('&') => append(value.get(from..to).unwrap_or_default())?,
            Some('\\') | None => out.push('\\'),
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
        }
    }
    Ok(())
}

fn matched(call: &Call<'_>, flags: &str) -> SqlResult<Datum> {
    let pattern = pattern(call.text(1), flags)?;
    let value = call.text(0);
    let Some((start, end)) = pattern.find(value, 0)? else { return Ok(Datum::Null) };
    if pattern.regex.captures_len() == 1 {
        return super::arrays::flat(vec![value.get(start..end).map(str::to_owned)]);
    }
    let captures = pattern.captures(value, start, end)?;
    super::arrays::flat(captures.iter().skip(1).map(|group| group.map(|group| group.as_str().to_owned())).collect())
}

/// What `regexp_matches` returns, each array as its text: the first match, or with `g` all of them.
pub(super) fn all_matched(call: &Call<'_>, flags: &str) -> SqlResult<Datum> {
    let pattern = pattern(call.text(1), &flags.replace('g', ""))?;
    let value = call.text(0);
    let found =
        if flags.contains('g') { all(&pattern, value, 0)? } else { pattern.find(value, 0)?.into_iter().collect() };
    let mut matches = super::arrays::Elements::default();
    for (start, end) in found {
        interrupt::check()?;
        let groups = if pattern.regex.captures_len() == 1 {
            vec![value.get(start..end).map(str::to_owned)]
        } else {
            let captures = pattern.captures(value, start, end)?;
            captures.iter().skip(1).map(|group| group.map(|group| group.as_str().to_owned())).collect()
        };
        let Datum::Text(array) = super::arrays::flat(groups)? else { continue };
        matches.push(Some(array))?;
    }
    matches.finish()
}

fn like(call: &Call<'_>, flags: &str) -> SqlResult<Datum> {
    Ok(Datum::Bool(pattern(call.text(1), &format!("{WHETHER}{flags}"))?.is_match(call.text(0))?))
}

fn count(call: &Call<'_>, flags: &str, start: i64) -> SqlResult<Datum> {
    let Some(from) = start_byte(call.text(0), start)? else { return Ok(Datum::Int(0)) };
    let matches = all(&*pattern(call.text(1), flags)?, call.text(0), from)?;
    Ok(Datum::Int(i64::try_from(matches.len()).unwrap_or(i64::MAX)))
}

fn substr(call: &Call<'_>, start: i64, number: i64, flags: &str) -> SqlResult<Datum> {
    let wanted = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
    let wanted = wanted.ok_or_else(|| invalid(format!("invalid value for parameter \"n\": {number}")))?;
    let Some(from) = start_byte(call.text(0), start)? else { return Ok(Datum::Null) };
    let matches = all(&*pattern(call.text(1), flags)?, call.text(0), from)?;
    optional(matches.get(wanted).and_then(|(from, to)| call.text(0).get(*from..*to)).map(str::to_owned))
}

/// Where a match stands, or one of its groups.
fn nth_match(call: &Call<'_>, start: i64, number: i64, flags: &str, group: i64) -> SqlResult<Option<(usize, usize)>> {
    let wanted = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
    let wanted = wanted.ok_or_else(|| invalid(format!("invalid value for parameter \"n\": {number}")))?;
    let group =
        usize::try_from(group).map_err(|_| invalid(format!("invalid value for parameter \"subexpr\": {group}")))?;
    let value = call.text(0);
    let Some(from) = start_byte(value, start)? else { return Ok(None) };
    let pattern = pattern(call.text(1), flags)?;
    let Some((start, end)) = all(&pattern, value, from)?.get(wanted).copied() else { return Ok(None) };
    if group == 0 {
        return Ok(Some((start, end)));
    }
    Ok(pattern.captures(value, start, end)?.get(group).map(|found| (found.start(), found.end())))
}

fn instr(call: &Call<'_>, start: i64, number: i64, end: i64, flags: &str, group: i64) -> SqlResult<Datum> {
    no_global(flags, "regexp_instr")?;
    if !matches!(end, 0 | 1) {
        return Err(invalid(format!("invalid value for parameter \"endoption\": {end}")));
    }
    let found = nth_match(call, start, number, flags, group)?;
    let place = |at: usize| call.text(0).get(..at).unwrap_or_default().chars().count() + 1;
    let at = found.map(|(from, to)| place(if end == 1 { to } else { from }));
    Ok(Datum::Int(at.map_or(0, |at| i64::try_from(at).unwrap_or(0))))
}

fn split(call: &Call<'_>, flags: &str) -> SqlResult<Datum> {
    let value = call.text(0);
    let mut parts = super::arrays::Elements::default();
    let mut copied = 0;
    for (from, to) in all(&*pattern(call.text(1), flags)?, value, 0)? {
        // Empty matches at the ends, and right behind another match, separate nothing.
        if from == to && (from == copied || from == value.len()) {
            continue;
        }
        parts.push(value.get(copied..from).map(str::to_owned))?;
        copied = to;
    }
    parts.push(value.get(copied..).map(str::to_owned))?;
    parts.finish()
}

/// `SIMILAR TO`: SQL's patterns match the whole value.
fn similar(call: &Call<'_>, escape: Option<char>) -> SqlResult<Datum> {
    let mut out = String::from("^(?:");
    let mut chars = call.text(1).chars().peekable();
    let mut in_class = false;
    while let Some(c) = chars.next() {
        match c {
            c if Some(c) == escape => match chars.next() {
                Some('"') => return Err(unsupported("SQL's substring separators")),
                Some(next) if next.is_ascii_alphanumeric() => {
                    out.push('\\');
                    out.push(next);
                }
                Some(next) => out.push_str(&format!("\\{next}")),
                None => {}
            },
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            c if in_class => {
                if c == '\\' {
                    out.push('\\');
                }
                out.push(c);
            }
            '[' => {
                in_class = true;
                out.push('[');
                if chars.peek() == Some(&'^') {
                    out.push('^');
                    chars.next();
                }
            }
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            '(' => out.push_str("(?:"),
            '\\' | '.' | '^' | '$' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out.push_str(")$");
    Ok(Datum::Bool(pattern(&out, "")?.is_match(call.text(0))?))
}
