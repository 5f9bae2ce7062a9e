//! Localized names of places.

use serde::Deserialize;

use crate::domain::Language;

pub(crate) trait PlaceNames<T> {
    /// Returns the name in a language, or else in English.
    fn in_language(&self, language: Language) -> Option<&T>;
}

/// The English name only. The others are not decoded: they are scattered in a database, so that
/// decoding them would take longer than the rest of the lookup.
#[derive(Deserialize)]
pub(crate) struct EnglishNames<T> {
    en: Option<T>,
}

/// The names in all languages of MaxMind.
#[derive(Deserialize)]
pub(crate) struct LocalizedNames<T> {
    de: Option<T>,
    en: Option<T>,
    es: Option<T>,
    fr: Option<T>,
    ja: Option<T>,
    #[serde(rename = "pt-BR")]
    pt_br: Option<T>,
    ru: Option<T>,
    #[serde(rename = "zh-CN")]
    zh_cn: Option<T>,
}

impl<T> PlaceNames<T> for EnglishNames<T> {
    fn in_language(&self, _: Language) -> Option<&T> {
        self.en.as_ref()
    }
}

impl<T> PlaceNames<T> for LocalizedNames<T> {
    fn in_language(&self, language: Language) -> Option<&T> {
        let name = match language {
            Language::German => &self.de,
            Language::English => &self.en,
            Language::Spanish => &self.es,
            Language::French => &self.fr,
            Language::Japanese => &self.ja,
            Language::BrazilianPortuguese => &self.pt_br,
            Language::Russian => &self.ru,
            Language::SimplifiedChinese => &self.zh_cn,
        };
        name.as_ref().or(self.en.as_ref())
    }
}
