//! Files that are not what they should be.

use crate::films::spec::{Container, FileDamage, FilmSpec, Layers, Sound};

pub(super) fn films() -> Vec<FilmSpec> {
    let mel = |name| FilmSpec::new(name, Layers::Mel);
    vec![
        mel("truncated")
            .file_damage(FileDamage::Truncated(60), "source.truncated")
            .shows("the last 40 % of the file are missing"),
        mel("truncated-live")
            .container(Container::Live)
            .file_damage(FileDamage::Truncated(60), "source.truncated")
            .shows("the same, and no element says how long the file should be"),
        mel("empty").file_damage(FileDamage::Empty, "source.empty").shows("no bytes at all"),
        mel("not-matroska")
            .file_damage(FileDamage::NotMatroska, "source.not-matroska")
            .shows("a text file with the extension .mkv"),
        mel("flipped-structure")
            .file_damage(FileDamage::FlippedStructure, "source.damaged")
            .shows("a cluster's size, timestamp and first block head have flipped bits"),
        mel("hole-in-picture")
            .file_damage(FileDamage::HoleInPicture, "source.damaged")
            .shows("3000 zero bytes in a picture"),
        mel("sound-no-duration")
            .sound(Sound::NoDuration)
            .fails("proof.tracks")
            .shows("laced FLAC without frame durations: mkvmerge would lose the times inside each lace"),
        mel("hole-in-sound")
            .file_damage(FileDamage::HoleInSound, "proof.tracks")
            .verdict_stays("MEL")
            .shows("3000 zero bytes in a FLAC track: mkvmerge copies it otherwise than it is"),
    ]
}
