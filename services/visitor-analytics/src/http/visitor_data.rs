//! `GET /visitors/{id}/data`: the right of access (GDPR, article 15).

use std::net::IpAddr;

use axum::Json;
use axum::extract::State;
use chassis::Problem;
use chassis::database::StoreError;
use chassis::extract::{Path, Query};
use chrono::{DateTime, Utc};
use common::visitor_analytics::Visit;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::events::read::{EventResponse, to_response};
use super::query_params::{check_limit, decode_cursor, encode_cursor, parse_cursor, truncate_page};
use super::site_scope::SiteScope;
use super::state::{AppState, SharedState};
use super::visitor_params::{parse_path_id, visitor_not_found};
use crate::store::{AnnouncedSession, BotFilter, EventQuery, VisitorSession, VisitorVisit};

/// Article 15 requires the sources of the data.
const DATA_SOURCES: [&str; 4] = [
    "page views, reported by the site's server or imported from its logs",
    "events, reported by the site",
    "browser, operating system and device, read from the user agent that the browser sent",
    "country, region, city and network, looked up by the address in geolocation databases",
];

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct VisitorDataParams {
    /// Only data of this site. Default: all sites. Required if the token is limited to several
    /// sites.
    site: Option<String>,
    /// Maximum number of rows per page: 1 to 1,000. Default: 50.
    limit: Option<i64>,
    /// `next_cursor` of the previous page.
    cursor: Option<String>,
}

/// A page of the data about a visitor.
///
/// The pages contain first the sessions, then the visits, the events and the notifications, each
/// newest first.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct VisitorData {
    /// Id of the visitor.
    visitor_id: String,
    /// The visited sites, and how long each keeps its data.
    sites: Vec<SiteRetention>,
    /// Where the data come from.
    sources: Vec<&'static str>,
    /// Sessions of the visitor.
    sessions: Vec<VisitorSessionItem>,
    /// Visits of the visitor.
    visits: Vec<VisitorVisitItem>,
    /// Events of the visitor.
    events: Vec<EventResponse>,
    /// Notifications about the visitor. The notification service returns them at
    /// `GET /notifications/{id}` as long as it keeps them.
    notifications: Vec<VisitorNotificationItem>,
    /// Pass as `cursor` to get the next page; `null` on the last page.
    next_cursor: Option<String>,
}

/// How long a site keeps visits and events.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SiteRetention {
    site: String,
    /// Days; `null` if data are kept indefinitely.
    retention_days: Option<i64>,
}

/// A session of the visitor.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SessionOfVisitor)]
pub(super) struct VisitorSessionItem {
    id: Uuid,
    site: String,
    /// Time of the first visit.
    started_at: DateTime<Utc>,
    /// Time of the last visit.
    last_seen_at: DateTime<Utc>,
    /// Number of visits.
    visits: i32,
    /// Whether a visit of the session is a bot's.
    is_bot: bool,
}

/// A visit of the visitor.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VisitOfVisitor)]
pub(super) struct VisitorVisitItem {
    #[serde(flatten)]
    visit: Visit,
    /// The user agent that the browser sent.
    user_agent: String,
    /// The IP address, kept until its location is known, at most 48 hours.
    #[schema(value_type = Option<String>)]
    waiting_address: Option<IpAddr>,
}

/// A notification about a session of the visitor.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NotificationOfVisitor)]
pub(super) struct VisitorNotificationItem {
    /// Id of the notification.
    id: Uuid,
    /// Id of the session that was announced.
    session_id: Uuid,
    /// Time of the announcement.
    announced_at: DateTime<Utc>,
}

/// Get all data about a visitor.
///
/// Answers a request for access (GDPR, article 15): sessions, visits, events and notifications,
/// including those of bots.
#[utoipa::path(get, path = "/visitors/{id}/data", tag = "visitors",
    params(("id" = String, Path, description = "The visitor's id"), VisitorDataParams),
    responses(
        (status = 200, body = VisitorData, description = "A page of the data"),
        (status = 400, description = "A parameter is invalid; `field` names it"),
        (status = 404, description = "The visitor does not exist"),
    ))]
pub(super) async fn data(
    State(state): State<SharedState>,
    scope: SiteScope,
    Path(id): Path<String>,
    Query(parameters): Query<VisitorDataParams>,
) -> Result<Json<VisitorData>, Problem> {
    let id = parse_path_id(id, "id")?;
    let site = scope.resolve_site(parameters.site.as_deref())?;
    let limit = check_limit(parameters.limit)?;
    let place = parse_cursor(parameters.cursor.as_deref(), PageStart::decode)?.unwrap_or_default();
    let begins = place.after.is_none() && place.section == DataSection::Sessions;
    let reader = VisitorDataReader {
        state: &state,
        id: &id,
        site: site.as_deref(),
    };
    let page = reader.read_page(place, limit).await?;
    if begins && page.sessions.len() + page.visits.len() + page.events.len() == 0 {
        return Err(visitor_not_found());
    }
    Ok(Json(page))
}

/// The sections of the data, in the order of the pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum DataSection {
    #[default]
    Sessions,
    Visits,
    Events,
    Notifications,
}

impl DataSection {
    const ALL: [Self; 4] = [
        Self::Sessions,
        Self::Visits,
        Self::Events,
        Self::Notifications,
    ];

    fn letter(self) -> char {
        match self {
            Self::Sessions => 's',
            Self::Visits => 'v',
            Self::Events => 'e',
            Self::Notifications => 'n',
        }
    }
}

/// The position at which a page starts.
#[derive(Clone, Copy, Debug, Default)]
struct PageStart {
    section: DataSection,
    /// The last row of the previous page, if it belongs to this section.
    after: Option<(DateTime<Utc>, Uuid)>,
}

