//! Import of files.

use std::fmt::Write as _;
use std::io::Write as _;

use chrono::{DateTime, TimeDelta};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::io::AsyncWriteExt as _;

use crate::support::{TestSystem, answer, noon, problem, start, start_replica, visit};

/// Real page views (2015), one per line.
const REAL: &str = include_str!("../../../../crates/tetralto/tests/data/page_views.jsonl");

/// The same page views as an access log, with the requests for page resources.
fn access_log() -> String {
    let mut log = String::new();
    for line in REAL.lines() {
        let visit: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| visit[name].as_str().unwrap_or("-").replace('"', "\\\"");
        let time = DateTime::parse_from_rfc3339(&text("timestamp")).unwrap();
        let url = text("url");
        let path = url.strip_prefix("https://www.semicomplete.com").unwrap();
        for (path, status) in [(path, 200), ("/style2.css", 200), (path, 301)] {
            writeln!(
                log,
                "{} - - [{}] \"GET {path} HTTP/1.1\" {status} 512 \"{}\" \"{}\"",
                text("ip"),
                time.format("%d/%b/%Y:%H:%M:%S %z"),
                text("referrer"),
                text("user_agent"),
            )
            .unwrap();
        }
    }
    log
}

impl TestSystem {
    pub(crate) async fn import(&self, query: &str, file: impl Into<reqwest::Body>) -> Value {
        let request = self.post_to(&format!("/import?{query}")).body(file);
        let (status, body) = answer(request.send().await.unwrap()).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    async fn reports(&self, site: &str, from: &str, to: &str) -> Vec<Value> {
        let query = format!("site={site}&from={from}&to={to}&include_bots=true");
        let mut reports = vec![self.read(&format!("/analytics/summary?{query}")).await];
        for by in [
            "page",
            "country",
            "browser",
            "source",
            "bot_reason",
            "exit_page",
        ] {
            let path = format!("/analytics/breakdown?by={by}&limit=50&{query}");
            reports.push(self.read(&path).await["data"].clone());
        }
        reports[0]["as_of"] = Value::Null;
        reports
    }
}

fn counts(body: &Value) -> [i64; 4] {
    ["recorded", "duplicates", "skipped", "rejected"].map(|name| body[name].as_i64().unwrap())
}

const LOG: &str = "format=combined&site=www.semicomplete.com";

#[sqlx::test(migrations = false)]
async fn a_real_access_log_is_imported_once_and_removed_as_one(pool: PgPool) {
    let system = start(pool).await;
    // A visit recorded before the import, within the period of the log.
    let before = json!({"timestamp": "2015-05-17T10:05:00Z", "site": "www.semicomplete.com"});
    let before = system.record(&visit(&before)).await;
    let log = access_log();
    let done = system.import(LOG, log.clone()).await;
    assert_eq!(counts(&done), [1_000, 0, 2_000, 0], "{done}");
    assert_eq!(
        [&done["state"], &done["lines"]],
        [&json!("done"), &json!(3_000)]
    );
    let path = format!("/imports/{}", done["id"].as_str().unwrap());
    assert_eq!(system.read(&path).await, done);
    assert_eq!(system.read("/imports").await["data"], json!([done]));

    // Reports treat imported visits like submitted ones.
    let reports = system
        .reports("www.semicomplete.com", "2015-05-17", "2015-06-01")
        .await;
    assert_eq!(reports[0]["visits"], 1_001);
    assert_eq!(system.count("imported_visit").await, 1_000);

    // The same file again, and then with an additional visit.
    let again = system.import(LOG, log.clone()).await;
    assert_eq!(counts(&again), [1_000, 0, 2_000, 0]);
    let grown = format!("{log}{}", log.lines().next().unwrap());
    let again = system.import(LOG, grown).await;
    assert_eq!(counts(&again), [1_001, 0, 2_000, 0]);
    assert_eq!(again["lines"], 3_000, "the last has no end yet");

    let gone = system.delete(&path).send().await.unwrap();
    assert_eq!(answer(gone).await, (200, json!({"visits": 1_001})));
    assert_eq!(system.count("visit").await, 1);
    assert_eq!(system.count("session").await, 1);
    assert_eq!(system.count("imported_visit").await, 0);
    let session = before["session_id"].as_str().unwrap();
    let session = system.read(&format!("/sessions/{session}")).await;
    assert_eq!(session["visits"], 1);
    assert_eq!(problem(system.get(&path)).await.0, 404);
    let path = "/analytics/summary?from=2015-05-17&to=2015-06-01";
    assert_eq!(system.read(path).await["visits"], 1);
    // Imported visits are never announced, even recent ones.
    let fresh = visit(&json!({"timestamp": noon() - TimeDelta::minutes(1)})).to_string();
    assert_eq!(system.import("format=ndjson", fresh).await["recorded"], 1);
    let announced = "select bool_or(announced) from visitor_analytics.session";
    let announced: bool = sqlx::query_scalar(announced)
        .fetch_one(&system.pool)
        .await
        .unwrap();
    assert!(!announced);
}

/// Deleting an import splits the sessions that its visits had joined.
#[sqlx::test(migrations = false)]
async fn removing_an_import_parts_the_sessions_it_joined(pool: PgPool) {
    let system = start(pool).await;
    let at = |minutes: i64| noon() - TimeDelta::hours(2) + TimeDelta::minutes(minutes);
    let own = |minutes: i64| visit(&json!({"timestamp": at(minutes), "visitor_id": "v"}));
    let first = system.record(&own(0)).await;
    let last = system.record(&own(50)).await;
    assert_ne!(first["session_id"], last["session_id"]);
    let line = own(25).to_string() + "\n";
    let done = system.import("format=ndjson", line).await;
    let session = async |of: &Value| {
        let path = format!("/visits/{}", of["id"].as_str().unwrap());
        system.read(&path).await["session_id"].clone()
    };
    assert_eq!(session(&first).await, session(&last).await);
    let marked = system.read("/visits").await["data"][1].clone();
    let marked = format!("/visits/{}/explain", marked["id"].as_str().unwrap());
    assert_eq!(system.read(&marked).await["import_id"], done["id"]);
    let path = format!("/imports/{}", done["id"].as_str().unwrap());
    let gone = system.delete(&path).send().await.unwrap();
    assert_eq!(gone.status(), 200);
    let (first, last) = (session(&first).await, session(&last).await);
    assert_ne!(first, last);
    for id in [first, last] {
        let session = system
            .read(&format!("/sessions/{}", id.as_str().unwrap()))
            .await;
        assert_eq!(session["visits"], 1);
    }
    assert_eq!(system.read("/analytics/summary").await["sessions"], 2);
}

#[sqlx::test(migrations = false)]
async fn what_breaks_off_goes_on(pool: PgPool) {
    let system = start(pool).await;
    let log = access_log();
    // The connection is closed in the middle of a line, after most of the file.
    let cut = log.len() * 2 / 3;
    let head = format!(
        "POST /import?{LOG} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\
         Content-Length: {}\r\n\r\n",
        system.token,
        log.len()
    );
    let address = system.base.strip_prefix("http://").unwrap();
    let mut sender = tokio::net::TcpStream::connect(address).await.unwrap();
    sender.write_all(head.as_bytes()).await.unwrap();
    sender.write_all(&log.as_bytes()[..cut]).await.unwrap();
    sender.shutdown().await.unwrap();
    let interrupted = crate::support::until("it is noticed", async || {
        let list = system.read("/imports").await;
        let import = list["data"][0].clone();
        (import["state"] == "interrupted").then_some(import)
    })
    .await;
    let lines = interrupted["lines"].as_i64().unwrap();
    assert!((1_500..2_500).contains(&lines), "{interrupted}");
    let done = system.import(LOG, log).await;
    assert_eq!(done["id"], interrupted["id"]);
    assert_eq!(done["recorded"], 1_000, "{done}");
    assert_eq!(system.count("visit").await, 1_000);
}

#[sqlx::test(migrations = false)]
async fn an_export_is_imported_as_it_was(pool: PgPool) {
    let first = start(pool.clone()).await;
    let mut lines = String::new();
    for line in REAL.lines().take(300) {
        let mut visit: Value = serde_json::from_str(line).unwrap();
        visit["title"] = json!("=a, \"b\" - c");
        visit["properties"] = json!({"plan": "a,b\n\"c\""});
        lines += &(visit.to_string() + "\n");
    }
    let import = first.import("format=ndjson", lines).await;
    assert_eq!(import["recorded"], 300, "{import}");
    let some = first.read("/visits?include_bots=true&limit=1").await["data"][0].clone();
    let path = format!("/visits/{}/engagement", some["id"].as_str().unwrap());
    let sent = first
        .post_to(&path)
        .json(&json!({"engagement_seconds": 7, "scroll_depth": 40}));
    assert_eq!(sent.send().await.unwrap().status(), 200);
    // The report confirms a browser, so the visit changes.
    let one = format!("/visits/{}", some["id"].as_str().unwrap());
    let some = first.read(&one).await;
    let was = first
        .reports("www.semicomplete.com", "2015-05-17", "2015-06-01")
        .await;
    let export = async |format: &str| {
        let path = format!("/export/visits?format={format}&include_bots=true");
        first.get(&path).send().await.unwrap().text().await.unwrap()
    };
    let (csv, ndjson) = (export("csv").await, export("ndjson").await);
    let second = start_replica(pool, first.geo.clone(), first.notification.clone()).await;
    // Visits that exist already are duplicates.
    let done = second.import("format=csv", csv.clone()).await;
    assert_eq!(counts(&done), [0, 300, 1, 0], "{done}");
    for (format, file) in [("csv", csv), ("ndjson", ndjson)] {
        for table in [
            "visit",
            "session",
            "imported_visit",
            "import",
            "unfolded_day",
            "rollup_day",
            "column_block",
        ] {
            let empty = format!("delete from visitor_analytics.{table}");
            let empty = sqlx::query(sqlx::AssertSqlSafe(empty));
            empty.execute(&second.pool).await.unwrap();
        }
        let done = second.import(&format!("format={format}"), file).await;
        assert_eq!(done["recorded"], 300, "{done}");
        let is = second
            .reports("www.semicomplete.com", "2015-05-17", "2015-06-01")
            .await;
        assert_eq!(is, was, "{format}");
        let mut visit = second.read(&one).await;
        assert_eq!(
            [&visit["engagement_seconds"], &visit["scroll_depth"]],
            [7, 40]
        );
        for field in [
            "session_id",
            "received_at",
            "engagement_seconds",
            "scroll_depth",
        ] {
            visit[field] = some[field].clone();
        }
        assert_eq!(visit, some, "{format}");
    }
}

#[sqlx::test(migrations = false)]
async fn bad_lines_and_other_files_are_named(pool: PgPool) {
    let system = start(pool).await;
    let good = visit(&json!({"timestamp": "2026-11-20T10:00:00Z"})).to_string();
    let future = visit(&json!({"timestamp": "2027-11-20T10:00:00Z"})).to_string();
    let timeless = visit(&json!({})).to_string();
    let long = "x".repeat(70_000);
    let file = format!("{good}\n{future}\nnonsense\n{timeless}\n{long}\n\n{good}\n");
    let done = system.import("format=ndjson", file.clone()).await;
    assert_eq!(counts(&done), [2, 0, 1, 4], "{done}");
    let errors = done["errors"].as_array().unwrap().iter();
    let errors: Vec<_> = errors
        .map(|e| (e["line"].as_i64().unwrap(), e["code"].as_str().unwrap()))
        .collect();
    let expected = [
        (2, "TIMESTAMP_IN_FUTURE"),
        (3, "LINE_INVALID"),
        (4, "TIMESTAMP_REQUIRED"),
        (5, "LINE_UNREADABLE"),
    ];
    assert_eq!(errors, expected);
    // A different file with the same beginning.
    let other = file.replace("nonsense", "other");
    let found = problem(system.post_to("/import?format=ndjson").body(other.clone())).await;
    assert_eq!((found.0, found.1.as_str()), (409, "IMPORT_DIFFERS"));
    let id = "019a0000-0000-7000-8000-000000000001";
    let done = system
        .import(&format!("format=ndjson&id={id}"), other)
        .await;
    assert_eq!([&done["id"], &done["recorded"]], [&json!(id), &json!(2)]);
    for (query, field) in [
        ("format=xml", "format"),
        ("", "format"),
        ("format=combined", "site"),
        ("format=csv&site=%3F", "site"),
        ("format=csv&id=7", "id"),
        ("format=csv&colour=blue", "colour"),
    ] {
        let (status, _, named) = problem(system.post_to(&format!("/import?{query}"))).await;
        assert_eq!((status, named.as_str()), (400, field), "{query}");
    }
    let empty = system.import("format=csv", "").await;
    assert_eq!(counts(&empty), [0, 0, 0, 0]);
    assert_eq!(problem(system.get("/imports?cursor=x")).await.2, "cursor");
    assert_eq!(problem(system.delete("/imports/7")).await.2, "path");
}

#[sqlx::test(migrations = false)]
async fn a_packed_file_is_bounded_while_it_is_unpacked(pool: PgPool) {
    let system = start(pool).await;
    let import = |file: &[u8]| {
        let mut encoder = GzEncoder::new(vec![], Compression::best());
        encoder.write_all(file).unwrap();
        let request = system.post_to("/import?format=ndjson");
        let request = request.header("content-encoding", "gzip");
        request.body(encoder.finish().unwrap())
    };
    // Two million lines, compressed to two kilobytes.
    let (status, code, field) = problem(import(&vec![b'\n'; 2_200_000])).await;
    assert_eq!(
        (status, code.as_str(), field.as_str()),
        (413, "BODY_TOO_LARGE", "body")
    );
    let line = visit(&json!({"timestamp": "2026-11-20T10:00:00Z"})).to_string();
    let (status, done) = answer(import(line.as_bytes()).send().await.unwrap()).await;
    assert_eq!((status, &done["recorded"]), (200, &json!(1)), "{done}");
    let packed_otherwise = system.post_to("/import?format=ndjson");
    let packed_otherwise = packed_otherwise.header("content-encoding", "br").body("x");
    assert_eq!(problem(packed_otherwise).await.2, "content-encoding");
}
