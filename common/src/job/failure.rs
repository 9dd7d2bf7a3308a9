//! Why a film was not converted: stable codes, their classes, and what a person does.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What kind of failure a code is, and so what happens to the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureClass {
    /// Trying again gives the same answer: dead-letter now.
    Permanent,
    /// May go better later: retry with back-off, each try counted.
    Transient,
    /// This machine cannot do it now: give the job back, no attempt burned.
    Resource,
    /// Stopped from outside: give the job back, no attempt burned.
    Interrupted,
    /// Should be impossible: dead-letter, loudly.
    Bug,
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Permanent => "permanent",
            Self::Transient => "transient",
            Self::Resource => "resource",
            Self::Interrupted => "interrupted",
            Self::Bug => "bug",
        })
    }
}

macro_rules! codes {
    ($($name:ident $text:literal $class:ident $meaning:literal $hint:literal)*) => {
        /// A stable name for one kind of failure. The text form is what people, scripts and dead letters see.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum FailureCode {
            $(#[doc = $meaning] $name,)*
        }

        impl FailureCode {
            /// Every code, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The stable text, `area.reason`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// What the code's failures are by nature.
            pub const fn class(self) -> FailureClass {
                match self { $(Self::$name => FailureClass::$class),* }
            }

            /// What happened, in one sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning),* }
            }

            /// What a person does about it.
            pub const fn hint(self) -> &'static str {
                match self { $(Self::$name => $hint),* }
            }
        }
    };
}

