//! The end of a take: what is left to render, what stands around the samples, its name.

use roomtone_protocol::ParticipantId;

use super::{Horizon, Step, Take};
use crate::finalize::{FinalizeError, FinalizeOptions, Finished, Progress, report};
use crate::journal::JournalSnapshot;

impl Take {
    /// Does all that is left to do, writes what stands around the samples, makes the file durable and gives it its name.
    /// Its metadata has no hashes yet: [`Finished::hash`] reads the file once more.
    ///
    /// # Errors
    /// See [`FinalizeError`]; what was rendered is discarded then, and nothing is left under the file's name.
    pub fn finish(
        mut self,
        snapshot: &JournalSnapshot,
        mut options: FinalizeOptions<'_>,
    ) -> Result<Finished, FinalizeError> {
        let finished = self.complete(snapshot, &mut options);
        if finished.is_err() {
            self.discard();
        }
        finished
    }

    fn complete(
        &mut self,
        snapshot: &JournalSnapshot,
        options: &mut FinalizeOptions<'_>,
    ) -> Result<Finished, FinalizeError> {
        let layout: Vec<ParticipantId> = options.channels.iter().map(|channel| channel.participant).collect();
        self.update(snapshot, &layout, &Horizon::Over { open_end: options.open_end })?;
        if layout.is_empty() || self.timeline.frames() == 0 {
            return Err(FinalizeError::Empty);
        }
        while self.step()? == Step::Worked {
            if let Some(on_progress) = &mut options.on_progress
                && on_progress(Progress { frames: self.rendered, of: self.timeline.frames() }).is_break()
            {
                return Err(FinalizeError::Cancelled);
            }
        }
        let (wav, markers) = report::wav_frame(snapshot, &self.timeline, self.settings.depth, options);
        let unchanged = self.file.whole && self.file.is_framed_by(&wav)?;
        if !(unchanged && self.file.path() == self.settings.out) {
            if !(unchanged && self.file.is_also(&self.settings.out)?) {
                while self.file.whole {
                    self.copy()?;
                }
                self.file.finish(&wav, &self.settings.out, self.replaces)?;
            }
            if let Err(error) = self.save() {
                tracing::warn!(%error, "the state of a finished take is not kept; a repair would render all of it");
            }
        }
        let metadata = report::metadata(snapshot, &self.timeline, self.settings.depth, options, markers, &wav);
        let path = self.settings.out.clone();
        self.watch.whole(&mut self.file, &path, wav.file_bytes());
        Ok(Finished { frames: self.timeline.frames(), size: wav.file_bytes(), metadata, path })
    }
}
