//! The numbers by which the kernel knows what is on the disk.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use fuser::INodeNo;

/// What a number stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    /// A folder, by its path. Folders do not move.
    Folder(PathBuf),
    /// A file, by its number on the disk.
    File(usize),
}

/// What the disk does not keep, as no power cut is about it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// Bits of permission.
    pub(super) mode: u16,
    /// When it was changed last.
    pub(super) changed: SystemTime,
}

/// Folders have odd numbers, the root first; files even ones, from 2 on.
#[derive(Debug)]
pub(super) struct Nodes {
    folders: Vec<PathBuf>,
    looks: HashMap<u64, Look>,
}

impl Nodes {
    pub(super) fn new() -> Self {
        Self { folders: vec![PathBuf::from("/")], looks: HashMap::new() }
    }

    pub(super) fn node(&self, number: INodeNo) -> io::Result<Node> {
        let index = usize::try_from(number.0 / 2).map_err(|_| io::ErrorKind::NotFound)?;
        if number.0 % 2 == 1 {
            return self.folders.get(index).cloned().map(Node::Folder).ok_or_else(|| io::ErrorKind::NotFound.into());
        }
        index.checked_sub(1).map(Node::File).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// The path of something in a folder.
    pub(super) fn inside(&self, parent: INodeNo, name: &OsStr) -> io::Result<PathBuf> {
        match self.node(parent)? {
            Node::Folder(path) => Ok(path.join(name)),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    pub(super) fn folder(&mut self, path: &Path) -> INodeNo {
        let known = self.folders.iter().position(|folder| folder == path);
        let index = known.unwrap_or_else(|| {
            self.folders.push(path.to_owned());
            self.folders.len() - 1
        });
        INodeNo(index as u64 * 2 + 1)
    }

    pub(super) fn file(number: usize) -> INodeNo {
        INodeNo(number as u64 * 2 + 2)
    }

    /// How it looks; as given, if it was never seen before.
    pub(super) fn look(&mut self, node: INodeNo, default: Look) -> &mut Look {
        self.looks.entry(node.0).or_insert(default)
    }
}
