//! `paceline fake-provider`: the referee on its own, for tests without a network.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use paceline_sim::provider::{FakeProvider, Fault, Pace, ProviderConfig, Report};
use serde::Serialize;

use super::{Done, runtime};
use crate::failure::Failure;
use crate::referee::{self, Provider};
use crate::settings;
use crate::text::{BOLD, grouped};

const EXAMPLES: &str = "\
Examples:
  paceline fake-provider
  paceline fake-provider --provider anthropic --port 8089
  paceline fake-provider --limit requests_per_minute=60 --limit tokens_per_minute=30_000
  paceline fake-provider --config limits.yaml --fault 529=0.02 --fault slow=0.05
  curl http://127.0.0.1:8088/__report";

/// Run a provider on this machine that enforces limits and answers in the vendor's format
///
/// It speaks the vendors' own formats: chat completions, responses and embeddings, Azure deployments, Anthropic messages,
/// Gemini content, streamed or whole. Any key is an account of its own. On Ctrl-C it prints what it saw.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// How calls are counted and in whose words they are refused; openai if neither this nor --config says
    #[arg(long, value_enum)]
    provider: Option<Provider>,
    /// Take the limits of each model from a configuration
    #[arg(long, value_name = "FILE", conflicts_with = "limits")]
    config: Option<PathBuf>,
    /// A limit of every model, as in `tokens_per_minute=30_000`; can be repeated
    #[arg(long = "limit", value_name = "LIMIT=AMOUNT")]
    limits: Vec<String>,
    /// The address to listen on
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// The port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 8088)]
    port: u16,
    /// Decides every length, duration, phase and fault
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Median time to the first token, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 300)]
    latency_ms: u32,
    /// Time per token after the first, in microseconds
    #[arg(long, value_name = "US", default_value_t = 10_000)]
    per_token_us: u32,
    /// Median length of an answer, in tokens
    #[arg(long, value_name = "TOKENS", default_value_t = 200)]
    output_tokens: u32,
    /// A fault and its probability: 500, 503, 529, slow, cut, reset or wrong-retry-after; can be repeated
    #[arg(long = "fault", value_name = "FAULT=PROBABILITY", value_parser = fault)]
    faults: Vec<(Fault, f64)>,
    /// Print one line of JSON with the address, and the report as another
    #[arg(long)]
    json: bool,
}

/// Runs until interrupted.
pub(crate) fn run(args: &Args) -> Result<Done, Failure> {
    let config = provider_config(args)?;
    let rules = config.rules;
    runtime()?.block_on(async {
        let listen = config.listen;
        let provider = FakeProvider::start(config).await.map_err(Failure::io(listen.to_string()))?;
        if args.json {
            anstream::println!(
                "{}",
                serde_json::json!({ "addr": provider.addr(), "dialect": rules.dialect })
            );
        } else {
            anstream::print!("{}", greeting(provider.addr()));
        }
        tokio::signal::ctrl_c().await.map_err(Failure::io("Ctrl-C"))?;
        let report = provider.report();
        provider.shutdown().await;
        if args.json {
            Done::json(&Reported { report: &report }, true)
        } else {
            Ok(Done::well(farewell(&report)))
        }
    })
}

#[derive(Serialize)]
struct Reported<'a> {
    report: &'a Report,
}

fn provider_config(args: &Args) -> Result<ProviderConfig, Failure> {
    let config = match &args.config {
        Some(path) => settings::config(Some(path))?,
        None => settings::of_provider(args.provider.unwrap_or(Provider::Openai), &args.limits)?,
    };
    let compiled = settings::compiled(&config)?;
    let (_, first) = settings::resource(&compiled, None)?;
    let provider = referee::provider(args.provider, first).ok_or_else(|| {
        Failure::Input(format!(
            "nobody is known to enforce the limits of {}: say who, with --provider",
            first.name
        ))
    })?;
    let mut config = ProviderConfig { rules: provider.rules(&first.profile), ..ProviderConfig::default() };
    for ledger in &compiled.ledgers {
        for resource in &ledger.resources {
            let limits = referee::limits(ledger, &resource.name, provider);
            let model = resource.name.split_once('/').map_or(resource.name.as_str(), |(_, model)| model);
            if args.config.is_some() {
                config.models.insert(model.to_owned(), limits);
            } else {
                config.limits = limits;
            }
        }
    }
    config.pace = Pace {
        first_token_median_ms: args.latency_ms,
        per_token_us: args.per_token_us,
        output_median_tokens: args.output_tokens,
        ..Pace::default()
    };
    config.faults = args.faults.iter().copied().collect();
    Ok(config.seed(args.seed).listen(SocketAddr::new(args.host, args.port)))
}

fn fault(text: &str) -> Result<(Fault, f64), String> {
    let (name, probability) = text.split_once('=').ok_or("expected FAULT=PROBABILITY, as in 529=0.02")?;
    let fault = Fault::named(name).ok_or_else(|| {
        let known: Vec<&str> = Fault::ALL.iter().map(|fault| fault.name()).collect();
        format!("unknown fault {name}, expected one of {}", known.join(", "))
    })?;
    let probability: f64 = probability.parse().map_err(|_| format!("{probability} is not a number"))?;
    if (0.0..=1.0).contains(&probability) {
        Ok((fault, probability))
    } else {
        Err("expected 0 to 1".to_owned())
    }
}

fn greeting(addr: SocketAddr) -> String {
    format!(
        "{BOLD}listening on http://{addr}{BOLD:#}\n\n\
         \x20 OPENAI_BASE_URL=http://{addr}/v1       OPENAI_API_KEY=any\n\
         \x20 AZURE_OPENAI_ENDPOINT=http://{addr}    AZURE_OPENAI_API_KEY=any\n\
         \x20 ANTHROPIC_BASE_URL=http://{addr}       ANTHROPIC_API_KEY=any\n\
         \x20 GOOGLE_GEMINI_BASE_URL=http://{addr}   GEMINI_API_KEY=any\n\n\
         \x20 curl http://{addr}/__report            what it has seen; Ctrl-C ends it and prints the same\n"
    )
}

fn farewell(report: &Report) -> String {
    let mut text = String::new();
    let rows = [
        ("calls", report.requests),
        ("served", report.served),
        ("refused with 429", report.refused),
        ("failed by a fault", report.failed),
        ("abandoned by the client", report.abandoned),
        ("without a key", report.unauthorized),
        ("unreadable", report.malformed),
        ("most in flight at once", report.peak_in_flight),
        ("input tokens served", report.input_tokens_served),
        ("output tokens served", report.output_tokens_served),
    ];
    let _ = writeln!(text, "\n{BOLD}what it saw{BOLD:#}");
    for (name, count) in rows {
        let _ = writeln!(text, "  {name:<24}{:>12}", grouped(count));
    }
    for (limit, count) in &report.refused_by {
        let _ = writeln!(text, "  refused by {limit:<24}{:>12}", grouped(*count));
    }
    if let Some(refusal) = &report.last_refusal {
        let _ = writeln!(text, "  the last refusal: {refusal}");
    }
    text
}
