//! The ways that sessions take through a site.

use std::collections::HashMap;
use std::ops::Range;

use super::fold::Value;
use super::pack::Pack;
use super::scan::{Groups, Prepared, each_session};

/// Different ways that are told apart; what comes after them is counted together.
const MOST: usize = 200_000;

/// A way: its first pages, and whether there are more.
pub type Way = (Vec<Value>, bool);

/// How often sessions take which way.
#[derive(Debug, Default)]
pub struct Ways {
    /// By way.
    pub counts: HashMap<Way, i64>,
    /// Sessions whose ways are not told apart.
    pub others: i64,
}

impl Ways {
    /// Adds the sessions that begin within a period and have a visit that passes, with up to
    /// `depth` pages; a page that follows itself counts once. Visits must be grouped by page.
    pub fn add<P: AsRef<Pack>>(
        &mut self,
        (packs, mixed): (&[Prepared<P>], bool),
        period: &Range<i64>,
        is_bot: Option<bool>,
        depth: usize,
    ) {
        each_session(packs, mixed, |one, run| {
            let pack = one.pack.as_ref();
            let begins = pack.start + i64::from(pack.at[run.visits.start]);
            let is_wanted = is_bot.is_none_or(|is_bot| run.session.is_bot == is_bot)
                && period.contains(&begins)
                && one.passes_session(&run)
                && run.visits.clone().any(|row| one.passes_visit(row));
            if !is_wanted {
                return;
            }
            let mut pages: Vec<Value> = vec![];
            let mut goes_on = false;
            for page in run.visits.map(|row| page(one, row)) {
                if pages.last() == Some(&page) {
                    continue;
                }
                if pages.len() == depth {
                    goes_on = true;
                    break;
                }
                pages.push(page);
            }
            self.count((pages, goes_on));
        });
    }

    fn count(&mut self, way: Way) {
        if let Some(count) = self.counts.get_mut(&way) {
            *count += 1;
        } else if self.counts.len() < MOST {
            self.counts.insert(way, 1);
        } else {
            self.others += 1;
        }
    }
}

/// What comes before and after a page; `None` where the session begins or ends with it.
#[derive(Debug, Default)]
pub struct Around {
    /// Visits by the page before.
    pub before: HashMap<Option<Value>, i64>,
    /// Visits by the page after.
    pub after: HashMap<Option<Value>, i64>,
    /// Visits of the page; a page that follows itself counts once.
    pub visits: i64,
}

impl Around {
    /// Adds the visits within a period that pass and for whose page `is_it` holds.
    pub fn add<P: AsRef<Pack>>(
        &mut self,
        (packs, mixed): (&[Prepared<P>], bool),
        period: &Range<i64>,
        is_bot: Option<bool>,
        is_it: impl Fn(Value) -> bool,
    ) {
        each_session(packs, mixed, |one, run| {
            let is_wanted = is_bot.is_none_or(|is_bot| run.session.is_bot == is_bot);
            if !is_wanted || !one.passes_session(&run) {
                return;
            }
            // The first row of each page that does not follow itself.
            let mut stops: Vec<(usize, Value)> =
                run.visits.map(|row| (row, page(one, row))).collect();
            stops.dedup_by_key(|(_, page)| *page);
            for (place, (row, page)) in stops.iter().enumerate() {
                let pack = one.pack.as_ref();
                let at = pack.start + i64::from(pack.at[*row]);
                if !period.contains(&at) || !is_it(*page) || !one.passes_visit(*row) {
                    continue;
                }
                let page = |place: Option<usize>| Some(stops.get(place?)?.1);
                *self.before.entry(page(place.checked_sub(1))).or_default() += 1;
                *self.after.entry(page(place.checked_add(1))).or_default() += 1;
                self.visits += 1;
            }
        });
    }
}

/// The page of a visit.
pub fn page<P: AsRef<Pack>>(one: &Prepared<P>, row: usize) -> Value {
    match &one.groups {
        Groups::Of(field, values) => {
            let values = &values[one.column(*field).place(row)];
            values.first().copied().unwrap_or_default()
        }
        Groups::None => Value::default(),
    }
}
