//! Help texts as they are, completions, and exit codes. `PACELINE_BLESS=1` writes the texts anew.

use std::path::Path;

use super::run::run;

#[test]
fn every_command_explains_itself_with_examples() {
    let commands = [
        "",
        "serve",
        "demo",
        "top",
        "check",
        "simulate",
        "explain",
        "status",
        "apply",
        "pause",
        "resume",
        "purge",
        "fake-provider",
        "schema",
        "completions",
    ];
    for command in commands {
        let arguments: &[&str] = if command.is_empty() { &["--help"] } else { &[command, "--help"] };
        let ended = run(arguments);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(ended.stdout.contains("Examples:"), "{command}");
        same(command, &ended.stdout);
    }
}

fn same(command: &str, text: &str) {
    let name = if command.is_empty() { "paceline" } else { command };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/help").join(format!("{name}.txt"));
    if std::env::var_os("PACELINE_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, kept, "the help of {name} is not that of {}", path.display());
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let ended = run(&["completions", shell]);
        assert_eq!(ended.code, Some(0));
        assert!(ended.stdout.contains("fake-provider") && ended.stdout.contains("time-scale"), "{shell}");
    }
}

#[test]
fn the_schema_is_json() {
    assert!(run(&["schema"]).json()["properties"].is_object());
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    for arguments in [&["dmeo"][..], &["demo", "--workers", "0"], &["demo", "--estimate-factor", "9-2"], &[]]
    {
        let ended = run(arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?}");
        assert!(ended.stdout.is_empty());
    }
}

#[test]
fn there_are_no_colours_where_there_is_no_terminal() {
    for arguments in [&["--help"][..], &["check", "no-such-file.yaml"]] {
        let ended = run(arguments);
        assert!(!ended.stdout.contains('\x1b') && !ended.stderr.contains('\x1b'), "{}", ended.stderr);
    }
}
