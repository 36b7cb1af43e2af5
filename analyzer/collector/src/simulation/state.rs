//! What the disk holds: for each file and folder the live state and the durable one, and the changes between them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path};

use super::Random;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    File(usize),
    Folder(usize),
}

#[derive(Clone, Debug)]
pub(super) enum Change {
    Write { at: usize, bytes: Vec<u8> },
    SetLen(usize),
}

#[derive(Clone, Debug)]
pub(super) enum Entry {
    Link(String, Node),
    Unlink(String),
    /// Takes the first name's node to the second.
    Rename(String, String, Node),
}

#[derive(Clone, Debug, Default)]
pub(super) struct File {
    pub(super) live: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Folder {
    pub(super) live: BTreeMap<String, Node>,
    durable: BTreeMap<String, Node>,
    pending: Vec<Entry>,
}

/// What of the changes that were not synced is there after the power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Survival {
    Nothing,
    Everything,
    /// A pseudo-random part.
    Some,
}

#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) files: Vec<File>,
    pub(super) folders: Vec<Folder>,
}

impl File {
    pub(super) fn change(&mut self, change: Change) {
        apply(&mut self.live, &change);
        self.pending.push(change);
    }

    pub(super) fn sync(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            apply(&mut self.durable, &change);
        }
    }

    /// The system has forgotten that these bytes are not on the disk.
    pub(super) fn fail_to_sync(&mut self) {
        self.pending.clear();
    }

    fn cut(&self, survival: Survival, random: &mut Random) -> Self {
        let mut content = self.durable.clone();
        for change in &self.pending {
            match survival {
                Survival::Nothing => {}
                Survival::Everything => apply(&mut content, change),
                Survival::Some => torn(change, random).iter().for_each(|part| apply(&mut content, part)),
            }
        }
        Self { live: content.clone(), durable: content, pending: Vec::new() }
    }
}

impl Folder {
    pub(super) fn change(&mut self, entry: Entry) {
        put(&mut self.live, &entry);
        self.pending.push(entry);
    }

    pub(super) fn sync(&mut self) {
        for entry in std::mem::take(&mut self.pending) {
            put(&mut self.durable, &entry);
        }
    }

    fn cut(&self, survival: Survival, random: &mut Random) -> Self {
        let mut names = self.durable.clone();
        for entry in &self.pending {
            let survives = match survival {
                Survival::Nothing => false,
                Survival::Everything => true,
                Survival::Some => random.once_in(2),
            };
            if survives {
                put(&mut names, entry);
            }
        }
        Self { live: names.clone(), durable: names, pending: Vec::new() }
    }
}

impl State {
    pub(super) fn new() -> Self {
        Self { files: Vec::new(), folders: vec![Folder::default()] }
    }

    /// What is there when the power is back.
    pub(super) fn cut(&self, survival: Survival, random: &mut Random) -> Self {
        Self {
            files: self.files.iter().map(|file| file.cut(survival, random)).collect(),
            folders: self.folders.iter().map(|folder| folder.cut(survival, random)).collect(),
        }
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<Node> {
        let mut node = Node::Folder(0);
        for part in path.components() {
            let Component::Normal(name) = part else { continue };
            let Node::Folder(folder) = node else { return Err(io::ErrorKind::NotADirectory.into()) };
            let found = self.folders[folder].live.get(name.to_str().unwrap());
            node = *found.ok_or(io::ErrorKind::NotFound)?;
        }
        Ok(node)
    }

    pub(super) fn folder(&self, path: &Path) -> io::Result<usize> {
        match self.find(path)? {
            Node::Folder(folder) => Ok(folder),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    pub(super) fn file(&self, path: &Path) -> io::Result<usize> {
        match self.find(path)? {
            Node::File(file) => Ok(file),
            Node::Folder(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    /// The folder that a name is in, and the name.
    pub(super) fn place(&self, path: &Path) -> io::Result<(usize, String)> {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        Ok((self.folder(path.parent().unwrap())?, name))
    }
}

fn apply(content: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { at, bytes } => {
            if content.len() < at + bytes.len() {
                content.resize(at + bytes.len(), 0);
            }
            content[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        Change::SetLen(len) => content.resize(*len, 0),
    }
}

fn put(names: &mut BTreeMap<String, Node>, entry: &Entry) {
    match entry {
        Entry::Link(name, node) => drop(names.insert(name.clone(), *node)),
        Entry::Unlink(name) => drop(names.remove(name)),
        Entry::Rename(from, to, node) => {
            names.remove(from);
            names.insert(to.clone(), *node);
        }
    }
}

/// What is left of a change that was under way.
fn torn(change: &Change, random: &mut Random) -> Vec<Change> {
    let Change::Write { at, bytes } = change else {
        return if random.once_in(2) { vec![change.clone()] } else { Vec::new() };
    };
    let middle = random.below(bytes.len() + 1);
    let part = |from: usize, to: usize| Change::Write { at: at + from, bytes: bytes[from..to].to_vec() };
    let zeros = Change::Write { at: *at, bytes: vec![0; bytes.len()] };
    match random.below(5) {
        0 => Vec::new(),
        1 => vec![change.clone()],
        2 => vec![part(0, middle)],
        // The size is there, the bytes are not, or only the later ones.
        3 => vec![zeros],
        _ => vec![zeros, part(middle, bytes.len())],
    }
}
