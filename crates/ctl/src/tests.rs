//! Whole runs against a server with fixed answers, compared with files.
//!
//! A case begins with `$` and the words of the command line. `@` sets a variable, `<` adds a line of input. What follows is
//! expected: `~` a request as the server got it (fields with default values left out), plain lines of standard output, `2|`
//! lines of standard error (usage texts left out), and the exit code unless it is 0. Bytes that cannot be printed are escaped.
//! `UPDATE_EXPECT=1` rewrites the files.

mod server;

use std::ffi::OsString;
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};

use self::server::Server;
use crate::syntax::tokens;
use crate::{Environment, Terminal, run};

/// One case: its lines up to the answer.
#[derive(Default)]
struct Case {
    script: Vec<String>,
    words: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
    input: Vec<u8>,
}

impl Case {
    fn begin(line: &str) -> Case {
        let words = tokens(line.trim_start_matches('$')).unwrap();
        let words = words
            .into_iter()
            .map(|word| String::from_utf8(word).unwrap().into());
        Case {
            script: vec![line.to_owned()],
            words: words.collect(),
            ..Case::default()
        }
    }

    fn add(&mut self, line: &str) {
        self.script.push(line.to_owned());
        match line.split_at(1) {
            ("@", variable) => {
                let (name, value) = variable.trim().split_once('=').unwrap();
                self.variables.push((name.into(), value.into()));
            }
            _ => self
                .input
                .extend_from_slice(format!("{}\n", line[1..].trim()).as_bytes()),
        }
    }

    /// Runs the command and returns what happened, as the file should show it.
    fn run(self, server: &Server) -> String {
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        let terminal = Terminal::new(Cursor::new(self.input), &mut output, &mut errors);
        let words = self.words.iter().map(|word| {
            OsString::from(
                word.to_str()
                    .unwrap()
                    .replace("ENDPOINT", &server.endpoint()),
            )
        });
        let code = run(words, Environment::new(self.variables), terminal);
        let requests = server
            .take_requests()
            .into_iter()
            .map(|request| format!("~ {request}\n"));
        let errors = without_usage(lines(&errors))
            .into_iter()
            .map(|line| format!("2| {line}").trim_end().to_owned() + "\n");
        let text: String = std::iter::once(self.script.join("\n") + "\n")
            .chain(requests)
            .chain(lines(&output).into_iter().map(|line| line + "\n"))
            .chain(errors)
            .chain((code != 0).then(|| format!("exit {code}\n")))
            .collect();
        without_times(&text.replace(&server.endpoint(), "ENDPOINT"))
    }
}

/// Lines with escapes for what cannot be printed; a last one without an end says so.
fn lines(bytes: &[u8]) -> Vec<String> {
    let text = match str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => text.to_owned(),
        _ => bytes.escape_ascii().to_string().replace("\\n", "\\n\n"),
    };
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if let Some(last) = lines.last_mut().filter(|_| !text.ends_with('\n')) {
        last.push_str("<no line end>");
    }
    lines
}

/// The usage text behind a complaint is the one of the help screen, and long.
fn without_usage(lines: Vec<String>) -> Vec<String> {
    let mut inside = false;
    let mut kept = Vec::new();
    for line in lines {
        inside = (inside || line == "Usage:") && !line.starts_with("Error:");
        match (inside, line == "Usage:") {
            (true, true) => kept.push("<usage>".to_owned()),
            (true, false) => {}
            (false, _) => kept.push(line),
        }
    }
    kept
}

/// Durations and times of day differ from run to run.
fn without_times(text: &str) -> String {
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        let marks = [
            "took = ",
            "\"took\":\"",
            "took ",
            "\"Took\" : ",
            "\"ts\":\"",
        ];
        match marks
            .iter()
            .find_map(|mark| Some(line.find(mark)? + mark.len()))
        {
            Some(at) => {
                let end = line[at..]
                    .find(['"', '\n', ' '])
                    .map_or(line.len(), |end| at + end);
                out += &format!("{}TIME{}", &line[..at], &line[end..]);
            }
            None => out += line,
        }
    }
    out
}

fn check(path: &Path) {
    let before = std::fs::read_to_string(path).unwrap();
    let server = Server::start();
    let mut after = String::new();
    let mut case: Option<Case> = None;
    let mut answered = false;
    for line in before.lines().chain(["#"]) {
        match line.chars().next() {
            Some('$' | '#') => {
                if let Some(case) = case.take() {
                    after += &(case.run(&server) + "\n");
                }
                answered = false;
                match line.starts_with('$') {
                    true => case = Some(Case::begin(line)),
                    false => after += &format!("{line}\n"),
                }
            }
            // Behind the first line of the answer these are part of it.
            Some('@' | '<') if !answered => case.as_mut().unwrap().add(line),
            _ => answered = true,
        }
    }
    // The comment that was added to end the last case.
    let after = after.trim_end_matches("#\n").trim_end().to_owned() + "\n";
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(path, after).unwrap();
    } else {
        assert_eq!(
            before,
            after,
            "{}: UPDATE_EXPECT=1 rewrites it",
            path.display()
        );
    }
}

fn files() -> io::Result<Vec<PathBuf>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()?;
    files.sort();
    Ok(files)
}

#[test]
fn files_agree() {
    for path in files().unwrap() {
        check(&path);
    }
}
