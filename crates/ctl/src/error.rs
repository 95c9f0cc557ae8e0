//! What ends a command, and with which exit code.

use std::io;

/// What ends a command before its work is done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server refused, or could not be reached.
    #[error(transparent)]
    Call(#[from] ferrod_client::Error),
    /// Something failed on this side.
    #[error("{0}")]
    Failed(String),
    /// No client could be made, or a lease command was refused.
    #[error("{0}")]
    Connection(#[source] ferrod_client::Error),
    /// Standard input says something that cannot be understood.
    #[error("{0}")]
    InvalidInput(String),
    /// A flag is known, its value or its use here is not.
    #[error("{0}")]
    Unsupported(String),
    /// The server ended what should have gone on.
    #[error("{0}")]
    Interrupted(String),
    /// Wrong number or shape of arguments.
    #[error("{0}")]
    BadArguments(String),
    /// The command line cannot be parsed; the usage text follows the message.
    #[error("{message}")]
    Syntax {
        /// What is wrong.
        message: String,
        /// The usage text.
        usage: String,
    },
    /// The reason has been printed already.
    #[error("the reason has been printed")]
    Reported,
    /// The terminal does not take the output, or gives no input.
    #[error("terminal: {0}")]
    Terminal(#[from] io::Error),
}

impl Error {
    /// The exit code, as etcdctl defines them.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Call(_) | Error::Failed(_) | Error::Syntax { .. } | Error::Reported => 1,
            Error::Connection(_) => 2,
            Error::InvalidInput(_) => 3,
            Error::Unsupported(_) => 4,
            Error::Interrupted(_) => 5,
            Error::Terminal(_) => 6,
            Error::BadArguments(_) => 128,
        }
    }

    pub(crate) fn bad_arguments(message: impl Into<String>) -> Error {
        Error::BadArguments(message.into())
    }
}
