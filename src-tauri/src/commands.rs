//! What the window may ask for. Arguments arrive under these names; every refusal is an [`ErrorReport`].

use roomtone_protocol::catalog::Link;
use roomtone_protocol::{ErrorReport, code};
use roomtone_studio::view::View;
use tauri::{Builder, Runtime, State, generate_handler};

use crate::backend::Shared;

/// Lets a window call the commands of this module.
pub(crate) fn register<R: Runtime>(builder: Builder<R>) -> Builder<R> {
    builder.invoke_handler(generate_handler![
        view,
        host_room,
        join_room,
        leave,
        start_recording,
        stop_recording,
        set_name,
        set_muted,
        recording_link,
        open_recording,
        more_recordings,
    ])
}

#[tauri::command]
fn view(studio: State<'_, Shared>) -> View {
    studio.view().borrow().clone()
}

#[tauri::command]
async fn host_room(studio: State<'_, Shared>, name: String) -> Result<(), ErrorReport> {
    studio.host(name).await
}

#[tauri::command]
async fn join_room(
    studio: State<'_, Shared>,
    invite: String,
    name: Option<String>,
    observe: bool,
) -> Result<(), ErrorReport> {
    studio.join(invite, name, observe).await
}

#[tauri::command]
async fn leave(studio: State<'_, Shared>) -> Result<(), ErrorReport> {
    studio.leave().await
}

#[tauri::command]
async fn start_recording(studio: State<'_, Shared>, title: Option<String>) -> Result<(), ErrorReport> {
    studio.start(title).await
}

#[tauri::command]
async fn stop_recording(studio: State<'_, Shared>) -> Result<(), ErrorReport> {
    studio.stop().await
}

#[tauri::command]
async fn set_name(studio: State<'_, Shared>, name: Option<String>) -> Result<(), ErrorReport> {
    studio.set_name(name).await
}

#[tauri::command]
async fn set_muted(studio: State<'_, Shared>, muted: bool) -> Result<(), ErrorReport> {
    studio.set_muted(muted).await
}

#[tauri::command]
async fn recording_link(studio: State<'_, Shared>, recording: String) -> Result<Link, ErrorReport> {
    studio.link(recording).await
}

#[tauri::command]
async fn more_recordings(studio: State<'_, Shared>) -> Result<(), ErrorReport> {
    studio.more_recordings().await
}

/// The window never says which address to open: it is the studio's own link.
#[tauri::command]
async fn open_recording(studio: State<'_, Shared>, recording: String) -> Result<(), ErrorReport> {
    let link = studio.link(recording).await?.link;
    if !(link.starts_with("https://") || link.starts_with("http://")) {
        return Err(ErrorReport::new(code::STORAGE, "the link is not a web address", "copy the link instead"));
    }
    open::that_detached(link).map_err(|error| {
        ErrorReport::new(code::IO, format!("no program opens web addresses here: {error}"), "copy the link instead")
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};
    use tauri::ipc::{CallbackFn, InvokeBody};
    use tauri::test::{INVOKE_KEY, MockRuntime, get_ipc_response, mock_builder, mock_context, noop_assets};
    use tauri::webview::InvokeRequest;
    use tauri::{WebviewWindow, WebviewWindowBuilder};

    use super::*;
    use crate::backend::fake::FakeBackend;

    fn window(fake: &Arc<FakeBackend>) -> WebviewWindow<MockRuntime> {
        let shared: Shared = fake.clone();
        let app = register(mock_builder()).manage(shared).build(mock_context(noop_assets())).unwrap();
        WebviewWindowBuilder::new(&app, "room", tauri::WebviewUrl::default()).build().unwrap()
    }

    fn invoke(window: &WebviewWindow<MockRuntime>, command: &str, arguments: Value) -> Result<Value, Value> {
        let url = if cfg!(windows) { "http://tauri.localhost" } else { "tauri://localhost" };
        let request = InvokeRequest {
            cmd: command.into(),
            callback: CallbackFn(0),
            error: CallbackFn(1),
            url: url.parse().unwrap(),
            body: InvokeBody::Json(arguments),
            headers: tauri::http::HeaderMap::new(),
            invoke_key: INVOKE_KEY.into(),
        };
        get_ipc_response(window, request).map(|body| body.deserialize().unwrap())
    }

    #[test]
    fn each_command_is_one_request_to_the_studio() {
        let fake = Arc::new(FakeBackend::default());
        let window = window(&fake);
        let cases = [
            ("host_room", json!({"name": "Tuesday"}), "host Tuesday"),
            (
                "join_room",
                json!({"invite": "http://x", "name": "Ada", "observe": true}),
                r#"join http://x Some("Ada") true"#,
            ),
            ("join_room", json!({"invite": "http://x", "name": null, "observe": false}), "join http://x None false"),
            ("start_recording", json!({"title": "One"}), r#"start Some("One")"#),
            ("start_recording", json!({"title": null}), "start None"),
            ("stop_recording", json!({}), "stop"),
            ("set_name", json!({"name": "<b>Ada</b>"}), r#"set_name Some("<b>Ada</b>")"#),
            ("set_muted", json!({"muted": true}), "set_muted true"),
            ("more_recordings", json!({}), "more_recordings"),
            ("leave", json!({}), "leave"),
        ];
        for (command, arguments, request) in cases {
            assert_eq!(invoke(&window, command, arguments), Ok(Value::Null), "{command}");
            assert_eq!(fake.take_requests(), [request], "{command}");
        }
    }

    #[test]
    fn a_link_and_the_view_come_back_as_the_window_knows_them() {
        let fake = Arc::new(FakeBackend::default());
        let window = window(&fake);
        let link = invoke(&window, "recording_link", json!({"recording": "a.wav"}));
        assert_eq!(link, Ok(json!({"link": "http://127.0.0.1/a.wav", "expires_at": "2026-11-21T08:00:00Z"})));
        let view = invoke(&window, "view", json!({}));
        assert_eq!(view, Ok(json!({"phase": "lobby", "room": null, "error": null})));
    }

    #[test]
    fn a_refusal_keeps_code_message_and_hint() {
        let fake = Arc::new(FakeBackend::default());
        fake.refuse_with(ErrorReport::new("not_recording", "nothing is being recorded", "press Record first"));
        let refused = invoke(&window(&fake), "stop_recording", json!({}));
        let report =
            json!({"code": "not_recording", "message": "nothing is being recorded", "hint": "press Record first"});
        assert_eq!(refused, Err(report));
    }

    #[test]
    fn only_web_addresses_are_opened() {
        let fake = Arc::new(FakeBackend::default());
        fake.link_to("file:///etc/passwd");
        let refused = invoke(&window(&fake), "open_recording", json!({"recording": "a.wav"})).unwrap_err();
        assert_eq!(refused["code"], "storage");
    }
}
