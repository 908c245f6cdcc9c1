//! Tauri's part of the build, and a new build whenever the window's files changed.

fn main() {
    println!("cargo:rerun-if-changed=../ui/dist");
    println!("cargo:rerun-if-changed=../assets");
    tauri_build::build();
}
