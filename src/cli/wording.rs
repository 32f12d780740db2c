//! What is wrong with the words of a command line, as one sentence that says what was probably
//! meant.

use crate::cli::database::shell_quoted;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command};
use std::error::Error as _;
use std::ffi::OsString;

/// What an option that takes anything takes, and one that takes months, figures or words of a list
/// does not.
const NONSENSE: &str = "zz~nonsense";

/// A command line that the parser refused.
pub(super) struct RefusedCommand<'a> {
    pub(super) error: &'a clap::Error,
    /// The executable's name first.
    pub(super) arguments: &'a [OsString],
    /// All verbs.
    pub(super) root: Command,
}

impl RefusedCommand<'_> {
    /// The sentence.
    pub(super) fn sentence(&self) -> String {
        let argument = self.words(ContextKind::InvalidArg);
        let value = self.words(ContextKind::InvalidValue);
        let verb = self.words(ContextKind::InvalidSubcommand);
        let is_broken = |text: &String| {
            let broken = |given: &&OsString| given.to_str().is_none();
            self.arguments.iter().filter(broken).any(|given| given.to_string_lossy() == *text)
        };
        if [&argument, &value, &verb].into_iter().flatten().any(is_broken) {
            return self.not_utf8();
        }
        match (self.error.kind(), argument, value) {
            (ErrorKind::ValueValidation, Some(argument), Some(value)) => {
                let reason = self.error.source().map(ToString::to_string).unwrap_or_default();
                let argument = self.given_by(argument, &value);
                format!("{argument} is {value:?}: {reason}")
            }
            (ErrorKind::InvalidValue, Some(argument), Some(value)) if !value.is_empty() => {
                let near = self.words(ContextKind::SuggestedValue).map(|near| did_you_mean(&near));
                let near = near.unwrap_or_default();
                let argument = self.given_by(argument, &value);
                format!("{argument} is {value:?}, which is not {}{near}", self.choice())
            }
            (ErrorKind::InvalidValue, Some(argument), _) => {
                format!("{argument} is empty: it takes {}", self.choice())
            }
            (ErrorKind::MissingRequiredArgument, Some(arguments), _) => {
                format!("not given: {arguments}; --help tells more")
            }
            (ErrorKind::UnknownArgument, Some(argument), _) => self.unknown(&argument),
            (ErrorKind::ArgumentConflict, Some(argument), _) => {
                match self.words(ContextKind::PriorArg) {
                    Some(other) if other != argument => {
                        format!("{argument} and {other} exclude each other")
                    }
                    _ => format!("{argument} is given twice: give it once"),
                }
            }
            (ErrorKind::MissingSubcommand, ..) => "a verb is missing; --help lists them".to_owned(),
            (ErrorKind::InvalidUtf8, ..) => self.not_utf8(),
            _ => match verb {
                Some(verb) => self.no_verb(&verb),
                None => {
                    let said = self.error.render().to_string();
                    let first = said.lines().next().unwrap_or_default();
                    format!("{}; --help tells more", first.strip_prefix("error: ").unwrap_or(first))
                }
            },
        }
    }

    /// By what a value was given: the option, or the variable that stands for it.
    fn given_by(&self, option: String, value: &str) -> String {
        if self.arguments.iter().any(|given| given.to_string_lossy().contains(value)) {
            return option;
        }
        let name = option.split(' ').next().and_then(|name| name.strip_prefix("--"));
        let found = self.named().0.get_arguments().find(|of| of.get_long() == name);
        let variable = found.and_then(Arg::get_env).and_then(|variable| variable.to_str());
        variable.map_or(option, str::to_owned)
    }

    fn words(&self, kind: ContextKind) -> Option<String> {
        let context = self.error.get(kind)?;
        if let ContextValue::Strings(texts) = context {
            return Some(texts.join(", ")).filter(|text| !text.is_empty());
        }
        if let ContextValue::String(text) = context { Some(text.clone()) } else { None }
    }

    fn choice(&self) -> String {
        let all = self.words(ContextKind::ValidValue);
        all.map_or_else(|| "a value".to_owned(), |all| format!("one of {all}"))
    }

    /// Which arguments are not UTF-8, each with its bytes.
    fn not_utf8(&self) -> String {
        let broken = self.arguments.iter().filter(|argument| argument.to_str().is_none());
        let broken: Vec<String> = broken.map(|argument| format!("{argument:?}")).collect();
        format!("not UTF-8: {}; give the argument in UTF-8", broken.join(", "))
    }

    fn no_verb(&self, verb: &str) -> String {
        let (noun, path) = self.named();
        let full = [path.as_slice(), &[verb]].concat().join(" ");
        let near = self.words(ContextKind::SuggestedSubcommand);
        let near = near.map(|near| [path.as_slice(), &[near.as_str()]].concat().join(" "));
        let near = near.or_else(|| {
            // `issue` is a verb of `license`.
            let has = |noun: &&Command| noun.find_subcommand(verb).is_some();
            let nouns = noun.get_subcommands().filter(has);
            let full: Vec<String> =
                nouns.map(|noun| format!("{} {verb}", noun.get_name())).collect();
            (!full.is_empty()).then(|| full.join(", "))
        });
        match near {
            Some(near) => format!("there is no verb {full:?}{}", did_you_mean(&near)),
            None => format!("there is no verb {full:?}; --help lists them"),
        }
    }

    fn unknown(&self, argument: &str) -> String {
        let (command, path) = self.named();
        let verb = path.join(" ");
        if !argument.starts_with('-') {
            return match self.probably_meant(command, argument) {
                Some(meant) => format!("unexpected argument {argument:?}{}", did_you_mean(&meant)),
                None => {
                    format!(
                        "unexpected argument {argument:?}: {verb} takes no more; --help tells more"
                    )
                }
            };
        }
        if let Some(near) = self.words(ContextKind::SuggestedArg) {
            return format!("there is no option {argument}{}", did_you_mean(&near));
        }
        let name = argument.trim_start_matches('-').split('=').next().unwrap_or_default();
        let is_positional = |of: &&Arg| of.get_id().as_str().replace('_', "-") == name;
        match command.get_positionals().find(is_positional) {
            Some(_) => {
                let usage = command.get_positionals().map(|of| format!(" {of}"));
                let usage: String = usage.collect();
                format!(
                    "there is no option {argument}: the {name} is given without it: {verb}{usage}"
                )
            }
            None => format!("there is no option {argument}; {verb} --help lists them"),
        }
    }

    /// The verb that the arguments name, and its name in words; the whole where they name none.
    fn named(&self) -> (&Command, Vec<&str>) {
        let (mut command, mut path) = (&self.root, Vec::new());
        let mut arguments = self.arguments.iter().skip(1);
        while let Some(argument) = arguments.next().and_then(|argument| argument.to_str()) {
            if argument == "--db" {
                arguments.next();
            } else if !argument.starts_with('-') {
                match command.find_subcommand(argument) {
                    Some(found) => {
                        (command, path) = (found, [path, vec![found.get_name()]].concat())
                    }
                    None => break,
                }
            }
        }
        (command, path)
    }

    /// The option that an argument too many was probably the value of, with it: one by which the
    /// parser gets past it.
    fn probably_meant(&self, command: &Command, argument: &str) -> Option<String> {
        if argument.ends_with(".db") {
            return Some(format!("--db {}", shell_quoted(argument)));
        }
        // A file is given by its option, or as all that there is.
        let is_file = |option: &Arg| option.get_value_names().is_some_and(|names| names == ["F"]);
        let options = command.get_opts();
        let options = options.filter(|option| !option.is_global_set() && !is_file(option));
        let mut options: Vec<(u8, &str)> = options
            .filter_map(|option| Some((option, option.get_long()?)))
            .filter(|(_, long)| self.gets_past(argument, &[&format!("--{long}"), argument]))
            .map(|(option, long)| (self.rank(option, long, argument), long))
            .collect();
        // In the order of the help where they are alike.
        options.sort_by_key(|(rank, _)| *rank);
        let switch = format!("--{argument}");
        let is_switch = command.get_arguments().any(|of| of.get_long() == Some(argument));
        if is_switch && self.gets_past(argument, &[&switch]) {
            return Some(switch);
        }
        options.first().map(|(_, long)| format!("--{long} {}", shell_quoted(argument)))
    }

    /// How probable an option is: first those that do not take just anything, of them months and
    /// days first; of the others those that have to be given.
    fn rank(&self, option: &Arg, long: &str, argument: &str) -> u8 {
        let name = option.get_value_names().and_then(|names| names.first());
        let takes_anything = self.gets_past(argument, &[&format!("--{long}"), NONSENSE]);
        match name.map(|name| name.as_str()) {
            Some("MONTH") => 0,
            Some("DAY") => 1,
            _ if !takes_anything => 2,
            _ if option.is_required_set() => 3,
            _ => 4,
        }
    }

    /// Whether the parser gets past an argument with others in its place.
    fn gets_past(&self, argument: &str, others: &[&str]) -> bool {
        let places = self.arguments.iter().enumerate().skip(1);
        places.filter(|(_, given)| given.to_str() == Some(argument)).any(|(place, _)| {
            let mut arguments = self.arguments.to_vec();
            arguments.splice(place..=place, others.iter().map(OsString::from));
            match self.root.clone().try_get_matches_from(arguments) {
                Ok(_) => true,
                Err(error) => {
                    // Another one may be too many as well.
                    let other = error.get(ContextKind::InvalidArg).map(ToString::to_string);
                    let is_other = other.is_some_and(|other| other != argument);
                    let kind = error.kind();
                    kind == ErrorKind::MissingRequiredArgument
                        || (kind == ErrorKind::UnknownArgument && is_other)
                }
            }
        })
    }
}

fn did_you_mean(near: &str) -> String {
    format!("; did you mean {near}?")
}
