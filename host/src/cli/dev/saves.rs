//! What is saved, and the sign to stop, as one line of messages.
//!
//! Rule: a save that comes while something is done is not lost: it interrupts, and is the next one.

use super::change::{Meaning, Sources, over};
use notify::event::{EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// Somebody is told of something.
enum Message {
    /// These were written, renamed or removed.
    Touched(Vec<PathBuf>),
    /// Nobody knows what was.
    Anything,
    /// Signals.
    Stop,
}

/// What was saved at once.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The most that one of them means.
    pub meaning: Meaning,
    /// Those that mean something.
    pub files: BTreeSet<PathBuf>,
    /// When the first of them was heard of.
    pub since: Option<Instant>,
    /// And the last.
    last: Option<Instant>,
}

impl Batch {
    /// As if everything was saved now.
    pub fn all() -> Batch {
        Batch {
            meaning: Meaning::Build,
            since: Some(Instant::now()),
            ..Batch::default()
        }
    }
}

/// Why something is not done to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// There is a newer save.
    Saved,
    /// Told to stop.
    Stop,
}

/// What comes next.
pub enum Next {
    Saved(Batch),
    /// Nothing for a while.
    Quiet,
    Stop,
}

/// See the module.
pub struct Saves {
    inbox: Receiver<Message>,
    watcher: RecommendedWatcher,
    /// Folders, and whether with all below.
    watched: BTreeSet<(PathBuf, bool)>,
    sources: Sources,
    begun: Instant,
    batch: Batch,
    stop: bool,
}

impl Saves {
    /// Nothing is watched yet. `signals`: the first one says stop. Err: the system can't watch files.
    pub fn new(signals: Receiver<()>) -> Result<Saves, String> {
        let (sender, inbox) = channel();
        let told = sender.clone();
        let watcher = notify::recommended_watcher(move |event| tell(event, &told));
        std::thread::spawn(move || {
            // Nobody sends any more: the process ends.
            if signals.recv().is_ok() {
                let _ = sender.send(Message::Stop);
            }
        });
        Ok(Saves {
            inbox,
            watcher: watcher.map_err(|why| format!("files can't be watched: {why}"))?,
            watched: BTreeSet::new(),
            sources: Sources::default(),
            begun: Instant::now(),
            batch: Batch::default(),
            stop: false,
        })
    }

    /// From now on these count. Err: what can't be watched.
    pub fn follow(&mut self, sources: Sources) -> Result<(), String> {
        self.sources = sources;
        self.watch()
    }

    /// Watches what is not watched yet.
    fn watch(&mut self) -> Result<(), String> {
        for (folder, whole) in folders(&self.sources) {
            if self.watched.contains(&(folder.clone(), whole)) || !folder.is_dir() {
                continue;
            }
            let mode = match whole {
                true => RecursiveMode::Recursive,
                false => RecursiveMode::NonRecursive,
            };
            let watched = self.watcher.watch(&folder, mode);
            watched.map_err(|why| format!("{} can't be watched: {why}", folder.display()))?;
            self.watched.insert((folder, whole));
        }
        Ok(())
    }

    /// Waits for what comes next: a save that is over, the sign to stop, or so long for nothing.
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

    /// Waits so long for something that interrupts what is done.
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
            // A new folder may have come with files in it.
            let new = path.parent() == Some(folder) && path.is_dir() && self.sources.is_own(&path);
            let meaning = match new || path == *folder {
                true => Meaning::Build,
                false => self.sources.meaning(&path),
            };
            if new {
                // It may be there again; what can't be watched is told by the next `follow`.
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

/// Where all of it is, and whether with everything below: folders, because editors put a new file in the place of the old one.
fn folders(sources: &Sources) -> BTreeSet<(PathBuf, bool)> {
    // What is built is in here as well, and is far more.
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

/// What the system says of files.
fn tell(event: notify::Result<notify::Event>, to: &Sender<Message>) {
    let message = match event {
        Ok(event) if event.need_rescan() => Message::Anything,
        Ok(event) => match event.kind {
            // Reading is none of ours, and a build reads everything.
            EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_)) => return,
            _ => Message::Touched(event.paths),
        },
        Err(_) => Message::Anything,
    };
    // Nobody listens: the process ends.
    let _ = to.send(message);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::sync::mpsc::Sender;

    const LONG: Duration = Duration::from_secs(20);

    /// A folder that is watched, with a source and a built file, and whoever says stop.
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

    /// Everything of the next saves, until these files are heard of: a slow machine may make two saves of one.
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
        // What is built comes first, so it would be heard of first.
        fs::write(path.join("target/release/build.rs"), "x").unwrap();
        fs::write(&pipeline, "x = 1").unwrap();
        assert_eq!(saved(&mut saves, &[&pipeline]), (Meaning::Play, vec![pipeline.clone()]));
        // By another name, and renamed; beside it a file that means less.
        fs::write(path.join("src/.lib.rs.swp"), "3").unwrap();
        fs::rename(path.join("src/.lib.rs.swp"), &source).unwrap();
        fs::remove_file(&pipeline).unwrap();
        let both = (Meaning::Build, vec![pipeline.clone(), source.clone()]);
        assert_eq!(saved(&mut saves, &[&source, &pipeline]), both);
        // Reading is no save.
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
        // Gone, and there again: as a change of branches does.
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
