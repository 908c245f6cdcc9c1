//! A store without conditions on writing: SeaweedFS behind a small proxy, written for this test, that answers such requests
//! as stores do which have not implemented it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use roomtone_storage::{Bucket, BucketError, FileUpload, Progress, PutMode, S3Bucket};

use crate::support::{first, take};
use crate::weed::{Weed, settings};

const NOT_IMPLEMENTED: &str = "<?xml version=\"1.0\"?><Error><Code>NotImplemented</Code>\
    <Message>A header you provided implies functionality that is not implemented.</Message></Error>";

pub(crate) struct Proxy {
    store: String,
    client: reqwest::Client,
    conditions: Conditions,
    refused: AtomicUsize,
    sent: AtomicUsize,
    /// Answers to completions that are still to be lost.
    losing: AtomicUsize,
}

/// Whether requests with conditions reach the store.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conditions {
    Passed,
    Refused,
}

impl Proxy {
    /// Bytes sent to the store so far, without heads.
    pub(crate) fn sent(&self) -> usize {
        self.sent.load(Ordering::Relaxed)
    }

    /// The answers to so many completions do not reach whoever asked, although they were carried out.
    pub(crate) fn loses_completions(&self, count: usize) {
        self.losing.store(count, Ordering::Relaxed);
    }

    /// Whether all of them are lost.
    pub(crate) fn has_lost_completions(&self) -> bool {
        self.losing.load(Ordering::Relaxed) == 0
    }
}

async fn pass(State(proxy): State<Arc<Proxy>>, request: Request) -> Response {
    let conditional = ["if-none-match", "if-match"].iter().any(|name| request.headers().contains_key(*name));
    if conditional && proxy.conditions == Conditions::Refused {
        proxy.refused.fetch_add(1, Ordering::Relaxed);
        return (StatusCode::NOT_IMPLEMENTED, NOT_IMPLEMENTED).into_response();
    }
    let (head, body) = request.into_parts();
    let address = format!("{}{}", proxy.store, head.uri);
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    proxy.sent.fetch_add(body.len(), Ordering::Relaxed);
    // The host header stays: it is part of what is signed.
    let completion =
        head.method == axum::http::Method::POST && head.uri.query().is_some_and(|query| query.contains("uploadId="));
    let sent = proxy.client.request(head.method, address).headers(head.headers).body(body).send().await.unwrap();
    let one_less = |left: usize| left.checked_sub(1);
    if completion && proxy.losing.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let mut answer = Response::builder().status(sent.status());
    *answer.headers_mut().unwrap() = sent.headers().clone();
    answer.body(Body::from(sent.bytes().await.unwrap())).unwrap()
}

pub(crate) async fn proxied(weed: &Weed, ledgers: &Path, conditions: Conditions) -> (S3Bucket, Arc<Proxy>) {
    let proxy = Arc::new(Proxy {
        store: weed.endpoint(),
        client: reqwest::Client::new(),
        conditions,
        refused: AtomicUsize::new(0),
        sent: AtomicUsize::new(0),
        losing: AtomicUsize::new(0),
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(pass).with_state(Arc::clone(&proxy));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (S3Bucket::connect(settings(endpoint), ledgers).await.unwrap(), proxy)
}

#[tokio::test]
async fn a_store_without_conditions_is_asked_before_every_write() {
    let (weed, disk) = (Weed::start().await, tempfile::tempdir().unwrap());
    let (bucket, proxy) = proxied(&weed, &disk.path().join("ledgers"), Conditions::Refused).await;
    let take = take(disk.path(), "t.wav", 1, 20 << 20);
    let upload = |key, n| first(key, &take, n);

    bucket.put_file(upload("large.wav", 1), Progress::none()).await.unwrap();
    assert_eq!(proxy.refused.load(Ordering::Relaxed), 1, "the condition was tried first");
    assert!(bucket.get("large.wav", 20 << 20).await.unwrap() == std::fs::read(&take).unwrap());
    bucket.put_bytes("a.json", Bytes::from_static(b"one"), PutMode::CreateNew).await.unwrap();
    assert_eq!(proxy.refused.load(Ordering::Relaxed), 1, "and not again");

    let taken = bucket.put_file(upload("large.wav", 2), Progress::none()).await;
    assert!(matches!(taken, Err(BucketError::AlreadyExists { .. })), "{taken:?}");
    let taken = bucket.put_bytes("a.json", Bytes::from_static(b"two"), PutMode::CreateNew).await;
    assert!(matches!(taken, Err(BucketError::AlreadyExists { .. })), "{taken:?}");
    assert_eq!(bucket.get("a.json", 10).await.unwrap(), "one");

    let there = bucket.head("large.wav").await.unwrap().unwrap();
    let replace = |etag| FileUpload { mode: PutMode::ReplaceVersion(etag), ..upload("large.wav", 1) };
    let changed = bucket.put_file(replace("0"), Progress::none()).await;
    assert!(matches!(changed, Err(BucketError::Changed { .. })), "{changed:?}");
    bucket.put_file(replace(&there.etag), Progress::none()).await.unwrap();
    assert_eq!(proxy.refused.load(Ordering::Relaxed), 2, "the other condition was tried once too");
    let there = bucket.head("a.json").await.unwrap().unwrap();
    let put = |etag| bucket.put_bytes("a.json", Bytes::from_static(b"two"), PutMode::ReplaceVersion(etag));
    assert!(matches!(put("0").await, Err(BucketError::Changed { .. })));
    put(&there.etag).await.unwrap();
    assert_eq!(bucket.get("a.json", 10).await.unwrap(), "two");
}
