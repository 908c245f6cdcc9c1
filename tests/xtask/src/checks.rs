//! `cargo xtask test`: every check that CI runs, in an order that fails early and builds everything once.

use std::process::ExitCode;

use xtask::Stopwatch;

use crate::failure::Failure;
use crate::long::Variant;
use crate::tally::Tally;
use crate::workspace::Workspace;
use crate::{bindings, fuzz, licences, need, package_manager, step, tool};

/// Runs them, some at the length that `variants` ask for. The last line of stdout counts the tests, whether or not all
/// went well.
pub(crate) fn run(workspace: &Workspace, variants: &[Variant]) -> ExitCode {
    let watch = Stopwatch::start();
    let mut tally = Tally::default();
    let mut left_out = Vec::new();
    let done = every_check(workspace, variants, &mut tally, &mut left_out);
    // Said here rather than by the caller: nothing may come after the count.
    if let Err(failure) = &done {
        println!("\n{failure}");
    }
    for what in left_out {
        println!("left out: {what}");
    }
    println!("\ncargo xtask test: {} after {watch}", if done.is_ok() { "all checks passed" } else { "stopped" });
    println!("{} passed, {} failed", tally.passed, tally.failed);
    if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn every_check(
    workspace: &Workspace,
    variants: &[Variant],
    tally: &mut Tally,
    left_out: &mut Vec<&'static str>,
) -> Result<(), Failure> {
    step::run(
        "format",
        &mut workspace.cargo(&["fmt", "--all", "--", "--check"]),
        "cargo fmt --all (and, if there is no such command, rustup component add rustfmt)",
    )?;
    package_manager::install(&need::of_the_tests())?;
    let weed = tool::seaweedfs(workspace)?;
    let ministack = tool::ministack(workspace)?;
    left_out.extend(licences::check(workspace)?);
    fuzz::check_lock(workspace)?;

    // The window's files are built into the desktop program, so they come before anything that compiles it.
    step::run("npm ci", &mut workspace.npm(&["ci", "--no-audit", "--no-fund"]), "check that npm reaches its registry")?;
    step::run("UI types", &mut workspace.npm(&["run", "check"]), "mend what svelte-check says")?;
    step::run_counted("UI tests", &mut workspace.npm(&["test"]), tally, "mend the test, or what it tests")?;
    step::run("UI build", &mut workspace.npm(&["run", "build"]), "mend what vite says")?;

    step::run(
        "clippy",
        &mut workspace.cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]),
        "mend what clippy says (and, if there is no such command, rustup component add clippy)",
    )?;
    // One build for programs and tests alike: built apart, they would differ in features and share little.
    step::run(
        "build",
        &mut workspace.cargo(&["build", "--workspace", "--all-targets", "--locked"]),
        "mend what the compiler says",
    )?;
    if !variants.is_empty() {
        println!("long: everything that reads foreign bytes, with libFuzzer");
        fuzz::run(workspace, crate::FUZZ_SECONDS)?;
    }
    let generated = bindings::fresh_directory(workspace)?;
    let mut tests = workspace.cargo(&["test", "--workspace", "--locked", "--no-fail-fast"]);
    tests.env("TS_RS_EXPORT_DIR", &generated).env("ROOMTONE_WEED", &weed).env("ROOMTONE_MINISTACK", &ministack);
    // Tests of whole sessions wait most of their time.
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    tests.env("RUST_TEST_THREADS", (cores * 2).to_string());
    for variant in variants {
        println!("long: {variant}");
        tests.env(variant.variable, variant.value);
    }
    step::run_counted("tests", &mut tests, tally, "each failed test says why above; run one with cargo test NAME")?;
    step::measured("generated TypeScript", "compare with ui/src/bindings", || {
        bindings::compare(workspace, &generated)
    })?;

    if cfg!(target_os = "linux") {
        let driver = tool::tauri_driver(workspace)?;
        let mut windows = workspace.npm(&["run", "test:window"]);
        windows.env("ROOMTONE_DESKTOP", workspace.built("roomtone-desktop")).env("ROOMTONE_TAURI_DRIVER", driver);
        step::run_counted("window tests", &mut windows, tally, "each failed test says why above")?;
    } else {
        left_out
            .push("window tests and the virtual microphone: they need Xvfb, WebKitWebDriver and PulseAudio, on Linux");
    }
    Ok(())
}
