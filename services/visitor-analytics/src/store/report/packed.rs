//! Questions that are answered from packed visits: with filters, in another time zone, about parts
//! of days.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::task::JoinHandle;

use super::unfolded::Want;
use super::{Asked, Unfolded};
use crate::domain::day::Day;
use crate::domain::dimension::Dimension;
use crate::domain::fold::Value;
use crate::domain::goal::Reach;
use crate::domain::pack::{Field, Pack};
use crate::domain::question::{Filter, Subject};
use crate::domain::scan::{Groups, Prepared, Reaching, Test};
use crate::store::rollup::{Lexicon, load_packs};
use crate::store::{Store, StoreError};

/// A day's visits, ready to be counted.
pub(super) struct DayOfPacks {
    /// The day, perhaps cut.
    pub(super) day: Day,
    /// Its visits, and perhaps some around it.
    pub(super) packs: Vec<Prepared<Arc<Pack>>>,
    /// Whether visitors lie in several packs.
    pub(super) is_mixed: bool,
}

/// Where days are read from.
struct Source {
    store: Store,
    asked: Asked,
    unfolded: Unfolded,
    fields: Vec<Field>,
}

/// What is learned on the way.
pub(super) struct Reader {
    source: Arc<Source>,
    pub(super) lexicon: Lexicon,
    pub(super) as_of: DateTime<Utc>,
}

impl Reader {
    /// Reads the columns of the filters, and `more`.
    pub(super) fn new(store: &Store, asked: &Asked, unfolded: &Unfolded, more: &[Field]) -> Self {
        let filters = asked.filters.iter().map(|filter| filter.subject.field());
        let source = Source {
            fields: filters
                .chain(more.iter().copied())
                .chain(matches!(asked.reach, Some(Reach::Page(_))).then_some(Field::Page))
                .collect(),
            store: store.clone(),
            asked: asked.clone(),
            unfolded: unfolded.clone(),
        };
        Self {
            source: Arc::new(source),
            lexicon: Lexicon::new(asked.period.zone),
            as_of: asked.now,
        }
    }

    /// Gives the days to `count`, one after the other; the next one is read meanwhile.
    pub(super) async fn each(
        &mut self,
        days: &[Day],
        by: &By<'_>,
        mut count: impl FnMut(&DayOfPacks, &Lexicon),
    ) -> Result<(), StoreError> {
        let mut days = days.iter();
        let source = self.source.clone();
        let read = move |day: &Day| Ahead(tokio::spawn(load(source.clone(), *day)));
        let mut next = days.next().map(&read);
        while let Some(mut this) = next.take() {
            let loaded = (&mut this.0).await;
            let loaded = loaded.map_err(|_| StoreError::Unreadable("a day's packed visits"))?;
            let Loaded {
                day,
                packs,
                is_mixed,
                as_of,
            } = loaded?;
            next = days.next().map(&read);
            self.as_of = self.as_of.min(as_of);
            let mut prepared = vec![];
            for pack in packs {
                prepared.push(self.prepare(pack, by).await?);
            }
            let day = DayOfPacks {
                day,
                packs: prepared,
                is_mixed,
            };
            count(&day, &self.lexicon);
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn prepare(
        &mut self,
        pack: Arc<Pack>,
        by: &By<'_>,
    ) -> Result<Prepared<Arc<Pack>>, StoreError> {
        let mut one = Prepared {
            computed: vec![],
            tests: vec![],
            groups: Groups::None,
            reaching: Reaching::Anything,
            pack,
        };
        let source = self.source.clone();
        for field in &source.fields {
            if let Some(length) = field.length()
                && one.computed.iter().all(|(known, _)| known != field)
            {
                one.computed.push((*field, one.pack.parts(length)));
            }
            let numbers = &one.column(*field).numbers;
            self.lexicon
                .learn_numbers(&source.store.pool, *field, numbers)
                .await?;
        }
        let tests = source.asked.filters.iter().map(|filter| {
            let field = filter.subject.field();
            let numbers = &one.column(field).numbers;
            let passes = numbers
                .iter()
                .map(|number| passes(&mut self.lexicon, filter, *number));
            Test {
                field,
                passes: passes.collect(),
            }
        });
        one.tests = tests.collect();
        one.reaching = match &source.asked.reach {
            None => Reaching::Anything,
            Some(Reach::Event(happened)) => Reaching::Event(happened.clone()),
            Some(Reach::Page(pattern)) => {
                let numbers = one.column(Field::Page).numbers.iter();
                let page = Subject::Of(Dimension::Page);
                let mut is_it = |number: &u32| {
                    let values = self.lexicon.values(page, *number).into_iter();
                    let mut paths = values.filter_map(|value| self.lexicon.text(value));
                    paths.any(|path| pattern.matches(&path))
                };
                Reaching::Page(numbers.map(&mut is_it).collect())
            }
        };
        one.groups = match by {
            By::Nothing => Groups::None,
            By::Subject(subject) => {
                let field = subject.field();
                let numbers = one.column(field).numbers.iter();
                let values = numbers.map(|number| self.lexicon.values(*subject, *number));
                Groups::Of(field, values.collect())
            }
            By::Parts(field, place) => {
                let length = field.length().unwrap_or(1);
                let numbers = one.column(*field).numbers.iter();
                let values = numbers.map(|number| place(i64::from(*number) * length).into_iter());
                Groups::Of(*field, values.map(Iterator::collect).collect())
            }
        };
        Ok(one)
    }
}

/// What visits are counted by.
pub(super) enum By<'a> {
    /// All together.
    Nothing,
    /// The values of a subject.
    Subject(Subject),
    /// The parts of a series: the place of a moment, in seconds since 1970.
    Parts(Field, &'a (dyn Fn(i64) -> Option<Value> + Sync)),
}

fn passes(lexicon: &mut Lexicon, filter: &Filter, number: u32) -> bool {
    let values = lexicon.values(filter.subject, number);
    let texts: Vec<_> = values
        .into_iter()
        .map(|value| lexicon.text(value))
        .collect();
    let texts: Vec<Option<&str>> = texts.iter().map(Option::as_deref).collect();
    filter.passes(&texts)
}

/// A day that is being read; nobody reads it for one who has gone.
struct Ahead(JoinHandle<Result<Loaded, StoreError>>);

impl Drop for Ahead {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A day and the packs in which its visits lie.
struct Loaded {
    day: Day,
    packs: Vec<Arc<Pack>>,
    /// Whether they are of several of the site's days, so that visitors lie in several packs.
    is_mixed: bool,
    /// Up to when they are known.
    as_of: DateTime<Utc>,
}

async fn load(source: Arc<Source>, day: Day) -> Result<Loaded, StoreError> {
    let (store, asked) = (&source.store, &source.asked);
    let (mut packs, mut as_of) = (vec![], asked.now);
    let last = day.to - TimeDelta::microseconds(1);
    let of_site: Vec<Day> = Day::between(asked.site.zone, day.from, last).collect();
    for of_site in &of_site {
        if let Some(change) = source.unfolded.get(&of_site.date) {
            let found = store
                .unfolded(&asked.site, (of_site.date, *change), asked.now, Want::Packs)
                .await?;
            as_of = as_of.min(found.as_of);
            packs.extend(found.packs().iter().cloned());
        } else {
            let (site, fields) = (asked.site.id, &source.fields);
            packs.extend(load_packs(&store.pool, site, of_site.date, fields).await?);
        }
    }
    Ok(Loaded {
        day,
        packs,
        is_mixed: of_site.len() > 1,
        as_of,
    })
}