codes! {
    SourceMissing "source.missing" Permanent "The film is no longer where it was when it was queued."
        "If it was moved or renamed, run `dovi-producer scan` to queue it under its new name."
    SourceChanged "source.changed" Permanent "The film's size or date changed after it was queued."
        "Run `dovi-producer scan` again once the file is complete; it is then a new job."
    SourceUnreadable "source.unreadable" Transient "Reading the film gave an I/O error."
        "Check the disk or the network share; `dovi-producer failed retry` once it reads well."
    SourceEmpty "source.empty" Permanent "The file has no content."
        "Copy the film again from where it came from."
    SourceNotMatroska "source.not-matroska" Permanent "The file is not a Matroska (MKV) file, whatever its name says."
        "Replace it by a real MKV, or keep it out of the library folders."
    SourceTruncated "source.truncated" Permanent "The file ends before its own structure says it should."
        "The copy or the rip was cut short: make it again."
    SourceDamaged "source.damaged" Permanent "Bytes inside the film are damaged."
        "Make the rip again; a player may hide the damage, a conversion would keep it for good."
    SourceNoVideo "source.no-video" Permanent "The file has no HEVC video track."
        "Nothing to do: only HEVC films can carry Dolby Vision Profile 7."
    SourceAmbiguous "source.ambiguous" Permanent "More than one video track could be the film."
        "Remux with only the main video track (and its enhancement layer)."
    SourceUnsupported "source.unsupported" Permanent "The video is built in a way that cannot be converted."
        "See the evidence; `dovi-producer inspect` on the file shows the same facts."
    SourceTimestamps "source.timestamps" Permanent "Frames have equal times, or time runs backwards, as at badly joined branches; an encoder would drop or move such frames."
        "Set `recipe.mode = \"copy\"`, which keeps every frame and its time, or make the rip again."
    SourceHardlinked "source.hardlinked" Permanent "The film has further hard links, and `output.mode` is \"replace\"."
        "Set `output.hardlinks = \"break\"` to replace it all the same (the other links keep the original), or use another `output.mode`."
    SourceSymlink "source.symlink" Permanent "The film is a symbolic link, and `output.mode` is \"replace\"."
        "Queue the file it leads to, or use another `output.mode`."
    NotProfile7 "dv.not-profile7" Permanent "The video is not Dolby Vision Profile 7."
        "Nothing to do: only Profile 7 is converted."
    ElUnreadable "dv.el-unreadable" Permanent "The enhancement layer is stored where it cannot be read."
        "Remux the disc with a current MakeMKV, which puts both layers into one track."
    RpuMissing "rpu.missing" Permanent "More frames lack their Dolby Vision metadata than the recipe allows."
        "Make the rip again, or raise `recipe.max_missing_rpu_percent` to fill the gaps from the frame before."
    RpuInvalid "rpu.invalid" Permanent "A frame's Dolby Vision metadata cannot be read."
        "The source is damaged or of an unknown kind: make the rip again."
    RpuDuplicate "rpu.duplicate" Permanent "A frame carries two different pieces of Dolby Vision metadata."
        "The mux is wrong: make the rip again."
    FelRefused "fel.refused" Permanent "The film has a full enhancement layer and the recipe says to leave such films alone."
        "Set `recipe.fel = \"allow\"` to convert it without the enhancement layer's detail."
    FelExpanding "fel.expanding" Permanent "The enhancement layer expands brightness: without it the metadata would not fit the picture."
        "Keep the original, or set `recipe.fel_expanding = \"allow\"` to convert it all the same."
    AlignOrder "align.order" Permanent "The display order of the frames cannot be proven."
        "Keep the original and report it with the output of `dovi-producer inspect --full`."
    EncodeFrames "encode.frames" Transient "The encoder gave another number of frames than the source has."
        "The source may be damaged in the picture data; `copy` mode keeps every frame."
    EncodeStream "encode.stream" Permanent "The encoder's stream lacks what Profile 8.1 needs (10 bit, PQ, BT.2020)."
        "Check `recipe.x265_params`; `dovi-consumer doctor` tests the encoder."
    EncodeFailed "encode.failed" Transient "The encoder stopped with an error."
        "The last lines of its own words are in the report; the whole log is on the share."
    EncodeUnsupported "encode.unsupported" Resource "The recipe's encoder does not work on this machine: it is missing, or its test encode failed."
        "`dovi-consumer doctor` tests all encoders and says what is wrong; another worker may have the right hardware."
    MuxFailed "mux.failed" Transient "mkvmerge could not write the result."
        "The last lines of its own words are in the report."
    ToolMissing "tool.missing" Resource "A program that the conversion needs is not installed."
        "`apt-get install -y --no-install-recommends ffmpeg mkvtoolnix`, or set tools.ffmpeg and tools.mkvmerge to where they are; `dovi-consumer doctor` looks for them."
    ToolFailed "tool.failed" Transient "A program stopped with an error."
        "The last lines of its own words are in the report."
    ToolKilled "tool.killed" Transient "A program was killed from outside."
        "Often the kernel, out of memory: look into `dmesg`; give the machine more memory."
    ToolStalled "tool.stalled" Transient "A program made no progress for the stall time and was stopped."
        "Check the share and the scratch disk of that worker."
    ProofFrames "proof.frames" Transient "The finished film has another number of frames than the source."
        "Nothing was published. Retry once; if it repeats, keep the original and report it."
    ProofRpus "proof.rpus" Transient "The finished film does not have exactly one RPU, at the right place, in every frame."
        "Nothing was published. Retry once; if it repeats, keep the original and report it."
    ProofAlignment "proof.alignment" Transient "An RPU of the finished film sits on the wrong frame."
        "Nothing was published. Retry once; if it repeats, keep the original and report it."
    ProofLevels "proof.levels" Transient "The Dolby Vision metadata of the finished film are impossible, or other than the source's."
        "Nothing was published. Retry once; if it repeats, keep the original and report it."
    ProofProfile "proof.profile" Transient "The finished film is not marked as Dolby Vision Profile 8.1."
        "Nothing was published. Check the mkvtoolnix version with `dovi-consumer doctor`."
    ProofPayload "proof.payload" Transient "The picture data read back differs from what was written."
        "Nothing was published. Suspect the disk, the share or the memory of that worker."
    ProofTracks "proof.tracks" Transient "A track is missing or changed in the finished film."
        "Nothing was published. Retry once; if it repeats, keep the original and report it."
    ProofChapters "proof.chapters" Transient "A chapter is missing or changed in the finished film."
        "Nothing was published. Retry once; if it repeats, keep the original and report it."
    ProofAttachments "proof.attachments" Transient "An attached file is missing or changed in the finished film."
        "Nothing was published. Retry once; if it repeats, keep the original and report it."
    ProofTags "proof.tags" Transient "The title or a tag is missing or changed in the finished film."
        "Nothing was published. Retry once; if it repeats, keep the original and report it."
    ProofHdr10 "proof.hdr10" Transient "The HDR10 colour description of the finished film differs from the source."
        "Nothing was published. Check `recipe.x265_params`."
    ProofTiming "proof.timing" Transient "The finished film's timing differs from the source."
        "Nothing was published. Retry once; if it repeats, keep the original and report it."
    ProofPicture "proof.picture" Transient "The finished film shows other pictures than the source, or the same at another time."
        "Nothing was published. Retry once; if it repeats, look at both films at the time named in the report."
    ProofDecode "proof.decode" Transient "The finished film does not decode without complaint, or not to all its frames."
        "Nothing was published. Suspect the memory or the disk of that worker; retry the film on another one."
    OutputExists "output.exists" Permanent "A file that is not ours already has the result's name."
        "Move that file away, then `dovi-producer failed retry`."
    OutputDenied "output.denied" Resource "The worker may not write to the output folder."
        "Give the worker's user write permission there."
    OutputTrash "output.trash" Permanent "The trash is on another file system than the film, so its original cannot go there in one step."
        "Leave `output.trash_dir` empty, or name a folder on the film's own file system; then `dovi-producer failed retry`."
    OutputName "output.name" Permanent "The result's name, or that of its folder, is longer than the file system takes."
        "Give the film or its folder a shorter name and scan again, or shorten `output.suffix`. Most file systems take 255 bytes; encrypted folders of a NAS (eCryptfs) take 143."
    ShareGone "share.gone" Resource "The share or the folder of results is not mounted: the file that marks it is absent."
        "Mount it; the worker goes on by itself. Only if the folder of results was moved on purpose: `touch` its .dovi-fleet-results."
    ShareIo "share.io" Transient "Writing to the share gave an I/O error."
        "Check the network and the share."
    DiskFull "disk.full" Resource "A disk ran full."
        "Free space on the disk named in the report; the worker goes on by itself."
    ScratchSmall "scratch.small" Resource "This worker's scratch disk is too small for the film."
        "Point `scratch.dir` to a larger disk; another worker takes the film meanwhile."
    WorkerIll "worker.ill" Resource "The worker failed its test of itself after this failure, so that it does not count against the film."
        "Nothing to do for the film; `dovi-producer status` and the worker's log say what is wrong with the worker."
    LeaseLost "lease.lost" Interrupted "Another worker took the film over while this one was frozen or cut off."
        "Nothing to do."
    Shutdown "shutdown" Interrupted "The worker was told to stop."
        "Nothing to do: the film is back in the queue."
    Cancelled "cancelled" Permanent "A person cancelled the job."
        "`dovi-producer failed retry` queues it again."
    MessageMalformed "message.malformed" Permanent "The message in the queue is not a job."
        "Something else published into the queue; discard it."
    MessageVersion "message.version" Permanent "The message was written by a newer version."
        "Update this worker, then `dovi-producer failed retry`."
    MessagePath "message.path" Permanent "The message names a path outside the library, or a library root this worker does not have."
        "Compare `library.roots` of producer and worker."
    Poison "poison" Permanent "Workers died over this film again and again."
        "Look at the logs of its attempts; retry it alone on a machine you watch."
    BugPanic "bug.panic" Bug "The program hit a state that should be impossible."
        "Please report it with the log."
}

