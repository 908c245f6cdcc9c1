//! Recording that begins by itself when enough people are there.

/// When a recording is to begin by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AutoRecord {
    /// So many present participants with microphones; None: never.
    people: Option<u32>,
    /// None has ended since there were fewer: somebody who presses Stop in a full room means it.
    armed: bool,
    /// The driver was asked, and nothing has changed since.
    asked: bool,
}

impl AutoRecord {
    /// A room of zero people that records itself would never stop: 0 means never, too.
    pub(crate) fn new(people: Option<u32>) -> Self {
        Self { people: people.filter(|&people| people > 0), armed: true, asked: false }
    }

    /// How many people it takes.
    pub(crate) fn people(&self) -> Option<u32> {
        self.people
    }

    /// A recording ended.
    pub(crate) fn ended(&mut self) {
        self.armed = false;
    }

    /// With so many there, and nothing in the way: is it time to begin?
    pub(crate) fn wants(&self, there: usize, may: bool) -> bool {
        self.armed && may && self.enough(there)
    }

    /// So many are there now. Whether the driver is to be asked for a recording's id.
    pub(crate) fn settle(&mut self, there: usize, may: bool) -> bool {
        self.armed |= self.people.is_some() && !self.enough(there);
        let wants = self.wants(there, may);
        let ask = wants && !self.asked;
        self.asked = wants;
        ask
    }

    /// The driver answered.
    pub(crate) fn answered(&mut self) {
        self.asked = false;
    }

    fn enough(&self, there: usize) -> bool {
        self.people.is_some_and(|people| there >= people as usize)
    }
}
