//! The time of an event, as etcd writes it.

use jiff::Zoned;

/// `2006-01-02T15:04:05.000000Z` or, outside UTC, with `+0700` for the `Z`.
pub(crate) fn timestamp(time: &Zoned) -> String {
    let digits = time.strftime("%Y-%m-%dT%H:%M:%S%.6f");
    if time.offset().is_zero() {
        format!("{digits}Z")
    } else {
        format!("{digits}{}", time.strftime("%z"))
    }
}

/// The time in names of rotated files: `2006-01-02T15-04-05.000`.
pub(crate) fn file_timestamp(time: &Zoned) -> String {
    time.strftime("%Y-%m-%dT%H-%M-%S%.3f").to_string()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::tz::{Offset, TimeZone};

    use super::*;

    #[test]
    fn the_zone_has_no_colon_and_utc_is_z() {
        let time = Timestamp::from_microsecond(1_700_000_000_000_042).unwrap();
        let utc = time.to_zoned(TimeZone::UTC);
        assert_eq!(timestamp(&utc), "2023-11-14T22:13:20.000042Z");
        let offset = Offset::from_seconds(5 * 3600 + 1800).unwrap();
        let east = time.to_zoned(TimeZone::fixed(offset));
        assert_eq!(timestamp(&east), "2023-11-15T03:43:20.000042+0530");
        assert_eq!(file_timestamp(&utc), "2023-11-14T22-13-20.000");
    }
}
