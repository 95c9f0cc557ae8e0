//! The command line client.

use std::io;
use std::process::ExitCode;

use ferrod_ctl::{Environment, Terminal, run};

fn main() -> ExitCode {
    let terminal = Terminal::new(io::stdin(), io::stdout(), io::stderr());
    let code = run(
        std::env::args_os(),
        Environment::new(std::env::vars_os()),
        terminal,
    );
    ExitCode::from(code)
}
