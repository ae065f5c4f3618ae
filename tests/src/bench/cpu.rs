//! CPU time and memory of this process, its threads, and other processes, as the kernel counts them.

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// CPU time of this process, user and system.
pub fn own() -> Duration {
    // SAFETY: a struct of numbers, so zeros are valid; getrusage fills it and can't fail for RUSAGE_SELF.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let of = |time: libc::timeval| Duration::from_micros(time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64);
    of(usage.ru_utime) + of(usage.ru_stime)
}

/// CPU time of another process, user and system.
pub fn process(pid: u32) -> Result<Duration> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in brackets, may contain spaces. After it, utime and stime are the 12th and 13th.
    let behind = line.rsplit_once(')').context("a process's stat")?.1;
    let ticks: Vec<u64> = behind
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    // SAFETY: has no preconditions.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64;
    Ok(Duration::from_secs_f64(ticks.iter().sum::<u64>() as f64 / per_second))
}

/// A thread of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// The first 15 bytes of its name.
    pub name: String,
    /// CPU time so far.
    pub cpu: Duration,
}

/// The live threads of this process by their ids. Younger threads have higher ids.
pub fn threads() -> Result<BTreeMap<u32, Thread>> {
    let mut threads = BTreeMap::new();
    for entry in fs::read_dir("/proc/self/task")? {
        let folder = entry?.path();
        let read = |file: &str| fs::read_to_string(folder.join(file));
        // The thread may have ended meanwhile.
        let (Ok(name), Ok(spent)) = (read("comm"), read("schedstat")) else {
            continue;
        };
        let number = folder.file_name().and_then(|name| name.to_str()?.parse().ok());
        let nanos = spent.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
        let thread = Thread {
            name: name.trim_end().to_owned(),
            cpu: Duration::from_nanos(nanos.context("a thread's schedstat")?),
        };
        threads.insert(number.context("a thread's number")?, thread);
    }
    Ok(threads)
}

/// The highest resident memory of this process since [`forget_peak`], in bytes.
pub fn peak() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Ok(kib.context("VmHWM in /proc/self/status")? * 1024)
}

/// Returns free memory to the system, and restarts the peak.
pub fn forget_peak() -> Result<()> {
    // SAFETY: has no preconditions.
    unsafe { libc::malloc_trim(0) };
    Ok(fs::write("/proc/self/clear_refs", "5")?)
}

/// The load of the machine over the last minute: how many processes run or are ready to.
pub fn load() -> Result<f64> {
    let text = fs::read_to_string("/proc/loadavg")?;
    Ok(text.split_whitespace().next().context("a load")?.parse()?)
}
