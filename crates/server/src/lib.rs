//! The server: gRPC services, configuration and life cycle around the ferrod crates.
