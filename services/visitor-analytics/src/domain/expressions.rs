//! Hundreds of expressions looked for in one text, at a cost that does not grow with their number.
//!
//! One pass finds words in the text; an expression is tried only where all the words are that it
//! cannot match without, and compiled when it is tried for the first time. Expressions and texts
//! are bytes: classes of Unicode characters would take ten times the memory.

mod needs;

use std::sync::OnceLock;

use aho_corasick::AhoCorasick;
use regex_automata::meta::{BuildError, Regex};
use regex_automata::util::syntax;

use needs::Set;

/// A list of expressions, each called by its place.
pub(super) struct Expressions {
    words: AhoCorasick,
    /// By word, the expressions that are looked at where it is met; then those that need no word.
    watchers: Vec<Vec<usize>>,
    all: Vec<Expression>,
}

/// An expression as it is written, in the syntax of the crate regex.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    pub(super) text: String,
    /// Whether upper and lower case are the same.
    pub(super) is_caseless: bool,
}

struct Expression {
    pattern: Pattern,
    compiled: OnceLock<Regex>,
    /// Sets of words by number, the rarest first; a text must have one word of each.
    needs: Vec<Vec<usize>>,
}

/// What an expression has worked out about texts is kept up to so many bytes in each thread.
const REMEMBERED: usize = 512 << 10;

impl Pattern {
    fn syntax(&self) -> syntax::Config {
        syntax::Config::new()
            .unicode(false)
            .utf8(false)
            .case_insensitive(self.is_caseless)
    }

    fn compile(&self) -> Result<Regex, Box<BuildError>> {
        let engine = Regex::config()
            .utf8_empty(false)
            .hybrid_cache_capacity(REMEMBERED);
        let mut builder = Regex::builder();
        let builder = builder.configure(engine).syntax(self.syntax());
        builder.build(&self.text).map_err(Box::new)
    }
}

impl Expressions {
    /// Prepares the search. What cannot be parsed needs no word, and panics where it is tried.
    pub(super) fn new(patterns: Vec<Pattern>) -> Self {
        let sets: Vec<Vec<Set>> = patterns
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
            all.push(Expression {
                pattern,
                compiled: OnceLock::new(),
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
    pub(super) fn candidates(&self, text: &str) -> Vec<usize> {
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

    /// The expression at a place.
    pub(super) fn get(&self, place: usize) -> &Regex {
        let expression = &self.all[place];
        expression.compiled.get_or_init(|| {
            let compiled = expression.pattern.compile();
            compiled.expect("the vendored expressions compile; a test compiles them all")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(patterns: &[&str]) -> Expressions {
        let pattern = |text: &&str| Pattern {
            text: (*text).to_owned(),
            is_caseless: false,
        };
        Expressions::new(patterns.iter().map(pattern).collect())
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
        assert!(!all.get(4).is_match("foo") && all.get(3).is_match("OPERA-MINI"));
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
                    !all.get(0).is_match(text) || all.candidates(text) == [0],
                    "{pattern} {text}"
                );
            }
        }
    }
}
