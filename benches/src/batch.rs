//! A batch job over real HTTP against a provider that enforces: the demo, told to speak as a program would read it.

use std::process::{Command, ExitCode, Stdio};

use serde_json::Value;

const PROVIDERS: [&str; 3] = ["openai", "anthropic", "azure"];

/// Runs the demo for each provider; further arguments are handed to it.
pub(crate) fn run(arguments: &[String]) -> ExitCode {
    println!("\n## A batch job over HTTP\n");
    println!(
        "| provider | granted | refused by the provider | overtaken | last grant, s | bound, s | ratio |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut code = ExitCode::SUCCESS;
    for provider in PROVIDERS {
        match demo(provider, arguments) {
            Ok(summary) => row(provider, &summary),
            Err(error) => {
                eprintln!("{provider}: {error}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

fn demo(provider: &str, arguments: &[String]) -> Result<Value, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "run",
            "--release",
            "--quiet",
            "-p",
            "paceline-cli",
            "--",
            "demo",
            "--json",
            "--provider",
            provider,
        ])
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| error.to_string())?;
    serde_json::from_slice(&output.stdout).map_err(|error| format!("the demo said nothing readable: {error}"))
}

fn row(provider: &str, summary: &Value) {
    let field = |name: &str| summary.get(name).cloned().unwrap_or(Value::Null);
    let seconds = |name: &str| field(name).as_f64().unwrap_or(f64::NAN);
    println!(
        "| {provider} | {} | {} | {} | {:.2} | {:.2} | {:.3} |",
        field("granted"),
        field("refused"),
        field("overtaken"),
        seconds("last_grant_s"),
        seconds("bound_s"),
        seconds("last_grant_s") / seconds("bound_s")
    );
}
