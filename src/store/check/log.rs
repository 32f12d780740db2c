//! Checks the write-ahead log: whether it breaks off before what was committed.
//!
//! SQLite takes the first frame that is not right for the log's end, since a power cut leaves such
//! a one behind. A commit is on the disk before the next one is written. So where, behind the
//! break, a commit is followed by a frame that was written after it, that commit was acknowledged,
//! and is lost. Of the last commit of all it cannot be known.

use crate::store::Result;
use crate::store::check::report::{CheckReport, Difference};
use crate::store::draft::with_suffix;
use crate::store::transaction::ReadTx;
use rusqlite::config::DbConfig;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::Path;

/// The bytes before the first frame, and before each page in its frame.
const HEAD: usize = 32;
const FRAME_HEAD: usize = 24;
/// The first bytes of a log whose words are little-endian; the last bit is set where they are not.
const MAGIC: u32 = 0x377f_0682;

/// The least that a disk writes whole.
const SECTOR: u64 = 512;

/// Where a log breaks off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Break {
    /// The first frame that is not right, from 1.
    frame: u64,
    /// How many commits behind it were acknowledged.
    lost: u64,
}

pub(super) fn check(tx: &ReadTx<'_>, report: &mut CheckReport) -> Result<()> {
    let Some(database) = tx.sql().path().map(Path::new) else {
        return Ok(());
    };
    let log = with_suffix(database, "-wal");
    let problem = match look(&log) {
        Ok(None) => return Ok(()),
        // What is being written may look like a break; looked at again, it is whole.
        Ok(Some(first)) => match look(&log) {
            Ok(Some(again)) if again.frame == first.frame => words(&log, again),
            _ => return Ok(()),
        },
        Err(error) => format!("its log cannot be read: {error}"),
    };
    report.differences.push(Difference::File { problem });
    // Closing would move the log's beginning into the file, and remove the rest with it.
    tx.sql().set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(())
}

fn words(log: &Path, Break { frame, lost }: Break) -> String {
    let commits = if lost == 1 { "commit" } else { "commits" };
    format!(
        "its log {} is damaged in frame {frame}, and at least {lost} {commits} behind that are \
         lost: copy the file and its log away before anything else is done",
        log.display()
    )
}

/// Looks for commits behind a log's break.
fn look(log: &Path) -> io::Result<Option<Break>> {
    let file = match File::open(log) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut file = BufReader::with_capacity(1 << 18, file);
    let mut head = [0; HEAD];
    if !fill(&mut file, &mut head)? {
        return Ok(None);
    }
    let big = word(&head[..4]) & 1 == 1;
    let size = usize::try_from(word(&head[8..12])).unwrap_or(0);
    let is_log = word(&head[..4]) & !1 == MAGIC && (512..=65_536).contains(&size);
    let mut sum = (word(&head[24..28]), word(&head[28..]));
    // A head that is not right is written anew before anything is: what follows it is in the file.
    if !is_log || added(big, (0, 0), &head[..24]) != sum {
        return Ok(None);
    }
    let mut frame = vec![0; FRAME_HEAD + size];
    let frame_bytes = frame.len() as u64;
    let mut found: Option<Break> = None;
    let mut is_behind_commit = false;
    for number in 1.. {
        if !fill(&mut file, &mut frame)? {
            break;
        }
        let is_ours = frame[8..16] == head[16..24];
        let follows = added(big, added(big, sum, &frame[..8]), &frame[FRAME_HEAD..]);
        sum = (word(&frame[16..20]), word(&frame[20..24]));
        let is_right = is_ours && follows == sum;
        match &mut found {
            None if !is_right => found = Some(Break { frame: number, lost: 0 }),
            Some(found) if is_right && is_behind_commit => found.lost += 1,
            _ => {}
        }
        // A damaged frame's head is believed where its salt is the log's. Only where a sector ends
        // before the salt may a power cut have left what stands before it as it was.
        let salt_at = (number - 1) * frame_bytes + HEAD as u64 + 8;
        let is_believed = is_right || (is_ours && !salt_at.is_multiple_of(SECTOR));
        is_behind_commit = found.is_some() && is_believed && word(&frame[4..8]) > 0;
    }
    Ok(found.filter(|found| found.lost > 0))
}

/// Reads as many bytes as there is room for; false where the file ends before.
fn fill(file: &mut impl Read, room: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(room) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| true),
    }
}

fn word(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

/// SQLite's checksum of bytes, after that of the bytes before them.
fn added(big: bool, before: (u32, u32), bytes: &[u8]) -> (u32, u32) {
    let in_order = |bytes: &[u8]| if big { word(bytes) } else { word(bytes).swap_bytes() };
    bytes.chunks_exact(8).fold(before, |(first, second), pair| {
        let first = first.wrapping_add(in_order(&pair[..4])).wrapping_add(second);
        (first, second.wrapping_add(in_order(&pair[4..])).wrapping_add(first))
    })
}
