//! What a command needs besides its arguments: flags and environment together, a client, a terminal.

mod discovery;
mod endpoints;
mod password;
mod refusals;

use std::time::Duration;

use clap::Command;
use ferrod_client::{Client, Config, Credentials};

use crate::cli::GlobalFlags;
use crate::environment::{Environment, variable};
use crate::print::{Format, Printable, Style, print};
use crate::syntax::CommandLine;
use crate::{Error, Terminal};
use discovery::Discovery;

/// The official client never pings more often.
const KEEPALIVE_INTERVAL_MIN: Duration = Duration::from_secs(10);

/// What a command needs besides its arguments.
pub(crate) struct Session<'a, 'b> {
    pub(crate) program: &'static str,
    pub(crate) tree: &'a Command,
    pub(crate) line: &'a CommandLine<'a>,
    pub(crate) environment: Environment,
    /// Flags of the command line alone. Some limits are read before the environment is.
    pub(crate) flags: GlobalFlags,
    pub(crate) terminal: &'a mut Terminal<'b>,
}

/// Flags and environment together.
pub(crate) struct Settings {
    pub(crate) style: Style,
    /// Limit for short commands.
    pub(crate) timeout: Duration,
    /// `--cluster`, if the command inherits it.
    pub(crate) cluster: bool,
    /// Endpoints as given, blanks and all.
    pub(crate) endpoints: Vec<String>,
    /// Where endpoints are asked for instead; commands that ask each endpoint by itself look past it.
    discovery: Option<Discovery>,
    config: Config,
}

impl<'a, 'b> Session<'a, 'b> {
    pub(crate) fn new(
        program: &'static str,
        tree: &'a Command,
        line: &'a CommandLine<'a>,
        environment: Environment,
        flags: GlobalFlags,
        terminal: &'a mut Terminal<'b>,
    ) -> Session<'a, 'b> {
        Session {
            program,
            tree,
            line,
            environment,
            flags,
            terminal,
        }
    }

    /// Adds the environment to the flags and checks both.
    ///
    /// # Errors
    /// A conflict between flag and environment, an output format that does not exist, a flag whose feature is missing.
    pub(crate) fn settings(&mut self, silent: &[&str]) -> Result<Settings, Error> {
        let applied = self.environment.apply(self.line, silent);
        self.terminal.complain(&applied.log)?;
        if applied.conflict {
            return Err(Error::Reported);
        }
        let globals = self.line.globals(&applied.flags).map_err(Error::Failed)?;
        if globals.flags.debug {
            let inherited = self
                .line
                .path
                .long_flag("cluster")
                .filter(|arg| arg.is_global_set());
            let cluster = inherited.map(|_| globals.cluster);
            let dump = debug_dump(&globals.flags, cluster, silent);
            self.terminal.complain(dump)?;
        }
        refusals::check(&globals.flags, |name| {
            self.line.has_flag(name) || applied.flags.iter().any(|flag| flag.name == name)
        })?;
        let credentials = self.credentials(&globals.flags)?;
        let format = Format::parse(&globals.flags.write_out)?;
        let style = Style {
            format,
            hex: globals.flags.hex,
            value_only: false,
        };
        let endpoints = endpoints::parse(&globals.flags.endpoints);
        let config = config(&globals.flags, &endpoints, credentials);
        let timeout = globals.flags.command_timeout;
        let discovery = Discovery {
            domain: globals.flags.discovery_srv,
            name: globals.flags.discovery_srv_name,
        };
        Ok(Settings {
            style,
            timeout,
            cluster: globals.cluster,
            endpoints,
            discovery: (!discovery.domain.is_empty()).then_some(discovery),
            config,
        })
    }

    /// Name and password, or a token. Asks for the password if only the name is given.
    fn credentials(&mut self, flags: &GlobalFlags) -> Result<Option<Credentials>, Error> {
        if !flags.auth_jwt_token.is_empty() {
            return Ok(Some(Credentials::Token(flags.auth_jwt_token.clone())));
        }
        if flags.user.is_empty() {
            return Ok(None);
        }
        let (name, password) = match (flags.password.as_str(), flags.user.split_once(':')) {
            ("", Some((name, password))) => (name.to_owned(), password.to_owned()),
            ("", None) => (
                flags.user.clone(),
                password::ask("Password: ", self.terminal)?,
            ),
            (password, _) => (flags.user.clone(), password.to_owned()),
        };
        // The official client does not log in with an empty password, and leaves it to the server to miss a token.
        let usable = !name.is_empty() && !password.is_empty();
        Ok(usable.then_some(Credentials::Password { name, password }))
    }

    /// A client on all endpoints.
    pub(crate) async fn client(&mut self, timeout: Timeout) -> Result<(Client, Style), Error> {
        let from_flag = self.flags.command_timeout;
        let settings = self.settings(&[])?;
        let timeout = match timeout {
            Timeout::Flag => Some(from_flag),
            Timeout::FlagOrEnvironment => Some(settings.timeout),
            Timeout::Never => None,
        };
        Ok((settings.client(timeout).await?, settings.style))
    }

