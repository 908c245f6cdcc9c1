//! File work beside the async threads.

use crate::BucketError;

/// Runs work that may block on a disk. Dropping the future does not stop it.
pub(crate) async fn off_thread<T: Send + 'static, E: From<BucketError> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(BucketError::Unreachable("the program is shutting down".into()).into()),
        },
    }
}
