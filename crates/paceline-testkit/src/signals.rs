//! Signals to children.

use std::process::Child;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

/// Stops a child, and waits until it stands.
pub(crate) fn freeze(child: &Child) {
    let process = Pid::from_child(child);
    kill_process(process, Signal::STOP).expect("a child can be signalled");
    waitid(WaitId::Pid(process), WaitIdOptions::STOPPED).expect("a child can be waited for");
}

/// Lets a child go on.
pub(crate) fn thaw(child: &Child) {
    kill_process(Pid::from_child(child), Signal::CONT).expect("a child can be signalled");
}
