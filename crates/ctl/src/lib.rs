//! The commands of etcdctl and etcdutl: arguments, calls, printers.
