//! Watches for saved files and for the signal to stop, in one queue.
//!
//! Rule: a save during another step is not lost. It interrupts that step and is handled next.

use super::change::{Meaning, Sources, over};
use anyhow::{Result, anyhow};
use notify::event::{EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// Messages to the dev loop.
enum Message {
    /// These paths were written, renamed or removed.
    Touched(Vec<PathBuf>),
    /// Something has changed, but it is not known what.
    Anything,
    /// A signal to stop.
    Stop,
}

/// Changes that belong to one save.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The largest meaning of any of its files.
    pub meaning: Meaning,
    /// The files that mean something.
    pub files: BTreeSet<PathBuf>,
    /// When the first change was noticed.
    pub since: Option<Instant>,
    /// When the last change was noticed.
    last: Option<Instant>,
}

impl Batch {
    /// A save of everything, now.
    pub fn all() -> Batch {
        Batch {
            meaning: Meaning::Build,
            since: Some(Instant::now()),
            ..Batch::default()
        }
    }
}

/// Why a step is interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// There is a newer save.
    Saved,
    /// The command was told to stop.
    Stop,
}

/// What comes next.
pub enum Next {
    Saved(Batch),
    /// Nothing for a while.
    Quiet,
    Stop,
}

/// A queue of saves, and of the signal to stop.
pub struct Saves {
    inbox: Receiver<Message>,
    watcher: RecommendedWatcher,
    /// Folders, and whether everything below them is watched too.
    watched: BTreeSet<(PathBuf, bool)>,
    sources: Sources,
    begun: Instant,
    batch: Batch,
    stop: bool,
}

impl Saves {
    /// Starts without watching anything. The first of `signals` means to stop. Fails if the system can't watch files.
    pub fn new(signals: Receiver<()>) -> Result<Saves> {
        let (sender, inbox) = channel();
        let events = sender.clone();
        let watcher = notify::recommended_watcher(move |event| forward(event, &events));
        std::thread::spawn(move || {
            // An error means that the sender is gone, because the process ends.
            if signals.recv().is_ok() {
                let _ = sender.send(Message::Stop);
            }
        });
        Ok(Saves {
            inbox,
            watcher: watcher.map_err(|why| anyhow!("files can't be watched: {why}"))?,
            watched: BTreeSet::new(),
            sources: Sources::default(),
            begun: Instant::now(),
            batch: Batch::default(),
            stop: false,
        })
    }

    /// Watches these sources from now on. Fails if something can't be watched.
    pub fn follow(&mut self, sources: Sources) -> Result<()> {
        self.sources = sources;
        self.watch()
    }

    /// Watches what is not watched yet.
    fn watch(&mut self) -> Result<()> {
        for (folder, whole) in folders(&self.sources) {
            if self.watched.contains(&(folder.clone(), whole)) || !folder.is_dir() {
                continue;
            }
            let mode = match whole {
                true => RecursiveMode::Recursive,
                false => RecursiveMode::NonRecursive,
            };
            let watched = self.watcher.watch(&folder, mode);
            watched.map_err(|why| anyhow!("{} can't be watched: {why}", folder.display()))?;
            self.watched.insert((folder, whole));
        }
        Ok(())
    }

    /// Waits for a complete save or the signal to stop, but at most for `patience`.
    pub fn next(&mut self, patience: Duration) -> Next {
        let until = Instant::now() + patience;
        loop {
            let until = match (self.stop, self.batch.since, self.batch.last) {
                (true, ..) => return Next::Stop,
                (_, Some(since), Some(last)) => self.begun + over(since - self.begun, last - self.begun),
                _ => until,
            };
            let wait = until.saturating_duration_since(Instant::now());
            match self.inbox.recv_timeout(wait) {
                Ok(message) => self.take(message),
                Err(_) if self.batch.since.is_some() => return Next::Saved(std::mem::take(&mut self.batch)),
                Err(_) => return Next::Quiet,
            }
        }
    }

