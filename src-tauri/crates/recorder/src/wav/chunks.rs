//! Chunks behind the samples: markers and names, for whoever opens the file in a DAW.

use super::WavDescription;

/// One RIFF chunk.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) id: [u8; 4],
    pub(super) body: Vec<u8>,
}

impl Chunk {
    /// Appends it, padded to an even length.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id);
        out.extend_from_slice(&u32::try_from(self.body.len()).expect("chunks of text are small").to_le_bytes());
        out.extend_from_slice(&self.body);
        if !self.body.len().is_multiple_of(2) {
            out.push(0);
        }
    }
}

/// Cue positions are 32-bit: what lies behind 24.8 hours cannot be marked.
fn reachable(cues: &[(u64, String)]) -> impl Iterator<Item = (u32, u32, &str)> {
    (1u32..).zip(cues).filter_map(|(id, (frame, text))| Some((id, u32::try_from(*frame).ok()?, text.as_str())))
}

pub(super) fn cue(cues: &[(u64, String)]) -> Option<Chunk> {
    let count = u32::try_from(reachable(cues).count()).ok().filter(|&count| count > 0)?;
    let mut body = count.to_le_bytes().to_vec();
    for (id, frame, _) in reachable(cues) {
        body.extend_from_slice(&id.to_le_bytes());
        body.extend_from_slice(&frame.to_le_bytes());
        body.extend_from_slice(b"data");
        // Chunk start and block start: there is one data chunk, and it is not compressed.
        body.extend_from_slice(&[0; 8]);
        body.extend_from_slice(&frame.to_le_bytes());
    }
    Some(Chunk { id: *b"cue ", body })
}

pub(super) fn labels(cues: &[(u64, String)]) -> Option<Chunk> {
    let mut body = b"adtl".to_vec();
    for (id, _, text) in reachable(cues) {
        let mut label = id.to_le_bytes().to_vec();
        label.extend(text.bytes().filter(|&byte| byte != 0));
        label.push(0);
        Chunk { id: *b"labl", body: label }.write(&mut body);
    }
    (body.len() > 4).then_some(Chunk { id: *b"LIST", body })
}

/// The names of the channels (iXML 1.61, TRACK_LIST); indices count from 1.
pub(super) fn ixml(description: &WavDescription) -> Option<Chunk> {
    let tracks: String = (1..)
        .zip(&description.channels)
        .map(|(number, name)| {
            format!(
                "<TRACK><CHANNEL_INDEX>{number}</CHANNEL_INDEX><INTERLEAVE_INDEX>{number}</INTERLEAVE_INDEX>\
                 <NAME>{}</NAME></TRACK>",
                escaped(name)
            )
        })
        .collect();
    let since_midnight = description.origination.time_reference();
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <BWFXML><IXML_VERSION>1.61</IXML_VERSION><PROJECT>{}</PROJECT>\
         <SPEED><FILE_SAMPLE_RATE>48000</FILE_SAMPLE_RATE><AUDIO_BIT_DEPTH>{}</AUDIO_BIT_DEPTH>\
         <TIMESTAMP_SAMPLE_RATE>48000</TIMESTAMP_SAMPLE_RATE>\
         <TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI>{}</TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI>\
         <TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO>{}</TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO></SPEED>\
         <TRACK_LIST><TRACK_COUNT>{}</TRACK_COUNT>{tracks}</TRACK_LIST></BWFXML>\n",
        escaped(&description.origination.title),
        description.depth.bits(),
        since_midnight >> 32,
        since_midnight & u64::from(u32::MAX),
        description.channels.len(),
    );
    Some(Chunk { id: *b"iXML", body: text.into_bytes() })
}

/// Text inside an XML element. Characters that XML 1.0 has no way to write are left out.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => {}
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_the_xml() {
        assert_eq!(escaped("a<b>&\"c\"\u{0}\u{1}\n\u{ffff}ö"), "a&lt;b&gt;&amp;\"c\" ö");
    }

    #[test]
    fn cues_behind_32_bits_are_left_out() {
        let cues = [(5, "in".to_owned()), (1 << 32, "out".to_owned())];
        let chunk = cue(&cues).unwrap();
        assert_eq!(chunk.body[..4], 1u32.to_le_bytes());
        assert_eq!(chunk.body.len(), 4 + 24);
        assert!(cue(&cues[1..]).is_none() && labels(&cues[1..]).is_none());
    }

    #[test]
    fn labels_are_padded_one_by_one() {
        let chunk = labels(&[(0, "a".to_owned()), (1, "ab".to_owned())]).unwrap();
        let expected = [&b"adtl"[..], b"labl\x06\0\0\0\x01\0\0\0a\0", b"labl\x07\0\0\0\x02\0\0\0ab\0\0"].concat();
        assert_eq!(chunk.body, expected);
    }
}
