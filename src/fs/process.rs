//! Processes, as far as files or signals tell of them: is the one that was seen still there?

use rustix::process::{Pid, test_kill_process};

use super::Disk;

/// The longest `stat` of a process that is read.
const STAT_BYTES_MAX: u64 = 8 << 10;

/// Returns what tells a process from every other one, also from a later one with its number: the number and,
/// where the system tells, when it began. `None` if there is no such process.
pub fn process_mark(disk: &dyn Disk, pid: u32) -> Option<String> {
    let began = disk
        .open_dir(format!("/proc/{pid}").as_ref())
        .ok()
        .and_then(|dir| dir.try_read("stat", STAT_BYTES_MAX).ok().flatten())
        .and_then(|stat| began(&stat));
    if let Some(began) = began {
        return Some(format!("{pid} {began}"));
    }
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw)?;
    test_kill_process(pid).is_ok().then(|| pid.as_raw_nonzero().to_string())
}

/// Returns the 22nd field of a line of `/proc/<pid>/stat`; the second can hold blanks and brackets.
fn began(stat: &[u8]) -> Option<String> {
    let after_name = stat.iter().rposition(|b| *b == b')')? + 1;
    let text = std::str::from_utf8(&stat[after_name..]).ok()?;
    text.split_ascii_whitespace().nth(19).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::RealDisk;

    #[test]
    fn a_living_process_has_a_mark_and_a_dead_one_has_none() {
        let own = process_mark(&RealDisk, std::process::id()).expect("we live");
        assert_eq!(process_mark(&RealDisk, std::process::id()), Some(own));
        assert_eq!(process_mark(&RealDisk, u32::MAX / 2), None);
    }

    #[test]
    fn the_beginning_is_found_behind_any_name() {
        let stat = b"42 (a ) b (c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 777 20";
        assert_eq!(began(stat).as_deref(), Some("777"));
        assert_eq!(began(b"42"), None);
    }
}
