//! The way between one participant and the recorder: packets are lost, late, doubled and overtaken; messages only late.
//! Packets that were asked for are like live ones, and what is too many of them is lost.

use crate::clocks::{MS, SECOND, True};
use crate::random::Random;

/// How long a lost piece of the reliable channel takes to be sent again, at least.
const RESEND_NS: i64 = 200 * MS;

/// Packets that wait longer than this before the narrowest place of the way are dropped there.
const QUEUE_NS: i64 = 300 * MS;

/// Without a packet for this long the way has come out of a bad stretch.
const BAD_NS: i64 = SECOND;

/// One direction.
#[derive(Debug, Clone)]
struct Way {
    delay_ns: f64,
    jitter_ns: f64,
    loss: f64,
    /// Chances of falling into a bad stretch and of coming out of it, at each packet.
    burst: (f64, f64),
    bad: bool,
    /// When the last packet went: a bad stretch that nobody tries ends as well.
    tried: True,
    doubles: f64,
    /// When the last message arrives: the channel keeps their order.
    messages_until: True,
    /// The same of records, which go when the messages leave them room.
    bulk_until: True,
}

/// Both directions, and when there is nothing at all.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    up: Way,
    down: Way,
    /// Bytes a second that are left for records.
    rate: f64,
    outages: Vec<(True, True)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Towards the recorder.
    Up,
    Down,
}

impl Network {
    pub(crate) fn any(random: &mut Random) -> Self {
        let good = random.chance(0.3);
        let symmetric = random.chance(0.5);
        let up = Way::any(random, good);
        let mut down = Way::any(random, good);
        if symmetric {
            down.delay_ns = up.delay_ns;
            down.jitter_ns = up.jitter_ns;
        }
        Self { up, down, rate: random.between(60e3, 600e3), outages: Vec::new() }
    }

    /// A steady line that loses this much of everything each way, each by its own chance, with a round trip of 50 ms and
    /// an upload of 2 Mb/s.
    pub(crate) fn lossy(loss: f64) -> Self {
        let mut network = Self::none();
        for way in [&mut network.up, &mut network.down] {
            (way.delay_ns, way.loss) = (25e6, loss);
        }
        network.rate = 250e3;
        network
    }

    /// The same, and everything waits for this long on average, either way.
    pub(crate) fn restless(self, jitter_ns: f64) -> Self {
        let Self { up, down, .. } = self;
        Self { up: Way { jitter_ns, ..up }, down: Way { jitter_ns, ..down }, ..self }
    }

    /// The way inside one program.
    pub(crate) fn none() -> Self {
        let way = Way {
            delay_ns: 0.0,
            jitter_ns: 0.0,
            loss: 0.0,
            burst: (0.0, 1.0),
            bad: false,
            tried: True(0),
            doubles: 0.0,
            messages_until: True(0),
            bulk_until: True(0),
        };
        Self { up: way.clone(), down: way, rate: 1e9, outages: Vec::new() }
    }

    pub(crate) fn add_outage(&mut self, from: True, to: True) {
        self.outages.push((from, to));
    }

    /// The end of the outage that covers `at`, if one does.
    pub(crate) fn outage_at(&self, at: True) -> Option<True> {
        self.outages.iter().filter(|(from, to)| *from <= at && at < *to).map(|&(_, to)| to).max()
    }

    /// The end of the last outage that touches this span.
    pub(crate) fn outage_within(&self, from: True, to: True) -> bool {
        self.outages.iter().any(|outage| outage.0 < to && from < outage.1)
    }

    /// Whether both directions are the same, and packets hardly wait: clocks can be compared to the millisecond.
    pub(crate) fn is_calm(&self) -> bool {
        let jitter = self.up.jitter_ns.max(self.down.jitter_ns);
        self.up.delay_ns == self.down.delay_ns && jitter < 1e6 && self.up.loss.max(self.down.loss) < 0.02
    }

