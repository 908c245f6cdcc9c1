//! What was answered to which command, so that a repeated delivery repeats the answer and does nothing.

use std::collections::{BTreeMap, VecDeque};

use roomtone_protocol::channel::Answer;
use roomtone_protocol::{CommandId, ErrorReport, ParticipantId};

/// Answers kept in all. A command is repeated within seconds, after its link broke; at a few commands a second from
/// everyone this still reaches back minutes.
const MAX_ANSWERS: usize = 512;

/// Answers kept for one caller, so that a script that floods the room displaces its own first.
const MAX_ANSWERS_EACH: usize = 32;

type Key = (ParticipantId, CommandId);

/// The newest answers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answered {
    results: BTreeMap<Key, Result<Answer, ErrorReport>>,
    /// The keys of `results`, oldest first.
    order: VecDeque<Key>,
}

impl Answered {
    /// The answer that the caller got to this command. Ids of two callers have nothing to do with each other.
    pub(crate) fn get(&self, caller: ParticipantId, id: CommandId) -> Option<&Result<Answer, ErrorReport>> {
        self.results.get(&(caller, id))
    }

    /// Keeps an answer that [`Answered::get`] did not know.
    pub(crate) fn keep(&mut self, caller: ParticipantId, id: CommandId, result: Result<Answer, ErrorReport>) {
        if self.order.iter().filter(|key| key.0 == caller).count() >= MAX_ANSWERS_EACH {
            self.forget_oldest(|key| key.0 == caller);
        } else if self.order.len() >= MAX_ANSWERS {
            self.forget_oldest(|_| true);
        }
        self.results.insert((caller, id), result);
        self.order.push_back((caller, id));
    }

    fn forget_oldest(&mut self, matches: impl Fn(&Key) -> bool) {
        if let Some(key) = self.order.iter().position(matches).and_then(|at| self.order.remove(at)) {
            self.results.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(n: u16) -> ParticipantId {
        let [high, low] = n.to_be_bytes();
        ParticipantId::from_bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, high, low])
    }

    fn command(n: u8) -> CommandId {
        CommandId::from_bytes([n; 16])
    }

    #[test]
    fn an_answer_belongs_to_its_caller() {
        let mut answered = Answered::default();
        answered.keep(caller(1), command(1), Ok(Answer::Done));
        assert_eq!(answered.get(caller(1), command(1)), Some(&Ok(Answer::Done)));
        assert_eq!(answered.get(caller(2), command(1)), None);
    }

    #[test]
    fn a_flood_displaces_its_own_answers_only() {
        let mut answered = Answered::default();
        answered.keep(caller(1), command(1), Ok(Answer::Done));
        for n in 0..=u8::MAX {
            answered.keep(caller(2), command(n), Ok(Answer::Done));
        }
        assert!(answered.get(caller(1), command(1)).is_some());
        assert!(answered.get(caller(2), command(u8::MAX)).is_some());
        assert!(answered.get(caller(2), command(0)).is_none());
        assert_eq!(answered.order.len(), MAX_ANSWERS_EACH + 1);
    }

    #[test]
    fn many_callers_displace_the_oldest() {
        let mut answered = Answered::default();
        for n in 0..2_000 {
            answered.keep(caller(n), command(0), Ok(Answer::Done));
        }
        assert_eq!((answered.order.len(), answered.results.len()), (MAX_ANSWERS, MAX_ANSWERS));
        assert!(answered.get(caller(1_999), command(0)).is_some());
        assert!(answered.get(caller(0), command(0)).is_none());
    }
}
