//! The body of a request as it goes: no faster than it may, and watched, so that a request that stands still is told
//! from one that is slow.

use std::convert::Infallible;
use std::num::NonZero;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use roomtone_clock::now;
use roomtone_protocol::ClockNs;
use tokio::time::{Sleep, sleep};

use super::throttle::Throttle;
use crate::{BucketError, Progress};

/// How long nothing of a body may move before it counts as broken off: a minute at 16 KiB a second is what sockets and
/// the HTTP client hold of it, an hour of silence would be nobody.
const STANDSTILL: Duration = Duration::from_secs(60);

/// The slowest link that an upload is expected to get through, in bytes a second. Below it, no answer counts as none.
const SLOWEST: u64 = 16 * 1024;

/// What sockets between here and the store hold at most of a body that has gone (4 MiB, what Linux gives one).
const UNDER_WAY: u64 = 4 << 20;

/// How long a store may think about what it has in full.
const THINKING: Duration = Duration::from_secs(60);

/// A rate that several requests keep together. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Gate(Arc<Mutex<Throttle>>);

impl Gate {
    /// Bytes a second from here on; none: as fast as they can.
    pub(super) fn set(&self, rate: Option<NonZero<u64>>) {
        self.throttle().set(rate);
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        // Changed in single steps.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Until when a request may stand as it does. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Patience(Arc<AtomicI64>);

impl Patience {
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(after(now(), STANDSTILL).0)))
    }

    fn until(&self, at: ClockNs) {
        self.0.store(at.0, Ordering::Relaxed);
    }

    /// Waits for the answer for as long as the body moves, and then for as long as the store may think.
    pub(super) async fn with<T>(&self, request: impl Future<Output = T>) -> Result<T, BucketError> {
        tokio::pin!(request);
        loop {
            let left = self.0.load(Ordering::Relaxed).saturating_sub(now().0);
            let Ok(left) = u64::try_from(left) else {
                return Err(BucketError::Unreachable("what is sent does not arrive, or is not answered".into()));
            };
            tokio::select! {
                answer = &mut request => return Ok(answer),
                // Measured anew then: the body may have moved meanwhile.
                () = sleep(Duration::from_nanos(left.saturating_add(1))) => {}
            }
        }
    }
}

/// The bytes of a request, through gates. A request that is repeated begins anew.
pub(super) fn paced(bytes: &Bytes, gates: &[&Gate], patience: &Patience, progress: &Progress) -> ByteStream {
    let (bytes, patience, progress) = (bytes.clone(), patience.clone(), progress.clone());
    let gates: Arc<[Gate]> = gates.iter().map(|gate| (*gate).clone()).collect();
    ByteStream::new(SdkBody::retryable(move || {
        let (bytes, gates, patience) = (bytes.clone(), Arc::clone(&gates), patience.clone());
        SdkBody::from_body_1_x(Paced { bytes, gates, patience, progress: progress.clone(), piece: None, wait: None })
    }))
}

struct Paced {
    /// What is left.
    bytes: Bytes,
    gates: Arc<[Gate]>,
    patience: Patience,
    progress: Progress,
    /// Bytes that the gates have let through.
    piece: Option<usize>,
    /// Until they may go.
    wait: Option<Pin<Box<Sleep>>>,
}

impl Paced {
    /// Asks the gates for the next piece.
    fn ask(&mut self) -> usize {
        let now = now();
        let least = self.gates.iter().map(|gate| gate.throttle().piece()).min().unwrap_or(u64::MAX);
        let piece = self.bytes.len().min(usize::try_from(least).unwrap_or(usize::MAX));
        let may_go = self.gates.iter().map(|gate| gate.throttle().take(now, piece as u64)).max().unwrap_or(now);
        if may_go > now {
            let wait = u64::try_from(may_go.0 - now.0).unwrap_or(0);
            self.wait = Some(Box::pin(sleep(Duration::from_nanos(wait))));
            // Nobody else makes it wait.
            self.patience.until(after(may_go, STANDSTILL));
        }
        piece
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.get_mut();
        if this.bytes.is_empty() {
            return Poll::Ready(None);
        }
        let piece = match this.piece {
            Some(piece) => piece,
            None => {
                let piece = this.ask();
                *this.piece.insert(piece)
            }
        };
        if let Some(wait) = &mut this.wait {
            ready!(wait.as_mut().poll(context));
            this.wait = None;
        }
        this.piece = None;
        let bytes = this.bytes.split_to(piece);
        this.progress.moved(piece as u64);
        let patience =
            if this.bytes.is_empty() { THINKING + Duration::from_secs(UNDER_WAY / SLOWEST) } else { STANDSTILL };
        this.patience.until(after(now(), patience));
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}

fn after(at: ClockNs, wait: Duration) -> ClockNs {
    ClockNs(at.0.saturating_add(i64::try_from(wait.as_nanos()).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sent(gates: &[&Gate], bytes: &Bytes, patience: &Patience) -> Bytes {
        paced(bytes, gates, patience, &Progress::none()).collect().await.unwrap().into_bytes()
    }

    #[tokio::test]
    async fn a_body_goes_whole_and_bodies_through_one_gate_keep_its_rate_together() {
        let bytes = Bytes::from((0..100_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>());
        let (gate, open, patience) = (Gate::default(), Gate::default(), Patience::new());
        assert_eq!(sent(&[&gate, &open], &bytes, &patience).await, bytes);
        // 800 kB through 2 MB/s; a tenth of a second is saved up.
        gate.set(NonZero::new(2_000_000));
        let began = now();
        let (one, other) = ([&gate, &open], [&open, &gate]);
        let both = tokio::join!(sent(&one, &bytes, &patience), sent(&other, &bytes, &patience));
        let took = Duration::from_nanos(now().0.abs_diff(began.0));
        assert!(both.0 == bytes && both.1 == bytes);
        assert!(took >= Duration::from_millis(250), "{took:?}");
    }

    #[tokio::test]
    async fn whoever_waits_for_a_gate_does_not_stand_still_and_whoever_moves_nothing_does() {
        let (gate, patience) = (Gate::default(), Patience::new());
        // 1 KiB in a hundred seconds.
        gate.set(NonZero::new(10));
        let bytes = Bytes::from(vec![7; 2_048]);
        let gates = [&gate];
        let mut body = Box::pin(sent(&gates, &bytes, &patience));
        assert!(futures_util::poll!(body.as_mut()).is_pending());
        assert!(patience.0.load(Ordering::Relaxed) > after(now(), STANDSTILL).0);
        patience.until(now());
        let error = patience.with(std::future::pending::<()>()).await.unwrap_err();
        assert!(matches!(error, BucketError::Unreachable(_)), "{error:?}");
    }
}
