//! Devices, by their user agents; and ua-parser's own cases.

use ua_parser::{Extractor, Regexes};
use visitor_analytics::domain::agent::AgentReader;

use crate::{corpus, told};

#[test]
fn devices_are_recognised() {
    let reader = AgentReader::new();
    for (what, name) in [
        ("devices, looked at", "people-seen.txt"),
        ("devices, only scored", "people-scored.txt"),
        ("devices of rare browsers, looked at", "people-own.txt"),
    ] {
        let lines = corpus(name);
        let cases = lines.iter().filter_map(|line| line.split_once('\t'));
        let cases: Vec<_> = cases.filter(|(device, _)| !device.is_empty()).collect();
        let missed = cases.iter().filter_map(|(device, agent)| {
            let found = reader.read(agent, None).device_type.as_str();
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

fn parts<const N: usize>(family: &str, others: [Option<&str>; N]) -> Vec<String> {
    let others = others.map(|part| part.unwrap_or_default().to_owned());
    std::iter::once(family.to_owned()).chain(others).collect()
}

#[test]
fn ua_parsers_own_cases_hold() {
    let list = include_str!("../../data/uap-core.json");
    let list: Regexes<'static> = serde_json::from_str(list).unwrap();
    let expressions = Extractor::try_from(list).unwrap();
    hold("ua-parser's browsers", &cases("uap-ua.tsv"), |agent| {
        let found = expressions.ua.extract(agent);
        found.map_or_else(
            || parts("Other", [None; 4]),
            |f| parts(&f.family, [f.major, f.minor, f.patch, f.patch_minor]),
        )
    });
    hold("ua-parser's systems", &cases("uap-os.tsv"), |agent| {
        let found = expressions.os.extract(agent);
        found.map_or_else(
            || parts("Other", [None; 4]),
            |f| {
                let versions = [&f.major, &f.minor, &f.patch, &f.patch_minor];
                parts(&f.os, versions.map(Option::as_deref))
            },
        )
    });
    hold("ua-parser's devices", &cases("uap-device.tsv"), |agent| {
        let found = expressions.dev.extract(agent);
        found.map_or_else(
            || parts("Other", [None; 2]),
            |f| parts(&f.device, [f.brand.as_deref(), f.model.as_deref()]),
        )
    });
}
