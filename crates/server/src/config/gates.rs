//! Features that can be switched.

use std::collections::BTreeMap;
use std::fmt;

use super::number;

/// A feature that can be switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gate {
    /// Compare compaction hashes of all members from time to time.
    CompactHashCheck,
    /// Renew a lease that the leader knows without waiting for what is not applied yet.
    FastLeaseKeepAlive,
    /// Compare data with the other members before serving.
    InitialCorruptCheck,
    /// Replicate the remaining time of long leases.
    LeaseCheckpoint,
    /// Keep replicated remaining times on disk.
    LeaseCheckpointPersist,
    /// Give revocations of leases twice the backlog.
    PriorityRequest,
    /// Connect to other members from an advertised address.
    SetMemberLocalAddr,
    /// Report not serving to health checks during a defragmentation.
    StopGRPCServiceOnDefrag,
    /// Share a read buffer in write transactions; only ever a matter of speed.
    TxnModeWriteWithSharedBuffer,
}

/// How sure etcd is of a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Off by default, may go.
    Alpha,
    /// On by default, may change.
    Beta,
}

impl Stage {
    /// The word for it in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Alpha => "ALPHA",
            Stage::Beta => "BETA",
        }
    }
}

impl Gate {
    /// Every gate, in order of name.
    pub const ALL: [Gate; 9] = [
        Gate::CompactHashCheck,
        Gate::FastLeaseKeepAlive,
        Gate::InitialCorruptCheck,
        Gate::LeaseCheckpoint,
        Gate::LeaseCheckpointPersist,
        Gate::PriorityRequest,
        Gate::SetMemberLocalAddr,
        Gate::StopGRPCServiceOnDefrag,
        Gate::TxnModeWriteWithSharedBuffer,
    ];

    /// Its name in `--feature-gates`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Gate::CompactHashCheck => "CompactHashCheck",
            Gate::FastLeaseKeepAlive => "FastLeaseKeepAlive",
            Gate::InitialCorruptCheck => "InitialCorruptCheck",
            Gate::LeaseCheckpoint => "LeaseCheckpoint",
            Gate::LeaseCheckpointPersist => "LeaseCheckpointPersist",
            Gate::PriorityRequest => "PriorityRequest",
            Gate::SetMemberLocalAddr => "SetMemberLocalAddr",
            Gate::StopGRPCServiceOnDefrag => "StopGRPCServiceOnDefrag",
            Gate::TxnModeWriteWithSharedBuffer => "TxnModeWriteWithSharedBuffer",
        }
    }

    /// How sure etcd is of it.
    #[must_use]
    pub fn stage(self) -> Stage {
        match self {
            Gate::FastLeaseKeepAlive | Gate::TxnModeWriteWithSharedBuffer => Stage::Beta,
            _ => Stage::Alpha,
        }
    }

    /// As in etcd, but for one: that members differ must not go unnoticed because nobody has asked.
    fn default_value(self) -> bool {
        self.stage() == Stage::Beta || self == Gate::CompactHashCheck
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

const ALL_ALPHA: &str = "AllAlpha";
const ALL_BETA: &str = "AllBeta";

/// Why gates were refused, in etcd's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("missing bool value for {0}")]
    NoValue(String),
    #[error(
        "invalid value of {name}={value}, err: strconv.ParseBool: parsing {value:?}: invalid syntax"
    )]
    Value { name: String, value: String },
    #[error("unrecognized feature gate: {0}")]
    Unknown(String),
    #[error(
        "enabling feature gate LeaseCheckpointPersist requires enabling feature gate LeaseCheckpoint"
    )]
    PersistWithoutCheckpoint,
}

/// Which features are on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FeatureGates {
    /// What was set by name, the two collective names included.
    explicit: BTreeMap<String, bool>,
}

