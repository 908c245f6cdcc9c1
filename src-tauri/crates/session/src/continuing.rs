//! Going on with what an earlier run of the recorder was in the middle of.

use std::time::Duration;

use roomtone_protocol::ClockNs;
use roomtone_protocol::channel::Answer;

use crate::current::{Current, Description};
use crate::ended::{Ended, Stage};
use crate::input::Continued;
use crate::recordings::MAX_CHANNELS;
use crate::room::Room;
use crate::texts;

impl Room {
    /// Goes on with what an earlier run of the recorder was in the middle of.
    pub(crate) fn go_on(&mut self, now: ClockNs, continued: Continued) {
        let Continued { recording, title, notes, started_by, .. } = continued;
        let mut current = Current::new(recording, described(title.as_deref(), notes.as_deref()), started_by, now);
        current.begun = continued.begun.min(now);
        current.prepared = true;
        current.recorded = continued.recorded;
        current.running_since = continued.running_since.map(|since| since.clamp(current.begun, now));
        (current.markers, current.pauses) = (continued.markers, continued.pauses);
        for (caller, id) in continued.marked {
            self.answered.keep(caller, id, Ok(Answer::Done));
        }
        for participant in continued.channels {
            if !current.channels.contains(&participant) && current.channels.len() < MAX_CHANNELS {
                current.channels.push(participant);
            }
        }
        if self.recordings.current().is_some() || self.closed {
            let (described, length) = (current.described.clone(), current.elapsed(continued.last_there.min(now)));
            let markers = current.markers;
            self.recordings.recover(Ended {
                recording,
                described,
                started_by,
                length,
                markers,
                cut_short: None,
                stage: Stage::Finalizing,
                waits: None,
                upload: None,
            });
        } else if !self.recordings.knows(recording) {
            self.shown = Duration::from_secs(current.elapsed(now).as_secs());
            self.recordings.begin(current);
            self.deserted_since = self.deserted_since.map(|_| continued.last_there.min(now));
            self.give_channels();
        }
    }
}

/// Texts of an earlier run: nobody waits for an answer, so one that cannot be shown is none.
pub(crate) fn described(title: Option<&str>, notes: Option<&str>) -> Description {
    Description { title: texts::clean_title(title).unwrap_or(None), notes: texts::clean_notes(notes).unwrap_or(None) }
}
