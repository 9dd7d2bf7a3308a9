//! Options of an encoder, held against the list of those that this build has.

use common::process::ToolCommand;

use crate::tools::ffmpeg::{Capabilities, EncoderOptions, OptionList};

/// An option that is needed and that this ffmpeg does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{encoder} of this ffmpeg does not know {option}")]
pub struct Unsupported {
    /// The encoder by ffmpeg's name.
    pub encoder: &'static str,
    /// The option with its value, as on the command line.
    pub option: String,
}

/// Which list an option is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum List {
    /// The encoder's own.
    Own,
    /// That of all encoders.
    Generic,
    /// Wherever it is.
    Any,
}

/// One option with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    list: List,
    name: String,
    /// The one that is wanted, and others that would do.
    values: Vec<String>,
    required: bool,
}

impl Setting {
    fn new(list: List, name: &str, value: &(impl ToString + ?Sized)) -> Self {
        Self { list, name: name.into(), values: vec![value.to_string()], required: true }
    }

    /// An option that only this encoder has.
    pub(super) fn own(name: &str, value: &(impl ToString + ?Sized)) -> Self {
        Self::new(List::Own, name, value)
    }

    /// An option that all encoders share.
    pub(super) fn generic(name: &str, value: &(impl ToString + ?Sized)) -> Self {
        Self::new(List::Generic, name, value)
    }

    /// A person's `key=value`.
    pub(super) fn further(text: &str) -> Self {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        Self::new(List::Any, name, value)
    }

    /// A value for builds that do not have the first.
    pub(super) fn or(mut self, value: &(impl ToString + ?Sized)) -> Self {
        self.values.push(value.to_string());
        self
    }

    /// Left out where the build does not have it.
    pub(super) fn optional(mut self) -> Self {
        self.required = false;
        self
    }

    fn lists<'a>(&self, can: &'a Capabilities, options: &'a EncoderOptions) -> Vec<&'a OptionList> {
        match self.list {
            List::Own => vec![&options.own],
            List::Generic => vec![&can.generic],
            // Where both have it, ffmpeg gives it to the encoder's own.
            List::Any if options.own.has(&self.name) => vec![&options.own],
            List::Any => vec![&can.generic],
        }
    }

    /// Adds the option as far as this build has it.
    pub(super) fn add_to(
        &self,
        command: ToolCommand,
        encoder: &'static str,
        can: &Capabilities,
        options: &EncoderOptions,
    ) -> Result<ToolCommand, Unsupported> {
        let lists = self.lists(can, options);
        let value = self.values.iter().find(|v| lists.iter().any(|l| l.takes(&self.name, v)));
        match value {
            Some(value) => Ok(command.arg2(self.flag(), value)),
            None if self.required => {
                let value = self.values.first().map_or("", String::as_str);
                Err(Unsupported { encoder, option: format!("{} {value}", self.flag()) })
            }
            None => Ok(command),
        }
    }

    /// Without the specifier ffmpeg warns that these two could also be meant for sound.
    fn flag(&self) -> String {
        let specifier = if matches!(self.name.as_str(), "b" | "profile") { ":v" } else { "" };
        format!("-{}{specifier}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(setting: &Setting) -> Result<String, Unsupported> {
        let options = EncoderOptions::read(include_str!("../testdata/encoder-hevc_nvenc-5.1.txt"), "");
        let can = Capabilities::read("", include_str!("../testdata/help-full-5.1.txt"), "");
        let command = setting.add_to(ToolCommand::new("x"), "hevc_nvenc", &can, &options)?;
        Ok(command.to_string())
    }

    #[test]
    fn needed_options_are_there_or_named_and_others_are_left_out() {
        assert_eq!(added(&Setting::own("rc", "vbr")).unwrap(), "x -rc vbr");
        assert_eq!(added(&Setting::own("rc", "new").or("vbr")).unwrap(), "x -rc vbr");
        assert_eq!(added(&Setting::own("rc", "new").optional()).unwrap(), "x");
        assert_eq!(added(&Setting::own("g", &120).optional()).unwrap(), "x", "that is a generic one");
        assert_eq!(added(&Setting::generic("b", &0)).unwrap(), "x -b:v 0");
        assert_eq!(added(&Setting::further("bufsize=50M")).unwrap(), "x -bufsize 50M");
        assert_eq!(added(&Setting::further("aq-strength=9")).unwrap(), "x -aq-strength 9");
        let error = added(&Setting::further("i=/etc/passwd")).unwrap_err();
        assert_eq!(error.to_string(), "hevc_nvenc of this ffmpeg does not know -i /etc/passwd");
        assert!(added(&Setting::own("preset", "slowest")).is_err());
    }
}
