//! What a list of ten thousand recordings takes, from a folder and from SeaweedFS, next to the least that it could take:
//! one sweep over the listing of the same bucket.

#![allow(clippy::unwrap_used, reason = "a benchmark ends at what it does not expect")]

mod fill;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use roomtone_protocol::catalog::MetadataState;
use roomtone_protocol::channel::{Answer, Command};
use roomtone_storage::{Bucket, Catalog, CatalogSettings, Listed, PutMode};
use roomtone_studio::Visitor;
use roomtone_tests::{Host, PATIENCE, SeaweedFs, Stage, Stopwatch};

/// How many recordings, where nothing else is said.
const RECORDINGS: usize = 10_000;
const HOW_MANY: &str = "ROOMTONE_BENCH_RECORDINGS";

/// How often what is short is measured; the median counts.
const TIMES: usize = 5;

/// The most that anything here may take.
const BOUND: Duration = Duration::from_secs(600);

/// Recordings in a page.
const PAGE: usize = 100;

/// What one bucket took.
struct Figures {
    /// One sweep over the listing, by somebody who does nothing else.
    sweep: Duration,
    /// Of a host that knows nothing: until there is a list, until its first page has titles, until all of it has.
    cold: [Duration; 3],
    /// Of one that was started before: until its first page has titles, until the bucket has confirmed it.
    warm: [Duration; 2],
    /// From one change until it is in the list, and how much of the bucket was read for it.
    refresh: Duration,
    /// From asking until the first page is there, over a link to a host's program.
    page: Duration,
    /// All pages, likewise.
    pages: Duration,
}

