//! What Linux says of this process.

use std::collections::BTreeMap;
use std::fs;

use ferrod_metrics::ProcessSample;

/// A sample of this moment; `None` where the system has no `/proc`.
pub(crate) fn sample() -> Option<ProcessSample> {
    let read = |name: &str| fs::read_to_string(format!("/proc/{name}")).ok();
    let stat = Stat::parse(&read("self/stat")?)?;
    let limits = read("self/limits")?;
    let network = read("self/net/netstat").unwrap_or_default();
    let ticks_per_second = rustix::param::clock_ticks_per_second().max(1);
    let seconds = |ticks: u64| ratio(ticks, ticks_per_second);
    let (network_receive_bytes, network_transmit_bytes) = octets(&network);
    Some(ProcessSample {
        cpu_seconds: seconds(stat.cpu_ticks),
        open_fds: fs::read_dir("/proc/self/fd").ok()?.count() as u64,
        max_fds: limit(&limits, "Max open files").unwrap_or(u64::MAX),
        resident_bytes: stat.resident_pages * rustix::param::page_size() as u64,
        virtual_bytes: stat.virtual_bytes,
        virtual_max_bytes: limit(&limits, "Max address space"),
        start_time_seconds: seconds(stat.start_ticks) + boot_time(&read("stat")?),
        network_receive_bytes,
        network_transmit_bytes,
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a process does not live that long"
)]
fn ratio(ticks: u64, per_second: u64) -> f64 {
    ticks as f64 / per_second as f64
}

/// The soft limit of open files, as the system has it now.
pub(crate) fn file_descriptor_limit() -> u64 {
    rustix::process::getrlimit(rustix::process::Resource::Nofile)
        .current
        .unwrap_or(u64::MAX)
}

/// The part of `/proc/self/stat` that is shown.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Stat> {
        // The second field is a name in parentheses, which may hold anything.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // The first of them is the third of the line.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Stat {
            cpu_ticks: field(14)? + field(15)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

/// The soft limit on the line that begins so; `None` for unlimited.
fn limit(limits: &str, name: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn boot_time(stat: &str) -> f64 {
    stat.lines()
        .find_map(|line| line.strip_prefix("btime "))
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0.0)
}

/// Bytes in and out, of a table whose first line names the columns of the second.
fn octets(netstat: &str) -> (u64, u64) {
    let mut lines = netstat
        .lines()
        .filter_map(|line| line.strip_prefix("IpExt:"));
    let (Some(names), Some(values)) = (lines.next(), lines.next()) else {
        return (0, 0);
    };
    let table: BTreeMap<&str, &str> = names
        .split_whitespace()
        .zip(values.split_whitespace())
        .collect();
    let value = |name| {
        let text = table.get(name);
        text.and_then(|text| text.parse().ok()).unwrap_or(0)
    };
    (value("InOctets"), value("OutOctets"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_process_may_hold_anything() {
        let fields: Vec<String> = (4..=40).map(|number| number.to_string()).collect();
        let text = format!("7 (a) b (c) S {}", fields.join(" "));
        let expected = Stat {
            cpu_ticks: 29,
            start_ticks: 22,
            virtual_bytes: 23,
            resident_pages: 24,
        };
        assert_eq!(Stat::parse(&text), Some(expected));
        for bad in ["", "7 (a)", "7 (a) S 1 2 3"] {
            assert_eq!(Stat::parse(bad), None);
        }
    }

    #[test]
    fn limits_and_octets_are_found() {
        let limits = "Limit Soft Hard Units\nMax open files            1024   4096   files\n\
                      Max address space         unlimited  unlimited  bytes\n";
        assert_eq!(limit(limits, "Max open files"), Some(1024));
        assert_eq!(limit(limits, "Max address space"), None);
        let netstat = "TcpExt: A\nTcpExt: 1\nIpExt: X InOctets OutOctets\nIpExt: 1 20 30\n";
        assert_eq!(octets(netstat), (20, 30));
        assert_eq!(octets("IpExt: X"), (0, 0));
        assert_eq!(boot_time("cpu 1\nbtime 17\n"), 17.0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_a_sample() {
        let sample = sample().unwrap();
        assert!(sample.resident_bytes > 1 << 20);
        assert!(sample.open_fds > 2);
        assert!(sample.start_time_seconds > 1e9);
        assert_eq!(sample.max_fds, file_descriptor_limit());
    }
}
