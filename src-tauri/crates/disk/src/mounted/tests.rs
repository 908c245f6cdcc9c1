use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::FileExt as _;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::Fault;

#[test]
fn programs_find_what_they_wrote() {
    let mounted = MountedDisk::new().unwrap();
    let folder = mounted.path().join("one/two");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("a"), b"first").unwrap();
    let file = File::options().write(true).open(folder.join("a")).unwrap();
    file.write_all_at(b"RST", 2).unwrap();
    file.set_len(6).unwrap();
    assert_eq!(fs::read(folder.join("a")).unwrap(), b"fiRST\0");
    fs::rename(folder.join("a"), folder.join("b")).unwrap();
    fs::hard_link(folder.join("b"), folder.join("c")).unwrap();
    assert_eq!(fs::hard_link(folder.join("b"), folder.join("c")).unwrap_err().kind(), ErrorKind::AlreadyExists);
    fs::set_permissions(folder.join("c"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(fs::metadata(folder.join("b")).unwrap().permissions().mode() & 0o777, 0o600);
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["b", "c"]);
    assert_eq!(fs::remove_dir(&folder).unwrap_err().kind(), ErrorKind::DirectoryNotEmpty);
    fs::remove_dir_all(mounted.path().join("one")).unwrap();
    assert_eq!(fs::read_dir(mounted.path()).unwrap().count(), 0);
}

#[test]
fn a_power_cut_takes_what_they_did_not_sync() {
    let mounted = MountedDisk::new().unwrap();
    let folder = mounted.path().to_owned();
    let mut file = File::create(folder.join("named")).unwrap();
    file.write_all(b"safe").unwrap();
    file.sync_all().unwrap();
    File::open(&folder).unwrap().sync_all().unwrap();
    file.write_all(b" and not").unwrap();
    fs::write(folder.join("nameless"), b"bytes").unwrap();
    File::open(folder.join("nameless")).unwrap().sync_all().unwrap();
    mounted.power_cut(Cut::Dropped);
    file.write_all(b"late").unwrap_err();
    file.sync_all().unwrap_err();
    assert_eq!(fs::read(folder.join("named")).unwrap(), b"safe");
    assert_eq!(fs::read(folder.join("nameless")).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn they_meet_the_faults_of_the_paths_that_were_named() {
    let mounted = MountedDisk::new().unwrap();
    mounted.disk().fail_within("bad", 1..2, Fault::Full { written: 500 });
    fs::write(mounted.path().join("good"), b"all of it").unwrap();
    let mut file = File::create(mounted.path().join("bad")).unwrap();
    // Half of it fits, as `write(2)` says it; what follows does again.
    assert_eq!(file.write(b"half").unwrap(), 2);
    assert_eq!(file.write(b"lf").unwrap(), 2);
    mounted.disk().fail_within("bad", 0..1, Fault::Io { written: 0 });
    assert_eq!(file.sync_all().unwrap_err().raw_os_error(), Some(rustix::io::Errno::IO.raw_os_error()));
}
