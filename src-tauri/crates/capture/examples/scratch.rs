//! scratch
use std::sync::mpsc;
use std::time::Duration;
use roomtone_capture::*;
use roomtone_protocol::WakeEpoch;
fn main() {
    let seconds: i64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let (tell, told) = mpsc::channel();
    let capture = Capture::start(MicrophoneSpec::Default, CaptureConfig::new(WakeEpoch(1)), Box::new(move |e| tell.send(e).unwrap_or_default())).unwrap();
    let end = roomtone_clock::now().0 + seconds * 1_000_000_000;
    let mut decoder = opus::Decoder::new(48000, opus::Channels::Mono).unwrap();
    let mut quiet = 0;
    while roomtone_clock::now().0 < end {
        match told.recv_timeout(Duration::from_millis(500)) {
            Ok(CaptureEvent::Packet { packet, captured_at }) => {
                let mut out = [0.0; 960];
                decoder.decode_float(&packet.opus, &mut out, false).unwrap();
                for (n, x) in out.iter().enumerate() {
                    if x.abs() > 0.25 && quiet > 4800 { println!("HIT {}", captured_at.0 + (n as i64 - 312) * 62500 / 3); quiet = 0; }
                    quiet += 1;
                }
            }
            Ok(CaptureEvent::Level { .. }) | Err(_) => {}
            Ok(CaptureEvent::Anchor(a)) => println!("ANCHOR {} {}", a.index.0, a.at.0),
            Ok(other) => println!("{other:?}"),
        }
    }
    capture.stop();
}
