//! The dimensions in which films differ.

/// Dolby Vision layers, or their absence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layers {
    /// Profile 7, minimal enhancement layer: BL, a gray EL and RPUs with the trivial NLQ.
    Mel,
    /// Profile 7, full enhancement layer without signs of brightness expansion; its luma curve has slope 1.05.
    Fel,
    /// As [`Self::Fel`], but the curve is identity.
    FelIdentity,
    /// Profile 7, full enhancement layer graded to 4000 nits over a 1000 nits base layer.
    FelExpanding,
    /// Profile 7, minimal and full enhancement layer by turns of one GOP.
    Mixed,
    /// RPUs of profile 4 (12 bit target missing) with an EL.
    Profile4,
    /// Profile 8.1: BL and RPUs.
    Profile81,
    /// Profile 8.2: RPUs over a BT.709 base layer.
    Profile82,
    /// Profile 8.4: RPUs over an HLG base layer.
    Profile84,
    /// RPUs flagged profile 5 (IPT base layer).
    Profile5,
    /// HDR10 without Dolby Vision.
    Hdr10,
    /// HLG without Dolby Vision.
    Hlg,
    /// BT.709, 8 bit.
    Sdr,
}

impl Layers {
    /// Whether the film carries an enhancement layer (unless its storage says otherwise).
    pub fn has_el(self) -> bool {
        self.is_profile7() || self == Self::Profile4
    }

    /// Whether the film carries RPUs.
    pub fn has_rpu(self) -> bool {
        !matches!(self, Self::Hdr10 | Self::Hlg | Self::Sdr)
    }

    /// Whether its RPUs are of profile 7.
    pub fn is_profile7(self) -> bool {
        matches!(self, Self::Mel | Self::Fel | Self::FelIdentity | Self::FelExpanding | Self::Mixed)
    }

    /// Whether the EL is full of residual.
    pub(in crate::films) fn is_full(self) -> bool {
        self.is_profile7() && self != Self::Mel
    }
}

/// Colour tags of the base layer's VUI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Grade {
    /// BT.2020 and PQ.
    Pq,
    /// None at all.
    Untagged,
    /// BT.2020 and HLG.
    Hlg,
    /// BT.709.
    Bt709,
}

/// Where the HDR10 values of the base layer stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Light {
    /// In SEI messages of each key frame.
    Sei,
    /// As [`Self::Sei`], without MaxCLL and MaxFALL anywhere in the film.
    NoCll,
    /// Only in the container's Colour element.
    Container,
    /// In SEI messages, and level 6 of the RPUs says 4000 nits instead of 1000.
    OtherInLevel6,
}

/// Version of the content mapping metadata in the RPUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cm {
    /// v2.9: levels 1 to 7.
    V29,
    /// v4.0: also levels 8 to 11 and 254.
    V40,
}

/// How the groups of pictures hang together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Gop {
    /// IDR at every key frame.
    Closed,
    /// IDR first, then CRA with leading RASL pictures.
    Open,
    /// The stream begins with a CRA, whose leading pictures no decoder can output.
    OpenFromCra,
    /// An end-of-sequence NAL before the middle CRA, as at the joints of seamless branching.
    OpenWithEos,
    /// IDR with leading RADL pictures.
    Radl,
}

/// How the base layer is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coding {
    /// One slice a picture, an access unit delimiter before each.
    Plain,
    /// No access unit delimiters.
    NoAud,
    /// Three slices a picture.
    Slices,
    /// Two temporal layers.
    TemporalLayers,
    /// Marked as fields (`field_seq_flag`).
    Fields,
    /// From the middle key frame on, the parameter sets of the same numbers say something else.
    NewParameters,
    /// From the middle key frame on, the picture is smaller.
    NewSize,
}

/// Where the enhancement layer lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Storage {
    /// Wrapped in NAL type 63 inside the BL's access units.
    SingleTrack,
    /// A second HEVC track with EL and RPU.
    DualTrack,
    /// The same, but the EL's track stands before the BL's.
    DualElFirst,
    /// A second HEVC track with the EL; no RPU anywhere.
    DualWithoutRpus,
    /// Nowhere: only the RPUs are left of it.
    NoEl,
    /// EL and RPU in Matroska BlockAdditions beside each BL picture.
    Additions,
}

impl Storage {
    /// The EL has a track of its own.
    pub fn is_dual(self) -> bool {
        matches!(self, Self::DualTrack | Self::DualElFirst | Self::DualWithoutRpus)
    }
}

/// How the Matroska file is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Container {
    /// As mkvmerge does.
    Plain,
    /// Sound and video compressed with zlib.
    Zlib,
    /// What all frames of the film begin with is stripped from them (header removal compression).
    HeaderStripped,
    /// Without an index.
    NoCues,
    /// As written by a recorder that cannot seek: segment and clusters of unknown size, no index, no duration.
    Live,
    /// Void elements before and inside clusters, block groups and the track list.
    Voids,
    /// Without a Dolby Vision configuration record.
    NoRecord,
    /// The configuration record says profile 7, but RPUs and EL were taken out.
    RecordOnly,
}

/// The clock of the video track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Timing {
    /// 24000/1001 from zero.
    Constant,
    /// So many frames per second (numerator, denominator).
    Rate(u32, u32),
    /// 24000/1001, rounded to milliseconds, and the container names no frame duration.
    Rounded,
    /// Film and video cadence by turns (24000/1001 and 30000/1001, a second each).
    Variable,
    /// 24000/1001, but the first picture comes this many ms after zero.
    StartsAt(u32),
    /// At the joint in the middle (end of sequence, IDR) the clock steps back by so many frames: with 1, two pictures
    /// have the same time.
    StepsBack(u8),
}

/// A further video track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExtraVideo {
    /// None.
    None,
    /// A smaller AVC track.
    Avc,
    /// A smaller HEVC track, neither half the size nor Dolby Vision.
    Hevc,
    /// A picture of the cover as an MJPEG track, before the film.
    CoverFirst,
    /// A second HEVC track of the same size.
    Rival,
}

/// Peculiar sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sound {
    /// AC-3 and FLAC from zero, laced.
    Plain,
    /// A TrueHD track besides, with a gap of a quarter of a second as left at branch points.
    TrueHdGap,
    /// The AC-3 track begins 120 ms late.
    Delayed,
    /// The container names no frame duration for the laced tracks.
    NoDuration,
}

/// What is wrong with the RPUs, by display index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RpuDamage {
    /// Nothing.
    None,
    /// `count` frames from `first` on have none.
    Missing {
        /// First display index without RPU.
        first: u64,
        /// How many in a row.
        count: u64,
    },
    /// The very last frame has none.
    MissingLast,
    /// Only three frames of each thirteen have one (23 %).
    Sparse,
    /// This frame's RPU has flipped bits: its CRC is wrong.
    Garbage(u64),
    /// This frame has a second RPU that says something else.
    Duplicate(u64),
    /// This frame has its RPU twice.
    Twice(u64),
    /// Every RPU stands before the EL of its access unit instead of last.
    NotLast,
}

/// What is wrong with the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileDamage {
    /// Nothing.
    None,
    /// Only this many per cent of the bytes are there.
    Truncated(u8),
    /// No bytes at all.
    Empty,
    /// A text file with the extension .mkv.
    NotMatroska,
    /// The identifiers and sizes of some elements in the middle have flipped bits.
    FlippedStructure,
    /// 3000 zero bytes in a picture of the film, in the second half.
    HoleInPicture,
    /// 3000 zero bytes in the FLAC track, in the second half.
    HoleInSound,
}
