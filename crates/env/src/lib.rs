//! The outside world as traits: clock, disk, network, randomness; real ones and simulated ones.
