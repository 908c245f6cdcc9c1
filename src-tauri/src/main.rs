//! The desktop app: a window on a room, and an icon in the menu bar that records.
//!
//! Thin on purpose: a command deserialises, sends one request to the studio, returns. What the studio says comes back
//! as events. `ROOMTONE_DATA_DIR` chooses the data folder; several apps run side by side as long as theirs differ.
//! `--debug` says more on stderr, and `RUST_LOG` exactly what.

#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]

mod backend;
mod commands;
mod events;
mod leaving;
mod second_start;
mod studio_backend;
mod tray;
mod tray_look;
mod unavailable;
mod window;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use roomtone_protocol::code;
use tauri::RunEvent;
use tracing_subscriber::EnvFilter;

use crate::backend::{Backend, Shared};
use crate::second_start::SecondStart;
use crate::unavailable::Unavailable;

#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let usual = if std::env::args().any(|argument| argument == "--debug") { "roomtone=debug" } else { "roomtone=info" };
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(format!("warn,webrtc=off,rtc=off,{usual}")));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();

    let runtime = match roomtone_studio::runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "the program cannot start");
            return ExitCode::FAILURE;
        }
    };
    tauri::async_runtime::set(runtime.handle().clone());
    // On Tauri's runtime, because the studio spawns its tasks where it is made.
    let opened = tauri::async_runtime::block_on(async { studio_backend::open() });
    let (studio, data_dir): (Shared, Option<PathBuf>) = match opened {
        Ok((studio, data_dir)) => (studio, Some(data_dir)),
        Err(refusal) => {
            let in_use = refusal.report.code == code::DATA_DIR_IN_USE;
            if in_use && refusal.data_dir.as_deref().is_some_and(second_start::show_the_first) {
                return ExitCode::SUCCESS;
            }
            tracing::error!(code = %refusal.report.code, "the studio cannot start");
            (Arc::new(Unavailable::new(refusal.report)), None)
        }
    };
    match run(studio, data_dir) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the window cannot open");
            ExitCode::FAILURE
        }
    }
}

/// Opens the window and stays until the app was quit. Without a data folder nothing is kept of this run.
fn run(studio: Arc<dyn Backend>, data_dir: Option<PathBuf>) -> tauri::Result<()> {
    let app = commands::register(tauri::Builder::default())
        .manage(Arc::clone(&studio))
        .manage(leaving::Leaving::default())
        .on_window_event(window::on_event)
        .setup({
            let studio = Arc::clone(&studio);
            move |app| {
                let handle = app.handle();
                window::open(handle, data_dir.as_deref())?;
                let tray = tray::Tray::build(handle, data_dir.as_deref())?;
                events::forward(handle, studio.as_ref(), tray);
                leaving::quit_on_signal(handle);
                if let Some(dir) = &data_dir {
                    let handle = handle.clone();
                    match SecondStart::listen(dir, move || window::show(&handle)) {
                        Ok(second_start) => second_start.keep(app),
                        // Only a second start misses it, and says that the folder is in use.
                        Err(error) => tracing::warn!(%error, "a second start will not show this window"),
                    }
                }
                Ok(())
            }
        })
        .build(tauri::generate_context!())?;
    app.run(move |handle, event| match event {
        // The last window closed, or the system wants the app to end: leave the room first.
        RunEvent::ExitRequested { code: None, api, .. } => {
            api.prevent_exit();
            leaving::quit(handle);
        }
        // macOS ends apps from its own menu without asking.
        RunEvent::Exit => leaving::before_the_end(handle),
        #[cfg(target_os = "macos")]
        RunEvent::Reopen { .. } => window::show(handle),
        _ => {}
    });
    Ok(())
}
