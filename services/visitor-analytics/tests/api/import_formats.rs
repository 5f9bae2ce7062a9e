//! Import of logs of real servers.

use common::readable_url::readable_path;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{problem, start};

/// Example lines, which the unit tests and the Django package read as well.
const CASES: &str = include_str!("access_log_cases.jsonl");
const AGENT: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0";

#[sqlx::test(migrations = false)]
async fn example_lines_give_the_expected_pages(pool: PgPool) {
    let system = start(pool).await;
    for (number, row) in CASES.lines().enumerate() {
        let case: Value = serde_json::from_str(row).unwrap();
        // Files of the formats with directives and those with the same first line need ids.
        let id = format!("019a0000-0000-7000-8000-{number:012}");
        let format = case["format"].as_str().unwrap();
        let lines = case["lines"].as_array().unwrap().iter();
        let lines: Vec<&str> = lines.map(|line| line.as_str().unwrap()).collect();
        let file = lines.join("\n") + "\n";
        let query = format!("format={format}&site=shop.example&id={id}");
        let done = system.import(&query, file).await;
        let about = format!("{}: {done}", case["about"]);
        let recorded = i64::from(case.get("page").is_some());
        assert_eq!(done["recorded"], recorded, "{about}");
        if let Some(kind) = case["skipped"].as_str() {
            assert!(done["skipped_kinds"][kind].as_i64() >= Some(1), "{about}");
        }
        if let Some(field) = case.get("rejected") {
            assert_eq!(done["rejected"], 1, "{about}");
            assert_eq!(&done["errors"][0]["field"], field, "{about}");
        }
        if recorded == 0 {
            continue;
        }
        let visits = system.read("/visits?include_bots=true&limit=1").await;
        let visit = &visits["data"][0];
        assert_eq!(visit["user_id"], case["page"]["user_id"], "{about}");
        assert_eq!(visit["site"], "shop.example", "{about}");
        let url = url::Url::parse(case["page"]["url"].as_str().unwrap()).unwrap();
        assert_eq!(visit["path"], *readable_path(url.path()), "{about}");
        let gone = system
            .delete(&format!("/imports/{id}"))
            .send()
            .await
            .unwrap();
        assert_eq!(gone.status(), 200);
    }
}

#[sqlx::test(migrations = false)]
async fn the_format_of_a_file_is_found(pool: PgPool) {
    let system = start(pool).await;
    let log = format!(
        "\u{feff}81.2.69.5 - - [20/Nov/2026:10:13:55 +0000] \"GET /a HTTP/1.1\" 200 5 \"-\" \"{AGENT}\"\r\n\
         81.2.69.5 - - [20/Nov/2026:10:13:56 +0000] \"GET /a.css HTTP/1.1\" 200 5 \"-\" \"{AGENT}\"\r\n\
         node3.example.com - - [20/Nov/2026:10:13:57 +0000] \"GET /b HTTP/1.1\" 200 5 \"-\" \"-\"\r\n"
    );
    let done = system
        .import("format=auto&site=shop.example", log.clone())
        .await;
    assert_eq!(done["format"], "combined");
    assert_eq!(
        [&done["recorded"], &done["skipped"], &done["rejected"]],
        [1, 1, 1]
    );
    assert_eq!(done["skipped_kinds"], json!({"asset": 1}));
    let error = &done["errors"][0];
    assert_eq!([&error["code"], &error["field"]], ["IP_INVALID", "ip"]);
    assert!(
        error["detail"]
            .as_str()
            .unwrap()
            .contains("HostnameLookups Off")
    );
    // The named format and the file without byte order mark are the same import.
    let plain = log.trim_start_matches('\u{feff}').to_owned();
    let again = system
        .import("format=combined&site=shop.example", plain)
        .await;
    assert_eq!(again, done);

    // Two files of CloudFront begin with the same directives. The second import is continued.
    let head =
        "#Version: 1.0\n#Fields: date time c-ip cs-method cs-uri-stem sc-status cs(User-Agent)\n";
    let row = |second: u32| {
        format!("2026-11-20\t10:14:{second:02}\t81.2.69.6\tGET\t/c\t200\tMozilla/5.0%20X\n")
    };
    let first = format!("{head}{}{}", row(0), row(1));
    let second = format!("{head}{}{}", row(10), row(11));
    let one = system.import("format=auto&site=shop.example", first).await;
    let two = system
        .import("format=auto&site=shop.example", second.clone())
        .await;
    assert_eq!(
        [&one["format"], &one["recorded"], &two["recorded"]],
        [&json!("w3c"), &json!(2), &json!(2)]
    );
    assert_ne!(one["id"], two["id"]);
    assert_eq!(two["skipped_kinds"], json!({"header": 2}));
    let grown = system
        .import("format=w3c&site=shop.example", second + &row(12))
        .await;
    assert_eq!([&grown["id"], &grown["recorded"]], [&two["id"], &json!(3)]);

    let umami = "session_id,created_at,url_path,hostname,browser,os,country\n\
        0d6c3b5e-0000-4000-8000-000000000002,2026-11-20 10:13:55,/umami,shop.example,firefox,Linux,GB\n";
    let done = system.import("format=auto&site=shop.example", umami).await;
    assert_eq!(
        [&done["format"], &done["recorded"]],
        [&json!("umami"), &json!(1)],
        "{done}"
    );
    let visits = system.read("/visits?limit=50").await;
    let mut visits = visits["data"].as_array().unwrap().iter();
    let visit = visits.find(|visit| visit["path"] == "/umami").unwrap();
    assert_eq!(
        [&visit["browser"], &visit["os"], &visit["country_code"]],
        ["Firefox", "Linux", "GB"]
    );
    assert_eq!(visit["is_bot"], false);
}

