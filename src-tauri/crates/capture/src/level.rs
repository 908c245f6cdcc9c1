//! How loud it is: ten times a second, the loudest 20 ms since.

use crate::FRAME_SAMPLES;

/// Frames of a level: ten levels a second.
const FRAMES: u32 = 5;

/// What silence reads, the lower end of RFC 6464's range.
const FLOOR_DB: f32 = -127.0;

/// Meters frames.
#[derive(Debug, Default)]
pub(crate) struct LevelMeter {
    frames: u32,
    loudest: f64,
}

impl LevelMeter {
    /// Takes a frame; every fifth time gives the level in dBov.
    pub(crate) fn push(&mut self, frame: &[f32]) -> Option<f32> {
        debug_assert_eq!(frame.len(), FRAME_SAMPLES);
        let power = frame.iter().map(|&s| f64::from(s) * f64::from(s)).sum::<f64>() / frame.len() as f64;
        self.loudest = self.loudest.max(power);
        self.frames += 1;
        if self.frames < FRAMES {
            return None;
        }
        let loudest = std::mem::take(self).loudest;
        Some((10.0 * loudest.log10()).max(f64::from(FLOOR_DB)) as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level_of(frames: [f32; 5]) -> f32 {
        let mut meter = LevelMeter::default();
        frames.iter().find_map(|&value| meter.push(&[value; FRAME_SAMPLES])).unwrap()
    }

    #[test]
    fn the_loudest_frame_counts() {
        assert!((level_of([0.0, 0.0, 0.1, 0.0, 0.0]) + 20.0).abs() < 1e-3);
        assert!(level_of([1.0; 5]).abs() < 1e-6);
        assert_eq!(level_of([0.0; 5]), FLOOR_DB);
    }

    #[test]
    fn a_level_comes_every_fifth_frame() {
        let mut meter = LevelMeter::default();
        let levels = (0..50).filter(|_| meter.push(&[0.5; FRAME_SAMPLES]).is_some()).count();
        assert_eq!(levels, 10);
    }
}
