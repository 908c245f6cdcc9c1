//! Other people's readers of a WAV: ffmpeg, sox and libsndfile, each asked what the file is and to decode all of it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What a reader makes of a file.
#[derive(Clone, PartialEq, Eq)]
pub struct Reading {
    /// Number of channels.
    pub channels: u64,
    /// Hertz.
    pub rate: u64,
    /// Length in frames.
    pub frames: u64,
    /// Every sample from where reading began, interleaved, as it was asked for.
    pub pcm: Vec<u8>,
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { channels, rate, frames, pcm } = self;
        write!(f, "{channels} channels at {rate} Hz, {frames} frames, {} bytes of samples", pcm.len())
    }
}

/// libsndfile has no program of its own in every distribution; Python reaches the library itself. Arguments: the file,
/// `int` or `float`, and the frame to begin at.
const SNDFILE: &str = r#"
import ctypes, ctypes.util, json, sys
class Info(ctypes.Structure):
    _fields_ = [("frames", ctypes.c_int64)] + [(n, ctypes.c_int) for n in ("rate", "channels", "format", "sections", "seekable")]
class Cue(ctypes.Structure):
    _fields_ = [("id", ctypes.c_int32), ("position", ctypes.c_uint32), ("fcc", ctypes.c_int32), ("chunk", ctypes.c_int32),
                ("block", ctypes.c_int32), ("offset", ctypes.c_uint32), ("name", ctypes.c_char * 256)]
class Cues(ctypes.Structure):
    _fields_ = [("count", ctypes.c_uint32), ("points", Cue * 100)]
lib = ctypes.CDLL(ctypes.util.find_library("sndfile") or "libsndfile.so.1")
lib.sf_open.restype = ctypes.c_void_p
lib.sf_open.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.POINTER(Info)]
lib.sf_readf_int.restype = lib.sf_readf_float.restype = lib.sf_seek.restype = ctypes.c_int64
lib.sf_readf_int.argtypes = lib.sf_readf_float.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
lib.sf_seek.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int]
lib.sf_command.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
lib.sf_strerror.restype = ctypes.c_char_p
lib.sf_strerror.argtypes = [ctypes.c_void_p]
info = Info()
file = lib.sf_open(sys.argv[1].encode(), 0x10, ctypes.byref(info))
if not file:
    sys.exit(lib.sf_strerror(None).decode())
cues = Cues()
lib.sf_command(file, 0x10CE, ctypes.byref(cues), ctypes.sizeof(cues))
cues = [[cue.offset, cue.name.decode()] for cue in cues.points[: cues.count]]
sys.stderr.write(json.dumps({"channels": info.channels, "rate": info.rate, "frames": info.frames, "cues": cues}))
start = int(sys.argv[3])
if lib.sf_seek(file, start, 0) != start:
    sys.exit("no such frame")
block = 65536
floats = sys.argv[2] == "float"
samples = ((ctypes.c_float if floats else ctypes.c_int) * (block * info.channels))()
read = lib.sf_readf_float if floats else lib.sf_readf_int
while True:
    count = read(file, samples, block)
    if count <= 0:
        break
    raw = memoryview(samples).cast("B")[: count * info.channels * 4].tobytes()
    if not floats:
        out = bytearray(count * info.channels * 3)
        out[0::3], out[1::3], out[2::3] = raw[1::4], raw[2::4], raw[3::4]
        raw = out
    sys.stdout.buffer.write(raw)
"#;

/// How samples are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum As {
    /// 24-bit little-endian integers.
    Integers,
    /// 32-bit little-endian floats.
    Floats,
}

/// ffmpeg's reading, and ffprobe's.
///
/// # Panics
/// There is no ffmpeg, or it does not take the file.
#[must_use]
pub fn ffmpeg(path: &Path) -> Reading {
    ffmpeg_from(path, As::Integers, 0)
}

/// ffmpeg's reading from a second on.
///
/// # Panics
/// As [`ffmpeg`].
#[must_use]
pub fn ffmpeg_from(path: &Path, samples: As, second: u64) -> Reading {
    let entries = "stream=channels,sample_rate,duration_ts";
    let probe = ["-v", "error", "-show_entries", entries, "-of", "json"];
    let probed = stdout("ffmpeg", Command::new("ffprobe").args(probe).arg(path));
    let probed: Value = serde_json::from_slice(&probed).expect("ffprobe speaks JSON when asked to");
    let stream = &probed["streams"][0];
    let decode = match samples {
        As::Integers => ["-f", "s24le", "-c:a", "pcm_s24le", "-"],
        As::Floats => ["-f", "f32le", "-c:a", "pcm_f32le", "-"],
    };
    let from = second.to_string();
    let mut decoding = Command::new("ffmpeg");
    decoding.args(["-v", "error", "-ss", &from, "-i"]).arg(path).args(decode);
    let pcm = stdout("ffmpeg", &mut decoding);
    let rate = stream["sample_rate"].as_str().and_then(|rate| rate.parse().ok());
    Reading {
        channels: stream["channels"].as_u64().expect("ffprobe tells the channels"),
        rate: rate.expect("ffprobe tells the rate"),
        frames: stream["duration_ts"].as_u64().expect("ffprobe tells the length"),
        pcm,
    }
}

/// What ffprobe finds besides sound, by name.
///
/// # Panics
/// As [`ffmpeg`].
#[must_use]
pub fn tags(path: &Path) -> Value {
    let probe = ["-v", "error", "-show_entries", "format_tags", "-of", "json"];
    let probed = stdout("ffmpeg", Command::new("ffprobe").args(probe).arg(path));
    let mut probed: Value = serde_json::from_slice(&probed).expect("ffprobe speaks JSON when asked to");
    probed["format"]["tags"].take()
}

