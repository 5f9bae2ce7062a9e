//! The languages of names in MaxMind's databases.

use std::fmt;
use std::str::FromStr;

/// A language of names in MaxMind's databases. Source:
/// <https://support.maxmind.com/knowledge-base/articles/localized-data-fields-maxmind>.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// `de`
    German,
    /// `en`: every name is available in English.
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`lang` must be de, en, es, fr, ja, pt-BR, ru or zh-CN")]
pub struct UnknownLanguage;

impl Language {
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

    /// The BCP 47 tag, as in MaxMind's databases.
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

    /// Ignores case.
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
