//! Counters, gauges and histograms under etcd's names, and their text exposition.
