//! The name by which people know a session: `nightly@host7:4121`. It is the end of the channel of its pushes, so it is
//! told with every batch and costs the store nothing.

use std::path::Path;

/// How long each part may be.
const LONGEST: usize = 48;

/// Returns the inbox of a process, which ends with its label.
pub(super) fn inbox(random: u64, name: Option<&str>) -> String {
    format!("{random:016x}.{}", of_process(name))
}

/// Returns the label of this process.
pub(crate) fn of_process(name: Option<&str>) -> String {
    let program = || {
        let path = std::env::current_exe().ok();
        let stem = path.as_deref().and_then(Path::file_stem);
        stem.map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
    };
    let name = name.map_or_else(program, str::to_owned);
    let host = gethostname::gethostname();
    let (name, host) = (plain(&name), plain(&host.to_string_lossy()));
    format!("{name}@{host}:{}", std::process::id())
}

/// Returns the label at the end of a channel, if it has one.
#[cfg(any(test, feature = "redis"))]
pub(crate) fn of_channel(channel: &str) -> Option<&str> {
    let (_, inbox) = channel.rsplit_once(":to:")?;
    inbox.split_once('.').map(|(_, label)| label)
}

fn plain(part: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    part.chars().take(LONGEST).map(allowed).collect()
}

#[cfg(test)]
mod tests {
    use super::{inbox, of_channel};

    #[test]
    fn a_label_is_found_again_at_the_end_of_its_channel() {
        let channel = format!("paceline:{{openai}}:to:{}", inbox(255, Some("nightly run")));
        let label = of_channel(&channel).unwrap();
        assert!(label.starts_with("nightly-run@"), "{label}");
        assert!(label.ends_with(&format!(":{}", std::process::id())), "{label}");
        assert_eq!(of_channel("paceline:{openai}:to:00000000000000ff"), None);
    }

    #[test]
    fn a_label_has_nothing_that_a_channel_could_be_mistaken_by() {
        assert!(inbox(1, Some("a:to:b {c}\n")).starts_with("0000000000000001.a-to-b--c--@"));
    }
}
