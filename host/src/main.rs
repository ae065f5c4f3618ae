//! The binary. [`pelton::cli`] does the work.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(pelton::cli::main(
        std::env::args_os(),
        &mut std::io::stdout(),
        &mut std::io::stderr(),
    ))
}
