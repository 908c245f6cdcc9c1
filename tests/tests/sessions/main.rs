//! Whole sessions in real programs, from the microphone to everybody's list. One program of tests: each of them links all
//! that Roomtone consists of, and most of their time they wait.

#![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

#[cfg(target_os = "linux")]
mod alarms;
#[cfg(target_os = "linux")]
mod awake;
#[cfg(target_os = "linux")]
mod broken_network;
mod by_itself;
mod cancelling;
mod closing;
mod coming_and_going;
mod crash;
mod downloads;
mod errors;
mod four_people;
#[cfg(target_os = "linux")]
mod full_disk;
mod growing;
mod hostile;
mod kill_loop;
mod mute;
mod notifications;
mod own_microphone;
mod pausing;
mod progressive;
mod quality;
mod rebuild;
mod record_while_recording;
mod relay_restart;
mod restart;
#[cfg(target_os = "linux")]
mod soak;
mod trouble;
mod uploading;
mod wav_readers;
