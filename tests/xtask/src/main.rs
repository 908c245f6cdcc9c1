//! `cargo xtask`: `run` shows Roomtone at work, `test` runs every check, `bench` measures.

mod bench;
mod bindings;
mod checks;
mod failure;
mod level_line;
mod licences;
mod need;
mod package_manager;
mod session;
mod step;
mod tally;
mod tool;
mod voice;
mod window;
mod workspace;

use std::process::ExitCode;

use checks::Length;
use workspace::Workspace;

const HELP: &str = "\
cargo xtask run [--headless]   install what is missing, build Roomtone and open its window; without a display
                               (or with --headless) record a 20-second session of three synthetic speakers
cargo xtask test [--long]      install what the tests need and run every check that CI runs; --long plays thousands of
                               simulated sessions where CI plays hundreds
cargo xtask bench              measure what a recording of eight people costs, in processor time, memory and waiting

CARGO_TARGET_DIR    where everything that is built, fetched or recorded goes (default: target)
CI=true             nobody is there to be asked: install as root, or with a sudo that needs no password
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = |()| ExitCode::SUCCESS;
    let outcome = match arguments[..] {
        ["run"] => Workspace::locate().and_then(|workspace| window::run(&workspace)).map(done),
        ["run", "--headless"] => Workspace::locate().and_then(|workspace| session::run(&workspace)).map(done),
        ["bench"] => Workspace::locate().and_then(|workspace| bench::run(&workspace)).map(done),
        ["test"] => Workspace::locate().map(|workspace| checks::run(&workspace, Length::Ci)),
        ["test", "--long"] => Workspace::locate().map(|workspace| checks::run(&workspace, Length::Long)),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            eprint!("cargo xtask does not know \"{}\".\n\n{HELP}", arguments.join(" "));
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("\n{failure}");
            ExitCode::FAILURE
        }
    }
}
