//! Objects appear whole or not at all, and are replaced only by whom they may be.

use std::io::Write as _;

use super::super::place::{Temporary, prepare, temporary_folder};
use super::*;
use crate::PutMode;

fn target(root: &Path, key: &str, mode: PutMode<'_>) -> Target {
    Target::new(root, root.join(key), key, mode)
}

fn put_bytes(target: &Target, content: &[u8]) -> Result<ObjectInfo, BucketError> {
    super::put_bytes(target, content, &CancellationToken::new())
}

fn left_over(root: &Path) -> usize {
    fs::read_dir(temporary_folder(root)).unwrap().count()
}

#[test]
fn a_taken_name_keeps_its_content() {
    let root = tempfile::tempdir().unwrap();
    let new = target(root.path(), "r/a.wav", PutMode::CreateNew);
    put_bytes(&new, b"first").unwrap();
    assert!(matches!(put_bytes(&new, b"second"), Err(BucketError::AlreadyExists { .. })));
    assert_eq!(fs::read(root.path().join("r/a.wav")).unwrap(), b"first");
    put_bytes(&target(root.path(), "r/a.wav", PutMode::Replace), b"third").unwrap();
    assert_eq!(fs::read(root.path().join("r/a.wav")).unwrap(), b"third");
    assert_eq!(left_over(root.path()), 0);
}

#[test]
fn a_version_is_replaced_only_while_it_is_the_one_that_was_seen() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a.wav");
    let first = put_bytes(&target(root.path(), "a.wav", PutMode::CreateNew), b"first").unwrap();
    let reader = File::open(&path).unwrap();
    let replace = |etag: &str| put_bytes(&target(root.path(), "a.wav", PutMode::ReplaceVersion(etag)), b"newer");
    let second = replace(&first.etag).unwrap();
    assert_ne!(first.etag, second.etag);
    assert_eq!(fs::read(&path).unwrap(), b"newer");
    // Whoever was reading reads the old version to its end.
    assert_eq!(io::read_to_string(reader).unwrap(), "first");

    assert!(matches!(replace(&first.etag), Err(BucketError::Changed { .. })));
    fs::remove_file(&path).unwrap();
    assert!(matches!(replace(&second.etag), Err(BucketError::Changed { .. })), "what was deleted stays away");
    assert!(!path.exists());
    assert_eq!(left_over(root.path()), 0);
}

#[test]
fn a_version_that_changes_while_the_new_one_is_copied_is_kept() {
    let (root, takes) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let take = takes.path().join("take.wav");
    fs::write(&take, b"newer").unwrap();
    let first = put_bytes(&target(root.path(), "a.wav", PutMode::CreateNew), b"first").unwrap();
    let path = root.path().join("a.wav");
    let edit = Progress::new(move |_, _| fs::write(&path, b"edited by somebody").unwrap());
    let revised = target(root.path(), "a.wav", PutMode::ReplaceVersion(&first.etag));
    let result = copy_file(&revised, &take, &edit, &CancellationToken::new());
    assert!(matches!(result, Err(BucketError::Changed { .. })), "{result:?}");
    assert_eq!(fs::read(root.path().join("a.wav")).unwrap(), b"edited by somebody");
}

#[test]
fn what_was_cancelled_before_a_deletion_does_not_appear_after_it() {
    let root = tempfile::tempdir().unwrap();
    let new = target(root.path(), "a.wav", PutMode::CreateNew);
    let temporary = Temporary::create(root.path()).unwrap();
    let cancelled = CancellationToken::new();
    cancelled.cancel();
    delete(root.path(), &root.path().join("a.wav")).unwrap();
    temporary.publish(&new, &cancelled).unwrap_err();
    assert!(!root.path().join("a.wav").exists());
    assert_eq!(left_over(root.path()), 0);
}

#[test]
fn without_hard_links_a_taken_name_is_kept_too() {
    let root = tempfile::tempdir().unwrap();
    let new = target(root.path(), "a.wav", PutMode::CreateNew);
    Temporary::create(root.path()).unwrap().rename_new(&new).unwrap();
    let second = Temporary::create(root.path()).unwrap().rename_new(&new);
    assert!(matches!(second, Err(BucketError::AlreadyExists { .. })));
}

