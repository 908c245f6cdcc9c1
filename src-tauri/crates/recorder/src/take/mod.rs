//! A take: the file of a recording while it grows, and again when it is repaired.
//!
//! ```text
//! JournalSnapshot --update--> plans, dirty frames, goal        cheap
//!                   step    -> a second rendered or repaired,   until it is idle
//!                              or some of a wider file copied
//! JournalSnapshot --finish--> what is left, tail, head, fsync, name
//! ```
//!
//! Frames are rendered once they are settled, so that Stop leaves a second of work. Holes are silence. Where more
//! becomes known of what is rendered, by a packet, a map or a retraction, the frames that it changes are dirty
//! ([`crate::render`] says which and why) and rendered again in place. So whatever the order of updates, steps and
//! joins, the file's bytes are those that one pass over the final journal gives; [`crate::finalize`] is that pass.
//!
//! ```text
//! take.wav.partial[.2]   growing; its head is written last
//! take.wav.state         what its frames were rendered from: another run goes on from there
//! take.wav               whole
//! ```
//!
//! An unfinished take of another build is begun anew. A finished one is never rendered again but for what a repair
//! changes, in its place ([`Take::reopen`]) or in a file of its own ([`Take::renew`]); its state names every build that
//! took part.

mod dirty;
mod file;
mod finish;
mod frontier;
mod relayout;
mod start;
mod state;
mod watch;

use std::num::NonZero;
use std::path::PathBuf;
use std::thread;

use roomtone_packets::RangeSet;
use roomtone_protocol::{ClockNs, ParticipantId, RecordingId};

use crate::finalize::FinalizeError;
use crate::journal::{JournalSnapshot, TrackNotes};
use crate::ledger::Evidence;
use crate::render::{BitDepth, FrameRange, PacketSource, Renderer, TrackPlan, interleave, replace_channel};
use crate::timeline::{FileFrame, Timeline};
use dirty::Dirty;
use file::TakeFile;
use frontier::frontier;
use relayout::Relayout;
use state::{ChannelState, State};
use watch::Watch;

pub use watch::FileWatch;

/// Frames that one step renders, 1 s: 340 KB a channel. Decoders go on from block to block, so small ones cost nothing.
const BLOCK_FRAMES: u64 = 48_000;

/// Frames after which a state is saved, 30 s: what another run renders again at most.
const SAVE_FRAMES: u64 = 30 * 48_000;

/// Which take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakeSettings {
    /// The file that it becomes.
    pub out: PathBuf,
    /// How samples stand in it.
    pub depth: BitDepth,
    /// Of which recording.
    pub recording: RecordingId,
}

/// Until where a take may be rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Horizon {
    /// The recording runs, or more of it is still expected.
    Running {
        /// The recorder's clock.
        now: ClockNs,
    },
    /// Nothing more is expected: what is missing stays silent.
    Over {
        /// Where a recording ends that nobody stopped.
        open_end: Option<ClockNs>,
    },
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Some work; there may be more.
    Worked,
    /// There is nothing to do until the next update.
    Idle,
}

/// A recording's file as far as it is rendered. After an error it cannot go on: [`Take::discard`] it, and begin anew.
#[derive(Debug)]
pub struct Take {
    settings: TakeSettings,
    renderer: Renderer<'static>,
    timeline: Timeline,
    /// In order of channels.
    layout: Vec<ParticipantId>,
    dirty: Vec<Dirty>,
    /// Frames in the file.
    rendered: u64,
    /// Frames that may be.
    goal: u64,
    over: bool,
    file: TakeFile,
    relayout: Option<Relayout>,
    watch: Watch,
    saved: Option<Saved>,
    /// Builds that rendered any of it.
    epochs: Vec<String>,
    /// Whether the finished file replaces an earlier version.
    replaces: bool,
    planar: Vec<Vec<f32>>,
    bytes: Vec<u8>,
}

/// What the state on the disk promises.
#[derive(Debug, Clone, Copy)]
struct Saved {
    frames: u64,
    /// It lists every frame that is dirty now.
    lists_dirty: bool,
}

