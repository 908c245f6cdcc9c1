//! What storage costs, and how long people wait for it: each figure next to the least that it could be, measured in the
//! same run.

#![allow(clippy::unwrap_used, reason = "a benchmark ends at what it does not expect")]

mod cost;
mod memory;
mod null_store;
mod take;
mod waiting;

/// Writes one line of the table.
fn line(what: &str, figure: &str) {
    println!("{what:64}{figure:>14}");
}

fn shown(figure: Option<f64>, digits: usize) -> String {
    figure.map_or_else(|| "not measured here".to_owned(), |figure| format!("{figure:.digits$}"))
}

/// What can be measured, by name: all of it, or what the arguments name (`cargo bench --bench storage -- cost`).
const SECTIONS: [(&str, fn()); 3] =
    [("cost", cost::measure), ("memory", memory::measure), ("waiting", waiting::measure)];

fn main() {
    let named: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let build = if cfg!(debug_assertions) { "development" } else { "release" };
    println!("storage, {build} build");
    for (name, measure) in SECTIONS {
        if named.is_empty() || named.iter().any(|named| named == name) {
            measure();
        }
    }
}
