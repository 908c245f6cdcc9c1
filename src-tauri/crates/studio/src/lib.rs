//! What the app, the headless program and the tests drive.

pub mod view;
