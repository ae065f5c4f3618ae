//! The disk of the local state is full.
//!
//! Rule: the state on disk is a cache. Without it everything goes on, and it is not trusted unless it is complete.

use super::*;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A file system of 64 MiB. It is unmounted at the end.
struct Small(TempDir);

impl Small {
    fn mount() -> Option<Small> {
        let small = Small(TempDir::new().unwrap());
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64m", "pelton-test"]);
        let mounted = mount.arg(small.0.path()).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(small)
    }

    /// Fills the disk. Returns the file that takes the space.
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
        // A process that was just killed may still hold it for a moment.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).output();
    }
}

/// The answer of the process. Empty if there is none.
fn ask(address: SocketAddr, path: &str) -> String {
    let mut answer = String::new();
    if let Ok(mut stream) = TcpStream::connect(address) {
        // An incomplete answer is as good as none.
        let _ = write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
        let _ = stream.read_to_string(&mut answer);
    }
    answer
}

#[test]
fn a_full_disk_stops_nothing_and_nothing_is_lost_by_restarts_without_room_and_with_it() {
    let Some(small) = Small::mount() else {
        println!("skipped: a small file system can't be mounted here (it takes root)");
        return;
    };
    let mut stage = Stage::new(Rig::shared(), Source::None);
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let dir = format!("state.dir={}", small.path().join("data").display());
    let http = format!("http={address}");
    let sets = [
        dir.as_str(),
        http.as_str(),
        "state.flush_bytes=1MiB",
        "workers=2",
        // Otherwise records that come after such a long silence would be late.
        "defaults.idle_after=1h",
    ];
    let mut tail = stage.tail();
    let mut parts = stage.parts(varied(Format::Json, 100_000), 10);
    let mut process = stage.run(&sets);
    let first = parts.next(&mut stage).expect("ten parts");
    tail.until(first.count(), PATIENCE, || process.lives());
    let metrics = ask(address, "/metrics");
    assert!(metrics.contains("pelton_unstored{partition=\"0\"} 0"), "{metrics}");

    let filler = small.fill();
    // A flush is due when as much was written as the state holds.
    while !process.said().contains("state could not be flushed") {
        let part = parts.next(&mut stage).expect("a flush in ten parts");
        tail.until(part.count(), PATIENCE, || process.lives());
    }
    // The outputs come anyway, and the problem is reported.
    let third = parts.next(&mut stage).expect("ten parts");
    tail.until(third.count(), PATIENCE, || process.lives());
    let health = ask(address, "/health");
    assert!(
        health.contains(" 200 OK") && health.contains("is not stored on this machine"),
        "{health}"
    );
    let metrics = ask(address, "/metrics");
    assert!(
        (0..PARTITIONS).any(|task| metrics.contains(&format!("pelton_unstored{{partition=\"{task}\"}} 1"))),
        "{metrics}"
    );
    process.kill();

    // There is still no room.
    let mut process = stage.run(&sets);
    let fourth = parts.next(&mut stage).expect("ten parts");
    tail.until(fourth.count(), PATIENCE, || process.lives());
    process.says("the stored state can't be opened", PATIENCE);
    assert!(ask(address, "/health").contains("is not stored on this machine"));
    process.kill();

    std::fs::remove_file(filler).unwrap();
    let mut all = parts.next(&mut stage).expect("ten parts");
    while let Some(part) = parts.next(&mut stage) {
        all = part;
    }
    let mut process = stage.run(&sets);
    tail.until(all.count(), PATIENCE, || process.lives());
    process.stop();
    tail.follow(Duration::from_millis(200));
    all.check(&tail.records);
}
