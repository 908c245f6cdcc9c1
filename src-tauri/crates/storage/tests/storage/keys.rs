//! Keys of recordings that want the same one.

use std::collections::BTreeSet;

use proptest::prelude::*;
use roomtone_protocol::RecordingId;
use roomtone_storage::{
    Job, KeyTemplate, Prefix, PublishEvent, Publisher, PublisherSettings, companion_keys, companion_of,
    is_recording_key,
};

use crate::fake::FakeBucket;
use crate::support::{metadata, room, soon, take};

/// Names that slug alike, are empty, long, of other scripts, or try to lead elsewhere.
fn names() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("Band".to_owned()),
        Just("band!".to_owned()),
        Just("BAND".to_owned()),
        Just("band_20261121_010203".to_owned()),
        Just("band.mix".to_owned()),
        Just("../../etc/passwd".to_owned()),
        Just(".roomtone/x".to_owned()),
        Just("会議".to_owned()),
        Just("\u{130}\u{0}\r\n\\/:*?".to_owned()),
        Just("x".repeat(5_000)),
        "\\PC{0,80}",
    ]
}

fn templates() -> impl Strategy<Value = KeyTemplate> {
    const TEXTS: [&str; 6] = [
        "recordings/{room}_{YYYYMMDD_HHMMSS}.wav",
        "{YYYY}/{MM}/{DD}/{id}.wav",
        "{room}.wav",
        "all.wav",
        "{room}/{room}-{id8}.wav",
        "recordings/band_20261121_010203.wav",
    ];
    proptest::sample::select(TEXTS.as_slice()).prop_map(|text| text.parse().unwrap())
}

/// Two of them may begin with the same digits.
fn ids() -> impl Strategy<Value = BTreeSet<[u8; 16]>> {
    let id = (0_u8..2, any::<u8>()).prop_map(|(begin, end)| {
        let mut id = [begin; 16];
        id[15] = end;
        id
    });
    proptest::collection::btree_set(id, 2..6)
}

/// Publishes all of them from hosts that share nothing but the bucket; every key there is then.
async fn published(prefix: &Prefix, jobs: Vec<(KeyTemplate, String, RecordingId)>) -> Vec<(RecordingId, String)> {
    let (bucket, disk) = (FakeBucket::with_fates([]), tempfile::tempdir().unwrap());
    let mut keys = Vec::new();
    let mut hosts = Vec::new();
    for (at, (key_template, name, id)) in jobs.into_iter().enumerate() {
        let settings = PublisherSettings { prefix: prefix.clone(), key_template, ..PublisherSettings::default() };
        let queue = disk.path().join(format!("queue-{at}"));
        let (host, events) = Publisher::open(queue, bucket.clone(), settings).await.unwrap();
        let take = take(disk.path(), &format!("{at}.wav"), at as u64, 100 + at);
        host.submit(Job { recording: id, take, metadata: metadata(id, &name, room(1)) }).await.unwrap();
        hosts.push((host, events));
    }
    for (_, events) in &mut hosts {
        loop {
            match soon("publishing", events.recv()).await.unwrap() {
                PublishEvent::Published { recording, key, .. } => break keys.push((recording, key)),
                PublishEvent::Progress { .. } => {}
                // Another host was quicker: it goes on by itself.
                PublishEvent::Retrying { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
    let there = bucket.keys();
    assert_eq!(there.len(), keys.len() * 2, "an audio object and its metadata each: {there:?}");
    keys
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn recordings_of_the_same_second_never_share_a_key_nor_leave_the_prefix(
        ids in ids(),
        names in proptest::collection::vec(names(), 6),
        templates in proptest::collection::vec(templates(), 6),
        prefix in proptest::sample::select(["", "team/audio"].as_slice()),
    ) {
        let prefix: Prefix = prefix.parse().unwrap();
        let jobs = ids.into_iter().zip(names).zip(templates);
        let jobs: Vec<_> = jobs.map(|((id, name), template)| (template, name, RecordingId::from_bytes(id))).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let keys = runtime.block_on(published(&prefix, jobs));
        let mut everything = BTreeSet::new();
        for (_, key) in &keys {
            let name = key.strip_prefix(prefix.as_str());
            let name = name.unwrap_or_else(|| panic!("{key} left the prefix"));
            prop_assert!(name.split('/').all(|part| !part.is_empty() && !part.starts_with('.')), "{}", key);
            prop_assert!(!name.chars().any(|c| c.is_control() || c == '\\'), "{:?}", key);
            prop_assert!(key.len() < 1_024 && is_recording_key(key), "{}", key);
            for beside in companion_keys(key) {
                let owner = companion_of(&beside);
                prop_assert_eq!(owner.as_ref(), Some(key));
                prop_assert!(everything.insert(beside.clone()), "{} is shared", beside);
            }
            prop_assert!(everything.insert(key.clone()), "{} is shared", key);
        }
    }
}
