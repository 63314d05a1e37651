//! Work on long texts, off the threads that serve everything else.
//!
//! All work on a text is linear in its length, and a text may have megabytes. A thread of the
//! runtime that reads one for a second answers no probe and follows no log meanwhile. So work on
//! more than [`MAX_INLINE_BYTES`] runs on a thread of its own. At most one task fewer than there
//! are cores, and at most [`MAX_TASKS`], run at once in a process, whatever stage they are for: the
//! others wait for a place, and a copy of the text is made only then. A task needs up to 55 times
//! its text's memory, where every word is another number.
//!
//! A task that has begun cannot be stopped. After [`MAX_WORK_TIME`] its document goes on without a
//! result, and the task keeps its place until it ends.

use std::panic::resume_unwind;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::sync::Semaphore;

/// Bytes of text up to which work is done at once, where it is asked for: ten milliseconds.
pub const MAX_INLINE_BYTES: usize = 16 * 1024;
/// Tasks that run at once at most: what they need beside the texts has a bound, however many cores
/// there are.
pub const MAX_TASKS: usize = 4;
/// How long a document waits for work that has begun. The largest text takes a few seconds.
pub const MAX_WORK_TIME: Duration = Duration::from_secs(60);

/// The work did not end within [`MAX_WORK_TIME`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("reading the text took longer than {} s", MAX_WORK_TIME.as_secs())]
pub struct TimedOut;

/// The result of `work` on `text`. `more_bytes` is the length of other texts that it reads.
///
/// # Errors
/// [`TimedOut`].
pub async fn on_text<T: Send + 'static>(
    text: &str,
    more_bytes: usize,
    work: impl FnOnce(&str) -> T + Send + 'static,
) -> Result<T, TimedOut> {
    /// The places of this process.
    static PLACES: LazyLock<Places> = LazyLock::new(|| {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Places::new(cores.saturating_sub(1).clamp(1, MAX_TASKS), MAX_WORK_TIME)
    });
    if text.len() + more_bytes <= MAX_INLINE_BYTES {
        return Ok(work(text));
    }
    PLACES.run(text, work).await
}

/// Places for tasks on threads of their own.
struct Places {
    free: Arc<Semaphore>,
    max_work_time: Duration,
}

impl Places {
    fn new(count: usize, max_work_time: Duration) -> Self {
        Self { free: Arc::new(Semaphore::new(count)), max_work_time }
    }

    async fn run<T: Send + 'static>(
        &self,
        text: &str,
        work: impl FnOnce(&str) -> T + Send + 'static,
    ) -> Result<T, TimedOut> {
        let place = self.free.clone().acquire_owned().await.expect("the semaphore is never closed");
        let text = text.to_owned();
        let task = tokio::task::spawn_blocking(move || {
            let result = work(&text);
            drop((text, place));
            result
        });
        match tokio::time::timeout(self.max_work_time, task).await {
            Ok(Ok(result)) => Ok(result),
            // The stage tells a panic of a record's processor from others.
            Ok(Err(error)) if error.is_panic() => resume_unwind(error.into_panic()),
            Ok(Err(_)) | Err(_) => Err(TimedOut),
        }
    }
}

#[cfg(test)]
mod tests;
