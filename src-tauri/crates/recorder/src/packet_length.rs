//! How long a packet is, from its own first bytes.

use roomtone_protocol::SAMPLE_RATE;

/// Samples at 48 kHz in an Opus packet (RFC 6716, section 3.1); None for what is no Opus packet.
#[must_use]
pub fn packet_samples(opus: &[u8]) -> Option<u16> {
    let samples = opus::packet::get_nb_samples(opus, SAMPLE_RATE).ok()?;
    u16::try_from(samples).ok().filter(|samples| *samples > 0)
}

#[cfg(test)]
mod tests {
    use super::packet_samples;

    #[test]
    fn the_first_byte_tells_the_length() {
        // Configuration 31, mono, one frame: CELT, fullband, 20 ms.
        assert_eq!(packet_samples(&[31 << 3, 0, 0]), Some(960));
        // Configuration 28: 2.5 ms.
        assert_eq!(packet_samples(&[28 << 3, 0, 0]), Some(120));
        assert_eq!(packet_samples(&[]), None);
    }
}
