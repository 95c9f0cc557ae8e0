//! From the process's arguments and variables to a configuration, or to an answer.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::net::{IpAddr, UdpSocket};
use std::path::Path;
use std::process::ExitCode;

use super::command_line::{self, CommandLine};
use super::sources::Settings;
use super::validate::{self, NO_ADVERTISED_CLIENT_URLS};
use super::{
    Config, FeatureGates, Refusal, compaction, environment, file, help, log_options, make, missing,
};
use crate::logging::{self, Level, Note};
use crate::version;

/// What the outside says to a process that starts. A test brings its own.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The program's name and its arguments.
    pub args: Vec<String>,
    /// All environment variables.
    pub variables: BTreeMap<String, String>,
    /// Reads the configuration file.
    pub read_file: fn(&Path) -> io::Result<String>,
    /// Finds the address of this machine that others would use.
    pub default_host: fn() -> io::Result<IpAddr>,
}

impl Surroundings {
    /// Those of this process. Bytes that are no UTF-8 are replaced; in a flag that matters, the
    /// check of its value finds them.
    #[must_use]
    pub fn of_process() -> Surroundings {
        let text = |text: OsString| text.to_string_lossy().into_owned();
        Surroundings {
            args: std::env::args_os().map(text).collect(),
            variables: std::env::vars_os()
                .map(|(name, value)| (text(name), text(value)))
                .collect(),
            read_file: |path| std::fs::read_to_string(path),
            default_host,
        }
    }

    /// Flags alone, on a machine without a network.
    #[cfg(test)]
    pub(crate) fn for_test(flags: &[&str]) -> Surroundings {
        let args = ["ferrod"].iter().chain(flags);
        Surroundings {
            args: args.map(|&word| word.to_owned()).collect(),
            variables: BTreeMap::new(),
            read_file: |path| std::fs::read_to_string(path),
            default_host: || Err(io::Error::other("no network")),
        }
    }
}

/// The address from which this machine would reach the rest of the world. Nothing is sent: a
/// datagram socket only looks up the route.
fn default_host() -> io::Result<IpAddr> {
    let socket = UdpSocket::bind(("0.0.0.0", 0))?;
    // An address that is set aside for documentation, so it has no route but the default one.
    socket.connect(("192.0.2.254", 9))?;
    Ok(socket.local_addr()?.ip())
}

/// Something to print instead of a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// For standard output.
    pub stdout: String,
    /// For standard error.
    pub stderr: String,
    /// What the process ends with.
    pub code: u8,
}

impl Answer {
    /// One that tells of a mistake.
    fn mistake(stderr: String, code: u8) -> Answer {
        Answer {
            stdout: String::new(),
            stderr,
            code,
        }
    }

    /// Prints it.
    #[must_use]
    pub fn print(&self) -> ExitCode {
        // Whoever closed the other end does not want to read it.
        let _ = io::stderr().write_all(self.stderr.as_bytes());
        let _ = io::stdout().write_all(self.stdout.as_bytes());
        ExitCode::from(self.code)
    }
}

/// What a process is to do.
#[derive(Debug, Clone)]
pub enum Startup {
    /// Print something and end.
    Answer(Answer),
    /// Start the log, write what happened so far, then run or end.
    Log(Box<Beginning>),
}

/// A start as far as flags reach.
#[derive(Debug, Clone)]
pub struct Beginning {
    /// What the log looks like, as far as that could be found out.
    pub logging: logging::Settings,
    /// What happened so far.
    pub notes: Vec<Note>,
    /// What to run with, or why not to run.
    pub outcome: Result<Config, Refusal>,
}

