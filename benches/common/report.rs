//! What is told on the terminal, and what of it is kept under `benches/runs`.

use crate::Outcome;
use crate::machine::machine;
use std::fmt::Debug;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The executable that is measured.
pub const EXECUTABLE: &str = env!("CARGO_BIN_EXE_agora-vendor");

/// What a figure is held against.
#[derive(Clone, Copy)]
pub enum Bar {
    /// It must not be below.
    AtLeast(f64),
    /// It must not be above.
    AtMost(f64),
}

/// A time of a histogram in microseconds.
pub fn microseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e3
}

/// The middle value, the lower one of two.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(sorted.len() - 1) / 2]
}

/// The lines of a run.
pub struct Report {
    bench: &'static str,
    kept: String,
    verdicts: Vec<String>,
    all_met: bool,
}

impl Report {
    /// Starts with where and when it is measured, and what.
    pub fn start(bench: &'static str, length: &impl Debug) -> Outcome<Self> {
        let mut report = Self { bench, kept: String::new(), verdicts: Vec::new(), all_met: true };
        report.say(&format!("command:    cargo bench --bench {bench}"));
        report.say(&format!("date:       {:.0}", jiff::Timestamp::now()));
        report.say(&format!("compiler:   {}", compiler()?));
        report.say(&format!("processor:  {}", processor()?));
        report.say(&format!("machine:    {}", machine()?));
        report.say(&format!("files on:   {}", file_system()?));
        report.say(&format!(
            "executable: agora-vendor {}, {} bytes",
            env!("CARGO_PKG_VERSION"),
            executable_bytes()?
        ));
        report.say(&format!("length:     {length:?}"));
        Ok(report)
    }

    /// Prints a line and keeps it.
    pub fn say(&mut self, line: &str) {
        println!("{line}");
        self.keep(line);
    }

    /// Keeps a line that is too long to print.
    pub fn keep(&mut self, line: &str) {
        self.kept.push_str(line);
        self.kept.push('\n');
    }

    /// Holds a figure against its bar.
    pub fn judge(&mut self, what: &str, figure: f64, unit: &str, bar: Bar) {
        let (met, wanted) = match bar {
            Bar::AtLeast(bar) => (figure >= bar, format!("at least {bar}")),
            Bar::AtMost(bar) => (figure <= bar, format!("at most {bar}")),
        };
        let word = if met { "pass" } else { "FAIL" };
        self.verdicts.push(format!("{word}  {figure:9.3}{unit:4}  ({wanted}{unit})  {what}"));
        self.all_met &= met;
    }

    /// Ends with the verdicts, and keeps the run if it was one at full length; tells whether every
    /// bar was met.
    pub fn finish(mut self, is_full: bool) -> Outcome<bool> {
        self.say("");
        for verdict in std::mem::take(&mut self.verdicts) {
            self.say(&verdict);
        }
        if is_full {
            let run =
                format!("benches/runs/{:.10}-{}", jiff::Timestamp::now().to_string(), machine()?);
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(&run);
            fs::create_dir_all(&folder)?;
            let file = format!("{}.txt", self.bench);
            fs::write(folder.join(&file), &self.kept)?;
            println!("kept in {run}/{file}");
        }
        Ok(self.all_met)
    }
}

fn compiler() -> Outcome<String> {
    let said = Command::new("rustc").arg("--version").output()?;
    Ok(String::from_utf8(said.stdout)?.trim().to_owned())
}

fn processor() -> Outcome<String> {
    let said = fs::read_to_string("/proc/cpuinfo")?;
    let model = said
        .lines()
        .find(|line| line.starts_with("model name"))
        .and_then(|line| line.split_once(':'));
    Ok(model.map_or("unknown", |(_, model)| model.trim()).to_owned())
}

/// The kind of file system under the folder for temporary files: in memory, nothing is durable.
fn file_system() -> Outcome<String> {
    let said = Command::new("stat")
        .args(["--file-system", "--format=%T"])
        .arg(std::env::temp_dir())
        .output()?;
    Ok(String::from_utf8(said.stdout)?.trim().to_owned())
}

/// The size of the executable, which is built stripped.
pub fn executable_bytes() -> Outcome<u64> {
    Ok(fs::metadata(EXECUTABLE)?.len())
}
