//! The operating system's randomness.

use std::io;

use rustix::rand::{GetRandomFlags, getrandom};

use crate::Random;

/// The operating system's random numbers.
#[derive(Debug, Clone, Copy)]
pub struct RealRandom(());

impl RealRandom {
    /// Opens the source, and waits until the system has gathered enough to answer from.
    ///
    /// # Errors
    /// Whatever the system reports. After success it has answered once, and goes on answering.
    pub fn new() -> io::Result<RealRandom> {
        draw().map(|_| RealRandom(()))
    }
}

impl Random for RealRandom {
    fn next_u64(&self) -> u64 {
        draw().expect("a source that has answered once goes on answering")
    }
}

fn draw() -> io::Result<u64> {
    let mut bytes = [0; 8];
    let mut filled = 0;
    while filled < bytes.len() {
        match getrandom(&mut bytes[filled..], GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(u64::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_do_not_repeat() {
        let random = RealRandom::new().unwrap();
        assert_ne!(random.next_u64(), random.next_u64());
    }
}
