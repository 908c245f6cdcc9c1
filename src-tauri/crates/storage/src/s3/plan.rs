//! How a file is cut into parts.

/// A mebibyte.
const MIB: u64 = 1024 * 1024;

/// The least size of a part: smaller ones cost more requests than they save in resending.
pub(super) const LEAST_PART: u64 = 8 * MIB;

/// The most parts aimed at. Stores take 10,000; the rest is reserve for a file that grew a little.
const MOST_PARTS: u64 = 9_900;

/// Bytes a part, in whole mebibytes. All parts but the last have this size, as some stores demand.
pub(super) fn part_size(file: u64) -> u64 {
    LEAST_PART.max(file.div_ceil(MOST_PARTS).next_multiple_of(MIB))
}

/// One part: its number from 1, where it begins, its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PartRange {
    pub(super) number: i32,
    pub(super) offset: u64,
    pub(super) length: u64,
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
        assert_eq!(size % MIB, 0);
        assert!(parts(day, size).count() <= 9_900, "{size}");
        assert!(size <= 5 * 1024 * MIB);
    }
}
