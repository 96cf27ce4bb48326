//! Signals to children, and what the system allows to processes.

use std::process::Child;

use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, getrlimit, kill_process, setrlimit, waitid,
};

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

/// Lets this process, and those that it starts, have this many files open; panics where the system does not allow it.
pub fn allow_open_files(many: u64) {
    let had = getrlimit(Resource::Nofile);
    if had.current.is_none_or(|current| current >= many) {
        return;
    }
    let wanted = Rlimit { current: Some(many), maximum: had.maximum.map(|most| most.max(many)) };
    let raised = setrlimit(Resource::Nofile, wanted);
    raised
        .unwrap_or_else(|error| panic!("{many} open files are needed, of {had:?}: {error}; see `ulimit -n`"));
}
