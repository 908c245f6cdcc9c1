use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use super::client::{create_room, get, person};

fn program(data_dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_roomtone-relay"));
    command.args(arguments).arg("--data-dir").arg(data_dir);
    for name in ["ROOMTONE_LISTEN", "ROOMTONE_PUBLIC_URL", "ROOMTONE_DATA_DIR"] {
        command.env_remove(name);
    }
    command.env("RUST_LOG", "info").stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A relay that is killed when a test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            let _gone = self.0.kill();
        }
    }
}

fn start(data_dir: &Path, listen: &str) -> (Running, SocketAddr) {
    let mut running = Running(program(data_dir, &["--listen", listen]).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(running.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["event"], "listening");
    let to = line["url"].as_str().unwrap().strip_prefix("http://").unwrap().parse().unwrap();
    (running, to)
}

/// Asks it to stop; gives what it said on stderr.
fn stop(mut running: Running, signal: &str) -> String {
    let status = Command::new("kill").args([signal, &running.0.id().to_string()]).status().unwrap();
    assert!(status.success());
    let mut said = String::new();
    running.0.stderr.as_mut().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(running.0.wait().unwrap().code(), Some(0), "{said}");
    said
}

fn fails(output: &Output, status: i32, code: &str) {
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(status), "{said}");
    let last = said.lines().last().unwrap();
    assert!(last.starts_with(&format!("error[{code}]: ")) && last.contains("; "), "{said}");
    assert!(output.stdout.is_empty());
}

#[tokio::test]
async fn the_program_announces_itself_keeps_its_rooms_and_stops_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    let (running, to) = start(dir.path(), "127.0.0.1:0");
    let created = create_room(to, &person(1)).await;
    let second = program(&dir.path().join("other"), &["--listen", &to.to_string()]).output().unwrap();
    fails(&second, 1, "address_in_use");
    let said = stop(running, "-TERM");
    let (room, token) = (created.room.to_string(), created.host_token);
    assert!(!said.contains(&room) && !said.contains(&token), "logs keep rooms and tokens to themselves: {said}");

    let (running, again) = start(dir.path(), &to.to_string());
    assert_eq!(again, to);
    assert_eq!(get(to, &format!("/r/{room}")).await.status, 200);
    stop(running, "-INT");
}

#[test]
fn the_program_says_what_to_do_about_wrong_arguments() {
    let dir = tempfile::tempdir().unwrap();
    fails(&program(dir.path(), &["--colour"]).output().unwrap(), 2, "invalid_setting");
    fails(&program(dir.path(), &["--listen", "nowhere"]).output().unwrap(), 2, "invalid_setting");
    let no_url = program(dir.path(), &["--listen", "127.0.0.1:0", "--public-url", "relay.example"]).output().unwrap();
    fails(&no_url, 2, "invalid_setting");
    let file = dir.path().join("file");
    std::fs::write(&file, b"").unwrap();
    fails(&program(&file, &["--listen", "127.0.0.1:0"]).output().unwrap(), 1, "io");
}
