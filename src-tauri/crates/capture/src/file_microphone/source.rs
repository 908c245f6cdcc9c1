//! The file's sound at 48 kHz, from any sample of it on.

use roomtone_protocol::SAMPLE_RATE;

use super::wav::WavStream;
use crate::resampler::Resampler;
use crate::{CaptureError, FileSpec};

/// File frames that are converted before the first one that counts: more than the filter sees.
const WARM_UP_FRAMES: u64 = 4_096;

/// File frames read at a time.
const PIECE: usize = 1_024;

/// A file, converted as it is read: memory does not grow with its length.
pub(crate) struct Source {
    wav: WavStream,
    resampler: Resampler,
    piece: Vec<f32>,
    ready: Vec<f32>,
    /// Of `ready`, what is done with.
    used: usize,
    /// Samples still to be left out.
    skip: u64,
    over: bool,
}

impl Source {
    /// The file from its sample `from` on, counted at 48 kHz.
    pub(crate) fn open(spec: &FileSpec, from: u64) -> Result<Self, CaptureError> {
        let rate = WavStream::open(&spec.path, 0, spec.repeat)?.rate();
        // Begin where a sample at 48 kHz lies exactly on one of the file, some way before.
        let common = u64::from(gcd(rate, SAMPLE_RATE));
        let (file_step, step) = (u64::from(rate) / common, u64::from(SAMPLE_RATE) / common);
        let steps = (from / step).saturating_sub(WARM_UP_FRAMES.div_ceil(file_step));
        let wav = WavStream::open(&spec.path, steps * file_step, spec.repeat)?;
        let skip = from - steps * step;
        let (piece, ready) = (Vec::new(), Vec::new());
        Ok(Self { wav, resampler: Resampler::new(rate), piece, ready, used: 0, skip, over: false })
    }

    /// The file's own rate.
    pub(crate) fn rate(&self) -> u32 {
        self.wav.rate()
    }

    /// Appends `count` samples to `out`; fewer only at the end of the file, and after an error, which is its end.
    pub(crate) fn read(&mut self, count: usize, out: &mut Vec<f32>) -> Result<(), CaptureError> {
        let mut result = Ok(());
        while self.ready.len() - self.used < count && !self.over {
            self.ready.drain(..self.used);
            self.used = 0;
            self.piece.clear();
            result = self.wav.read(PIECE, &mut self.piece);
            self.resampler.push(&self.piece, &mut self.ready);
            if self.piece.len() < PIECE {
                self.resampler.finish(&mut self.ready);
                self.over = true;
            }
            let skip = usize::try_from(self.skip).unwrap_or(usize::MAX).min(self.ready.len());
            self.used = skip;
            self.skip -= skip as u64;
        }
        let given = count.min(self.ready.len() - self.used);
        out.extend_from_slice(&self.ready[self.used..self.used + given]);
        self.used += given;
        result
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
