//! Opus (RFC 6716), set up for a voice that will be edited, not for a call.

use opus::{Application, Bitrate, Channels};
use roomtone_protocol::SAMPLE_RATE;

use crate::CaptureError;

/// Samples of a packet: 20 ms at 48 kHz, Opus' most efficient common frame (RFC 6716, section 2.1.4).
pub const FRAME_SAMPLES: usize = 960;

/// Bits a second: transparent for a voice; what Opus' own recommendations call full-band stereo music quality.
pub const DEFAULT_BITRATE: u32 = 128_000;

/// 0 to 10; 9 costs a tenth less than 10 and sounds the same at this rate.
const COMPLEXITY: i32 = 9;

/// Longest packet of one frame (RFC 6716, section 3.4).
const MAX_PACKET_BYTES: usize = 1275;

/// A mono encoder at 48 kHz.
#[derive(Debug)]
pub struct Encoder {
    opus: opus::Encoder,
    lookahead: u32,
}

impl Encoder {
    /// An encoder at `bitrate` bits a second.
    ///
    /// # Errors
    /// [`CaptureError::Encoder`] for a bit rate that Opus does not know.
    pub fn new(bitrate: u32) -> Result<Self, CaptureError> {
        let refused = |error: opus::Error| CaptureError::Encoder { reason: error.to_string() };
        if !(6_000..=510_000).contains(&bitrate) {
            return Err(CaptureError::Encoder { reason: format!("{bitrate} bits a second") });
        }
        let mut opus = opus::Encoder::new(SAMPLE_RATE, Channels::Mono, Application::Audio).map_err(refused)?;
        opus.set_bitrate(Bitrate::Bits(bitrate.cast_signed())).map_err(refused)?;
        opus.set_complexity(COMPLEXITY).map_err(refused)?;
        opus.set_vbr(true).map_err(refused)?;
        opus.set_vbr_constraint(false).map_err(refused)?;
        // Lost packets are asked for again: redundancy would only take bits from the sound.
        opus.set_inband_fec(false).map_err(refused)?;
        // Silence is sound too: a room has a tone, and a missing packet must mean a missing packet.
        opus.set_dtx(false).map_err(refused)?;
        let lookahead = opus.get_lookahead().map_err(refused)?;
        Ok(Self { opus, lookahead: lookahead.unsigned_abs() })
    }

    /// Samples by which decoded audio lags behind what went in.
    #[must_use]
    pub fn lookahead(&self) -> u32 {
        self.lookahead
    }

    /// Forgets what came before: the next packet is the first of a stream.
    ///
    /// # Errors
    /// [`CaptureError::Encoder`], which libopus has no way of causing.
    pub fn reset(&mut self) -> Result<(), CaptureError> {
        self.opus.reset_state().map_err(|error| CaptureError::Encoder { reason: error.to_string() })
    }

    /// One packet.
    ///
    /// # Errors
    /// [`CaptureError::Encoder`] if the frame is not [`FRAME_SAMPLES`] long.
    pub fn encode(&mut self, frame: &[f32]) -> Result<Vec<u8>, CaptureError> {
        if frame.len() != FRAME_SAMPLES {
            return Err(CaptureError::Encoder { reason: format!("a frame of {} samples", frame.len()) });
        }
        self.opus
            .encode_vec_float(frame, MAX_PACKET_BYTES)
            .map_err(|error| CaptureError::Encoder { reason: error.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A voice-like test signal: a gliding harmonic tone with a slow envelope.
    fn voice(samples: usize) -> Vec<f32> {
        let mut phase = 0.0_f64;
        (0..samples)
            .map(|n| {
                let t = n as f64 / 48_000.0;
                phase += std::f64::consts::TAU * (140.0 + 60.0 * (t * 2.1).sin()) / 48_000.0;
                let tone: f64 = (1..12).map(|h| (phase * f64::from(h)).sin() / f64::from(h)).sum();
                (0.2 * tone * (1.0 + (t * 9.0).sin())) as f32
            })
            .collect()
    }

    fn correlation(a: &[f32], b: &[f32]) -> f64 {
        let sum = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
        sum(a, b) / (sum(a, a) * sum(b, b)).sqrt()
    }

    #[test]
    fn decoded_audio_lags_by_the_lookahead_and_correlates() {
        let input = voice(48_000 * 3);
        let mut encoder = Encoder::new(DEFAULT_BITRATE).unwrap();
        let mut decoder = opus::Decoder::new(48_000, Channels::Mono).unwrap();
        let mut decoded = Vec::new();
        for frame in input.chunks_exact(FRAME_SAMPLES) {
            let mut out = vec![0.0; FRAME_SAMPLES];
            decoder.decode_float(&encoder.encode(frame).unwrap(), &mut out, false).unwrap();
            decoded.extend(out);
        }
        let lag = encoder.lookahead() as usize;
        let (a, b) = (&input[..input.len() - lag], &decoded[lag..]);
        let at_lag = correlation(a, b);
        assert!(at_lag > 0.98, "{at_lag}");
        for wrong in [lag - 2, lag + 2] {
            let n = input.len() - lag - 2;
            assert!(correlation(&input[..n], &decoded[wrong..wrong + n]) < at_lag);
        }
    }

    #[test]
    fn after_a_reset_the_encoder_is_as_new() {
        let input = voice(FRAME_SAMPLES * 20);
        let mut used = Encoder::new(64_000).unwrap();
        for frame in input.chunks_exact(FRAME_SAMPLES) {
            used.encode(frame).unwrap();
        }
        used.reset().unwrap();
        let mut fresh = Encoder::new(64_000).unwrap();
        for frame in input.chunks_exact(FRAME_SAMPLES) {
            assert_eq!(used.encode(frame).unwrap(), fresh.encode(frame).unwrap());
        }
    }

    #[test]
    fn impossible_settings_and_frames_are_refused() {
        assert!(matches!(Encoder::new(1), Err(CaptureError::Encoder { .. })));
        assert!(matches!(
            Encoder::new(DEFAULT_BITRATE).unwrap().encode(&[0.0; 959]),
            Err(CaptureError::Encoder { .. })
        ));
    }
}
