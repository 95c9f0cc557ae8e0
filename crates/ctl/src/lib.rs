//! The commands of etcdctl and, as far as they exist, of etcdutl, as a library.
//!
//! [`run`] takes what a process gets (name, words, environment, terminal) and returns an exit code. Flags, output, texts
//! and exit codes are those of etcdctl 3.7; the module of the output formats lists where 3.5 differs.
//!
//! ```
//! use ferrod_ctl::{Environment, Terminal, run};
//!
//! let mut stdout = Vec::new();
//! let terminal = Terminal::new(std::io::empty(), &mut stdout, std::io::sink());
//! let words = ["etcdctl", "version"].map(Into::into);
//! assert_eq!(run(words, Environment::default(), terminal), 0);
//! assert_eq!(stdout, b"etcdctl version: 3.7.1\nAPI version: 3.7\n");
//! ```
//!
//! Reading order: the private modules `program` (what a run is), `cli` (the commands), `syntax` (how words become
//! commands), `session` (how a command gets its client), `command` (what each does), `print` (how it looks).

mod error;
mod program;

mod cli;
mod help;
mod syntax;

mod environment;
mod log_line;
mod session;
mod terminal;

mod command;
mod print;

mod go;

pub use environment::Environment;
pub use error::Error;
pub use program::run;
pub use terminal::Terminal;

#[cfg(test)]
mod tests;
