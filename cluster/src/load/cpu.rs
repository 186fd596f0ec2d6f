//! CPU time that other processes on this host have used.
//!
//! Owns the reading of `/proc/PID/stat`. Refuses to judge. Resolution: one clock tick, 10 ms on Linux.

use std::time::Duration;

/// Why a process's CPU time cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CpuError {
    /// There is no such process, or it may not be looked at.
    #[error("cannot read the CPU time of process {pid}: {source}; is it running?")]
    Read {
        /// The process.
        pid: u32,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The file is not what Linux writes.
    #[error("/proc/{pid}/stat cannot be understood")]
    Content {
        /// The process.
        pid: u32,
    },
}

/// A process's CPU time, user and system, all threads, since it started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuTime {
    /// The process.
    pub pid: u32,
    /// Its name.
    pub name: String,
    /// The time.
    pub used: Duration,
}

/// Reads a process's CPU time.
///
/// # Errors
/// When there is no such process.
pub fn cpu_time(pid: u32) -> Result<CpuTime, CpuError> {
    let path = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(path).map_err(|source| CpuError::Read { pid, source })?;
    parse(pid, &text).ok_or(CpuError::Content { pid })
}

/// The name stands in parentheses and may hold anything; fields 14 and 15 are user and system ticks.
fn parse(pid: u32, text: &str) -> Option<CpuTime> {
    let (head, rest) = text.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    let used = Duration::from_micros(user.checked_add(system)?.checked_mul(1_000_000)? / ticks_per_second());
    Some(CpuTime { pid, name: name.to_owned(), used })
}

#[expect(unsafe_code, reason = "nix has sysconf only behind a feature that the workspace does not enable")]
fn ticks_per_second() -> u64 {
    // SAFETY: sysconf takes no pointers and changes nothing.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    u64::try_from(ticks).ok().filter(|ticks| *ticks > 0).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_parentheses_and_spaces_are_no_trouble() {
        let text = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 2 3 4 250 150 0 0 20 0 1 0 5 6 7";
        let cpu = parse(7, text).unwrap();
        assert_eq!(cpu.name, "a) b (c)");
        assert_eq!(cpu.used, Duration::from_micros(400_000_000 / ticks_per_second()));
        assert_eq!(parse(7, "7 (x"), None);
        assert_eq!(parse(7, "7 (x) S 1"), None);
    }

    #[test]
    fn this_process_has_a_cpu_time() {
        assert!(cpu_time(std::process::id()).is_ok());
        assert!(matches!(cpu_time(u32::MAX), Err(CpuError::Read { .. })));
    }
}
