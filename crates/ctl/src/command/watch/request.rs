//! What to watch, and what to run for each event.

use std::ffi::OsString;

use ferrod_client::KeyRange;
use ferrod_client::proto::WatchCreateRequest;

use super::super::bytes;
use crate::Error;
use crate::cli::Watch;

/// Why a request cannot be made of arguments that are fine by themselves.
pub(super) const EXCLUSIVE: &str = "`range_end` and `--prefix` are mutually exclusive";

/// Key and range end that the environment gives; empty means that it does not.
pub(super) struct FromEnvironment {
    pub(super) key: String,
    pub(super) range_end: String,
}

/// What to watch, and what to run for each event.
pub(super) struct Plan {
    /// None if prefix and range end are both given.
    pub(super) request: Option<WatchCreateRequest>,
    pub(super) exec: Vec<OsString>,
}

/// Takes the arguments apart. `dash` is the number of those before a bare `--`.
///
/// # Errors
/// [`Error::BadArguments`] if no key is given, or two, or no command behind the `--`.
pub(super) fn plan(
    args: Watch,
    dash: Option<usize>,
    environment: &FromEnvironment,
) -> Result<Plan, Error> {
    let mut keys = args.words;
    let exec = match dash {
        None => Vec::new(),
        Some(dash) if dash == keys.len() => {
            let reason = "bad number of arguments (found separator --, but no commands)";
            return Err(Error::bad_arguments(reason));
        }
        Some(dash) => keys.split_off(dash),
    };
    if !keys.is_empty() && !environment.key.is_empty() {
        let reason = "bad number of arguments (found conflicting environment key)";
        return Err(Error::bad_arguments(reason));
    }
    if keys.is_empty() {
        keys = from_environment(environment)?;
    }
    // Of three arguments or more, only the first counts.
    keys.truncate(if keys.len() > 2 { 1 } else { 2 });
    let mut keys = keys.into_iter().map(bytes);
    let (key, range_end) = (keys.next().unwrap_or_default(), keys.next());
    let range = match range_end {
        Some(_) if args.prefix => {
            return Ok(Plan {
                request: None,
                exec,
            });
        }
        Some(range_end) => KeyRange::between(key, range_end),
        None if args.prefix => KeyRange::prefix(key),
        None => KeyRange::single(key),
    };
    let (key, range_end) = range.into_parts();
    let request = WatchCreateRequest {
        key,
        range_end,
        start_revision: args.rev,
        prev_kv: args.prev_kv,
        progress_notify: args.progress_notify,
        ..Default::default()
    };
    Ok(Plan {
        request: Some(request),
        exec,
    })
}

fn from_environment(environment: &FromEnvironment) -> Result<Vec<OsString>, Error> {
    let FromEnvironment { key, range_end } = environment;
    match (key.is_empty(), range_end.is_empty()) {
        (true, _) => Err(Error::bad_arguments("bad number of arguments")),
        (false, true) => Ok(vec![key.into()]),
        (false, false) => Ok(vec![key.into(), range_end.into()]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{self, Command, Ctl};
    use crate::syntax::CommandLine;

    fn check(words: &str, environment: (&str, &str), expected: &str) {
        let tree = cli::tree("etcdctl");
        let words: Vec<OsString> = words.split_whitespace().map(OsString::from).collect();
        let line = CommandLine::parse(&tree, &words).unwrap();
        let Command::Watch(args) = line.fill::<Ctl>().unwrap().command else {
            panic!("{words:?}")
        };
        let environment = FromEnvironment {
            key: environment.0.into(),
            range_end: environment.1.into(),
        };
        let found = match plan(args, line.dash(), &environment) {
            Ok(Plan {
                request: Some(request),
                exec,
            }) => {
                let exec = exec.join(std::ffi::OsStr::new(" "));
                let (key, end) = (request.key, request.range_end);
                format!(
                    "{key:?} {end:?} rev {} exec {}",
                    request.start_revision,
                    exec.display()
                )
            }
            Ok(Plan { request: None, .. }) => EXCLUSIVE.into(),
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected, "{words:?}");
    }

    #[test]
    fn arguments() {
        let none = ("", "");
        check("watch foo", none, r#"b"foo" b"" rev 0 exec "#);
        check("watch foo bar", none, r#"b"foo" b"bar" rev 0 exec "#);
        check("watch foo bar baz", none, r#"b"foo" b"" rev 0 exec "#);
        check("watch foo --prefix", none, r#"b"foo" b"fop" rev 0 exec "#);
        check(
            "watch foo --rev 1 bar -- echo x",
            none,
            r#"b"foo" b"bar" rev 1 exec echo x"#,
        );
        check(
            "watch foo -- echo echo -n",
            none,
            r#"b"foo" b"" rev 0 exec echo echo -n"#,
        );
        check("watch foo bar --prefix", none, EXCLUSIVE);
        check("watch", none, "bad number of arguments");
        check("watch -- echo", none, "bad number of arguments");
        let no_command = "bad number of arguments (found separator --, but no commands)";
        check("watch foo --", none, no_command);
    }

    #[test]
    fn environment() {
        check(
            "watch --rev 1 -- echo x",
            ("foo", ""),
            r#"b"foo" b"" rev 1 exec echo x"#,
        );
        check("watch", ("foo", "bar"), r#"b"foo" b"bar" rev 0 exec "#);
        let conflict = "bad number of arguments (found conflicting environment key)";
        check("watch foo", ("foo", ""), conflict);
    }
}
