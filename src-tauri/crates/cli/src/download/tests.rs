//! Downloads from a server that breaks off as told.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// What there is, and what happens to the answers: an answer breaks off after so many bytes of its body.
#[derive(Default)]
struct Object {
    content: Vec<u8>,
    etag: String,
    cuts: Vec<usize>,
    /// First byte of each answer.
    answered_from: Vec<usize>,
}

type Shared = Arc<Mutex<Object>>;

async fn serve(object: Shared) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, Arc::clone(&object)));
        }
    });
    format!("http://{address}/file")
}

/// One answer for each connection: ranges and `If-Range`, as RFC 9110 has them.
async fn answer(stream: TcpStream, object: Shared) {
    let mut stream = BufReader::new(stream);
    let (mut range, mut condition) = (None, None);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        let line = line.trim();
        if line.is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(": ") else { continue };
        match name.to_lowercase().as_str() {
            "range" => range = value.strip_prefix("bytes=").and_then(|range| range.strip_suffix('-')?.parse().ok()),
            "if-range" => condition = Some(value.to_owned()),
            _ => {}
        }
    }
    let (head, body) = {
        let mut object = object.lock().unwrap();
        let from: usize = range.filter(|_| condition.as_ref() == Some(&object.etag)).unwrap_or(0);
        let (size, etag) = (object.content.len(), object.etag.clone());
        if from > 0 && from >= size {
            let head = format!("HTTP/1.1 416 Range Not Satisfiable\r\ncontent-range: bytes */{size}\r\n");
            (format!("{head}content-length: 0\r\nconnection: close\r\n\r\n"), Vec::new())
        } else {
            object.answered_from.push(from);
            let status = if from > 0 { "206 Partial Content" } else { "200 OK" };
            let part = format!("content-range: bytes {from}-{}/{size}\r\n", size - 1);
            let part = if from > 0 { part } else { String::new() };
            let head = format!("HTTP/1.1 {status}\r\netag: {etag}\r\ncontent-length: {}\r\n{part}", size - from);
            let mut body = object.content[from..].to_vec();
            if !object.cuts.is_empty() {
                body.truncate(object.cuts.remove(0));
            }
            (format!("{head}connection: close\r\n\r\n"), body)
        }
    };
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body).await.unwrap();
    stream.shutdown().await.unwrap();
}

fn object(seed: u8, etag: &str, cuts: &[usize]) -> Object {
    let content = (0..300_000_u32).map(|n| seed ^ n.to_le_bytes()[1] ^ n.to_le_bytes()[0]).collect();
    Object { content, etag: etag.to_owned(), cuts: cuts.to_vec(), answered_from: vec![] }
}

fn expected(object: &Object) -> Expected {
    let sha256 = Sha256::digest(&object.content).iter().map(|byte| format!("{byte:02x}")).collect();
    Expected { size: object.content.len() as u64, sha256: Some(sha256) }
}

#[tokio::test]
async fn a_download_that_breaks_off_goes_on_where_it_stopped() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("a.wav");
    let object = object(1, "\"v1\"", &[100_000, 50_000]);
    let (content, expected) = (object.content.clone(), expected(&object));
    let shared = Arc::new(Mutex::new(object));
    let link = serve(Arc::clone(&shared)).await;
    assert_eq!(download(&link, &file, &expected).await.unwrap(), 300_000);
    assert!(std::fs::read(&file).unwrap() == content);
    assert_eq!(shared.lock().unwrap().answered_from, [0, 100_000, 150_000]);
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1, "nothing else is left");
}

#[tokio::test]
async fn what_another_run_left_is_gone_on_with_unless_the_object_is_another_by_now() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("a.wav");
    for (etag, from) in [("\"v1\"", vec![1_000]), ("\"v2\"", vec![0])] {
        let object = object(2, etag, &[]);
        let (content, expected) = (object.content.clone(), expected(&object));
        std::fs::write(place.path().join("a.wav.partial"), &content[..1_000]).unwrap();
        std::fs::write(place.path().join("a.wav.partial-etag"), "\"v1\"").unwrap();
        let shared = Arc::new(Mutex::new(object));
        let link = serve(Arc::clone(&shared)).await;
        download(&link, &file, &expected).await.unwrap();
        assert!(std::fs::read(&file).unwrap() == content);
        assert_eq!(shared.lock().unwrap().answered_from, from);
    }
}

#[tokio::test]
async fn a_run_that_died_with_the_whole_file_asks_for_nothing_more() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("a.wav");
    let object = object(3, "\"v1\"", &[]);
    let (content, expected) = (object.content.clone(), expected(&object));
    std::fs::write(place.path().join("a.wav.partial"), &content).unwrap();
    std::fs::write(place.path().join("a.wav.partial-etag"), "\"v1\"").unwrap();
    let shared = Arc::new(Mutex::new(object));
    let link = serve(Arc::clone(&shared)).await;
    assert_eq!(download(&link, &file, &expected).await.unwrap(), 300_000);
    assert!(std::fs::read(&file).unwrap() == content);
    assert_eq!(shared.lock().unwrap().answered_from, [0; 0]);
}

#[tokio::test]
async fn other_bytes_than_were_recorded_never_get_the_wanted_name() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("a.wav");
    let wanted = expected(&object(4, "", &[]));
    let link = serve(Arc::new(Mutex::new(object(5, "\"v1\"", &[])))).await;
    let error = download(&link, &file, &wanted).await.unwrap_err();
    assert_eq!(error.code, code::STORAGE, "{error}");
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0, "and are not gone on with");
}
