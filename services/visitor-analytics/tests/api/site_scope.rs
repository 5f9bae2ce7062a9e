//! Requests every route of the `OpenAPI` document for one site with a token for another, in many
//! spellings of path and query. A route for which the test knows no values fails the test.

use std::fmt::Write as _;

use common::jwt::Scope;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{TestSystem, answer, start, token, token_for_sites, visit};

/// A text that only b.example has. No response for a.example may contain it.
const SECRET: &str = "secret-of-b";

/// Ids of the data of b.example, which must not change.
struct OtherSiteData {
    visit: String,
    session: String,
    import: String,
    segment: String,
    goal: String,
}

/// A request, from which the spellings are derived.
struct RouteRequest {
    method: String,
    /// The segments of the path, and whether each is a value.
    parts: Vec<(String, bool)>,
    query: Vec<(String, String)>,
    body: Option<(&'static str, String)>,
    /// Whether the route concerns all sites, such as the list of sites: answered with 200, without
    /// the data of b.example.
    is_filtered: bool,
}

async fn seed(system: &mut TestSystem) -> OtherSiteData {
    let of = |answer: &Value, name: &str| answer[name].as_str().unwrap().to_owned();
    system.token = token(&system.clock, &[Scope::Admin], 86_400);
    let own = visit(&json!({"site": "a.example", "url": "https://a.example/own"}));
    system.record(&own).await;
    let other = json!({"site": "b.example", "url": format!("https://b.example/{SECRET}"),
        "title": SECRET, "visitor_id": format!("visitor-{SECRET}"),
        "user_id": format!("user-{SECRET}")});
    let recorded = system.record(&visit(&other)).await;
    let event = json!({"event_type": SECRET, "site": "b.example",
        "visitor_id": format!("visitor-{SECRET}"), "user_id": format!("user-{SECRET}")});
    let sent = system.post_to("/analytics/events").json(&event);
    assert_eq!(sent.send().await.unwrap().status(), 201);
    let line = visit(&json!({"timestamp": "2026-11-20T11:00:00Z", "title": SECRET}));
    let lines = format!("{line}\n{{\"{SECRET}\":1}}\n");
    let import = system.post_to("/import?format=ndjson&site=b.example");
    let (_, import) = answer(import.body(lines).send().await.unwrap()).await;
    assert_eq!(
        [&import["recorded"], &import["rejected"]],
        [1, 1],
        "{import}"
    );
    let goal = json!({"site": "b.example", "name": SECRET, "page": "/"});
    let (_, goal) = answer(system.post_to("/goals").json(&goal).send().await.unwrap()).await;
    let segment = json!({"name": "all", "filters": {"country": ["GB"]}});
    let segment = system.post_to("/segments").json(&segment);
    let (_, segment) = answer(segment.send().await.unwrap()).await;
    OtherSiteData {
        visit: of(&recorded, "id"),
        session: of(&recorded, "session_id"),
        import: of(&import, "id"),
        segment: of(&segment, "id"),
        goal: of(&goal, "id"),
    }
}

impl OtherSiteData {
    /// The value of a path parameter for b.example.
    fn fill(&self, path: &str, name: &str) -> String {
        let collection = path.split('/').nth(1).unwrap_or_default();
        match (collection, name) {
            ("visits", "id") => self.visit.clone(),
            ("sessions", "id") => self.session.clone(),
            ("imports", "id") => self.import.clone(),
            ("segments", "id") => self.segment.clone(),
            ("goals", "id") => self.goal.clone(),
            ("visitors", "id") => format!("visitor-{SECRET}"),
            ("analytics" | "users", "user_id") => format!("user-{SECRET}"),
            ("sites", "domain") => "b.example".into(),
            _ => panic!("say here what {{{name}}} of {path} is, so that the route is tested"),
        }
    }

    /// A body for b.example.
    fn body(path: &str) -> (&'static str, String) {
        let body = match path {
            "/visits" => visit(&json!({"site": "b.example"})),
            "/visits/{id}/engagement" => json!({"engagement_seconds": 60, "scroll_depth": 50}),
            "/analytics/events" => json!({"event_type": "a", "site": "b.example", "user_id": "u"}),
            "/analytics/funnel" => json!({"site": "b.example", "steps": [{"page": "/"}]}),
            "/sites" => json!({"domain": "c.example", "aliases": ["b.example"]}),
            "/sites/{domain}" => json!({"time_zone": "Asia/Tokyo"}),
            "/segments" => json!({"name": "new", "filters": {"country": ["FR"]}}),
            "/segments/{id}" => json!({"name": "changed"}),
            "/goals" => json!({"site": "b.example", "name": "new", "page": "/"}),
            "/import" => {
                let line = visit(&json!({"timestamp": "2026-11-20T10:00:00Z"}));
                return ("application/x-ndjson", format!("{line}\n"));
            }
            _ => panic!("say here what the body of {path} is, so that the route is tested"),
        };
        ("application/json", body.to_string())
    }

