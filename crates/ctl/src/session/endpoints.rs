//! The list of endpoints: one record of comma-separated values each time the flag is given.

/// All records in one list.
pub(super) fn parse(records: &[String]) -> Vec<String> {
    records
        .iter()
        .filter(|record| !record.is_empty())
        .flat_map(|record| fields(record))
        .collect()
}

/// Fields of one record. Double quotes protect commas; two of them inside quotes are one.
fn fields(record: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut chars = record.chars().peekable();
    while let Some(c) = chars.next() {
        let at = fields.len() - 1;
        match c {
            '"' if quoted && chars.next_if_eq(&'"').is_some() => fields[at].push('"'),
            '"' if quoted => quoted = false,
            '"' if fields[at].is_empty() => quoted = true,
            ',' if !quoted => fields.push(String::new()),
            _ => fields[at].push(c),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records() {
        assert_eq!(
            parse(&["a:1,b:2".into(), "c:3".into()]),
            ["a:1", "b:2", "c:3"]
        );
        assert_eq!(parse(&[r#""a,1""x",b"#.into()]), [r#"a,1"x"#, "b"]);
        assert!(parse(&[String::new()]).is_empty());
    }
}
