//! The file of a host: names and values, as groups that are appended and synced, each whole or not there.
//!
//! A group is its length, the same with every bit turned, a checksum, and its number with its pairs. The last group may
//! be torn by a crash: nobody was told of it. Whatever else cannot be read is damage.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::error::HostError;

const MAGIC: &[u8; 8] = b"PaclHost";

/// The format that is written. Older ones are read and written anew.
const VERSION: u32 = 1;

/// Bytes before the first group, and before the pairs of a group.
const FRONT: usize = 12;
const GROUP: usize = 16;

/// The file is written anew once this much more was appended than is kept.
const SLACK: u64 = 1 << 20;

pub(super) type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// What is kept, by name.
pub(super) type Image = BTreeMap<Vec<u8>, Vec<u8>>;

pub(super) struct StateFile {
    path: PathBuf,
    file: File,
    /// Held for life: nobody else may write.
    _lock: File,
    image: Image,
    number: u64,
    /// How long it is, and how long it was when it was last written anew.
    length: u64,
    whole: u64,
    /// An error left it in a state that is not known.
    is_doubtful: bool,
    #[cfg(test)]
    broken: bool,
}

impl StateFile {
    /// Opens a file, or makes it.
    pub(super) fn open(path: &Path) -> Result<Self, HostError> {
        let failed = |source| HostError::Io { path: path.to_owned(), source };
        let lock = lock_of(path)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        let (found, image, number, good) =
            if bytes.is_empty() { (0, Image::new(), 0, 0) } else { parse(path, &bytes)? };
        let length = bytes.len() as u64;
        let mut opened = Self {
            path: path.to_owned(),
            file,
            _lock: lock,
            image,
            number,
            length,
            whole: length,
            is_doubtful: false,
            #[cfg(test)]
            broken: false,
        };
        if found != VERSION || good != bytes.len() {
            opened.write_anew().map_err(failed)?;
        } else {
            opened.file.seek(SeekFrom::End(0)).map_err(failed)?;
        }
        Ok(opened)
    }

    pub(super) fn image(&self) -> &Image {
        &self.image
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps pairs: once this returns they outlive a crash. After an error they are kept by the next call that succeeds.
    pub(super) fn keep(&mut self, pairs: Pairs) -> io::Result<()> {
        let group = (!pairs.is_empty()).then(|| {
            self.number += 1;
            group(self.number, pairs.iter().map(|(name, value)| (name.as_slice(), value.as_slice())))
        });
        self.image.extend(pairs);
        if self.is_doubtful || self.length > self.whole.saturating_mul(4).saturating_add(SLACK) {
            return self.write_anew();
        }
        let Some(group) = group else { return Ok(()) };
        self.is_doubtful = true;
        self.try_disk()?;
        self.file.write_all(&group)?;
        self.file.sync_data()?;
        self.is_doubtful = false;
        self.length += group.len() as u64;
        Ok(())
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "a test has the disk fail here")]
    fn try_disk(&self) -> io::Result<()> {
        Ok(())
    }

    #[cfg(test)]
    fn try_disk(&self) -> io::Result<()> {
        if self.broken { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    #[cfg(test)]
    pub(super) fn break_off(&mut self, broken: bool) {
        self.broken = broken;
    }

    /// Writes all of it beside the file, and puts that in the file's place.
    fn write_anew(&mut self) -> io::Result<()> {
        self.is_doubtful = true;
        self.try_disk()?;
        let beside = self.path.with_added_extension("new");
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&beside)?;
        let mut bytes = front();
        self.number += 1;
        bytes.extend(group(self.number, self.image.iter().map(|(name, value)| (&**name, &**value))));
        file.write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, &self.path)?;
        if let Some(folder) = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            File::open(folder)?.sync_all()?;
        }
        self.file = file;
        (self.length, self.whole) = (bytes.len() as u64, bytes.len() as u64);
        self.is_doubtful = false;
        Ok(())
    }
}

