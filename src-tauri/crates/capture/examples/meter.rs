//! Shows what a microphone delivers: its level, what it lost, and how evenly its clock runs.
//!
//!     cargo run -p roomtone-capture --example meter -- [MIC] [SECONDS]

use std::io::Write as _;
use std::sync::mpsc;
use std::time::Duration;

use roomtone_capture::{Capture, CaptureConfig, CaptureEvent, MicrophoneSpec, list_devices};
use roomtone_protocol::{ErrorReport, WakeEpoch};

fn main() -> Result<(), ErrorReport> {
    let mut arguments = std::env::args().skip(1);
    let microphone: MicrophoneSpec = arguments.next().as_deref().unwrap_or("default").parse()?;
    let seconds: u64 = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(10);
    if !matches!(microphone, MicrophoneSpec::File(_)) {
        for device in list_devices()? {
            println!("{} {} ({})", if device.default { "*" } else { " " }, device.name, device.id);
        }
    }
    let (tell, told) = mpsc::channel();
    // The other end hangs up when the time is over.
    let sink = Box::new(move |event| tell.send(event).unwrap_or_default());
    let capture = Capture::start(microphone, CaptureConfig::new(WakeEpoch(1)), sink)?;

    let mut anchors = Vec::new();
    let mut levels = 0;
    while levels < seconds * 10 {
        match told.recv_timeout(Duration::from_secs(15)) {
            Ok(CaptureEvent::Level { dbfs }) => {
                levels += 1;
                let bar = "#".repeat((60.0 + dbfs).max(0.0) as usize);
                print!("\r{dbfs:7.1} dB |{bar:<60}|");
                std::io::stdout()
                    .flush()
                    .map_err(|error| ErrorReport::new("io", error.to_string(), "use a terminal"))?;
            }
            Ok(CaptureEvent::Anchor(anchor)) => anchors.push((anchor.index.0 as f64, anchor.at.0 as f64)),
            Ok(CaptureEvent::Segment(segment)) => {
                anchors.clear();
                println!("\n{} at {} Hz, segment {}", segment.device, segment.device_rate, segment.segment.segment.0);
            }
            Ok(CaptureEvent::Device { name, problem: Some(problem) }) => println!("\n{name}: {}", problem.report()),
            Ok(CaptureEvent::Hole(hole)) => {
                let missing = (hole.range.to.0 - hole.range.from.0) as f64 / 48.0;
                println!("\n{missing:.1} ms are missing: {:?}", hole.cause);
            }
            Ok(CaptureEvent::Finished) | Err(_) => break,
            Ok(_) => {}
        }
    }
    capture.stop();
    println!();
    if let Some((ppm, rms_us, worst_us)) = clock(&anchors) {
        println!("clock: {ppm:+.1} ppm, anchors scatter by {rms_us:.0} us (at worst {worst_us:.0} us)");
    }
    Ok(())
}

/// A straight line through the anchors: the device's rate against the timeline clock's, and what does not fit.
fn clock(anchors: &[(f64, f64)]) -> Option<(f64, f64, f64)> {
    let count = anchors.len() as f64;
    let &(x0, y0) = anchors.first().filter(|_| anchors.len() > 2)?;
    // Relative to the first one at the nominal rate, where little is lost to rounding.
    let points: Vec<_> = anchors.iter().map(|(x, y)| (x - x0, (y - y0) - (x - x0) * 1e9 / 48e3)).collect();
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (mx, my) = (mean(|p| p.0), mean(|p| p.1));
    let slope = points.iter().map(|(x, y)| (x - mx) * (y - my)).sum::<f64>()
        / points.iter().map(|(x, _)| (x - mx).powi(2)).sum::<f64>();
    let errors: Vec<_> = points.iter().map(|(x, y)| y - my - slope * (x - mx)).collect();
    let rms = (errors.iter().map(|e| e * e).sum::<f64>() / count).sqrt();
    let worst = errors.iter().fold(0.0, |worst: f64, e| worst.max(e.abs()));
    // A device that is fast puts more samples into a second: less time each.
    Some((-slope * 48e3 / 1e9 * 1e6, rms / 1e3, worst / 1e3))
}
