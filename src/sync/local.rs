//! Both ends in one process: a vault in a folder of this machine as the other side.
//!
//! The same two machines, joined directly; no bytes are made of the frames and no thread is needed, since
//! at any moment one end listens.

use super::session::{
    Brought, Caller, CallerOptions, Ending, Machine, Opener, Restorer, Served, Server, Step, Summary,
};
use super::{Endpoint, SyncError};
use crate::object::ObjectId;

/// Runs a session with a vault in this process, which `opener` opens.
pub fn call(
    endpoint: &mut dyn Endpoint,
    options: CallerOptions,
    opener: Opener<'_>,
) -> Result<(Summary, Served), SyncError> {
    let mut caller = Caller::new(endpoint, options)?;
    let mut server = Server::new(opener);
    join(&mut caller, &mut server, &mut |_| true)?;
    match (caller.summary(), server.summary()) {
        (Some(summary), Some(served)) => Ok((summary, served)),
        _ => Err(SyncError::Broke { waiting_for: "the end" }),
    }
}

/// Brings objects back from a vault in this process, which `opener` opens.
pub fn restore(
    endpoint: &mut dyn Endpoint,
    wanted: Vec<ObjectId>,
    opener: Opener<'_>,
) -> Result<Brought, SyncError> {
    let mut restorer = Restorer::new(endpoint, wanted, None)?;
    join(&mut restorer, &mut Server::new(opener), &mut |_| true)?;
    restorer.summary().ok_or(SyncError::Broke { waiting_for: "the end" })
}

/// Runs two machines to their end. `passes` sees each frame on its way and may cut the link there. An error
/// of either side is told to the other and returned as the caller sees it.
pub fn join(
    caller: &mut dyn Machine,
    server: &mut dyn Machine,
    passes: &mut dyn FnMut(&super::frame::Frame) -> bool,
) -> Result<(), SyncError> {
    let mut is_quiet = false;
    loop {
        let (from_caller, caller_done) =
            speak(caller, server, passes).map_err(|fault| fault.tell(caller, server))?;
        let (from_server, server_done) =
            speak(server, caller, passes).map_err(|fault| fault.turned().tell(caller, server))?;
        if caller_done && server_done {
            return Ok(());
        }
        if !from_caller && !from_server {
            if is_quiet {
                let error = SyncError::Broke { waiting_for: caller.waiting_for() };
                return Err(Fault::Link(error).tell(caller, server));
            }
            is_quiet = true;
        } else {
            is_quiet = false;
        }
    }
}

/// Where an error came from.
enum Fault {
    /// The end that spoke: the caller, until turned.
    Speaker(SyncError),
    /// The end that listened.
    Listener(SyncError),
    /// Neither.
    Link(SyncError),
}

impl Fault {
    fn turned(self) -> Fault {
        match self {
            Fault::Speaker(error) => Fault::Listener(error),
            Fault::Listener(error) => Fault::Speaker(error),
            link => link,
        }
    }

    /// Ends both sides; the speaker is the caller.
    fn tell(self, caller: &mut dyn Machine, server: &mut dyn Machine) -> SyncError {
        let (error, last_words, other): (_, _, &mut dyn Machine) = match self {
            Fault::Speaker(error) => {
                let words = caller.fail(&error);
                (error, words, server)
            }
            Fault::Listener(error) => {
                let words = server.fail(&error);
                let error = match error {
                    SyncError::Ours(refusal) => SyncError::refused(refusal),
                    other => other,
                };
                (error, words, caller)
            }
            Fault::Link(error) => {
                caller.fail(&error);
                (error, None, server)
            }
        };
        let theirs = match last_words.map(|frame| other.receive(frame)) {
            Some(Err(theirs)) => theirs,
            _ => SyncError::Broke { waiting_for: other.waiting_for() },
        };
        other.fail(&theirs);
        error
    }
}

/// Lets one end say all it has to say; tells whether it said anything and whether it is done.
fn speak(
    speaker: &mut dyn Machine,
    listener: &mut dyn Machine,
    passes: &mut dyn FnMut(&super::frame::Frame) -> bool,
) -> Result<(bool, bool), Fault> {
    let mut spoke = false;
    loop {
        match speaker.next_step().map_err(Fault::Speaker)? {
            Step::Send(frame) => {
                if !passes(&frame) {
                    return Err(Fault::Link(SyncError::Broke { waiting_for: listener.waiting_for() }));
                }
                listener.receive(frame).map_err(Fault::Listener)?;
                spoke = true;
            }
            Step::Receive => return Ok((spoke, false)),
            Step::Done => return Ok((spoke, true)),
        }
    }
}
