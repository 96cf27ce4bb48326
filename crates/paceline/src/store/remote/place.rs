//! Where on this host a local store has its socket and its lock, and a published process its socket: in a folder of the
//! user's that nobody else can enter.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, fcntl_lock};

use crate::store::shared::link::LinkError;

/// The files of one local store.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub(super) socket: PathBuf,
    lock: PathBuf,
}

/// The file whose lock makes its holder the host.
///
/// The lock is of the process: a child does not inherit it, and the kernel frees it whatever the end of the process is.
/// It is gone too when the process closes any descriptor of the file, so there is one of these a process and file.
#[derive(Debug)]
pub(super) struct Lock(File);

/// How long the path of a socket may be; the kernel's bound is 108 on the shortest of systems 104.
pub(crate) const LONGEST: usize = 103;

impl Files {
    /// Returns where the files of this name are, and makes sure of their folder.
    pub(super) fn of(name: &str) -> Result<Self, LinkError> {
        let folder = secured()?;
        let socket = folder.join(format!("{name}.sock"));
        if socket.as_os_str().len() > LONGEST {
            return Err(LinkError::Fatal(format!(
                "the path {} is too long for a socket; name a shorter XDG_RUNTIME_DIR",
                socket.display()
            )));
        }
        Ok(Self { socket, lock: folder.join(format!("{name}.lock")) })
    }

    pub(super) fn open_lock(&self) -> Result<Lock, LinkError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
        let opened = options.open(&self.lock);
        opened.map(Lock).map_err(|error| unusable(&self.lock, &error))
    }

    /// Returns whether the lock is of the file that has the path: something may have removed it, and somebody made another.
    pub(super) fn is_lock(&self, lock: &Lock) -> bool {
        let (Ok(own), Ok(there)) = (lock.0.metadata(), fs::symlink_metadata(&self.lock)) else {
            return false;
        };
        (own.dev(), own.ino()) == (there.dev(), there.ino())
    }
}

impl Lock {
    /// Takes the lock, unless another process has it.
    pub(super) fn take(&self) -> io::Result<bool> {
        match fcntl_lock(&self.0, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn release(&self) {
        // What cannot be unlocked is not locked.
        let _ = fcntl_lock(&self.0, FlockOperation::NonBlockingUnlock);
    }

    /// Notes whether other processes are connected, so that whoever takes over knows that somebody may come back.
    pub(super) fn note_others(&self, connected: bool) {
        if let Err(error) = self.0.write_all_at(if connected { b"1" } else { b"0" }, 0) {
            log::warn!("a local store's lock cannot be written: {error}");
        }
    }

    /// Returns what was noted last.
    pub(super) fn had_others(&self) -> bool {
        let mut noted = [0];
        self.0.read_exact_at(&mut noted, 0).is_ok() && noted == *b"1"
    }
}

/// Returns the folder, made sure of.
pub(crate) fn secured() -> Result<PathBuf, LinkError> {
    let folder = folder();
    secure(&folder)?;
    Ok(folder)
}

/// Returns the folder of the user, whether it is there or not.
pub(crate) fn folder() -> PathBuf {
    let user = rustix::process::geteuid().as_raw();
    let named = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    // A program without a login finds those of the user who has one.
    let usual = || Some(PathBuf::from(format!("/run/user/{user}"))).filter(|path| is_own(path));
    match named.or_else(usual) {
        Some(path) => path.join("paceline"),
        None => PathBuf::from(format!("/tmp/paceline-{user}")),
    }
}

fn is_own(path: &Path) -> bool {
    fs::symlink_metadata(path)
        .is_ok_and(|found| found.is_dir() && found.uid() == rustix::process::geteuid().as_raw())
}

/// Makes the folder, or sees that what is there is the user's own and nobody else's.
fn secure(folder: &Path) -> Result<(), LinkError> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(unusable(folder, &error)),
        _ => {}
    }
    let found = fs::symlink_metadata(folder).map_err(|error| unusable(folder, &error))?;
    let fault = if !found.is_dir() {
        "it is no folder"
    } else if found.uid() != rustix::process::geteuid().as_raw() {
        "it belongs to another user"
    } else if found.mode() & 0o077 != 0 {
        "others may enter it (chmod 700 it)"
    } else {
        return Ok(());
    };
    Err(LinkError::Fatal(format!(
        "{} is not safe for sockets of paceline: {fault}; remove it, or name another XDG_RUNTIME_DIR",
        folder.display()
    )))
}

pub(super) fn unusable(path: &Path, error: &io::Error) -> LinkError {
    let reason = format!("{} cannot be used for a local store: {error}", path.display());
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::Interrupted | io::ErrorKind::AddrInUse => {
            LinkError::Retry(reason)
        }
        _ => LinkError::Fatal(reason),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_folder_that_others_can_enter_or_lead_elsewhere_is_refused() {
        let home = std::env::temp_dir().join(format!("paceline-place-{}", std::process::id()));
        let _ = fs::remove_dir_all(&home);
        fs::create_dir(&home).unwrap();
        let made = home.join("made");
        secure(&made).unwrap();
        assert_eq!(fs::metadata(&made).unwrap().permissions().mode() & 0o777, 0o700);
        secure(&made).unwrap();
        fs::set_permissions(&made, fs::Permissions::from_mode(0o750)).unwrap();
        let open = secure(&made).unwrap_err();
        assert!(matches!(&open, LinkError::Fatal(reason) if reason.contains("chmod 700")), "{open}");
        let link = home.join("link");
        symlink(&home, &link).unwrap();
        assert!(secure(&link).unwrap_err().reason().contains("no folder"));
        let file = Files { socket: home.join("a.sock"), lock: home.join("a.lock") };
        symlink(&made, home.join("a.lock")).unwrap();
        assert!(
            matches!(file.open_lock(), Err(LinkError::Fatal(_))),
            "a lock that leads elsewhere is not opened"
        );
        fs::remove_file(home.join("a.lock")).unwrap();
        let lock = file.open_lock().unwrap();
        assert!(file.is_lock(&lock) && !lock.had_others());
        lock.note_others(true);
        assert!(lock.had_others());
        fs::remove_file(home.join("a.lock")).unwrap();
        assert!(!file.is_lock(&lock));
        fs::remove_dir_all(&home).unwrap();
    }
}
