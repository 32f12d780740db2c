//! Arguments in, exit code out.

use std::io::{BufWriter, stderr, stdout};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut out = BufWriter::new(stdout());
    let exit = agora_vendor::cli::run(std::env::args_os(), &mut out, &mut stderr());
    exit.code().into()
}