impl FeatureGates {
    /// Reads `A=true,B=false`; a later setting of a gate replaces an earlier one.
    pub(crate) fn parse(text: &str) -> Result<FeatureGates, Error> {
        let mut explicit = BTreeMap::new();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (name.trim(), value.trim()),
                None => return Err(Error::NoValue(part.trim().to_owned())),
            };
            let on = number::boolean(value).map_err(|_| Error::Value {
                name: name.to_owned(),
                value: value.to_owned(),
            })?;
            let known = Gate::ALL.iter().any(|gate| gate.name() == name);
            if !known && name != ALL_ALPHA && name != ALL_BETA {
                return Err(Error::Unknown(name.to_owned()));
            }
            explicit.insert(name.to_owned(), on);
        }
        Ok(FeatureGates { explicit })
    }

    /// Refuses combinations that make no sense.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.is_enabled(Gate::LeaseCheckpointPersist) && !self.is_enabled(Gate::LeaseCheckpoint)
        {
            return Err(Error::PersistWithoutCheckpoint);
        }
        Ok(())
    }

    /// Whether a feature is on: by its own name, else by its collective name, else by default.
    #[must_use]
    pub fn is_enabled(&self, gate: Gate) -> bool {
        self.set_value(gate).unwrap_or(gate.default_value())
    }

    /// What somebody set a gate to, directly or through its collective name.
    fn set_value(&self, gate: Gate) -> Option<bool> {
        let collective = match gate.stage() {
            Stage::Alpha => ALL_ALPHA,
            Stage::Beta => ALL_BETA,
        };
        self.explicit
            .get(gate.name())
            .or_else(|| self.explicit.get(collective))
            .copied()
    }

    /// Name, stage and state of every gate and of the two collective names, for the metrics.
    pub fn report(&self) -> impl Iterator<Item = (&'static str, Stage, bool)> {
        let collective = |name| self.explicit.get(name).copied().unwrap_or(false);
        let gates = Gate::ALL.map(|gate| (gate.name(), gate.stage(), self.is_enabled(gate)));
        gates.into_iter().chain([
            (ALL_ALPHA, Stage::Alpha, collective(ALL_ALPHA)),
            (ALL_BETA, Stage::Beta, collective(ALL_BETA)),
        ])
    }

    /// The gates that somebody set, as the log shows them.
    #[must_use]
    pub fn log_text(&self) -> String {
        let mut parts: Vec<String> = Gate::ALL
            .into_iter()
            .filter_map(|gate| Some(format!("{gate}={}", self.set_value(gate)?)))
            .collect();
        for name in [ALL_ALPHA, ALL_BETA] {
            if let Some(on) = self.explicit.get(name) {
                parts.push(format!("{name}={on}"));
            }
        }
        parts.sort();
        parts.join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_follow_the_stage() {
        let gates = FeatureGates::parse("").unwrap();
        assert!(gates.is_enabled(Gate::FastLeaseKeepAlive));
        assert!(gates.is_enabled(Gate::CompactHashCheck));
        assert!(!gates.is_enabled(Gate::InitialCorruptCheck));
        assert_eq!(gates.log_text(), "");
        assert_eq!(gates.report().count(), 11);
    }

    #[test]
    fn a_name_of_its_own_wins_over_a_collective_name() {
        for text in [
            "AllAlpha=true,CompactHashCheck=false",
            "CompactHashCheck=false,AllAlpha=true",
        ] {
            let gates = FeatureGates::parse(text).unwrap();
            assert!(gates.is_enabled(Gate::LeaseCheckpoint));
            assert!(!gates.is_enabled(Gate::CompactHashCheck));
            assert!(gates.is_enabled(Gate::FastLeaseKeepAlive));
        }
        let gates = FeatureGates::parse("AllBeta=false, PriorityRequest = 1").unwrap();
        assert_eq!(
            gates.log_text(),
            "AllBeta=false,FastLeaseKeepAlive=false,PriorityRequest=true,\
             TxnModeWriteWithSharedBuffer=false"
        );
    }

    #[test]
    fn mistakes_are_told_in_the_words_of_etcd() {
        for (text, message) in [
            ("A", "missing bool value for A"),
            (
                "CompactHashCheck=x",
                r#"invalid value of CompactHashCheck=x, err: strconv.ParseBool: parsing "x": invalid syntax"#,
            ),
            ("Foo=true", "unrecognized feature gate: Foo"),
        ] {
            assert_eq!(FeatureGates::parse(text).unwrap_err().to_string(), message);
        }
        let gates = FeatureGates::parse("LeaseCheckpointPersist=true").unwrap();
        assert_eq!(gates.check(), Err(Error::PersistWithoutCheckpoint));
    }
}
