//! Bytes that are nearly right: what a fuzzer finds in hours is looked for a little in every run.

use std::path::Path;

/// Numbers at the edges of what is counted.
const EDGES: [u8; 8] = [0x00, 0x01, 0x7f, 0x80, 0xc0, 0xcf, 0xdf, 0xff];

/// Pieces of text that parsers stumble over.
const WORDS: [&str; 12] =
    ["{", "}}", "[", "\"", ": ", "\n", "-1", "1e999", "18446744073709551616", "null", "\u{feff}", "&a *a"];

/// Mutates seeds, and calls `target` with each result; what made it panic is printed. `PACELINE_SEED` chooses others, and
/// `PACELINE_CORPUS` names a folder to which the seeds are written, for a fuzzer to begin with.
pub fn mutate(name: &str, seeds: &[Vec<u8>], many: u64, target: fn(&[u8])) {
    let seed = std::env::var("PACELINE_SEED").map_or(1, |text| text.parse().expect("a number"));
    if let Ok(corpus) = std::env::var("PACELINE_CORPUS") {
        keep(&Path::new(&corpus).join(name), seeds);
    }
    let mut dice = Dice(u64::wrapping_mul(seed, 0x9e37_79b9_7f4a_7c15) | 1);
    for bytes in seeds {
        target(bytes);
        (0..bytes.len().min(2_000)).for_each(|length| target(&bytes[..length]));
    }
    for _ in 0..many {
        let mut bytes = seeds[dice.below(seeds.len())].clone();
        for _ in 0..=dice.below(4) {
            dice.change(&mut bytes, seeds);
        }
        let told = Told { name, bytes: &bytes };
        target(&bytes);
        drop(told);
    }
}

fn keep(folder: &Path, seeds: &[Vec<u8>]) {
    std::fs::create_dir_all(folder).expect("the folder of the corpus can be made");
    for (at, bytes) in seeds.iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{at}")), bytes).expect("a seed can be written");
    }
}

/// Says what made a target panic.
struct Told<'a> {
    name: &'a str,
    bytes: &'a [u8],
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{} panicked at {:02x?}\n{}", self.name, self.bytes, self.bytes.escape_ascii());
        }
    }
}

struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 16
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next()).unwrap_or(0) % most.max(1)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    fn change(&mut self, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let at = self.below(bytes.len() + 1);
        let length = self.below(9).min(bytes.len() - at);
        match self.below(8) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..at + length)),
            2 => bytes.insert(at, self.byte()),
            3 => {
                let piece = bytes[at..at + length].to_vec();
                bytes.splice(at..at, piece);
            }
            4 => {
                let other = &seeds[self.below(seeds.len())];
                let from = self.below(other.len());
                bytes.splice(at.., other[from..].iter().copied());
            }
            5 => {
                let word = WORDS[self.below(WORDS.len())];
                bytes.splice(at..at + length, word.bytes());
            }
            kind => {
                if let Some(byte) = bytes.get_mut(at) {
                    let edge = EDGES[self.next().to_le_bytes()[1] as usize % EDGES.len()];
                    *byte = if kind == 6 { edge } else { *byte ^ (1 << (edge % 8)) };
                }
            }
        }
    }
}
