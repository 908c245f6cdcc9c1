//! How fast an upload may go, and what is told of how it goes.

use roomtone_tests::{Fault, FaultProxy, PATIENCE, SeaweedFs, Stage, Stopwatch};
use serde_json::Value;

use super::finished::Finished;

const SIZE: u64 = 40_000_000;

/// Bytes a second that the settings allow, and that the link would carry for each part.
const LIMIT: u64 = 5_000_000;
const LINK: u64 = 50_000_000;

#[test]
fn an_upload_keeps_to_its_limit_inside_of_parts_too_and_tells_how_long_it_takes() {
    let stage = Stage::new();
    let server = SeaweedFs::start(stage.place());
    let bucket = server.bucket("talks");
    bucket.create().unwrap();
    let proxy = FaultProxy::start(&server.endpoint());
    proxy.plan(|asked| asked.part().is_some(), Fault::Slow(LINK), usize::MAX);
    let stage = stage.with_environment(server.environment("talks"));
    let stage = stage.with_environment(vec![("S3_RECORDING_ENDPOINT", proxy.endpoint())]);
    let finished = Finished::write(&stage, 5, SIZE);
    let limit = (LIMIT * 8 / 1_000).to_string();
    let mut host = stage.host(&["--upload-limit-kbps", &limit, "--upload-limit-always", "true"]);
    let watch = Stopwatch::start();
    let went = |bytes: u64| proxy.passed().iter().map(|passed| passed.body).sum::<u64>() >= bytes;
    // Four parts are on their way at once: without a limit inside of them they are there at once.
    let two = roomtone_tests::Deadline::after(PATIENCE).poll(|| went(2 * LIMIT).then(|| watch.elapsed()));
    let two = two.expect("it goes up").as_secs_f64();
    assert!(two > 1.0, "ten megabytes went in {two:.1} s");
    let seen = host.program.wait_for("the completion", PATIENCE * 2, |event| event["event"] == "recording_completed");
    let seen = seen.unwrap();
    let took = watch.elapsed().as_secs_f64();
    let least = SIZE as f64 / LIMIT as f64;
    assert!(took > least * 0.8 && took < least * 3.0, "{took:.1} s, where the limit makes it {least:.1} s");
    let told: Vec<&Value> = host.program.events().iter().filter(|event| event["event"] == "upload_progress").collect();
    println!("{took:.1} s, at least {least:.1} s; told: {told:?}");
    let last = told.last().unwrap();
    assert_eq!((&last["bytes"], &last["total"]), (&SIZE.into(), &SIZE.into()));
    let with_rate: Vec<_> = told.iter().filter(|event| event["rate"].is_u64() && event["left_ms"].is_u64()).collect();
    assert!(with_rate.len() >= 2, "{told:?}");
    let rate = with_rate[with_rate.len() - 1]["rate"].as_u64().unwrap();
    assert!((LIMIT / 2..=LIMIT * 3 / 2).contains(&rate), "{rate} bytes a second");
    let left: Vec<u64> = with_rate.iter().map(|event| event["left_ms"].as_u64().unwrap()).collect();
    assert!(left.first() > left.last(), "{left:?}");
    finished.is_in(&bucket, seen["key"].as_str().unwrap());
    host.program.stop(PATIENCE).unwrap();
}
