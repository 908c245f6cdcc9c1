//! Names of objects: the room's slug, the template, which keys are audio, and what belongs to a recording beside it.

mod start;
mod template;

pub use self::template::{KeyFields, KeyTemplate, KeyTemplateError};

/// Longest slug in bytes: leaves room for the rest of a file name (255 bytes on common file systems).
const LONGEST_SLUG: usize = 64;

/// Endings of objects that appear in the list.
const AUDIO: [&str; 9] = ["wav", "flac", "ogg", "opus", "mka", "webm", "mp4", "m4a", "mp3"];

/// Ending of what is written.
const RECORDING: &str = ".wav";

/// What a stereo mix has before its ending. No slug and no token of a template holds a dot.
const MIX: &str = ".mix";

/// What a room is called in keys: letters and digits of any script in lower case, everything else one `-`. A name
/// without any of them becomes `room`. It never holds `_`, `.` or `/`.
#[must_use]
pub fn slug(name: &str) -> String {
    let mut slug = String::new();
    for letter in name.chars().flat_map(char::to_lowercase) {
        let wanted = if letter.is_alphanumeric() { letter } else { '-' };
        if wanted == '-' && (slug.is_empty() || slug.ends_with('-')) {
            continue;
        }
        if slug.len() + wanted.len_utf8() > LONGEST_SLUG {
            break;
        }
        slug.push(wanted);
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "room".to_owned() } else { slug.to_owned() }
}

/// Whether the key's ending is that of an audio file.
#[must_use]
pub fn is_audio_key(key: &str) -> bool {
    let name = key.rsplit('/').next().unwrap_or(key);
    name.rsplit_once('.')
        .is_some_and(|(stem, ending)| !stem.is_empty() && AUDIO.iter().any(|audio| ending.eq_ignore_ascii_case(audio)))
}

/// Whether an object of this key can be a recording: only WAV is written, and only what was written has objects beside it.
/// Another audio object that differs from it by its ending is a plain file, and has no part in them.
#[must_use]
pub fn is_recording_key(key: &str) -> bool {
    let name = key.rsplit('/').next().unwrap_or(key);
    name.strip_suffix(RECORDING).is_some_and(|stem| !stem.is_empty() && !stem.ends_with(MIX))
}

/// The key of the metadata JSON that belongs to an audio key.
#[must_use]
pub fn metadata_key(audio: &str) -> String {
    format!("{}.json", stem(audio).0)
}

/// The key of the waveform picture that belongs to an audio key.
#[must_use]
pub fn picture_key(audio: &str) -> String {
    format!("{}.png", stem(audio).0)
}

/// The key of the stereo mix that belongs to an audio key.
#[must_use]
pub fn mix_key(audio: &str) -> String {
    format!("{}{MIX}{RECORDING}", stem(audio).0)
}

/// Every key that belongs to a recording beside its audio, in the order in which they are to be deleted: the metadata, which
/// says whose the others are, comes last.
#[must_use]
pub fn companion_keys(audio: &str) -> [String; 3] {
    [mix_key(audio), picture_key(audio), metadata_key(audio)]
}

/// The recording that an object beside it belongs to, where there is one: its key.
#[must_use]
pub fn companion_of(key: &str) -> Option<String> {
    let (stem, _) = stem(key);
    let owners = [Some(stem), stem.strip_suffix(MIX)].into_iter().flatten().map(|stem| format!("{stem}{RECORDING}"));
    owners
        .filter(|owner| is_recording_key(owner))
        .find(|owner| companion_keys(owner).iter().any(|beside| beside == key))
}

/// A key without its ending, and the ending with its dot.
fn stem(key: &str) -> (&str, &str) {
    let file = key.rfind('/').map_or(0, |slash| slash + 1);
    match key[file..].rfind('.') {
        Some(dot) if dot > 0 => key.split_at(file + dot),
        _ => (key, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_keep_letters_of_every_script_and_nothing_that_separates() {
        for (name, expected) in [
            ("Band Rehearsal", "band-rehearsal"),
            ("  a__b//c..d  ", "a-b-c-d"),
            ("../../etc/passwd", "etc-passwd"),
            ("Größe Ünïcode", "größe-ünïcode"),
            ("会議 1", "会議-1"),
            ("🎙🎧", "room"),
            ("", "room"),
            ("---", "room"),
        ] {
            assert_eq!(slug(name), expected, "{name:?}");
        }
        let long = slug(&"ü".repeat(200));
        assert_eq!(long.len(), LONGEST_SLUG);
        assert_eq!(slug(&long), long);
    }

    #[test]
    fn audio_keys_are_told_by_their_ending() {
        for key in ["a.wav", "x/y.FLAC", "a.b.opus", "r/ü.m4a"] {
            assert!(is_audio_key(key), "{key}");
        }
        for key in ["a.json", "wav", "x.wav/y", ".wav", "a.png", ""] {
            assert!(!is_audio_key(key), "{key}");
        }
        assert_eq!(metadata_key("a.d/x.y.wav"), "a.d/x.y.json");
    }

    #[test]
    fn what_lies_beside_a_recording_is_its_own_and_nobody_elses() {
        assert_eq!(companion_keys("r/a.b.wav"), ["r/a.b.mix.wav", "r/a.b.png", "r/a.b.json"]);
        for beside in companion_keys("r/a.b.wav") {
            assert_eq!(companion_of(&beside).as_deref(), Some("r/a.b.wav"));
        }
        for (key, recording) in
            [("a.wav", true), ("a.mp3", false), ("a.WAV", false), ("a.mix.wav", false), (".wav", false)]
        {
            assert_eq!(is_recording_key(key), recording, "{key}");
        }
        for nobodys in ["a.wav", "a.flac", "a.mix.flac", "a.mix.json", "a.txt", "", ".json", "a/.png"] {
            assert_eq!(companion_of(nobodys), None, "{nobodys}");
        }
    }
}
