//! The replicated state machine: applies one log entry to the key space, leases, members and alarms in one atomic step.
