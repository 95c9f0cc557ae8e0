//! Work that must not delay what clients wait for: on threads of its own, behind all others.

use std::future::Future;

use tokio::sync::oneshot;

/// How far behind. Where all cores are busy, such a thread gets about a tenth of what another one gets, so it does not
/// starve either; where one is free it is as fast as any.
const NICENESS: i32 = 10;

/// Runs `work` on a thread of this name (15 bytes at most, by the system's rule), which may wait for the disk, and which hands
/// its priority down to threads that it starts. Gives `None` if there is no thread to be had.
///
/// The work begins at once, and goes on when the future is dropped.
pub(crate) fn run<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = Option<T>> {
    let (tell, told) = oneshot::channel();
    let thread = std::thread::Builder::new().name(name.to_owned());
    let started = thread.spawn(move || {
        // On Linux this is about the calling thread. One that is refused it works all the same.
        if let Err(error) = rustix::process::nice(NICENESS) {
            tracing::debug!(%error, "failed to lower the priority of a thread");
        }
        // Nobody may want to know any more.
        let _gone = tell.send(work());
    });
    if let Err(error) = started {
        tracing::warn!(%error, thread = name, "failed to start a thread");
    }
    async { told.await.ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn niceness() -> i32 {
        rustix::process::getpriority_process(None).unwrap()
    }

    #[tokio::test]
    async fn other_threads_keep_their_priority() {
        let before = niceness();
        let inside = run("background", niceness).await;
        assert_eq!(inside, Some((before + NICENESS).min(19)));
        assert_eq!(niceness(), before);
        let later = std::thread::spawn(niceness).join();
        assert_eq!(later.unwrap(), before);
    }
}
