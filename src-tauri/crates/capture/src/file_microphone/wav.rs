//! A WAV file as a stream of mono samples, once or over and over.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use hound::{SampleFormat, WavReader};

use crate::CaptureError;
use crate::resampler::RATES;

/// Reads a WAV file of any format that hound knows, mixed down to mono.
pub(crate) struct WavStream {
    path: PathBuf,
    reader: WavReader<BufReader<File>>,
    repeat: bool,
}

impl WavStream {
    /// Opens a file at its frame `from`; one that repeats takes it as a frame of the endless sound.
    pub(crate) fn open(path: &Path, from: u64, repeat: bool) -> Result<Self, CaptureError> {
        let reader = open(path)?;
        let mut stream = Self { path: path.to_owned(), reader, repeat };
        let frames = u64::from(stream.reader.duration());
        let mut skip = if repeat { from % frames } else { from.min(frames) };
        // Decoded and thrown away: hound's own seek miscounts 24-bit samples in 32-bit containers.
        let mut nowhere = Vec::new();
        while skip > 0 {
            let piece = skip.min(65_536);
            nowhere.clear();
            stream.read(usize::try_from(piece).unwrap_or(65_536), &mut nowhere)?;
            skip -= piece;
        }
        Ok(stream)
    }

    /// Frames a second.
    pub(crate) fn rate(&self) -> u32 {
        self.reader.spec().sample_rate
    }

    /// Appends `count` samples to `out`; fewer only at the end.
    pub(crate) fn read(&mut self, count: usize, out: &mut Vec<f32>) -> Result<(), CaptureError> {
        let wanted = out.len() + count;
        loop {
            let missing = wanted - out.len();
            let read = read_mono(&mut self.reader, missing, out);
            read.map_err(|error| explain(&self.path, &error))?;
            if out.len() == wanted || !self.repeat {
                return Ok(());
            }
            self.reader = open(&self.path)?;
        }
    }
}

fn open(path: &Path) -> Result<WavReader<BufReader<File>>, CaptureError> {
    let reader = WavReader::open(path).map_err(|error| explain(path, &error))?;
    let file = |reason: String| CaptureError::File { path: path.to_owned(), reason };
    let rate = reader.spec().sample_rate;
    if !RATES.contains(&rate) {
        return Err(file(format!("its sample rate of {rate} Hz is not one that sound has")));
    }
    if reader.duration() == 0 {
        return Err(file("it holds no samples".to_owned()));
    }
    Ok(reader)
}

fn read_mono(reader: &mut WavReader<BufReader<File>>, frames: usize, out: &mut Vec<f32>) -> hound::Result<()> {
    let spec = reader.spec();
    let channels = usize::from(spec.channels);
    let left = usize::try_from(reader.duration()).unwrap_or(usize::MAX) * channels;
    let samples = frames.saturating_mul(channels).min(left);
    let mut sum = 0.0_f32;
    let mut mix = |n: usize, sample: f32| {
        sum += if sample.is_finite() { sample } else { 0.0 };
        if (n + 1).is_multiple_of(channels) {
            out.push(sum / f32::from(spec.channels));
            sum = 0.0;
        }
    };
    match spec.sample_format {
        SampleFormat::Float => {
            for (n, sample) in reader.samples::<f32>().take(samples).enumerate() {
                mix(n, sample?);
            }
        }
        SampleFormat::Int => {
            let scale = 1.0 / f64::from(2_u32.pow(u32::from(spec.bits_per_sample) - 1));
            for (n, sample) in reader.samples::<i32>().take(samples).enumerate() {
                mix(n, (f64::from(sample?) * scale) as f32);
            }
        }
    }
    Ok(())
}

fn explain(path: &Path, error: &hound::Error) -> CaptureError {
    let reason = match error {
        hound::Error::IoError(error) if error.kind() == io::ErrorKind::NotFound => "there is no such file".to_owned(),
        hound::Error::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            "it ends too early, or is no WAV file".to_owned()
        }
        hound::Error::IoError(error) => error.to_string(),
        hound::Error::FormatError(what) => format!("it is no WAV file that can be read ({what})"),
        hound::Error::Unsupported => "its samples are neither integers of up to 32 bits nor 32-bit floats".to_owned(),
        other => other.to_string(),
    };
    CaptureError::File { path: path.to_owned(), reason }
}
