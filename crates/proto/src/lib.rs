//! Wire types of the etcd v3 API, and the table of its error codes and texts.
