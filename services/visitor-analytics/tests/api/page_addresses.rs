//! Each page has one address, however it is written, and people see its readable form.

use common::jwt::Scope;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{TestSystem, answer, start, token, visit};

const SPELLINGS: [&str; 4] = [
    "https://uni.example/danke/schön",
    "https://uni.example/danke/sch%C3%B6n",
    "https://uni.example/danke/sch%c3%b6n",
    "https://UNI.example/x/../d%61nke/sch%c3%b6n#top",
];

async fn record_spellings(system: &TestSystem) {
    for (number, url) in SPELLINGS.iter().enumerate() {
        let ip = format!("81.2.69.{number}");
        let sent = visit(&json!({"url": url, "ip": ip}));
        system.record(&sent).await;
    }
}

async fn post(system: &TestSystem, path: &str, body: &Value) -> (u16, Value) {
    answer(system.post_to(path).json(body).send().await.unwrap()).await
}

#[sqlx::test(migrations = false)]
async fn all_spellings_are_one_page(pool: PgPool) {
    let system = start(pool).await;
    record_spellings(&system).await;
    assert_eq!(system.count("page").await, 1);
    let pages = system
        .read("/analytics/breakdown?site=uni.example&by=page")
        .await;
    assert_eq!(pages["data"].as_array().unwrap().len(), 1, "{pages}");
    assert_eq!(pages["data"][0]["value"], "/danke/schön");
    assert_eq!(pages["data"][0]["visits"], 4);
    let list = system.read("/visits?site=uni.example").await;
    for visit in list["data"].as_array().unwrap() {
        assert_eq!(visit["path"], "/danke/schön");
        assert_eq!(visit["url"], "https://uni.example/danke/sch%C3%B6n");
    }
    // `%25` is a percent sign in a query.
    for page in [
        "/danke/schön",
        "/danke/sch%25C3%25B6n",
        "/danke/sch%25c3%25b6n",
        "*ö*",
    ] {
        let path = format!("/analytics/summary?site=uni.example&page={page}");
        assert_eq!(system.read(&path).await["visits"], 4, "{page}");
        let path = format!("/visits?site=uni.example&page={page}");
        let found = system.read(&path).await;
        assert_eq!(found["data"].as_array().unwrap().len(), 4, "{page}");
    }
}

#[sqlx::test(migrations = false)]
async fn goals_funnels_and_journeys_find_the_page(pool: PgPool) {
    let mut system = start(pool).await;
    system.token = token(&system.clock, &[Scope::Admin], 86_400);
    record_spellings(&system).await;
    let goal = json!({"site": "uni.example", "name": "Danke", "page": "/danke/schön"});
    assert_eq!(post(&system, "/goals", &goal).await.0, 201);
    let reached = system
        .read("/analytics/summary?site=uni.example&goal=Danke")
        .await;
    assert_eq!(reached["conversions"], 4, "{reached}");
    let around = system
        .read("/analytics/journeys?site=uni.example&around=/danke/schön")
        .await;
    assert_eq!(around["total"], 4, "{around}");
    let journeys = system.read("/analytics/journeys?site=uni.example").await;
    assert_eq!(journeys["data"][0]["pages"], json!(["/danke/schön"]));
    let funnel = json!({"site": "uni.example", "steps": [{"page": "/danke/sch*n"}]});
    let (status, funnel) = post(&system, "/analytics/funnel", &funnel).await;
    assert_eq!(status, 200, "{funnel}");
    assert_eq!(funnel["steps"][0]["visitors"], 4, "{funnel}");
    let sessions = system.read("/sessions?site=uni.example").await;
    assert_eq!(sessions["data"][0]["entry_path"], "/danke/schön");
}

#[sqlx::test(migrations = false)]
async fn ignored_paths_are_compared_in_the_same_form(pool: PgPool) {
    let mut system = start(pool).await;
    system.token = token(&system.clock, &[Scope::Admin], 86_400);
    let site = json!({"domain": "uni.example", "ignored_paths": ["/danke/sch%c3%b6n", "/über*"]});
    assert_eq!(post(&system, "/sites", &site).await.0, 201);
    for url in [
        SPELLINGS[0],
        SPELLINGS[3],
        "https://uni.example/%C3%BCber/uns",
    ] {
        let sent = system.record(&visit(&json!({"url": url}))).await;
        assert_eq!(sent["status"], "ignored", "{url}");
    }
}

#[sqlx::test(migrations = false)]
async fn sources_have_names(pool: PgPool) {
    let system = start(pool).await;
    for (number, referrer) in ["https://en.m.wikipedia.org/", "https://t.co/x", ""]
        .iter()
        .enumerate()
    {
        let ip = format!("81.2.69.{number}");
        let sent = visit(&json!({"referrer": referrer, "ip": ip}));
        system.record(&sent).await;
    }
    let list = system.read("/visits?site=shop.example").await;
    let names = |rows: &Value| {
        let rows = rows["data"].as_array().unwrap().iter();
        let mut names: Vec<_> = rows.map(|row| row["source_name"].clone()).collect();
        names.sort_by_key(Value::to_string);
        names
    };
    let expected = [json!("Direct"), json!("Wikipedia"), json!("X")];
    assert_eq!(names(&list), expected);
    let sources = system
        .read("/analytics/breakdown?site=shop.example&by=source")
        .await;
    assert_eq!(names(&sources), expected);
}

#[sqlx::test(migrations = false)]
async fn unknown_fields_are_named(pool: PgPool) {
    let system = start(pool).await;
    let misspelled = visit(&json!({
        "referer": "https://www.google.com/", "user-agent": "x", "Title": "y"
    }));
    let sent = system.record(&misspelled).await;
    let warning = |name: &str| json!(format!("the field `{name}` is unknown and was ignored"));
    let mut warnings = sent["warnings"].as_array().unwrap().clone();
    warnings.sort_by_key(Value::to_string);
    assert_eq!(warnings, [warning("Title"), warning("user-agent")]);
    let path = format!("/visits/{}", sent["id"].as_str().unwrap());
    assert_eq!(system.read(&path).await["source"], "google");

    let right =
        visit(&json!({"referrer": "https://bing.com/", "referer": "https://www.google.com/"}));
    let (status, list) = post(&system, "/visits", &json!([right, misspelled])).await;
    assert_eq!(status, 200);
    assert_eq!(list["results"][0].get("warnings"), None);
    assert_eq!(list["results"][1]["warnings"].as_array().unwrap().len(), 2);
    let id = list["results"][0]["id"].as_str().unwrap();
    assert_eq!(
        system.read(&format!("/visits/{id}")).await["source"],
        "bing"
    );
}
