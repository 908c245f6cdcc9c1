//! Fetches links as anybody would: without credentials.

use reqwest::header::{CONTENT_RANGE, RANGE};

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// HTTP status.
    pub status: u16,
    /// `Content-Range`, if there was one.
    pub range: Option<String>,
    /// The body.
    pub bytes: Vec<u8>,
}

/// Fetches `link`, or a part of it: `range` is a `Range` header such as `bytes=0-99`.
///
/// # Errors
/// Nothing came back.
pub fn fetch(link: &str, range: Option<&str>) -> Result<Fetched, reqwest::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be made").block_on(async {
        let mut request = reqwest::Client::new().get(link);
        if let Some(range) = range {
            request = request.header(RANGE, range);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let range = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(Fetched { status, range, bytes: response.bytes().await?.to_vec() })
    })
}
