//! Export of visits.

use std::io::Read as _;

use chrono::TimeDelta;
use common::jwt::Scope;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use visitor_analytics::domain::export::csv;

use crate::support::{TestSystem, noon, problem, start, token_for_subject, visit};

async fn filled(pool: PgPool, visits: i64) -> TestSystem {
    let system = start(pool).await;
    let visits: Vec<Value> = (0..visits)
        .map(|n| {
            let moment = noon() - TimeDelta::minutes(31 * n);
            visit(&json!({
                "timestamp": moment, "url": format!("https://shop.example/{n}"),
                "title": format!("=HYPERLINK({n})"), "visitor_id": format!("v{}", n % 7),
                "user_agent": if n % 10 == 3 { "curl/8.5.0" } else { crate::support::FIREFOX },
            }))
        })
        .collect();
    for part in visits.chunks(1_000) {
        let done = system.post(&json!(part)).send().await.unwrap();
        assert_eq!(done.status(), 200);
    }
    system
}

async fn text(system: &TestSystem, query: &str) -> String {
    let answer = system.get(&format!("/export/visits{query}")).send().await;
    let answer = answer.unwrap();
    assert_eq!(answer.status(), 200, "{query}");
    answer.text().await.unwrap()
}

#[sqlx::test(migrations = false)]
async fn every_visit_is_in_the_file_once_and_as_it_is_read(pool: PgPool) {
    let system = filled(pool, 2_345).await;
    let text = text(&system, "?format=ndjson&include_bots=true").await;
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2_345);
    assert!(lines.is_sorted_by_key(|line| line["timestamp"].as_str().unwrap().to_owned()));
    let mut line = lines[7].clone();
    let agent = line.as_object_mut().unwrap().remove("user_agent").unwrap();
    assert_eq!(agent, crate::support::FIREFOX);
    let path = format!("/visits/{}", line["id"].as_str().unwrap());
    assert_eq!(line, system.read(&path).await);
}

#[sqlx::test(migrations = false)]
async fn csv_can_be_opened_in_a_spreadsheet(pool: PgPool) {
    let system = filled(pool, 30).await;
    let request = system.get("/export/visits").send().await.unwrap();
    let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(
        header("content-type"),
        "text/csv; charset=utf-8; header=present"
    );
    assert_eq!(
        header("content-disposition"),
        "attachment; filename=\"visits.csv\""
    );
    let text = request.text().await.unwrap();
    let mut lines = text.lines();
    let names = csv::parse_record(lines.next().unwrap()).unwrap();
    let lines: Vec<_> = lines.map(|line| csv::parse_record(line).unwrap()).collect();
    assert_eq!(lines.len(), 27);
    assert!(text.contains(",'=HYPERLINK(0),") && !text.contains(",="));
    let place = |name: &str| names.iter().position(|one| one == name).unwrap();
    assert_eq!(lines[0][place("path")], "/29");
    assert_eq!(lines[0][place("country_code")], "GB");
}

#[sqlx::test(migrations = false)]
async fn files_are_filtered_and_compressed(pool: PgPool) {
    let system = filled(pool, 100).await;
    for (query, expected) in [
        ("", 90),
        ("&include_bots=only", 10),
        ("&include_bots=true&site=shop.example", 100),
        ("&page=/1*", 10),
        ("&page=/nothing", 0),
        ("&from=2026-11-20", 21),
        ("&from=2026-11-20T11:00:00Z&to=2026-11-20T12:00:00Z", 1),
        ("&from=2026-11-20&time_zone=Asia/Tokyo", 37),
    ] {
        let text = text(&system, &format!("?format=ndjson{query}")).await;
        assert_eq!(text.lines().count(), expected, "{query}");
    }
    let request = system
        .get("/export/visits")
        .header("accept-encoding", "gzip");
    let answer = request.send().await.unwrap();
    // reqwest may already have decompressed the body, because it sends this header itself.
    let bytes = answer.bytes().await.unwrap();
    let mut plain = String::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut gzip = flate2::read::GzDecoder::new(&bytes[..]);
        gzip.read_to_string(&mut plain).unwrap();
    } else {
        plain = String::from_utf8(bytes.to_vec()).unwrap();
    }
    assert_eq!(plain.lines().count(), 91);
    let answer = system.get("/export/visits?format=parquet").send().await;
    let file = answer.unwrap().bytes().await.unwrap();
    assert!(file.starts_with(b"PAR1") && file.ends_with(b"PAR1"));
}

#[sqlx::test(migrations = false)]
async fn wrong_parameters_of_an_export_are_named(pool: PgPool) {
    let system = filled(pool, 1).await;
    for (query, status, field) in [
        ("format=xml", 400, "format"),
        ("from=yesterday", 400, "from"),
        ("from=2026-11-20&to=2026-11-19", 400, "from"),
        ("exit_page=/", 400, "exit_page"),
        ("limit=5", 400, "limit"),
        ("site=no.example", 404, "site"),
    ] {
        let found = problem(system.get(&format!("/export/visits?{query}"))).await;
        assert_eq!((found.0, found.2.as_str()), (status, field), "{query}");
    }
}

/// Starts an export and reads only the beginning of the response.
async fn start_unread_export(system: &TestSystem) -> (TcpStream, String) {
    let address = system.base.strip_prefix("http://").unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stream = socket.connect(address.parse().unwrap()).await.unwrap();
    let request = format!(
        "GET /export/visits?format=ndjson HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\r\n",
        system.token
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut beginning = [0; 12];
    stream.read_exact(&mut beginning).await.unwrap();
    let beginning = String::from_utf8_lossy(&beginning).into_owned();
    (stream, beginning)
}

#[sqlx::test(migrations = false)]
async fn exports_that_nobody_reads_leave_room_for_other_tokens(pool: PgPool) {
    // More than the buffers hold. Every tenth visit is a bot's.
    let mut system = filled(pool, 6_000).await;
    let _first = start_unread_export(&system).await;
    let (_second, begun) = start_unread_export(&system).await;
    assert_eq!(begun, "HTTP/1.1 200");
    let third = problem(system.get("/export/visits")).await;
    assert_eq!((third.0, third.1.as_str()), (503, "UNAVAILABLE"));
    system.token = token_for_subject(&system.clock, "owner", &[Scope::VisitsRead]);
    let file = text(&system, "").await;
    assert_eq!(file.lines().count(), 5_401);
}
