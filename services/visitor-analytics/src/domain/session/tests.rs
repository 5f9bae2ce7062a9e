use std::collections::BTreeMap;

use super::*;

fn at(minute: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_176_000, 0).unwrap() + TimeDelta::minutes(minute)
}

fn arrival(minute: i64) -> IncomingVisit {
    IncomingVisit {
        timestamp: at(minute),
        id: Clock::new_id_at(at(minute)),
        is_bot: false,
        is_recent: true,
    }
}

/// A pseudorandom generator (xorshift) with a seed, so that a failure can be reproduced.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// The stored sessions after the changes are applied.
fn apply(sessions: &mut Vec<Session>, plan: &SessionChanges) {
    sessions.retain(|s| !plan.merged.iter().any(|(gone, _)| gone.id == s.id));
    for (_, changed) in &plan.changed {
        let session = sessions.iter_mut().find(|s| s.id == changed.id).unwrap();
        *session = changed.clone();
    }
    sessions.extend(plan.new.iter().cloned());
}

/// The sessions by definition: sorted visits, split at gaps of 30 minutes or more.
fn defined(mut visits: Vec<IncomingVisit>) -> Vec<(DateTime<Utc>, DateTime<Utc>, u32, bool)> {
    visits.sort();
    let groups = visits.chunk_by(|a, b| b.timestamp - a.timestamp < SESSION_TIMEOUT);
    groups
        .map(|group| {
            let (first, last) = (group[0].timestamp, group[group.len() - 1].timestamp);
            let is_bot = group.iter().any(|visit| visit.is_bot);
            (first, last, u32::try_from(group.len()).unwrap(), is_bot)
        })
        .collect()
}

#[test]
fn thirty_minutes_end_a_session_and_less_does_not() {
    let visits = [arrival(0), arrival(29), arrival(59)];
    let plan = sessionize(vec![], &visits, NotifyTrigger::FirstVisit);
    assert_eq!(plan.new.len(), 2);
    assert_eq!(plan.session_ids[0], plan.session_ids[1]);
    assert_ne!(plan.session_ids[1], plan.session_ids[2]);
    assert_eq!(plan.new[0].visits, 2);
}

#[test]
fn a_late_visit_bridges_two_sessions_into_the_earlier_one() {
    let mut sessions = sessionize(
        vec![],
        &[arrival(0), arrival(40)],
        NotifyTrigger::FirstVisit,
    )
    .new;
    let ids: Vec<_> = sessions.iter().map(|s| s.id).collect();
    let plan = sessionize(sessions.clone(), &[arrival(20)], NotifyTrigger::FirstVisit);
    assert_eq!(plan.merged.len(), 1);
    assert_eq!(plan.merged[0].1, ids[0]);
    assert_eq!(plan.session_ids, [ids[0]]);
    assert!(
        plan.announcements.is_empty(),
        "both sessions were announced before"
    );
    apply(&mut sessions, &plan);
    assert_eq!(sessions.len(), 1);
    assert_eq!(
        (sessions[0].entry.0, sessions[0].exit.0, sessions[0].visits),
        (at(0), at(40), 3)
    );
}

#[test]
fn a_session_is_told_of_once_by_its_first_fresh_genuine_visit() {
    let stale = IncomingVisit {
        is_recent: false,
        ..arrival(0)
    };
    let mut sessions = vec![];
    let plan = sessionize(vec![], &[stale], NotifyTrigger::FirstVisit);
    assert!(plan.announcements.is_empty());
    apply(&mut sessions, &plan);
    let fresh = arrival(5);
    let plan = sessionize(
        sessions.clone(),
        &[fresh, arrival(6)],
        NotifyTrigger::FirstVisit,
    );
    assert_eq!(plan.announcements, [(sessions[0].id, fresh)]);
    apply(&mut sessions, &plan);
    assert!(
        sessionize(sessions, &[arrival(7)], NotifyTrigger::FirstVisit)
            .announcements
            .is_empty()
    );
}

#[test]
fn a_bots_session_is_never_told_of() {
    let bot = IncomingVisit {
        is_bot: true,
        ..arrival(0)
    };
    let plan = sessionize(vec![], &[bot, arrival(1)], NotifyTrigger::FirstVisit);
    assert!(plan.new[0].is_bot);
    assert!(plan.announcements.is_empty());
}

#[test]
fn any_order_and_any_batches_give_the_sessions_of_the_definition() {
    for seed in 1..=300 {
        let mut random = Random(seed);
        let count = 1 + random.below(40);
        let mut visits: Vec<IncomingVisit> = (0..count)
            .map(|_| IncomingVisit {
                is_bot: random.below(10) == 0,
                ..arrival(i64::try_from(random.below(400)).unwrap())
            })
            .collect();
        let expected = defined(visits.clone());
        for i in (1..visits.len()).rev() {
            let j = usize::try_from(random.below(i as u64 + 1)).unwrap();
            visits.swap(i, j);
        }
        let mut sessions: Vec<Session> = vec![];
        let mut of_visit: BTreeMap<Uuid, Uuid> = BTreeMap::new();
        let mut rest = visits.as_slice();
        while !rest.is_empty() {
            let size = usize::try_from(1 + random.below(5))
                .unwrap()
                .min(rest.len());
            let (batch, later) = rest.split_at(size);
            rest = later;
            let plan = sessionize(sessions.clone(), batch, NotifyTrigger::FirstVisit);
            for (gone, into) in &plan.merged {
                for session in of_visit.values_mut().filter(|s| **s == gone.id) {
                    *session = *into;
                }
            }
            let ids = batch.iter().map(|visit| visit.id);
            of_visit.extend(ids.zip(plan.session_ids.iter().copied()));
            apply(&mut sessions, &plan);
        }
        sessions.sort_by_key(|s| s.entry);
        let found: Vec<_> = sessions
            .iter()
            .map(|s| (s.entry.0, s.exit.0, s.visits, s.is_bot))
            .collect();
        assert_eq!(found, expected, "seed {seed}");
        for session in &sessions {
            let visits = of_visit.values().filter(|s| **s == session.id).count();
            assert_eq!(visits, session.visits as usize, "seed {seed}");
        }
    }
}

#[test]
fn a_second_signal_is_waited_for_where_that_is_wanted() {
    let tell = |existing, arrivals: &[IncomingVisit]| {
        sessionize(existing, arrivals, NotifyTrigger::SecondSignal)
    };
    let first = tell(vec![], &[arrival(0)]);
    assert!(first.announcements.is_empty() && !first.new[0].announced);
    let second = tell(first.new, &[arrival(3)]);
    assert_eq!(second.announcements.len(), 1);
    let session = second.changed[0].1.clone();
    assert!(session.announced);
    assert!(tell(vec![session], &[arrival(4)]).announcements.is_empty());
    // Two visits at once, and a second visit by a bot.
    assert_eq!(
        tell(vec![], &[arrival(0), arrival(1)]).announcements.len(),
        1
    );
    let bot = IncomingVisit {
        is_bot: true,
        ..arrival(1)
    };
    assert!(tell(vec![], &[arrival(0), bot]).announcements.is_empty());
}
