//! The disk of the local state is full, and has room again.
//!
//! Rule: the state on disk is a cache. Without it everything goes on, and nothing of it is trusted that is not whole.

use super::*;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A file system of 64 MiB; taken away at the end.
struct Small(TempDir);

impl Small {
    fn mount() -> Option<Small> {
        let small = Small(TempDir::new().unwrap());
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64m", "pelton-test"]);
        let mounted = mount.arg(small.0.path()).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(small)
    }

    /// Leaves no room; the file that takes it.
    fn fill(&self) -> PathBuf {
        let path = self.0.path().join("filler");
        let mut filler = File::create(&path).unwrap();
        for block in [1 << 20, 1 << 12] {
            while filler.write_all(&vec![1; block]).is_ok() {}
        }
        path
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // A process that was just killed may hold it for a moment.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).output();
    }
}

#[test]
fn a_full_disk_stops_nothing_and_the_same_process_flushes_again_when_there_is_room() {
    let Some(small) = Small::mount() else {
        println!("skipped: a small file system can't be mounted here (it takes root)");
        return;
    };
    let mut stage = Stage::new(Rig::shared(), Source::None);
    let dir = format!("state.dir={}", small.path().join("data").display());
    let sets = [dir.as_str(), "state.flush_bytes=1MiB", "workers=2"];
    let mut tail = stage.tail();
    let mut parts = stage.parts(varied(Format::Json, 100_000), 4);
    let first = parts.next(&mut stage).expect("four parts");
    let mut process = stage.run(&sets);
    tail.until(first.count(), PATIENCE, || process.lives());

    let filler = small.fill();
    let second = parts.next(&mut stage).expect("four parts");
    tail.until(second.count(), PATIENCE, || process.lives());
    process.says("state could not be flushed", PATIENCE);
    process.says("make room", PATIENCE);
    // Every task has tried in vain, perhaps, and the outputs come all the same.
    let third = parts.next(&mut stage).expect("four parts");
    tail.until(third.count(), PATIENCE, || process.lives());

    std::fs::remove_file(filler).unwrap();
    process.says("state is flushed again", PATIENCE);
    process.kill();
    let all = parts.next(&mut stage).expect("four parts");
    let mut process = stage.run(&sets);
    process.says("the stored state is loaded", PATIENCE);
    tail.until(all.count(), PATIENCE, || process.lives());
    process.stop();
    tail.follow(Duration::from_millis(200));
    all.check(&tail.records);
}
