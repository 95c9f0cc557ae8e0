//! Bugs on purpose, so that a simulation can prove that it finds them.
//!
//! Feature `planted` compiles them in, and nothing that is shipped has it. Without the feature the question whether a
//! bug is planted is a constant, and what depends on it is gone.

#[cfg(feature = "planted")]
mod chosen {
    use std::cell::Cell;

    thread_local! {
        static CHOSEN: Cell<&'static str> = const { Cell::new("") };
    }

    /// Plants one bug on this thread, instead of the one that was planted before; the empty name plants none.
    pub fn plant(bug: &'static str) {
        CHOSEN.set(bug);
    }

    /// Whether this bug is planted on this thread.
    pub fn planted(bug: &str) -> bool {
        CHOSEN.get() == bug
    }
}

#[cfg(feature = "planted")]
pub use chosen::{plant, planted};

/// Whether this bug is planted: never, without feature `planted`.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub const fn planted(_bug: &str) -> bool {
    false
}
