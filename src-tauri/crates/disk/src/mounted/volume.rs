//! The kernel's calls, carried out on the simulated disk.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner,
    OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen,
    ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use rustix::io::Errno as Code;

use super::nodes::{Look, Node, Nodes};
use crate::simulated::Entry;
use crate::{Disk as _, SimulatedDisk};

/// The kernel asks again every time.
const NOTHING_IS_REMEMBERED: Duration = Duration::ZERO;
/// Bytes of a block, for what is told about the disk's room.
const BLOCK: u32 = 4_096;
/// Blocks that are free: 64 GiB, so that nobody runs short who is not told to.
const FREE: u64 = 16 << 20;

#[derive(Debug)]
pub(super) struct Volume {
    disk: SimulatedDisk,
    nodes: Mutex<Nodes>,
}

impl Volume {
    pub(super) fn new(disk: SimulatedDisk) -> Self {
        Self { disk, nodes: Mutex::new(Nodes::new()) }
    }

    fn nodes(&self) -> MutexGuard<'_, Nodes> {
        // Every change of it is one statement.
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn node(&self, ino: INodeNo) -> io::Result<Node> {
        self.nodes().node(ino)
    }

    fn inside(&self, parent: INodeNo, name: &OsStr) -> io::Result<PathBuf> {
        self.nodes().inside(parent, name)
    }

    fn attributes(&self, ino: INodeNo, request: &Request) -> io::Result<FileAttr> {
        let (kind, size, mode) = match self.node(ino)? {
            Node::Folder(_) => (FileType::Directory, 0, 0o755),
            Node::File(number) => (FileType::RegularFile, self.disk.len_of(number) as u64, 0o644),
        };
        let look = *self.nodes().look(ino, Look { mode, changed: now() });
        Ok(FileAttr {
            ino,
            size,
            blocks: size.div_ceil(512),
            atime: look.changed,
            mtime: look.changed,
            ctime: look.changed,
            crtime: look.changed,
            kind,
            perm: look.mode,
            nlink: 1,
            uid: request.uid(),
            gid: request.gid(),
            rdev: 0,
            blksize: BLOCK,
            flags: 0,
        })
    }

    fn attributes_at(&self, path: &Path, request: &Request) -> io::Result<FileAttr> {
        let ino = match self.disk.entry(path) {
            None => return Err(io::ErrorKind::NotFound.into()),
            Some(Entry::Folder) => self.nodes().folder(path),
            Some(Entry::File(number)) => Nodes::file(number),
        };
        self.attributes(ino, request)
    }

    fn changed(&self, ino: INodeNo) {
        self.nodes().look(ino, Look { mode: 0o644, changed: now() }).changed = now();
    }

    /// What a file was opened with: a power cut closes it.
    fn handle(&self) -> FileHandle {
        FileHandle(self.disk.power_cuts())
    }

    /// The file that a handle is for.
    fn opened(&self, ino: INodeNo, handle: FileHandle) -> io::Result<usize> {
        if handle == self.handle() { self.number(ino) } else { Err(io::Error::other("the power was cut")) }
    }

