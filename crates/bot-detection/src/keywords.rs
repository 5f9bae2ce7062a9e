//! Keywords in user agents, found in one pass: words of bots, and words of browsers that resemble
//! them.

mod browser_shape;
mod table;

use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};

use super::{BotCategory, BotRule};
use BotCategory::{HeadlessBrowser, HttpLibrary, Other};
use browser_shape::BrowserShape;
use table::{KEYWORDS, KeywordClass};

/// Finds all [`KEYWORDS`] in one pass.
pub(super) struct KeywordMatcher {
    automaton: AhoCorasick,
    /// The class of each keyword.
    classes: Vec<KeywordClass>,
}

/// The result of the keywords in a user agent.
#[derive(Debug, Default)]
pub(super) struct KeywordVerdict {
    /// The rule that fires.
    pub(super) reason: Option<BotRule>,
    /// The word that contains the keyword, without its version.
    pub(super) name: Option<String>,
    pub(super) category: Option<BotCategory>,
    /// Whether the user agent begins like a browser's or names an engine or a personal device.
    pub(super) looks_like_browser: bool,
}

/// The keywords found in one user agent.
#[derive(Default)]
struct KeywordHits {
    tool: Option<Range<usize>>,
    headless: Option<Range<usize>>,
    service: Option<(Range<usize>, BotCategory)>,
    word: Option<(Range<usize>, BotCategory)>,
    hint: Option<(Range<usize>, BotCategory)>,
    /// The number of bots' words, less those that a browser's name contains.
    word_count: i32,
    /// The number of addresses, less those in real browsers' user agents.
    contact_count: i32,
    /// The other classes, each once.
    other_classes: Vec<KeywordClass>,
}

impl Default for KeywordMatcher {
    fn default() -> Self {
        let of_sense = |(sense, words): &(KeywordClass, &'static [&'static str])| {
            let sense = *sense;
            words.iter().map(move |word| (sense, *word))
        };
        let (senses, words): (Vec<_>, Vec<_>) = KEYWORDS.iter().flat_map(of_sense).unzip();
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .build(words);
        Self {
            automaton: automaton
                .expect("an automaton of a few hundred short keywords is far below the size limit"),
            classes: senses,
        }
    }
}

impl KeywordMatcher {
    pub(super) fn find(&self, text: &str) -> KeywordVerdict {
        let mut met = KeywordHits::default();
        let shape = BrowserShape::of(text);
        for found in self.automaton.find_overlapping_iter(text) {
            let class = self.classes[found.pattern().as_usize()];
            if is_of_bots(class) && shape.excuses(text, found.range()) {
                continue;
            }
            if class == KeywordClass::Contact && shape.excuses_address(text, found.start()) {
                continue;
            }
            let sense = match class {
                KeywordClass::Hint(category) | KeywordClass::Signature(category)
                    if found.end() == text.len() =>
                {
                    KeywordClass::Word(category)
                }
                other => other,
            };
            met.add(sense, found.range());
        }
        if met.contact_count <= 0 && has_email_address(text) {
            met.contact_count = 1;
        }
        met.into_verdict(text, &shape)
    }
}

/// Whether a keyword of this class is evidence for a bot that a browser may contain by chance.
fn is_of_bots(class: KeywordClass) -> bool {
    matches!(class, KeywordClass::Word(_) | KeywordClass::Hint(_))
}

impl KeywordHits {
    fn add(&mut self, sense: KeywordClass, at: Range<usize>) {
        match sense {
            KeywordClass::Tool if at.start == 0 => self.tool = Some(at),
            KeywordClass::Headless => self.headless = Some(at),
            KeywordClass::Service(category) => _ = self.service.get_or_insert((at, category)),
            KeywordClass::Word(category) => {
                self.word_count += 1;
                self.word.get_or_insert((at, category));
            }
            KeywordClass::FalsePositive => self.word_count -= 1,
            KeywordClass::Contact => self.contact_count += 1,
            KeywordClass::FalsePositiveContact => self.contact_count -= 1,
            KeywordClass::Hint(category) => _ = self.hint.get_or_insert((at, category)),
            KeywordClass::Tool | KeywordClass::Signature(_) => {}
            KeywordClass::BrowserPrefix if at.start > 0 => {}
            other if self.has_class(other) => {}
            other => self.other_classes.push(other),
        }
    }

    fn has_class(&self, sense: KeywordClass) -> bool {
        self.other_classes.contains(&sense)
    }

