//! The regexes for browsers, operating systems and devices: our own, then those of uap-core (see
//! `data/README.md`).

use regex_automata::util::captures::Captures;
use serde::Deserialize;

use crate::regex_set::{FilteredRegexSet, RegexPattern};

#[derive(Deserialize)]
struct RegexFile {
    #[serde(rename = "user_agent_parsers")]
    browsers: Vec<RegexEntry>,
    #[serde(rename = "os_parsers")]
    operating_systems: Vec<RegexEntry>,
    #[serde(rename = "device_parsers")]
    devices: Vec<RegexEntry>,
}

/// A regex and the texts that replace its capture groups.
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

/// The source of one part of a match.
enum ReplacementTemplate {
    Nothing,
    Group(usize),
    Text(Box<str>),
    /// A text with references to groups, such as `$1`.
    Template(Box<str>),
}

/// A name and up to four parts: the numbers of a version, or brand and model.
pub type RegexMatch = (String, [Option<String>; 4]);

/// Selects one of the three lists.
#[derive(Clone, Copy, Debug)]
pub enum RegexKind {
    /// A match holds the family and up to four numbers of the version.
    Browsers,
    /// A match holds the family and up to four numbers of the version.
    OperatingSystems,
    /// A match holds name, brand and model.
    Devices,
}

/// All regexes of the three lists. Each one is compiled when it is used for the first time.
pub struct UserAgentRegexes {
    regexes: FilteredRegexSet,
    replacements: Vec<[ReplacementTemplate; 5]>,
    /// For each list, the index after its last regex.
    list_ends: [usize; 3],
}

/// The regexes that may match a user agent.
pub struct CandidateRegexes<'a> {
    regexes: &'a UserAgentRegexes,
    user_agent: &'a str,
    indices: Vec<usize>,
}

impl RegexKind {
    /// The maximum number of bytes to scan for a match, summed over all regexes. The longest
    /// searches in the test cases of ua-parser and in the corpus scan 1,300, 830 and 5,970 bytes.
    const fn max_scanned_bytes(self) -> usize {
        match self {
            Self::Browsers | Self::OperatingSystems => 1_500,
            Self::Devices => 6_200,
        }
    }
}

impl UserAgentRegexes {
    /// Reads the lists.
    #[must_use]
    pub fn new() -> Self {
        let [own, vendored] = [
            include_str!("../data/extra.json"),
            include_str!("../data/uap-core.json"),
        ]
        .map(|text| {
            let file: RegexFile =
                serde_json::from_str(text).expect("the lists are complete; a test reads them");
            [file.browsers, file.operating_systems, file.devices]
        });
        let mut vendored = vendored.into_iter();
        let lists = own.map(|mut list| {
            list.extend(vendored.next().into_iter().flatten());
            list
        });
        let mut list_ends = [0; 3];
        let mut replacements = vec![];
        for (list, entries) in lists.iter().enumerate() {
            replacements.extend(entries.iter().map(|entry| entry.replacements(list == 2)));
            list_ends[list] = replacements.len();
        }
        let patterns = lists.into_iter().flatten().map(RegexEntry::into_pattern);
        Self {
            regexes: FilteredRegexSet::new(patterns.collect()),
            replacements,
            list_ends,
        }
    }

    /// Finds the regexes that may match `user_agent`.
    #[must_use]
    pub fn candidates<'a>(&'a self, user_agent: &'a str) -> CandidateRegexes<'a> {
        CandidateRegexes {
            regexes: self,
            user_agent,
            indices: self.regexes.candidates(user_agent),
        }
    }
}

impl Default for UserAgentRegexes {
    fn default() -> Self {
        Self::new()
    }
}

impl CandidateRegexes<'_> {
    /// Returns the match of the first regex in a list that matches.
    #[must_use]
    pub fn find(&self, list: RegexKind) -> Option<RegexMatch> {
        self.find_where(list, |_| true)
    }

    /// Returns the first match in a list whose name `accepts` takes.
    #[must_use]
    pub fn find_where(
        &self,
        list: RegexKind,
        accepts: impl Fn(&str) -> bool,
    ) -> Option<RegexMatch> {
        let ends = self.regexes.list_ends;
        let (from, to) = match list {
            RegexKind::Browsers => (0, ends[0]),
            RegexKind::OperatingSystems => (ends[0], ends[1]),
            RegexKind::Devices => (ends[1], ends[2]),
        };
        let places = self
            .indices
            .iter()
            .filter(|place| (from..to).contains(place));
        let text = self.user_agent;
        // Only a user agent that is crafted for it needs more attempts.
        let most = list.max_scanned_bytes() / text.len().max(1);
        let expressions = &self.regexes.regexes;
        let mut tried = places.take(most);
        tried.find_map(|place| {
            let found = expressions.find(*place, text)?;
            let groups = expressions.captures(*place, text, found)?;
            let fields = self.regexes.replacements[*place].iter();
            let mut told = fields.map(|field| field.expand(text, &groups));
            let name = told.next().flatten().unwrap_or_default();
            let parts = std::array::from_fn(|_| told.next().flatten());
            accepts(&name).then_some((name, parts))
        })
    }
}

impl RegexEntry {
    fn into_pattern(self) -> RegexPattern {
        RegexPattern {
            text: self.regex,
            is_case_insensitive: self.regex_flag.as_deref() == Some("i"),
        }
    }

    fn replacements(&self, is_device: bool) -> [ReplacementTemplate; 5] {
        let field = |given: &Option<String>, group| match given.as_deref() {
            Some(text) if text.trim().is_empty() => group,
            Some(text) if text.contains('$') => ReplacementTemplate::Template(text.into()),
            Some(text) => ReplacementTemplate::Text(text.into()),
            None => group,
        };
        let [first, second, third, fourth] = if is_device {
            [
                ReplacementTemplate::Nothing,
                ReplacementTemplate::Group(1),
                ReplacementTemplate::Nothing,
                ReplacementTemplate::Nothing,
            ]
        } else {
            [2, 3, 4, 5].map(ReplacementTemplate::Group)
        };
        [
            field(&self.name, ReplacementTemplate::Group(1)),
            field(&self.first, first),
            field(&self.second, second),
            field(&self.third, third),
            field(&self.fourth, fourth),
        ]
    }
}

impl ReplacementTemplate {
    fn expand(&self, text: &str, groups: &Captures) -> Option<String> {
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
        for place in 0..lists.replacements.len() {
            if let Some(found) = lists.regexes.find(place, "") {
                drop(lists.regexes.captures(place, "", found));
            }
        }
    }
}
