//! The state of a simulated disk: every inode as programs see it and as it would survive.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;

use super::plan::{Act, Armed, Call, Effect};
use crate::fs::{Attribute, FileKind, LockKind, Stat};

/// What will become of an unsynced change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The next sync makes it durable.
    Dirty,
    /// A sync of it failed: no later one can be relied on for it.
    Doubtful,
    /// It was synced, behind one that is in doubt.
    Sure,
}

#[derive(Clone, Debug)]
pub(super) enum FileChange {
    Write { offset: usize, bytes: Arc<[u8]> },
    SetLen(usize),
}

#[derive(Clone, Debug)]
pub(super) enum DirChange {
    Link {
        name: OsString,
        node: usize,
    },
    Unlink {
        name: OsString,
    },
    /// A rename within the folder: both names at once.
    Move {
        from: OsString,
        to: OsString,
        node: usize,
    },
    /// A rename from another folder; the ticket is that of the other half.
    MoveIn {
        name: OsString,
        node: usize,
        ticket: u64,
    },
    /// A rename to another folder. Never survives without the other half.
    MoveOut {
        name: OsString,
        ticket: u64,
    },
}

/// A thing with a durable state and changes on top of it.
#[derive(Clone, Debug)]
pub(super) struct Image<T, C> {
    pub live: T,
    pub durable: T,
    pub pending: Vec<(C, Fate)>,
}

pub(super) type Names = BTreeMap<OsString, usize>;

/// A state that changes are made to.
pub(super) trait Change<T> {
    fn apply(&self, state: &mut T);
}

impl Change<Vec<u8>> for FileChange {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            FileChange::SetLen(len) => content.resize(*len, 0),
            FileChange::Write { offset, bytes } => {
                let end = offset + bytes.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[*offset..end].copy_from_slice(bytes);
            }
        }
    }
}

impl Change<Names> for DirChange {
    fn apply(&self, names: &mut Names) {
        match self {
            DirChange::Link { name, node } | DirChange::MoveIn { name, node, .. } => {
                names.insert(name.clone(), *node);
            }
            DirChange::Unlink { name } | DirChange::MoveOut { name, .. } => {
                names.remove(name);
            }
            DirChange::Move { from, to, node } => {
                names.remove(from);
                names.insert(to.clone(), *node);
            }
        }
    }
}

impl<T: Clone, C: Change<T>> Image<T, C> {
    fn new(empty: T) -> Image<T, C> {
        Image { live: empty.clone(), durable: empty, pending: Vec::new() }
    }

    pub fn change(&mut self, change: C) {
        change.apply(&mut self.live);
        self.pending.push((change, Fate::Dirty));
    }

    /// Makes durable what can still be.
    fn sync(&mut self) {
        for (_, fate) in &mut self.pending {
            if *fate == Fate::Dirty {
                *fate = Fate::Sure;
            }
        }
        self.fold();
    }

    /// Merges changes at the beginning that are sure into the durable state.
    fn fold(&mut self) {
        let sure = self.pending.iter().take_while(|(_, fate)| *fate == Fate::Sure).count();
        for (change, _) in self.pending.drain(..sure) {
            change.apply(&mut self.durable);
        }
    }

    fn doubt(&mut self) {
        for (_, fate) in &mut self.pending {
            if *fate == Fate::Dirty {
                *fate = Fate::Doubtful;
            }
        }
    }

    pub fn settle(&mut self, state: T) {
        self.live = state.clone();
        self.durable = state;
        self.pending.clear();
    }
}

#[derive(Clone, Debug)]
pub(super) enum Body {
    File(Image<Vec<u8>, FileChange>),
    Dir(Image<Names, DirChange>),
    Link(Vec<u8>),
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub body: Body,
    pub mode: u32,
    pub owner: u32,
    pub group: u32,
    pub attributes: Vec<Attribute>,
    pub mtime_ns: i128,
    pub ctime_ns: i128,
    pub locks: Vec<(u64, LockKind)>,
}

