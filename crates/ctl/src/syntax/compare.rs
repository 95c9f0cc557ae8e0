//! The compares of `txn`: `target("key") OP "value"`.

use ferrod_client::proto::Compare;
use ferrod_client::proto::compare::{CompareResult, CompareTarget, TargetUnion};

use crate::Error;
use crate::go::{self, Base};

/// Reads one compare.
///
/// A `lease` compare takes hexadecimal, as every lease elsewhere, or decimal if that is all it can be; etcdctl crashes on it.
///
/// # Errors
/// [`Error::InvalidInput`] in etcdctl's words.
pub(crate) fn parse_compare(line: &str) -> Result<Compare, Error> {
    let malformed = || Error::InvalidInput(format!("malformed comparison: {line}"));
    let (target, rest) = line.split_once('(').ok_or_else(malformed)?;
    let parts = Parts::scan(rest);
    let Parts {
        key,
        op: Some(op),
        value: Some(value),
        complete: true,
    } = &parts
    else {
        let got = parts.got(target);
        return Err(Error::InvalidInput(format!(
            "malformed comparison: {line}; got {got}"
        )));
    };
    let (target, union) = target_union(target, value, line)?;
    Ok(Compare {
        result: result(op, line)?.into(),
        target: target.into(),
        key: key.clone().into(),
        target_union: Some(union),
        ..Default::default()
    })
}

fn result(op: &str, line: &str) -> Result<CompareResult, Error> {
    match op {
        "=" => Ok(CompareResult::Equal),
        "!=" => Ok(CompareResult::NotEqual),
        "<" => Ok(CompareResult::Less),
        ">" => Ok(CompareResult::Greater),
        _ => Err(Error::InvalidInput(format!(
            "malformed comparison: {line} (unknown operator {op})"
        ))),
    }
}

fn target_union(
    target: &str,
    value: &[u8],
    line: &str,
) -> Result<(CompareTarget, TargetUnion), Error> {
    let text = String::from_utf8_lossy(value);
    let number = |base| {
        let refused = |_| Error::InvalidInput(format!("invalid txn compare request: {line}"));
        go::parse_int(&text, base).map_err(refused)
    };
    Ok(match target {
        "ver" | "version" => (
            CompareTarget::Version,
            TargetUnion::Version(number(Base::Ten)?),
        ),
        "c" | "create" => (
            CompareTarget::Create,
            TargetUnion::CreateRevision(number(Base::Ten)?),
        ),
        "m" | "mod" => (
            CompareTarget::Mod,
            TargetUnion::ModRevision(number(Base::Ten)?),
        ),
        "val" | "value" => (
            CompareTarget::Value,
            TargetUnion::Value(value.to_vec().into()),
        ),
        "lease" => {
            let lease = number(Base::Sixteen).or_else(|_| number(Base::Ten))?;
            (CompareTarget::Lease, TargetUnion::Lease(lease))
        }
        _ => {
            let reason = format!("malformed comparison: {line} (unknown target {target})");
            return Err(Error::InvalidInput(reason));
        }
    })
}

/// What could be read behind the opening parenthesis, as far as it went.
#[derive(Default)]
struct Parts {
    key: Vec<u8>,
    op: Option<String>,
    value: Option<Vec<u8>>,
    complete: bool,
}

impl Parts {
    /// Reads `"key") OP "value"`: no blank before the closing parenthesis, at least one around the operator.
    fn scan(text: &str) -> Parts {
        let mut parts = Parts::default();
        let Some((key, rest)) = go::unquote(text.trim_start()) else {
            return parts;
        };
        parts.key = key;
        let Some(rest) = rest.strip_prefix(')') else {
            return parts;
        };
        let Some(rest) = after_blank(rest) else {
            return parts;
        };
        let (op, rest) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
        if op.is_empty() {
            return parts;
        }
        parts.op = Some(op.to_owned());
        let Some(rest) = after_blank(rest) else {
            return parts;
        };
        let Some((value, _)) = go::unquote(rest) else {
            return parts;
        };
        parts.value = Some(value);
        parts.complete = true;
        parts
    }

    fn got(&self, target: &str) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (key, op) = (text(&self.key), self.op.as_deref().unwrap_or_default());
        let value = self.value.as_deref().map(text).unwrap_or_default();
        format!("{target}(\"{key}\") {op} \"{value}\"")
    }
}

fn after_blank(text: &str) -> Option<&str> {
    let rest = text.trim_start();
    (rest.len() < text.len()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: &str) {
        let found = match parse_compare(line) {
            Ok(compare) => {
                let (target, result) = (compare.target(), compare.result());
                format!(
                    "{target:?} {:?} {result:?} {:?}",
                    compare.key, compare.target_union
                )
            }
            Err(error) => format!("{error}, exit {}", error.exit_code()),
        };
        assert_eq!(found, expected, "{line}");
    }

    #[test]
    fn compares() {
        check(
            r#"value("key1") != "v 2""#,
            r#"Value b"key1" NotEqual Some(Value(b"v 2"))"#,
        );
        check(
            r#"version("key \"x\"") = "1""#,
            r#"Version b"key \"x\"" Equal Some(Version(1))"#,
        );
        check(
            r#"c( "k") < "0""#,
            r#"Create b"k" Less Some(CreateRevision(0))"#,
        );
        check(
            r#"m(`k`)  >  "-7" x"#,
            r#"Mod b"k" Greater Some(ModRevision(-7))"#,
        );
        check(
            r#"lease("k") = "1f""#,
            r#"Lease b"k" Equal Some(Lease(31))"#,
        );
    }

    #[test]
    fn refusals() {
        check("value", "malformed comparison: value, exit 3");
        let compact = r#"value("k")= "v""#;
        check(
            compact,
            &format!(r#"malformed comparison: {compact}; got value("k")  "", exit 3"#),
        );
        let glued = r#"value("k") ="v""#;
        check(
            glued,
            &format!(r#"malformed comparison: {glued}; got value("k") ="v" "", exit 3"#),
        );
        let unknown = r#"what("k") = "v""#;
        check(
            unknown,
            &format!("malformed comparison: {unknown} (unknown target what), exit 3"),
        );
        let number = r#"mod("k") = "x""#;
        check(
            number,
            &format!("invalid txn compare request: {number}, exit 3"),
        );
        let op = r#"mod("k") >= "1""#;
        check(
            op,
            &format!("malformed comparison: {op} (unknown operator >=), exit 3"),
        );
    }
}