#[test]
fn of_many_writers_of_one_name_exactly_one_wins() {
    let root = tempfile::tempdir().unwrap();
    let wins = std::thread::scope(|scope| {
        let write = |n: u8| {
            let root = root.path();
            move || put_bytes(&target(root, "a.wav", PutMode::CreateNew), &[n; 1000]).is_ok()
        };
        let writers: Vec<_> = (0..8).map(|n| scope.spawn(write(n))).collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).filter(|won| *won).count()
    });
    assert_eq!(wins, 1);
    let content = fs::read(root.path().join("a.wav")).unwrap();
    assert!(content.len() == 1000 && content.iter().all(|byte| *byte == content[0]));
}

#[test]
fn an_interrupted_copy_leaves_nothing() {
    let (root, takes) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let take = takes.path().join("take.wav");
    fs::write(&take, vec![7; 20 * 1024 * 1024]).unwrap();
    let cancelled = CancellationToken::new();
    let stop = cancelled.clone();
    let after_the_first_chunk = Progress::new(move |_, _| stop.cancel());
    let new = target(root.path(), "a.wav", PutMode::CreateNew);
    copy_file(&new, &take, &after_the_first_chunk, &cancelled).unwrap_err();
    assert!(!root.path().join("a.wav").exists());
    assert_eq!(left_over(root.path()), 0);
}

#[test]
fn a_copy_shares_nothing_with_its_take() {
    let (root, takes) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let take = takes.path().join("take.wav");
    fs::write(&take, b"before").unwrap();
    let new = target(root.path(), "a.wav", PutMode::CreateNew);
    copy_file(&new, &take, &Progress::none(), &CancellationToken::new()).unwrap();
    assert!(same_content(&root.path().join("a.wav"), &take).unwrap());
    // In place, as a repair does it.
    File::options().write(true).open(&take).unwrap().write_all(b"AFTER!").unwrap();
    assert_eq!(fs::read(root.path().join("a.wav")).unwrap(), b"before");
    assert!(!same_content(&root.path().join("a.wav"), &take).unwrap());
}

#[test]
fn a_take_that_changes_under_the_copy_is_not_published() {
    let (root, takes) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let take = takes.path().join("take.wav");
    fs::write(&take, vec![7; 1000]).unwrap();
    let path = take.clone();
    let grow = Progress::new(move |_, _| {
        File::options().append(true).open(&path).unwrap().write_all(b"more").unwrap();
    });
    let new = target(root.path(), "a.wav", PutMode::CreateNew);
    let result = copy_file(&new, &take, &grow, &CancellationToken::new());
    assert!(matches!(result, Err(BucketError::SourceChanged { .. })), "{result:?}");
    assert!(!root.path().join("a.wav").exists());
}

#[test]
fn what_a_crash_left_is_removed_at_the_next_start() {
    let root = tempfile::tempdir().unwrap();
    prepare(root.path()).unwrap();
    fs::write(temporary_folder(root.path()).join("half"), b"x").unwrap();
    let in_use = Temporary::create(root.path()).unwrap();
    prepare(root.path()).unwrap();
    assert_eq!(left_over(root.path()), 1);
    assert!(in_use.path.exists());
}

#[test]
fn deleting_removes_folders_that_became_empty() {
    let root = tempfile::tempdir().unwrap();
    put_bytes(&target(root.path(), "2026/11/a.wav", PutMode::CreateNew), b"x").unwrap();
    put_bytes(&target(root.path(), "2026/b.wav", PutMode::CreateNew), b"x").unwrap();
    delete(root.path(), &root.path().join("2026/11/a.wav")).unwrap();
    assert!(!root.path().join("2026/11").exists() && root.path().join("2026/b.wav").exists());
    delete(root.path(), &root.path().join("2026/11/a.wav")).unwrap();
}
