//! The program `pelton`, built together with the tests of the whole process, so that they always start their own code.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(pelton_cli::main(
        std::env::args_os(),
        &mut std::io::stdout(),
        &mut std::io::stderr(),
    ))
}