/// All of a disk. A node's place in the list is its inode; none is ever used again.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub nodes: Vec<Node>,
    /// Who acts: what is made belongs to this user, and to the group of the same number.
    pub user: u32,
    pub now_ns: i128,
    pub handles: u64,
    pub tickets: u64,
    pub faults: Vec<Armed>,
    pub calls: Vec<Call>,
    pub killed: bool,
}

/// What a call may do after the plan was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    Full,
    /// Half of the bytes, then this.
    Half(Effect),
}

pub(super) const ROOT: usize = 0;

impl World {
    pub fn new() -> World {
        let mut world = World {
            nodes: Vec::new(),
            user: 1000,
            now_ns: 1_700_000_000_000_000_000,
            handles: 0,
            tickets: 0,
            faults: Vec::new(),
            calls: Vec::new(),
            killed: false,
        };
        world.add(Body::Dir(Image::new(Names::new())), 0o755);
        world
    }

    pub fn add(&mut self, body: Body, mode: u32) -> usize {
        let now = self.now_ns;
        self.nodes.push(Node {
            body,
            mode,
            owner: self.user,
            group: self.user,
            attributes: Vec::new(),
            mtime_ns: now,
            ctime_ns: now,
            locks: Vec::new(),
        });
        self.nodes.len() - 1
    }

    pub fn new_file(&mut self, mode: u32) -> usize {
        self.add(Body::File(Image::new(Vec::new())), mode & !0o022)
    }

    pub fn new_dir(&mut self, mode: u32) -> usize {
        self.add(Body::Dir(Image::new(Names::new())), mode & !0o022)
    }

    /// Records a call and asks the plan about it.
    pub fn begin(&mut self, act: Act, path: &Path, to: Option<&Path>, bytes: usize) -> io::Result<Leave> {
        let killed = || io::Error::other("the process was killed by the plan");
        if self.killed {
            return Err(killed());
        }
        let effect = self.faults.iter_mut().filter_map(|armed| armed.count(act)).next();
        let to = to.map(Path::to_path_buf);
        self.calls.push(Call { act, path: path.to_path_buf(), to, bytes, failed: effect.is_some() });
        if act.is_changing() {
            self.now_ns += 1_000_000;
        }
        match effect {
            None => Ok(Leave::Full),
            Some(effect @ (Effect::FailHalfway(_) | Effect::KillHalfway)) if act == Act::Write => {
                Ok(Leave::Half(effect))
            }
            Some(Effect::Fail(failure) | Effect::FailHalfway(failure)) => Err(failure.error()),
            Some(Effect::Kill | Effect::KillHalfway) => {
                self.killed = true;
                Err(killed())
            }
        }
    }

    /// Ends a call that was let do half of its work.
    pub fn end_half(&mut self, effect: Effect) -> io::Error {
        match effect {
            Effect::Fail(failure) | Effect::FailHalfway(failure) => failure.error(),
            Effect::Kill | Effect::KillHalfway => {
                self.killed = true;
                io::Error::other("the process was killed by the plan")
            }
        }
    }

    pub fn names(&self, dir: usize) -> io::Result<&Names> {
        match &self.nodes[dir].body {
            Body::Dir(image) => Ok(&image.live),
            _ => Err(Errno::NOTDIR.into()),
        }
    }

    pub fn find(&self, dir: usize, name: &OsStr) -> io::Result<usize> {
        self.names(dir)?.get(name).copied().ok_or_else(|| Errno::NOENT.into())
    }

    pub fn file(&self, node: usize) -> io::Result<&Image<Vec<u8>, FileChange>> {
        match &self.nodes[node].body {
            Body::File(image) => Ok(image),
            Body::Dir(_) => Err(Errno::ISDIR.into()),
            Body::Link(_) => Err(Errno::LOOP.into()),
        }
    }

    pub fn change_dir(&mut self, dir: usize, change: DirChange) {
        self.nodes[dir].mtime_ns = self.now_ns;
        self.nodes[dir].ctime_ns = self.now_ns;
        if let Body::Dir(image) = &mut self.nodes[dir].body {
            image.change(change);
        }
    }

