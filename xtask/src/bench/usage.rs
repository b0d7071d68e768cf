//! What processes have used, as the kernel counts it (`/proc`).

use std::fs;

use anyhow::{Context, Result};

/// Linux counts processor time for `/proc` in hundredths of a second, on every machine it runs on.
const TICK_MS: u64 = 10;

pub(crate) struct Usage {
    /// In user and in kernel mode together, all threads.
    pub(crate) cpu_ms: u64,
    /// Bytes that this process caused to be sent to the disk.
    pub(crate) written_bytes: u64,
}

/// What these processes have used, together.
pub(crate) fn read(pids: &[u32]) -> Result<Usage> {
    let mut all = Usage { cpu_ms: 0, written_bytes: 0 };
    for &pid in pids {
        let one = read_one(pid)?;
        all.cpu_ms += one.cpu_ms;
        all.written_bytes += one.written_bytes;
    }
    Ok(all)
}

fn read_one(pid: u32) -> Result<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("the process is gone")?;
    let io = fs::read_to_string(format!("/proc/{pid}/io")).context("the kernel does not tell what is written")?;
    Ok(Usage {
        cpu_ms: cpu_ms(&stat).context("/proc/PID/stat")?,
        written_bytes: field(&io, "write_bytes:").unwrap_or(0),
    })
}

/// Resident memory of these processes together; one that is gone has none.
pub(crate) fn rss_bytes(pids: &[u32]) -> u64 {
    let status = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    pids.iter().map(|pid| field(&status(pid), "VmRSS:").unwrap_or(0) * 1024).sum()
}

/// Fields 14 and 15. The program's name, in brackets before, may hold spaces.
fn cpu_ms(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) * TICK_MS)
}

fn field(text: &str, name: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|value| value.split_whitespace().next()?.parse().ok())
}

#[test]
fn the_kernels_words_are_read() {
    assert_eq!(cpu_ms("7 (a b) c) S 1 2 3 4 5 6 7 8 9 10 30 12 0 0"), Some(420));
    assert_eq!(cpu_ms("7 (cut"), None);
    assert_eq!(field("read_bytes: 1\nwrite_bytes: 4096\n", "write_bytes:"), Some(4096));
    assert_eq!(field("VmRSS:\t  5120 kB\n", "VmRSS:"), Some(5120));
}
