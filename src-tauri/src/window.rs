//! The one window: opened at the start, hidden on close where the tray can bring it back.

use std::path::Path;

use tauri::{AppHandle, Manager, WebviewUrl, WebviewWindow, WebviewWindowBuilder, Window, WindowEvent};

use crate::{leaving, tray};

/// The window's label; the capabilities name it.
const LABEL: &str = "room";

/// Opens the window. The web engine keeps its files in the data folder, so that apps side by side do not share them.
pub(crate) fn open(app: &AppHandle, data_dir: Option<&Path>) -> tauri::Result<WebviewWindow> {
    let mut builder = WebviewWindowBuilder::new(app, LABEL, WebviewUrl::default())
        .title("Roomtone")
        .inner_size(1040.0, 800.0)
        .min_inner_size(380.0, 480.0)
        // For the copy buttons, which answer a click.
        .enable_clipboard_access()
        .disable_drag_drop_handler()
        .on_navigation(|url| own_page(url.scheme(), url.host_str(), url.port()));
    builder = match data_dir {
        Some(dir) => builder.data_directory(dir.join("webview")),
        None => builder.incognito(true),
    };
    builder.build()
}

/// Brings the window back in front.
pub(crate) fn show(app: &AppHandle) {
    let Some(window) = app.get_webview_window(LABEL) else { return };
    let shown = window.show().and_then(|()| window.unminimize()).and_then(|()| window.set_focus());
    if let Err(error) = shown {
        tracing::warn!(%error, "the window does not come back");
    }
}

/// Closing hides the window and the recording goes on, but only where something shows the tray icon; else it quits.
pub(crate) fn on_event(window: &Window, event: &WindowEvent) {
    let WindowEvent::CloseRequested { api, .. } = event else { return };
    api.prevent_close();
    if tray::is_shown() {
        if let Err(error) = window.hide() {
            tracing::warn!(%error, "the window does not hide");
        }
    } else {
        leaving::quit(window.app_handle());
    }
}

/// The window shows the app's own files and nothing from anywhere else.
fn own_page(scheme: &str, host: Option<&str>, port: Option<u16>) -> bool {
    let embedded = scheme == "tauri" || (matches!(scheme, "http" | "https") && host == Some("tauri.localhost"));
    // Vite's server, where the files are not embedded.
    let development = tauri::is_dev() && host == Some("localhost") && port == Some(1420);
    embedded || development
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_link_leads_the_window_elsewhere() {
        assert!(own_page("tauri", Some("localhost"), None));
        assert!(own_page("http", Some("tauri.localhost"), None));
        assert!(!own_page("https", Some("example.org"), None));
        assert!(!own_page("file", None, None));
        assert!(!own_page("data", None, None));
    }
}