    pub fn change_file(&mut self, node: usize, change: FileChange) {
        self.nodes[node].mtime_ns = self.now_ns;
        self.nodes[node].ctime_ns = self.now_ns;
        if let Body::File(image) = &mut self.nodes[node].body {
            image.change(change);
        }
    }

    /// Puts a new node under a name that is free.
    pub fn link(&mut self, dir: usize, name: &OsStr, node: usize) {
        self.change_dir(dir, DirChange::Link { name: name.to_owned(), node });
    }

    pub fn rename(&mut self, dir: usize, name: &OsStr, to_dir: usize, to_name: &OsStr) -> io::Result<()> {
        let node = self.find(dir, name)?;
        let moved_dir = matches!(self.nodes[node].body, Body::Dir(_));
        if let Ok(there) = self.find(to_dir, to_name) {
            if there == node {
                return Ok(());
            }
            match (&self.nodes[there].body, moved_dir) {
                (Body::Dir(_), false) => return Err(Errno::ISDIR.into()),
                (Body::Dir(image), true) if !image.live.is_empty() => return Err(Errno::NOTEMPTY.into()),
                (Body::File(_) | Body::Link(_), true) => return Err(Errno::NOTDIR.into()),
                _ => {}
            }
        }
        self.nodes[node].ctime_ns = self.now_ns;
        if dir == to_dir {
            let (from, to) = (name.to_owned(), to_name.to_owned());
            self.change_dir(dir, DirChange::Move { from, to, node });
        } else {
            self.tickets += 1;
            let ticket = self.tickets;
            self.change_dir(to_dir, DirChange::MoveIn { name: to_name.to_owned(), node, ticket });
            self.change_dir(dir, DirChange::MoveOut { name: name.to_owned(), ticket });
        }
        Ok(())
    }

    /// Makes a node durable, and the other halves of renames out of it.
    pub fn sync(&mut self, node: usize) {
        let mut tickets = BTreeSet::new();
        match &mut self.nodes[node].body {
            Body::File(image) => {
                // A file's length is part of its inode, which every sync writes whole.
                image.pending.push((FileChange::SetLen(image.live.len()), Fate::Dirty));
                image.sync();
            }
            Body::Dir(image) => {
                let leaving = image.pending.iter().filter_map(|(change, fate)| match change {
                    DirChange::MoveOut { ticket, .. } if *fate == Fate::Dirty => Some(*ticket),
                    _ => None,
                });
                tickets.extend(leaving);
                image.sync();
            }
            Body::Link(_) => {}
        }
        self.confirm(&tickets);
    }

    /// Makes the arriving halves of renames durable whose leaving halves are.
    fn confirm(&mut self, tickets: &BTreeSet<u64>) {
        for node in &mut self.nodes {
            let Body::Dir(image) = &mut node.body else { continue };
            for (change, fate) in &mut image.pending {
                if matches!(change, DirChange::MoveIn { ticket, .. } if tickets.contains(ticket)) {
                    *fate = Fate::Sure;
                }
            }
            image.fold();
        }
    }

    pub fn doubt(&mut self, node: usize) {
        match &mut self.nodes[node].body {
            Body::File(image) => image.doubt(),
            Body::Dir(image) => image.doubt(),
            Body::Link(_) => {}
        }
    }

    pub fn stat(&self, node: usize) -> Stat {
        let here = &self.nodes[node];
        let (kind, size) = match &here.body {
            Body::File(image) => (FileKind::File, image.live.len()),
            Body::Dir(_) => (FileKind::Dir, 0),
            Body::Link(target) => (FileKind::Symlink, target.len()),
        };
        Stat {
            kind,
            size: size as u64,
            mode: here.mode,
            owner: here.owner,
            group: here.group,
            mtime_ns: here.mtime_ns,
            ctime_ns: here.ctime_ns,
            inode: node as u64 + 1,
            device: 1,
            blocks: (size as u64).div_ceil(512),
        }
    }
}