/// sox's reading.
///
/// # Panics
/// There is no sox, or it does not take the file.
#[must_use]
pub fn sox(path: &Path) -> Reading {
    sox_from(path, As::Integers, 0)
}

/// sox's reading from a second on. Sox gives floats to 24 bits after the point.
///
/// # Panics
/// As [`sox`].
#[must_use]
pub fn sox_from(path: &Path, samples: As, second: u64) -> Reading {
    let (encoding, bits) = match samples {
        As::Integers => ("signed-integer", "24"),
        As::Floats => ("floating-point", "32"),
    };
    let raw = ["-t", "raw", "-e", encoding, "-b", bits, "-L", "-"];
    let from = second.to_string();
    // Without -D sox dithers.
    let pcm = stdout("sox", Command::new("sox").arg("-D").arg(path).args(raw).args(["trim", &from]));
    let (channels, rate, frames) = sox_size(path);
    Reading { channels, rate, frames, pcm }
}

/// Channels, frames a second and frames, as sox reads them from the header.
///
/// # Panics
/// As [`sox`].
#[must_use]
pub fn sox_size(path: &Path) -> (u64, u64, u64) {
    // All at once: sox looks for chunks behind the samples each time, and reads its way there.
    let text = String::from_utf8_lossy(&stdout("sox", Command::new("sox").arg("--i").arg(path))).into_owned();
    let told = |what: &str, before: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(what)?.split_once(": ")).map(|(_, value)| value);
        let words = line.map(|line| line.split(before).next().unwrap_or(line).split_whitespace());
        let number = words.and_then(|words| words.last()?.parse().ok());
        number.unwrap_or_else(|| panic!("sox --i says no {what}: {text}"))
    };
    (told("Channels", "\n"), told("Sample Rate", "\n"), told("Duration", " samples"))
}

/// libsndfile's reading.
///
/// # Panics
/// There is no libsndfile, or it does not take the file.
#[must_use]
pub fn libsndfile(path: &Path) -> Reading {
    libsndfile_from(path, As::Integers, 0).0
}

/// libsndfile's reading from a second on, and the cue points that it finds: frame and label.
///
/// # Panics
/// As [`libsndfile`].
#[must_use]
pub fn libsndfile_from(path: &Path, samples: As, second: u64) -> (Reading, Vec<(u64, String)>) {
    let format = if samples == As::Floats { "float" } else { "int" };
    let from = (second * 48_000).to_string();
    let output = Command::new("python3").args(["-c", SNDFILE]).arg(path).args([format, &from]).output();
    let output = output.unwrap_or_else(|error| panic!("python3 cannot be started: {error}; {}", install("libsndfile")));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "libsndfile does not take {}: {said}; {}", path.display(), install("libsndfile"));
    let told: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("libsndfile says {said}"));
    let number = |key: &str| told[key].as_u64().expect("the script writes it");
    let cues = told["cues"].as_array().into_iter().flatten();
    let cues = cues.map(|cue| {
        (cue[0].as_u64().expect("the script writes it"), cue[1].as_str().expect("the script writes it").to_owned())
    });
    let cues = cues.collect();
    let (channels, rate, frames) = (number("channels"), number("rate"), number("frames"));
    (Reading { channels, rate, frames, pcm: output.stdout }, cues)
}

/// Asks all of them; they have to agree on everything, down to the last sample.
///
/// # Panics
/// They do not, or one of them is missing or does not take the file.
#[must_use]
pub fn all(path: &Path) -> Reading {
    let reading = ffmpeg(path);
    assert_eq!(reading, sox(path), "ffmpeg and sox read {} differently", path.display());
    assert_eq!(reading, libsndfile(path), "ffmpeg and libsndfile read {} differently", path.display());
    reading
}

fn stdout(package: &str, command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; {}", install(package)));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn install(package: &str) -> String {
    let package = if package == "libsndfile" && cfg!(target_os = "linux") { "libsndfile1" } else { package };
    let manager = if cfg!(target_os = "macos") { "brew install" } else { "apt-get install" };
    format!("{manager} {package} (or: cargo xtask test)")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Not written by Roomtone, so that this tests the readers.
    fn file(samples: &[[i32; 3]]) -> tempfile::TempPath {
        let path = tempfile::Builder::new().suffix(".wav").tempfile().unwrap().into_temp_path();
        let spec = hound::WavSpec {
            channels: 3,
            sample_rate: 48_000,
            bits_per_sample: 24,
            sample_format: hound::SampleFormat::Int,
        };
        let mut wav = hound::WavWriter::create(&path, spec).unwrap();
        samples.as_flattened().iter().for_each(|&sample| wav.write_sample(sample).unwrap());
        wav.finalize().unwrap();
        path
    }

    #[test]
    fn all_readers_agree_to_the_last_bit() {
        let samples: Vec<[i32; 3]> =
            (0..70_001).map(|n| [n, -n * 3, if n % 2 == 0 { 8_388_607 } else { -8_388_608 }]).collect();
        let reading = all(&file(&samples));
        assert_eq!((reading.channels, reading.rate, reading.frames), (3, 48_000, 70_001));
        let expected: Vec<u8> =
            samples.as_flattened().iter().flat_map(|sample| sample.to_le_bytes()[..3].to_vec()).collect();
        assert!(reading.pcm == expected);
    }
}
