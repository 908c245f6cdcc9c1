//! How a file is cut into parts.

/// A mebibyte.
const MIB: u64 = 1024 * 1024;

/// The least size of a part: smaller ones cost more requests than they save in resending.
pub(super) const LEAST_PART: u64 = 8 * MIB;

/// The most parts aimed at. The rest of what stores take is reserve for a file that grew a little.
const MOST_PARTS: u64 = 9_900;

/// The most parts that stores take (Amazon S3, multipart upload limits).
pub(super) const MOST_NUMBER: i32 = 10_000;

/// How long a recording is expected to be at most, in seconds: a day. A longer one goes up after its end, in larger parts.
const LONGEST: u64 = 24 * 3600;

/// Bytes a part, in whole mebibytes. All parts but the last have this size, as some stores demand.
pub(super) fn part_size(file: u64) -> u64 {
    LEAST_PART.max(file.div_ceil(MOST_PARTS).next_multiple_of(MIB))
}

/// Bytes a part of a file that grows by so many bytes a second, and whose size nobody knows.
pub(super) fn growing_part_size(bytes_per_s: u64) -> u64 {
    part_size(bytes_per_s.saturating_mul(LONGEST))
}

/// One part: its number from 1, where it begins, its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PartRange {
    pub(super) number: i32,
    pub(super) offset: u64,
    pub(super) length: u64,
}

impl PartRange {
    /// The part of this number of a file with so many bytes; None if it has no such part.
    pub(super) fn of(number: i32, file: u64, part: u64) -> Option<Self> {
        let offset = u64::try_from(number).ok()?.checked_sub(1)?.checked_mul(part)?;
        (offset < file).then(|| Self { number, offset, length: part.min(file - offset) })
    }

    pub(super) fn end(&self) -> u64 {
        self.offset + self.length
    }
}

/// The parts of a file.
pub(super) fn parts(file: u64, part: u64) -> impl Iterator<Item = PartRange> {
    (1..).zip((0..file).step_by(usize::try_from(part).unwrap_or(usize::MAX))).map(move |(number, offset)| PartRange {
        number,
        offset,
        length: part.min(file - offset),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_equal_but_for_the_last_and_cover_the_file() {
        for file in [1, LEAST_PART, LEAST_PART + 1, 40 * MIB, 5 * LEAST_PART + 17] {
            let parts: Vec<_> = parts(file, part_size(file)).collect();
            assert_eq!(parts.iter().map(|part| part.length).sum::<u64>(), file);
            assert!(parts[..parts.len() - 1].iter().all(|part| part.length == LEAST_PART));
            assert!(parts.windows(2).all(|two| two[0].offset + two[0].length == two[1].offset));
            assert_eq!(parts[0].number, 1);
        }
    }

    #[test]
    fn a_day_of_thirty_two_channels_fits_into_the_parts_a_store_takes() {
        let day = 24 * 3600 * 48_000 * 3 * 32;
        let size = part_size(day);
        assert_eq!(size, growing_part_size(48_000 * 3 * 32));
        assert_eq!(size % MIB, 0);
        assert!(parts(day, size).count() <= 9_900, "{size}");
        assert!(size <= 5 * 1024 * MIB);
    }
}
