//! The icon in the menu bar: records and stops, shows the window, quits.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tauri::image::Image;
use tauri::menu::{Menu, MenuEvent, MenuItem, PredefinedMenuItem};
use tauri::tray::{TrayIcon, TrayIconBuilder};
use tauri::{AppHandle, Emitter, Manager, include_image};

use crate::backend::Shared;
use crate::tray_look::{Look, Picture, Toggle};
use crate::{events, leaving, window};

const RECORD: &str = "record";
const SHOW: &str = "show";
const QUIT: &str = "quit";

/// The icon, its first menu item, and how they look now.
pub(crate) struct Tray {
    icon: TrayIcon,
    item: MenuItem<tauri::Wry>,
    /// What a click would do: exactly what the menu said when it was clicked.
    shown: Arc<Mutex<Look>>,
}

impl Tray {
    /// Puts the icon up. Linux takes its picture from a file: it lies in the data folder, where no other app's does.
    pub(crate) fn build(app: &AppHandle, data_dir: Option<&Path>) -> tauri::Result<Self> {
        let shown = Arc::new(Mutex::new(Look::IDLE));
        let item = MenuItem::with_id(app, RECORD, Look::IDLE.label(), Look::IDLE.enabled, None::<&str>)?;
        let show = MenuItem::with_id(app, SHOW, "Show window", true, None::<&str>)?;
        let quit = MenuItem::with_id(app, QUIT, "Quit Roomtone", true, None::<&str>)?;
        let menu = Menu::with_items(app, &[&item, &show, &PredefinedMenuItem::separator(app)?, &quit])?;
        let mut builder = TrayIconBuilder::with_id("roomtone")
            .icon(picture(Picture::Idle))
            .icon_as_template(cfg!(target_os = "macos"))
            .tooltip("Roomtone")
            .menu(&menu)
            .on_menu_event({
                let shown = Arc::clone(&shown);
                move |app, event| on_click(app, &event, &shown)
            });
        if let Some(dir) = data_dir {
            builder = builder.temp_dir_path(dir.join("tray"));
        }
        Ok(Self { icon: builder.build(app)?, item, shown })
    }

    /// Follows the studio. Touches icon and menu only where they change: every new picture is a file on Linux.
    pub(crate) fn apply(&self, look: Look) -> tauri::Result<()> {
        let before = std::mem::replace(&mut *self.shown.lock().unwrap_or_else(PoisonError::into_inner), look);
        if look.picture != before.picture {
            let template = cfg!(target_os = "macos") && look.picture == Picture::Idle;
            self.icon.set_icon_with_as_template(Some(picture(look.picture)), template)?;
        }
        if look.toggle != before.toggle {
            self.item.set_text(look.label())?;
        }
        if look.enabled != before.enabled {
            self.item.set_enabled(look.enabled)?;
        }
        Ok(())
    }
}

fn picture(picture: Picture) -> Image<'static> {
    match picture {
        Picture::Idle if cfg!(target_os = "macos") => include_image!("../assets/tray/idle-template.png"),
        Picture::Idle => include_image!("../assets/tray/idle.png"),
        Picture::Recording => include_image!("../assets/tray/recording.png"),
        Picture::Paused => include_image!("../assets/tray/paused.png"),
    }
}

fn on_click(app: &AppHandle, event: &MenuEvent, shown: &Mutex<Look>) {
    match event.id().as_ref() {
        RECORD => {
            let toggle = shown.lock().unwrap_or_else(PoisonError::into_inner).toggle;
            let app = app.clone();
            tauri::async_runtime::spawn(async move {
                let studio = Shared::clone(&app.state::<Shared>());
                if let Err(report) = request(&studio, toggle).await {
                    tracing::warn!(code = %report.code, "the tray's request was refused");
                    window::show(&app);
                    if let Err(error) = app.emit(events::FAILURE, &report) {
                        tracing::warn!(%error, "the window does not hear of it");
                    }
                }
            });
        }
        SHOW => window::show(app),
        QUIT => leaving::quit(app),
        other => tracing::warn!(item = other, "unknown item of the tray's menu"),
    }
}

/// Start or stop, as the menu said; never "toggle", which would do the opposite if somebody else was faster.
async fn request(studio: &Shared, toggle: Toggle) -> Result<(), roomtone_protocol::ErrorReport> {
    match toggle {
        Toggle::Start => studio.start(None).await,
        Toggle::Stop => studio.stop().await,
    }
}

/// Whether anything shows the icon. On Linux that takes a program that owns this name on the session bus: GNOME has
/// one only with an extension.
#[cfg(target_os = "linux")]
pub(crate) fn is_shown() -> bool {
    use gtk::gio::{BusType, Cancellable, DBusCallFlags, bus_get_sync};
    use gtk::glib::{ToVariant as _, VariantTy};

    /// Milliseconds; the bus itself answers, not the program.
    const TIMEOUT_MS: i32 = 1000;

    let asked = bus_get_sync(BusType::Session, None::<&Cancellable>).and_then(|bus| {
        bus.call_sync(
            Some("org.freedesktop.DBus"),
            "/org/freedesktop/DBus",
            "org.freedesktop.DBus",
            "NameHasOwner",
            Some(&("org.kde.StatusNotifierWatcher",).to_variant()),
            VariantTy::new("(b)").ok(),
            DBusCallFlags::NONE,
            TIMEOUT_MS,
            None::<&Cancellable>,
        )
    });
    match asked {
        Ok(answer) => answer.get::<(bool,)>().is_some_and(|(owned,)| owned),
        Err(error) => {
            tracing::debug!(%error, "no session bus: nothing shows a tray icon");
            false
        }
    }
}

/// Whether anything shows the icon: these systems always do.
#[cfg(not(target_os = "linux"))]
pub(crate) fn is_shown() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::fake::FakeBackend;

    #[tokio::test]
    async fn the_item_asks_for_what_it_said() {
        let fake = Arc::new(FakeBackend::default());
        let studio: Shared = fake.clone();
        request(&studio, Toggle::Start).await.unwrap();
        request(&studio, Toggle::Stop).await.unwrap();
        assert_eq!(fake.take_requests(), ["start None", "stop"]);
    }

    #[test]
    fn the_pictures_differ() {
        let pictures = [Picture::Idle, Picture::Recording, Picture::Paused].map(|each| picture(each).rgba().to_vec());
        assert!(pictures[0] != pictures[1] && pictures[1] != pictures[2] && pictures[0] != pictures[2]);
    }
}
