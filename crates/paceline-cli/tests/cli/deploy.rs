//! The examples of a service and of a container say what the binary understands.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::run::{Scratch, run};
use super::serve::Serving;

fn example(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/deploy")
}

/// Returns what a line of the unit says.
fn said<'a>(unit: &'a str, name: &str) -> &'a str {
    unit.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap()
}

#[test]
fn the_unit_starts_a_server_as_it_is_written() {
    let unit = example("paceline.service");
    let mut words = said(&unit, "ExecStart").split(' ');
    assert_eq!((words.next(), words.next()), (Some("/usr/local/bin/paceline"), Some("serve")));
    let (state, limits) =
        (Scratch::folder("unit"), Scratch::new("unit.yaml", "resources: {solo: {concurrent_requests: 1}}\n"));
    let here = words.map(|word| match word {
        "127.0.0.1:7411" => "127.0.0.1:0",
        "/var/lib/paceline" => state.path(),
        "/etc/paceline/limits.yaml" => limits.path(),
        flag => flag,
    });
    let here: Vec<&str> = here.collect();
    let server = Serving::start(&here[here.iter().position(|word| *word == "--state").unwrap()..]);
    assert!(server.greeting.contains(state.path()), "{}", server.greeting);
    let (code, log) = server.end("-TERM");
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn the_unit_is_one_that_systemd_takes() {
    // The programs that it names have to be there.
    let own = example("paceline.service").replace("/usr/local/bin/paceline", env!("CARGO_BIN_EXE_paceline"));
    let folder = Scratch::folder("verify");
    let unit = Path::new(folder.path()).join("paceline.service");
    std::fs::write(&unit, own).unwrap();
    let Ok(verified) = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit).output()
    else {
        eprintln!("skipped: systemd-analyze is not there");
        return;
    };
    let text = String::from_utf8_lossy(&verified.stderr).into_owned();
    let about_it: Vec<_> = text.lines().filter(|line| line.contains("paceline.service")).collect();
    assert!(verified.status.success() && about_it.is_empty(), "{text}");
}

#[test]
fn the_container_file_names_what_there_is() {
    let file = example("Containerfile");
    let help = run(&["serve", "--help"]).stdout;
    let keys = run(&["serve", "keys", "create", "--help"]).stdout;
    let variables = file
        .split(|c: char| !c.is_ascii_uppercase() && c != '_')
        .filter(|word| word.starts_with("PACELINE_"));
    let mut many = 0;
    for variable in variables {
        assert!(help.contains(&format!("[env: {variable}")), "{variable} is not in serve --help");
        many += 1;
    }
    assert!(many >= 4, "{many} variables");
    assert!(keys.contains("[env: PACELINE_STATE="), "keys are made where the server looks for them");
    let root = folder().join("../..");
    assert!(
        root.join("Cargo.lock").exists() && file.contains("cargo build --release --locked -p paceline-cli")
    );
    let wanted = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let version =
        wanted.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap().trim_matches('"');
    assert!(file.contains(&format!("rust:{version}-")), "the build needs rust {version}");
}
