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
    Exactly(LiteralSet),
    /// Each text contains one literal of each set.
    Sets(Vec<LiteralSet>),
}
use RequiredLiterals::{Exactly, Sets};

/// Returns the sets of required literals of a regex.
pub(super) fn of(hir: &Hir) -> Vec<LiteralSet> {
    let mut sets = needs(hir).sets();
    sets.sort_unstable();
    sets.dedup();
    sets
}

impl RequiredLiterals {
    fn sets(self) -> Vec<LiteralSet> {
        match self {
            Exactly(words) => useful(words).into_iter().collect(),
            Sets(sets) => sets,
        }
    }
}

fn useful(mut words: LiteralSet) -> Option<LiteralSet> {
    words.sort_unstable();
    words.dedup();
    let tells = !words.is_empty() && words.iter().all(|word| word.len() >= MIN_LITERAL_BYTES);
    tells.then_some(words)
}

fn needs(hir: &Hir) -> RequiredLiterals {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Exactly(vec![vec![]]),
        HirKind::Literal(literal) => Exactly(vec![literal.0.to_ascii_lowercase()]),
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
                Exactly(words)
            } else {
                Sets(vec![])
            }
        }
        HirKind::Class(Class::Unicode(_)) => Sets(vec![]),
        HirKind::Repetition(repetition) => match (repetition.min, repetition.max) {
            (0, Some(1)) => match needs(&repetition.sub) {
                Exactly(mut words) => {
                    words.push(vec![]);
                    Exactly(words)
                }
                Sets(_) => Sets(vec![]),
            },
            (0, _) => Sets(vec![]),
            _ => Sets(needs(&repetition.sub).sets()),
        },
        HirKind::Capture(capture) => needs(&capture.sub),
        HirKind::Concat(parts) => concat(parts),
        HirKind::Alternation(ways) => alternation(ways),
    }
}

fn concat(parts: &[Hir]) -> RequiredLiterals {
    let mut run: LiteralSet = vec![vec![]];
    let mut sets: Option<Vec<LiteralSet>> = None;
    for part in parts {
        match needs(part) {
            Exactly(words) if words.len() * run.len() <= MAX_LITERALS => {
                let longer = |word: &Vec<u8>| {
                    let ends = words.iter();
                    ends.map(|end| [word.as_slice(), end].concat())
                        .collect::<LiteralSet>()
                };
                run = run.iter().flat_map(longer).collect();
            }
            Exactly(words) => {
                sets.get_or_insert_default()
                    .extend(useful(std::mem::replace(&mut run, words)));
            }
            Sets(more) => {
                let sets = sets.get_or_insert_default();
                sets.extend(useful(std::mem::replace(&mut run, vec![vec![]])));
                sets.extend(more);
            }
        }
    }
    match sets {
        None => Exactly(run),
        Some(mut sets) => {
            sets.extend(useful(run));
            Sets(sets)
        }
    }
}

fn alternation(ways: &[Hir]) -> RequiredLiterals {
    let ways: Vec<RequiredLiterals> = ways.iter().map(needs).collect();
    if ways.iter().all(|way| matches!(way, Exactly(_))) {
        let words = ways.into_iter().flat_map(|way| match way {
            Exactly(words) => words,
            Sets(_) => vec![],
        });
        return Exactly(words.collect());
    }
    // From each alternative, take the set whose shortest literal is the longest.
    let best = ways.into_iter().map(|way| {
        let sets = way.sets().into_iter();
        sets.max_by_key(|set| set.iter().map(Vec::len).min())
    });
    let best: Option<Vec<LiteralSet>> = best.collect();
    Sets(
        best.map(|sets| sets.concat())
            .and_then(useful)
            .into_iter()
            .collect(),
    )
}
