//! The list of a bucket with many recordings: what is read, what is remembered, and who may change what.

use std::sync::Arc;

use bytes::Bytes;
use roomtone_protocol::catalog::MetadataState;
use roomtone_protocol::{RecordingId, code};
use roomtone_storage::{
    Bucket as _, BucketError, Catalog, CatalogSettings, Edit, FolderBucket, Listed, Prefix, PutMode, companion_keys,
};

use crate::fake::FakeBucket;
use crate::support::{links, metadata, recording, room, soon, until};

/// The key of a recording that began so many seconds after the others.
fn key(second: usize) -> String {
    format!("recordings/band_20261121_{:02}{:02}{:02}.wav", second / 3_600, second / 60 % 60, second % 60)
}

fn json(second: usize) -> Bytes {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&(second as u64).to_be_bytes());
    let mut metadata = metadata(RecordingId::from_bytes(id), "Band", room(1));
    metadata.title = Some(format!("Take {second}"));
    metadata.started_at = format!("2026-11-21T{:02}:{:02}:{:02}Z", second / 3_600, second / 60 % 60, second % 60);
    serde_json::to_vec(&metadata).unwrap().into()
}

fn beside(second: usize) -> String {
    let [_, _, metadata] = companion_keys(&key(second));
    metadata
}

fn filled(count: usize) -> Arc<FakeBucket> {
    let bucket = FakeBucket::with_fates([]);
    for second in 0..count {
        bucket.put_foreign(&key(second), b"RIFF");
        bucket.put_content(&beside(second), json(second));
    }
    bucket
}

fn all_good(list: &Arc<Vec<Listed>>) -> bool {
    !list.is_empty() && list.iter().all(|listed| listed.entry.metadata == MetadataState::Good)
}

fn titles(list: &[Listed]) -> Vec<&str> {
    list.iter().map(|listed| listed.entry.title.as_deref().unwrap_or("-")).collect()
}

#[tokio::test]
async fn the_list_is_there_before_its_metadata_which_is_read_newest_first() {
    let bucket = filled(1_500);
    bucket.set_unreadable(true);
    let catalog = Catalog::start(bucket.clone(), Prefix::default());
    catalog.refresh().await.unwrap();
    let list = catalog.entries();
    assert_eq!(list.len(), 1_500);
    assert_eq!(list[0].entry.key, key(1_499), "newest first, by what the keys say");
    assert_eq!(list[0].entry.started_at, "2026-11-21T00:24:59Z");
    assert!(list.iter().all(|listed| listed.entry.metadata == MetadataState::Unread && listed.entry.title.is_none()));
    bucket.set_unreadable(false);
    bucket.take_reads();
    catalog.refresh().await.unwrap();
    let list = catalog.entries();
    assert_eq!(titles(&list)[..2], ["Take 1499", "Take 1498"]);
    let mut first: Vec<String> = bucket.take_reads();
    first.sort();
    let newest: Vec<String> = (1_400..1_500).map(beside).collect();
    assert!(first.iter().all(|read| newest.contains(read)), "{first:?}");
    let mut list = catalog.watch();
    soon("all metadata", list.wait_for(all_good)).await.unwrap();
}

#[tokio::test]
async fn a_refresh_after_one_change_reads_one_object() {
    let bucket = filled(700);
    let catalog = Catalog::start(bucket.clone(), Prefix::default());
    let mut list = catalog.watch();
    soon("all metadata", list.wait_for(all_good)).await.unwrap();
    let mut read = bucket.take_reads();
    read.sort();
    read.dedup();
    assert_eq!(read.len(), 700);
    catalog.refresh().await.unwrap();
    assert_eq!(bucket.take_reads(), [""; 0]);
    bucket.put_content(&beside(5), json(6));
    catalog.refresh().await.unwrap();
    assert_eq!(bucket.take_reads(), [beside(5)]);
    assert_eq!(catalog.find(&key(5)).unwrap().entry.title.as_deref(), Some("Take 6"));
    // What this program changes itself is looked at alone.
    catalog.rename(&key(7), Some("By hand")).await.unwrap();
    assert_eq!(bucket.take_reads(), [beside(7), beside(7)], "read, written, and read back");
    assert_eq!(catalog.find(&key(7)).unwrap().entry.title.as_deref(), Some("By hand"));
}

#[tokio::test]
async fn what_was_read_is_remembered_over_restarts_and_is_not_taken_for_evidence() {
    let (bucket, folder) = (filled(600), tempfile::tempdir().unwrap());
    let settings = CatalogSettings { memory: Some(folder.path().join("catalog.jsonl")), ..CatalogSettings::default() };
    let catalog = Catalog::start_with(bucket.clone(), settings.clone());
    let mut list = catalog.watch();
    soon("all metadata", list.wait_for(all_good)).await.unwrap();
    let file = settings.memory.clone().unwrap();
    // A line each, and one before them.
    let whole = || async {
        let text = std::fs::read_to_string(&file).ok()?;
        (text.lines().count() == 601 && !text.contains("unread")).then_some(())
    };
    until("the list on the disk", whole).await;
    drop(catalog);

    bucket.set_down(true);
    let catalog = Catalog::start_with(bucket.clone(), settings.clone());
    let mut list = catalog.watch();
    soon("the list as remembered", list.wait_for(all_good)).await.unwrap();
    assert_eq!((list.borrow().len(), titles(&list.borrow())[0]), (600, "Take 599"));
    assert!(!catalog.has_listed(), "the bucket has said nothing yet");
    bucket.set_down(false);
    bucket.take_reads();
    catalog.refresh().await.unwrap();
    assert!(catalog.has_listed());
    assert_eq!(bucket.take_reads(), [""; 0], "all of it was read before");
    drop(catalog);

    std::fs::write(&file, b"damaged").unwrap();
    let catalog = Catalog::start_with(bucket.clone(), settings);
    let mut list = catalog.watch();
    soon("all metadata", list.wait_for(all_good)).await.unwrap();
    assert_eq!(list.borrow().len(), 600);
}