impl FailureCode {
    /// Whether a result was made and found wrong. Twice in a row that is no accident.
    pub fn is_of_proof(self) -> bool {
        self.as_str().starts_with("proof.") || self == Self::EncodeFrames
    }
}

/// A text that names no failure code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a failure code")]
pub struct UnknownCode(String);

impl FromStr for FailureCode {
    type Err = UnknownCode;

    fn from_str(s: &str) -> Result<Self, UnknownCode> {
        Self::ALL.iter().copied().find(|c| c.as_str() == s).ok_or_else(|| UnknownCode(s.to_owned()))
    }
}

impl fmt::Display for FailureCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for FailureCode {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for FailureCode {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_round_trip() {
        for (i, code) in FailureCode::ALL.iter().enumerate() {
            assert_eq!(code.as_str().parse::<FailureCode>(), Ok(*code));
            assert!(!FailureCode::ALL[..i].iter().any(|c| c.as_str() == code.as_str()), "{code} twice");
            assert!(code.meaning().ends_with('.') && !code.hint().is_empty(), "{code}");
        }
    }

    #[test]
    fn every_code_has_its_row_in_the_documentation() {
        let doc = include_str!("../../../docs/FAILURES.md");
        for code in FailureCode::ALL {
            let row = format!(
                "| `{code}` | {} | {} | {} |",
                code.class(),
                code.meaning(),
                code.hint().replace('|', "\\|")
            );
            assert!(doc.contains(&row), "docs/FAILURES.md lacks this row:\n{row}");
        }
        let rows = doc.lines().filter(|l| l.starts_with("| `")).count();
        assert_eq!(rows, FailureCode::ALL.len(), "docs/FAILURES.md has rows of codes that do not exist");
    }
}
