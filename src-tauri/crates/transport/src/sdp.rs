//! The few things that we read in and change about session descriptions (RFC 8866) ourselves.

use crate::connection::OPUS_PARAMETERS;

/// A media section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MediaSection<'a> {
    /// `audio`, `video`, `application` …
    pub(crate) kind: &'a str,
    /// Its lines, without the `m=` line.
    lines: Vec<&'a str>,
}

impl<'a> MediaSection<'a> {
    /// Payload types that stand for Opus at 48 kHz (RFC 7587: always two channels in the description).
    pub(crate) fn opus_payload_types(&self) -> impl Iterator<Item = &'a str> {
        self.lines.iter().filter_map(|line| opus_payload_type(line))
    }
}

fn opus_payload_type(line: &str) -> Option<&str> {
    let (payload_type, encoding) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
    encoding.trim().eq_ignore_ascii_case("opus/48000/2").then_some(payload_type)
}

/// The media sections in their order.
pub(crate) fn media_sections(sdp: &str) -> Vec<MediaSection<'_>> {
    let mut sections: Vec<MediaSection<'_>> = Vec::new();
    for line in sdp.lines().map(str::trim_end) {
        if let Some(media) = line.strip_prefix("m=") {
            let kind = media.split(' ').next().unwrap_or_default();
            sections.push(MediaSection { kind, lines: Vec::new() });
        } else if let Some(section) = sections.last_mut() {
            section.lines.push(line);
        }
    }
    sections
}

/// Why a description names no certificate that a hello could be bound to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FingerprintError {
    /// There is none.
    #[error("the session description holds no fingerprint")]
    Missing,
    /// Two that differ: which of them the connection is held to would depend on who reads it.
    #[error("the session description holds different fingerprints")]
    Ambiguous,
    /// A hash that is not SHA-256.
    #[error("the session description's fingerprint is not sha-256")]
    Algorithm,
}

/// The one certificate that a description promises (RFC 8122), upper case, as a hello signs it.
pub(crate) fn fingerprint(sdp: &str) -> Result<String, FingerprintError> {
    let mut lines = sdp.lines().filter_map(|line| line.trim_end().strip_prefix("a=fingerprint:"));
    let first = lines.next().ok_or(FingerprintError::Missing)?;
    if lines.any(|other| other != first) {
        return Err(FingerprintError::Ambiguous);
    }
    let (algorithm, value) = first.split_once(' ').ok_or(FingerprintError::Algorithm)?;
    if algorithm.eq_ignore_ascii_case("sha-256") {
        Ok(value.trim().to_uppercase())
    } else {
        Err(FingerprintError::Algorithm)
    }
}

/// The id of a header extension in a description's audio (RFC 8285, section 5), if it is there.
pub(crate) fn extension_id(sdp: &str, uri: &str) -> Option<u8> {
    let audio = media_sections(sdp).into_iter().find(|section| section.kind == "audio")?;
    audio.lines.iter().find_map(|line| {
        let (id, rest) = line.strip_prefix("a=extmap:")?.split_once(' ')?;
        // The id may come with a direction, the name with parameters.
        let id = id.split('/').next()?.parse().ok()?;
        (rest.split(' ').next() == Some(uri)).then_some(id)
    })
}

/// The same answer with our own Opus parameters: the library echoes the offer's, and a browser offers
/// `useinbandfec=1`, which makes its encoder sound worse as soon as packets are lost.
pub(crate) fn with_our_opus_parameters(answer: &str) -> String {
    let payload_types: Vec<String> = media_sections(answer)
        .iter()
        .filter(|section| section.kind == "audio")
        .flat_map(|section| section.opus_payload_types().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let is_opus_fmtp = |line: &str| {
        line.strip_prefix("a=fmtp:")
            .and_then(|rest| rest.split(' ').next())
            .is_some_and(|payload_type| payload_types.iter().any(|opus| opus == payload_type))
    };
    let mut out = String::with_capacity(answer.len() + 64);
    for line in answer.lines().map(str::trim_end).filter(|line| !is_opus_fmtp(line)) {
        out.push_str(line);
        out.push_str("\r\n");
        if let Some(payload_type) = opus_payload_type(line) {
            out.push_str(&format!("a=fmtp:{payload_type} {OPUS_PARAMETERS}\r\n"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "v=0\r\na=fingerprint:sha-256 ab:CD\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n\
        a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\na=rtcp-fb:111 nack\r\n\
        m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=sctp-port:5000\r\n";

    #[test]
    fn the_answer_carries_our_opus_parameters_once() {
        let changed = with_our_opus_parameters(ANSWER);
        assert_eq!(changed.matches("a=fmtp:").count(), 1);
        assert!(changed.contains(&format!("a=rtpmap:111 opus/48000/2\r\na=fmtp:111 {OPUS_PARAMETERS}\r\n")));
        assert!(changed.contains("a=rtcp-fb:111 nack\r\n") && changed.contains("a=sctp-port:5000\r\n"));
    }

    #[test]
    fn sections_are_found_in_their_order() {
        let kinds: Vec<_> = media_sections(ANSWER).iter().map(|section| section.kind).collect();
        assert_eq!(kinds, ["audio", "application"]);
    }

    #[test]
    fn a_header_extension_is_known_by_its_name() {
        let with = |line: &str| ANSWER.replace("a=rtcp-fb", &format!("a=extmap:1 urn:other\r\n{line}\r\na=rtcp-fb"));
        assert_eq!(extension_id(&with("a=extmap:3 urn:ours"), "urn:ours"), Some(3));
        assert_eq!(extension_id(&with("a=extmap:4/sendonly urn:ours more"), "urn:ours"), Some(4));
        assert_eq!(extension_id(&with("a=extmap:5 urn:ours-not"), "urn:ours"), None);
        assert_eq!(extension_id("v=0\r\na=extmap:1 urn:ours\r\n", "urn:ours"), None, "not of the audio");
    }

    #[test]
    fn a_description_promises_exactly_one_certificate() {
        assert_eq!(fingerprint(ANSWER).as_deref(), Ok("AB:CD"));
        let second = format!("{ANSWER}a=fingerprint:sha-256 EE:FF\r\n");
        assert_eq!(fingerprint(&second), Err(FingerprintError::Ambiguous));
        assert_eq!(fingerprint("v=0\r\n"), Err(FingerprintError::Missing));
        assert_eq!(fingerprint("a=fingerprint:sha-1 AB\r\n"), Err(FingerprintError::Algorithm));
    }
}
