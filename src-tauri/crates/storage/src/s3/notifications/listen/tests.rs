//! No server with MinIO's way of listening can be installed for tests. What stands in for one here is a handler written for
//! them, which answers as MinIO documents it and as its releases do: `text/event-stream`, a JSON object a line, signs of
//! life as `{"Records":null}` (since 2023) or white space (before).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tokio::sync::{broadcast, watch};

use super::*;
use crate::changes::{Pace, Standing, changes};
use crate::{Bucket as _, ChangeReport, ChangeSource, S3Bucket, S3Keys, S3Settings};

const BOUND: Duration = Duration::from_secs(20);
const PING: Duration = Duration::from_secs(1);

/// How it answers to whoever wants to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// As MinIO does since 2023.
    Records,
    /// As MinIO did before.
    WhiteSpace,
    /// It gives one sign of life and then none, and takes no notice of the end.
    FallsSilent,
    /// It knows nothing of listening and answers with a listing.
    Listing,
    /// It knows that it cannot.
    NotImplemented,
    /// These keys may not.
    Forbidden,
}

/// The stand-in for MinIO.
struct MinioLike {
    keys: Mutex<BTreeSet<String>>,
    manner: Mutex<Manner>,
    told: broadcast::Sender<String>,
    /// Requests to listen so far.
    listened: watch::Sender<usize>,
    last: Mutex<String>,
    /// Requests for a listing so far.
    listings: watch::Sender<usize>,
}

