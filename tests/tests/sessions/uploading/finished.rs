//! A recording as an earlier start left it: whole, and not handed in.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use roomtone_tests::{Bucket, Chance, Deadline, PATIENCE, Stage};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Bytes that are drawn at once.
const PIECE: usize = 1 << 20;

pub(super) struct Finished {
    pub(super) recording: String,
    pub(super) path: PathBuf,
    pub(super) size: u64,
    pub(super) sha256: String,
}

impl Finished {
    /// Writes one of so many bytes, the same for the same seed, where the host finds it.
    pub(super) fn write(stage: &Stage, seed: u64, size: u64) -> Self {
        let mut chance = Chance::new(seed);
        let recording = format!("{:016x}{:016x}", chance.number(), chance.number());
        let folder = stage.data_dir("host").join("recordings").join(&recording);
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("take.wav");
        let (mut file, mut hash, mut left) = (fs::File::create(&path).unwrap(), Sha256::new(), size);
        let mut piece = Vec::with_capacity(PIECE);
        while left > 0 {
            piece.clear();
            piece.resize_with(PIECE / 8, || chance.number());
            let bytes: Vec<u8> = piece.iter().flat_map(|number: &u64| number.to_le_bytes()).collect();
            let bytes = &bytes[..bytes.len().min(usize::try_from(left).unwrap())];
            file.write_all(bytes).unwrap();
            hash.update(bytes);
            left -= bytes.len() as u64;
        }
        let metadata = json!({
            "schema": 1, "id": recording, "room": "First light", "room_id": "ab".repeat(16), "title": null, "notes": null,
            "started_at": "2026-11-21T01:02:03Z", "ended_at": "2026-11-21T01:12:03Z", "sample_rate": 48_000,
            "bit_depth": 24, "frames": 28_800_000, "size": size, "sha256": null,
            "parts": {"size": 8_388_608, "sha256": []}, "software": "roomtone test", "gapless": true, "channels": [],
            "unrecorded": [], "markers": [],
        });
        fs::write(folder.join("take.json"), metadata.to_string()).unwrap();
        let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Self { recording, path, size, sha256 }
    }

    /// The bucket has the file, and beside it what there is to know of it; nothing else.
    pub(super) fn is_in(&self, bucket: &Bucket, key: &str) {
        let mut keys = bucket.keys().unwrap();
        keys.sort();
        assert_eq!(keys, [key.replace(".wav", ".json"), key.to_owned()]);
        let object = bucket.get(key).unwrap();
        assert_eq!(object.len() as u64, self.size);
        assert!(object == fs::read(&self.path).unwrap(), "another object than the file");
        let mut last = Value::Null;
        let hashed = Deadline::after(PATIENCE).poll(|| {
            last = serde_json::from_slice(&bucket.get(&key.replace(".wav", ".json")).unwrap()).unwrap();
            (last["sha256"] == *self.sha256).then_some(())
        });
        assert!(hashed.is_some(), "the hash does not come: {last}");
        let parts = object
            .chunks(8 << 20)
            .map(|part| Sha256::digest(part).iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        assert_eq!(last["parts"], json!({"size": 8 << 20, "sha256": parts.collect::<Vec<_>>()}));
        let local: Value = serde_json::from_slice(&fs::read(self.path.with_extension("json")).unwrap()).unwrap();
        assert_eq!((&local["sha256"], &local["parts"]), (&last["sha256"], &last["parts"]));
    }
}