impl Take {
    /// Takes in what is known by now. `layout` names the channels in order; it only ever grows at its end, else the take
    /// is begun anew.
    ///
    /// # Errors
    /// See [`FinalizeError`].
    pub fn update(
        &mut self,
        snapshot: &JournalSnapshot,
        layout: &[ParticipantId],
        horizon: &Horizon,
    ) -> Result<(), FinalizeError> {
        let end = match horizon {
            Horizon::Running { now } => Some(*now),
            Horizon::Over { open_end } => *open_end,
        };
        let timeline = Timeline::new(&snapshot.notes().intervals, end);
        if !layout.starts_with(&self.layout) {
            self.begin_anew()?;
        }
        for &participant in &layout[self.layout.len()..] {
            self.renderer.push_channel(TrackPlan::default(), None)?;
            self.layout.push(participant);
            self.dirty.push(Dirty::default());
        }
        // A pause or a stop may be learned late.
        let agreed = self.timeline.agrees_until(&timeline).0;
        if agreed < self.rendered {
            self.rendered = agreed;
            self.relayout = None;
            self.file.cut(agreed);
        }
        self.renderer.set_timeline(timeline.clone());
        self.timeline = timeline;
        for number in 0..self.layout.len() {
            self.update_channel(snapshot, number)?;
        }
        self.over = matches!(horizon, Horizon::Over { .. });
        self.goal = self.goal(snapshot, horizon).clamp(self.rendered, self.timeline.frames().max(self.rendered));
        Ok(())
    }

    fn update_channel(&mut self, snapshot: &JournalSnapshot, number: usize) -> Result<(), FinalizeError> {
        let participant = self.layout[number];
        let coverage = snapshot.coverage(participant);
        let plan = snapshot.track(participant).map(|notes| TrackPlan::new(notes, coverage)).unwrap_or_default();
        let source = snapshot.packets(participant)?.map(|packets| Box::new(packets) as Box<dyn PacketSource>);
        let changed = self.renderer.update_channel(number, plan, source);
        let changed = self.rendered_of(&changed);
        if let Some(saved) = &mut self.saved
            && !changed.is_empty()
        {
            saved.lists_dirty = false;
        }
        self.dirty[number].cut(self.rendered);
        self.dirty[number].update(changed);
        Ok(())
    }

    /// The rendered file frames that show any of some timeline frames.
    fn rendered_of(&self, changed: &[FrameRange]) -> RangeSet {
        let mut frames = RangeSet::default();
        for &(from, to) in changed {
            for (from, to) in self.timeline.project(from, to) {
                frames.insert(from, to.min(self.rendered));
            }
        }
        frames
    }

    fn goal(&self, snapshot: &JournalSnapshot, horizon: &Horizon) -> u64 {
        let Horizon::Running { now } = horizon else { return self.timeline.frames() };
        let Some(from) = self.timeline.to_timeline(FileFrame(self.rendered)) else { return self.rendered };
        let nothing = TrackNotes::default();
        let frontiers = self.layout.iter().map(|participant| {
            let evidence = Evidence {
                timeline: &self.timeline,
                notes: snapshot.track(*participant).unwrap_or(&nothing),
                coverage: snapshot.coverage(*participant),
                left: snapshot.notes().left.get(participant).map_or(&[][..], Vec::as_slice),
            };
            frontier(&evidence, from, *now)
        });
        frontiers.min().map_or(self.rendered, |frontier| self.timeline.to_file_or_next(frontier).0)
    }

    /// Does one piece of work, some milliseconds a channel: widens the file, else renders on, else repairs.
    ///
    /// # Errors
    /// See [`FinalizeError`].
    pub fn step(&mut self) -> Result<Step, FinalizeError> {
        let step = self.advance()?;
        self.tell();
        Ok(step)
    }

    fn advance(&mut self) -> Result<Step, FinalizeError> {
        let due = self.due();
        let behind = self.rendered < self.goal;
        let mut other_layout = self.file.channels != self.layout.len();
        if other_layout && self.rendered == 0 && !self.file.whole {
            // There is nothing to copy.
            let path = self.file.path().to_owned();
            self.file = TakeFile::create(path, self.layout.len(), self.settings.depth.bytes())?;
            self.watch.another_file();
            other_layout = false;
        }
        if other_layout || (self.file.whole && (behind || due.is_some())) {
            self.copy()?;
        } else if behind {
            self.render_on()?;
        } else if let Some((channel, from, to)) = due {
            self.repair(channel, from, to)?;
        } else {
            return Ok(Step::Idle);
        }
        Ok(Step::Worked)
    }

