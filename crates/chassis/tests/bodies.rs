//! Limits of request bodies. A separate test binary, because the tests exhaust the memory limit of
//! the process.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::io::Write as _;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use bytes::Bytes;
use chassis::body::{BodyError, BodyReader, MAX_BYTES_IN_FLIGHT};
use chassis::extract::{read_json_bytes, read_untrusted_bytes};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::StreamExt as _;
use futures::stream::{iter, pending};
use tokio::task::JoinSet;

const LIMIT: usize = 1_572_864;

fn gzip_compress(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(vec![], Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A body that sends these bytes and never ends.
fn unfinished_body(bytes: Bytes) -> Body {
    let come = iter([Ok::<_, std::io::Error>(bytes)]);
    Body::from_stream(come.chain(pending()))
}

fn gzip_headers() -> HeaderMap {
    HeaderMap::from_iter([(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))])
}

async fn read(headers: &HeaderMap, body: impl Into<Body>) -> Result<Bytes, BodyError> {
    BodyReader::new(headers, body.into())?.read_all(LIMIT).await
}

/// One test, because all cases share the memory limit of the process.
#[tokio::test]
async fn bodies_are_bounded_alone_and_together() {
    packed_bodies_are_unpacked_up_to_a_limit().await;
    bodies_in_flight_are_bounded().await;
    without_a_token_little_is_read().await;
}

async fn packed_bodies_are_unpacked_up_to_a_limit() {
    let long = vec![b'a'; LIMIT];
    let one = gzip_compress(b"one, ");
    assert_eq!(read(&gzip_headers(), one.clone()).await.unwrap(), "one, ");
    // A gzip file may have several members (RFC 1952 §2.2).
    let two = [one.clone(), gzip_compress(b"two")].concat();
    assert_eq!(read(&gzip_headers(), two).await.unwrap(), "one, two");
    assert_eq!(read(&HeaderMap::new(), long.clone()).await.unwrap(), long);
    let mixed: Vec<u8> = std::iter::successors(Some(1_u64), |state| {
        Some(
            state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1),
        )
    })
    .map(|state| state.to_be_bytes()[0])
    .take(LIMIT)
    .collect();
    assert_eq!(
        read(&gzip_headers(), gzip_compress(&mixed)).await.unwrap(),
        mixed
    );
    let bad = [
        (
            gzip_compress(&[long.clone(), vec![b'a']].concat()),
            BodyError::TooLarge,
        ),
        (gzip_compress(&vec![b'a'; 20 * LIMIT]), BodyError::TooLarge),
        (one[..10].to_vec(), BodyError::Incomplete),
        (b"no gzip".to_vec(), BodyError::Incomplete),
    ];
    for (bytes, expected) in bad {
        assert_eq!(read(&gzip_headers(), bytes).await.unwrap_err(), expected);
    }
}

async fn bodies_in_flight_are_bounded() {
    // 1.3 kB each, one megabyte decompressed.
    let bomb = Bytes::from(gzip_compress(&vec![b'a'; 1_000_000]));
    let start = bomb.slice(..bomb.len() - 8);
    let mut readers = JoinSet::new();
    for _ in 0..400 {
        let body = unfinished_body(start.clone());
        readers.spawn(async move { read(&gzip_headers(), body).await });
    }
    let mut refused = 0;
    while refused < 400 - MAX_BYTES_IN_FLIGHT / 1_000_000 {
        let ended = readers.join_next().await.unwrap().unwrap();
        assert_eq!(ended.unwrap_err(), BodyError::MemoryExhausted);
        refused += 1;
    }
    assert!(!readers.is_empty());
    let whole = read(&HeaderMap::new(), vec![b'a'; 1_000_000]).await;
    readers.shutdown().await;
    assert_eq!(whole.unwrap_err(), BodyError::MemoryExhausted);
    let whole = read(&HeaderMap::new(), vec![b'a'; 1_000_000]).await;
    assert_eq!(whole.unwrap().len(), 1_000_000);
}

async fn without_a_token_little_is_read() {
    let request = axum::http::Request::post("/");
    let request = request.header("content-encoding", "gzip");
    let request = request.body(gzip_compress(b"{}").into()).unwrap();
    let refused = read_untrusted_bytes(request, 10).await.unwrap_err();
    assert_eq!(refused.status(), 415);
    let long = axum::http::Request::post("/").body(Body::from("eleven long"));
    let refused = read_untrusted_bytes(long.unwrap(), 10).await.unwrap_err();
    assert_eq!(refused.status(), 413);
    let slow = axum::http::Request::post("/").body(unfinished_body("half".into()));
    let request = axum::http::Request::post("/");
    let request = request.header("content-type", "application/json");
    let request = request.body(unfinished_body("{".into())).unwrap();
    // Both run into the read timeout.
    let (slow, json) = tokio::join!(
        read_untrusted_bytes(slow.unwrap(), 10),
        read_json_bytes(request)
    );
    assert_eq!(slow.unwrap_err().status(), 408);
    assert_eq!(json.unwrap_err().status(), 408);
}
