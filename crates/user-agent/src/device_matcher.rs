//! Determines the type of a device by keywords and client hints.

mod keyword;
mod television;

use std::ops::Range;

use aho_corasick::AhoCorasick;

use crate::device_type::DeviceType;
use crate::hints::ClientHints;
use crate::user_agent::UserAgent;
use keyword::{DeviceKeyword, KEYWORDS, parse_models};
use television::names_television;

/// Finds all keywords in one pass.
pub(super) struct DeviceMatcher {
    automaton: AhoCorasick,
    keywords: Vec<DeviceKeyword>,
}

impl Default for DeviceMatcher {
    fn default() -> Self {
        let of_type = |(device_type, words): &(DeviceType, &'static [&'static str])| {
            let device_type = *device_type;
            let keyword = move |word: &&'static str| DeviceKeyword::new(device_type, word, false);
            words.iter().map(keyword)
        };
        let named = KEYWORDS.iter().flat_map(of_type);
        let keywords: Vec<DeviceKeyword> = named.chain(parse_models()).collect();
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(keywords.iter().map(|keyword| keyword.text));
        Self {
            automaton: automaton
                .expect("an automaton of a few hundred short keywords is far below the size limit"),
            keywords,
        }
    }
}

impl DeviceMatcher {
    /// Returns the device type. `agent` holds the parsed system and brand.
    pub(super) fn device_type(
        &self,
        user_agent: &str,
        agent: &UserAgent,
        hints: Option<&ClientHints>,
    ) -> DeviceType {
        let systems = ["Android", "HarmonyOS", "OpenHarmony"];
        let is_android = agent.os.as_deref().is_some_and(|os| systems.contains(&os));
        let has_form_factor = |name| hints.is_some_and(|hints| hints.has_form_factor(name));
        match self.named_type(user_agent) {
            Some(sure @ (DeviceType::Wearable | DeviceType::Tv | DeviceType::Console)) => sure,
            _ if has_form_factor("Watch") || has_form_factor("XR") => DeviceType::Wearable,
            _ if has_form_factor("Tablet") || has_form_factor("EInk") => DeviceType::Tablet,
            _ if user_agent.contains("(PC; OpenHarmony") => DeviceType::Desktop,
            Some(DeviceType::Tablet) => DeviceType::Tablet,
            // A laptop; phones and tablets with Android have keywords of Linux only.
            Some(DeviceType::Desktop) if is_android && self.is_laptop(user_agent) => {
                DeviceType::Desktop
            }
            _ if user_agent.contains(" Tesla/") || user_agent.contains("QtCarBrowser") => {
                DeviceType::Other
            }
            _ if is_android => match hints.and_then(ClientHints::is_mobile) {
                Some(true) => DeviceType::Smartphone,
                None if user_agent.contains("Mobi") || user_agent.contains("Opera Mini") => {
                    DeviceType::Smartphone
                }
                _ => DeviceType::Tablet,
            },
            Some(DeviceType::Smartphone) => DeviceType::Smartphone,
            _ if user_agent.contains("Mobile") => DeviceType::Smartphone,
            Some(sure) => sure,
            // A feature phone: only the manufacturer is known.
            None if agent.brand.is_some() => DeviceType::Smartphone,
            None => DeviceType::Other,
        }
    }

    /// The first type, in the order of [`KEYWORDS`], of which a keyword is found.
    fn named_type(&self, user_agent: &str) -> Option<DeviceType> {
        let device = device_comment(user_agent);
        if names_television(&user_agent[device.clone()]) {
            return Some(DeviceType::Tv);
        }
        let found = self.automaton.find_overlapping_iter(user_agent);
        let keywords = found.filter_map(|found| {
            let keyword = &self.keywords[found.pattern().as_usize()];
            let matches = keyword.matches(user_agent, found.range(), &device);
            matches.then_some(keyword.device_type)
        });
        keywords.min_by_key(|device_type| rank(*device_type))
    }

    fn is_laptop(&self, user_agent: &str) -> bool {
        let device = device_comment(user_agent);
        let mut found = self.automaton.find_overlapping_iter(user_agent);
        found.any(|found| {
            let keyword = &self.keywords[found.pattern().as_usize()];
            keyword.device_type == DeviceType::Desktop
                && keyword.is_model
                && keyword.matches(user_agent, found.range(), &device)
        })
    }
}

fn rank(device_type: DeviceType) -> usize {
    let place = KEYWORDS.iter().position(|(known, _)| *known == device_type);
    place.unwrap_or(KEYWORDS.len())
}

/// The part of a user agent that names system and device: the first comment.
pub(super) fn device_comment(user_agent: &str) -> Range<usize> {
    let Some(start) = user_agent.find('(') else {
        return 0..0;
    };
    let rest = &user_agent[start..];
    let mut depth = 0;
    let end = rest.find(|c: char| {
        depth += match c {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        depth == 0
    });
    start..end.map_or(user_agent.len(), |end| start + end)
}
