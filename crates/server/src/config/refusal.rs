//! Why a server does not start.

/// Why a server does not start, by where etcd notices it: tools look for the messages around it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The flags make no sense. Logged as a warning `failed to verify flags`.
    #[error("{0}")]
    Flags(String),
    /// The flags make sense, the start does not. Logged as fatal `discovery failed`, which is what
    /// etcd says of any error at this point.
    #[error("{0}")]
    Start(String),
    /// The same setting by variable and by flag. Logged as fatal, before anything else.
    #[error(
        "conflicting environment variable is shadowed by corresponding command-line flag \
         (either unset environment variable or disable flag))"
    )]
    Conflict {
        /// The variable.
        variable: String,
    },
}
