//! The bounds of etcd's histograms.

/// `count` bounds, each twice the one before.
pub(crate) fn doubling(first: f64, count: usize) -> Vec<f64> {
    prometheus::exponential_buckets(first, 2.0, count)
        .expect("the first bound is positive and there is more than none")
}

/// Calls and writes that should take milliseconds: 1 ms to 8 s.
pub(crate) fn milliseconds() -> Vec<f64> {
    doubling(0.001, 14)
}

/// What happens in memory: 0.1 ms to 52 s.
pub(crate) fn fine() -> Vec<f64> {
    doubling(0.0001, 20)
}

/// The defaults of the gRPC library for calls: 5 ms to 10 s.
pub(crate) fn grpc() -> Vec<f64> {
    vec![
        0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_short_decimals() {
        let texts: Vec<String> = fine().iter().map(f64::to_string).collect();
        assert_eq!(texts[0], "0.0001");
        assert_eq!(texts[13], "0.8192");
        assert_eq!(texts[19], "52.4288");
        let texts: Vec<String> = milliseconds().iter().map(f64::to_string).collect();
        assert_eq!(texts.last().map(String::as_str), Some("8.192"));
        assert_eq!(doubling(0.01, 17)[16].to_string(), "655.36");
        assert_eq!(doubling(1.0, 24)[23].to_string(), "8388608");
    }
}