    fn build_request(&self, method: &str, path: &str, operation: &Value) -> RouteRequest {
        let parts = path.split('/').skip(1).map(|part| {
            let name = part
                .strip_prefix('{')
                .and_then(|part| part.strip_suffix('}'));
            match name {
                Some(name) => (self.fill(path, name), true),
                None => (part.to_owned(), false),
            }
        });
        let empty = vec![];
        let parameters = operation["parameters"].as_array().unwrap_or(&empty);
        let asked = parameters
            .iter()
            .filter(|parameter| parameter["in"] == "query");
        let query = asked.filter_map(|parameter| {
            let name = parameter["name"].as_str().unwrap();
            let value = match name {
                "site" => "b.example",
                _ if parameter["required"] != true => return None,
                "start_date" | "end_date" => "2026-11-20",
                "format" => "ndjson",
                "by" => "page",
                _ => panic!("say here what {name} of {path} is, so that the route is tested"),
            };
            Some((name.to_owned(), value.to_owned()))
        });
        let has_body = operation["requestBody"].is_object();
        RouteRequest {
            method: method.to_uppercase(),
            parts: parts.collect(),
            query: query.collect(),
            body: has_body.then(|| Self::body(path)),
            is_filtered: matches!((method, path), ("get", "/sites" | "/segments")),
        }
    }
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut all, byte| {
        write!(all, "%{byte:02X}").unwrap();
        all
    })
}

fn first_encoded(text: &str) -> String {
    let (first, rest) = text.split_at(1);
    encoded(first) + rest
}

impl RouteRequest {
    fn path(&self, spell: impl Fn(&str, bool) -> String) -> String {
        let parts = self
            .parts
            .iter()
            .map(|(part, is_filled)| spell(part, *is_filled));
        parts.fold(String::new(), |path, part| path + "/" + &part)
    }

    fn filled(&self, spell: impl Fn(&str) -> String) -> String {
        self.path(|part, is_filled| {
            if is_filled {
                spell(part)
            } else {
                part.to_owned()
            }
        })
    }

    fn query(&self, spell: impl Fn(&str, &str) -> String) -> String {
        let pairs = self.query.iter().map(|(name, value)| {
            if name == "site" {
                spell(name, value)
            } else {
                format!("{name}={value}")
            }
        });
        pairs.collect::<Vec<_>>().join("&")
    }

    /// Equivalent spellings of the request target; the plain one first.
    fn spellings(&self) -> Vec<String> {
        let plain = self.filled(str::to_owned);
        let query = self.query(|name, value| format!("{name}={value}"));
        let paths = [
            plain.clone(),
            self.filled(first_encoded),
            self.filled(encoded),
            self.filled(str::to_uppercase),
            self.filled(|id| id.replace('-', "")),
            self.filled(|id| format!("%7B{id}%7D")),
            self.filled(|id| format!("urn:uuid:{id}")),
            self.filled(|id| format!("a%2F..%2F{id}")),
            self.filled(|id| format!("{id}%00")),
            self.path(|part, _| first_encoded(part)),
            format!("/{plain}"),
            plain.replace('/', "//"),
            format!("/.{plain}"),
            format!("/a.example/..{plain}"),
            format!("/%2e%2e{plain}"),
            format!("{plain}/"),
            format!("{plain}/."),
            format!("{plain};site=a.example"),
        ];
        let queries = [
            self.query(|name, value| format!("{name}=a.example&{name}={value}")),
            self.query(|name, value| format!("{name}={value}&{name}=a.example")),
            self.query(|_, value| format!("s%69te={value}")),
            self.query(|_, value| format!("site=a.example&s%69te={value}")),
            self.query(|name, value| format!("{name}={}", encoded(value))),
            self.query(|name, value| format!("{name}={}.", value.to_uppercase())),
            self.query(|name, value| format!("{name}=%20{value}")),
            self.query(|name, value| format!("{name}[]={value}&site=a.example")),
            self.query(|name, value| format!("{name}=a.example,{value}")),
        ];
        let paths = paths.into_iter().map(|path| (path, query.clone()));
        let queries = queries.into_iter().map(|query| (plain.clone(), query));
        let targets = paths.chain(queries).map(|(path, query)| {
            if query.is_empty() {
                path
            } else {
                format!("{path}?{query}")
            }
        });
        let mut targets: Vec<String> = targets.collect();
        if self.body.is_none() {
            // Without a site, the request concerns the token's own site.
            targets.push(format!("{plain}?{}", self.query(|_, _| String::new())));
        }
        targets
    }