impl PageStart {
    /// Parses the letter of a section, followed by a cursor if the page starts within the section.
    fn decode(text: &str) -> Option<Self> {
        let mut all = text.chars();
        let letter = all.next()?;
        let part = DataSection::ALL
            .into_iter()
            .find(|part| part.letter() == letter)?;
        let after = match all.as_str() {
            "" => None,
            rest => Some(decode_cursor(rest)?),
        };
        Some(Self {
            section: part,
            after,
        })
    }

    fn encode(self) -> String {
        let after = self.after.map(|(moment, id)| encode_cursor(moment, id));
        format!("{}{}", self.section.letter(), after.unwrap_or_default())
    }
}

struct VisitorDataReader<'a> {
    state: &'a AppState,
    id: &'a str,
    site: Option<&'a str>,
}

impl VisitorDataReader<'_> {
    /// Reads at most `limit` rows, starting at `place`.
    async fn read_page(&self, place: PageStart, limit: i64) -> Result<VisitorData, StoreError> {
        let mut page = VisitorData {
            visitor_id: self.id.to_owned(),
            sites: self.site_retention().await?,
            sources: DATA_SOURCES.to_vec(),
            ..VisitorData::default()
        };
        let mut room = limit;
        let parts = DataSection::ALL.into_iter();
        for part in parts.skip_while(|part| *part != place.section) {
            if room == 0 {
                page.next_cursor = Some(
                    PageStart {
                        section: part,
                        after: None,
                    }
                    .encode(),
                );
                return Ok(page);
            }
            let after = place.after.filter(|_| part == place.section);
            if let Some(after) = self
                .add_section(
                    &mut page,
                    PageStart {
                        section: part,
                        after,
                    },
                    &mut room,
                )
                .await?
            {
                let next = PageStart {
                    section: part,
                    after: Some(after),
                };
                page.next_cursor = Some(next.encode());
                return Ok(page);
            }
        }
        Ok(page)
    }

    /// Adds up to `room` rows of a section. Returns the key of the last one if more rows follow.
    async fn add_section(
        &self,
        page: &mut VisitorData,
        place: PageStart,
        room: &mut i64,
    ) -> Result<Option<(DateTime<Utc>, Uuid)>, StoreError> {
        let (store, id, site) = (&self.state.store, self.id, self.site);
        let (after, limit) = (place.after, *room);
        match place.section {
            DataSection::Sessions => {
                let mut rows = store.visitors.sessions(id, site, after, limit).await?;
                let last = truncate_rows(&mut rows, room, |row| (row.started_at, row.id));
                page.sessions
                    .extend(rows.into_iter().map(VisitorSessionItem::from));
                Ok(last)
            }
            DataSection::Visits => {
                let mut rows = store.visitors.visits(id, site, after, limit).await?;
                let last =
                    truncate_rows(&mut rows, room, |row| (row.visit.timestamp, row.visit.id));
                page.visits
                    .extend(rows.into_iter().map(VisitorVisitItem::from));
                Ok(last)
            }
            DataSection::Events => {
                let query = EventQuery {
                    site: site.map(str::to_owned),
                    visitor_id: Some(id.to_owned()),
                    bots: BotFilter::Include,
                    after,
                    limit,
                    ..EventQuery::default()
                };
                let mut rows = store.events.list(&query).await?;
                let last = truncate_rows(&mut rows, room, |row| (row.timestamp, row.id));
                page.events.extend(rows.into_iter().map(to_response));
                Ok(last)
            }
            DataSection::Notifications => {
                let mut rows = store.visitors.announcements(id, site, after, limit).await?;
                let last = truncate_rows(&mut rows, room, |row| (row.announced_at, row.session_id));
                let lines = rows.into_iter().map(VisitorNotificationItem::from);
                page.notifications.extend(lines);
                Ok(last)
            }
        }
    }

    async fn site_retention(&self) -> Result<Vec<SiteRetention>, StoreError> {
        let store = &self.state.store;
        let known = store.visitors.find(self.id, self.site).await?;
        let sites = known.map(|known| known.sites).unwrap_or_default();
        let of_all = self.state.privacy_policy.retention.as_days();
        let sites = store.visitors.retention_of_sites(&sites).await?.into_iter();
        let sites = sites.map(|(site, own)| SiteRetention {
            site,
            retention_days: [own.map(i64::from), of_all].into_iter().flatten().min(),
        });
        Ok(sites.collect())
    }
}

/// Truncates `rows` to `room`. Returns the key of the last remaining row if rows were removed.
fn truncate_rows<T, K>(rows: &mut Vec<T>, room: &mut i64, key: impl Fn(&T) -> K) -> Option<K> {
    let last = truncate_page(rows, *room, key);
    *room -= i64::try_from(rows.len()).unwrap_or_default();
    last
}

impl From<VisitorSession> for VisitorSessionItem {
    fn from(row: VisitorSession) -> Self {
        Self {
            id: row.id,
            site: row.site,
            started_at: row.started_at,
            last_seen_at: row.last_seen_at,
            visits: row.visits,
            is_bot: row.is_bot,
        }
    }
}

impl From<VisitorVisit> for VisitorVisitItem {
    fn from(row: VisitorVisit) -> Self {
        Self {
            visit: row.visit,
            user_agent: row.user_agent,
            waiting_address: row.pending_address,
        }
    }
}

impl From<AnnouncedSession> for VisitorNotificationItem {
    fn from(row: AnnouncedSession) -> Self {
        Self {
            id: row.notification_id,
            session_id: row.session_id,
            announced_at: row.announced_at,
        }
    }
}
