//! Reads response bodies with a bound on their size.

/// Reads a body. Returns `None` if it is incomplete or has more than `most` bytes after
/// decompression.
pub async fn read_limited(mut response: reqwest::Response, most: usize) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if body.len() + chunk.len() > most {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(body)
}
