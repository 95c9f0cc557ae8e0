//! Time-limited grants: deadlines, expiry order, checkpoints.
