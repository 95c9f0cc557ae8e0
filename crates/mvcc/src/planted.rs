//! Which bug a simulation has planted; none in a program.

#[cfg(feature = "planted")]
pub(crate) use ferrod_env::planted;

/// Whether this bug is planted: never, without the feature.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub(crate) const fn planted(_bug: &str) -> bool {
    false
}
