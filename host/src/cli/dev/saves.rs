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
        let sources = &self.sources;
        let mut wanted = BTreeSet::from([(sources.folder.clone(), false)]);
        // What is built is in here as well, and is far more.
        let inside = std::fs::read_dir(&sources.folder).into_iter().flatten().flatten();
        let inside = inside.map(|entry| entry.path());
        wanted.extend(
            inside
                .filter(|path| path.is_dir() && sources.is_own(path))
                .map(|path| (path, true)),
        );
        let above = |path: &PathBuf| path.parent().map(Path::to_path_buf);
        let used = sources.used.iter().filter(|path| !sources.is_built(path));
        let single = [&sources.pipeline].into_iter().chain(used);
        let files = sources.scenarios.iter().filter(|path| path.is_file());
        let folders = sources.scenarios.iter().filter(|path| path.is_dir());
        let folders = folders.chain(&sources.schemas).cloned();
        wanted.extend(
            single
                .chain(files)
                .filter_map(above)
                .chain(folders)
                .map(|folder| (folder, false)),
        );
        let all: Vec<PathBuf> = wanted
            .iter()
            .filter(|(_, all)| *all)
            .map(|(path, _)| path.clone())
            .collect();
        wanted.retain(|(path, whole)| *whole || !all.iter().any(|folder| path.starts_with(folder)));
        for (folder, whole) in wanted {
            if self.watched.contains(&(folder.clone(), whole)) || !folder.is_dir() {
                continue;
            }
            let mode = if whole {
                RecursiveMode::Recursive
            } else {
                RecursiveMode::NonRecursive
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
                // What can't be watched is told by the next `follow`.
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
