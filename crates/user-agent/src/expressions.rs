//! Hundreds of expressions looked for in one text, at a cost that does not grow with their number.
//!
//! One pass finds words in the text; an expression is tried only where all the words are that it
//! cannot match without, and compiled when it is tried for the first time. Expressions and texts
//! are bytes: classes of Unicode characters would take ten times the memory.

mod needs;

use std::sync::{Mutex, OnceLock, PoisonError};

use aho_corasick::AhoCorasick;
use regex_automata::meta::{self, Regex};
use regex_automata::nfa::thompson::backtrack::BoundedBacktracker;
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::captures::Captures;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, Span};

use needs::LiteralSet;

/// A list of expressions, each called by its place.
pub struct FilteredRegexSet {
    words: AhoCorasick,
    /// By word, the expressions that are looked at where it is met; then those that need no word.
    watchers: Vec<Vec<usize>>,
    all: Vec<LazyRegex>,
}

/// An expression as it is written, in the syntax of the crate regex.
#[derive(Clone, Debug)]
pub struct RegexPattern {
    /// The expression.
    pub text: String,
    /// Whether upper and lower case are the same.
    pub is_caseless: bool,
}

struct LazyRegex {
    pattern: RegexPattern,
    finder: OnceLock<RegexFinder>,
    /// Finds the groups of a match; few expressions ever match.
    groups: OnceLock<BoundedBacktracker>,
    /// Sets of words by number, the rarest first; a text must have one word of each.
    needs: Vec<Vec<usize>>,
}

/// Finds matches. Threads share what is worked out about texts, which is the most of its memory, and
/// have it for a microsecond.
struct RegexFinder {
    regex: Regex,
    known: Mutex<meta::Cache>,
}

/// What a finder works out is kept up to so many bytes, twice.
const MAX_DFA_CACHE_BYTES: usize = 256 << 10;

impl RegexPattern {
    fn syntax(&self) -> syntax::Config {
        syntax::Config::new()
            .unicode(false)
            .utf8(false)
            .case_insensitive(self.is_caseless)
    }

    fn finder(&self) -> RegexFinder {
        let engine = Regex::config()
            .utf8_empty(false)
            .which_captures(WhichCaptures::Implicit)
            .onepass(false)
            // What the words leave of them is rarely helped by looking for letters first, and a
            // text of many such letters costs five times as much.
            .auto_prefilter(false)
            .hybrid_cache_capacity(MAX_DFA_CACHE_BYTES);
        let mut builder = Regex::builder();
        let builder = builder.configure(engine).syntax(self.syntax());
        let regex = builder.build(&self.text).expect(REGEX_COMPILES);
        RegexFinder {
            known: Mutex::new(regex.create_cache()),
            regex,
        }
    }

    fn groups(&self) -> BoundedBacktracker {
        let mut builder = BoundedBacktracker::builder();
        let builder = builder
            .syntax(self.syntax())
            .thompson(thompson::Config::new().utf8(false));
        builder.build(&self.text).expect(REGEX_COMPILES)
    }
}

const REGEX_COMPILES: &str = "the vendored expressions compile; a test compiles them all";

impl FilteredRegexSet {
    /// Prepares the search. What cannot be parsed needs no word, and panics where it is tried.
    pub fn new(patterns: Vec<RegexPattern>) -> Self {
        let sets: Vec<Vec<LiteralSet>> = patterns
            .iter()
            .map(|pattern| {
                let parsed = syntax::parse_with(&pattern.text, &pattern.syntax());
                parsed.map_or_else(|_| vec![], |parsed| needs::of(&parsed))
            })
            .collect();
        let mut words: Vec<&[u8]> = sets.iter().flatten().flatten().map(Vec::as_slice).collect();
        words.sort_unstable();
        let uses: Vec<usize> = words.chunk_by(|a, b| a == b).map(<[_]>::len).collect();
        words.dedup();

        let number = |word: &Vec<u8>| words.partition_point(|one| *one < word.as_slice());
        let mut watchers = vec![vec![]; words.len() + 1];
        let mut all = vec![];
        for (place, (pattern, sets)) in patterns.into_iter().zip(&sets).enumerate() {
            let numbers = sets.iter().map(|set| set.iter().map(number).collect());
            let mut needs: Vec<Vec<usize>> = numbers.collect();
            needs.sort_by_key(|set| set.iter().map(|word| uses[*word]).sum::<usize>());
            match needs.first() {
                Some(rarest) => rarest.iter().for_each(|word| watchers[*word].push(place)),
                None => watchers[words.len()].push(place),
            }
            all.push(LazyRegex {
                pattern,
                finder: OnceLock::new(),
                groups: OnceLock::new(),
                needs,
            });
        }
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(&words);
        Self {
            words: automaton.expect("a few thousand short words make an automaton"),
            watchers,
            all,
        }
    }

