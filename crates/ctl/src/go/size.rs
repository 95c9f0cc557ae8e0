//! Sizes for people.

const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];

/// Units of 1000; one decimal below ten units, none from there on: `7 B`, `2.1 GB`, `25 kB`.
pub(crate) fn format_size(bytes: u64) -> String {
    if bytes < 10 {
        return format!("{bytes} B");
    }
    let exponent = bytes.ilog10() / 3;
    let scale = 1000u128.pow(exponent);
    // Tenths of a unit, rounded half up; then whole units from the same tenths.
    let tenths = (u128::from(bytes) * 20 / scale).div_ceil(2);
    let unit = UNITS[exponent as usize];
    if tenths < 100 {
        format!("{}.{} {unit}", tenths / 10, tenths % 10)
    } else {
        format!("{} {unit}", round_half_even(tenths))
    }
}

/// Tenths to whole numbers as Go's `%.0f` does it.
fn round_half_even(tenths: u128) -> u128 {
    match tenths % 10 {
        5 => tenths / 10 + (tenths / 10) % 2,
        0..5 => tenths / 10,
        _ => tenths / 10 + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (bytes, text) in [
            (7, "7 B"),
            (10, "10 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (16_384, "16 kB"),
            (20_480, "20 kB"),
            (24_576, "25 kB"),
            (2_147_483_648, "2.1 GB"),
            (93_600_000, "94 MB"),
            (0, "0 B"),
            (u64::MAX, "18 EB"),
        ] {
            assert_eq!(format_size(bytes), text);
        }
    }
}
