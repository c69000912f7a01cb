//! The `rws` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    rws::cli::main()
}
