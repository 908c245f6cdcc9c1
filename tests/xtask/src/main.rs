//! `cargo xtask`: `run` shows Roomtone at work, `test` runs every check, `bench` measures.

mod bench;
mod bindings;
mod checks;
mod failure;
mod fuzz;
mod level_line;
mod licences;
mod long;
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

use workspace::Workspace;

const HELP: &str = "\
cargo xtask run [--headless]   install what is missing, build Roomtone and open its window; without a display
                               (or with --headless) record a 20-second session of three synthetic speakers
cargo xtask test [--long]      install what the tests need and run every check that CI runs; with --long, random
                               tests run thousands of times, libFuzzer looks for inputs that do harm, and people come
                               and go for eight hours
cargo xtask bench              measure what a recording of eight people costs, in processor time, memory and waiting
cargo xtask bench storage      measure how long people wait for the bucket, and what uploads cost
cargo xtask bench catalog      measure what a list of ten thousand recordings takes
cargo xtask fuzz               try everything that reads foreign bytes with libFuzzer, a minute each

CARGO_TARGET_DIR    where everything that is built, fetched or recorded goes (default: target)
CI=true             nobody is there to be asked: install as root, or with a sudo that needs no password
";

/// How long each of the fuzz targets is tried.
const FUZZ_SECONDS: u32 = 60;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = |()| ExitCode::SUCCESS;
    let outcome = match arguments[..] {
        ["run"] => Workspace::locate().and_then(|workspace| window::run(&workspace)).map(done),
        ["run", "--headless"] => Workspace::locate().and_then(|workspace| session::run(&workspace)).map(done),
        ["bench", "storage"] => Workspace::locate().and_then(|workspace| bench::storage(&workspace)).map(done),
        ["bench", "catalog"] => Workspace::locate().and_then(|workspace| bench::catalog(&workspace)).map(done),
        ["bench"] => Workspace::locate().and_then(|workspace| bench::run(&workspace)).map(done),
        ["fuzz"] => Workspace::locate().and_then(|workspace| fuzz::run(&workspace, FUZZ_SECONDS)).map(done),
        ["test"] => Workspace::locate().map(|workspace| checks::run(&workspace, &[])),
        ["test", "--long"] => Workspace::locate().map(|workspace| checks::run(&workspace, long::VARIANTS)),
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