fn titled(list: &[Listed]) -> bool {
    let good = |listed: &Listed| listed.entry.metadata == MetadataState::Good;
    !list.is_empty() && list.iter().all(good)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

async fn catalogue(bucket: &Arc<dyn Bucket>, count: usize, memory: &Path) -> ([Duration; 3], [Duration; 2], Duration) {
    let settings = CatalogSettings { memory: Some(memory.to_owned()), ..CatalogSettings::default() };
    let until = async |catalog: &Catalog, watch: &Stopwatch, wanted: &(dyn Fn(&[Listed]) -> bool + Sync)| {
        let mut list = catalog.watch();
        tokio::time::timeout(BOUND, list.wait_for(|list| wanted(list))).await.unwrap().unwrap();
        watch.elapsed()
    };
    let watch = Stopwatch::start();
    let catalog = Catalog::start_with(Arc::clone(bucket), settings.clone());
    let listed = until(&catalog, &watch, &|list| list.len() == count).await;
    let first = until(&catalog, &watch, &|list| titled(&list[..PAGE.min(count)])).await;
    let all = until(&catalog, &watch, &|list| list.len() == count && titled(list)).await;

    let mut refreshes = Vec::new();
    for n in 0..TIMES {
        let key = fill::metadata_key(count / 2);
        let content = fill::metadata(count / 2, &format!("renamed {n}"));
        bucket.put_bytes(&key, content, PutMode::Replace).await.unwrap();
        let watch = Stopwatch::start();
        catalog.refresh().await.unwrap();
        refreshes.push(watch.elapsed());
        let renamed = catalog.find(&fill::key(count / 2)).unwrap();
        assert_eq!(renamed.entry.title, Some(format!("renamed {n}")));
    }
    // It is written at most every few seconds; a restart then begins with it.
    let written = roomtone_tests::Deadline::after(BOUND);
    tokio::task::block_in_place(|| {
        let last = format!("renamed {}", TIMES - 1);
        let whole =
            || std::fs::read_to_string(memory).is_ok_and(|text| text.contains(&last) && !text.contains("unread"));
        written.poll(|| whole().then_some(())).unwrap();
    });
    drop(catalog);
    let watch = Stopwatch::start();
    let catalog = Catalog::start_with(Arc::clone(bucket), settings);
    let remembered = until(&catalog, &watch, &|list| list.len() == count && titled(list)).await;
    tokio::time::timeout(BOUND, async {
        while !catalog.has_listed() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    ([listed, first, all], [remembered, watch.elapsed()], median(refreshes))
}

/// Asks a host's program as `roomtone recordings list` does.
async fn asked(host: &Host, count: usize) -> (Duration, Duration) {
    let visitor = Visitor::arrive(host.host_invite.parse().unwrap()).await.unwrap();
    let page = async |after| {
        let answer = visitor.request(Command::Recordings { after, limit: None }).await.unwrap();
        let Answer::Recordings(page) = answer else { panic!("{answer:?}") };
        page
    };
    // The host is at it: until then there is less.
    while page(None).await.total != Some(count as u64) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let watch = Stopwatch::start();
        assert_eq!(page(None).await.entries.len(), PAGE.min(count));
        times.push(watch.elapsed());
    }
    let watch = Stopwatch::start();
    let (mut seen, mut after) = (0, None);
    loop {
        let page = page(after).await;
        seen += page.entries.len();
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, count);
    (median(times), watch.elapsed())
}

fn measured(
    runtime: &tokio::runtime::Runtime,
    bucket: &Arc<dyn Bucket>,
    count: usize,
    memory: &Path,
    sweep: Duration,
    host: impl FnOnce() -> Host,
) -> Figures {
    let (cold, warm, refresh) = runtime.block_on(catalogue(bucket, count, memory));
    let host = host();
    let (page, pages) = runtime.block_on(asked(&host, count));
    host.program.stop(PATIENCE).unwrap();
    Figures { sweep, cold, warm, refresh, page, pages }
}

fn main() {
    let count = std::env::var(HOW_MANY).ok().map_or(RECORDINGS, |count| count.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let stage = Stage::new();
    let root = stage.data_dir("host").join("bucket");
    fill::folder(&root, count);
    let sweep = median((0..TIMES).map(|_| fill::walk(&root)).collect());
    let bucket = runtime.block_on(fill::folder_bucket(&root));
    let memory = stage.place().join("folder.jsonl");
    let local = measured(&runtime, &bucket, count, &memory, sweep, || stage.host(&["--bucket", "folder"]));

    let server = SeaweedFs::start(stage.place());
    server.bucket("bench").create().unwrap();
    let bucket = runtime.block_on(fill::s3_bucket(&server, "bench", stage.place()));
    runtime.block_on(fill::s3(&bucket, count));
    let sweep = median((0..TIMES).map(|_| fill::sweep(&server.bucket("bench"))).collect());
    let memory = stage.place().join("s3.jsonl");
    let stage = stage.with_environment(server.environment("bench"));
    let remote = measured(&runtime, &bucket, count, &memory, sweep, || stage.host_as("s3", &["--bucket", "s3"]));

    let build = if cfg!(debug_assertions) { "development" } else { "release" };
    println!("\na list of {count} recordings, {build} build, milliseconds{:>15}{:>12}", "folder", "SeaweedFS");
    let line = |what: &str, figure: &dyn Fn(&Figures) -> Duration| {
        let shown = |of| format!("{:.1}", figure(of).as_secs_f64() * 1_000.0);
        println!("{what:58}{:>12}{:>12}", shown(&local), shown(&remote));
    };
    line("floor: one sweep over the listing", &|of| of.sweep);
    line("first page, from a host's program", &|of| of.page);
    line("  all pages", &|of| of.pages);
    line("first page of a host that was started before", &|of| of.warm[0]);
    line("  confirmed by the bucket", &|of| of.warm[1]);
    line("refresh after one change", &|of| of.refresh);
    line("a host that knows nothing: the list", &|of| of.cold[0]);
    line("  the first page with titles", &|of| of.cold[1]);
    line("  everything with titles", &|of| of.cold[2]);
}
