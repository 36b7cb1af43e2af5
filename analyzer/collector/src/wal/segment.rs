//! The bytes of a segment: written record by record, read with damage in mind. The format is in the module above.

use weir_sample::Kind;

use super::{FORMAT_VERSION, RECORD_BYTES_MAX};

/// The name of a segment: unique for ever in its data folder, and in time order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SegmentId {
    /// Start of the collector's run, microseconds since 1970 or one more than the last run.
    pub(crate) run: u64,
    /// Within the run, from 1.
    pub(crate) number: u64,
}

/// A row on its way into the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Equal for a retry of the same record.
    pub(crate) key: u128,
    /// The table.
    pub(crate) kind: Kind,
    /// The encoded row.
    pub(crate) row: Vec<u8>,
}

/// A good record of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found<'a> {
    /// Place of the record in the file, bytes.
    pub(crate) offset: usize,
    pub(crate) key: u128,
    pub(crate) kind: Kind,
    pub(crate) row: &'a [u8],
}

/// What a segment holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Scan<'a> {
    pub(crate) found: Vec<Found<'a>>,
    /// Stretches of damage that are followed by a good record, or a damaged header.
    pub(crate) damaged: u64,
    /// The end is not a whole record: an interrupted write.
    pub(crate) torn: bool,
    /// The header is whole and of a version that this program does not read.
    pub(crate) newer: Option<u32>,
}

pub(crate) const HEADER_BYTES: usize = 32;
const FRAME_BYTES: usize = 12;
const PAYLOAD_HEAD_BYTES: usize = 17;
const MAGIC: &[u8; 8] = b"WEIRWAL\n";
const MARKER: [u8; 4] = [0xff, b'W', 0xfe, b'R'];

impl SegmentId {
    /// The file name without its ending; also the name of its Parquet files.
    pub(crate) fn name(self) -> String {
        format!("{:016x}-{:08x}", self.run, self.number)
    }

    /// Inverse of [`Self::name`].
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (run, number) = name.split_once('-')?;
        let id =
            Self { run: u64::from_str_radix(run, 16).ok()?, number: u64::from_str_radix(number, 16).ok()? };
        // A run is a time; one beyond this is a foreign name, and would leave no larger one.
        (id.name() == name && id.run < 1 << 62).then_some(id)
    }
}

/// The first bytes of a segment.
pub(crate) fn header(id: SegmentId) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes.extend_from_slice(&id.run.to_le_bytes());
    bytes.extend_from_slice(&id.number.to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

/// Bytes that an entry takes in a segment.
pub(crate) fn entry_bytes(entry: &Entry) -> usize {
    FRAME_BYTES + PAYLOAD_HEAD_BYTES + entry.row.len()
}

/// Appends an entry. The caller has refused rows beyond [`RECORD_BYTES_MAX`].
pub(crate) fn append(id: SegmentId, entry: &Entry, to: &mut Vec<u8>) {
    let len = PAYLOAD_HEAD_BYTES + entry.row.len();
    let start = to.len() + FRAME_BYTES;
    to.extend_from_slice(&MARKER);
    to.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
    to.extend_from_slice(&[0; 4]);
    to.push(match entry.kind {
        Kind::Samples => 0,
        Kind::Scores => 1,
    });
    to.extend_from_slice(&entry.key.to_le_bytes());
    to.extend_from_slice(&entry.row);
    let crc = checksum(id, to.get(start..).unwrap_or_default());
    if let Some(slot) = to.get_mut(start - 4..start) {
        slot.copy_from_slice(&crc.to_le_bytes());
    }
}

/// Finds every good record, whatever lies between them.
pub(crate) fn scan(id: SegmentId, bytes: &[u8]) -> Scan<'_> {
    let mut scan = Scan::default();
    let expected = header(id);
    let start = bytes.get(..HEADER_BYTES);
    if start.is_none() && !expected.starts_with(bytes) {
        scan.damaged += 1;
    }
    if let Some(start) = start.filter(|start| *start != expected) {
        scan.newer = newer_version(start);
        if scan.newer.is_some() {
            return scan;
        }
        scan.damaged += 1;
    }
    scan.torn = bytes.len() < HEADER_BYTES;
    let mut at = HEADER_BYTES;
    while at < bytes.len() {
        if let Some((found, next)) = record(id, bytes, at) {
            scan.found.push(found);
            at = next;
            continue;
        }
        match next_record(id, bytes, at + 1) {
            Some(next) => {
                scan.damaged += 1;
                at = next;
            }
            None => {
                scan.torn = true;
                break;
            }
        }
    }
    scan
}

fn newer_version(header: &[u8]) -> Option<u32> {
    let (body, crc) = header.split_at_checked(HEADER_BYTES - 4)?;
    let version = u32::from_le_bytes(body.get(8..12)?.try_into().ok()?);
    let whole = body.starts_with(MAGIC) && crc == crc32fast::hash(body).to_le_bytes();
    (whole && version != FORMAT_VERSION).then_some(version)
}

fn record(id: SegmentId, bytes: &[u8], at: usize) -> Option<(Found<'_>, usize)> {
    let frame = bytes.get(at..at.checked_add(FRAME_BYTES)?)?;
    let len = u32::from_le_bytes(frame.get(4..8)?.try_into().ok()?);
    let len =
        usize::try_from(len).ok().filter(|len| (PAYLOAD_HEAD_BYTES..=RECORD_BYTES_MAX).contains(len))?;
    let start = at + FRAME_BYTES;
    let payload = bytes.get(start..start.checked_add(len)?)?;
    if !frame.starts_with(&MARKER) || *frame.get(8..12)? != checksum(id, payload).to_le_bytes() {
        return None;
    }
    let kind = match payload.first()? {
        0 => Kind::Samples,
        1 => Kind::Scores,
        _ => return None,
    };
    let key = u128::from_le_bytes(payload.get(1..PAYLOAD_HEAD_BYTES)?.try_into().ok()?);
    Some((Found { offset: at, key, kind, row: payload.get(PAYLOAD_HEAD_BYTES..)? }, start + len))
}

