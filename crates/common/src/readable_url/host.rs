use std::borrow::Cow;

use icu_properties::props::Script;
use icu_properties::script::ScriptWithExtensions;

/// Start of an encoded label (RFC 5890).
const ENCODED_PREFIX: &str = "xn--";
/// Scripts that Japanese mixes.
const JAPANESE: [Script; 3] = [Script::Han, Script::Hiragana, Script::Katakana];
/// Scripts that Korean mixes.
const KOREAN: [Script; 2] = [Script::Han, Script::Hangul];
/// Letters of other scripts that look like Latin ones.
const LATIN_LOOKALIKES: &str = "асԁеһіјӏкорԛѕԝхуъьҽпгѵѡвнтмзб\
    αγικνρυωηοτχ\
    զէօհոսցքյլԁ\
    იოყძხჽჿ";

/// Decodes the labels of an internationalized host (`xn--…`) that cannot be mistaken for another
/// host. A label must be of one script, or of Han with kana or Hangul. It must not consist of
/// letters that look like Latin ones, unless the last label has the same script.
///
/// A port is kept. Other labels, and hosts that are invalid, are returned unchanged.
#[must_use]
pub fn readable_host(host: &str) -> Cow<'_, str> {
    if !contains_encoded_label(host) {
        return Cow::Borrowed(host);
    }
    let (name, port) = match host.split_once(':') {
        Some((name, _)) => host.split_at(name.len()),
        None => (host, ""),
    };
    let (decoded, valid) = idna::domain_to_unicode(name);
    let same_labels = decoded.split('.').count() == name.split('.').count();
    if valid.is_err() || !same_labels {
        return Cow::Borrowed(host);
    }
    let top_script = decoded
        .trim_end_matches('.')
        .rsplit('.')
        .next()
        .and_then(single_script);
    let labels = name.split('.').zip(decoded.split('.'));
    let labels = labels.map(|(encoded, decoded)| {
        if is_safe_label(decoded, top_script) {
            decoded
        } else {
            encoded
        }
    });
    let readable = labels.collect::<Vec<_>>().join(".");
    Cow::Owned(readable + port)
}

fn contains_encoded_label(host: &str) -> bool {
    host.split('.').any(|label| {
        let prefix = label.get(..ENCODED_PREFIX.len());
        prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case(ENCODED_PREFIX))
    })
}

fn is_safe_label(label: &str, top_script: Option<Script>) -> bool {
    let Some(scripts) = scripts_of(label) else {
        return false;
    };
    let all_in = |allowed: &[Script]| scripts.iter().all(|script| allowed.contains(script));
    match scripts[..] {
        [] => true,
        [Script::Latin] => label.chars().all(is_common_latin),
        [script] => Some(script) == top_script || !looks_latin(label),
        _ => all_in(&JAPANESE) || all_in(&KOREAN),
    }
}

/// The scripts of the letters. `None` if a character belongs to none of them, such as a symbol, an
/// invisible character or a mark of another script.
fn scripts_of(label: &str) -> Option<Vec<Script>> {
    let data = ScriptWithExtensions::new();
    let mut scripts = Vec::new();
    let mut shared = Vec::new();
    for c in label.chars() {
        match data.get_script_val(c) {
            _ if c.is_ascii_digit() || c == '-' => {}
            Script::Common | Script::Inherited | Script::Unknown => shared.push(c),
            script if scripts.contains(&script) => {}
            script => scripts.push(script),
        }
    }
    let belongs = |c: &char| scripts.iter().any(|script| data.has_script(*c, *script));
    shared.iter().all(belongs).then_some(scripts)
}

fn single_script(label: &str) -> Option<Script> {
    match scripts_of(label)?[..] {
        [script] => Some(script),
        _ => None,
    }
}

/// Letters of written languages. Phonetic letters look like others.
fn is_common_latin(c: char) -> bool {
    c.is_ascii() || matches!(c, '\u{df}'..='\u{24f}' | '\u{259}' | '\u{1e00}'..='\u{1eff}')
}

fn looks_latin(label: &str) -> bool {
    label
        .chars()
        .all(|c| c.is_ascii() || LATIN_LOOKALIKES.contains(c))
}

#[cfg(test)]
mod tests {
    use super::readable_host;

    fn round_trip(unicode: &str) -> String {
        let encoded = idna::domain_to_ascii(unicode).unwrap();
        assert!(encoded.is_ascii());
        readable_host(&encoded).into_owned()
    }

    #[test]
    fn hosts_of_one_script_are_decoded() {
        for host in [
            "пример.рф",
            "bücher.example",
            "www.bücher.example",
            "café-2.example",
            "tiếng-việt.vn",
            "παράδειγμα.δοκιμή",
            "مثال.إختبار",
            "דוגמה.טעסט",
            "उदाहरण.परीक्षा",
            "例え.テスト",
            "らーめん店.jp",
            "例子.测试",
            "실례.테스트",
            "ตัวอย่าง.ไทย",
            "ру.рф",
            "россия.com",
        ] {
            assert_eq!(round_trip(host), host);
        }
        assert_eq!(
            readable_host("xn--e1afmkfd.xn--p1ai:8080"),
            "пример.рф:8080"
        );
        assert_eq!(readable_host("XN--E1AFMKFD.xn--p1ai"), "пример.рф");
    }

    #[test]
    fn hosts_that_imitate_others_stay_encoded() {
        for host in [
            "аррӏе.com",
            "раураl.com",
            "gооgle.com",
            "ѕсоре.example",
            "ρυρ.com",
            "ɡoogle.com",
            "tшop.example",
            "☃.example",
            "a\u{338}b.example",
        ] {
            let shown = round_trip(host);
            assert!(shown.starts_with("xn--"), "{host}: {shown}");
        }
        // Each label is judged alone.
        assert_eq!(
            round_trip("аррӏе.bücher.example")
                .split_once('.')
                .unwrap()
                .1,
            "bücher.example"
        );
    }

    #[test]
    fn other_hosts_are_unchanged() {
        for host in [
            "",
            "example.com",
            "localhost:8000",
            "192.0.2.1",
            "[2001:db8::1]",
            "xn--.example",
            "xn--a-ecp.ru\u{0}",
            "xn--\u{fc}.example",
            "é.example",
        ] {
            assert_eq!(readable_host(host), host);
        }
    }
}
