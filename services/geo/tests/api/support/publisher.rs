//! Plays those who publish databases: MaxMind's update service with its separate host of
//! downloads, and DB-IP.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use md5::{Digest as _, Md5};
use serde_json::json;
use tar::{EntryType, Header};
use tokio::sync::Semaphore;

use super::maxmind::{ACCOUNT, KEY};

/// What is done with a question for metadata.
#[derive(Clone, Debug)]
pub enum Metadata {
    /// Answers as MaxMind.
    True,
    /// Announces another checksum.
    WrongMd5,
    /// An error with MaxMind's body.
    Error(u16, &'static str),
    /// So many bare errors, then as MaxMind.
    Failing(usize, u16),
}

/// What is done with a download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Download {
    /// It is all there.
    Whole,
    /// The connection breaks in the middle.
    Cut,
    /// Half of it comes, and nothing more before [`Publisher::release`].
    Held,
}

#[derive(Clone)]
pub struct Publisher {
    pub base: String,
    shared: Arc<Shared>,
}

struct Shared {
    /// The host of the downloads, as MaxMind's redirect names it.
    elsewhere: Mutex<String>,
    databases: Mutex<BTreeMap<String, Vec<u8>>>,
    metadata: Mutex<Metadata>,
    download: Mutex<Download>,
    asked: Mutex<Vec<String>>,
    gate: Semaphore,
}

impl Publisher {
    pub async fn start() -> Self {
        let shared = Arc::new(Shared {
            elsewhere: Mutex::default(),
            databases: Mutex::default(),
            metadata: Mutex::new(Metadata::True),
            download: Mutex::new(Download::Whole),
            asked: Mutex::default(),
            gate: Semaphore::new(0),
        });
        let base = serve(Router::new().fallback(maxmind), shared.clone()).await;
        let elsewhere = serve(Router::new().fallback(storage), shared.clone()).await;
        *shared.elsewhere.lock().unwrap() = elsewhere.replace("127.0.0.1", "localhost");
        Self { base, shared }
    }

    pub fn publish(&self, edition: &str, database: Vec<u8>) {
        let mut databases = self.shared.databases.lock().unwrap();
        databases.insert(edition.into(), database);
    }

    pub fn metadata(&self, metadata: Metadata) {
        *self.shared.metadata.lock().unwrap() = metadata;
    }

    pub fn download(&self, download: Download) {
        *self.shared.download.lock().unwrap() = download;
    }

    /// Lets go on what is held.
    pub fn release(&self) {
        self.shared.gate.close();
    }

    /// What was asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().unwrap().clone()
    }

    pub fn times(&self, what: &str) -> usize {
        let asked = self.asked();
        asked.iter().filter(|asked| asked.contains(what)).count()
    }
}

async fn serve(router: Router<Arc<Shared>>, shared: Arc<Shared>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, router.with_state(shared)).into_future());
    base
}

pub fn hexadecimal_md5(bytes: &[u8]) -> String {
    let digest: [u8; 16] = Md5::digest(bytes).into();
    format!("{:032x}", u128::from_be_bytes(digest))
}

async fn maxmind(
    State(shared): State<Arc<Shared>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Response {
    let path = uri.path_and_query().unwrap().to_string();
    shared.asked.lock().unwrap().push(path.clone());
    let parts: Vec<_> = uri.path().trim_matches('/').split('/').collect();
    if let ["free", file] = parts[..] {
        return free(&shared, file);
    }
    let basic = format!("Basic {}", STANDARD.encode(format!("{ACCOUNT}:{KEY}")));
    if headers
        .get(header::AUTHORIZATION)
        .is_none_or(|it| *it != basic)
    {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    match parts[..] {
        ["geoip", "updates", "metadata"] => metadata(&shared, uri.query().unwrap_or_default()),
        ["geoip", "databases", edition, "download"] => {
            assert_eq!(uri.query(), Some("date=20261117&suffix=tar.gz"));
            let elsewhere = shared.elsewhere.lock().unwrap().clone();
            let target = format!("{elsewhere}/{edition}.tar.gz?signature=secret");
            (StatusCode::FOUND, [(header::LOCATION, target)]).into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn metadata(shared: &Shared, query: &str) -> Response {
    let edition = query.strip_prefix("edition_id=").unwrap();
    let mut behaviour = shared.metadata.lock().unwrap();
    let is_wrong = matches!(*behaviour, Metadata::WrongMd5);
    match &mut *behaviour {
        Metadata::Error(status, code) => {
            let status = StatusCode::from_u16(*status).unwrap();
            return (status, axum::Json(json!({"code": code, "error": "…"}))).into_response();
        }
        Metadata::Failing(left, status) if *left > 0 => {
            *left -= 1;
            return StatusCode::from_u16(*status).unwrap().into_response();
        }
        _ => {}
    }
    let databases = shared.databases.lock().unwrap();
    let Some(database) = databases.get(edition) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let md5 = if is_wrong {
        "0".repeat(32)
    } else {
        hexadecimal_md5(database).to_uppercase()
    };
    let offer = json!({"edition_id": edition, "md5": md5, "date": "2026-11-17"});
    axum::Json(json!({"databases": [offer]})).into_response()
}

/// Another company's storage: whoever shows it credentials has leaked them.
async fn storage(
    State(shared): State<Arc<Shared>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Response {
    let leaked = headers.contains_key(header::AUTHORIZATION);
    let what = if leaked { "LEAKED" } else { "storage" };
    shared.asked.lock().unwrap().push(format!("{what}{uri}"));
    let edition = uri.path().trim_matches('/').trim_end_matches(".tar.gz");
    let database = shared.databases.lock().unwrap().get(edition).cloned();
    let Some(database) = database else {
        return StatusCode::NOT_FOUND.into_response();
    };
    send(&shared, gzip(&tar(edition, &database)))
}

fn free(shared: &Arc<Shared>, file: &str) -> Response {
    let name = file.trim_end_matches(".mmdb.gz");
    let database = shared.databases.lock().unwrap().get(name).cloned();
    match database {
        Some(database) => send(shared, gzip(&database)),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn send(shared: &Arc<Shared>, archive: Vec<u8>) -> Response {
    let behaviour = *shared.download.lock().unwrap();
    if behaviour == Download::Whole {
        return archive.into_response();
    }
    let size = archive.len();
    let half = Bytes::copy_from_slice(&archive[..size / 2]);
    let shared = shared.clone();
    let rest = async move {
        if behaviour == Download::Held {
            // Closing the gate ends the wait with an error.
            let _ = shared.gate.acquire().await;
        }
        Err(std::io::Error::other("cut"))
    };
    let first = futures::stream::once(async move { Ok(half) });
    let body = futures::StreamExt::chain(first, futures::stream::once(rest));
    let mut response = Response::new(Body::from_stream(body));
    response.headers_mut().insert("content-length", size.into());
    response
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(vec![], Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An archive as MaxMind's: a folder, notices, and the database.
pub fn tar(edition: &str, database: &[u8]) -> Vec<u8> {
    let folder = format!("{edition}_20261117/");
    let mut archive = tar::Builder::new(vec![]);
    let mut add = |name: &str, kind: EntryType, content: &[u8]| {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        let name = format!("{folder}{name}");
        archive.append_data(&mut header, name, content).unwrap();
    };
    add("", EntryType::Directory, b"");
    add("LICENSE.txt", EntryType::Regular, b"free");
    add(&format!("{edition}.mmdb"), EntryType::Regular, database);
    add("COPYRIGHT.txt", EntryType::Regular, &[b'x'; 700]);
    archive.into_inner().unwrap()
}