    fn due(&self) -> Option<(usize, u64, u64)> {
        let due = |(channel, dirty): (usize, &Dirty)| dirty.due(self.over).map(|(from, to)| (channel, from, to));
        self.dirty.iter().enumerate().find_map(due)
    }

    fn copy(&mut self) -> Result<(), FinalizeError> {
        let (channels, sample_bytes) = (self.layout.len(), self.settings.depth.bytes());
        if self.relayout.as_ref().is_none_or(|relayout| relayout.file().channels != channels) {
            let path = file::partial(&self.settings.out, Some(self.file.path()));
            self.relayout = Some(Relayout::new(TakeFile::create(path, channels, sample_bytes)?));
        }
        let Some(relayout) = &mut self.relayout else { return Ok(()) };
        if relayout.step(&mut self.file, self.rendered, sample_bytes)?
            && let Some(relayout) = self.relayout.take()
        {
            let old = std::mem::replace(&mut self.file, relayout.into_file());
            self.watch.another_file();
            if self.saved.is_some() || old.whole {
                self.save()?;
            }
            if !old.whole {
                file::remove(old.path());
            }
        }
        Ok(())
    }

    fn render_on(&mut self) -> Result<(), FinalizeError> {
        let (from, to) = (self.rendered, self.goal.min(self.rendered + BLOCK_FRAMES));
        if self.saved.is_some_and(|saved| saved.frames > from) {
            self.save()?;
        }
        // While it is recorded, the machine has a call to carry; at the end somebody waits.
        let threads = if self.over { thread::available_parallelism().map_or(1, NonZero::get) } else { 1 };
        self.renderer.render_planar(FileFrame(from), FileFrame(to), threads, &mut self.planar)?;
        let samples: usize = self.planar.iter().map(Vec::len).sum();
        self.bytes.resize(samples * self.settings.depth.bytes(), 0);
        interleave(&self.planar, self.settings.depth, &mut self.bytes);
        self.file.write(from, &self.bytes)?;
        self.rendered = to;
        if to - self.saved.map_or(0, |saved| saved.frames) >= SAVE_FRAMES {
            self.save()?;
        }
        Ok(())
    }

    fn repair(&mut self, channel: usize, from: u64, to: u64) -> Result<(), FinalizeError> {
        let to = to.min(from + BLOCK_FRAMES);
        if self.saved.is_some_and(|saved| from < saved.frames && !saved.lists_dirty) {
            self.save()?;
        }
        let channels = self.layout.len();
        self.planar.resize_with(channels, Vec::new);
        let samples = &mut self.planar[channel];
        self.renderer.render_channel(channel, FileFrame(from), FileFrame(to), samples)?;
        self.bytes.resize(samples.len() * channels * self.settings.depth.bytes(), 0);
        self.file.read(from, &mut self.bytes)?;
        replace_channel(samples, self.settings.depth, channel, channels, &mut self.bytes);
        self.file.write(from, &self.bytes)?;
        self.dirty[channel].done(from, to);
        Ok(())
    }

    /// Lets another run go on from here.
    fn save(&mut self) -> Result<(), FinalizeError> {
        self.file.sync()?;
        let in_file = self.layout.iter().zip(&self.dirty).enumerate().take(self.file.channels);
        let channels = in_file.map(|(number, (&participant, dirty))| {
            ChannelState::new(participant, self.renderer.plan(number), dirty.pending())
        });
        let TakeSettings { out, depth, recording } = &self.settings;
        let content = (&self.timeline, self.rendered);
        let state = State::new(*recording, *depth, self.file.path(), content, &self.epochs, channels.collect());
        state.save(out).map_err(FinalizeError::io(out))?;
        self.saved = Some(Saved { frames: self.rendered, lists_dirty: true });
        Ok(())
    }

    /// Frames in the file.
    #[must_use]
    pub fn rendered_frames(&self) -> u64 {
        self.rendered
    }

    /// Bytes of the samples in the file.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.rendered * (self.file.channels * self.settings.depth.bytes()) as u64
    }

    /// Frames, counted for each channel, that are to be rendered again. Of a reopened take without any, and without
    /// frames to come, there is no new version to make.
    #[must_use]
    pub fn dirty_frames(&self) -> u64 {
        self.dirty.iter().map(Dirty::frames).sum()
    }

    /// Frames that may be rendered by now and are not.
    #[must_use]
    pub fn frames_behind(&self) -> u64 {
        self.goal - self.rendered
    }
}