    /// Sends exactly this target, which HTTP clients would normalize. Returns status and response.
    async fn send(&self, system: &TestSystem, target: &str) -> (u16, String) {
        let address = system.base.strip_prefix("http://").unwrap();
        let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
        let mut request = format!(
            "{} {target} HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\
             authorization: Bearer {}\r\n",
            self.method, system.token
        );
        if let Some((kind, body)) = &self.body {
            let length = body.len();
            write!(
                request,
                "content-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}"
            )
            .unwrap();
        } else {
            request.push_str("\r\n");
        }
        connection.write_all(request.as_bytes()).await.unwrap();
        let (mut answer, mut piece) = (vec![], [0; 8_192]);
        loop {
            let read = connection.read(&mut piece).await.unwrap();
            answer.extend(&piece[..read]);
            let text = String::from_utf8_lossy(&answer);
            // A live stream does not end.
            let is_stream = text.contains("text/event-stream") && text.contains("\r\n\r\n");
            if read == 0 || is_stream {
                let status = text.split(' ').nth(1).unwrap().parse().unwrap();
                return (status, text.into_owned());
            }
        }
    }
}

/// All stored rows of b.example.
async fn stored(system: &TestSystem) -> Vec<String> {
    let rows = sqlx::query_scalar(
        "with b as (select id from visitor_analytics.site where domain = 'b.example')
         select v::text from visitor_analytics.visit v where site_id = (select id from b)
         union all select s::text from visitor_analytics.session s
             where site_id = (select id from b)
         union all select e::text from visitor_analytics.event e where site_id = (select id from b)
         union all select i::text from visitor_analytics.import i where site = 'b.example'
         union all select m::text from visitor_analytics.imported_visit m
         union all select c::text from visitor_analytics.visit_copy c
         union all select s::text from visitor_analytics.site s
         union all select g::text from visitor_analytics.goal g
         union all select s::text from visitor_analytics.segment s
         order by 1",
    );
    rows.fetch_all(&system.pool).await.unwrap()
}

#[sqlx::test(migrations = false)]
async fn no_spelling_reaches_another_site(pool: PgPool) {
    let mut system = start(pool).await;
    let other = seed(&mut system).await;
    let before = stored(&system).await;
    let api = system.read("/openapi.json").await;
    // All scopes, limited to one site.
    system.token = token_for_sites(&system.clock, &[Scope::Admin], &["a.example"]);
    let mut routes = 0;
    for (path, operations) in api["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let ask = other.build_request(method, path, operation);
            for (nth, target) in ask.spellings().into_iter().enumerate() {
                let (status, text) = ask.send(&system, &target).await;
                let what = format!("{method} {target}: {text}");
                assert!(status < 500, "{what}");
                let own = [
                    SECRET,
                    &other.visit,
                    &other.session,
                    &other.import,
                    "b.example",
                ];
                let leak = own.iter().find(|own| status < 300 && text.contains(**own));
                assert_eq!(leak, None, "{what}");
                if ask.is_filtered {
                    continue;
                }
                if nth == 0 {
                    assert_eq!(status, 403, "{what}");
                    assert!(text.contains("\"code\":\"SITE_FORBIDDEN\""), "{what}");
                }
                let is_change = ask.method != "GET" && path != "/analytics/funnel";
                assert!(!is_change || status >= 400, "{what}");
            }
            routes += 1;
            assert_eq!(stored(&system).await, before, "{method} {path}");
        }
    }
    assert!(routes > 30, "the walk has found {routes} routes");
}

#[sqlx::test(migrations = false)]
async fn lists_and_their_cursors_hold_the_tokens_sites_only(pool: PgPool) {
    let mut system = start(pool).await;
    for site in ["a.example", "b.example", "c.example", "d.example"] {
        system.record(&visit(&json!({"site": site}))).await;
    }
    system.token = token_for_sites(
        &system.clock,
        &[Scope::VisitsRead],
        &["a.example", "d.example"],
    );
    let (mut found, mut cursor) = (vec![], String::new());
    loop {
        let page = system.read(&format!("/sites?limit=1{cursor}")).await;
        found.extend(
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|site| site["domain"].clone()),
        );
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    // Pages are filled, although rows of other sites lie in between.
    assert_eq!(found, ["a.example", "d.example"]);
}
