//! Which recording was current in which state: what somebody saw when they gave a command.

use std::collections::VecDeque;

use roomtone_protocol::RecordingId;

/// Changes of the current recording that are remembered. Somebody whose state is older than so many recordings looks
/// again before deciding.
const MAX_CHANGES: usize = 256;

/// The changes of the current recording within this epoch.
#[derive(Debug, Clone)]
pub(crate) struct History {
    epoch: u32,
    /// From this sequence on that recording was current. In order, and never empty.
    changes: VecDeque<(u64, Option<RecordingId>)>,
}

impl History {
    pub(crate) fn new(epoch: u32) -> Self {
        Self { epoch, changes: VecDeque::from([(0, None)]) }
    }

    /// From the state `sequence` on, `current` is the current recording.
    pub(crate) fn note(&mut self, sequence: u64, current: Option<RecordingId>) {
        if self.changes.back().is_some_and(|&(_, last)| last == current) {
            return;
        }
        if self.changes.len() >= MAX_CHANGES {
            self.changes.pop_front();
        }
        self.changes.push_back((sequence, current));
    }

    /// The current recording of a state; None if that state is too old, or of another run of the recorder.
    pub(crate) fn current_in(&self, (epoch, sequence): (u32, u64)) -> Option<Option<RecordingId>> {
        if epoch != self.epoch {
            return None;
        }
        self.changes.iter().rev().find(|&&(from, _)| from <= sequence).map(|&(_, current)| current)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_knows_its_recording_until_it_is_too_old() {
        let id = |n: u64| RecordingId::from_bytes(u128::from(n).to_be_bytes());
        let mut history = History::new(3);
        history.note(4, Some(id(4)));
        history.note(6, Some(id(4)));
        history.note(7, None);
        let seen = |history: &History, sequence| history.current_in((3, sequence));
        assert_eq!(seen(&history, 3), Some(None));
        assert_eq!(seen(&history, 4), Some(Some(id(4))));
        assert_eq!(seen(&history, 6), Some(Some(id(4))));
        assert_eq!(seen(&history, 7), Some(None));
        assert_eq!(history.current_in((2, 4)), None);
        for n in 8..1_000 {
            history.note(n, Some(id(n)));
        }
        assert_eq!(history.changes.len(), MAX_CHANGES);
        assert_eq!(seen(&history, 7), None);
        assert_eq!(seen(&history, 999), Some(Some(id(999))));
    }
}
