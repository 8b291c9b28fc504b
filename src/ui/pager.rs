//! The pager: `MVAULT_PAGER`, else `PAGER`, else `less`; `cat` or nothing means none.

use std::io::{self, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How to start the pager.
#[derive(Clone, Debug)]
pub struct PagerSetup {
    /// What the person chose, run by a shell; `None` for `less`.
    pub command: Option<String>,
    /// Variables for the pager alone.
    pub vars: Vec<(&'static str, &'static str)>,
    /// While this is false, Ctrl-C does not end the program: it belongs to the pager.
    pub interruptible: Arc<AtomicBool>,
}

impl PagerSetup {
    /// Chooses by the environment; `None` if no pager is wanted.
    pub fn choose(
        var: impl Fn(&str) -> Option<String>,
        interruptible: Arc<AtomicBool>,
    ) -> Option<PagerSetup> {
        let command = var("MVAULT_PAGER").or_else(|| var("PAGER"));
        if matches!(command.as_deref().map(str::trim), Some("" | "cat")) {
            return None;
        }
        // As git does: quit if it fits on one screen, let colours through, leave the screen as it is.
        let mut vars = vec![("LESS", "FRX"), ("LV", "-c")];
        vars.retain(|(name, _)| var(name).is_none());
        Some(PagerSetup { command, vars, interruptible })
    }
}

/// A running pager.
pub(super) struct Pager {
    child: Child,
    stdin: Option<io::BufWriter<ChildStdin>>,
    interruptible: Arc<AtomicBool>,
}

impl Pager {
    /// Starts the pager; `None` if that fails, then output goes to the terminal as it is.
    pub(super) fn start(setup: &PagerSetup) -> Option<Pager> {
        let mut command = match &setup.command {
            Some(line) => {
                let mut shell = Command::new("sh");
                shell.arg("-c").arg(line);
                shell
            }
            None => Command::new("less"),
        };
        command.envs(setup.vars.iter().copied());
        let mut child = command.stdin(Stdio::piped()).spawn().ok()?;
        let stdin = child.stdin.take().map(|pipe| io::BufWriter::with_capacity(1 << 16, pipe));
        setup.interruptible.store(false, Ordering::SeqCst);
        Some(Pager { child, stdin, interruptible: setup.interruptible.clone() })
    }

    /// Closes the pipe and waits until the person leaves the pager.
    pub(super) fn finish(&mut self) {
        drop(self.stdin.take());
        let _its_end_is_all_we_wait_for = self.child.wait();
        self.interruptible.store(true, Ordering::SeqCst);
    }
}

impl Drop for Pager {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Write for Pager {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.stdin {
            Some(stdin) => stdin.write(bytes),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stdin.as_mut().map_or(Ok(()), Write::flush)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_variable_wins_and_cat_means_none() {
        let choose = |own: Option<&str>, general: Option<&str>| {
            let var = |name: &str| match name {
                "MVAULT_PAGER" => own.map(str::to_owned),
                "PAGER" => general.map(str::to_owned),
                "LESS" => Some("R".to_owned()),
                _ => None,
            };
            PagerSetup::choose(var, Arc::default())
        };
        assert_eq!(choose(None, None).expect("less").vars, [("LV", "-c")]);
        assert_eq!(choose(None, None).expect("less").command, None);
        assert_eq!(choose(Some("most"), Some("more")).expect("most").command.as_deref(), Some("most"));
        assert_eq!(choose(None, Some("more")).expect("more").command.as_deref(), Some("more"));
        assert!(choose(Some(""), Some("more")).is_none());
        assert!(choose(Some("cat"), None).is_none());
    }
}
