//! Second: a month's bill that carries what many earlier months were not told.

use crate::books::{self, Keys, NOVEMBER_S, OCTOBER_S, SEPTEMBER_S};
use crate::client::{Connection, histogram, nanoseconds};
use crate::process::Server;
use crate::report::{Bar, Report};
use crate::row::{self, Row, amount, whole};
use crate::{Length, Outcome, milliseconds, record, run};
use agora_vendor::billing::event::{Actor, Stamp};
use agora_vendor::billing::period::{Grain, Period};
use agora_vendor::store::{Store, project};
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

/// Milliseconds, at most, for the slowest page 1 that is answered: Agora waits 500.
const BAR: Bar = Bar::AtMost(400.0);
/// How often the benchmark asks.
const GIVES_UP: u32 = 20;
/// How often Agora asks, and so how often at most it may have to.
const TRIES: Bar = Bar::AtMost(3.0);
/// MiB, at most, for the rewrite of a price.
const REWRITE_MEMORY_BAR: Bar = Bar::AtMost(64.0);

/// Measures page 1 of bills for which earlier months have to be looked at, each time after a commit
/// elsewhere.
pub async fn measure(
    database: &Path,
    keys: &Keys,
    length: &Length,
    report: &mut Report,
) -> Outcome {
    let september = Period::around(Grain::Month, SEPTEMBER_S);
    let october = Period::around(Grain::Month, OCTOBER_S);
    let earlier = months_before(SEPTEMBER_S, length.months);
    let (server, connection) = bill_earlier(database, keys, length, &earlier).await?;
    report.say(&format!(
        "\n2. page 1 of a month's bill of {} projects that carries, {} months billed before it, \
         {} times; before each a record of another month",
        length.projects,
        earlier.len(),
        length.carries
    ));
    // As every month brings them: of the months before nothing changes by that. Not in the second
    // in which those were told.
    std::thread::sleep(Duration::from_millis(1_100));
    announce(database, length.projects..length.projects + length.projects / 50)?;
    let mut asking = Asking { connection, store: Store::open(database)?, commits: 0 };
    asking
        .measure(
            "nothing changed in the months before, and some customers are new",
            keys,
            september,
            length,
            report,
        )
        .await?;

    for (n, first_s) in earlier.iter().enumerate() {
        record(&mut asking.store, format!("late-{n}"), n, *first_s)?;
    }
    asking.measure("a late record in each of them", keys, september, length, report).await?;

    let first_month = &jiff::Timestamp::from_second(earlier[0])?.to_string()[..7];
    let rewrite = |price: &str| {
        let words =
            ["plan", "set", "default", "--price", price, "--from", first_month, "--rewrite"];
        run(database, &words)
    };
    let most_kib = rewrite("0.0101")?;
    asking
        .measure("a price that was raised in all of them", keys, september, length, report)
        .await?;
    asking.follow(keys, september, length).await?;
    asking.measure("the month after, all of it told", keys, october, length, report).await?;
    let most_kib = most_kib.max(rewrite("0.005")?);
    asking
        .measure(
            "the month after, the price lowered in all of them, so that most waits",
            keys,
            october,
            length,
            report,
        )
        .await?;
    let what = "memory of `plan set --rewrite`, which prices all of them anew";
    report.judge(what, most_kib as f64 / 1024.0, " MiB", REWRITE_MEMORY_BAR);
    let (resident, most) = server.memory_kib()?;
    report.say(&format!(
        "   the server's memory: {} MiB resident, {} MiB at most",
        resident >> 10,
        most >> 10
    ));
    Ok(())
}

/// Makes books with usage in all months, starts a server, and bills the earlier ones.
async fn bill_earlier(
    database: &Path,
    keys: &Keys,
    length: &Length,
    earlier: &[i64],
) -> Outcome<(Server, Connection)> {
    books::create(database, keys, length.projects)?;
    let all: Vec<i64> = earlier.iter().copied().chain([SEPTEMBER_S, OCTOBER_S]).collect();
    let rows = all.iter().enumerate().flat_map(|(month, first_s)| {
        let projects = length.projects;
        (0..projects).map(move |n| Row {
            n: month * projects + n,
            project: n,
            amount: amount(n),
            at_s: first_s + whole(n),
        })
    });
    row::import(database, rows)?;
    let server = Server::agora_vendor(database)?;
    let mut connection = Connection::open(server.address).await?;
    for first_s in earlier {
        for request in length.requests(keys, Period::around(Grain::Month, *first_s)) {
            connection.ask(&request).await?;
        }
    }
    run(database, &["setting", "set", "late", "carry"])?;
    Ok((server, connection))
}

/// Announces projects, each of a customer of its own.
fn announce(database: &Path, projects: Range<usize>) -> Outcome {
    Store::open(database)?.write(|tx| -> Outcome {
        for n in projects {
            let stamp = Stamp { at_s: jiff::Timestamp::now().as_second(), actor: Actor::Agora };
            project::announce(
                tx,
                &row::project_id(n).parse()?,
                &format!("new-{n}").parse()?,
                None,
                &stamp,
            )?;
        }
        Ok(())
    })
}

/// So many months before one, in the order of time, by their first seconds.
fn months_before(first_s: i64, count: usize) -> Vec<i64> {
    let mut months: Vec<i64> =
        std::iter::successors(Some(first_s), |first_s| Some(Grain::Month.floor(first_s - 1)))
            .skip(1)
            .take(count)
            .collect();
    months.reverse();
    months
}

/// Agora's side, and the other process's.
struct Asking {
    connection: Connection,
    store: Store,
    commits: usize,
}

impl Asking {
    async fn measure(
        &mut self,
        title: &str,
        keys: &Keys,
        month: Period,
        length: &Length,
        report: &mut Report,
    ) -> Outcome {
        let requests = length.requests(keys, month);
        let mut latencies = histogram();
        let mut most_tries = 0;
        for _ in 0..length.carries {
            self.commits += 1;
            record(
                &mut self.store,
                format!("elsewhere-{}", self.commits),
                0,
                NOVEMBER_S + whole(self.commits),
            )?;
            let mut tries = 0;
            loop {
                tries += 1;
                let asked = Instant::now();
                if self.connection.ask(&requests[0]).await.is_ok() {
                    latencies.record(nanoseconds(asked.elapsed()))?;
                    break;
                }
                if tries == GIVES_UP {
                    return Err(format!("{title}: not answered within {GIVES_UP} tries").into());
                }
            }
            most_tries = most_tries.max(tries);
        }
        let [p50, _, max] = milliseconds(&latencies);
        report.say(&format!(
            "   {title}: p50 {p50:.1} ms, max {max:.1} ms, within {most_tries} tries"
        ));
        report.judge(&format!("page 1, {title}: the slowest"), max, " ms", BAR);
        report.judge(
            &format!("page 1, {title}: tries until it is answered"),
            f64::from(most_tries),
            "",
            TRIES,
        );
        Ok(())
    }

    async fn follow(&mut self, keys: &Keys, month: Period, length: &Length) -> Outcome {
        for request in length.requests(keys, month) {
            self.connection.ask(&request).await?;
        }
        Ok(())
    }
}
