//! `/livez` and `/readyz`.

use ferrod_metrics::Health;
use http::StatusCode;

use super::query::Query;
use super::reply::{self, Reply};
use super::{AlarmKind, Consistency, Probe};

/// One thing to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    DataCorruption,
    SerializableRead,
    LinearizableRead,
    NonLearner,
}

impl Check {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Check::DataCorruption => "data_corruption",
            Check::SerializableRead => "serializable_read",
            Check::LinearizableRead => "linearizable_read",
            Check::NonLearner => "non_learner",
        }
    }

    async fn run<P: Probe>(self, probe: &P) -> Result<(), String> {
        let refuse = |bad: bool, text: &str| if bad { Err(text.to_owned()) } else { Ok(()) };
        match self {
            Check::DataCorruption => {
                if let Some(reason) = probe.suspect() {
                    return Err(format!(
                        "this member is suspect and heals from its peers: {reason}"
                    ));
                }
                let corrupt = probe.alarms().contains(&AlarmKind::Corrupt);
                refuse(corrupt, "alarm activated: CORRUPT")
            }
            Check::SerializableRead => probe.read(Consistency::Serializable).await,
            Check::LinearizableRead => probe.read(Consistency::Linearizable).await,
            Check::NonLearner => refuse(probe.is_learner(), "not supported for learner"),
        }
    }
}

/// A page of checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Page {
    /// The word in the path and in the metrics.
    pub(crate) name: &'static str,
    checks: &'static [Check],
}

const PAGES: [Page; 2] = [
    Page {
        name: "livez",
        checks: &[Check::SerializableRead],
    },
    Page {
        name: "readyz",
        checks: &[
            Check::DataCorruption,
            Check::SerializableRead,
            Check::LinearizableRead,
            Check::NonLearner,
        ],
    },
];

/// What a path asks for: a whole page, or one check of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked {
    page: Page,
    single: Option<Check>,
}

impl Asked {
    /// `None` for a path that is neither.
    pub(crate) fn from_path(path: &str) -> Option<Asked> {
        let path = path.strip_prefix('/')?;
        let (name, check) = match path.split_once('/') {
            Some((name, check)) => (name, Some(check)),
            None => (path, None),
        };
        let page = PAGES.into_iter().find(|page| page.name == name)?;
        let single = match check {
            None => None,
            Some(name) => Some(*page.checks.iter().find(|check| check.name() == name)?),
        };
        Some(Asked { page, single })
    }

    /// Runs the checks and shows what came out.
    pub(crate) async fn answer<P: Probe>(
        self,
        probe: &P,
        query: &Query<'_>,
        health: &Health,
    ) -> Reply {
        let mut lines = String::new();
        let mut good = true;
        for check in self.checks(query) {
            let outcome = check.run(probe).await;
            health.note(self.page.name, check.name(), outcome.is_ok());
            match outcome {
                Ok(()) => lines += &format!("[+]{} ok\n", check.name()),
                Err(error) => {
                    good = false;
                    lines += &format!("[-]{} failed: {error}\n", check.name());
                }
            }
        }
        if !good {
            tracing::warn!(path = self.page.name, output = lines, "health check failed");
            return reply::text(StatusCode::SERVICE_UNAVAILABLE, lines + "\n");
        }
        if !query.has("verbose") {
            lines.clear();
        }
        reply::text(StatusCode::OK, lines + "ok\n")
    }

    fn checks(self, query: &Query<'_>) -> Vec<Check> {
        if let Some(check) = self.single {
            return vec![check];
        }
        let excluded = query.all("exclude");
        let is_check = |name: &&String| self.page.checks.iter().any(|check| check.name() == **name);
        let unknown: Vec<&String> = excluded.iter().filter(|name| !is_check(name)).collect();
        if !unknown.is_empty() {
            tracing::warn!(
                names = crate::logging::json(&unknown).as_field(),
                "some health checks cannot be excluded: they do not exist"
            );
        }
        let wanted = |check: &Check| !excluded.iter().any(|name| name == check.name());
        self.page.checks.iter().copied().filter(wanted).collect()
    }
}
