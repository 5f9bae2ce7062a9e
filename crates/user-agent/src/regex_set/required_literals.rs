//! Required literals: the texts of which every match of a regex contains at least one.

use regex_syntax::hir::{Class, Hir, HirKind};

/// Literals in lower case. A text that matches contains at least one of them.
pub(super) type LiteralSet = Vec<Vec<u8>>;

/// Shorter literals occur in almost every text.
const MIN_LITERAL_BYTES: usize = 2;
/// Larger sets of literals are not computed.
const MAX_LITERALS: usize = 32;

/// What is known about the texts that a part of a regex matches.
enum RequiredLiterals {
    /// The part matches exactly these literals.
    Exact(LiteralSet),
    /// Each text contains one literal of each set.
    OneOfEach(Vec<LiteralSet>),
}
use RequiredLiterals::{Exact, OneOfEach};

/// Returns the sets of required literals of a regex.
pub(super) fn required_literal_sets(hir: &Hir) -> Vec<LiteralSet> {
    let mut sets = analyze(hir).into_sets();
    sets.sort_unstable();
    sets.dedup();
    sets
}

impl RequiredLiterals {
    fn into_sets(self) -> Vec<LiteralSet> {
        match self {
            Exact(words) => selective_set(words).into_iter().collect(),
            OneOfEach(sets) => sets,
        }
    }
}

fn selective_set(mut words: LiteralSet) -> Option<LiteralSet> {
    words.sort_unstable();
    words.dedup();
    let tells = !words.is_empty() && words.iter().all(|word| word.len() >= MIN_LITERAL_BYTES);
    tells.then_some(words)
}

fn analyze(hir: &Hir) -> RequiredLiterals {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Exact(vec![vec![]]),
        HirKind::Literal(literal) => Exact(vec![literal.0.to_ascii_lowercase()]),
        HirKind::Class(Class::Bytes(class)) => {
            let letters = class.iter().flat_map(|range| range.start()..=range.end());
            let mut words: LiteralSet = letters
                .take(MAX_LITERALS)
                .map(|letter| vec![letter.to_ascii_lowercase()])
                .collect();
            words.sort_unstable();
            words.dedup();
            // A larger class would only multiply the number of literals.
            if words.len() <= 4 {
                Exact(words)
            } else {
                OneOfEach(vec![])
            }
        }
        HirKind::Class(Class::Unicode(_)) => OneOfEach(vec![]),
        HirKind::Repetition(repetition) => match (repetition.min, repetition.max) {
            (0, Some(1)) => match analyze(&repetition.sub) {
                Exact(mut words) => {
                    words.push(vec![]);
                    Exact(words)
                }
                OneOfEach(_) => OneOfEach(vec![]),
            },
            (0, _) => OneOfEach(vec![]),
            _ => OneOfEach(analyze(&repetition.sub).into_sets()),
        },
        HirKind::Capture(capture) => analyze(&capture.sub),
        HirKind::Concat(parts) => analyze_concat(parts),
        HirKind::Alternation(ways) => analyze_alternation(ways),
    }
}

fn analyze_concat(parts: &[Hir]) -> RequiredLiterals {
    let mut run: LiteralSet = vec![vec![]];
    let mut sets: Option<Vec<LiteralSet>> = None;
    for part in parts {
        match analyze(part) {
            Exact(words) if words.len() * run.len() <= MAX_LITERALS => {
                let longer = |word: &Vec<u8>| {
                    let ends = words.iter();
                    ends.map(|end| [word.as_slice(), end].concat())
                        .collect::<LiteralSet>()
                };
                run = run.iter().flat_map(longer).collect();
            }
            Exact(words) => {
                sets.get_or_insert_default()
                    .extend(selective_set(std::mem::replace(&mut run, words)));
            }
            OneOfEach(more) => {
                let sets = sets.get_or_insert_default();
                sets.extend(selective_set(std::mem::replace(&mut run, vec![vec![]])));
                sets.extend(more);
            }
        }
    }
    match sets {
        None => Exact(run),
        Some(mut sets) => {
            sets.extend(selective_set(run));
            OneOfEach(sets)
        }
    }
}

fn analyze_alternation(ways: &[Hir]) -> RequiredLiterals {
    let ways: Vec<RequiredLiterals> = ways.iter().map(analyze).collect();
    if ways.iter().all(|way| matches!(way, Exact(_))) {
        let words = ways.into_iter().flat_map(|way| match way {
            Exact(words) => words,
            OneOfEach(_) => vec![],
        });
        return Exact(words.collect());
    }
    // From each alternative, take the set whose shortest literal is the longest.
    let best = ways.into_iter().map(|way| {
        let sets = way.into_sets().into_iter();
        sets.max_by_key(|set| set.iter().map(Vec::len).min())
    });
    let best: Option<Vec<LiteralSet>> = best.collect();
    OneOfEach(
        best.map(|sets| sets.concat())
            .and_then(selective_set)
            .into_iter()
            .collect(),
    )
}