    /// When the copies of a live packet arrive; none if it is lost.
    pub(crate) fn media(&mut self, random: &mut Random, sent: True) -> Vec<True> {
        let outage = self.outage_at(sent).is_some();
        let way = &mut self.up;
        way.bad &= sent.0 - way.tried.0 < BAD_NS;
        way.tried = sent;
        let turn = if way.bad { way.burst.1 } else { way.burst.0 };
        if random.chance(turn) {
            way.bad = !way.bad;
        }
        let copies = if random.chance(way.doubles) { 2 } else { 1 };
        if outage || way.bad || random.chance(way.loss) {
            return Vec::new();
        }
        let arrivals = (0..copies).map(|_| sent.plus(way.latency(random)));
        arrivals.filter(|&at| self.outages.iter().all(|(from, to)| at < *from || at >= *to)).collect()
    }

    /// What a check of the connection takes there and back, in nanoseconds.
    pub(crate) fn round_trip(&self, random: &mut Random) -> u64 {
        (self.up.latency(random) + self.down.latency(random)).unsigned_abs()
    }

    /// When a message of the reliable channel arrives.
    pub(crate) fn message(&mut self, random: &mut Random, direction: Direction, sent: True) -> True {
        let arrives = self.reliable(random, direction, sent);
        let way = self.way(direction);
        way.messages_until = way.messages_until.max(arrives).plus(1);
        way.messages_until
    }

    /// When the copies of a packet that was asked for arrive: behind the ones before it.
    pub(crate) fn asked_for(&mut self, random: &mut Random, sent: True, bytes: usize) -> Vec<True> {
        let waits = self.up.bulk_until.max(sent).0 - sent.0;
        if waits > QUEUE_NS {
            return Vec::new();
        }
        self.up.bulk_until = sent.plus(waits + (bytes as f64 / self.rate * 1e9) as i64);
        self.media(random, sent).into_iter().map(|at| at.plus(waits)).collect()
    }

    /// When records arrive.
    pub(crate) fn bulk(&mut self, random: &mut Random, sent: True, bytes: usize) -> True {
        let arrives = self.reliable(random, Direction::Up, sent);
        let takes = (bytes as f64 / self.rate * 1e9) as i64;
        self.up.bulk_until = self.up.bulk_until.max(arrives).plus(takes + 1);
        self.up.bulk_until
    }

    /// A new connection begins with empty queues.
    pub(crate) fn reconnected(&mut self) {
        for way in [&mut self.up, &mut self.down] {
            way.messages_until = True(0);
            way.bulk_until = True(0);
        }
    }

    fn reliable(&mut self, random: &mut Random, direction: Direction, sent: True) -> True {
        let way = self.way(direction);
        let mut at = sent;
        let mut resend = RESEND_NS;
        while way.bad && random.chance(0.5) || random.chance(way.loss) {
            at = at.plus(resend);
            resend = (resend * 2).min(3 * SECOND);
        }
        at = at.plus(way.latency(random));
        match self.outage_at(at).or_else(|| self.outage_at(sent)) {
            Some(over) => over.max(at).plus((random.between(0.1, 1.0) * 1e9) as i64),
            None => at,
        }
    }

    fn way(&mut self, direction: Direction) -> &mut Way {
        match direction {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        }
    }
}

impl Way {
    fn any(random: &mut Random, good: bool) -> Self {
        let worst = if good { 0.02 } else { 0.2 };
        Self {
            delay_ns: random.between(1e6, 120e6),
            jitter_ns: random.between(0.1e6, if good { 3e6 } else { 40e6 }),
            loss: random.between(0.0, worst),
            burst: if good { (0.0, 1.0) } else { (random.between(0.0, 0.01), random.between(0.05, 0.5)) },
            bad: false,
            tried: True(0),
            doubles: random.between(0.0, 0.03),
            messages_until: True(0),
            bulk_until: True(0),
        }
    }

    fn latency(&self, random: &mut Random) -> i64 {
        let jitter = if self.jitter_ns > 0.0 { random.exponential(self.jitter_ns) } else { 0.0 };
        (self.delay_ns + jitter) as i64
    }
}
