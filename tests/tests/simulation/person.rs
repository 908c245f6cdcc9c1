//! Somebody with a machine, a microphone, a network and a program that may die.

use roomtone_engine::ParticipantEnd;
use roomtone_protocol::{CommandId, ParticipantId, WakeEpoch};

use crate::clocks::{DeviceClock, MachineClock, True};
use crate::microphone::Microphone;
use crate::network::Network;
use crate::store::MemoryStore;

pub(crate) struct Person {
    pub(crate) id: ParticipantId,
    pub(crate) clock: MachineClock,
    pub(crate) device: DeviceClock,
    pub(crate) network: Network,
    pub(crate) disk: MemoryStore,
    pub(crate) epoch: u32,
    pub(crate) program: Option<Program>,
    /// The machine does nothing until then: it sleeps, or something else has all of its processors.
    pub(crate) frozen_until: True,
    /// Their clock cannot be asked for.
    pub(crate) only_heard: bool,
    /// Nobody sits there any more.
    pub(crate) gone: bool,
}

/// One run of the program.
pub(crate) struct Program {
    pub(crate) end: ParticipantEnd<MemoryStore>,
    pub(crate) microphone: Microphone,
    /// The link that this end believes in.
    pub(crate) link: Option<u32>,
    /// The tick that is due.
    pub(crate) tick: Option<True>,
    /// The microphone was closed for good.
    pub(crate) closed: bool,
    /// What comes from the device after this instant finds no room: nobody has drained what came before.
    pub(crate) full_from: Option<True>,
}

impl Person {
    pub(crate) fn start(&mut self, now: True) {
        self.epoch += 1;
        let end = ParticipantEnd::new(self.clock.at(now), self.id, self.disk.clone(), true, true);
        let microphone = Microphone::new(self.device.clone(), WakeEpoch(self.epoch));
        self.program = Some(Program { end, microphone, link: None, tick: None, closed: false, full_from: None });
    }

    pub(crate) fn link(&self) -> Option<u32> {
        self.program.as_ref().and_then(|program| program.link)
    }
}

/// An id from two numbers, for requests.
pub(crate) fn command_id(person: usize, number: u64) -> CommandId {
    CommandId::from_bytes((u128::from(person as u64 + 1) << 64 | u128::from(number)).to_be_bytes())
}
