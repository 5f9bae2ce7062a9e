//! Databases of released versions: each migrates to the present schema and gives the same answers.

use std::io::{BufRead as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use chrono::{DateTime, Utc};
use common::clock::Clock;
use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::Value;
use sqlx::{Executor as _, PgPool, SqlSafeStr as _};

use crate::running::{database_url, start_geo, start_notification, start_visitor_analytics};

#[derive(Deserialize)]
struct DumpHeader {
    made_at: DateTime<Utc>,
    outbox: i64,
}

#[derive(Deserialize)]
struct RecordedAnswer {
    service: String,
    path: String,
    answer: Value,
}

/// The dumps, each named after the version that wrote it; `make.py` beside them makes another.
fn dumps() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/dumps");
    let files = folder.read_dir().unwrap().map(|file| file.unwrap().path());
    files
        .filter(|path| path.to_string_lossy().ends_with(".sql.gz"))
        .collect()
}

fn decompress(file: &Path) -> String {
    let mut text = String::new();
    let file = std::fs::File::open(file).unwrap();
    GzDecoder::new(file).read_to_string(&mut text).unwrap();
    text
}

fn restore(dump: &Path, database: &url::Url) {
    let sql = decompress(dump);
    let mut psql = Command::new("psql")
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", database.as_str()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = psql.stdin.take().unwrap();
    input.write_all(sql.as_bytes()).unwrap();
    drop(input);
    assert!(psql.wait().unwrap().success(), "{}", dump.display());
}

fn recorded(dump: &Path) -> (DumpHeader, Vec<RecordedAnswer>) {
    let name = dump.to_str().unwrap().replace(".sql.gz", ".jsonl");
    let file = std::io::BufReader::new(std::fs::File::open(name).unwrap());
    let mut lines = file.lines().map(Result::unwrap);
    let header = serde_json::from_str(&lines.next().unwrap()).unwrap();
    let answers = lines.map(|line| serde_json::from_str(&line).unwrap());
    (header, answers.collect())
}

/// Codes of bot rules that were renamed after 0.1.0.
const RENAMED_CODES: [(&str, &str); 4] = [
    ("unlike_a_browser", "malformed_user_agent"),
    ("never_existed", "impossible_version"),
    ("strange_ending", "unknown_suffix"),
    ("crawler_pretender", "spoofed_crawler"),
];

fn with_current_codes(answer: &Value) -> Value {
    let mut text = answer.to_string();
    for (old, new) in RENAMED_CODES {
        text = text.replace(&format!("\"{old}\""), &format!("\"{new}\""));
    }
    serde_json::from_str(&text).unwrap()
}

/// Fields that answers have since 0.1.0.
const ADDED_FIELDS: [&str; 4] = ["source_name", "visitor_ids", "estimated", "estimated_error"];

/// An answer without the moment at which it was computed and without added fields.
fn comparable(mut answer: Value) -> Value {
    fn remove_added(value: &mut Value) {
        match value {
            Value::Array(values) => values.iter_mut().for_each(remove_added),
            Value::Object(fields) => {
                fields.retain(|name, _| !ADDED_FIELDS.contains(&name.as_str()));
                fields.values_mut().for_each(remove_added);
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    answer.as_object_mut().unwrap().remove("as_of");
    remove_added(&mut answer);
    answer
}

#[sqlx::test(migrations = false)]
async fn a_database_of_each_released_version_migrates_and_answers_the_same(pool: PgPool) {
    let dumps = dumps();
    assert_eq!(dumps.len(), 1, "one database for each dump");
    let (header, answers) = recorded(&dumps[0]);
    let database = database_url(&pool);
    restore(&dumps[0], &database);
    let clock = Clock::manual(header.made_at);
    let geo = start_geo(Some(&database), &clock).await;
    let notification = start_notification(&database, &clock).await;
    let analytics = start_visitor_analytics(&database, &geo, &clock).await;
    let waiting: i64 = sqlx::query_scalar("select count(*) from visitor_analytics.outbox")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(waiting, header.outbox);
    for before in answers {
        let service = match before.service.as_str() {
            "geo" => &geo,
            "notification" => &notification,
            _ => &analytics,
        };
        let now = serde_json::from_str(&service.text(&before.path).await).unwrap();
        let before_answer = with_current_codes(&before.answer);
        assert_eq!(
            comparable(now),
            comparable(before_answer),
            "{}",
            before.path
        );
    }
}

/// During an update, processes of the previous version work on the schema of the new one.
#[sqlx::test(migrations = false)]
async fn statements_of_the_previous_version_are_valid_on_the_present_schema(pool: PgPool) {
    let (database, clock) = (database_url(&pool), Clock::system());
    let geo = start_geo(Some(&database), &clock).await;
    let _notification = start_notification(&database, &clock).await;
    let _analytics = start_visitor_analytics(&database, &geo, &clock).await;
    let dump = dumps().into_iter().max().unwrap();
    let file = dump
        .to_str()
        .unwrap()
        .replace(".sql.gz", ".statements.jsonl.gz");
    let text = decompress(Path::new(&file));
    let mut connection = pool.acquire().await.unwrap();
    let mut invalid = vec![];
    for line in text.lines() {
        let statement: String = serde_json::from_str(line).unwrap();
        let prepared = connection
            .prepare(sqlx::AssertSqlSafe(statement.clone()).into_sql_str())
            .await;
        invalid.extend(prepared.err().map(|error| format!("{error}: {statement}")));
    }
    assert!(text.lines().count() > 300);
    assert!(invalid.is_empty(), "{invalid:#?}");
}
