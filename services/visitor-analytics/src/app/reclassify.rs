//! The `reclassify` command: applies the bot rules of this version to stored visits.

use std::collections::BTreeMap;
use std::fmt;

use bot_detection::{
    BotCategory, BotRule, BotVerdict, RULESET_VERSION, VisitSignals, reevaluate_visit,
};
use common::clock::Clock;
use url::Url;

use crate::config::{Config, ReclassifyArgs};
use crate::domain::visit_enricher::VisitEnricher;
use crate::service::SERVICE_NAME;
use crate::store::{ReclassifiedVisit, ReclassifyCursor, ReclassifyProgress, Store, StoredVisit};

/// The result of `reclassify`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReclassifyReport {
    pub dry_run: bool,
    /// Whether an earlier run with these rules has completed.
    pub was_complete: bool,
    /// Visits that an interrupted run has classified.
    pub previously_classified: i64,
    /// Visits that this run has classified.
    pub classified: i64,
    /// Visits whose verdict changed, apart from its version.
    pub changed: i64,
    /// Visits that are bots' now and were people's.
    pub became_bots: i64,
    /// Visits that are people's now and were bots'.
    pub became_people: i64,
    /// For each rule code: the number of visits for which the rule fires now and did not before,
    /// and the reverse.
    pub rule_changes: BTreeMap<String, (i64, i64)>,
}

/// Classifies all visits, or those that an interrupted run has left.
pub async fn run(
    config: &Config,
    clock: &Clock,
    args: ReclassifyArgs,
) -> anyhow::Result<ReclassifyReport> {
    let store = Store::new(config.database.pool(SERVICE_NAME)?).for_background();
    reclassify_visits(&store, clock, args).await
}

/// Runs `reclassify` on a given store.
#[tracing::instrument(level = "debug", name = "reclassify_visits", skip_all, fields(dry_run = args.dry_run))]
pub async fn reclassify_visits(
    store: &Store,
    clock: &Clock,
    args: ReclassifyArgs,
) -> anyhow::Result<ReclassifyReport> {
    let classifier = VisitEnricher::new();
    let progress = store
        .verdicts
        .reclassify_progress()
        .await?
        .filter(|_| !args.again && !args.dry_run);
    let mut report = ReclassifyReport {
        dry_run: args.dry_run,
        was_complete: progress.is_some_and(|progress| progress.is_finished),
        previously_classified: progress.map_or(0, |progress| progress.visits),
        ..ReclassifyReport::default()
    };
    if report.was_complete {
        return Ok(report);
    }
    let changed_before = progress.map_or(0, |progress| progress.changed);
    let mut after = progress.map(|progress| progress.cursor);
    loop {
        let visits = store
            .verdicts
            .visits_to_reclassify(after, args.batch)
            .await?;
        let last = visits.last().map(StoredVisit::cursor);
        let reclassified: Vec<ReclassifiedVisit> = visits
            .into_iter()
            .map(|v| reclassify_visit(&classifier, v))
            .collect();
        for one in &reclassified {
            report.count_visit(one);
        }
        if !args.dry_run {
            let outdated = reclassified
                .into_iter()
                .filter(|one| one.differs || one.is_outdated());
            let outdated: Vec<ReclassifiedVisit> = outdated.collect();
            store
                .verdicts
                .apply_reclassification(&outdated, clock.now())
                .await?;
            if let Some(through) = last.or(after) {
                let progress = ReclassifyProgress {
                    cursor: through,
                    visits: report.previously_classified + report.classified,
                    changed: changed_before + report.changed,
                    is_finished: last.is_none(),
                };
                store
                    .verdicts
                    .save_reclassify_progress(progress, clock.now())
                    .await?;
            }
        }
        if last.is_none() {
            return Ok(report);
        }
        after = last;
    }
}

fn reclassify_visit(classifier: &VisitEnricher, visit: StoredVisit) -> ReclassifiedVisit {
    let findings = classifier.user_agent_info(&visit.user_agent, None);
    let referrer = visit
        .referrer
        .as_deref()
        .and_then(|text| Url::parse(text).ok());
    let circumstances = VisitSignals {
        user_agent: &visit.user_agent,
        path: &visit.path,
        referrer: referrer.as_ref(),
        asn: visit.asn.and_then(|asn| u32::try_from(asn).ok()),
        ..VisitSignals::default()
    };
    let before: Vec<BotRule> = visit
        .reasons
        .iter()
        .filter_map(|c| BotRule::from_code(c))
        .collect();
    // Without a stored AS number, only geo can have reported the hosting network.
    let circumstances = VisitSignals {
        is_hosting: before.contains(&BotRule::HostingNetwork) && visit.asn.is_none(),
        ..circumstances
    };
    let verdict = reevaluate_visit(&findings.verdict, &circumstances, &before);
    ReclassifiedVisit {
        differs: !has_same_verdict(&visit, &verdict),
        verdict,
        visit,
    }
}

fn has_same_verdict(visit: &StoredVisit, verdict: &BotVerdict) -> bool {
    let mut codes: Vec<&str> = verdict.reasons.iter().map(|reason| reason.code()).collect();
    let mut before: Vec<&str> = visit.reasons.iter().map(String::as_str).collect();
    codes.sort_unstable();
    before.sort_unstable();
    visit.is_bot == verdict.is_bot
        && visit.score == i16::from(verdict.score)
        && codes == before
        && visit.bot_name == verdict.name
        && visit.category.as_deref() == verdict.category.map(BotCategory::as_str)
}

impl StoredVisit {
    fn cursor(&self) -> ReclassifyCursor {
        ReclassifyCursor {
            id: self.id,
            timestamp: self.timestamp,
        }
    }
}

impl ReclassifiedVisit {
    fn is_outdated(&self) -> bool {
        self.visit.ruleset != RULESET_VERSION.cast_signed()
    }
}

impl ReclassifyReport {
    fn count_visit(&mut self, one: &ReclassifiedVisit) {
        self.classified += 1;
        self.changed += i64::from(one.differs);
        let (was, is) = (one.visit.is_bot, one.verdict.is_bot);
        self.became_bots += i64::from(is && !was);
        self.became_people += i64::from(was && !is);
        let codes: Vec<&str> = one
            .verdict
            .reasons
            .iter()
            .map(|reason| reason.code())
            .collect();
        let before = &one.visit.reasons;
        for code in codes
            .iter()
            .filter(|code| before.iter().all(|b| b != *code))
        {
            self.rule_changes.entry((*code).to_owned()).or_default().0 += 1;
        }
        for code in before.iter().filter(|code| !codes.contains(&code.as_str())) {
            self.rule_changes.entry(code.clone()).or_default().1 += 1;
        }
    }
}

impl fmt::Display for ReclassifyReport {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        if self.was_complete {
            return writeln!(
                f,
                "ruleset {RULESET_VERSION} was applied to all visits; --again starts over"
            );
        }
        let would = if self.dry_run { "would be " } else { "" };
        if self.previously_classified > 0 {
            writeln!(
                f,
                "{} visits were classified by an earlier run",
                self.previously_classified
            )?;
        }
        writeln!(
            f,
            "ruleset {RULESET_VERSION}: {} visits {would}classified, {} {would}changed: \
             {} from person to bot, {} from bot to person",
            self.classified, self.changed, self.became_bots, self.became_people
        )?;
        for (code, (more, less)) in &self.rule_changes {
            writeln!(f, "  {code:<24} +{more} -{less}")?;
        }
        Ok(())
    }
}
