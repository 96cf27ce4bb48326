//! The history as a file: a name and a version, the series, and a digest of it all.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::ring::Ring;
use super::{MOST_LIMITS, MOST_RESOURCES, STEPS, Series};

const MAGIC: &[u8; 8] = b"paceline";
const VERSION: u32 = 1;
const DIGEST: usize = 32;

/// Writes all series as bytes.
pub(super) fn written(all: &BTreeMap<String, Series>) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 << 16);
    out.extend(MAGIC);
    number(&mut out, VERSION);
    count(&mut out, all.len());
    for (name, series) in all {
        text(&mut out, name);
        text(&mut out, series.estimated.as_deref().unwrap_or_default());
        count(&mut out, series.limits.len());
        for (limit, metric) in &series.limits {
            text(&mut out, limit);
            text(&mut out, metric);
        }
        for ring in &series.rings {
            let mut ring = ring.clone();
            ring.finish();
            number(&mut out, ring.step());
            count(&mut out, ring.at.len());
            ring.at.iter().for_each(|at| number(&mut out, *at));
            ring.rows.iter().for_each(|value| number(&mut out, value.to_bits()));
        }
    }
    let digest = Sha256::digest(&out);
    out.extend(digest.as_slice());
    out
}

/// Reads all series from a file.
pub(super) fn read(path: &Path) -> io::Result<BTreeMap<String, Series>> {
    let bytes = fs::read(path)?;
    parsed(&bytes).map_err(|why| io::Error::new(ErrorKind::InvalidData, why))
}

fn parsed(bytes: &[u8]) -> Result<BTreeMap<String, Series>, String> {
    let body = bytes.strip_prefix(MAGIC).ok_or("it is no history")?;
    let mut input = Input(body);
    let version = input.number()?;
    if version != VERSION {
        return Err(format!("it is of version {version}, this server knows {VERSION}"));
    }
    let (whole, digest) = bytes.split_at(bytes.len().saturating_sub(DIGEST));
    if Sha256::digest(whole).as_slice() != digest {
        return Err("it is damaged".to_owned());
    }
    let mut all = BTreeMap::new();
    for _ in 0..input.count(MOST_RESOURCES)? {
        let name = input.text()?;
        all.insert(name, input.series()?);
    }
    Ok(all)
}

fn number(out: &mut Vec<u8>, number: u32) {
    out.extend(number.to_le_bytes());
}

fn count(out: &mut Vec<u8>, count: usize) {
    number(out, u32::try_from(count).unwrap_or(u32::MAX));
}

fn text(out: &mut Vec<u8>, text: &str) {
    count(out, text.len());
    out.extend(text.as_bytes());
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or("it ends too soon")?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u32, String> {
        let bytes = self.take(4)?.first_chunk().copied().ok_or("it ends too soon")?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn count(&mut self, most: usize) -> Result<usize, String> {
        let count = self.number()? as usize;
        if count > most { Err(format!("it has {count} where {most} may be")) } else { Ok(count) }
    }

    fn text(&mut self) -> Result<String, String> {
        let length = self.count(1 << 12)?;
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|error| error.to_string())
    }

    fn series(&mut self) -> Result<Series, String> {
        let estimated = Some(self.text()?).filter(|metric| !metric.is_empty());
        let mut limits = Vec::new();
        for _ in 0..self.count(MOST_LIMITS)? {
            limits.push((self.text()?, self.text()?));
        }
        let mut rings = Vec::new();
        for (step, most) in STEPS {
            let mut ring = Ring::new(step, most, limits.len());
            if self.number()? != step {
                return Err("its steps are others".to_owned());
            }
            let points = self.count(most)?;
            for _ in 0..points {
                ring.at.push_back(self.number()?);
            }
            for _ in 0..points * ring.width() {
                ring.rows.push_back(f32::from_bits(self.number()?));
            }
            rings.push(ring);
        }
        Ok(Series { limits, estimated, rings })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> BTreeMap<String, Series> {
        let mut series = Series::new();
        series.fit(&[]);
        series.estimated = Some("tokens".to_owned());
        series.limits = vec![("gpt/rpm".to_owned(), "requests".to_owned())];
        for ring in &mut series.rings {
            ring.refit(&[None]);
            (0..50).for_each(|at| ring.add(1_000 + at, &[1.5; 14]));
            ring.finish();
        }
        BTreeMap::from([("gpt".to_owned(), series)])
    }

    #[test]
    fn what_is_written_is_read() {
        let all = some();
        assert_eq!(parsed(&written(&all)), Ok(all));
    }

    #[test]
    fn what_is_not_whole_is_refused() {
        let bytes = written(&some());
        for length in 0..bytes.len() {
            assert!(parsed(&bytes[..length]).is_err(), "{length} bytes of it");
        }
        for at in (0..bytes.len()).step_by(7) {
            let mut other = bytes.clone();
            other[at] ^= 4;
            assert!(parsed(&other).is_err(), "byte {at}");
        }
        let mut newer = bytes;
        newer[8] = 9;
        assert_eq!(parsed(&newer).unwrap_err(), "it is of version 9, this server knows 1");
    }
}
