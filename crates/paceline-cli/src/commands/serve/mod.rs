//! `paceline serve`: the control plane, and the keys to it.

mod file;
mod keys;
mod logging;

pub(crate) use logging::write as log;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use paceline_server::{Backing, Server, Settings, StartError, TlsFiles};

use super::{Done, runtime};
use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  paceline serve --config limits.yaml            limits of a file, followed as it changes
  paceline serve                                 limits over the API; state in ~/.local/state/paceline
  paceline serve --memory --listen 127.0.0.1:0   nothing kept, on any free port
  paceline serve --socket /run/paceline.sock     on a unix socket
  paceline serve keys create batch --scope acquire --resource 'openai/*'
  paceline serve --listen 0.0.0.0:7411 --tls-cert cert.pem --tls-key key.pem

What is said by a flag wins over the environment, that over the file of --settings, and that over what is usual. Such a
file has a line `NAME: VALUE` for each flag, as in `listen: 127.0.0.1:7411`.

It stops at SIGTERM and SIGINT: who waits is told to ask again, and keeps the place. SIGHUP reads all files again.";

/// Serve limits to any language over HTTP
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Create, list and revoke the keys that callers need
    #[command(subcommand)]
    Keys(keys::Keys),
}

/// What can be said of a server. Nothing has a default here: the file of settings is looked at first.
#[derive(Debug, Default, clap::Args)]
struct Options {
    /// Where to listen; 127.0.0.1:7411 if neither this nor --socket is said
    #[arg(long, value_name = "ADDRESS", env = "PACELINE_LISTEN")]
    listen: Option<SocketAddr>,
    /// A unix socket to listen on, which its owner alone may use
    #[arg(long, value_name = "PATH", env = "PACELINE_SOCKET")]
    socket: Option<PathBuf>,
    /// The configuration of limits, followed as it changes; the API cannot change what it names
    #[arg(long, value_name = "FILE", env = "PACELINE_CONFIG")]
    config: Option<PathBuf>,
    /// Where state, keys and the audit log are kept; the state directory of this user if not said
    #[arg(long, value_name = "DIRECTORY", env = "PACELINE_STATE")]
    state: Option<PathBuf>,
    /// Keep nothing: limits put over the API, keys and use are gone when it stops
    #[arg(long, conflicts_with = "state")]
    memory: bool,
    /// A store on Redis that several servers share, by its URL; other users see no password in the environment
    #[arg(
        long,
        value_name = "URL",
        env = "PACELINE_STORE",
        hide_env_values = true,
        conflicts_with = "memory"
    )]
    store: Option<String>,
    /// What the names of all keys in that store begin with
    #[arg(long, value_name = "PREFIX", env = "PACELINE_PREFIX")]
    prefix: Option<String>,
    /// The file of keys; keys.json of the state directory if not said
    #[arg(long, value_name = "FILE", env = "PACELINE_KEYS")]
    keys: Option<PathBuf>,
    /// The certificate (PEM), with those that lead to its authority; read again when it changes
    #[arg(long, value_name = "FILE", env = "PACELINE_TLS_CERT", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The private key (PEM) of the certificate
    #[arg(long, value_name = "FILE", env = "PACELINE_TLS_KEY", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// How many connections may be open at once; 16000 if not said
    #[arg(long, value_name = "COUNT", env = "PACELINE_CONNECTIONS")]
    connections: Option<u32>,
    /// How many requests of one key may wait at once; 10000 if not said
    #[arg(long, value_name = "COUNT", env = "PACELINE_OPEN_WAITS")]
    open_waits: Option<u32>,
    /// How many requests one key may send a second; 10000 if not said
    #[arg(long, value_name = "COUNT", env = "PACELINE_REQUESTS_PER_SECOND")]
    requests_per_second: Option<u32>,
    /// How long the head of a request and its body may take; 30 if not said
    #[arg(long, value_name = "SECONDS", env = "PACELINE_READ_TIMEOUT")]
    read_timeout: Option<f64>,
    /// Write logs as JSON, a line each
    #[arg(long, env = "PACELINE_LOG_JSON")]
    log_json: bool,
    /// A file of these settings
    #[arg(long, value_name = "FILE", env = "PACELINE_SETTINGS")]
    settings: Option<PathBuf>,
}

/// Serves until it is told to stop, or does something with keys.
pub(crate) fn run(args: &Args) -> Result<Done, Failure> {
    if let Some(Command::Keys(keys)) = &args.command {
        return keys::run(keys);
    }
    let options = file::filled(&args.options)?;
    logging::start(options.log_json);
    let settings = settings(&options)?;
    runtime()?.block_on(async {
        let server = Server::start(settings).await.map_err(failure)?;
        // Whoever started it may have gone.
        let greet = |server: &Server| anstream::eprint!("{}", server.greeting());
        server.run_until_signalled(greet).await.map_err(Failure::io("signals"))
    })?;
    Ok(Done::well(String::new()))
}

fn settings(options: &Options) -> Result<Settings, Failure> {
    let mut settings = Settings::default();
    settings.listen = options.listen.or_else(|| options.socket.is_none().then(usual_address));
    settings.socket.clone_from(&options.socket);
    settings.config.clone_from(&options.config);
    settings.keys.clone_from(&options.keys);
    settings.backing = match (&options.store, options.memory) {
        (Some(url), _) => Backing::Store {
            url: url.clone(),
            prefix: options.prefix.clone().unwrap_or_else(|| "paceline:".to_owned()),
            state: options.state.clone(),
        },
        (None, true) => Backing::Memory,
        (None, false) => Backing::Disk(state(options.state.as_ref())?),
    };
    if let (Some(cert), Some(key)) = (&options.tls_cert, &options.tls_key) {
        settings.tls = Some(TlsFiles { cert: cert.clone(), key: key.clone() });
    }
    let counts = [
        (options.connections, &mut settings.connections),
        (options.open_waits, &mut settings.open_waits),
        (options.requests_per_second, &mut settings.requests_per_second),
    ];
    for (said, usual) in counts {
        *usual = said.unwrap_or(*usual);
    }
    if let Some(seconds) = options.read_timeout {
        settings.read_timeout = Duration::try_from_secs_f64(seconds)
            .ok()
            .filter(|timeout| !timeout.is_zero())
            .ok_or_else(|| Failure::Input(format!("--read-timeout {seconds}: expected seconds above 0")))?;
    }
    Ok(settings)
}

fn usual_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 7411))
}

/// Returns the state directory: the one that is said, or that of this user.
fn state(said: Option<&PathBuf>) -> Result<PathBuf, Failure> {
    if let Some(said) = said {
        return Ok(said.clone());
    }
    let of = |name: &str| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    let state = of("XDG_STATE_HOME").or_else(|| Some(of("HOME")?.join(".local/state")));
    state.map(|state| state.join("paceline")).ok_or_else(|| {
        Failure::Input(
            "this user has no home directory: name a directory by --state, or say --memory".to_owned(),
        )
    })
}

fn failure(error: StartError) -> Failure {
    match error {
        StartError::Paceline(error) => Failure::Paceline(error),
        other => Failure::Input(other.to_string()),
    }
}
