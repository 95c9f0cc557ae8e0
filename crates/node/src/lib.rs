//! One raft member: a sans-IO core on raft-rs, and the executor that persists, sends and applies.
