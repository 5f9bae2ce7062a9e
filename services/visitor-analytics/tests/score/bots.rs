//! Crawlers and people by their user agents alone.

use std::sync::LazyLock;

use bot_detection::{CrawlerList, UserAgentRules, VisitSignals, evaluate_visit};

use crate::{corpus, told};

static JUDGE: LazyLock<UserAgentRules> = LazyLock::new(UserAgentRules::new);

/// How many parts the list of crawlers is left out in, one at a time.
const FOLDS: usize = 5;

fn is_bot(with: &UserAgentRules, user_agent: &str) -> bool {
    evaluate_visit(&with.evaluate(user_agent), &VisitSignals::default()).is_bot
}

fn missed(with: &UserAgentRules, bots: &[String]) -> Vec<String> {
    let missed = bots.iter().filter(|bot| !is_bot(with, bot));
    missed.cloned().collect()
}

/// The user agents of lines `device<tab>user agent`.
fn people(name: &str) -> Vec<String> {
    let lines = corpus(name);
    let agents = lines.iter().filter_map(|line| line.split_once('\t'));
    agents.map(|(_, agent)| agent.to_owned()).collect()
}

#[test]
fn crawlers_are_recognised() {
    for (what, name, level) in [
        ("crawlers, looked at", "bots-seen.txt", 99.0),
        ("crawlers, only scored", "bots-scored.txt", 99.0),
        ("hard ones of other lists, looked at", "bots-own.txt", 97.0),
    ] {
        let bots = corpus(name);
        let share = told(what, bots.len(), &missed(&JUDGE, &bots));
        assert!(share >= level, "{what}: {share}");
    }
}

/// What the rules alone find: each fifth of the list of crawlers is left out once, and scored is
/// what only that fifth would have told.
#[test]
fn crawlers_that_are_on_no_list_are_recognised() {
    let list = include_str!("../../../../crates/bot-detection/data/crawlers.jsonl");
    for (what, name) in [
        ("crawlers left out of the list, looked at", "bots-seen.txt"),
        (
            "crawlers left out of the list, only scored",
            "bots-scored.txt",
        ),
    ] {
        let bots = corpus(name);
        let mut unlisted = 0;
        let mut misses = vec![];
        for fold in 0..FOLDS {
            let lines = list.lines().enumerate();
            let (out, kept): (Vec<_>, Vec<_>) = lines.partition(|(line, _)| line % FOLDS == fold);
            let crawlers = |lines: Vec<(usize, &'static str)>| {
                CrawlerList::from_lines(lines.into_iter().map(|l| l.1))
            };
            let (out, kept) = (crawlers(out), crawlers(kept));
            let left_out = bots
                .iter()
                .filter(|bot| out.find(bot).is_some() && kept.find(bot).is_none());
            let left_out: Vec<String> = left_out.cloned().collect();
            unlisted += left_out.len();
            misses.extend(missed(&UserAgentRules::with_crawlers(kept), &left_out));
        }
        let share = told(what, unlisted, &misses);
        assert!(share >= 99.0, "{what}: {share}");
    }
}

#[test]
fn people_are_not_called_bots() {
    for (what, name) in [
        ("people, looked at", "people-seen.txt"),
        ("people, only scored", "people-scored.txt"),
        ("people with rare browsers, looked at", "people-own.txt"),
    ] {
        let people = people(name);
        let called = people.iter().filter(|agent| is_bot(&JUDGE, agent));
        let share = told(what, people.len(), &called.cloned().collect::<Vec<_>>());
        assert!(share >= 99.8, "{what}: {share}");
    }
}
