//! Reading answers whose size is not ours to choose.

/// The answer's body, or `None` where it breaks off or is longer than `most` bytes, unpacked.
pub async fn read(mut response: reqwest::Response, most: usize) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if body.len() + chunk.len() > most {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(body)
}
