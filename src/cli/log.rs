//! The log of `serve`, on standard error: a line for people, one with the priority that journald
//! reads, or one JSON object a line.

use crate::billing::escape::escape;
use crate::cli::outlet::Outlet;
use crate::cli::visible::write_json;
use env_logger::Target;
use log::kv::{Error, Key, Source, Value, VisitSource, VisitValue};
use log::{Level, LevelFilter};
use serde::ser::{SerializeMap, Serializer};
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

/// What is logged, and how.
#[derive(clap::Args)]
pub(super) struct LogFlags {
    /// What is logged: errors alone, warnings too, what was told and changed, or a line for each
    /// request
    #[arg(
        long,
        value_name = "LEVEL",
        value_enum,
        env = "AGORA_VENDOR_LOG",
        default_value_t = LogArg::Info
    )]
    log: LogArg,

    /// How it is logged: lines for people, or one JSON object a line
    #[arg(
        long,
        value_name = "FORMAT",
        value_enum,
        env = "AGORA_VENDOR_LOG_FORMAT",
        default_value_t = FormatArg::Text
    )]
    log_format: FormatArg,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum LogArg {
    Error,
    Warn,
    Info,
    Debug,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum FormatArg {
    Text,
    Json,
}

/// The form of a line.
#[derive(Clone, Copy)]
pub(super) struct LineForm {
    format: FormatArg,
    /// Whether journald reads it, which tells the time itself, and reads the priority off the start
    /// of a line (sd-daemon(3)).
    to_journal: bool,
}

impl LogFlags {
    /// The form that is asked for.
    pub(super) fn form(&self) -> LineForm {
        LineForm { format: self.log_format, to_journal: is_journal(&std::io::stderr()) }
    }

    /// Logs in this form from now on. A panic is an event of the log like any other.
    pub(super) fn start(&self, form: LineForm) {
        let level = match self.log {
            LogArg::Error => LevelFilter::Error,
            LogArg::Warn => LevelFilter::Warn,
            LogArg::Info => LevelFilter::Info,
            LogArg::Debug => LevelFilter::Debug,
        };
        let mut builder = env_logger::Builder::new();
        let outlet = Outlet::new(std::io::stderr(), move |lost| form.lost(lost));
        builder.target(Target::Pipe(Box::new(outlet))).filter_level(level).format(
            move |out, record| {
                let said = record.args().to_string();
                writeln!(out, "{}", form.line(record.level(), &said, record.key_values()))
            },
        );
        builder.init();
        std::panic::set_hook(Box::new(|panic| log::error!("{panic}")));
    }
}

impl LineForm {
    /// Tells whether what ends the server is a line of the log, and no sentence as of other verbs.
    pub(super) fn is_for_programs(self) -> bool {
        self.to_journal || self.format == FormatArg::Json
    }

    /// A line that says how many are lost.
    fn lost(self, lost: u64) -> String {
        let said = format!("{lost} lines are lost: there was no room where the log goes");
        self.line(Level::Warn, &said, &("lost", lost))
    }

    /// A line, whatever is in it.
    pub(super) fn line(self, level: Level, said: &str, fields: &dyn Source) -> String {
        let priority = match level {
            _ if !self.to_journal => String::new(),
            Level::Error => "<3>".to_owned(),
            Level::Warn => "<4>".to_owned(),
            Level::Info => "<6>".to_owned(),
            Level::Debug | Level::Trace => "<7>".to_owned(),
        };
        let now = jiff::Timestamp::now();
        match self.format {
            FormatArg::Text if self.to_journal => format!("{priority}{}", escape(said)),
            FormatArg::Text => format!("{now:.3} {level:5} {}", escape(said)),
            FormatArg::Json => {
                let time = format!("{now:.3}");
                let event = LoggedEvent { time: &time, level, said, fields };
                let mut line = priority.into_bytes();
                write_json(&mut line, &event).expect("memory takes everything");
                String::from_utf8(line).expect("JSON is text")
            }
        }
    }
}

/// An event of the log as a JSON object.
struct LoggedEvent<'a> {
    time: &'a str,
    level: Level,
    said: &'a str,
    fields: &'a dyn Source,
}

impl serde::Serialize for LoggedEvent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("time", self.time)?;
        map.serialize_entry("level", &self.level.as_str().to_ascii_lowercase())?;
        map.serialize_entry("message", self.said)?;
        let mut fields = FieldsInto { map: &mut map, failed: None };
        // Why it was broken off stands in `failed`.
        let _visited = self.fields.visit(&mut fields);
        match fields.failed {
            Some(failed) => Err(failed),
            None => map.end(),
        }
    }
}

/// Writes an event's fields into its object.
struct FieldsInto<'m, M: SerializeMap> {
    map: &'m mut M,
    failed: Option<M::Error>,
}

impl<'kvs, M: SerializeMap> VisitSource<'kvs> for FieldsInto<'_, M> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let mut field = FieldInto { key: key.as_str(), map: self.map, failed: None };
        value.visit(&mut field)?;
        self.failed = field.failed;
        match self.failed {
            Some(_) => Err(Error::msg("the object cannot be written")),
            None => Ok(()),
        }
    }
}

/// Writes one field: whole numbers and truth as such, all else as text.
struct FieldInto<'m, M: SerializeMap> {
    key: &'m str,
    map: &'m mut M,
    failed: Option<M::Error>,
}

impl<M: SerializeMap> FieldInto<'_, M> {
    fn write(&mut self, value: &(impl serde::Serialize + ?Sized)) -> Result<(), Error> {
        self.failed = self.map.serialize_entry(self.key, value).err();
        Ok(())
    }
}

impl<'v, M: SerializeMap> VisitValue<'v> for FieldInto<'_, M> {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), Error> {
        self.write(&value.to_string())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), Error> {
        self.write(&value)
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), Error> {
        self.write(&value)
    }

    fn visit_u128(&mut self, value: u128) -> Result<(), Error> {
        self.write(&value)
    }

    fn visit_i128(&mut self, value: i128) -> Result<(), Error> {
        self.write(&value)
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), Error> {
        self.write(&value)
    }
}

/// Tells whether a stream is the one that the environment says leads to the journal (sd-daemon(3)):
/// the variable is inherited by processes whose streams lead elsewhere.
fn is_journal(stream: &impl AsFd) -> bool {
    let metadata =
        stream.as_fd().try_clone_to_owned().and_then(|owned| File::from(owned).metadata());
    let named = metadata.map(|metadata| format!("{}:{}", metadata.dev(), metadata.ino()));
    named.is_ok_and(|named| std::env::var("JOURNAL_STREAM") == Ok(named))
}
