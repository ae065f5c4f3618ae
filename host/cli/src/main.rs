//! The binary. [`pelton_cli`] does the work.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(pelton_cli::main(
        std::env::args_os(),
        &mut std::io::stdout(),
        &mut std::io::stderr(),
    ))
}
