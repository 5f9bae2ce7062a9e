//! Searches a text for hundreds of regexes at a cost that hardly grows with their number.
//!
//! One pass (Aho-Corasick) finds literals in the text. A regex is tried only if the text contains
//! the literals that each of its matches contains. It is compiled when it is tried for the first
//! time. Regexes match bytes, because classes of Unicode characters would take ten times the
//! memory.

mod required_literals;

use std::sync::{Mutex, OnceLock, PoisonError};

use aho_corasick::AhoCorasick;
use regex_automata::meta::{self, Regex};
use regex_automata::nfa::thompson::backtrack::BoundedBacktracker;
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::captures::Captures;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, Span};

use required_literals::LiteralSet;

/// A list of regexes, which are identified by their indices.
pub struct FilteredRegexSet {
    literals: AhoCorasick,
    /// For each literal, the regexes that become candidates if the text contains it. The last entry
    /// holds the regexes without required literals.
    regexes_by_literal: Vec<Vec<usize>>,
    regexes: Vec<LazyRegex>,
}

/// The source of a regex, in the syntax of the crate `regex`.
#[derive(Clone, Debug)]
pub struct RegexPattern {
    pub text: String,
    pub is_case_insensitive: bool,
}

struct LazyRegex {
    pattern: RegexPattern,
    finder: OnceLock<RegexFinder>,
    /// Finds the capture groups of a match. Compiled separately, because few regexes ever match.
    capture_finder: OnceLock<BoundedBacktracker>,
    /// Sets of literals, by index. A text that matches contains one literal of each set. The set
    /// that the fewest regexes share comes first.
    required_literals: Vec<Vec<usize>>,
}

/// Finds matches. Threads share the cache of the lazy DFA, which takes most of the memory. A thread
/// holds the lock for about a microsecond.
struct RegexFinder {
    regex: Regex,
    cache: Mutex<meta::Cache>,
}

/// The capacity of each of the two lazy DFA caches (forward and reverse) of a regex.
const MAX_DFA_CACHE_BYTES: usize = 256 << 10;

impl RegexPattern {
    fn syntax_config(&self) -> syntax::Config {
        syntax::Config::new()
            .unicode(false)
            .utf8(false)
            .case_insensitive(self.is_case_insensitive)
    }

    fn compile_finder(&self) -> RegexFinder {
        let engine = Regex::config()
            .utf8_empty(false)
            .which_captures(WhichCaptures::Implicit)
            .onepass(false)
            // After the search for literals a prefilter rarely helps, and a text with many of its
            // letters takes five times as long.
            .auto_prefilter(false)
            .hybrid_cache_capacity(MAX_DFA_CACHE_BYTES);
        let mut builder = Regex::builder();
        let builder = builder.configure(engine).syntax(self.syntax_config());
        let regex = builder.build(&self.text).expect(REGEX_COMPILES);
        RegexFinder {
            cache: Mutex::new(regex.create_cache()),
            regex,
        }
    }

    fn compile_capture_finder(&self) -> BoundedBacktracker {
        let mut builder = BoundedBacktracker::builder();
        let builder = builder
            .syntax(self.syntax_config())
            .thompson(thompson::Config::new().utf8(false));
        builder.build(&self.text).expect(REGEX_COMPILES)
    }
}

const REGEX_COMPILES: &str = "the vendored regexes compile; a test compiles all of them";

impl FilteredRegexSet {
    /// Builds the set. A pattern that cannot be parsed panics when it is tried.
    pub fn new(patterns: Vec<RegexPattern>) -> Self {
        let sets: Vec<Vec<LiteralSet>> = patterns
            .iter()
            .map(|pattern| {
                let parsed = syntax::parse_with(&pattern.text, &pattern.syntax_config());
                parsed.map_or_else(
                    |_| vec![],
                    |parsed| required_literals::required_literal_sets(&parsed),
                )
            })
            .collect();
        let mut words: Vec<&[u8]> = sets.iter().flatten().flatten().map(Vec::as_slice).collect();
        words.sort_unstable();
        let uses: Vec<usize> = words.chunk_by(|a, b| a == b).map(<[_]>::len).collect();
        words.dedup();

        let number = |word: &Vec<u8>| words.partition_point(|one| *one < word.as_slice());
        let mut regexes_by_literal = vec![vec![]; words.len() + 1];
        let mut regexes = vec![];
        for (place, (pattern, sets)) in patterns.into_iter().zip(&sets).enumerate() {
            let numbers = sets.iter().map(|set| set.iter().map(number).collect());
            let mut needs: Vec<Vec<usize>> = numbers.collect();
            needs.sort_by_key(|set| set.iter().map(|word| uses[*word]).sum::<usize>());
            match needs.first() {
                Some(rarest) => rarest
                    .iter()
                    .for_each(|word| regexes_by_literal[*word].push(place)),
                None => regexes_by_literal[words.len()].push(place),
            }
            regexes.push(LazyRegex {
                pattern,
                finder: OnceLock::new(),
                capture_finder: OnceLock::new(),
                required_literals: needs,
            });
        }
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(&words);
        Self {
            literals: automaton.expect(
                "an automaton of a few thousand short literals is far below the size limit",
            ),
            regexes_by_literal,
            regexes,
        }
    }

    /// Returns the indices of the regexes that may match `text`, in ascending order.
    #[must_use]
    pub fn candidates(&self, text: &str) -> Vec<usize> {
        let none = self.regexes_by_literal.len() - 1;
        let mut is_met = vec![false; none];
        let mut watched = self.regexes_by_literal[none].clone();
        for found in self.literals.find_overlapping_iter(text) {
            let word = found.pattern().as_usize();
            if !std::mem::replace(&mut is_met[word], true) {
                watched.extend_from_slice(&self.regexes_by_literal[word]);
            }
        }
        watched.retain(|place| {
            let mut needs = self.regexes[*place].required_literals.iter().skip(1);
            needs.all(|set| set.iter().any(|word| is_met[*word]))
        });
        watched.sort_unstable();
        watched.dedup();
        watched
    }

    /// Returns the first match of the regex with the index `place`.
    pub fn find(&self, place: usize, text: &str) -> Option<Span> {
        let expression = &self.regexes[place];
        let finder = &expression.finder;
        let finder = finder.get_or_init(|| expression.pattern.compile_finder());
        // A poisoned lock is harmless: each search resets the cache.
        let known = &mut finder.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let found = finder.regex.search_with(known, &Input::new(text));
        found.map(|found| found.span())
    }

    /// Returns the capture groups of the match `found`.
    #[must_use]
    pub fn captures(&self, place: usize, text: &str, found: Span) -> Option<Captures> {
        let expression = &self.regexes[place];
        let groups = expression
            .capture_finder
            .get_or_init(|| expression.pattern.compile_capture_finder());
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
            is_case_insensitive: false,
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
        let groups = all.captures(0, text, found).unwrap();
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