    /// Waits up to `wait` for something that interrupts the current step.
    pub fn interrupt(&mut self, wait: Duration) -> Option<Interrupt> {
        let until = Instant::now() + wait;
        loop {
            match (self.stop, self.batch.since) {
                (true, _) => return Some(Interrupt::Stop),
                (_, Some(_)) => return Some(Interrupt::Saved),
                _ => {}
            }
            let wait = until.saturating_duration_since(Instant::now());
            match self.inbox.recv_timeout(wait) {
                Ok(message) => self.take(message),
                Err(_) => return None,
            }
        }
    }

    fn take(&mut self, message: Message) {
        let touched = match message {
            Message::Stop => {
                self.stop = true;
                return;
            }
            Message::Touched(paths) => paths,
            Message::Anything => vec![self.sources.folder.clone()],
        };
        let now = Instant::now();
        for path in touched {
            let folder = &self.sources.folder;
            // A new folder may already have files in it.
            let new = path.parent() == Some(folder) && path.is_dir() && self.sources.is_own(&path);
            let meaning = match new || path == *folder {
                true => Meaning::Build,
                false => self.sources.meaning(&path),
            };
            if new {
                // The folder may exist again. If it can't be watched, the next `follow` says so.
                self.watched.retain(|(watched, _)| !watched.starts_with(&path));
                let _ = self.watch();
            }
            if meaning > Meaning::Nothing {
                self.batch.meaning = self.batch.meaning.max(meaning);
                self.batch.files.insert(path);
                self.batch.since.get_or_insert(now);
                self.batch.last = Some(now);
            }
        }
    }
}

/// The folders to watch, and whether with everything below. Folders, because editors replace a file with a new one.
fn folders(sources: &Sources) -> BTreeSet<(PathBuf, bool)> {
    // The crate's folder also has the build results, which are far more. So it is not watched with everything below.
    let inside = std::fs::read_dir(&sources.folder).into_iter().flatten().flatten();
    let inside = inside.map(|entry| entry.path());
    let whole: BTreeSet<PathBuf> = inside.filter(|path| path.is_dir() && sources.is_own(path)).collect();
    let used = sources.used.iter().filter(|path| !sources.is_built(path));
    let files = sources.scenarios.iter().filter(|path| path.is_file());
    let files = files.chain(used).chain([&sources.pipeline]);
    let single = files.filter_map(|file| file.parent().map(Path::to_path_buf));
    let single = single.chain(sources.scenarios.iter().chain(&sources.schemas).cloned());
    let single = single.chain([sources.folder.clone()]);
    let single = single.filter(|folder| !whole.iter().any(|whole| folder.starts_with(whole)));
    let single: BTreeSet<(PathBuf, bool)> = single.map(|folder| (folder, false)).collect();
    single
        .into_iter()
        .chain(whole.iter().map(|folder| (folder.clone(), true)))
        .collect()
}