impl Startup {
    /// Reads flags, variables and file, checks them, and fills in what they leave open.
    #[must_use]
    pub fn read(surroundings: &Surroundings) -> Startup {
        let args = surroundings.args.get(1..).unwrap_or_default();
        if let Some(program) = args.first().filter(|word| missing::is_program(word)) {
            let text = missing::sentence(program, "this program is");
            return Startup::Answer(Answer::mistake(format!("{text}\n"), 1));
        }
        let mut settings = Settings::default();
        let leftover = match command_line::read(args, &mut settings) {
            Ok(CommandLine::Flags { leftover }) => leftover,
            Ok(CommandLine::Help) => {
                return Startup::Answer(Answer {
                    stdout: help::flags_text(),
                    stderr: help::USAGE.to_owned(),
                    code: 0,
                });
            }
            Err(error) => {
                let text = format!("{error}\n{}", help::USAGE);
                return Startup::Answer(Answer::mistake(text, 2));
            }
        };
        if leftover.is_none() && settings.options.version {
            return Startup::Answer(Answer {
                stdout: version::report(),
                stderr: String::new(),
                code: 0,
            });
        }
        let mut start = Start {
            surroundings,
            notes: Vec::new(),
            logging: logging::Settings::default(),
        };
        let outcome = match start.configure(settings, leftover) {
            Ok(config) => Ok(config),
            Err(Stop::Answer(answer)) => return Startup::Answer(answer),
            Err(Stop::Refused(refusal)) => {
                start.tell(&refusal);
                Err(refusal)
            }
        };
        Startup::Log(Box::new(Beginning {
            logging: start.logging,
            notes: start.notes,
            outcome,
        }))
    }

    /// Prints the answer, or starts the log of the process and writes what happened so far to it.
    ///
    /// Keep the [`logging::Log`] until the process ends.
    ///
    /// # Errors
    /// The exit code of a process that is not to run.
    pub fn begin(self) -> Result<(Config, logging::Log), ExitCode> {
        let beginning = match self {
            Startup::Answer(answer) => return Err(answer.print()),
            Startup::Log(beginning) => *beginning,
        };
        let (layer, log) = logging::start(&beginning.logging).map_err(|error| {
            Answer::mistake(format!("{}\n", logging::error_chain(&error)), 1).print()
        })?;
        {
            use tracing_subscriber::layer::SubscriberExt;
            let subscriber = tracing_subscriber::registry().with(layer);
            // A second start in one process logs where the first one does.
            let _ = tracing::subscriber::set_global_default(subscriber);
        }
        for note in beginning.notes {
            note.emit();
        }
        match beginning.outcome {
            Ok(config) => Ok((config, log)),
            Err(_) => Err(ExitCode::from(1)),
        }
    }

    /// The configuration of a start that was not refused.
    #[cfg(test)]
    pub(crate) fn config(self) -> Option<Config> {
        match self {
            Startup::Answer(_) => None,
            Startup::Log(beginning) => beginning.outcome.ok(),
        }
    }
}

struct Start<'s> {
    surroundings: &'s Surroundings,
    notes: Vec<Note>,
    logging: logging::Settings,
}

/// Why there is no configuration.
enum Stop {
    /// Told without the log, as etcd does.
    Answer(Answer),
    /// Told by the log.
    Refused(Refusal),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Stop {
        Stop::Refused(refusal)
    }
}

fn refused(error: impl ToString) -> Stop {
    Stop::Refused(Refusal::Flags(error.to_string()))
}

