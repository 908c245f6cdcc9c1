//! Records and the ranges they cover: the common ground of spool, journal and back-fill.
//!
//! A record on disk and on the wire is
//!
//! ```text
//! magic "RT" | version u8 | kind u8 | length u32 | crc32 u32 | payload
//! ```
//!
//! little endian; the CRC (ISO-HDLC) covers version, kind, length and payload. A reader that meets damage looks for the
//! next record that checks out; kinds that it does not know are skipped; an unfinished tail is the only thing ever cut.

mod framing;
mod ranges;
mod record;

pub use framing::{HEADER_BYTES, MAX_PAYLOAD_BYTES, Scanned, Scanner, VERSION, encode};
pub use ranges::{Coverage, RangeSet};
pub use record::{
    Arrival, ChannelGiven, ClockExchange, Described, EpochStart, Interval, IntervalEdge, MapStretch, MarkerSet,
    MutedFrom, NameGiven, Packet, PersonLeft, Placed, PlacedBy, Record, RecordError, SenderReport,
};
