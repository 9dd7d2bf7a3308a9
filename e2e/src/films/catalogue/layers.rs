//! Dolby Vision of every kind: layers, where they lie, and RPUs with something unusual or wrong.

use crate::films::spec::{Cm, FilmSpec, Gop, Layers, Light, RpuDamage, Storage};

pub(super) fn films() -> Vec<FilmSpec> {
    let mel = |name| FilmSpec::new(name, Layers::Mel);
    let skipped = |name, layers, what| FilmSpec::new(name, layers).shows(what);
    vec![
        mel("mel-closed-gop").shows("MEL, CM v4.0, IDR at every key frame: the plain case"),
        mel("mel-cmv29").cm(Cm::V29).shows("MEL, CM v2.9"),
        FilmSpec::new("fel", Layers::Fel).shows("FEL with a luma curve of slope 1.05"),
        FilmSpec::new("fel-identity", Layers::FelIdentity).shows("FEL with an identity luma curve"),
        FilmSpec::new("fel-cmv29", Layers::Fel).cm(Cm::V29).gop(Gop::Open).shows("FEL, CM v2.9, open GOP"),
        FilmSpec::new("fel-expanding", Layers::FelExpanding)
            .shows("FEL mastered for 4000 nits with L1 far above its 1000 nits base layer"),
        FilmSpec::new("mixed-layers", Layers::Mixed)
            .shows("MEL and FEL by turns of one GOP")
            .notice("mixed layers"),
        mel("mel-without-el")
            .storage(Storage::NoEl)
            .shows("profile 7 RPUs of a film whose EL was thrown away (encoded again)")
            .notice("without an enhancement layer"),
        mel("mel-dual-track").dual_track().shows("EL and RPUs in a second track"),
        mel("mel-dual-el-first").storage(Storage::DualElFirst).shows("the EL's track stands before the BL's"),
        mel("dual-without-rpus")
            .storage(Storage::DualWithoutRpus)
            .verdict("HDR10")
            .shows("a second track that looks like an EL, no RPU anywhere"),
        mel("el-in-additions")
            .storage(Storage::Additions)
            .fails("dv.el-unreadable")
            .no_verdict()
            .shows("EL and RPUs in Matroska BlockAdditions"),
        skipped("p81", Layers::Profile81, "profile 8.1 already"),
        skipped("p82", Layers::Profile82, "profile 8 over BT.709"),
        skipped("p84", Layers::Profile84, "profile 8 over HLG"),
        skipped("p5", Layers::Profile5, "RPUs of profile 5 (the base layer is IPT)"),
        skipped("p4", Layers::Profile4, "RPUs of profile 4, with an EL"),
        skipped("hdr10", Layers::Hdr10, "HDR10 without Dolby Vision"),
        skipped("hdr10plus", Layers::Hdr10, "HDR10+ without Dolby Vision").hdr10plus(),
        skipped("hlg", Layers::Hlg, "HLG without Dolby Vision"),
        skipped("sdr", Layers::Sdr, "BT.709, 8 bit"),
    ]
}

/// Films whose RPUs are peculiar.
pub(super) fn rpus() -> Vec<FilmSpec> {
    let mel = |name| FilmSpec::new(name, Layers::Mel);
    vec![
        mel("rpu-missing-start")
            .rpu_damage(RpuDamage::Missing { first: 0, count: 3 }, "rpu.missing")
            .shows("the first three frames have no RPU"),
        mel("rpu-missing")
            .rpu_damage(RpuDamage::Missing { first: 30, count: 20 }, "rpu.missing")
            .shows("twenty frames in a row have no RPU"),
        mel("rpu-missing-one")
            .rpu_damage(RpuDamage::Missing { first: 41, count: 1 }, "rpu.missing")
            .shows("one frame in the middle has no RPU"),
        mel("rpu-missing-last")
            .rpus(RpuDamage::MissingLast)
            .notice("had no rpu")
            .shows("the very last frame has no RPU (rips that end one short)"),
        mel("rpu-sparse")
            .rpu_damage(RpuDamage::Sparse, "rpu.missing")
            .shows("only 23 % of the frames have an RPU"),
        mel("rpu-twice")
            .rpus(RpuDamage::Twice(33))
            .notice("more than one rpu")
            .shows("a frame has the same RPU twice"),
        mel("rpu-duplicate")
            .rpu_damage(RpuDamage::Duplicate(33), "rpu.duplicate")
            .shows("a frame has two different RPUs"),
        mel("rpu-not-last")
            .rpus(RpuDamage::NotLast)
            .shows("every RPU stands before the EL instead of last in its access unit"),
        mel("rpu-garbage")
            .rpu_damage(RpuDamage::Garbage(41), "rpu.invalid")
            .shows("a frame's RPU has flipped bits"),
        mel("rpu-large").large_rpus().shows("RPUs of more than 1023 bytes (MMR curves of eight pieces)"),
        mel("mel-letterbox").letterbox(44).shows("black bars, and an active area (L5) that says so"),
        mel("mel-imax").imax(22).shows("an active area (L5) that changes from scene to scene"),
        mel("light-other-in-l6")
            .light(Light::OtherInLevel6)
            .notice("mastering luminance")
            .shows("level 6 says 4000 nits, the mastering display 1000"),
    ]
}