    fn number(&self, ino: INodeNo) -> io::Result<usize> {
        match self.node(ino)? {
            Node::File(number) => Ok(number),
            Node::Folder(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn make(&self, parent: INodeNo, name: &OsStr, mode: u32, request: &Request) -> io::Result<FileAttr> {
        let path = self.inside(parent, name)?;
        let number = self.disk.create_numbered(&path)?;
        let ino = Nodes::file(number);
        *self.nodes().look(ino, Look { mode: 0, changed: now() }) = Look { mode: permissions(mode), changed: now() };
        self.attributes(ino, request)
    }

    fn set(&self, ino: INodeNo, mode: Option<u32>, size: Option<u64>, mtime: Option<TimeOrNow>) -> io::Result<()> {
        if let Some(size) = size {
            self.disk.set_len_numbered(self.number(ino)?, index(size)?)?;
            self.changed(ino);
        }
        let mut nodes = self.nodes();
        let look = nodes.look(ino, Look { mode: 0o644, changed: now() });
        if let Some(mode) = mode {
            look.mode = permissions(mode);
        }
        match mtime {
            None => {}
            Some(TimeOrNow::Now) => look.changed = now(),
            Some(TimeOrNow::SpecificTime(time)) => look.changed = time,
        }
        Ok(())
    }

    fn rename_to(&self, from: &Path, to: &Path, flags: RenameFlags) -> io::Result<()> {
        if flags.contains(RenameFlags::RENAME_EXCHANGE) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.disk.rename_file(from, to, !flags.contains(RenameFlags::RENAME_NOREPLACE))
    }

    fn entries(&self, ino: INodeNo) -> io::Result<Vec<(INodeNo, FileType, std::ffi::OsString)>> {
        let Node::Folder(folder) = self.node(ino)? else {
            return Err(io::ErrorKind::NotADirectory.into());
        };
        let mut entries =
            vec![(ino, FileType::Directory, ".".into()), (INodeNo::ROOT, FileType::Directory, "..".into())];
        for name in self.disk.list(&folder)? {
            let path = folder.join(&name);
            match self.disk.entry(&path) {
                // Gone since.
                None => {}
                Some(Entry::Folder) => entries.push((self.nodes().folder(&path), FileType::Directory, name)),
                Some(Entry::File(number)) => entries.push((Nodes::file(number), FileType::RegularFile, name)),
            }
        }
        Ok(entries)
    }
}

impl Filesystem for Volume {
    fn lookup(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self.inside(parent, name);
        match found.and_then(|path| self.attributes_at(&path, request)) {
            Ok(found) => reply.entry(&NOTHING_IS_REMEMBERED, &found, Generation(0)),
            Err(error) => reply.error(code(&error)),
        }
    }

    fn getattr(&self, request: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes(ino, request) {
            Ok(found) => reply.attr(&NOTHING_IS_REMEMBERED, &found),
            Err(error) => reply.error(code(&error)),
        }
    }

    fn setattr(
        &self,
        request: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        match self.set(ino, mode, size, mtime).and_then(|()| self.attributes(ino, request)) {
            Ok(found) => reply.attr(&NOTHING_IS_REMEMBERED, &found),
            Err(error) => reply.error(code(&error)),
        }
    }

    fn mkdir(&self, request: &Request, parent: INodeNo, name: &OsStr, _: u32, _: u32, reply: ReplyEntry) {
        let made = self.inside(parent, name).and_then(|path| {
            if self.disk.entry(&path).is_some() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            self.disk.create_dir(&path)?;
            self.attributes_at(&path, request)
        });
        match made {
            Ok(made) => reply.entry(&NOTHING_IS_REMEMBERED, &made, Generation(0)),
            Err(error) => reply.error(code(&error)),
        }
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(self.inside(parent, name).and_then(|path| self.disk.remove(&path)), reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(self.inside(parent, name).and_then(|path| self.disk.remove_dir(&path)), reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let paths = self.inside(parent, name).and_then(|from| {
            let to = self.inside(new_parent, new_name)?;
            Ok((from, to))
        });
        answer(paths.and_then(|(from, to)| self.rename_to(&from, &to, flags)), reply);
    }

    fn link(&self, request: &Request, ino: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let linked = self.inside(parent, name).and_then(|path| {
            self.disk.link_numbered(self.number(ino)?, &path)?;
            self.attributes(ino, request)
        });
        match linked {
            Ok(linked) => reply.entry(&NOTHING_IS_REMEMBERED, &linked, Generation(0)),
            Err(error) => reply.error(code(&error)),
        }
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        // Bytes come from the disk each time, so that nothing of before a power cut is seen.
        reply.opened(self.handle(), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn create(&self, request: &Request, parent: INodeNo, name: &OsStr, mode: u32, _: u32, _: i32, reply: ReplyCreate) {
        match self.make(parent, name, mode, request) {
            Ok(made) => {
                let (handle, flags) = (self.handle(), FopenFlags::FOPEN_DIRECT_IO);
                reply.created(&NOTHING_IS_REMEMBERED, &made, Generation(0), handle, flags);
            }
            Err(error) => reply.error(code(&error)),
        }
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let read = self
            .opened(ino, handle)
            .and_then(|number| Ok(self.disk.read_numbered(number, index(offset)?, index(u64::from(size))?)));
        match read {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(code(&error)),
        }
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let written =
            self.opened(ino, handle).and_then(|number| self.disk.write_numbered(number, index(offset)?, data));
        match written {
            Ok(count) => {
                self.changed(ino);
                reply.written(u32::try_from(count).expect("the kernel hands over less than 4 GiB at a time"));
            }
            Err(error) => reply.error(code(&error)),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, ino: INodeNo, handle: FileHandle, _: bool, reply: ReplyEmpty) {
        answer(self.opened(ino, handle).and_then(|number| self.disk.sync_numbered(number)), reply);
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let folder = self.node(ino);
        let synced = folder.and_then(|node| match node {
            Node::Folder(path) => self.disk.sync_dir(&path),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        });
        answer(synced, reply);
    }

    fn readdir(&self, _: &Request, ino: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        match self.entries(ino) {
            Ok(entries) => {
                for (place, (ino, kind, name)) in (1_u64..).zip(entries).skip_while(|(place, _)| *place <= offset) {
                    if reply.add(ino, place, kind, name) {
                        break;
                    }
                }
                reply.ok();
            }
            Err(error) => reply.error(code(&error)),
        }
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        reply.statfs(2 * FREE, FREE, FREE, 1 << 20, 1 << 20, BLOCK, 255, BLOCK);
    }

    fn fallocate(
        &self,
        _: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        // Room kept beyond a file's end, and holes, are things that this disk does not have.
        if mode != 0 {
            return reply.error(code(&io::ErrorKind::Unsupported.into()));
        }
        let allocated = self.opened(ino, handle).and_then(|number| {
            let end = index(offset.saturating_add(length))?;
            if end > self.disk.len_of(number) { self.disk.set_len_numbered(number, end) } else { Ok(()) }
        });
        answer(allocated, reply);
    }
}

fn answer(result: io::Result<()>, reply: ReplyEmpty) {
    match result {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(code(&error)),
    }
}

/// The number that programs get for an error.
fn code(error: &io::Error) -> Errno {
    let code = match error.kind() {
        io::ErrorKind::NotFound => Code::NOENT,
        io::ErrorKind::AlreadyExists => Code::EXIST,
        io::ErrorKind::NotADirectory => Code::NOTDIR,
        io::ErrorKind::IsADirectory => Code::ISDIR,
        io::ErrorKind::DirectoryNotEmpty => Code::NOTEMPTY,
        io::ErrorKind::StorageFull => Code::NOSPC,
        io::ErrorKind::Unsupported => Code::OPNOTSUPP,
        io::ErrorKind::FileTooLarge => Code::FBIG,
        _ => Code::IO,
    };
    Errno::from_i32(code.raw_os_error())
}

fn index(number: u64) -> io::Result<usize> {
    usize::try_from(number).map_err(|_| io::ErrorKind::FileTooLarge.into())
}

fn permissions(mode: u32) -> u16 {
    u16::try_from(mode & 0o7777).expect("twelve bits")
}

#[expect(clippy::disallowed_methods, reason = "files are stamped with the wall clock, as on any disk")]
fn now() -> SystemTime {
    SystemTime::now()
}
