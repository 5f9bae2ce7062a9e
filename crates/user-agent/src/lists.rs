//! The expressions of uap-core (`data/README.md`), which name browser, system and device.

use regex_automata::util::captures::Captures;
use serde::Deserialize;

use crate::expressions::{FilteredRegexSet, RegexPattern};

/// uap-core's three lists.
#[derive(Deserialize)]
struct RegexFile {
    #[serde(rename = "user_agent_parsers")]
    browsers: Vec<RegexEntry>,
    #[serde(rename = "os_parsers")]
    systems: Vec<RegexEntry>,
    #[serde(rename = "device_parsers")]
    devices: Vec<RegexEntry>,
}

/// An expression, and what takes the place of its groups.
#[derive(Deserialize)]
struct RegexEntry {
    regex: String,
    regex_flag: Option<String>,
    #[serde(
        alias = "family_replacement",
        alias = "os_replacement",
        alias = "device_replacement"
    )]
    name: Option<String>,
    #[serde(
        alias = "v1_replacement",
        alias = "os_v1_replacement",
        alias = "brand_replacement"
    )]
    first: Option<String>,
    #[serde(
        alias = "v2_replacement",
        alias = "os_v2_replacement",
        alias = "model_replacement"
    )]
    second: Option<String>,
    #[serde(alias = "v3_replacement", alias = "os_v3_replacement")]
    third: Option<String>,
    #[serde(alias = "v4_replacement", alias = "os_v4_replacement")]
    fourth: Option<String>,
}

/// Where a part of an answer comes from.
enum Replacement {
    Nothing,
    Group(usize),
    Text(Box<str>),
    /// With groups in it, as `$1`.
    Template(Box<str>),
}

/// What an expression tells: a name, and up to four parts. These are the numbers of a version, or
/// brand and model.
pub type RegexMatch = (String, [Option<String>; 4]);

/// Which list is asked.
#[derive(Clone, Copy, Debug)]
pub enum RegexKind {
    /// Browsers: family, and up to four numbers of its version.
    Browsers,
    /// Operating systems, in the same way.
    Systems,
    /// Devices: name, brand and model.
    Devices,
}

/// The expressions, compiled.
pub struct UserAgentRegexes {
    expressions: FilteredRegexSet,
    fields: Vec<[Replacement; 5]>,
    /// Where each list ends.
    ends: [usize; 3],
}

/// The expressions that may match a user agent.
pub struct CandidateRegexes<'a> {
    lists: &'a UserAgentRegexes,
    user_agent: &'a str,
    places: Vec<usize>,
}

impl RegexKind {
    /// How many bytes are gone through at most in search of an expression that matches. The longest
    /// searches of ua-parser's own cases and of the corpus take 1,300, 830 and 5,970.
    const fn effort(self) -> usize {
        match self {
            Self::Browsers | Self::Systems => 1_500,
            Self::Devices => 6_200,
        }
    }
}

impl UserAgentRegexes {
    /// Compiles the vendored file.
    #[must_use]
    pub fn new() -> Self {
        let file: RegexFile = serde_json::from_str(include_str!("../data/uap-core.json"))
            .expect("the vendored list is complete; a test reads it");
        let lists = [file.browsers, file.systems, file.devices];
        let mut ends = [0; 3];
        let mut fields = vec![];
        for (list, entries) in lists.iter().enumerate() {
            fields.extend(entries.iter().map(|entry| entry.fields(list == 2)));
            ends[list] = fields.len();
        }
        let patterns = lists.into_iter().flatten().map(RegexEntry::pattern);
        Self {
            expressions: FilteredRegexSet::new(patterns.collect()),
            fields,
            ends,
        }
    }

    /// Looks for what may match.
    #[must_use]
    pub fn candidates<'a>(&'a self, user_agent: &'a str) -> CandidateRegexes<'a> {
        CandidateRegexes {
            lists: self,
            user_agent,
            places: self.expressions.candidates(user_agent),
        }
    }
}

impl Default for UserAgentRegexes {
    fn default() -> Self {
        Self::new()
    }
}

impl CandidateRegexes<'_> {
    /// What the first expression of a list that matches tells.
    #[must_use]
    pub fn find(&self, list: RegexKind) -> Option<RegexMatch> {
        let ends = self.lists.ends;
        let (from, to) = match list {
            RegexKind::Browsers => (0, ends[0]),
            RegexKind::Systems => (ends[0], ends[1]),
            RegexKind::Devices => (ends[1], ends[2]),
        };
        let places = self
            .places
            .iter()
            .filter(|place| (from..to).contains(place));
        let text = self.user_agent;
        // Nobody's user agent needs more; what does is made for it.
        let most = list.effort() / text.len().max(1);
        let expressions = &self.lists.expressions;
        let mut tried = places.take(most);
        let found = |place: &usize| Some((*place, expressions.find(*place, text)?));
        let (place, found) = tried.find_map(found)?;
        let groups = expressions.groups(place, text, found)?;
        let fields = self.lists.fields[place].iter();
        let mut told = fields.map(|field| field.fill(text, &groups));
        let name = told.next().flatten().unwrap_or_default();
        Some((name, std::array::from_fn(|_| told.next().flatten())))
    }
}

impl RegexEntry {
    fn pattern(self) -> RegexPattern {
        RegexPattern {
            text: self.regex,
            is_caseless: self.regex_flag.as_deref() == Some("i"),
        }
    }

    fn fields(&self, is_device: bool) -> [Replacement; 5] {
        let field = |given: &Option<String>, group| match given.as_deref() {
            Some(text) if text.trim().is_empty() => group,
            Some(text) if text.contains('$') => Replacement::Template(text.into()),
            Some(text) => Replacement::Text(text.into()),
            None => group,
        };
        let [first, second, third, fourth] = if is_device {
            [
                Replacement::Nothing,
                Replacement::Group(1),
                Replacement::Nothing,
                Replacement::Nothing,
            ]
        } else {
            [2, 3, 4, 5].map(Replacement::Group)
        };
        [
            field(&self.name, Replacement::Group(1)),
            field(&self.first, first),
            field(&self.second, second),
            field(&self.third, third),
            field(&self.fourth, fourth),
        ]
    }
}

impl Replacement {
    fn fill(&self, text: &str, groups: &Captures) -> Option<String> {
        let group = |number| {
            let span = groups.get_group(number);
            span.and_then(|span| text.get(span.range()))
                .unwrap_or_default()
        };
        let told = match self {
            Self::Nothing => return None,
            Self::Group(number) => group(*number).to_owned(),
            Self::Text(text) => text.to_string(),
            Self::Template(template) => {
                let mut parts = template.split('$');
                let mut filled = parts.next().unwrap_or_default().to_owned();
                for part in parts {
                    let number = part.chars().next().and_then(|c| c.to_digit(10));
                    filled.push_str(group(number.unwrap_or_default() as usize));
                    filled.push_str(part.get(1..).unwrap_or_default());
                }
                filled.trim().to_owned()
            }
        };
        (!told.is_empty()).then_some(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_expression_compiles() {
        let lists = UserAgentRegexes::new();
        for place in 0..lists.fields.len() {
            if let Some(found) = lists.expressions.find(place, "") {
                drop(lists.expressions.groups(place, "", found));
            }
        }
    }
}
