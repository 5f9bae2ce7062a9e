//! The languages of MaxMind's names.

use std::fmt;
use std::str::FromStr;

/// A language that MaxMind has names in. Source:
/// <https://support.maxmind.com/knowledge-base/articles/localized-data-fields-maxmind>.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// `de`
    German,
    /// `en`: what every name has.
    #[default]
    English,
    /// `es`
    Spanish,
    /// `fr`
    French,
    /// `ja`
    Japanese,
    /// `pt-BR`
    BrazilianPortuguese,
    /// `ru`
    Russian,
    /// `zh-CN`
    SimplifiedChinese,
}

/// MaxMind has no names in this language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("names are in de, en, es, fr, ja, pt-BR, ru or zh-CN")]
pub struct UnknownLanguage;

impl Language {
    /// Every language.
    pub const ALL: [Self; 8] = [
        Self::German,
        Self::English,
        Self::Spanish,
        Self::French,
        Self::Japanese,
        Self::BrazilianPortuguese,
        Self::Russian,
        Self::SimplifiedChinese,
    ];

    /// Its tag (BCP 47), as MaxMind writes it.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::German => "de",
            Self::English => "en",
            Self::Spanish => "es",
            Self::French => "fr",
            Self::Japanese => "ja",
            Self::BrazilianPortuguese => "pt-BR",
            Self::Russian => "ru",
            Self::SimplifiedChinese => "zh-CN",
        }
    }
}

impl FromStr for Language {
    type Err = UnknownLanguage;

    /// Case does not matter.
    fn from_str(tag: &str) -> Result<Self, UnknownLanguage> {
        let mut all = Self::ALL.into_iter();
        all.find(|language| language.tag().eq_ignore_ascii_case(tag))
            .ok_or(UnknownLanguage)
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tag())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tag_is_read_in_any_case_and_no_other_is() {
        for language in Language::ALL {
            assert_eq!(language.tag().parse(), Ok(language));
            assert_eq!(language.tag().to_uppercase().parse(), Ok(language));
        }
        for tag in ["", "pt", "zh", "en-GB", "xx"] {
            assert_eq!(tag.parse::<Language>(), Err(UnknownLanguage), "{tag}");
        }
    }
}