    /// Prints one answer.
    pub(crate) fn show(&mut self, answer: &impl Printable, style: &Style) -> Result<(), Error> {
        print(answer, style, self.terminal.output())?;
        self.terminal.flush()?;
        if style.format == Format::Simple {
            self.terminal.complain(answer.complaints(style))?;
        }
        Ok(())
    }
}

/// Which limit a command obeys.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Timeout {
    /// The flag; the environment is read too late to matter.
    Flag,
    /// Both.
    FlagOrEnvironment,
    /// None: it waits for a server for ever.
    Never,
}

impl Settings {
    /// A client on all endpoints: those that DNS tells of if it is to be asked, else those given.
    pub(crate) async fn client(&self, timeout: Option<Duration>) -> Result<Client, Error> {
        let mut config = Config {
            call_timeout: timeout,
            ..self.config.clone()
        };
        if let Some(discovery) = &self.discovery {
            let found = discovery.endpoints().await?;
            if !found.is_empty() {
                config.endpoints = found;
            }
        }
        Client::connect(config).await.map_err(Error::Connection)
    }

    /// A client on one endpoint.
    pub(crate) async fn client_of(&self, endpoint: &str) -> Result<Client, Error> {
        self.connect_to(endpoint).await.map_err(Error::Connection)
    }

    /// A client on one endpoint, its failure not yet anybody's.
    pub(crate) async fn connect_to(&self, endpoint: &str) -> Result<Client, ferrod_client::Error> {
        let endpoints = vec![endpoint.to_owned()];
        let call_timeout = Some(self.timeout);
        Client::connect(Config {
            endpoints,
            call_timeout,
            ..self.config.clone()
        })
        .await
    }
}

fn config(flags: &GlobalFlags, endpoints: &[String], credentials: Option<Credentials>) -> Config {
    let defaults = Config::new(endpoints.iter().map(|endpoint| endpoint.trim()));
    let bytes = |flag: i64, default| match usize::try_from(flag) {
        Ok(bytes) if bytes > 0 => bytes,
        _ => default,
    };
    Config {
        dial_timeout: flags.dial_timeout,
        keepalive_interval: flags.keepalive_time.max(KEEPALIVE_INTERVAL_MIN),
        keepalive_timeout: flags.keepalive_timeout,
        send_bytes_max: bytes(flags.max_request_bytes, defaults.send_bytes_max),
        recv_bytes_max: bytes(flags.max_recv_bytes, defaults.recv_bytes_max),
        credentials,
        ..defaults
    }
}

/// All flags by their variables, sorted by flag, as `--debug` shows them.
///
/// `cluster` is shown where commands inherit it, and `silent` variables as if they were empty flags.
fn debug_dump(flags: &GlobalFlags, cluster: Option<bool>, silent: &[&str]) -> String {
    use crate::go::format_duration as duration;
    let endpoints = format!("[{}]", endpoints::parse(&flags.endpoints).join(","));
    let lines = [
        ("auth-jwt-token", flags.auth_jwt_token.clone()),
        ("cacert", flags.cacert.clone()),
        ("cert", flags.cert.clone()),
        ("command-timeout", duration(flags.command_timeout)),
        ("debug", flags.debug.to_string()),
        ("dial-timeout", duration(flags.dial_timeout)),
        ("discovery-srv", flags.discovery_srv.clone()),
        ("discovery-srv-name", flags.discovery_srv_name.clone()),
        ("endpoints", endpoints),
        ("hex", flags.hex.to_string()),
        ("insecure-discovery", flags.insecure_discovery.to_string()),
        (
            "insecure-skip-tls-verify",
            flags.insecure_skip_tls_verify.to_string(),
        ),
        ("insecure-transport", flags.insecure_transport.to_string()),
        ("keepalive-time", duration(flags.keepalive_time)),
        ("keepalive-timeout", duration(flags.keepalive_timeout)),
        ("key", flags.key.clone()),
        ("max-recv-bytes", flags.max_recv_bytes.to_string()),
        ("max-request-bytes", flags.max_request_bytes.to_string()),
        ("password", flags.password.clone()),
        ("user", flags.user.clone()),
        ("write-out", flags.write_out.clone()),
    ];
    let flags = lines
        .into_iter()
        .map(|(flag, value)| format!("{}={value}\n", variable(flag)));
    let cluster = cluster.map(|cluster| format!("{}={cluster}\n", variable("cluster")));
    let silent = silent.iter().map(|variable| format!("{variable}=\n"));
    let mut lines: Vec<String> = flags.chain(cluster).chain(silent).collect();
    lines.sort_unstable();
    lines.concat()
}