#[tokio::test]
async fn what_is_wrong_with_metadata_is_said_and_no_mp3_shares_a_recordings() {
    let bucket = filled(1);
    bucket.put_foreign(&key(0).replace(".wav", ".mp3"), b"ID3");
    for (second, content) in [(1, &b"{\"schema\":1"[..]), (2, br#"{"schema":2,"title":{"of":"another shape"}}"#)] {
        bucket.put_foreign(&key(second), b"RIFF");
        bucket.put_foreign(&beside(second), content);
    }
    bucket.put_foreign(&key(3), b"RIFF");
    bucket.put_foreign("recordings/notes.txt", b"text");
    let catalog = Catalog::start(bucket.clone(), Prefix::default());
    catalog.refresh().await.unwrap();
    let state = |key: &str| catalog.find(key).map(|listed| listed.entry.metadata);
    use MetadataState::{Damaged, Good, Missing, Newer};
    assert_eq!([0, 1, 2, 3].map(|n| state(&key(n))), [Good, Damaged, Newer, Missing].map(Some));
    assert_eq!(state(&key(0).replace(".wav", ".mp3")), Some(Missing));
    assert_eq!(catalog.entries().len(), 5);
    let newer = bucket.content(&beside(2));
    assert_eq!(catalog.rename(&key(2), Some("x")).await.unwrap_err().report().code, code::NEWER_VERSION);
    assert_eq!(catalog.delete(&key(2)).await.unwrap_err().report().code, code::NEWER_VERSION);
    assert_eq!(bucket.content(&beside(2)), newer);
    for unnamed in [key(3), key(0).replace(".wav", ".mp3")] {
        assert!(matches!(catalog.rename(&unnamed, Some("x")).await, Err(BucketError::NotFound { .. })), "{unnamed}");
    }
}

#[tokio::test]
async fn deleting_removes_all_that_belongs_to_a_recording_and_nothing_else() {
    let bucket = filled(2);
    let [mix, picture, metadata] = companion_keys(&key(0));
    let neighbours = [key(0).replace(".wav", ".mp3"), key(0).replace(".wav", ".txt"), key(1), beside(1)];
    for place in [&mix, &picture, &neighbours[0], &neighbours[1]] {
        bucket.put_foreign(place, b"x");
    }
    let catalog = Catalog::start(bucket.clone(), Prefix::default());
    catalog.refresh().await.unwrap();
    assert_eq!(catalog.entries().len(), 3, "a mix is no recording");
    let id = catalog.find(&key(0)).unwrap().entry.recording.unwrap().to_string();
    let everything: Vec<String> = [mix, picture, metadata, key(0)].into();
    assert_eq!(catalog.removal(&id).await.unwrap().keys().collect::<Vec<_>>(), everything);
    assert!(everything.iter().all(|key| bucket.keys().contains(key)), "a plan removes nothing");

    // A plain file takes nothing with it, whatever it is called.
    let alone = catalog.delete(&neighbours[0]).await.unwrap();
    assert_eq!(alone.keys().collect::<Vec<_>>(), [neighbours[0].as_str()]);
    assert!(everything.iter().all(|key| bucket.keys().contains(key)));
    assert_eq!(catalog.delete(&id).await.unwrap().keys().collect::<Vec<_>>(), everything);
    let mut left = neighbours[1..].to_vec();
    left.sort();
    assert_eq!(bucket.keys(), left);
    assert_eq!(catalog.entries().len(), 1);
    assert!(matches!(catalog.delete(&id).await, Err(BucketError::NotFound { .. })));
}

/// Two hosts edit the same recording again and again, one its title, one its notes: a folder's clock ticks slowly, and
/// their texts are equally long.
#[tokio::test]
async fn of_edits_at_the_same_time_none_is_lost() {
    let root = tempfile::tempdir().unwrap();
    let bucket = Arc::new(FolderBucket::open(root.path().join("bucket"), links()).await.unwrap());
    bucket.put_bytes(&key(0), Bytes::from_static(b"RIFF"), PutMode::CreateNew).await.unwrap();
    bucket.put_bytes(&beside(0), json(0), PutMode::CreateNew).await.unwrap();
    let [one, other] = [(); 2].map(|()| Catalog::start(bucket.clone(), Prefix::default()));
    for round in 0..40 {
        let text = Some(Some(format!("{round:04}")));
        let name = key(0);
        let title = one.describe(&name, Edit { title: text.clone(), notes: None });
        let notes = other.describe(&name, Edit { title: None, notes: text.clone() });
        let (title, notes) = tokio::join!(title, notes);
        title.unwrap();
        notes.unwrap();
        let (content, _) = one.metadata(&name).await.unwrap().unwrap();
        let now: serde_json::Value = serde_json::from_slice(&content).unwrap();
        assert_eq!(
            (now["title"].as_str(), now["notes"].as_str()),
            (Some(&*format!("{round:04}")), Some(&*format!("{round:04}")))
        );
    }
    assert_eq!(recording(0).to_string(), one.entries()[0].entry.recording.unwrap().to_string());
}
