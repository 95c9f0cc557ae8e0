//! The three streams of a process.

use std::io::{self, BufRead, BufReader, Read, Write};

/// Where a command reads and writes.
pub struct Terminal<'a> {
    /// Handed over to a thread by commands that read while they wait for something else.
    input: Option<Box<dyn BufRead + Send>>,
    output: Box<dyn Write + 'a>,
    errors: Box<dyn Write + 'a>,
}

impl<'a> Terminal<'a> {
    /// Output is collected and written at once per answer.
    pub fn new(
        input: impl Read + Send + 'static,
        output: impl Write + 'a,
        errors: impl Write + 'a,
    ) -> Terminal<'a> {
        Terminal {
            input: Some(Box::new(BufReader::new(input))),
            output: Box::new(io::BufWriter::new(output)),
            errors: Box::new(errors),
        }
    }

    pub(crate) fn output(&mut self) -> &mut dyn Write {
        &mut self.output
    }

    /// Writes one line to the output at once: prompts and the like.
    pub(crate) fn say(&mut self, line: impl std::fmt::Display) -> io::Result<()> {
        writeln!(self.output, "{line}")?;
        self.output.flush()
    }

    /// Writes text to the error stream, after what the output still holds.
    pub(crate) fn complain(&mut self, text: impl std::fmt::Display) -> io::Result<()> {
        self.output.flush()?;
        write!(self.errors, "{text}")?;
        self.errors.flush()
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    /// The rest of the input.
    pub(crate) fn read_all(&mut self) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        if let Some(input) = &mut self.input {
            input.read_to_end(&mut all)?;
        }
        Ok(all)
    }

    /// The next line without its end; none if the input ends before the line does.
    pub(crate) fn read_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        match &mut self.input {
            Some(input) => read_line(input.as_mut()),
            None => Ok(None),
        }
    }

    /// The input itself, for a thread that reads it line by line.
    pub(crate) fn take_input(&mut self) -> Option<Box<dyn BufRead + Send>> {
        self.input.take()
    }
}

/// The next line without its end; none if the input ends before the line does.
pub(crate) fn read_line(input: &mut dyn BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    input.read_until(b'\n', &mut line)?;
    Ok(line.strip_suffix(b"\n").map(<[u8]>::to_vec))
}
