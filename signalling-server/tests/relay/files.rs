use std::net::SocketAddr;

use roomtone_protocol::{FileLinkKey, code};
use roomtone_relay::{FileShare, Relay, RelayConfig};
use tempfile::TempDir;

use super::client::{Reply, config, request};

const FAR: i64 = 4_000_000_000;

struct Bucket {
    dir: TempDir,
    key: FileLinkKey,
    relay: Relay,
}

impl Bucket {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("bucket");
        std::fs::create_dir_all(root.join("recordings")).unwrap();
        std::fs::write(root.join("recordings/Größe 1.wav"), b"0123456789").unwrap();
        std::fs::write(dir.path().join("outside.txt"), b"secret").unwrap();
        let key = FileLinkKey::from_bytes([5; 32]);
        let files = Some(FileShare { root, key: key.clone() });
        let relay = Relay::start(RelayConfig { files, ..config() }).await.unwrap();
        Self { dir, key, relay }
    }

    fn link(&self, key: &str, expires: i64) -> String {
        let path: Vec<String> =
            key.split('/').map(|part| part.bytes().map(|byte| format!("%{byte:02X}")).collect()).collect();
        format!("/files/{}?expires={expires}&signature={}", path.join("/"), self.key.sign(key, expires))
    }

    fn to(&self) -> SocketAddr {
        self.relay.local_addr()
    }

    async fn get(&self, key: &str, headers: &[(&str, &str)]) -> Reply {
        request(self.to(), "GET", &self.link(key, FAR), headers, "").await
    }
}

#[tokio::test]
async fn a_file_is_downloaded_whole_in_part_and_resumed_only_while_it_is_the_same() {
    let bucket = Bucket::new().await;
    let key = "recordings/Größe 1.wav";
    let whole = bucket.get(key, &[]).await;
    assert_eq!((whole.status, &whole.body[..]), (200, &b"0123456789"[..]));
    assert_eq!(
        whole.headers["content-disposition"],
        "attachment; filename=\"Gr__e 1.wav\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe%201.wav"
    );
    assert_eq!(whole.headers["accept-ranges"], "bytes");
    assert_eq!(whole.headers["x-content-type-options"], "nosniff");
    let tag = whole.headers["etag"].clone();
    let modified = whole.headers["last-modified"].clone();

    let part = bucket.get(key, &[("range", "bytes=2-5")]).await;
    assert_eq!((part.status, &part.body[..]), (206, &b"2345"[..]));
    assert_eq!(part.headers["content-range"], "bytes 2-5/10");
    let tail = bucket.get(key, &[("range", "bytes=-3")]).await;
    assert_eq!((tail.status, &tail.body[..]), (206, &b"789"[..]));
    let beyond = bucket.get(key, &[("range", "bytes=10-")]).await;
    assert_eq!(beyond.status, 416);

    let same = bucket.get(key, &[("range", "bytes=8-"), ("if-range", &tag)]).await;
    assert_eq!((same.status, &same.body[..]), (206, &b"89"[..]));
    for condition in ["\"another\"", &format!("W/{tag}"), &modified, &format!("\"another\", {tag}"), "*"] {
        let changed = bucket.get(key, &[("range", "bytes=8-"), ("if-range", condition)]).await;
        assert_eq!((changed.status, &changed.body[..]), (200, &b"0123456789"[..]), "{condition}");
    }
    let not_ranged = bucket.get(key, &[("if-range", "\"another\"")]).await;
    assert_eq!(not_ranged.status, 200);
    let head = request(bucket.to(), "HEAD", &bucket.link(key, FAR), &[], "").await;
    assert_eq!((head.status, head.body.len(), head.headers["content-length"].as_str()), (200, 0, "10"));

    std::fs::write(bucket.dir.path().join("bucket").join(key), b"another length").unwrap();
    let changed = bucket.get(key, &[("range", "bytes=8-"), ("if-range", &tag)]).await;
    assert_eq!((changed.status, &changed.body[..]), (200, &b"another length"[..]));
    bucket.relay.shutdown().await;
}

#[tokio::test]
async fn a_link_that_is_expired_or_not_genuine_opens_nothing() {
    let bucket = Bucket::new().await;
    let key = "recordings/Größe 1.wav";
    let expired = request(bucket.to(), "GET", &bucket.link(key, 1_000_000_000), &[], "").await;
    assert_eq!((expired.status, expired.error_code().as_str()), (403, code::LINK_EXPIRED));
    let genuine = bucket.link(key, FAR);
    let (path, query) = genuine.split_once('?').unwrap();
    let forged = [
        path.to_owned(),
        format!("{path}?expires={FAR}"),
        format!("{path}?expires={FAR}&signature=AAAA"),
        format!("{path}?expires=soon&signature=AAAA"),
        genuine.replace(&FAR.to_string(), &(FAR + 1).to_string()),
        format!("/files/recordings/other.wav?{query}"),
        format!("/files/../outside.txt?{query}"),
    ];
    for link in forged {
        let reply = request(bucket.to(), "GET", &link, &[], "").await;
        assert_eq!((reply.status, reply.error_code().as_str()), (403, code::UNAUTHORIZED), "{link}");
    }
    bucket.relay.shutdown().await;
}

#[tokio::test]
async fn even_a_genuine_link_leads_to_plain_files_of_the_folder_only() {
    let bucket = Bucket::new().await;
    for key in ["recordings/missing.wav", "../outside.txt", "recordings", "recordings/../../outside.txt", ".hidden"] {
        let reply = bucket.get(key, &[]).await;
        assert_eq!((reply.status, reply.error_code().as_str()), (404, code::RECORDING_NOT_FOUND), "{key}");
    }
    bucket.relay.shutdown().await;
}
