//! Markers, titles and notes.

use roomtone_protocol::{ClockNs, CommandId, ErrorReport, RecordingId};

use crate::failures;
use crate::input::Caller;
use crate::output::Output;
use crate::room::Room;
use crate::texts;

/// Most markers of one recording: one a minute for most of a day. All of them stand in the file's header region.
pub const MAX_MARKERS: u32 = 1_000;

impl Room {
    /// Whoever is in the room may, observers and passing visitors too. It means "now", whatever the caller saw.
    pub(crate) fn mark(&mut self, now: ClockNs, caller: Caller, id: CommandId, text: &str) -> Result<(), ErrorReport> {
        let member = self.people.is_in(caller.participant);
        if !member && !caller.passing {
            return Err(failures::not_in_the_room());
        }
        let text = texts::clean_marker(text)?;
        let current = self.recordings.current_mut().ok_or_else(failures::not_recording)?;
        if current.markers >= MAX_MARKERS {
            return Err(failures::too_many("markers", "write it into the notes"));
        }
        current.markers += 1;
        let recording = current.recording;
        let by = member.then_some(caller.participant);
        self.outputs.push_back(Output::Mark { recording, at: now, text, by, asked: (caller.participant, id) });
        Ok(())
    }

    /// Changes what is given: None leaves a text as it is, an empty one takes it away.
    pub(crate) fn describe(
        &mut self,
        caller: Caller,
        based_on: Option<(u32, u64)>,
        named: Option<RecordingId>,
        title: Option<&str>,
        notes: Option<&str>,
    ) -> Result<(), ErrorReport> {
        self.check_may_record(caller)?;
        let new_title = texts::clean_title(title)?;
        let new_notes = texts::clean_notes(notes)?;
        let recording = if let Some(named) = named {
            named
        } else {
            self.check_seen(based_on)?;
            self.recordings.current_id().ok_or_else(failures::not_recording)?
        };
        let described = self.recordings.describable(recording)?;
        let before = described.clone();
        if title.is_some() {
            described.title = new_title;
        }
        if notes.is_some() {
            described.notes = new_notes;
        }
        let after = described.clone();
        if after != before {
            self.outputs.push_back(Output::Described { recording, title: after.title, notes: after.notes });
        }
        Ok(())
    }
}
