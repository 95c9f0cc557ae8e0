//! Async client for the etcd v3 API: endpoints, retry, watch resume, lease keep-alive.
