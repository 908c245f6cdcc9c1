//! How a take begins: afresh, with what another run left, or with the finished file that is to be repaired.

use std::fs;
use std::path::Path;

use super::dirty::Dirty;
use super::file::{TakeFile, beside, partial, remove};
use super::state::State;
use super::watch::Watch;
use super::{Saved, Take, TakeSettings};
use crate::finalize::FinalizeError;
use crate::render::{Renderer, epoch};
use crate::timeline::Timeline;

impl Take {
    /// Begins a take, or goes on with one that was interrupted.
    ///
    /// # Errors
    /// [`FinalizeError::Exists`] if the file is finished: see [`Take::reopen`]; else what the system said.
    pub fn open(settings: TakeSettings) -> Result<Self, FinalizeError> {
        let out = &settings.out;
        if out.try_exists().map_err(FinalizeError::io(out))? {
            return Err(FinalizeError::Exists { path: out.clone() });
        }
        let state = State::load(out, settings.recording, settings.depth).filter(State::is_of_this_build);
        let out = out.clone();
        Self::start(settings, &out, state, false)
    }

    /// Begins a take with nothing of what another run left. A file that is finished stays until this one replaces it.
    ///
    /// # Errors
    /// What the system said.
    pub fn anew(settings: TakeSettings) -> Result<Self, FinalizeError> {
        let out = settings.out.clone();
        Self::start(settings, &out, None, true)
    }

    /// Takes a finished file up again: what changed since becomes dirty, and [`Take::finish`] puts a new version in its
    /// place. Until then the old one stays as it is; it is copied before the first change.
    ///
    /// # Errors
    /// See [`FinalizeError`].
    pub fn reopen(settings: TakeSettings) -> Result<Self, FinalizeError> {
        let out = settings.out.clone();
        let state = State::load(&out, settings.recording, settings.depth);
        Self::start(settings, &out, state, true)
    }

    /// Takes a finished file up again, and leaves it as it is for good: [`Take::finish`] puts the new version beside it,
    /// in the same folder. What an interrupted run left of that is gone.
    ///
    /// # Errors
    /// [`FinalizeError::Exists`] if the new version is there already; else what the system said.
    pub fn renew(settings: TakeSettings, before: &Path) -> Result<Self, FinalizeError> {
        let out = &settings.out;
        if out.try_exists().map_err(FinalizeError::io(out))? {
            return Err(FinalizeError::Exists { path: out.clone() });
        }
        remove(&beside(out, ".state"));
        let state = State::load(before, settings.recording, settings.depth);
        let state = state.filter(|state| before.with_file_name(&state.file) == before);
        Self::start(settings, before, state, false)
    }

    /// Goes on with what the state of a finished file at `known` says, or of one that was to be finished there.
    fn start(
        settings: TakeSettings,
        known: &Path,
        state: Option<State>,
        replaces: bool,
    ) -> Result<Self, FinalizeError> {
        let found = state.and_then(|state| {
            let path = known.with_file_name(&state.file);
            let whole = path == known;
            let sample_bytes = settings.depth.bytes();
            let file = TakeFile::open(path, state.channels.len(), sample_bytes, state.frames, whole)?;
            Some((state, file))
        });
        let Some((state, file)) = found else {
            // It says nothing about the file that begins here.
            remove(&beside(&settings.out, ".state"));
            sweep(&settings.out, None);
            let path = partial(&settings.out, None);
            let file = TakeFile::create(path, 0, settings.depth.bytes())?;
            return Ok(Self::with(settings, file, replaces));
        };
        sweep(&settings.out, Some(file.path()));
        let mut take = Self::with(settings, file, replaces);
        take.timeline = state.timeline();
        take.rendered = state.frames;
        take.goal = state.frames;
        take.epochs = state.epochs();
        take.saved = Some(Saved { frames: state.frames, lists_dirty: true });
        for channel in &state.channels {
            take.renderer.push_channel(channel.plan(), None)?;
            take.layout.push(channel.participant);
            take.dirty.push(Dirty::restored(channel.dirty()));
        }
        Ok(take)
    }

    fn with(settings: TakeSettings, file: TakeFile, replaces: bool) -> Self {
        Self {
            settings,
            renderer: Renderer::new(Timeline::default()),
            timeline: Timeline::default(),
            layout: Vec::new(),
            dirty: Vec::new(),
            rendered: 0,
            goal: 0,
            over: false,
            file,
            relayout: None,
            watch: Watch::default(),
            saved: None,
            epochs: vec![epoch()],
            replaces,
            planar: Vec::new(),
            bytes: Vec::new(),
        }
    }

    /// Nothing of what is rendered can be used.
    pub(super) fn begin_anew(&mut self) -> Result<(), FinalizeError> {
        let settings = self.settings.clone();
        remove(&beside(&settings.out, ".state"));
        sweep(&settings.out, None);
        let file = TakeFile::create(partial(&settings.out, None), 0, settings.depth.bytes())?;
        let watch = std::mem::take(&mut self.watch);
        *self = Self { watch, ..Self::with(settings, file, self.replaces) };
        self.watch.another_file();
        Ok(())
    }

    /// Removes what is rendered; a finished file stays.
    pub fn discard(self) {
        if !self.file.whole {
            remove(&beside(&self.settings.out, ".state"));
        }
        sweep(&self.settings.out, None);
    }
}

/// Removes unfinished files of a take but for one.
fn sweep(out: &Path, but_for: Option<&Path>) {
    let Some(stem) = beside(out, ".partial").file_name().map(|name| name.to_string_lossy().into_owned()) else {
        return;
    };
    let Some(entries) = out.parent().and_then(|dir| fs::read_dir(dir).ok()) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let ours = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&stem));
        if ours && Some(path.as_path()) != but_for {
            remove(&path);
        }
    }
}
