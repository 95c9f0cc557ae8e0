//! The thread that writes the log.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::layer::LogLayer;
use super::output::Destination;
use super::{Level, Output, Settings};

/// Why the log cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A place to log to cannot be opened.
    #[error("opening log output {output:?}")]
    Output {
        /// The place.
        output: Output,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No thread for the log.
    #[error("starting the thread of the log")]
    Thread(#[source] io::Error),
}

/// One line on its way.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) level: Level,
    /// The place of the event, for the journal.
    pub(crate) caller: String,
    /// With its line feed.
    pub(crate) line: String,
}

enum Message {
    Entry(Entry),
    /// Asks for an answer when all before it is written.
    Flush(Sender<()>),
}

/// Lines that may wait for a slow output. Beyond that they are dropped, and counted.
const QUEUE_LINES_MAX: usize = 16 * 1024;
/// How long an important line may hold up who logs it when the queue is full.
const IMPORTANT_WAIT: Duration = Duration::from_millis(100);
/// How long the end of the process waits for a slow output.
const FLUSH_WAIT: Duration = Duration::from_secs(2);

/// The end of the queue at which events come in.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    sender: Sender<Message>,
    dropped: Arc<AtomicU64>,
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Message::Entry(entry) => entry.fmt(f),
            Message::Flush(_) => f.write_str("Flush"),
        }
    }
}

impl Queue {
    pub(crate) fn push(&self, entry: Entry) {
        let important = entry.level >= Level::Error;
        let sent = if important {
            self.sender
                .send_timeout(Message::Entry(entry), IMPORTANT_WAIT)
                .is_ok()
        } else {
            self.sender.try_send(Message::Entry(entry)).is_ok()
        };
        if !sent {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many lines were dropped since the last call.
    pub(crate) fn take_dropped(&self) -> u64 {
        // A plain load keeps the usual case free of a write.
        if self.dropped.load(Ordering::Relaxed) == 0 {
            return 0;
        }
        self.dropped.swap(0, Ordering::Relaxed)
    }

    fn flush(&self) {
        let (done, wait) = bounded(1);
        if self
            .sender
            .send_timeout(Message::Flush(done), FLUSH_WAIT)
            .is_ok()
        {
            // Nothing can be done about an output that does not take the rest in time.
            let _ = wait.recv_timeout(FLUSH_WAIT);
        }
    }
}

/// The running log. Keep it until the end of the process: dropping it writes what is queued.
#[derive(Debug)]
pub struct Log {
    queue: Queue,
    // Detached at the end rather than joined: it may hang on an output.
    _thread: JoinHandle<()>,
}

impl Log {
    /// Waits, but not for ever, until all that was logged is written.
    pub fn flush(&self) {
        self.queue.flush();
    }

    /// Makes a panic a line of the log and the end of the process, with exit code 2 as etcd's.
    ///
    /// A panic means that a rule of ours is broken: nothing this process still does can be trusted.
    pub fn end_process_on_panic(&self) {
        let queue = self.queue.clone();
        std::panic::set_hook(Box::new(move |info| {
            let payload = info.payload();
            let message = match (
                payload.downcast_ref::<&str>(),
                payload.downcast_ref::<String>(),
            ) {
                (Some(text), _) => text,
                (_, Some(text)) => text.as_str(),
                _ => "panic without a message",
            };
            let place = info.location().map(super::line::short_location);
            tracing::error!(
                "level" = "panic",
                "place" = place.as_deref().unwrap_or("unknown"),
                "{message}"
            );
            queue.flush();
            std::process::exit(2);
        }));
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.queue.flush();
    }
}

/// Opens the outputs and starts the thread that writes to them. The layer belongs into a `tracing`
/// subscriber.
///
/// # Errors
/// [`Error`] if an output cannot be opened.
pub fn start(settings: &Settings) -> Result<(LogLayer, Log), Error> {
    let mut outputs = settings.outputs.clone();
    outputs.sort();
    outputs.dedup();
    let mut destinations = Vec::with_capacity(outputs.len());
    for output in outputs {
        match Destination::open(&output, settings.rotation) {
            Ok(destination) => destinations.push(destination),
            Err(source) => return Err(Error::Output { output, source }),
        }
    }
    let (sender, receiver) = bounded(QUEUE_LINES_MAX);
    let thread = std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || write_lines(&receiver, &mut destinations))
        .map_err(Error::Thread)?;
    let queue = Queue {
        sender,
        dropped: Arc::default(),
    };
    let to_journal = settings.outputs.contains(&Output::Journal);
    let layer = LogLayer::new(settings.level, settings.format, to_journal, queue.clone());
    let log = Log {
        queue,
        _thread: thread,
    };
    Ok((layer, log))
}

fn write_lines(receiver: &Receiver<Message>, destinations: &mut [Destination]) {
    for message in receiver {
        match message {
            Message::Entry(entry) => {
                for destination in &mut *destinations {
                    // There is no other place to tell that the log cannot be written.
                    let _ = destination.write(&entry);
                }
            }
            Message::Flush(done) => {
                // Who asked may have stopped waiting.
                let _ = done.send(());
            }
        }
    }
}

/// A log whose lines are read by a test.
#[cfg(test)]
pub(crate) fn captured(settings: &Settings) -> (LogLayer, impl FnMut() -> Vec<String> + use<>) {
    let (sender, receiver) = bounded(QUEUE_LINES_MAX);
    let queue = Queue {
        sender,
        dropped: Arc::default(),
    };
    let layer = LogLayer::new(settings.level, settings.format, false, queue);
    let lines = move || {
        receiver
            .try_iter()
            .filter_map(|message| match message {
                Message::Entry(entry) => Some(entry.line),
                Message::Flush(_) => None,
            })
            .collect()
    };
    (layer, lines)
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn lines_reach_every_file_once_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let settings = Settings {
            outputs: vec![Output::File(path.clone()), Output::File(path.clone())],
            ..Settings::default()
        };
        let (layer, log) = start(&settings).unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            for number in 0..50 {
                tracing::info!(number, "counted {number}");
            }
            tracing::debug!("too detailed");
        });
        log.flush();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 50);
        for (number, line) in text.lines().enumerate() {
            assert!(line.ends_with(&format!(",\"number\":{number}}}")), "{line}");
        }
    }

    #[test]
    fn an_output_that_cannot_be_opened_is_named() {
        let settings = Settings {
            outputs: vec![Output::File("/nowhere/at/all".into())],
            ..Settings::default()
        };
        let error = start(&settings).unwrap_err();
        assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    }

    #[test]
    fn a_full_queue_drops_and_counts() {
        let (sender, receiver) = bounded(1);
        let queue = Queue {
            sender,
            dropped: Arc::default(),
        };
        let entry = || Entry {
            level: Level::Info,
            caller: String::new(),
            line: "x\n".to_owned(),
        };
        queue.push(entry());
        queue.push(entry());
        queue.push(entry());
        assert_eq!(queue.take_dropped(), 2);
        assert_eq!(queue.take_dropped(), 0);
        assert_eq!(receiver.len(), 1);
    }
}