impl Start<'_> {
    /// All that follows the command line.
    fn configure(&mut self, settings: Settings, leftover: Option<String>) -> Result<Config, Stop> {
        let checked = self.read_and_check(settings, leftover);
        let told_before = matches!(
            checked,
            Err(Stop::Answer(_) | Stop::Refused(Refusal::Conflict { .. }))
        );
        if !told_before {
            self.notes
                .push(Note::new(Level::Info, "Running: ").field("args", &self.surroundings.args));
        }
        let (settings, gates) = checked?;
        Ok(self.fill_in(settings, gates)?)
    }

    fn read_and_check(
        &mut self,
        settings: Settings,
        leftover: Option<String>,
    ) -> Result<(Settings, FeatureGates), Stop> {
        if let Some(word) = leftover {
            return Err(refused(format!("{word:?} is not a valid flag")));
        }
        let mut settings = self.read_other_sources(settings)?;
        self.logging = match log_options::read(&settings.options) {
            Ok(logging) => logging,
            Err(error @ log_options::Error::Level(_)) => {
                return Err(Stop::Answer(Answer::mistake(format!("{error}\n"), 2)));
            }
            Err(error) => return Err(refused(error)),
        };
        validate::check(&mut settings)?;
        let gates = FeatureGates::parse(&settings.options.feature_gates).map_err(refused)?;
        gates.check().map_err(refused)?;
        missing::check(&settings.options, &gates)?;
        Ok((settings, gates))
    }

    /// Reads the file, which stands alone, or else the environment.
    fn read_other_sources(&mut self, settings: Settings) -> Result<Settings, Stop> {
        let variables = &self.surroundings.variables;
        let path = match settings.options.config_file.as_str() {
            "" => environment::present(variables, "ETCD_CONFIG_FILE"),
            path => Some(path),
        };
        if let Some(path) = path {
            let path = path.to_owned();
            return self.read_file(&path, &settings);
        }
        let mut settings = settings;
        environment::read(variables, &mut settings, &mut self.notes).map_err(|error| {
            Stop::Refused(match error {
                environment::Error::Conflict { variable } => Refusal::Conflict { variable },
                error @ environment::Error::Value { .. } => Refusal::Flags(error.to_string()),
            })
        })?;
        Ok(settings)
    }

    fn read_file(&mut self, path: &str, by_flags: &Settings) -> Result<Settings, Stop> {
        let text = (self.surroundings.read_file)(Path::new(path)).map_err(|source| {
            refused(file::Error::Read {
                path: path.into(),
                source,
            })
        })?;
        let mut settings = Settings::default();
        // The file has no keys for these, and in etcd the flags reach past it.
        settings.options.raft_read_timeout = by_flags.options.raft_read_timeout;
        settings.options.raft_write_timeout = by_flags.options.raft_write_timeout;
        file::read(&text, &mut settings).map_err(|error| match error {
            error @ file::Error::Url { .. } => {
                Stop::Answer(Answer::mistake(format!("{error}\n"), 1))
            }
            error => refused(error),
        })?;
        self.notes
            .push(Note::new(Level::Info, LOADED_FILE).field("path", path));
        Ok(settings)
    }

    /// Replaces what was left open, and checks what etcd looks at only then.
    fn fill_in(&mut self, mut settings: Settings, gates: FeatureGates) -> Result<Config, Refusal> {
        let host = match (self.surroundings.default_host)() {
            Ok(host) => Some(host),
            Err(error) => {
                let note = Note::new(Level::Info, "failed to detect default host");
                self.notes.push(note.field("error", error.to_string()));
                None
            }
        };
        let options = &mut settings.options;
        if let Some(host) = validate::rewrite_defaults(options, host) {
            let note = Note::new(Level::Info, "detected default host for advertise");
            self.notes.push(note.field("host", host));
        }
        if options.data_dir.is_empty() {
            options.data_dir = format!("{}.etcd", options.name);
            let note = Note::new(Level::Warn, "'data-dir' was empty; using default");
            self.notes.push(note.field("data-dir", &options.data_dir));
        }
        validate::check_start(options)?;
        let revisions = compaction::counts_revisions(&options.auto_compaction_mode) == Some(true);
        let auto_compaction = compaction::parse(revisions, &options.auto_compaction_retention)
            .map_err(|error| Refusal::Start(error.to_string()))?;
        let parts = make::Parts {
            auto_compaction,
            gates,
            logging: self.logging.clone(),
        };
        Ok(make::config(settings, parts))
    }

    /// Writes down why there will be no server.
    fn tell(&mut self, refusal: &Refusal) {
        let note = match refusal {
            Refusal::Flags(text) => {
                Note::new(Level::Warn, "failed to verify flags").field("error", text)
            }
            Refusal::Start(text) => {
                Note::new(Level::Fatal, "discovery failed").field("error", text)
            }
            Refusal::Conflict { variable } => {
                Note::new(Level::Fatal, CONFLICT).field("environment-variable", variable)
            }
        };
        self.notes.push(note);
        if *refusal == Refusal::Flags(NO_ADVERTISED_CLIENT_URLS.to_owned()) {
            let note = Note::new(Level::Warn, "advertise client URLs are not set");
            self.notes
                .push(note.field("error", NO_ADVERTISED_CLIENT_URLS));
        }
    }
}

const CONFLICT: &str = "conflicting environment variable is shadowed by corresponding \
     command-line flag (either unset environment variable or disable flag))";
const LOADED_FILE: &str = "loaded server configuration, other configuration command line flags \
     and environment variables will be ignored if provided";

#[cfg(test)]
mod tests;
