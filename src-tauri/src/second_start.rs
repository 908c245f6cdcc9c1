//! A second start on the same data folder shows the window of the first, then ends.
//!
//! The first listens on a loopback port and writes it to `window.json` in the data folder together with a random
//! token; who can read the folder may show the window, and can do nothing else. The data folder's own lock decides
//! who is first.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tauri::Manager as _;

/// Where the first start can be reached.
const FILE: &str = "window.json";

/// Both ends are on this machine and have nothing else to do.
const TIMEOUT: Duration = Duration::from_secs(2);

/// What the first start answers.
const SHOWN: &[u8] = b"shown";

#[derive(Serialize, Deserialize)]
struct Door {
    port: u16,
    token: String,
}

/// The first start's open door; closed with the app.
pub(crate) struct SecondStart {
    file: PathBuf,
}

impl SecondStart {
    /// Calls `show` whenever the app is started again on `data_dir`.
    pub(crate) fn listen(data_dir: &Path, show: impl Fn() + Send + 'static) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let door = Door { port: listener.local_addr()?.port(), token: token.clone() };
        let file = data_dir.join(FILE);
        write_private(&file, &serde_json::to_vec(&door)?)?;
        std::thread::Builder::new().name("second-start".into()).spawn(move || {
            for visitor in listener.incoming() {
                match visitor.and_then(|visitor| welcome(visitor, &token)) {
                    Ok(true) => show(),
                    Ok(false) => tracing::debug!("somebody knocked without the token"),
                    Err(error) => tracing::debug!(%error, "a second start went away"),
                }
            }
        })?;
        Ok(Self { file })
    }

    /// Keeps the door as long as the app.
    pub(crate) fn keep(self, app: &tauri::App) {
        app.manage(self);
    }
}

impl Drop for SecondStart {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.file) {
            tracing::debug!(%error, "the note for second starts stays");
        }
    }
}

/// Asks the app that holds `data_dir` to show its window. False if it has none, as the headless program.
pub(crate) fn show_the_first(data_dir: &Path) -> bool {
    knock(data_dir).unwrap_or_else(|error| {
        tracing::debug!(%error, "no window to show");
        false
    })
}

fn knock(data_dir: &Path) -> io::Result<bool> {
    let door: Door = serde_json::from_slice(&fs::read(data_dir.join(FILE))?)?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, door.port));
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(door.token.as_bytes())?;
    let mut answer = [0; SHOWN.len()];
    stream.read_exact(&mut answer)?;
    Ok(answer == SHOWN)
}

fn welcome(mut visitor: TcpStream, token: &str) -> io::Result<bool> {
    visitor.set_read_timeout(Some(TIMEOUT))?;
    let mut said = vec![0; token.len()];
    visitor.read_exact(&mut said)?;
    if said != token.as_bytes() {
        return Ok(false);
    }
    visitor.write_all(SHOWN)?;
    Ok(true)
}

#[cfg(unix)]
fn write_private(file: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;

    // Removed first: the mode counts only for a file that is made anew.
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?.write_all(bytes)
}

#[cfg(not(unix))]
fn write_private(file: &Path, bytes: &[u8]) -> io::Result<()> {
    // The profile folder is private already.
    fs::write(file, bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_second_start_shows_the_window_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let (shown, was_shown) = mpsc::channel();
        let first = SecondStart::listen(dir.path(), move || shown.send(()).unwrap()).unwrap();
        assert!(show_the_first(dir.path()));
        was_shown.recv_timeout(TIMEOUT).unwrap();
        drop(first);
        assert!(!show_the_first(dir.path()), "the door is closed with the app");
    }

    #[test]
    fn a_wrong_token_shows_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (shown, was_shown) = mpsc::channel();
        let _first = SecondStart::listen(dir.path(), move || shown.send(()).unwrap()).unwrap();
        let mut door: Door = serde_json::from_slice(&fs::read(dir.path().join(FILE)).unwrap()).unwrap();
        door.token = "0".repeat(door.token.len());
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join(FILE), serde_json::to_vec(&door).unwrap()).unwrap();
        assert!(!show_the_first(elsewhere.path()));
        assert!(was_shown.try_recv().is_err());
    }

    #[test]
    fn a_folder_without_an_app_has_no_window() {
        assert!(!show_the_first(tempfile::tempdir().unwrap().path()));
    }
}
