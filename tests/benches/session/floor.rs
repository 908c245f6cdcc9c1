//! The least that a recorder could cost: the same packets from a socket, through SRTP and Opus, into a file, in one
//! thread that does nothing else. No recorder that keeps what it receives in a PCM file can do without any of it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Write as _};
use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

use roomtone_packets::{Packet, Record, Scanned, Scanner};
use roomtone_tests::Stopwatch;
use rtc::srtp::context::Context;
use rtc::srtp::protection_profile::ProtectionProfile;

/// Frames of a packet of 20 ms.
const PACKET: usize = 960;
/// Length of a packet, and time between two looks at the socket: a recorder of which nobody wants an answer at once
/// may sleep as long as that.
const BATCH: Duration = Duration::from_millis(20);
/// Bytes of an RTP header without extensions (RFC 3550, 5.1).
const RTP_HEADER: usize = 12;
/// What both ends of a link agree on first (RFC 7714).
const PROFILE: ProtectionProfile = ProtectionProfile::AeadAes128Gcm;

/// Every packet of a journal, track by track, in order.
pub(crate) fn packets(folder: &Path) -> Vec<Vec<Packet>> {
    let mut tracks = BTreeMap::new();
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let mut scanner = Scanner::default();
        scanner.push(&fs::read(&path).unwrap());
        while let Some(scanned) = scanner.next_scanned() {
            if let Scanned::Record { record: Record::Packet(packet), .. } = scanned {
                let track: &mut BTreeMap<_, _> = tracks.entry(path.clone()).or_default();
                track.insert((packet.segment, packet.index), packet);
            }
        }
    }
    tracks.into_values().map(|track| track.into_values().collect()).collect()
}

/// Processor time of this thread so far, in seconds: the scheduler's own account, in nanoseconds (Linux,
/// Documentation/scheduler/sched-stats).
fn thread_s() -> Option<f64> {
    let account = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(account.split_whitespace().next()?.parse::<f64>().ok()? / 1e9)
}

/// Processor time to receive these packets as they are spoken, decrypt and decode them and write them as 24-bit frames,
/// in seconds. Sending them costs another thread, and is not counted.
pub(crate) fn from_the_socket(tracks: &[Vec<Packet>], out: &Path) -> Option<f64> {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_nonblocking(true).unwrap();
    let address = receiver.local_addr().unwrap();
    let rounds = tracks.iter().map(Vec::len).min().unwrap_or(0);
    let encrypted = encrypted(tracks, rounds);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
            let watch = Stopwatch::start();
            for (number, round) in (0_u32..).zip(&encrypted) {
                std::thread::sleep((BATCH * number).saturating_sub(watch.elapsed()));
                for packet in round {
                    sender.send_to(packet, address).unwrap();
                }
            }
        });
        let before = thread_s();
        let mut sink = Sink::new(tracks.len(), out);
        let mut contexts: Vec<Context> = (0..tracks.len()).map(context).collect();
        let mut datagram = [0; 2_048];
        let mut quiet = 0;
        // Half a second of silence after the last packet is the end.
        while quiet < 25 {
            std::thread::sleep(BATCH);
            let mut received = false;
            loop {
                match receiver.recv(&mut datagram) {
                    Ok(count) => {
                        let track = datagram[RTP_HEADER - 1] as usize;
                        let packet = contexts[track].decrypt_rtp(&datagram[..count]).unwrap();
                        sink.take(track, &packet[RTP_HEADER..]);
                        received = true;
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => panic!("{error}"),
                }
            }
            quiet = if received { 0 } else { quiet + 1 };
        }
        assert_eq!(sink.finish(), rounds * tracks.len(), "packets were lost on the loopback");
        before.zip(thread_s()).map(|(before, after)| after - before)
    })
}

/// Processor time to decode these packets and write them, in seconds: the part of the floor without a network.
pub(crate) fn from_memory(tracks: &[Vec<Packet>], out: &Path) -> Option<f64> {
    let rounds = tracks.iter().map(Vec::len).min().unwrap_or(0);
    let before = thread_s();
    let mut sink = Sink::new(tracks.len(), out);
    for number in 0..rounds {
        tracks.iter().enumerate().for_each(|(track, packets)| sink.take(track, &packets[number].opus));
    }
    assert_eq!(sink.finish(), rounds * tracks.len());
    before.zip(thread_s()).map(|(before, after)| after - before)
}

fn context(track: usize) -> Context {
    let crypto = rtc::srtp::crypto::default_provider().unwrap();
    let (mut key, salt) = (vec![7; PROFILE.key_len()], vec![9; PROFILE.salt_len()]);
    key[0] = u8::try_from(track).unwrap();
    Context::new(&key, &salt, PROFILE, None, None, crypto.crypto()).unwrap()
}

/// One packet of every track for each 20 ms, as they go over the network.
fn encrypted(tracks: &[Vec<Packet>], rounds: usize) -> Vec<Vec<Vec<u8>>> {
    let mut contexts: Vec<Context> = (0..tracks.len()).map(context).collect();
    let round = |number: usize| {
        let packet = |(track, context): (usize, &mut Context)| {
            let Packet { index, opus, .. } = &tracks[track][number];
            // Version 2, payload type 111, the low bits of number and time, and the track as the source.
            let mut bytes = vec![0x80, 111];
            bytes.extend_from_slice(&number.to_be_bytes()[6..]);
            bytes.extend_from_slice(&index.0.to_be_bytes()[4..]);
            bytes.extend_from_slice(&u32::try_from(track).unwrap().to_be_bytes());
            bytes.extend_from_slice(opus);
            context.encrypt_rtp(&bytes).unwrap().to_vec()
        };
        contexts.iter_mut().enumerate().map(packet).collect()
    };
    (0..rounds).map(round).collect()
}

/// Decodes and writes.
struct Sink {
    file: BufWriter<File>,
    decoders: Vec<opus::Decoder>,
    /// Interleaved frames of 24 bits, of the 20 ms that are being put together.
    frames: Vec<u8>,
    /// Which tracks are in them.
    there: Vec<bool>,
    samples: [f32; PACKET],
    packets: usize,
}

impl Sink {
    fn new(tracks: usize, out: &Path) -> Self {
        let decoder = |_| opus::Decoder::new(48_000, opus::Channels::Mono).unwrap();
        Self {
            file: BufWriter::new(File::create(out).unwrap()),
            decoders: (0..tracks).map(decoder).collect(),
            frames: vec![0; PACKET * tracks * 3],
            there: vec![false; tracks],
            samples: [0.0; PACKET],
            packets: 0,
        }
    }

    fn take(&mut self, track: usize, opus: &[u8]) {
        if self.there[track] {
            self.write();
        }
        self.there[track] = true;
        self.packets += 1;
        let count = self.decoders[track].decode_float(opus, &mut self.samples, false).unwrap();
        for (frame, sample) in self.samples[..count].iter().enumerate() {
            #[expect(clippy::cast_possible_truncation, reason = "it is clamped to 24 bits")]
            let value = (sample * 8_388_608.0).clamp(-8_388_608.0, 8_388_607.0) as i32;
            let at = (frame * self.there.len() + track) * 3;
            self.frames[at..at + 3].copy_from_slice(&value.to_le_bytes()[..3]);
        }
    }

    fn write(&mut self) {
        self.file.write_all(&self.frames).unwrap();
        self.frames.fill(0);
        self.there.fill(false);
    }

    /// The packets that it took, once they are on the disk for good.
    fn finish(mut self) -> usize {
        self.write();
        self.file.into_inner().unwrap().sync_all().unwrap();
        self.packets
    }
}