    /// The places of those that may match `text`, in order.
    #[must_use]
    pub fn candidates(&self, text: &str) -> Vec<usize> {
        let none = self.watchers.len() - 1;
        let mut is_met = vec![false; none];
        let mut watched = self.watchers[none].clone();
        for found in self.words.find_overlapping_iter(text) {
            let word = found.pattern().as_usize();
            if !std::mem::replace(&mut is_met[word], true) {
                watched.extend_from_slice(&self.watchers[word]);
            }
        }
        watched.retain(|place| {
            let mut needs = self.all[*place].needs.iter().skip(1);
            needs.all(|set| set.iter().any(|word| is_met[*word]))
        });
        watched.sort_unstable();
        watched.dedup();
        watched
    }

    /// Where the expression at a place matches.
    pub fn find(&self, place: usize, text: &str) -> Option<Span> {
        let expression = &self.all[place];
        let finder = &expression.finder;
        let finder = finder.get_or_init(|| expression.pattern.finder());
        // What a search that panicked left behind is cleared by the next.
        let known = &mut finder.known.lock().unwrap_or_else(PoisonError::into_inner);
        let found = finder.regex.search_with(known, &Input::new(text));
        found.map(|found| found.span())
    }

    /// The groups of what was found there.
    #[must_use]
    pub fn groups(&self, place: usize, text: &str, found: Span) -> Option<Captures> {
        let expression = &self.all[place];
        let groups = expression
            .groups
            .get_or_init(|| expression.pattern.groups());
        let input = Input::new(text).span(found).anchored(Anchored::Yes);
        let mut captures = groups.create_captures();
        let mut cache = groups.create_cache();
        let searched = groups.try_search_slots(&mut cache, &input, captures.slots_mut());
        captures.set_pattern(searched.ok().flatten());
        captures.is_match().then_some(captures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(patterns: &[&str]) -> FilteredRegexSet {
        let pattern = |text: &&str| RegexPattern {
            text: (*text).to_owned(),
            is_caseless: false,
        };
        FilteredRegexSet::new(patterns.iter().map(pattern).collect())
    }

    #[test]
    fn only_what_may_match_is_tried() {
        let all = of(&[
            "(Firefox)/([0-9]+)",
            "Chrom(e|ium)/.*Mobile",
            "[0-9]{3}",
            "(?i)opera.?mini",
            "(?:Foo|Bar)(?: Baz)?",
        ]);
        assert_eq!(all.candidates("Mozilla"), [2]);
        assert_eq!(all.candidates("Firefox/1"), [0, 2]);
        assert_eq!(all.candidates("Chromium/1"), [2]);
        assert_eq!(all.candidates("Chrome/1 Mobile"), [1, 2]);
        assert_eq!(all.candidates("OPERA-MINI"), [2, 3]);
        assert_eq!(all.candidates("foo"), [2, 4]);
        assert!(all.find(4, "foo").is_none() && all.find(3, "OPERA-MINI").is_some());
    }

    #[test]
    fn groups_are_those_of_the_match() {
        let all = of(&["b(.)(?:(x)|y)"]);
        let text = "éaabcybdx";
        let found = all.find(0, text).unwrap();
        let groups = all.groups(0, text, found).unwrap();
        let group = |number| groups.get_group(number).map(|span| &text[span.range()]);
        assert_eq!(
            [group(0), group(1), group(2)],
            [Some("bcy"), Some("c"), None]
        );
    }

    #[test]
    fn what_matches_is_always_a_candidate() {
        let texts = [
            "ab", "abab", "xay", "", "b", "éab", "a\u{0}b", "aXbY", "cd", "xcdx",
        ];
        for pattern in [
            "a|b",
            "(ab)+",
            "a.*b",
            "^$",
            "",
            "[ab][ab]",
            "x?ab",
            "(?:a|cd)(?:b|)",
            "(?i)AB|CD",
        ] {
            let all = of(&[pattern]);
            for text in texts {
                assert!(
                    all.find(0, text).is_none() || all.candidates(text) == [0],
                    "{pattern} {text}"
                );
            }
        }
    }
}
