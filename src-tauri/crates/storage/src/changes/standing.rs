//! How it stands with a source of notifications, for whoever asks, and for those who set it up.

use futures_util::stream::{self, BoxStream, StreamExt as _};
use roomtone_protocol::{ErrorReport, code};
use tokio::sync::watch;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Seen {
    connected: bool,
    /// What is wrong with a source that somebody set up.
    trouble: Option<ErrorReport>,
}

/// As last seen.
#[derive(Debug, Default)]
pub(crate) struct Standing(watch::Sender<Seen>);

impl Standing {
    pub(crate) fn is_connected(&self) -> bool {
        self.0.borrow().connected
    }

    /// Each new trouble, as long as this is there.
    pub(crate) fn troubles(&self) -> BoxStream<'static, ErrorReport> {
        stream::unfold((self.0.subscribe(), None), |(mut seen, mut told)| async move {
            loop {
                let trouble = seen.borrow_and_update().trouble.clone();
                if let Some(trouble) = trouble.filter(|trouble| Some(trouble) != told.as_ref()) {
                    return Some((trouble.clone(), (seen, Some(trouble))));
                }
                if seen.borrow().connected {
                    told = None;
                }
                seen.changed().await.ok()?;
            }
        })
        .boxed()
    }

    pub(super) fn failed(&self, error: ErrorReport) {
        let message =
            format!("the bucket's notifications do not work, and listings are compared instead: {}", error.message);
        let trouble = ErrorReport::new(&error.code, message, error.hint);
        self.0.send_modify(|seen| *seen = Seen { connected: false, trouble: Some(trouble) });
    }

    pub(super) fn saw(&self, connected: bool, missed_something: bool) {
        let missed = || {
            let message = "a change in the bucket was not told, and listings are compared more often for an hour";
            let hint = "see that no other host reads the same queue, and that the bucket tells it of everything below the prefix";
            ErrorReport::new(code::STORAGE, message, hint)
        };
        self.0.send_if_modified(|seen| {
            let trouble = match (connected, missed_something) {
                (true, true) => Some(missed()),
                (true, false) => None,
                (false, _) => seen.trouble.clone(),
            };
            let now = Seen { connected, trouble };
            let changed = *seen != now;
            *seen = now;
            changed
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[test]
    fn a_trouble_is_told_once_until_it_is_over() {
        let standing = Standing::default();
        let mut troubles = standing.troubles();
        let mut next = || troubles.next().now_or_never().flatten().map(|trouble| trouble.message);
        assert_eq!(next(), None);
        let gone = || ErrorReport::new(code::STORAGE, "there is no queue", "make one");
        standing.failed(gone());
        assert!(next().unwrap().contains("there is no queue"));
        standing.failed(gone());
        standing.saw(false, false);
        assert_eq!(next(), None);
        standing.saw(true, false);
        assert_eq!((next(), standing.is_connected()), (None, true));
        standing.failed(gone());
        assert!(next().is_some() && !standing.is_connected());
        standing.saw(true, true);
        assert!(next().unwrap().contains("was not told"));
    }
}
