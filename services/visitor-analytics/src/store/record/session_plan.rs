//! Plans how a batch changes the sessions of its visitors.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::domain::enriched_visit::EnrichedVisit;
use crate::domain::session::{IncomingVisit, NotifyTrigger, SessionChanges, sessionize};
use crate::store::rollup::TouchedPeriod;
use crate::store::session::{SessionsByVisitor, VisitorKey};
use crate::store::visit::VisitKey;

pub(in crate::store) struct VisitorSessionPlan {
    pub(in crate::store) key: VisitorKey,
    pub(in crate::store) changes: SessionChanges,
    arrivals: Vec<IncomingVisit>,
}

/// Plans the changes for each visitor with new visits. `new` holds their indices in the batch.
/// Visits since `fresh_since` may be announced, when `trigger` occurs.
pub(super) fn plan_sessions(
    batch: &[EnrichedVisit],
    keys: &[VisitorKey],
    new: &[usize],
    mut nearby: SessionsByVisitor,
    (fresh_since, trigger): (DateTime<Utc>, NotifyTrigger),
) -> Vec<VisitorSessionPlan> {
    let mut arrivals: HashMap<&VisitorKey, Vec<IncomingVisit>> = HashMap::new();
    for &index in new {
        let visit = &batch[index];
        let arrival = IncomingVisit {
            timestamp: visit.visit.timestamp,
            id: visit.visit.id,
            is_bot: visit.verdict.is_bot,
            is_recent: visit.visit.timestamp >= fresh_since && !visit.visit.opted_out,
        };
        arrivals.entry(&keys[index]).or_default().push(arrival);
    }
    let planned = arrivals.into_iter().map(|(key, arrivals)| {
        let existing = nearby.remove(key).unwrap_or_default();
        VisitorSessionPlan {
            changes: sessionize(existing, &arrivals, trigger),
            key: key.clone(),
            arrivals,
        }
    });
    planned.collect()
}

/// The periods of new and changed sessions. They include the sessions that were merged into them.
pub(super) fn touched_periods(plans: &[VisitorSessionPlan]) -> impl Iterator<Item = TouchedPeriod> {
    plans.iter().flat_map(|planned| {
        let changed = planned.changes.changed.iter().map(|(_, session)| session);
        changed
            .chain(&planned.changes.new)
            .map(|session| TouchedPeriod {
                site_id: planned.key.0,
                from: session.entry.0,
                to: session.exit.0,
            })
    })
}

/// The session of each new visit, and whether it began with that visit.
pub(super) fn sessions_by_visit(plans: &[VisitorSessionPlan]) -> HashMap<VisitKey, (Uuid, bool)> {
    let first_visits: HashSet<(Uuid, Uuid)> = plans
        .iter()
        .flat_map(|planned| &planned.changes.new)
        .map(|session| (session.id, session.entry.1))
        .collect();
    let visits = plans.iter().flat_map(|planned| {
        let arrivals = planned.arrivals.iter();
        arrivals.zip(&planned.changes.session_ids)
    });
    visits
        .map(|(arrival, session)| {
            let begins = first_visits.contains(&(*session, arrival.id));
            ((arrival.id, arrival.timestamp), (*session, begins))
        })
        .collect()
}
