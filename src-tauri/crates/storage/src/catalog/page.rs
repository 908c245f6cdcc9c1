//! The list a page at a time: ten thousand entries fit into no message.

use std::fmt;
use std::str::FromStr;

use roomtone_protocol::catalog::CatalogPage;
use time::OffsetDateTime;

use super::Listed;

/// Bytes of entries in a page: with what stands around them below what a message may hold, which is 64 KiB.
const MOST_BYTES: usize = 48 * 1024;

/// A place in the list: behind the entry that has, or had, this time and key. It stays a place whatever comes and goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    at_ns: i128,
    key: String,
}

/// A text that is no cursor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this names no place in the list")]
pub struct CursorError;

impl Cursor {
    fn behind(listed: &Listed) -> Self {
        Self { at_ns: listed.at.unix_timestamp_nanos(), key: listed.entry.key.clone() }
    }

    /// Whether the entry stands at this place or before it.
    fn is_behind(&self, listed: &Listed) -> bool {
        let at_ns = listed.at.unix_timestamp_nanos();
        at_ns > self.at_ns || (at_ns == self.at_ns && listed.entry.key <= self.key)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.at_ns, self.key)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let (at_ns, key) = text.split_once('/').ok_or(CursorError)?;
        let at_ns: i128 = at_ns.parse().map_err(|_| CursorError)?;
        OffsetDateTime::from_unix_timestamp_nanos(at_ns).map_err(|_| CursorError)?;
        Ok(Self { at_ns, key: key.to_owned() })
    }
}

/// Up to `limit` entries of a list that is newest first, behind a place in it: one at least, if any is left.
#[must_use]
pub fn page(list: &[&Listed], after: Option<&Cursor>, limit: usize) -> CatalogPage {
    let from = after.map_or(0, |cursor| list.partition_point(|listed| cursor.is_behind(listed)));
    let mut page = CatalogPage { total: u64::try_from(list.len()).ok(), ..CatalogPage::default() };
    let mut bytes = 0;
    for listed in list[from..].iter().take(limit.max(1)) {
        bytes += serde_json::to_string(&listed.entry).map_or(MOST_BYTES, |text| text.len());
        if bytes > MOST_BYTES && !page.entries.is_empty() {
            break;
        }
        page.entries.push(listed.entry.clone());
    }
    let last = from + page.entries.len();
    if last < list.len() {
        page.next = last.checked_sub(1).map(|last| Cursor::behind(list[last]).to_string());
    }
    page
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use roomtone_protocol::catalog::{CatalogEntry, EntryState, MetadataState, Reach};
    use roomtone_protocol::channel::MAX_MESSAGE_BYTES;

    use super::*;

    fn listed(second: i64, key: &str, title: &str) -> Listed {
        let at = OffsetDateTime::from_unix_timestamp(second).unwrap();
        let entry = CatalogEntry {
            recording: None,
            key: key.to_owned(),
            title: Some(title.to_owned()),
            room: None,
            started_at: String::new(),
            duration_ms: None,
            channels: None,
            size: 1,
            gapless: None,
            state: EntryState::Ready,
            reach: Reach::Everyone,
            metadata: MetadataState::Good,
        };
        Listed { entry, room_id: None, name: key.to_owned(), at, modified: at }
    }

    fn sorted(mut list: Vec<Listed>) -> Vec<Listed> {
        list.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.entry.key.cmp(&b.entry.key)));
        list.dedup_by(|a, b| a.entry.key == b.entry.key && a.at == b.at);
        list
    }

    fn walk(list: &[&Listed], limit: usize) -> Vec<CatalogEntry> {
        let (mut entries, mut after) = (Vec::new(), None::<Cursor>);
        loop {
            let page = page(list, after.as_ref(), limit);
            assert!(serde_json::to_string(&page).unwrap().len() < MAX_MESSAGE_BYTES);
            assert_eq!(page.total, Some(list.len() as u64));
            entries.extend(page.entries);
            let Some(next) = page.next else { return entries };
            after = Some(next.parse().unwrap());
        }
    }

    proptest! {
        #[test]
        fn pages_put_together_are_the_list(
            list in proptest::collection::vec((0_i64..20, "[a-c/]{1,3}"), 0..60),
            limit in 0_usize..10,
        ) {
            let list = sorted(list.into_iter().map(|(second, key)| listed(second, &key, "")).collect());
            let list: Vec<&Listed> = list.iter().collect();
            let expected: Vec<CatalogEntry> = list.iter().map(|listed| listed.entry.clone()).collect();
            prop_assert_eq!(walk(&list, limit), expected);
        }

        #[test]
        fn what_comes_or_goes_between_two_pages_moves_nothing_else(
            list in proptest::collection::vec((0_i64..20, "[a-c/]{1,3}"), 2..40),
            other in (0_i64..20, "[a-c/]{1,3}"),
            gone in any::<proptest::sample::Index>(),
        ) {
            let list = sorted(list.into_iter().map(|(second, key)| listed(second, &key, "")).collect());
            let before: Vec<&Listed> = list.iter().collect();
            let first = page(&before, None, 1);
            let Some(next) = first.next else { return Ok(()) };
            let gone = gone.index(list.len());
            let mut after: Vec<Listed> = list.clone();
            after.remove(gone);
            after.push(listed(other.0, &other.1, ""));
            let after = sorted(after);
            let after: Vec<&Listed> = after.iter().collect();
            let rest = page(&after, Some(&next.parse().unwrap()), 1_000);
            for (at, kept) in list.iter().enumerate().skip(1).filter(|(at, _)| *at != gone) {
                prop_assert!(rest.entries.contains(&kept.entry), "{} of {:?}", at, rest);
            }
        }
    }

    #[test]
    fn a_page_fits_into_a_message_however_long_its_entries_are() {
        let list: Vec<Listed> =
            (0..200).map(|n| listed(n, &format!("{n}/{}", "k".repeat(1_000)), &"\"".repeat(300))).collect();
        let list = sorted(list);
        let list: Vec<&Listed> = list.iter().collect();
        assert_eq!(walk(&list, 100).len(), 200);
    }

    #[test]
    fn a_text_that_is_no_cursor_is_refused() {
        for text in ["", "5", "x/y", "99999999999999999999999999999999/k"] {
            assert_eq!(text.parse::<Cursor>(), Err(CursorError), "{text:?}");
        }
    }
}
