//! The threads of a server. All of them are there before it serves: one that cannot be had later
//! would leave calls without an answer, or end the process in the middle of them.

use std::io;
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Threads of the pool of readers, the keeper's, and the one that adds up.
const OTHERS: usize = 5;
/// Jobs beside those of the readers: the one change that is made at a time, the certificate, and
/// the two looks at the books of the admin listener.
const BESIDE_READERS: usize = 4;
/// How long all of them may take to start.
const START_WITHIN: Duration = Duration::from_secs(10);
/// They never end for want of work: whether another could be had later is not known.
const KEEP: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Checks that a server with so many readers can have its threads, by starting as many: libraries
/// end the process where they cannot have one.
///
/// # Errors
/// When the system refuses one; the error says how many there could be.
pub fn check(readers: usize) -> io::Result<()> {
    let count = readers + BESIDE_READERS + OTHERS + workers();
    thread::scope(|scope| {
        let mut held = Vec::new();
        for started in 0..count {
            let (end, ended) = mpsc::channel::<()>();
            // It waits until its sender is dropped, and so do all of them together.
            let thread = thread::Builder::new().spawn_scoped(scope, move || ended.recv().is_err());
            thread.map_err(|error| short(count, started, &error))?;
            held.push(end);
        }
        Ok(())
    })
}

/// Makes the runtime, with threads for the jobs of so many readers.
///
/// # Errors
/// When the system fails, or does not give the threads.
pub(super) fn start(readers: usize) -> io::Result<Runtime> {
    let jobs = readers + BESIDE_READERS;
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .worker_threads(workers())
        .max_blocking_threads(jobs)
        .thread_keep_alive(KEEP)
        .build()?;
    match runtime.block_on(async { timeout(START_WITHIN, start_all(jobs)).await }) {
        Ok(()) => Ok(runtime),
        Err(_) => {
            runtime.shutdown_background();
            Err(short(jobs, 0, &"not all of them started"))
        }
    }
}

/// Has so many threads at work at once: each waits for the others, so that none does the work of
/// two.
async fn start_all(jobs: usize) {
    let barrier = Arc::new(Barrier::new(jobs));
    let mut started = JoinSet::new();
    for _ in 0..jobs {
        let barrier = Arc::clone(&barrier);
        started.spawn_blocking(move || barrier.wait().is_leader());
    }
    while started.join_next().await.is_some() {}
}

fn workers() -> usize {
    thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn short(count: usize, started: usize, error: &dyn std::fmt::Display) -> io::Error {
    let had = if started > 0 { format!(", and {started} could be started") } else { String::new() };
    io::Error::other(format!(
        "{count} threads are needed{had} ({error}): allow more processes (ulimit -u, TasksMax= of \
         a service) and more memory (ulimit -v)"
    ))
}
