//! A store that takes everything and keeps nothing but what is needed to answer: written for this benchmark, because ten
//! gigabytes are more than a disk should have to take for a figure. It stands for no store.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// An object that is gone but for this.
#[derive(Clone)]
struct Object {
    size: u64,
    recording: String,
    /// Of small ones.
    content: Vec<u8>,
}

#[derive(Default)]
struct Kept {
    objects: Mutex<BTreeMap<String, Object>>,
    /// Bytes of all parts, and whose they are, by key.
    uploads: Mutex<BTreeMap<String, Object>>,
    taken: AtomicU64,
}

pub(crate) struct NullStore {
    address: SocketAddr,
    kept: Arc<Kept>,
}

impl NullStore {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, kept) = (listener.local_addr().unwrap(), Arc::<Kept>::default());
        thread::spawn({
            let kept = Arc::clone(&kept);
            move || {
                for client in listener.incoming().flatten() {
                    let kept = Arc::clone(&kept);
                    // Whoever asks may go at any time.
                    thread::spawn(move || drop(serve(&client, &kept)));
                }
            }
        });
        Self { address, kept }
    }

    /// Bytes of parts so far.
    pub(crate) fn taken(&self) -> u64 {
        self.kept.taken.load(Ordering::Relaxed)
    }

    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("S3_RECORDING_BUCKET", "null".to_owned()),
            ("S3_RECORDING_ENDPOINT", format!("http://{}", self.address)),
            ("AWS_ACCESS_KEY_ID", "any".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "any".to_owned()),
        ]
    }
}

/// One connection, request after request.
fn serve(client: &TcpStream, kept: &Kept) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(1 << 20, client);
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first)? == 0 {
            return Ok(());
        }
        let (mut length, mut recording) = (0, String::new());
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            let Some((name, value)) = header.split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().map_err(io::Error::other)?,
                "x-amz-meta-roomtone-recording" => value.trim().clone_into(&mut recording),
                _ => {}
            }
        }
        let (method, target) = first.trim().split_once(' ').unwrap_or_default();
        let target = target.split(' ').next().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let answer = answer(method, (path, query), (length, recording), &mut reader, kept)?;
        (&*client).write_all(&answer)?;
    }
}

fn answer(
    method: &str,
    (path, query): (&str, &str),
    (length, recording): (u64, String),
    reader: &mut BufReader<&TcpStream>,
    kept: &Kept,
) -> io::Result<Vec<u8>> {
    let key = path.to_owned();
    let is_part = query.contains("partNumber=");
    if method == "PUT" && is_part {
        let bytes = io::copy(&mut reader.take(length), &mut io::sink())?;
        kept.taken.fetch_add(bytes, Ordering::Relaxed);
        if let Some(upload) = kept.uploads.lock().unwrap().get_mut(&key) {
            upload.size += bytes;
        }
        return Ok(ok("etag: \"null\"\r\n", b""));
    }
    let mut content = Vec::new();
    reader.take(length).read_to_end(&mut content)?;
    let mut objects = kept.objects.lock().unwrap();
    let mut uploads = kept.uploads.lock().unwrap();
    Ok(match method {
        "POST" if query.contains("uploads") => {
            uploads.insert(key, Object { size: 0, recording, content });
            ok("", b"<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>")
        }
        "POST" => {
            let object = uploads.remove(&key);
            objects.extend(object.map(|object| (key, object)));
            ok("", b"<CompleteMultipartUploadResult><ETag>\"null\"</ETag></CompleteMultipartUploadResult>")
        }
        "PUT" => {
            objects.insert(key, Object { size: length, recording, content });
            ok("etag: \"null\"\r\n", b"")
        }
        "GET" if query.contains("list-type") => {
            let contents: String = objects
                .iter()
                .filter_map(|(key, object)| {
                    let key = key.trim_start_matches('/').split_once('/')?.1;
                    let size = object.size;
                    Some(format!(
                        "<Contents><Key>{key}</Key><Size>{size}</Size><ETag>\"null\"</ETag>\
                         <LastModified>2026-11-21T01:02:03Z</LastModified></Contents>"
                    ))
                })
                .collect();
            let list = format!("<ListBucketResult><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>");
            ok("", list.as_bytes())
        }
        "HEAD" | "GET" => match objects.get(&key) {
            Some(object) => {
                let notes = format!(
                    "etag: \"null\"\r\nlast-modified: Sat, 21 Nov 2026 01:02:03 GMT\r\n\
                     x-amz-meta-roomtone-recording: {}\r\n",
                    object.recording
                );
                if method == "HEAD" { head(&notes, object.size) } else { ok(&notes, &object.content) }
            }
            None => b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec(),
        },
        _ => ok("", b""),
    })
}

fn head(headers: &str, length: u64) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{headers}content-length: {length}\r\n\r\n").into_bytes()
}

fn ok(headers: &str, body: &[u8]) -> Vec<u8> {
    [head(headers, body.len() as u64), body.to_vec()].concat()
}
