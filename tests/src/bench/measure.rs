//! Numbers with a name, and what the project demands of them.

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

/// A demand on ferrod's number, mostly on how it compares with the peer's.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) enum Demand {
    /// At least so many times the peer's.
    AtLeast { must: f64, aim: f64 },
    /// At most so many times the peer's.
    AtMost { must: f64, aim: f64 },
    /// At most so much, whatever the peer does.
    Below { must: f64, aim: f64 },
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
    /// The verdict on a value and its ratio to the peer's; none while there is nothing to compare it with.
    pub(crate) fn judge(self, value: Option<f64>, ratio: Option<f64>) -> Option<Verdict> {
        let (must, aim) = match self {
            Self::AtLeast { must, aim } => ratio.map(|r| (r >= must, r >= aim))?,
            Self::AtMost { must, aim } => ratio.map(|r| (r <= must, r <= aim))?,
            Self::Below { must, aim } => value.map(|v| (v <= must, v <= aim))?,
        };
        Some(match (must, aim) {
            (_, true) => Verdict::Aim,
            (true, false) => Verdict::Must,
            (false, false) => Verdict::Missed,
        })
    }
}

impl std::fmt::Display for Demand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtLeast { must, aim } => write!(f, "≥ {must}× ({aim}×)"),
            Self::AtMost { must, aim } => write!(f, "≤ {must}× ({aim}×)"),
            Self::Below { must, aim } => write!(f, "≤ {must} ({aim})"),
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
        assert_eq!(rate.judge(None, Some(5.0)), Some(Verdict::Aim));
        assert_eq!(rate.judge(None, Some(2.5)), Some(Verdict::Must));
        assert_eq!(rate.judge(None, Some(1.9)), Some(Verdict::Missed));
        let cpu = Demand::AtMost {
            must: 0.5,
            aim: 0.25,
        };
        assert_eq!(cpu.judge(None, Some(0.2)), Some(Verdict::Aim));
        assert_eq!(cpu.judge(None, Some(0.5)), Some(Verdict::Must));
        assert_eq!(cpu.judge(None, Some(0.6)), Some(Verdict::Missed));
        assert_eq!(cpu.judge(Some(0.1), None), None);
        let lost = Demand::Below {
            must: 0.0,
            aim: 0.0,
        };
        assert_eq!(lost.judge(Some(0.0), Some(9.0)), Some(Verdict::Aim));
        assert_eq!(lost.judge(Some(1.0), None), Some(Verdict::Missed));
    }
}
