use proptest::prelude::*;

use super::*;
use crate::{create_dirs, write_whole};

const FOLDER: &str = "/data/recordings/one";

fn path() -> PathBuf {
    Path::new(FOLDER).join("file")
}

fn disk_with(bytes: &[u8]) -> (SimulatedDisk, Box<dyn AppendFile>) {
    let disk = SimulatedDisk::new();
    create_dirs(&disk, Path::new(FOLDER)).unwrap();
    let mut file = disk.create(&path()).unwrap();
    file.append(bytes).unwrap();
    (disk, file)
}

#[test]
fn a_power_cut_takes_what_was_not_synced() {
    let (disk, mut file) = disk_with(b"first");
    file.sync().unwrap();
    disk.power_cut(Cut::Dropped);
    assert_eq!(disk.bytes(&path()), None, "its name was not");

    let (disk, mut file) = disk_with(b"first");
    file.sync().unwrap();
    disk.sync_dir(Path::new(FOLDER)).unwrap();
    file.append(b" second").unwrap();
    disk.power_cut(Cut::Dropped);
    assert_eq!(disk.bytes(&path()).unwrap(), b"first");
}

#[test]
fn a_folder_takes_what_is_in_it_along() {
    let disk = SimulatedDisk::new();
    disk.create_dir(Path::new("/data")).unwrap();
    let mut file = disk.create(Path::new("/data/file")).unwrap();
    file.append(b"x").unwrap();
    file.sync().unwrap();
    disk.sync_dir(Path::new("/data")).unwrap();
    disk.power_cut(Cut::Dropped);
    assert!(!disk.exists(Path::new("/data/file")), "nobody synced the name of the folder itself");
}

#[test]
fn a_sync_that_failed_cannot_be_made_good() {
    let (disk, mut file) = disk_with(b"first");
    file.sync().unwrap();
    disk.sync_dir(Path::new(FOLDER)).unwrap();
    file.append(b" second").unwrap();
    disk.fail(disk.operations()..disk.operations() + 1, Fault::Io { written: 0 });
    file.sync().unwrap_err();
    assert_eq!(disk.bytes(&path()).unwrap(), b"first second", "as long as there is power");
    disk.open(&path()).unwrap().sync().unwrap();
    disk.power_cut(Cut::Dropped);
    assert_eq!(disk.bytes(&path()).unwrap(), b"first\0\0\0\0\0\0\0");
}

#[test]
fn a_short_write_leaves_its_part() {
    let (disk, mut file) = disk_with(b"");
    disk.fail(disk.operations()..disk.operations() + 1, Fault::Full { written: 500 });
    let error = file.append(b"12345678").unwrap_err();
    assert!(crate::is_full(&error));
    assert_eq!(disk.bytes(&path()).unwrap(), b"1234");
}

#[test]
#[should_panic(expected = "written to again")]
fn who_writes_to_a_file_that_failed_is_found_out() {
    let (disk, mut file) = disk_with(b"");
    disk.fail(disk.operations()..disk.operations() + 1, Fault::Io { written: 0 });
    file.append(b"x").unwrap_err();
    drop(file.append(b"x"));
}

#[test]
#[should_panic(expected = "before the power was cut")]
fn files_die_with_the_power() {
    let (disk, mut file) = disk_with(b"");
    disk.power_cut(Cut::Dropped);
    drop(file.append(b"x"));
}

proptest! {
    /// Whichever operation fails, and however the power goes then: a small file is the old one or the new one.
    #[test]
    fn a_whole_file_is_old_or_new(k in 0_u64..8, full in any::<bool>(), written in 0_u16..=1_000, seed in any::<u64>()) {
        let disk = SimulatedDisk::new();
        create_dirs(&disk, Path::new(FOLDER)).unwrap();
        let (old, new) = (vec![1; 700], vec![2; 1_900]);
        write_whole(&disk, &path(), &old).unwrap();
        let fault = if full { Fault::Full { written } } else { Fault::Io { written } };
        disk.fail(disk.operations() + k..disk.operations() + k + 1, fault);
        let done = write_whole(&disk, &path(), &new).is_ok();
        let seen = disk.bytes(&path()).unwrap();
        prop_assert!(seen == old || seen == new);
        disk.mend();
        disk.power_cut(Cut::Torn { seed });
        let left = disk.bytes(&path()).unwrap();
        prop_assert!(left == new || (left == old && !done));
        // What an attempt left behind is in nobody's way.
        write_whole(&disk, &path(), &new).unwrap();
        disk.power_cut(Cut::Dropped);
        prop_assert_eq!(disk.bytes(&path()).unwrap(), new);
    }

    #[test]
    fn what_was_synced_survives_any_cut(synced in 0_usize..3_000, more in 0_usize..3_000, seed in any::<u64>()) {
        let (disk, mut file) = disk_with(&vec![7; synced]);
        file.sync().unwrap();
        disk.sync_dir(Path::new(FOLDER)).unwrap();
        file.append(&vec![8; more]).unwrap();
        disk.power_cut(Cut::Torn { seed });
        let bytes = disk.bytes(&path()).unwrap();
        prop_assert!(bytes.len() <= synced + more);
        prop_assert_eq!(&bytes[..synced], &vec![7; synced][..]);
    }
}
