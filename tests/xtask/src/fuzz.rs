//! libFuzzer over everything that must withstand any bytes, for `cargo xtask fuzz` and `cargo xtask test --long`. CI tries the same functions
//! with the corpus and simple changes of it, as ordinary tests: to build everything once more costs it minutes.

use crate::failure::Failure;
use crate::step;
use crate::workspace::Workspace;

/// The targets of `tests/fuzz`.
const TARGETS: [&str; 8] = ["records", "journal", "spool", "payload", "to_recorder", "to_participant", "take", "wav"];

/// Coverage as libFuzzer reads it (LLVM's SanitizerCoverage): counters inline, a table of places, traced comparisons.
const INSTRUMENTATION: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Most that an input may take, in MB: the programs' own figure is below 50.
const MEMORY_MB: u32 = 1_024;

/// Longest that an input may take, in seconds.
const PATIENCE_S: u32 = 10;

/// Whether the workspace of the targets still knows what the crates around it need. Building them costs CI too much.
pub(crate) fn check_lock(workspace: &Workspace) -> Result<(), Failure> {
    let manifest = manifest(workspace);
    let mut fetch = workspace.cargo(&["fetch", "--locked", "--manifest-path", &manifest]);
    let advice = "cargo update --workspace --manifest-path tests/fuzz/libfuzzer/Cargo.toml, and commit the lock file";
    step::run("fuzz targets' lock file", &mut fetch, advice)
}

fn manifest(workspace: &Workspace) -> String {
    workspace.root().join("tests/fuzz/libfuzzer/Cargo.toml").to_string_lossy().into_owned()
}

/// Builds the targets and tries each for so many seconds. What it finds in new inputs stays in the target directory.
pub(crate) fn run(workspace: &Workspace, seconds: u32) -> Result<(), Failure> {
    let place = workspace.target("fuzz");
    let manifest = manifest(workspace);
    // With a target named, build scripts are built without the flags: they have no libFuzzer to count for.
    let with = ["--release", "--locked", "--target", "host-tuple", "--manifest-path", &manifest];
    let instrumented = |command: &str, arguments: &[&str]| {
        let mut cargo = workspace.cargo(&[&[command], &with[..], arguments].concat());
        // The flags are of the stable compiler's unstable part; nothing that is shipped is built with them.
        cargo.env("CARGO_TARGET_DIR", &place).env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", INSTRUMENTATION);
        cargo
    };
    step::run("fuzz targets", &mut instrumented("build", &[]), "mend what the compiler says")?;
    for target in TARGETS {
        let found = place.join("corpus").join(target);
        let crashes = place.join("crashes").join(target);
        for folder in [&found, &crashes] {
            std::fs::create_dir_all(folder).map_err(|error| {
                Failure::new(format!("{} cannot be made: {error}", folder.display()), "is there room on the disk?")
            })?;
        }
        let mut fuzz = instrumented("run", &["--quiet", "--bin", target, "--"]);
        fuzz.arg(format!("-max_total_time={seconds}"))
            .args([format!("-timeout={PATIENCE_S}"), format!("-rss_limit_mb={MEMORY_MB}")])
            .args(["-print_final_stats=1", "-verbosity=0"])
            .arg(format!("-artifact_prefix={}/", crashes.display()))
            .args([found, workspace.root().join("tests/fuzz/corpus").join(target)]);
        let advice = "the input is in the target directory, under fuzz/crashes; mend what it breaks, and add it to tests/fuzz/corpus";
        step::run(&format!("fuzz {target}"), &mut fuzz, advice)?;
    }
    Ok(())
}
