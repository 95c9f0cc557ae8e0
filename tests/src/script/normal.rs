//! Output without what differs between any two servers.

use std::sync::LazyLock;

use regex_lite::Regex;

/// What is replaced, in this order.
static RULES: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    let rule = |pattern: &str, word| (Regex::new(pattern).expect("the pattern is valid"), word);
    vec![
        rule(r"(https?://)?127\.0\.0\.1:\d+", "ADDRESS"),
        rule(r"\b\d+(\.\d+)? ?(B|kB|MB|GB)\b", "SIZE"),
        rule(r"\b(\d+(\.\d+)?(ns|µs|ms|m|s))+\b", "TIME"),
        rule(r"\b3\.\d+\.\d+\b", "VERSION"),
        rule(
            r#"("(raft_term|raftIndex|raftTerm|raftAppliedIndex|dbSize|dbSizeInUse|dbSizeQuota)":)\d+"#,
            "${1}N",
        ),
        rule(
            r#"("(RaftTerm|RaftIndex|RaftAppliedIndex|DBSize|DBSizeInUse)" : )\d+"#,
            "${1}N",
        ),
        // A second may have passed or not.
        rule(r#"("ttl":)\d+"#, "${1}N"),
        rule(r"\b\d{12,}\b", "ID"),
        rule(r"\b[0-9a-f]{12,16}\b", "ID"),
        // Columns are as wide as what is in them.
        rule(r"[ \t]+", " "),
        rule(r"-{3,}", "--"),
    ]
});

/// Replaces what differs by words; the status of a member keeps only its form.
pub(super) fn normal(text: &str) -> String {
    let replaced = RULES.iter().fold(text.to_owned(), |text, (regex, word)| {
        regex.replace_all(&text, *word).into_owned()
    });
    let line = |line: &str| {
        // A line of `endpoint status`: term and index count what happened inside.
        if line.contains("ADDRESS, ID, VERSION") || line.contains("| ADDRESS | ID | VERSION") {
            return format!("{}\n", digits().replace_all(line, "N"));
        }
        format!("{line}\n")
    };
    replaced.lines().map(line).collect()
}

fn digits() -> &'static Regex {
    static DIGITS: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\b\d+\b").expect("the pattern is valid"));
    &DIGITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_sizes_and_times_go() {
        assert_eq!(
            normal("127.0.0.1:2379 is healthy: successfully committed proposal: took = 1.234ms"),
            "ADDRESS is healthy: successfully committed proposal: took = TIME\n"
        );
        assert_eq!(
            normal("127.0.0.1:1, 8e9e05c52164694d, 3.5.1, 20 kB, true, false, 2, 9, 9, "),
            "ADDRESS, ID, VERSION, SIZE, true, false, N, N, N, \n"
        );
        assert_eq!(normal("foo\nbar 12"), "foo\nbar 12\n");
    }
}
