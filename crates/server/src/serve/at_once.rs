//! Runs calls where they come in, and gives a task only to those that have to wait.

use std::task::{Context, Poll, Waker};

use hyper::rt::Executor;
use tokio::task::coop;

/// Polls each future once before it becomes a task. A read is answered by then, without a task, a wake-up of its own or
/// a turn in the runtime's queue.
///
/// A connection answers a bounded number of calls so before others have their turn: as many as the runtime lets any task
/// do things.
#[derive(Debug, Clone, Copy)]
pub(super) struct AtOnce;

impl<F> Executor<F> for AtOnce
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, future: F) {
        let mut future = Box::pin(future);
        // Nobody is woken by this poll: the task polls once more as it begins.
        let mut context = Context::from_waker(Waker::noop());
        if let Poll::Ready(turn) = coop::poll_proceed(&mut context) {
            turn.made_progress();
            if future.as_mut().poll(&mut context).is_ready() {
                return;
            }
        }
        tokio::spawn(future);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn run(test: impl Future<Output = ()>) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(test);
    }

    #[test]
    fn what_waits_goes_on_as_a_task() {
        run(async {
            let (sender, receiver) = tokio::sync::oneshot::channel();
            let (done, is_done) = tokio::sync::oneshot::channel();
            AtOnce.execute(async move { done.send(receiver.await.unwrap()).unwrap() });
            sender.send(7).unwrap();
            assert_eq!(is_done.await, Ok(7));
        });
    }

    /// Somebody else has a turn before a connection has answered all of very many calls.
    #[test]
    fn nobody_is_kept_waiting_by_many_calls() {
        run(async {
            const CALLS: usize = 10_000;
            let answered = Arc::new(AtomicUsize::new(0));
            let connection = tokio::spawn({
                let answered = answered.clone();
                async move {
                    for _ in 0..CALLS {
                        let answered = answered.clone();
                        AtOnce.execute(async move {
                            answered.fetch_add(1, Ordering::Relaxed);
                        });
                    }
                }
            });
            tokio::task::yield_now().await;
            let seen = answered.load(Ordering::Relaxed);
            assert!((1..CALLS).contains(&seen), "{seen}");
            connection.await.unwrap();
            while answered.load(Ordering::Relaxed) < CALLS {
                tokio::task::yield_now().await;
            }
        });
    }
}
