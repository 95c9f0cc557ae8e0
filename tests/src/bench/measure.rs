//! Numbers with a name, and what the project demands of them relative to the peer.

use serde::Serialize;

/// One number of one scenario on one server.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Measure {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) value: f64,
}

/// Shorthand for a measure.
pub(crate) fn measure(name: &'static str, unit: &'static str, value: f64) -> Measure {
    Measure { name, unit, value }
}

/// A demand on ferrod's number divided by the peer's.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) enum Demand {
    /// At least so many times the peer's.
    AtLeast { must: f64, aim: f64 },
    /// At most so many times the peer's.
    AtMost { must: f64, aim: f64 },
}

/// How a ratio compares with its demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// The aim is reached.
    Aim,
    /// What must be is reached.
    Must,
    /// It is not.
    Missed,
}

impl Demand {
    pub(crate) fn judge(self, ratio: f64) -> Verdict {
        let (must, aim) = match self {
            Self::AtLeast { must, aim } => (ratio >= must, ratio >= aim),
            Self::AtMost { must, aim } => (ratio <= must, ratio <= aim),
        };
        match (must, aim) {
            (_, true) => Verdict::Aim,
            (true, false) => Verdict::Must,
            (false, false) => Verdict::Missed,
        }
    }
}

impl std::fmt::Display for Demand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtLeast { must, aim } => write!(f, "≥ {must}× ({aim}×)"),
            Self::AtMost { must, aim } => write!(f, "≤ {must}× ({aim}×)"),
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Aim => "aim",
            Self::Must => "must",
            Self::Missed => "MISSED",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demands_judge_both_ways() {
        let rate = Demand::AtLeast {
            must: 2.0,
            aim: 5.0,
        };
        assert_eq!(rate.judge(5.0), Verdict::Aim);
        assert_eq!(rate.judge(2.5), Verdict::Must);
        assert_eq!(rate.judge(1.9), Verdict::Missed);
        let cpu = Demand::AtMost {
            must: 0.5,
            aim: 0.25,
        };
        assert_eq!(cpu.judge(0.2), Verdict::Aim);
        assert_eq!(cpu.judge(0.5), Verdict::Must);
        assert_eq!(cpu.judge(0.6), Verdict::Missed);
    }
}