fn lock_of(path: &Path) -> Result<File, HostError> {
    let failed = |source| HostError::Io { path: path.to_owned(), source };
    let beside = path.with_added_extension("lock");
    let lock = OpenOptions::new().write(true).create(true).truncate(false).open(beside).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(HostError::Busy { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Returns what stands before the first group.
pub(super) fn front() -> Vec<u8> {
    let mut bytes = Vec::from(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes
}

fn group<'a>(number: u64, pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Vec<u8> {
    framed(&content(number, pairs))
}

/// Returns what a group has in it: its number, and its pairs.
pub(super) fn content<'a>(number: u64, pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Vec<u8> {
    let mut content = Vec::from(number.to_le_bytes());
    for part in pairs.flat_map(|(name, value)| [name, value]) {
        content.extend_from_slice(&size(part.len()).to_le_bytes());
        content.extend_from_slice(part);
    }
    content
}

/// Returns a group that has this in it.
pub(super) fn framed(content: &[u8]) -> Vec<u8> {
    let length = size(content.len());
    let mut group = Vec::with_capacity(GROUP + content.len());
    group.extend_from_slice(&length.to_le_bytes());
    group.extend_from_slice(&(!length).to_le_bytes());
    group.extend_from_slice(&checksum(content).to_le_bytes());
    group.extend_from_slice(content);
    group
}

fn size(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// FNV-1a, 64 bits.
fn checksum(bytes: &[u8]) -> u64 {
    let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// Reads a file: its format, what it keeps, the number of its last group, and where that ends.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<(u32, Image, u64, usize), HostError> {
    let damaged = |at: usize| HostError::Damaged { path: path.to_owned(), at: at as u64 };
    let front = bytes.split_first_chunk::<8>().filter(|(magic, _)| *magic == MAGIC);
    let version = front.and_then(|(_, rest)| rest.first_chunk()).ok_or_else(|| damaged(0))?;
    let found = u32::from_le_bytes(*version);
    if found > VERSION {
        return Err(HostError::Newer { path: path.to_owned(), found, known: VERSION });
    }
    let (mut image, mut number, mut at) = (Image::new(), 0, FRONT);
    while at < bytes.len() {
        let rest = bytes.get(at..).unwrap_or_default();
        match read_group(rest) {
            Some((next, pairs, length)) if next > number => {
                image.extend(pairs);
                (number, at) = (next, at + length);
            }
            // Only what was written last may be torn.
            _ if at > FRONT && (1..rest.len()).all(|from| !is_group(rest.get(from..))) => break,
            _ => return Err(damaged(at)),
        }
    }
    if number == 0 { Err(damaged(FRONT)) } else { Ok((found, image, number, at)) }
}

fn is_group(bytes: Option<&[u8]>) -> bool {
    bytes.and_then(read_group).is_some()
}

/// Reads the group that begins here: its number, its pairs and its length.
fn read_group(bytes: &[u8]) -> Option<(u64, Pairs, usize)> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (turned, rest) = rest.split_first_chunk()?;
    let (sum, rest) = rest.split_first_chunk()?;
    let length = u32::from_le_bytes(*length);
    if length != !u32::from_le_bytes(*turned) {
        return None;
    }
    let length = usize::try_from(length).ok()?;
    let content = rest.get(..length)?;
    if checksum(content) != u64::from_le_bytes(*sum) {
        return None;
    }
    let (number, mut parts) = content.split_first_chunk()?;
    let mut pairs = Pairs::new();
    while !parts.is_empty() {
        let name = part(&mut parts)?;
        pairs.push((name, part(&mut parts)?));
    }
    Some((u64::from_le_bytes(*number), pairs, GROUP + length))
}

fn part(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let (length, behind) = rest.split_first_chunk()?;
    let (part, behind) = behind.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    *rest = behind;
    Some(part.to_vec())
}