fn next_record(id: SegmentId, bytes: &[u8], from: usize) -> Option<usize> {
    let mut from = from;
    loop {
        let rest = bytes.get(from..)?;
        let at = from + rest.windows(MARKER.len()).position(|window| window == MARKER)?;
        if record(id, bytes, at).is_some() {
            return Some(at);
        }
        from = at + 1;
    }
}

fn checksum(id: SegmentId, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&id.run.to_le_bytes());
    hasher.update(&id.number.to_le_bytes());
    hasher.update(&(payload.len() as u64).to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    const ID: SegmentId = SegmentId { run: 0x0006_4000_1234_5678, number: 3 };

    fn entries() -> Vec<Entry> {
        (0..6u8)
            .map(|n| Entry {
                key: u128::from(n) << 90 | 7,
                kind: if n % 2 == 0 { Kind::Samples } else { Kind::Scores },
                row: vec![n; usize::from(n) * 5],
            })
            .collect()
    }

    fn file(entries: &[Entry]) -> (Vec<u8>, Vec<usize>) {
        let mut bytes = header(ID);
        let mut ends = Vec::new();
        for entry in entries {
            append(ID, entry, &mut bytes);
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    fn found(bytes: &[u8]) -> Vec<Entry> {
        let entry = |found: &Found<'_>| Entry { key: found.key, kind: found.kind, row: found.row.to_vec() };
        scan(ID, bytes).found.iter().map(entry).collect()
    }

    #[test]
    fn records_come_back_and_take_the_space_that_was_said() {
        let (bytes, _) = file(&entries());
        assert_eq!(found(&bytes), entries());
        assert_eq!(bytes.len(), HEADER_BYTES + entries().iter().map(entry_bytes).sum::<usize>());
        let scan = scan(ID, &bytes);
        assert_eq!((scan.damaged, scan.torn, scan.newer), (0, false, None));
    }

    #[test]
    fn cut_at_any_byte_the_whole_records_before_the_cut_are_found() {
        let (bytes, ends) = file(&entries());
        for cut in 0..bytes.len() {
            let whole = ends.iter().filter(|end| **end <= cut).count();
            assert_eq!(found(&bytes[..cut]), entries()[..whole], "cut at {cut}");
            let scan = scan(ID, &bytes[..cut]);
            let at_a_border = cut == HEADER_BYTES || ends.contains(&cut);
            assert_eq!((scan.torn, scan.damaged), (!at_a_border, 0), "cut at {cut}");
        }
    }

    #[test]
    fn one_damaged_byte_anywhere_costs_at_most_its_own_record() {
        let (bytes, ends) = file(&entries());
        for at in 0..bytes.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                let mut expected = entries();
                if at >= HEADER_BYTES {
                    expected.remove(ends.iter().filter(|end| **end <= at).count());
                }
                assert_eq!(found(&damaged), expected, "byte {at} xor {flip:#x}");
                let scan = scan(ID, &damaged);
                assert!(scan.damaged == 1 || scan.torn, "byte {at}: damage must be noticed");
            }
        }
    }

    #[test]
    fn text_that_imitates_a_record_is_not_one() {
        let mut imitation = Vec::new();
        append(SegmentId { run: 1, number: 1 }, &entries()[2], &mut imitation);
        let carrier = Entry { key: 1, kind: Kind::Samples, row: imitation };
        let (mut bytes, ends) = file(&[carrier, entries()[1].clone()]);
        bytes[HEADER_BYTES + 5] ^= 1;
        assert_eq!(found(&bytes), [entries()[1].clone()]);
        assert!(ends[0] < bytes.len());
    }

    #[test]
    fn a_newer_format_is_left_alone() {
        let mut bytes = header(ID);
        bytes[8] = 9;
        let crc = crc32fast::hash(&bytes[..28]).to_le_bytes();
        bytes[28..].copy_from_slice(&crc);
        let scan = scan(ID, &bytes);
        assert_eq!((scan.newer, scan.damaged), (Some(9), 0));
    }

    #[test]
    fn names_are_parsed_back_and_sorted_by_time() {
        assert_eq!(SegmentId::parse(&ID.name()), Some(ID));
        for foreign in [
            "x",
            "1-2",
            "0000000000000001-0000000g",
            "../../../../etc/pw-00000001",
            "ffffffffffffffff-00000001",
        ] {
            assert_eq!(SegmentId::parse(foreign), None, "{foreign}");
        }
        assert!(SegmentId { run: 1, number: 255 }.name() < SegmentId { run: 2, number: 1 }.name());
    }

    proptest! {
        #[test]
        fn any_bytes_are_scanned_without_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), header_first: bool) {
            if header_first { bytes.splice(0..0, header(ID)); }
            prop_assert!(scan(ID, &bytes).found.len() <= bytes.len() / FRAME_BYTES);
        }

        #[test]
        fn garbage_between_records_costs_none_of_them(garbage in proptest::collection::vec(any::<u8>(), 1..80), after in 0usize..5) {
            let (bytes, ends) = file(&entries());
            let mut damaged = bytes.clone();
            damaged.splice(ends[after]..ends[after], garbage);
            prop_assert_eq!(found(&damaged), entries());
        }
    }
}
