//! The dashboard as files: its page, and the scripts and styles that the page names by their hashes.
//!
//! They are built from `web/` by npm when this crate is. Without Node.js the page says what is missing.

/// A file as it is served.
#[derive(Debug)]
pub struct File {
    /// Its name under `/assets/`; empty for the page.
    pub name: &'static str,
    /// Its media type.
    pub kind: &'static str,
    /// What tells its content from any other, quoted as in the header `ETag`.
    pub tag: &'static str,
    /// Whether its name tells its content, so that it never changes.
    pub is_hashed: bool,
    /// Its content.
    pub plain: &'static [u8],
    /// Its content by Brotli, where that is shorter.
    pub brotli: Option<&'static [u8]>,
    /// Its content by gzip, where that is shorter.
    pub gzip: Option<&'static [u8]>,
}

include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// Returns the page.
pub fn page() -> &'static File {
    &PAGE
}

/// Returns a file that the page names.
pub fn asset(name: &str) -> Option<&'static File> {
    ASSETS.iter().find(|file| file.name == name)
}

/// Returns why there is no dashboard; nothing where there is one.
pub fn missing() -> Option<&'static str> {
    MISSING
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_files_that_are_there_or_says_what_is_missing() {
        let text = std::str::from_utf8(page().plain).unwrap();
        if let Some(why) = missing() {
            assert!(text.contains("Node.js"), "{why}: {text}");
            return;
        }
        let named: Vec<_> =
            text.split("/assets/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(named.len() >= 2, "{text}");
        for name in named {
            assert!(asset(name).unwrap().is_hashed, "{name}");
        }
        assert!(
            !text.contains("<style") && !text.contains("style="),
            "the policy allows no styles inside of it"
        );
    }

    #[test]
    fn what_a_first_visit_loads_is_small() {
        let compressed = |file: &File| file.gzip.unwrap_or(file.plain).len();
        let all: usize = ASSETS.iter().map(compressed).sum::<usize>() + compressed(page());
        assert!(all < 100_000, "{all} bytes");
        println!("{all} bytes by gzip");
    }
}
