//! A closed load: connections that always have one request under way.

use crate::Outcome;
use crate::client::{Connection, histogram, nanoseconds};
use hdrhistogram::Histogram;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// What came of a load.
pub struct Load {
    /// How long it lasted.
    pub lasted: Duration,
    /// Each answer's time, in nanoseconds, from sending the request to having it whole.
    pub latencies: Histogram<u64>,
}

impl Load {
    /// Puts a load on a server: each of so many connections asks as soon as it has its answer,
    /// always the next request of the list, which starts over at its end.
    pub async fn put(
        address: SocketAddr,
        requests: &Arc<[Vec<u8>]>,
        connections: usize,
        lasting: Duration,
    ) -> Outcome<Self> {
        let mut opened = Vec::new();
        for _ in 0..connections {
            opened.push(Connection::open(address).await?);
        }
        let start = Instant::now();
        let next = Arc::new(AtomicUsize::new(0));
        let mut asking = JoinSet::new();
        for connection in opened {
            asking.spawn(ask_until(
                connection,
                Arc::clone(requests),
                Arc::clone(&next),
                start + lasting,
            ));
        }
        let mut latencies = histogram();
        while let Some(asked) = asking.join_next().await {
            latencies.add(asked??)?;
        }
        Ok(Self { lasted: start.elapsed(), latencies })
    }

    /// Answers a second.
    pub fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.lasted.as_secs_f64()
    }
}

async fn ask_until(
    mut connection: Connection,
    requests: Arc<[Vec<u8>]>,
    next: Arc<AtomicUsize>,
    end: Instant,
) -> Outcome<Histogram<u64>> {
    let mut latencies = histogram();
    let mut asked = Instant::now();
    while asked < end {
        let n = next.fetch_add(1, Ordering::Relaxed);
        connection.ask(&requests[n % requests.len()]).await?;
        let answered = Instant::now();
        latencies.record(nanoseconds(answered - asked))?;
        asked = answered;
    }
    Ok(latencies)
}
