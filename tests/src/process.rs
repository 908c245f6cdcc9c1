//! What a process takes of the machine, on Linux (proc(5)); None elsewhere, and when it is gone.

use std::fs;

/// What /proc counts processor time in, on every Linux (USER_HZ).
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor time of a process so far, in seconds.
#[must_use]
pub fn processor_s(process: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name in brackets may hold anything; what follows it are numbers from the third field on.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
    Some((ticks(14)? + ticks(15)?) / TICKS_PER_SECOND)
}

/// Processor time of all programs that this one started and that have ended, in seconds.
#[must_use]
pub fn children_processor_s() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
    Some((ticks(16)? + ticks(17)?) / TICKS_PER_SECOND)
}

/// Bytes that are free where a folder lies, as `df` tells.
#[must_use]
pub fn free_bytes(folder: &std::path::Path) -> Option<u64> {
    let output = std::process::Command::new("df").args(["--output=avail", "-B1"]).arg(folder).output().ok()?;
    String::from_utf8(output.stdout).ok()?.lines().nth(1)?.trim().parse().ok()
}

/// Memory that a process holds, in MB.
#[must_use]
pub fn memory_mb(process: u32) -> Option<f64> {
    status_mb(process, "VmRSS:")
}

/// Most memory that a process held at once, in MB.
#[must_use]
pub fn peak_memory_mb(process: u32) -> Option<f64> {
    status_mb(process, "VmHWM:")
}

/// Files and sockets that a process has open.
#[must_use]
pub fn open_files(process: u32) -> Option<usize> {
    Some(fs::read_dir(format!("/proc/{process}/fd")).ok()?.count())
}

fn status_mb(process: u32, field: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<f64>().ok()? / 1000.0)
}