#[sqlx::test(migrations = false)]
async fn a_file_of_another_kind_is_refused_with_the_formats(pool: PgPool) {
    let system = start(pool).await;
    for (query, file, field, words) in [
        (
            "format=auto&site=a.example",
            "nothing\nof the kind\n",
            "format",
            "nginx_json",
        ),
        ("format=auto&site=a.example", "", "format", "caddy"),
        ("format=xml&site=a.example", "", "format", "w3c"),
        (
            "format=plausible&site=a.example",
            "",
            "format",
            "totals per day",
        ),
        (
            "format=auto&site=a.example",
            "date,visitors,pageviews\n2026-11-20,1,2\n",
            "format",
            "totals per day",
        ),
        (
            "format=csv&site=a.example",
            "date,visitors,pageviews\n2026-11-20,1,2\n",
            "format",
            "totals per day",
        ),
        ("format=caddy", "", "site", "required"),
        ("format=auto", "#Fields: date time\n", "site", "w3c"),
    ] {
        let request = system.post_to(&format!("/import?{query}")).body(file);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 400, "{query}");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["field"], field, "{query}: {body}");
        assert!(
            body["detail"].as_str().unwrap().contains(words),
            "{query}: {body}"
        );
    }
    assert_eq!(system.read("/imports").await["data"], json!([]));
    // A file with the byte order mark of a spreadsheet program.
    let csv = format!(
        "\u{feff}id,url,ip,user_agent,timestamp\r\n02524446-af8b-4542-93f5-75ef105afbff,\
         https://csv.example/a,81.2.69.1,\"{AGENT}\",2026-11-20T10:00:00Z\r\n"
    );
    let done = system
        .import("format=csv&site=imp.example", csv.clone())
        .await;
    assert_eq!([&done["recorded"], &done["skipped"]], [1, 1], "{done}");
    let plain = csv.trim_start_matches('\u{feff}').to_owned();
    let query = "format=csv&site=imp.example&id=019a0000-0000-7000-8000-000000000001";
    assert_eq!(system.import(query, plain).await["duplicates"], 1);
    assert_eq!(
        problem(system.post_to("/import?format=auto&site=%3F"))
            .await
            .2,
        "site"
    );
}

#[sqlx::test(migrations = false)]
async fn unknown_columns_and_fields_are_named(pool: PgPool) {
    let system = start(pool).await;
    let csv = "url,ip,user_agent,timestamp,referer,colour\n\
        https://shop.example/,81.2.69.1,Mozilla/5.0,2026-11-19T10:00:00Z,https://www.bing.com/,red\n\
        https://shop.example/,81.2.69.2,Mozilla/5.0,2026-11-19T10:00:00Z,,blue\n";
    let done = system.import("format=csv", csv).await;
    assert_eq!(done["recorded"], 2, "{done}");
    let warning = json!(["the field `colour` is unknown and was ignored"]);
    assert_eq!(done["warnings"], warning);
    let path = format!("/imports/{}", done["id"].as_str().unwrap());
    assert_eq!(system.read(&path).await["warnings"], warning);
    let list = system
        .read("/visits?site=shop.example&source=bing&include_bots=true")
        .await;
    assert_eq!(list["data"].as_array().unwrap().len(), 1, "{list}");
    let ndjson = r#"{"url": "https://shop.example/", "ip": "81.2.69.3", "user_agent": "Mozilla/5.0",
        "timestamp": "2026-11-19T10:00:00Z", "color": 7}"#;
    let done = system
        .import("format=ndjson", ndjson.replace('\n', " "))
        .await;
    assert_eq!(
        done["warnings"],
        json!(["the field `color` is unknown and was ignored"])
    );
    let export = system
        .get("/export?site=shop.example&format=csv")
        .send()
        .await
        .unwrap();
    let export = export
        .text()
        .await
        .unwrap()
        .replace("shop.example", "copy.example");
    let known = system
        .import("format=csv&site=copy.example", export.clone())
        .await;
    assert_eq!(known["warnings"], json!([]));
}
