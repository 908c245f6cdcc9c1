//! The way between both ends of a connection, as its own checks measure it.

use std::sync::Arc;
use std::time::Duration;

use webrtc::peer_connection::{PeerConnection, StatsSelector};

/// The way that a connection takes.
pub(crate) struct Way(Arc<dyn PeerConnection>);

impl Way {
    pub(crate) fn new(library: Arc<dyn PeerConnection>) -> Self {
        Self(library)
    }

    /// What the newest check took there and back (RFC 8445, section 7); None before one was answered.
    pub(crate) async fn round_trip(&self) -> Option<Duration> {
        let now = webrtc::runtime::default_runtime()?.now();
        let checks = self.0.get_stats(now, StatsSelector::None).await;
        let pairs = checks.candidate_pairs().filter(|pair| pair.nominated).map(|pair| pair.current_round_trip_time);
        pairs.filter(|took| *took > 0.0).min_by(f64::total_cmp).and_then(|took| Duration::try_from_secs_f64(took).ok())
    }
}
