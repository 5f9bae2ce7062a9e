//! Devices, by their user agents; and ua-parser's own cases.

use user_agent::{RegexKind, UserAgentParser, UserAgentRegexes};

use crate::{corpus, told};

#[test]
fn devices_are_recognised() {
    let reader = UserAgentParser::new();
    for (what, name) in [
        ("devices, looked at", "people-seen.txt"),
        ("devices, only scored", "people-scored.txt"),
        ("devices of rare browsers, looked at", "people-own.txt"),
    ] {
        let lines = corpus(name);
        let cases = lines.iter().filter_map(|line| line.split_once('\t'));
        let cases: Vec<_> = cases.filter(|(device, _)| !device.is_empty()).collect();
        let missed = cases.iter().filter_map(|(device, agent)| {
            let found = reader.parse(agent, None).device_type.as_str();
            (found != *device).then(|| format!("{found}, not {device}: {agent}"))
        });
        let share = told(what, cases.len(), &missed.collect::<Vec<_>>());
        assert!(share >= 97.0, "{what}: {share}");
    }
}

/// A case of a list `user agent<tab>expected…`, where what is missing is empty.
fn cases(name: &str) -> Vec<(String, Vec<String>)> {
    let case = |line: &String| {
        let mut parts = line.split('\t').map(str::to_owned);
        (parts.next().unwrap(), parts.collect())
    };
    corpus(name).iter().map(case).collect()
}

fn hold(what: &str, cases: &[(String, Vec<String>)], read: impl Fn(&str) -> Vec<String>) {
    let missed = cases.iter().filter_map(|(agent, expected)| {
        let found = read(agent);
        (found != *expected).then(|| format!("{found:?}, not {expected:?}: {agent}"))
    });
    let missed: Vec<_> = missed.collect();
    told(what, cases.len(), &missed);
    assert_eq!(missed, Vec::<String>::new());
}

/// What a list tells of a user agent, with as many parts as are asked for.
fn told_by(lists: &UserAgentRegexes, list: RegexKind, parts: usize, agent: &str) -> Vec<String> {
    let found = lists.candidates(agent).find(list);
    let (name, others) = found.unwrap_or_else(|| ("Other".to_owned(), Default::default()));
    let others = others
        .into_iter()
        .take(parts)
        .map(Option::unwrap_or_default);
    std::iter::once(name).chain(others).collect()
}

#[test]
fn ua_parsers_own_cases_hold() {
    let lists = UserAgentRegexes::new();
    hold("ua-parser's browsers", &cases("uap-ua.tsv"), |agent| {
        told_by(&lists, RegexKind::Browsers, 4, agent)
    });
    hold("ua-parser's systems", &cases("uap-os.tsv"), |agent| {
        told_by(&lists, RegexKind::OperatingSystems, 4, agent)
    });
    hold("ua-parser's devices", &cases("uap-device.tsv"), |agent| {
        told_by(&lists, RegexKind::Devices, 2, agent)
    });
}
