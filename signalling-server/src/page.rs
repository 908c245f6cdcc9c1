//! The few pages that a browser gets: self-contained, without scripts.

use std::fmt::Write as _;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roomtone_protocol::RoomId;
use sha2::{Digest as _, Sha256};

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:1.05rem/1.6 system-ui,sans-serif;max-width:38rem;margin:12vh auto;padding:0 1.5rem}\
h1{font-size:1.6rem;margin:0 0 1rem}\
code{font-family:ui-monospace,monospace;font-size:.9rem;overflow-wrap:anywhere;\
background:#8882;border-radius:.3rem;padding:.1rem .35rem}\
li{margin:.6rem 0}\
footer{margin-top:2.5rem}";

/// `GET /`.
pub(crate) fn home() -> Response {
    let body = "<p>This is a Roomtone relay. It brings people together who record a conversation, every voice on its \
                own channel; no audio passes through here in the clear.</p>\
                <p>You were invited? Open the whole invite link that you got, or paste it into the Roomtone app.</p>\
                <p>You want to invite others? Choose <em>Host a room</em> in the app, or run <code>roomtone host</code>.</p>";
    page(StatusCode::OK, "Roomtone", body)
}

/// `GET /r/{room}` of a room that is known here.
pub(crate) fn room(public_url: &str, room: RoomId) -> Response {
    let address = escape(&format!("{public_url}/r/{room}"));
    let body = format!(
        "<p>Somebody invites you to a conversation that may be recorded, every voice on its own channel.</p>\
         <ol><li>Copy the <strong>whole</strong> address of this page, with everything after the <code>#</code>: \
         that part is the key, and it is never sent to this server.</li>\
         <li>Open the Roomtone app, choose <em>Join</em>, and paste it.</li></ol>\
         <p>Without a window: <code>roomtone join '{address}#…'</code></p>\
         <footer><a href=\"../\">What is this?</a></footer>"
    );
    page(StatusCode::OK, "You are invited", &body)
}

/// `GET /r/{room}` of a room that its host closed.
pub(crate) fn room_closed() -> Response {
    let body = "<p>The host closed this room. What was recorded is with the host.</p>\
                <footer><a href=\"../\">To the start page of this relay</a></footer>";
    page(StatusCode::NOT_FOUND, "This room is closed", body)
}

/// `GET /r/{room}` of any other room.
pub(crate) fn room_not_found() -> Response {
    let body = "<p>This relay knows no such room. Perhaps a part of the link was lost on its way: check that you have \
                the whole of it, or ask the host for a new one.</p>\
                <footer><a href=\"../\">To the start page of this relay</a></footer>";
    page(StatusCode::NOT_FOUND, "No room here", body)
}

/// `title` and `body` are HTML.
fn page(status: StatusCode, title: &str, body: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style></head>\
         <body><main><h1>{title}</h1>{body}</main></body></html>"
    );
    let style_hash = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style_hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let policy = HeaderValue::from_str(&policy).expect("base64 is ASCII");
    let headers: [(HeaderName, HeaderValue); 4] = [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, Html(html)).into_response()
}

/// Text as HTML, fit for content and quoted attributes.
fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' | '<' | '>' | '"' | '\'' => {
                write!(html, "&#{};", u32::from(c)).expect("a String takes all that is written");
            }
            _ => html.push(c),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn text(response: Response) -> String {
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn nothing_is_interpolated_as_markup() {
        let html = text(room("https://a/'\"><script>alert(1)</script>&", RoomId::from_bytes([1; 16]))).await;
        assert!(!html.contains("<script"), "{html}");
        assert!(html.contains("&#39;&#34;&#62;&#60;script&#62;"), "{html}");
    }

    #[tokio::test]
    async fn a_known_room_says_how_to_join_and_every_page_leads_home() {
        let room_id = RoomId::from_bytes([1; 16]);
        let html = text(room("https://relay.example", room_id)).await;
        assert!(html.contains(&format!("roomtone join '{}", "https://relay.example/r/")), "{html}");
        assert!(html.contains("href=\"../\""));
        for page in [room_closed(), room_not_found()] {
            assert_eq!(page.status(), StatusCode::NOT_FOUND);
            assert!(text(page).await.contains("href=\"../\""));
        }
    }

    #[test]
    fn pages_forbid_everything_but_their_own_style() {
        let page = home();
        let policy = page.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert!(!policy.contains("unsafe"));
    }
}
