//! Writing records out, part by part.

use crate::billing::id::Words;
use crate::billing::period::Period;
use crate::billing::record::Record;
use crate::store::usage::find::read_record;
use crate::store::{ReadTx, Result};
use rusqlite::{Row, named_params};
use std::ops::RangeInclusive;

/// A record as it is written out: with its note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The record.
    pub record: Record,
    /// The operator's words.
    pub note: Option<Words>,
}

/// The records dated within a window as they were at one moment, read part by part: no transaction
/// is open in between, however slowly they are taken.
pub struct Export {
    period: Period,
    /// The entries of the ledger that are left to read.
    left: RangeInclusive<i64>,
}

impl Export {
    /// Sees what is to be exported; the parts must be read by the same connection.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn start(tx: &ReadTx<'_>, period: Period) -> Result<Self> {
        // Entries stay as they are, and whose projects were may change while the parts are read.
        const OWNERS: &str = "
            drop table if exists temp.export_owner;
            create temporary table export_owner (
              project_no  integer not null,
              from_s      integer not null,
              seq         integer not null,
              customer_id text    not null,
              primary key (project_no, from_s, seq)
            ) strict, without rowid;
            insert into export_owner (project_no, from_s, seq, customer_id)
            select p.project_no, c.from_s, c.seq, c.customer_id
            from project_customer c
            join project p on p.project_id = c.project_id";
        const LAST: &str = "
            select coalesce(max(seq), 0)
            from usage_ledger";
        tx.sql().execute_batch(OWNERS)?;
        Ok(Self { period, left: 1..=tx.sql().query_row(LAST, [], |row| row.get(0))? })
    }

    /// The records of the next part, which may hold none, in the order in which they were written;
    /// `None` after the last part.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn part(&mut self, tx: &ReadTx<'_>) -> Result<Option<Vec<Exported>>> {
        const ENTRIES: i64 = 2_000;
        const SELECT: &str = "
            select r.record_id, p.project_id, r.amount, r.at_s, (
                select o.customer_id
                from temp.export_owner o
                where o.project_no = r.project_no
                  and o.from_s <= r.at_s
                order by o.from_s desc, o.seq desc
                limit 1
              ), v.recorded_at_s, v.note, r.covered, null, r.note
            from usage_ledger r
            join project p on p.project_no = r.project_no
            left join usage_ledger v on v.reverses_seq = r.seq and v.seq <= :last_seq
            where r.seq between :first_of_part and :last_of_part
              and r.record_id is not null
              and r.at_s between :first_s and :last_s
            order by r.seq";
        if self.left.is_empty() {
            return Ok(None);
        }
        let (first, last) = self.left.clone().into_inner();
        let last_of_part = last.min(first + ENTRIES - 1);
        let params = named_params! {
            ":last_seq": last,
            ":first_of_part": first,
            ":last_of_part": last_of_part,
            ":first_s": self.period.first_s(),
            ":last_s": self.period.last_s(),
        };
        let exported =
            |row: &Row<'_>| Ok(Exported { record: read_record(row)?, note: row.get(9)? });
        let part = tx
            .sql()
            .prepare_cached(SELECT)?
            .query_map(params, exported)?
            .collect::<rusqlite::Result<_>>()?;
        self.left = last_of_part + 1..=last;
        Ok(Some(part))
    }
}
