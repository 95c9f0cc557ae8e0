//! How long a lease lives without renewal.

use crate::Error;
use std::time::Duration;

/// How long a lease lives without renewal, in whole seconds, as granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ttl(u64);

impl Ttl {
    /// The longest time to live: about 285 years. Source: etcd API, `MaxLeaseTTL`.
    pub const MAX: Ttl = Ttl(9_000_000_000);

    /// The effective time to live for `requested` seconds: anything below `minimum`, zero and negative
    /// included, is raised to it without an error.
    ///
    /// The minimum depends on the election timeout of a member, so it belongs to whoever proposes the
    /// grant, not to whoever applies it.
    ///
    /// # Errors
    /// [`Error::TtlTooLarge`] if more than [`Ttl::MAX`] is requested.
    pub fn new(requested: i64, minimum: i64) -> Result<Ttl, Error> {
        let seconds = u64::try_from(requested.max(minimum)).unwrap_or(0);
        if seconds > Self::MAX.0 {
            return Err(Error::TtlTooLarge(requested));
        }
        Ok(Ttl(seconds))
    }

    /// Whole seconds, from 0 to [`Ttl::MAX`].
    pub fn seconds(self) -> i64 {
        i64::try_from(self.0).expect("at most Ttl::MAX")
    }

    /// The same as a duration.
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: P-L-06, R-046
    #[test]
    fn raised_to_the_minimum_and_refused_above_the_maximum() {
        let seconds = |requested| Ttl::new(requested, 2).map(Ttl::seconds);
        assert_eq!(seconds(i64::MIN), Ok(2));
        assert_eq!(seconds(-1), Ok(2));
        assert_eq!(seconds(0), Ok(2));
        assert_eq!(seconds(1), Ok(2));
        assert_eq!(seconds(3), Ok(3));
        assert_eq!(seconds(9_000_000_000), Ok(9_000_000_000));
        assert_eq!(
            seconds(9_000_000_001),
            Err(Error::TtlTooLarge(9_000_000_001))
        );
        assert_eq!(seconds(i64::MAX), Err(Error::TtlTooLarge(i64::MAX)));
        assert_eq!(Ttl::new(-5, -9).map(Ttl::seconds), Ok(0));
    }
}
