//! The relay's secret on disk.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

/// Name of the file that holds the secret.
const FILE: &str = "relay.secret";

/// The secret in `dir`, drawn at random the first time; the folder is made where it is missing.
/// Nobody but the owner may read the file (on Unix: mode 0600).
///
/// # Errors
/// When it cannot be read or written, or `InvalidData` when it does not have 32 bytes.
pub fn load_secret(dir: &Path) -> io::Result<[u8; 32]> {
    std::fs::create_dir_all(dir)?;
    let path = dir.join(FILE);
    match create(&path) {
        Ok(file) => {
            let written = draw(file);
            if written.is_err() {
                // A file that holds no secret would be in the way at the next start.
                std::fs::remove_file(&path)?;
            }
            written
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read(&path),
        Err(error) => Err(error),
    }
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn draw(mut file: File) -> io::Result<[u8; 32]> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| io::Error::other(error.to_string()))?;
    file.write_all(&secret)?;
    file.sync_all()?;
    Ok(secret)
}

fn read(path: &Path) -> io::Result<[u8; 32]> {
    let mut bytes = Vec::new();
    File::open(path)?.take(33).read_to_end(&mut bytes)?;
    bytes.try_into().map_err(|_| {
        let what = format!("{} is damaged: delete it, and open rooms get new invites", path.display());
        io::Error::new(io::ErrorKind::InvalidData, what)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_drawn_once_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("made/on/the/way");
        let secret = load_secret(&home).unwrap();
        assert_eq!(load_secret(&home).unwrap(), secret);
        assert_ne!(load_secret(&dir.path().join("other")).unwrap(), secret);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(home.join(FILE)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_damaged_secret_is_told_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), b"short").unwrap();
        assert_eq!(load_secret(dir.path()).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(std::fs::read(dir.path().join(FILE)).unwrap(), b"short");
    }
}
