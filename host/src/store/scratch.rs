//! A scratch file for data that does not fit into memory for a while.
//!
//! Rule: the file has no name, so nothing is left when the process ends in any way. It never has the only copy of
//! anything. Extents never overlap. Freed space is reused, and when everything is freed, the file is emptied.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A part of the file that is in use.
#[derive(Debug)]
pub struct Extent {
    at: u64,
    len: u64,
}

/// A scratch file. It is created at the first write.
#[derive(Debug)]
pub struct Scratch {
    folder: PathBuf,
    /// `None` before the first write.
    file: Option<File>,
    /// Gaps between extents: their length, by their start. No gap touches another gap or the end, so there are fewer
    /// gaps than extents.
    gaps: BTreeMap<u64, u64>,
    /// End of the last extent.
    end: u64,
}

impl Scratch {
    /// A file in this folder. Both are created at the first write. A folder in memory (tmpfs) would defeat the purpose.
    pub fn new(folder: PathBuf) -> Scratch {
        Scratch {
            folder,
            file: None,
            gaps: BTreeMap::new(),
            end: 0,
        }
    }

    /// Writes these bytes, one after the other. After an error (such as a full disk), nothing is written and no space
    /// is used.
    pub fn write(&mut self, parts: &[&[u8]]) -> io::Result<Extent> {
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(unnamed(&self.folder)?),
        };
        let len = parts.iter().map(|part| part.len() as u64).sum();
        let gap = self.gaps.iter().find(|(_, gap)| **gap >= len);
        let gap = gap.map(|(at, gap)| (*at, *gap));
        let at = gap.map_or(self.end, |(at, _)| at);
        let mut to = at;
        for part in parts {
            if let Err(why) = file.write_all_at(part, to) {
                // Frees what was written beyond the end. If that fails too, it takes space until the file is emptied.
                let _ = file.set_len(self.end);
                return Err(why);
            }
            to += part.len() as u64;
        }
        match gap {
            None => self.end = to,
            Some((_, gap)) => {
                self.gaps.remove(&at);
                if gap > len {
                    self.gaps.insert(to, gap - len);
                }
            }
        }
        Ok(Extent { at, len })
    }

    /// Fills `into` with the content of an extent, starting at its byte `from`.
    pub fn read(&self, extent: &Extent, from: usize, into: &mut [u8]) -> io::Result<()> {
        let from = from as u64;
        assert!(from + into.len() as u64 <= extent.len, "a read beyond its extent");
        match &self.file {
            Some(file) => file.read_exact_at(into, extent.at + from),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Frees an extent.
    pub fn free(&mut self, extent: Extent) {
        let Extent { mut at, mut len } = extent;
        if let Some((&before, &gap)) = self.gaps.range(..at).next_back()
            && before + gap == at
        {
            self.gaps.remove(&before);
            (at, len) = (before, gap + len);
        }
        if let Some(gap) = self.gaps.remove(&(at + len)) {
            len += gap;
        }
        if at + len < self.end {
            self.gaps.insert(at, len);
            return;
        }
        self.end = at;
        if self.end == 0 {
            self.empty();
        }
    }

    /// Frees all extents. They must not be used afterwards.
    pub fn clear(&mut self) {
        self.gaps.clear();
        if self.end > 0 {
            self.end = 0;
            self.empty();
        }
    }

    /// Position of the end of the last extent.
    #[cfg(test)]
    pub fn end(&self) -> u64 {
        self.end
    }

    fn empty(&self) {
        // If this fails, the file is only larger than necessary.
        let _ = self.file.as_ref().map(|file| file.set_len(0));
    }

    /// Uses an existing file, for tests of disks that fail.
    #[cfg(test)]
    pub fn on(file: File) -> Scratch {
        let mut scratch = Scratch::new(PathBuf::new());
        scratch.file = Some(file);
        scratch
    }
}

/// A new file that only this process can see. Its space is freed when it is closed.
fn unnamed(folder: &Path) -> io::Result<File> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    fs::create_dir_all(folder)?;
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("pelton-scratch-{}-{number}", std::process::id()));
        // Never opens an existing file, because others use a folder such as /tmp too.
        match OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
        {
            Ok(file) => {
                fs::remove_file(&path)?;
                return Ok(file);
            }
            // A process with this id died just before it removed the name.
            Err(why) if why.kind() == io::ErrorKind::AlreadyExists => {}
            Err(why) => return Err(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// What is written can be read, whatever else is written and freed in between. At the worst moment, every gap
        /// is too small by one; it never takes more space than that.
        #[test]
        fn is_a_heap_of_bytes(steps in prop::collection::vec((any::<bool>(), 1..300_usize, any::<u8>(), any::<prop::sample::Index>()), 1..80)) {
            let folder = tempfile::tempdir().unwrap();
            let mut scratch = Scratch::new(folder.path().join("made"));
            let mut out: Vec<(Extent, Vec<u8>)> = vec![];
            for (write, len, byte, which) in steps {
                if write || out.is_empty() {
                    let bytes = vec![byte; len];
                    let (left, right) = bytes.split_at(len / 3);
                    let extent = scratch.write(&[left, right]).unwrap();
                    out.push((extent, bytes));
                } else {
                    let (extent, _) = out.swap_remove(which.index(out.len()));
                    scratch.free(extent);
                }
                for (extent, bytes) in &out {
                    let mut read = vec![0; bytes.len() - 1];
                    scratch.read(extent, 1, &mut read).unwrap();
                    prop_assert_eq!(&read, &bytes[1..]);
                }
                let taken: u64 = out.iter().map(|(extent, _)| extent.len).sum();
                prop_assert_eq!(scratch.end(), taken + scratch.gaps.values().sum::<u64>());
            }
            out.into_iter().for_each(|(extent, _)| scratch.free(extent));
            prop_assert_eq!(scratch.end(), 0);
            prop_assert!(scratch.gaps.is_empty());
            prop_assert_eq!(scratch.file.as_ref().unwrap().metadata().unwrap().len(), 0);
            prop_assert_eq!(fs::read_dir(folder.path().join("made")).unwrap().count(), 0, "it has no name");
        }
    }

    #[test]
    fn space_is_used_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut scratch = Scratch::new(folder.path().into());
        let mut out = std::collections::VecDeque::new();
        for round in 0..1000 {
            out.push_back(scratch.write(&[&[7; 100]]).unwrap());
            if round >= 10 {
                scratch.free(out.pop_front().unwrap());
            }
            assert!(scratch.end() <= 1100, "ten are out at a time, and one that comes");
        }
    }

    #[test]
    fn a_full_disk_takes_nothing() {
        let mut scratch = Scratch::on(OpenOptions::new().write(true).open("/dev/full").unwrap());
        let why = scratch.write(&[b"bytes"]).unwrap_err();
        assert_eq!(why.kind(), io::ErrorKind::StorageFull);
        assert_eq!(scratch.end(), 0);
    }
}