/// Translates a notification of the system.
fn forward(event: notify::Result<notify::Event>, to: &Sender<Message>) {
    let message = match event {
        Ok(event) if event.need_rescan() => Message::Anything,
        Ok(event) => match event.kind {
            // Reading does not matter, and a build reads everything.
            EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_)) => return,
            _ => Message::Touched(event.paths),
        },
        Err(_) => Message::Anything,
    };
    // If nobody listens, the process ends.
    let _ = to.send(message);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::sync::mpsc::Sender;

    const LONG: Duration = Duration::from_secs(20);

    /// A watched folder with a source and a build result, and the sender of the signal to stop.
    fn watched() -> (tempfile::TempDir, PathBuf, Saves, Sender<()>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        for inside in ["src", "target/release"] {
            fs::create_dir_all(path.join(inside)).unwrap();
        }
        fs::write(path.join("src/lib.rs"), "1").unwrap();
        let (signal, signals) = channel();
        let mut saves = Saves::new(signals).unwrap();
        let sources = Sources {
            folder: path.clone(),
            pipeline: path.join("pelton.toml"),
            ..Sources::default()
        };
        saves.follow(sources).unwrap();
        (folder, path, saves, signal)
    }

    /// Collects saves until all these files were noticed, because a slow machine may turn one save into two.
    #[track_caller]
    fn saved(saves: &mut Saves, files: &[&Path]) -> (Meaning, Vec<PathBuf>) {
        let (mut meaning, mut heard) = (Meaning::Nothing, BTreeSet::new());
        while !files.iter().all(|file| heard.contains(*file)) {
            match saves.next(LONG) {
                Next::Saved(batch) => {
                    meaning = meaning.max(batch.meaning);
                    heard.extend(batch.files);
                }
                Next::Quiet => panic!("nothing is heard"),
                Next::Stop => panic!("nobody has said stop"),
            }
        }
        (meaning, heard.into_iter().collect())
    }

    #[test]
    fn a_save_is_heard_of_however_the_editor_writes_it() {
        let (_folder, path, mut saves, _signal) = watched();
        let [source, other, pipeline] = ["src/lib.rs", "src/other.rs", "pelton.toml"].map(|name| path.join(name));
        // The build result is written first, so it would be noticed first.
        fs::write(path.join("target/release/build.rs"), "x").unwrap();
        fs::write(&pipeline, "x = 1").unwrap();
        assert_eq!(saved(&mut saves, &[&pipeline]), (Meaning::Play, vec![pipeline.clone()]));
        // Written under another name and renamed, together with a file that means less.
        fs::write(path.join("src/.lib.rs.swp"), "3").unwrap();
        fs::rename(path.join("src/.lib.rs.swp"), &source).unwrap();
        fs::remove_file(&pipeline).unwrap();
        let both = (Meaning::Build, vec![pipeline.clone(), source.clone()]);
        assert_eq!(saved(&mut saves, &[&source, &pipeline]), both);
        // Reading is not a save.
        fs::read(&source).unwrap();
        fs::write(&other, "4").unwrap();
        assert_eq!(saved(&mut saves, &[&other]), (Meaning::Build, vec![other.clone()]));
    }

    #[test]
    fn a_new_folder_is_watched_too() {
        let (_folder, path, mut saves, _signal) = watched();
        let [folder, file] = ["wit", "wit/own.wit"].map(|name| path.join(name));
        fs::create_dir(&folder).unwrap();
        assert_eq!(saved(&mut saves, &[&folder]), (Meaning::Build, vec![folder.clone()]));
        for text in ["x", "y"] {
            fs::write(&file, text).unwrap();
            assert_eq!(saved(&mut saves, &[&file]), (Meaning::Build, vec![file.clone()]));
        }
        // Removed and created again, as a change of branches does.
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(saved(&mut saves, &[&file]).0, Meaning::Build);
        fs::create_dir(&folder).unwrap();
        assert_eq!(saved(&mut saves, &[&folder]).0, Meaning::Build);
        fs::write(&file, "z").unwrap();
        assert_eq!(saved(&mut saves, &[&file]).0, Meaning::Build);
    }

    #[test]
    fn what_interrupts_is_what_comes_next() {
        let (_folder, path, mut saves, signal) = watched();
        let source = path.join("src/lib.rs");
        assert_eq!(saves.interrupt(Duration::ZERO), None);
        fs::remove_file(&source).unwrap();
        assert_eq!(saves.interrupt(LONG), Some(Interrupt::Saved));
        assert_eq!(saves.interrupt(LONG), Some(Interrupt::Saved));
        assert_eq!(saved(&mut saves, &[&source]).0, Meaning::Build);
        assert_eq!(saves.interrupt(Duration::ZERO), None);
        signal.send(()).unwrap();
        assert_eq!(saves.interrupt(LONG), Some(Interrupt::Stop));
        assert!(matches!(saves.next(LONG), Next::Stop));
    }
}