    fn into_verdict(self, text: &str, shape: &BrowserShape) -> KeywordVerdict {
        let is_phone = self.has_class(KeywordClass::Phone);
        let is_like_browser = is_phone
            || self.has_class(KeywordClass::BrowserPrefix)
            || self.has_class(KeywordClass::Engine)
            || text.starts_with("Mozilla") && self.has_class(KeywordClass::System);
        let is_compatible = self.has_class(KeywordClass::Compatible);
        let is_build = self.has_class(KeywordClass::PhoneBuild);
        let word = self.word.filter(|_| self.word_count > 0);
        let hint = self.hint.filter(|_| !is_phone || is_compatible);
        let word = word.or(hint);
        let has_contact = self.contact_count > 0 && (!is_build || is_compatible);
        let fired = self
            .tool
            .map(|at| (BotRule::HttpTool, at, HttpLibrary))
            .or_else(|| {
                self.headless
                    .map(|at| (BotRule::HeadlessBrowser, at, HeadlessBrowser))
            })
            .or_else(|| {
                self.service
                    .map(|(at, kind)| (BotRule::KnownCrawler, at, kind))
            })
            .or_else(|| word.map(|(at, kind)| (word_rule(text, &at, shape), at, kind)));
        if let Some((reason, at, category)) = fired {
            return KeywordVerdict {
                reason: Some(reason),
                name: enclosing_product_name(text, at).or_else(|| first_product_name(text)),
                category: Some(category),
                looks_like_browser: is_like_browser,
            };
        }
        KeywordVerdict {
            reason: has_contact.then_some(BotRule::ContactAddress),
            name: first_product_name(text),
            category: has_contact.then_some(Other),
            looks_like_browser: is_like_browser,
        }
    }
}

/// The rule for a word of bots. In a complete browser's user agent, the names of apps contain words
/// that bots use, except for these, and except at the end, where programs sign.
fn word_rule(text: &str, at: &Range<usize>, shape: &BrowserShape) -> BotRule {
    let names_bot = ["bot", "crawl", "spider", "+http"];
    let word = &text[at.clone()];
    let is_name = names_bot.iter().any(|name| word.eq_ignore_ascii_case(name));
    if is_name || at.end == text.len() || matches!(shape, BrowserShape::Other) {
        BotRule::BotWord
    } else {
        BotRule::SuspiciousWord
    }
}

const MAX_BOT_NAME_BYTES: usize = 40;

/// Returns the product name around a keyword: `AcmeBot` in `AcmeBot/1.0`.
fn enclosing_product_name(text: &str, mark: Range<usize>) -> Option<String> {
    let ends = |c: char| !(c.is_alphanumeric() || "-_.!".contains(c));
    let from = text[..mark.start].rfind(ends);
    let from = from.map_or(0, |at| {
        at + text[at..].chars().next().map_or(1, char::len_utf8)
    });
    let to = text[mark.end..]
        .find(ends)
        .map_or(text.len(), |at| mark.end + at);
    let name = text[from..to].trim_matches(|c: char| !c.is_alphanumeric());
    let named = name.contains(char::is_alphabetic) && name.len() <= MAX_BOT_NAME_BYTES;
    named.then(|| name.to_owned())
}

/// Returns the first product name: `Acme` in `Acme/1.0` and `Mozilla/5.0 (compatible; Acme/1.0)`.
fn first_product_name(text: &str) -> Option<String> {
    let named = |text: &str| {
        let text = text.trim_start();
        let end = text.find(['/', ' ', ';', '(', ')', ',']);
        let name = &text[..end.unwrap_or(text.len())];
        let sound = name.contains(char::is_alphabetic) && name.len() <= MAX_BOT_NAME_BYTES;
        sound.then(|| name.to_owned())
    };
    if text.starts_with("Mozilla") {
        let (_, after) = text.rsplit_once("ompatible;")?;
        return named(after);
    }
    named(text)
}

/// Whether the text contains an e-mail address such as `help@example.com`. A browser's
/// `android@150.0.0.0` is none.
fn has_email_address(text: &str) -> bool {
    if !text.contains('@') {
        return false;
    }
    let parts = |c: char| c.is_whitespace() || ";,()<>[]".contains(c);
    text.split(parts).any(|word| {
        let domain = word.split_once('@').map_or("", |(_, domain)| domain);
        let end = domain.rsplit_once('.').map_or("", |(_, end)| end);
        domain.starts_with(|c: char| c.is_ascii_alphabetic())
            && domain
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.')
            && (2..=12).contains(&end.len())
            && end.bytes().all(|b| b.is_ascii_alphabetic())
    })
}
