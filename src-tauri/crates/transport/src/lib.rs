//! Participants and their recorder over the network: a place at the relay, a WebRTC connection that both ends have
//! authenticated, and over it the link that the rest of the program uses.
//!
//! | part | what |
//! |---|---|
//! | [`RecorderEndpoint`], [`ParticipantEndpoint`] | stay in the room, connect and reconnect by themselves |
//! | [`Link`] | messages, records and live packets between a member and the recorder; carries no audio to members |
//! | [`local_link`] | the same inside one program, for the host's own microphone |
//!
//! Each endpoint has one thread, with a current-thread runtime, for the relay's socket, the WebRTC drivers and the clock
//! exchange. What it knows of the library stays in `connection` and `media`.
//!
//! A link that breaks is replaced by a new connection, not by a restart of ICE: after an outage SCTP would first sit out
//! a retransmission timer that has doubled several times, while a new connection is up in a fraction of a second. For
//! the same timers' sake every datagram of the handshake and of the data channel goes twice. A recorder fetches what comes
//! in ten times a second, all links together; only what comes from members who cannot be asked for their clock is
//! fetched at once, because its arrival is all that there is to know it by.

mod addresses;
mod attention;
mod backoff;
mod bulk;
mod connection;
mod gathering;
mod hello;
mod http;
mod incoming;
mod introduce;
mod link;
mod media;
mod media_runtime;
mod messages;
mod offer_policy;
mod participant_endpoint;
mod random;
mod recorder_endpoint;
mod repeating;
mod reports;
mod runtime;
mod sdp;
mod signalling;
mod watch;
mod way;
mod wire;

use std::time::Duration;

pub use http::create_room;
pub use link::{Link, LinkEvent, LinkSender, ParticipantLink, Peer, RecorderLink, SendError, local_link};
pub use participant_endpoint::{ParticipantConfig, ParticipantEndpoint, ParticipantEvent};
pub use recorder_endpoint::{RecorderConfig, RecorderEndpoint, RecorderEvent};

/// From the offer to the verified hello. Where a fifth of all packets is lost each way it takes a second in the middle and
/// rarely five, with what `repeating` does for it; but one or two handshakes of a hundred never end. What takes longer than
/// this has failed, and a new connection is begun.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// Waits for an endpoint's task to say its goodbyes, but not for ever.
async fn ended(mut task: tokio::task::JoinHandle<()>, limit: Duration) {
    if tokio::time::timeout(limit, &mut task).await.is_err() {
        tracing::debug!("the goodbyes took too long");
        task.abort();
    }
}