impl MinioLike {
    async fn start(manner: Manner) -> (Arc<Self>, Arc<S3Bucket>, tempfile::TempDir) {
        let server = Arc::new(Self {
            keys: Mutex::default(),
            manner: Mutex::new(manner),
            told: broadcast::channel(64).0,
            listened: watch::Sender::default(),
            last: Mutex::default(),
            listings: watch::Sender::default(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let app = axum::Router::new().fallback(answer).with_state(Arc::clone(&server));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let keys = S3Keys { access_key: "k".into(), secret_key: "s".into(), session_token: None };
        let settings = S3Settings { endpoint: Some(endpoint), keys: Some(keys), ..S3Settings::new("talks") };
        let ledgers = tempfile::tempdir().unwrap();
        let bucket = S3Bucket::connect(settings, ledgers.path()).await.unwrap();
        (server, Arc::new(bucket), ledgers)
    }

    fn put(&self, key: &str) {
        self.keys.lock().unwrap().insert(key.to_owned());
        let encoded = key.replace(' ', "+").replace('/', "%2F");
        let event = serde_json::json!({"EventName": "s3:ObjectCreated:Put", "Key": format!("talks/{key}"), "Records": [
            {"eventName": "s3:ObjectCreated:Put", "s3": {"bucket": {"name": "talks"}, "object": {"key": encoded}}}]});
        // Nobody may be listening.
        let _listeners = self.told.send(format!("{event}\n"));
    }

    fn listing(&self) -> Response {
        let keys = self.keys.lock().unwrap();
        let objects = keys.iter().map(|key| {
            format!(
                "<Contents><Key>{key}</Key><Size>1</Size><ETag>\"1\"</ETag>\
                     <LastModified>2026-11-28T01:02:03.000Z</LastModified></Contents>"
            )
        });
        let objects: String = objects.collect();
        let xml = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult>{objects}</ListBucketResult>");
        ([("content-type", "application/xml")], xml).into_response()
    }

    fn events(self: &Arc<Self>, manner: Manner, ping: Duration) -> Response {
        let sign = if manner == Manner::WhiteSpace { " " } else { "{\"Records\":null}\n" };
        let events =
            stream::unfold(self.told.subscribe(), |mut told| async move { Some((told.recv().await.ok()?, told)) });
        let signs = stream::unfold(false, move |begun| async move {
            if begun {
                tokio::time::sleep(ping).await;
            }
            Some((sign.to_owned(), true))
        });
        let stream: BoxStream<'static, String> = match manner {
            Manner::FallsSilent => stream::iter([sign.to_owned()]).chain(stream::pending()).boxed(),
            _ => stream::select(events.boxed(), signs.boxed()).boxed(),
        };
        let body = Body::from_stream(stream.map(Ok::<_, std::convert::Infallible>));
        ([("content-type", "text/event-stream")], body).into_response()
    }

    async fn listened(&self, times: usize) {
        let mut listened = self.listened.subscribe();
        tokio::time::timeout(BOUND, listened.wait_for(|count| *count >= times)).await.unwrap().unwrap();
    }

    async fn listed(&self, times: usize) {
        let mut listings = self.listings.subscribe();
        tokio::time::timeout(BOUND, listings.wait_for(|count| *count >= times)).await.unwrap().unwrap();
    }
}

async fn answer(State(server): State<Arc<MinioLike>>, request: Request) -> Response {
    let query = request.uri().query().unwrap_or_default();
    if !query.contains("events=") {
        server.listings.send_modify(|count| *count += 1);
        return server.listing();
    }
    let authorization =
        request.headers().get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    *server.last.lock().unwrap() = format!("{} {} {authorization}", request.method(), request.uri());
    let ping =
        query.split('&').find_map(|field| field.strip_prefix("ping=")?.parse().ok()).map_or(PING, Duration::from_secs);
    let error = |code: &str| format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>no</Message></Error>");
    let manner = *server.manner.lock().unwrap();
    server.listened.send_modify(|count| *count += 1);
    match manner {
        Manner::Listing => server.listing(),
        Manner::NotImplemented => (StatusCode::NOT_IMPLEMENTED, error("NotImplemented")).into_response(),
        Manner::Forbidden => (StatusCode::FORBIDDEN, error("AccessDenied")).into_response(),
        manner => server.events(manner, ping),
    }
}

/// Follows the bucket by listening with a sign of life each second; listings are compared next to never.
fn followed(bucket: &Arc<S3Bucket>) -> (BoxStream<'static, ()>, Arc<Standing>) {
    let never = Duration::from_secs(3_600);
    let listening = Arc::new(Listening::new(bucket.client.clone(), &bucket.bucket, PING));
    let standing = Arc::<Standing>::default();
    let pace = Pace { alone: never, beside: never };
    (changes(Arc::clone(bucket), "team/".into(), pace, Some(listening), Arc::clone(&standing)), standing)
}

async fn next(changes: &mut BoxStream<'static, ()>) {
    tokio::time::timeout(BOUND, changes.next()).await.expect("a change is told").unwrap();
}

async fn found(bucket: &S3Bucket) -> ChangeReport {
    tokio::time::timeout(BOUND, bucket.find_change_source("team/")).await.unwrap()
}

#[tokio::test]
async fn a_store_like_minio_tells_what_happens_below_the_prefix() {
    for manner in [Manner::Records, Manner::WhiteSpace] {
        let (server, bucket, _ledgers) = MinioLike::start(manner).await;
        let (mut changes, standing) = followed(&bucket);
        next(&mut changes).await;
        server.listened(1).await;
        // One listing at the start and one after the connection: from there on nothing but events tells.
        server.listed(2).await;
        assert!(standing.is_connected());
        server.put("elsewhere/a.wav");
        let nothing = tokio::time::timeout(PING / 2, changes.next()).await;
        assert!(nothing.is_err(), "other keys are no reason to list");
        server.put("team/a b.wav");
        next(&mut changes).await;
        assert_eq!(*server.listings.borrow(), 2, "whoever is told lists");
        let last = server.last.lock().unwrap().clone();
        let wanted =
            "GET /talks?events=s3%3AObjectCreated%3A%2A&events=s3%3AObjectRemoved%3A%2A&ping=1&prefix=team%2F ";
        assert!(last.starts_with(wanted) && last.contains("AWS4-HMAC-SHA256"), "{last}");
    }
}

#[tokio::test]
async fn a_line_that_falls_silent_is_given_up_and_what_happened_meanwhile_is_found() {
    let (server, bucket, _ledgers) = MinioLike::start(Manner::FallsSilent).await;
    let (mut changes, _standing) = followed(&bucket);
    next(&mut changes).await;
    server.listened(1).await;
    server.listed(2).await;
    // Nobody is told of this one: the line is dead, and a new one has no memory.
    server.keys.lock().unwrap().insert("team/unheard.wav".into());
    *server.manner.lock().unwrap() = Manner::Records;
    next(&mut changes).await;
    server.listened(2).await;
    server.put("team/heard.wav");
    next(&mut changes).await;
}

#[tokio::test]
async fn what_a_store_answers_that_cannot_be_listened_to_is_told_apart() {
    let (server, bucket, _ledgers) = MinioLike::start(Manner::Records).await;
    assert_eq!(found(&bucket).await.source, ChangeSource::Listening);
    for (manner, why) in [
        (Manner::Listing, "does not let one listen (it answers with a listing)"),
        (Manner::NotImplemented, "does not let one listen (NotImplemented)"),
        (Manner::Forbidden, "may not listen to the store (s3:ListenBucketNotification)"),
    ] {
        *server.manner.lock().unwrap() = manner;
        let report = found(&bucket).await;
        assert_eq!(report.source, ChangeSource::ComparingListings(Duration::from_secs(60)), "{report}");
        assert!(report.to_string().contains(why) && report.problem.is_none(), "{report}");
        // It is asked once, and from then on listings are compared.
        let before = *server.listened.borrow();
        let (mut changes, standing) = followed(&bucket);
        next(&mut changes).await;
        server.listened(before + 1).await;
        let again = tokio::time::timeout(Duration::from_secs(3), server.listened(before + 2)).await;
        assert!(again.is_err(), "{manner:?}: it is not asked again");
        assert!(!standing.is_connected());
    }
}

#[test]
fn the_request_is_about_the_bucket_itself() {
    let at = |uri: &str| listening_uri(uri, "events=x");
    assert_eq!(at("http://127.0.0.1:9000/talks/-?x-id=GetObject"), "http://127.0.0.1:9000/talks?events=x");
    assert_eq!(at("https://talks.s3.example.org/-?x-id=GetObject"), "https://talks.s3.example.org/?events=x");
    assert_eq!(at("/talks/-?x-id=GetObject"), "/talks?events=x");
}
