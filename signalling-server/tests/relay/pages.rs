use roomtone_protocol::{RoomId, code};

use super::client::{create_room, get, person, relay, request};

const UPGRADE: [(&str, &str); 4] = [
    ("connection", "upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

#[tokio::test]
async fn an_unknown_room_is_404_and_a_page_with_a_way_home() {
    let relay = relay().await;
    let to = relay.local_addr();
    for room in [RoomId::from_bytes([1; 16]).to_string(), "1".to_owned(), "%3Cscript%3E".to_owned()] {
        let page = get(to, &format!("/r/{room}")).await;
        assert_eq!(page.status, 404, "{room}");
        assert!(page.headers["content-type"].starts_with("text/html"));
        assert!(page.text().contains("href=\"../\""));
        assert!(!page.text().contains("script"));
        for headers in [&UPGRADE[..], &[]] {
            let path = format!("/api/rooms/{room}/socket");
            // The connection would stay open for other requests.
            let headers: Vec<_> = headers.iter().copied().filter(|(name, _)| *name != "connection").collect();
            let reply = request(to, "GET", &path, &headers, "").await;
            assert_eq!((reply.status, reply.error_code().as_str()), (404, code::ROOM_NOT_FOUND), "{room}");
        }
    }
    assert_eq!(get(to, "/").await.status, 200);
    relay.shutdown().await;
}

#[tokio::test]
async fn a_known_room_says_how_to_join_without_scripts() {
    let relay = relay().await;
    let to = relay.local_addr();
    let created = create_room(to, &person(1)).await;
    let page = get(to, &format!("/r/{}", created.room)).await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains("roomtone join"));
    assert!(!page.text().contains("<script"));
    assert!(page.headers["content-security-policy"].starts_with("default-src 'none'"));
    let reply = get(to, &format!("/api/rooms/{}/socket", created.room)).await;
    assert_eq!((reply.status, reply.error_code().as_str()), (400, code::BAD_REQUEST), "no WebSocket");
    relay.shutdown().await;
}

#[tokio::test]
async fn everything_else_is_answered_with_an_error_that_programs_read() {
    let relay = relay().await;
    let to = relay.local_addr();
    assert_eq!(get(to, "/healthz").await.status, 200);
    let long = format!("{{\"recorder_key\":\"{}\"}}", "A".repeat(5000));
    for body in ["", "{}", "[]", "{\"recorder_key\":\"short\"}", &long] {
        let reply = request(to, "POST", "/api/rooms", &[("content-type", "application/json")], body).await;
        assert_eq!((reply.status, reply.error_code().as_str()), (400, code::BAD_REQUEST), "{body:.40}");
    }
    let reply = get(to, "/nowhere").await;
    assert_eq!((reply.status, reply.error_code().as_str()), (404, code::BAD_REQUEST));
    let reply = get(to, "/api/rooms").await;
    assert_eq!((reply.status, reply.error_code().as_str()), (405, code::BAD_REQUEST));
    let reply = get(to, "/files/a.wav?expires=1&signature=x").await;
    assert_eq!((reply.status, reply.error_code().as_str()), (404, code::RECORDING_NOT_FOUND), "no folder here");
    relay.shutdown().await;
}
