//! Which offers the recorder answers: one microphone in Opus at most, one data channel, and nothing else. No participant
//! ever negotiates video.

use roomtone_protocol::{ErrorReport, code};

use crate::sdp::media_sections;

/// What an acceptable offer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Offered {
    /// Whether there is an audio section.
    pub(crate) microphone: bool,
}

/// Judges an offer; the error is what the offering side is told.
pub(crate) fn judge(offer: &str) -> Result<Offered, ErrorReport> {
    let sections = media_sections(offer);
    let count = |kind: &str| sections.iter().filter(|section| section.kind == kind).count();
    if count("video") > 0 {
        return Err(ErrorReport::new(
            code::VIDEO_REFUSED,
            "the offer holds video",
            "Roomtone records sound only: join without a camera",
        ));
    }
    if count("audio") > 1 {
        return Err(ErrorReport::new(
            code::SECOND_AUDIO_REFUSED,
            "the offer holds more than one audio section",
            "send one microphone per participant; join once more for a second one",
        ));
    }
    let audio = sections.iter().find(|section| section.kind == "audio");
    if audio.is_some_and(|section| section.opus_payload_types().next().is_none()) {
        return Err(ErrorReport::new(
            code::CODEC_REFUSED,
            "the offer's audio holds no Opus at 48 kHz",
            "join with a program that sends Opus",
        ));
    }
    if count("application") != 1 || sections.len() != count("audio") + 1 {
        return Err(ErrorReport::new(
            code::BAD_REQUEST,
            "the offer does not hold exactly one data channel section",
            "update Roomtone",
        ));
    }
    Ok(Offered { microphone: audio.is_some() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPUS: &str = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n";
    const G722: &str = "m=audio 9 UDP/TLS/RTP/SAVPF 9\r\na=rtpmap:9 G722/8000\r\n";
    const VIDEO: &str = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\n";
    const DATA: &str = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n";

    fn verdict(sections: &[&str]) -> Result<bool, String> {
        let offer = format!("v=0\r\n{}", sections.concat());
        judge(&offer).map(|offered| offered.microphone).map_err(|refusal| refusal.code)
    }

    #[test]
    fn one_microphone_and_a_data_channel_are_welcome_and_so_is_the_channel_alone() {
        assert_eq!(verdict(&[OPUS, DATA]), Ok(true));
        assert_eq!(verdict(&[DATA, OPUS]), Ok(true));
        assert_eq!(verdict(&[DATA]), Ok(false));
    }

    #[test]
    fn a_browsers_list_of_codecs_passes_if_opus_is_on_it() {
        let many = "m=audio 9 UDP/TLS/RTP/SAVPF 63 111\r\na=rtpmap:63 red/48000/2\r\na=rtpmap:111 OPUS/48000/2\r\n";
        assert_eq!(verdict(&[many, DATA]), Ok(true));
    }

    #[test]
    fn everything_else_is_refused_with_its_own_code() {
        assert_eq!(verdict(&[OPUS, VIDEO, DATA]), Err(code::VIDEO_REFUSED.into()));
        assert_eq!(verdict(&[VIDEO]), Err(code::VIDEO_REFUSED.into()));
        assert_eq!(verdict(&[OPUS, OPUS, DATA]), Err(code::SECOND_AUDIO_REFUSED.into()));
        assert_eq!(verdict(&[G722, DATA]), Err(code::CODEC_REFUSED.into()));
        assert_eq!(verdict(&[OPUS]), Err(code::BAD_REQUEST.into()));
        assert_eq!(verdict(&[DATA, DATA]), Err(code::BAD_REQUEST.into()));
        assert_eq!(verdict(&[DATA, "m=text 9 RTP/AVP 98\r\n"]), Err(code::BAD_REQUEST.into()));
        assert_eq!(verdict(&["no session description"]), Err(code::BAD_REQUEST.into()));
    }
}
