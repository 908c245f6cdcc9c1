//! The relay's addresses.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Path, Query, State};
use axum::http::{Request, Response, StatusCode, header};
use axum::response::IntoResponse as _;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use roomtone_protocol::signal::{CreateRoom, MAX_MESSAGE_BYTES};
use roomtone_protocol::{ErrorReport, RoomId, code};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::files::{FileShare, LinkQuery};
use crate::hub::Hub;
use crate::rooms::{RANDOM_BYTES, Rooms, Standing};
use crate::{answer, files, page, socket};

/// Longest body of a request, in bytes: a key in JSON takes under 100.
const MAX_BODY_BYTES: usize = 4096;

/// How long a client may take to send the body of its request.
const BODY_TIME: Duration = Duration::from_secs(10);

/// Largest reading and writing buffer of a WebSocket, in bytes: the library's own 128 KiB suit fewer connections.
const SOCKET_BUFFER_BYTES: usize = 8 << 10;

/// What the handlers share.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) hub: Arc<Hub>,
    /// Without a trailing slash.
    pub(crate) public_url: String,
    pub(crate) files: Option<FileShare>,
    /// Every WebSocket is one of these tasks,
    pub(crate) sockets: TaskTracker,
    /// and ends with this.
    pub(crate) kill: CancellationToken,
}

pub(crate) fn router(site: Arc<Site>) -> Router {
    Router::new()
        .route("/", get(async || page::home()))
        .route("/healthz", get(async || Json(serde_json::json!({ "status": "ok" }))))
        .route("/r/{room}", get(room_page))
        .route("/api/rooms", post(create_room))
        .route("/api/rooms/{room}/socket", get(room_socket))
        .route("/files/{*key}", get(file))
        .fallback(async || {
            let error = ErrorReport::new(code::BAD_REQUEST, "this relay has no such address", "check the address");
            answer::error(StatusCode::NOT_FOUND, &error)
        })
        .method_not_allowed_fallback(async || {
            let error = ErrorReport::new(code::BAD_REQUEST, "this address takes another method", "check the method");
            answer::error(StatusCode::METHOD_NOT_ALLOWED, &error)
        })
        .with_state(site)
}

async fn create_room(State(site): State<Arc<Site>>, body: Body) -> Response<Body> {
    let bytes = tokio::time::timeout(BODY_TIME, axum::body::to_bytes(body, MAX_BODY_BYTES)).await;
    let Some(request) = bytes.ok().and_then(Result::ok).and_then(|bytes| serde_json::from_slice(&bytes).ok()) else {
        let error = ErrorReport::new(
            code::BAD_REQUEST,
            "this is no request for a room",
            "send {\"recorder_key\":\"…\"} with an Ed25519 key in base64url",
        );
        return answer::error(StatusCode::BAD_REQUEST, &error);
    };
    let CreateRoom { recorder_key } = request;
    let random: [u8; RANDOM_BYTES] = match random() {
        Ok(random) => random,
        Err(response) => return *response,
    };
    let created = site.hub.ask(|rooms| rooms.create(random, &recorder_key, &site.public_url));
    // It holds the host token: no cache may keep it.
    (StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(created)).into_response()
}

async fn room_page(State(site): State<Arc<Site>>, Path(room): Path<String>) -> Response<Body> {
    let Ok(room) = room.parse::<RoomId>() else { return page::room_not_found() };
    match site.hub.ask(|rooms: &Rooms| rooms.standing(room)) {
        Standing::Known => page::room(&site.public_url, room),
        Standing::Closed => page::room_closed(),
        Standing::Unknown => page::room_not_found(),
    }
}

async fn room_socket(
    State(site): State<Arc<Site>>,
    Path(room): Path<String>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response<Body> {
    // What is no id is no room either.
    let room = room.parse().unwrap_or(RoomId::from_bytes([0; 16]));
    if let Err(error) = site.hub.admits(room) {
        let unknown = error.code == code::ROOM_NOT_FOUND;
        let status = if unknown { StatusCode::NOT_FOUND } else { StatusCode::SERVICE_UNAVAILABLE };
        return answer::error(status, &error);
    }
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => {
            let error = ErrorReport::new(code::BAD_REQUEST, rejection.body_text(), "connect with a WebSocket client");
            return answer::error(StatusCode::BAD_REQUEST, &error);
        }
    };
    let nonce = match random::<16>() {
        Ok(nonce) => URL_SAFE_NO_PAD.encode(nonce),
        Err(response) => return *response,
    };
    let hub = Arc::clone(&site.hub);
    let (sockets, kill) = (site.sockets.clone(), site.kill.clone());
    upgrade
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_frame_size(MAX_MESSAGE_BYTES)
        .read_buffer_size(SOCKET_BUFFER_BYTES)
        .write_buffer_size(SOCKET_BUFFER_BYTES)
        .on_failed_upgrade(|error| tracing::debug!(%error, "a connection broke off before it was a WebSocket"))
        .on_upgrade(move |socket| {
            sockets.track_future(async move {
                let served = socket::serve(hub, room, nonce, socket);
                kill.run_until_cancelled_owned(served).await;
            })
        })
}

async fn file(
    State(site): State<Arc<Site>>,
    Path(key): Path<String>,
    query: Result<Query<LinkQuery>, QueryRejection>,
    request: Request<Body>,
) -> Response<Body> {
    let Some(share) = &site.files else { return files::not_found() };
    let query = query.ok().map(|Query(query)| query);
    let now = roomtone_clock::wall_ns() / 1_000_000_000;
    files::serve(share, &key, query, now, request).await
}

/// Bytes that nobody can foresee; what to answer when the system has none.
fn random<const N: usize>() -> Result<[u8; N], Box<Response<Body>>> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map(|()| bytes).map_err(|error| {
        tracing::error!(%error, "the system gives no random bytes");
        let error = ErrorReport::new(code::IO, "the relay's system gives no random bytes", "try again later");
        Box::new(answer::error(StatusCode::SERVICE_UNAVAILABLE, &error))
    })
}
