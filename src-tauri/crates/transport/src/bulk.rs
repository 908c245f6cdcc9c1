//! Cuts records into packets for the way of the audio, or into messages for the data channel.

use bytes::{Buf as _, Bytes};
use roomtone_packets::{HEADER_BYTES, Packet, Record, Scanned, Scanner};

use crate::media;

/// Longest message that records are put into. Small enough that a clock answer never waits long behind one, and far
/// below what every SCTP stack takes.
const MESSAGE_BYTES: usize = 16 * 1024;

/// Splits `records` into messages that hold whole records, so that a receiver can read each message by itself. What is
/// not framed as records, or is a single longer record, is cut at the limit.
pub(crate) fn messages(records: Vec<u8>) -> impl Iterator<Item = Bytes> {
    let mut rest = Bytes::from(records);
    std::iter::from_fn(move || (!rest.is_empty()).then(|| rest.split_to(first_message(&rest))))
}

fn first_message(rest: &[u8]) -> usize {
    if rest.len() <= MESSAGE_BYTES {
        return rest.len();
    }
    let mut end = 0;
    while let Some(next) = record_length(&rest[end..]).map(|length| end + length)
        && next <= MESSAGE_BYTES
    {
        end = next;
    }
    if end == 0 { MESSAGE_BYTES } else { end }
}

/// Bytes of the record at the front, header included, if a whole one stands there.
fn record_length(at: &[u8]) -> Option<usize> {
    let (header, payload) = at.split_at_checked(HEADER_BYTES)?;
    if !header.starts_with(b"RT") {
        return None;
    }
    let length = (&header[4..8]).get_u32_le() as usize;
    (length <= payload.len()).then_some(HEADER_BYTES + length)
}

/// The packets that `records` consist of; None if there is anything else among them, or one that cannot go that way.
pub(crate) fn packets(records: &[u8]) -> Option<Vec<Packet>> {
    let mut scanner = Scanner::default();
    scanner.push(records);
    let mut packets = Vec::new();
    while let Some(scanned) = scanner.next_scanned() {
        match scanned {
            Scanned::Record { record: Record::Packet(packet), .. } if media::fits(&packet) => packets.push(packet),
            _ => return None,
        }
    }
    (scanner.tail() == records.len() as u64).then_some(packets)
}

#[cfg(test)]
mod tests {
    use roomtone_packets::encode;
    use roomtone_protocol::{SampleIndex, SegmentId, SegmentKey, WakeEpoch};

    use super::*;

    fn packet(n: u64, bytes: usize) -> Record {
        let segment = SegmentKey { epoch: WakeEpoch(1), segment: SegmentId(0) };
        Record::Packet(Packet { segment, index: SampleIndex(n * 960), samples: 960, opus: vec![n as u8; bytes] })
    }

    #[test]
    fn every_message_holds_whole_records_and_nothing_is_lost() {
        let records: Vec<Record> = (0..500).map(|n| packet(n, 200 + n as usize)).collect();
        let mut bytes = Vec::new();
        records.iter().for_each(|record| encode(record, &mut bytes));
        let mut read = Vec::new();
        for message in messages(bytes) {
            assert!(message.len() <= MESSAGE_BYTES);
            let mut scanner = Scanner::new(0);
            scanner.push(&message);
            while let Some(scanned) = scanner.next_scanned() {
                let Scanned::Record { record, .. } = scanned else { panic!("{scanned:?}") };
                read.push(record);
            }
            assert_eq!(scanner.tail(), message.len() as u64);
        }
        assert_eq!(read, records);
    }

    #[test]
    fn only_what_is_nothing_but_packets_goes_as_packets() {
        let records: Vec<Record> = (0..3).map(|n| packet(n, 320)).collect();
        let mut bytes = Vec::new();
        records.iter().for_each(|record| encode(record, &mut bytes));
        let found = packets(&bytes).unwrap();
        assert_eq!(found.into_iter().map(Record::Packet).collect::<Vec<_>>(), records);
        assert_eq!(packets(&bytes[..bytes.len() - 1]), None);
        encode(&packet(3, 5_000), &mut bytes);
        assert_eq!(packets(&bytes), None, "too long for a datagram");
        assert_eq!(packets(&[7; 100]), None);
    }

    #[test]
    fn what_is_no_record_is_cut_at_the_limit() {
        let lengths: Vec<usize> = messages(vec![7; 2 * MESSAGE_BYTES + 5]).map(|message| message.len()).collect();
        assert_eq!(lengths, [MESSAGE_BYTES, MESSAGE_BYTES, 5]);
        assert_eq!(messages(Vec::new()).count(), 0);
    }

    #[test]
    fn a_record_longer_than_a_message_still_gets_through() {
        let mut bytes = Vec::new();
        encode(&packet(1, 40_000), &mut bytes);
        let whole: Vec<u8> = messages(bytes.clone()).flatten().collect();
        assert_eq!(whole, bytes);
    }
}
