//! What lies around the film: other tracks, and files built in other ways.

use crate::films::spec::{Container, ExtraVideo, FilmSpec, Layers, Sound};

pub(super) fn films() -> Vec<FilmSpec> {
    let mel = |name| FilmSpec::new(name, Layers::Mel);
    let built = |name, container, what| mel(name).container(container).shows(what);
    vec![
        mel("extra-avc").extra(ExtraVideo::Avc).shows("a smaller AVC track besides"),
        mel("extra-hevc").extra(ExtraVideo::Hevc).shows("a smaller HEVC track besides that is no EL"),
        mel("extra-cover").extra(ExtraVideo::CoverFirst).shows("a cover as MJPEG track, before the film"),
        mel("two-films")
            .extra(ExtraVideo::Rival)
            .fails("source.ambiguous")
            .no_verdict()
            .shows("a second HEVC track of the same size"),
        mel("truehd-gap").sound(Sound::TrueHdGap).shows("a gap in TrueHD sound, as at branch points"),
        mel("sound-delayed").sound(Sound::Delayed).shows("sound that begins 120 ms after the picture"),
        built("file-zlib", Container::Zlib, "film and sound compressed with zlib"),
        built(
            "file-stripped",
            Container::HeaderStripped,
            "what all frames of the film begin with is stripped (header removal)",
        ),
        built("file-no-cues", Container::NoCues, "no index"),
        built("file-live", Container::Live, "segment and clusters of unknown size, no index, no duration"),
        built("file-voids", Container::Voids, "Void elements wherever they may stand"),
        built("no-record", Container::NoRecord, "RPUs and EL, but no Dolby Vision record in the container"),
        built("record-only", Container::RecordOnly, "the container says profile 7, but RPUs and EL are gone")
            .verdict("HDR10"),
    ]
}
