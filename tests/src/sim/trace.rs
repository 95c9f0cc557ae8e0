//! What happened, as a number that two runs of a seed must share, and as lines for a person.

use std::collections::VecDeque;
use std::time::Duration;

/// How many lines are kept.
const LINES_MAX: usize = 60;

/// The trace of a run. Lines cost far more than the hash, so they are only made when somebody wants them: a failed run
/// is repeated with lines.
#[derive(Debug)]
pub(super) struct Trace {
    hash: u64,
    steps: u64,
    lines: Option<VecDeque<String>>,
    /// Prints each line at once.
    aloud: bool,
}

impl Trace {
    /// A trace that keeps its last lines if asked to, and prints all of them if asked for that.
    pub(super) fn new(lines: bool, aloud: bool) -> Trace {
        Trace {
            hash: 0xcbf2_9ce4_8422_2325,
            steps: 0,
            lines: (lines || aloud).then(VecDeque::new),
            aloud,
        }
    }

    /// Notes that something happened; `numbers` are what another run must agree on.
    pub(super) fn note(&mut self, now: Duration, numbers: [u64; 3], line: impl FnOnce() -> String) {
        self.steps += 1;
        self.mix(now.as_nanos() as u64);
        numbers.into_iter().for_each(|number| self.mix(number));
        let Some(lines) = &mut self.lines else { return };
        let line = format!("{:>10.6} {}", now.as_secs_f64(), line());
        if self.aloud {
            println!("{line}");
        }
        if lines.len() == LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    fn mix(&mut self, number: u64) {
        let mixed = (self.hash ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.hash = mixed ^ (mixed >> 29);
    }

    /// The hash of everything noted so far.
    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    /// How many things were noted.
    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    /// The last lines, if lines were kept.
    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().flatten().map(String::as_str)
    }
}
