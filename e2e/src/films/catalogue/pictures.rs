//! Base layers coded, tagged and timed in every way.

use crate::films::spec::{Coding, FilmSpec, Gop, Grade, Layers, Light, Timing};

pub(super) fn films() -> Vec<FilmSpec> {
    let mel = |name| FilmSpec::new(name, Layers::Mel);
    let mut films = vec![
        mel("mel-open-gop").gop(Gop::Open).shows("CRA with leading RASL pictures"),
        mel("mel-cra-start")
            .gop(Gop::OpenFromCra)
            .notice("never shown by a decoder")
            .shows("begins with a CRA: its leading pictures are in the file, but no decoder shows them"),
        mel("mel-eos")
            .gop(Gop::OpenWithEos)
            .notice("never shown by a decoder")
            .shows("an end of sequence before a CRA, as at joints of seamless branching"),
        mel("mel-radl").gop(Gop::Radl).shows("IDR with leading RADL pictures: negative picture order counts"),
        mel("mel-slices").coding(Coding::Slices).shows("three slices a picture"),
        mel("mel-temporal-layers").coding(Coding::TemporalLayers).shows("two temporal layers"),
        mel("mel-no-aud").coding(Coding::NoAud).shows("no access unit delimiters"),
        mel("mel-new-parameters")
            .coding(Coding::NewParameters)
            .shows("parameter sets change under the same numbers in the middle"),
        mel("new-size")
            .coding(Coding::NewSize)
            .fails("source.unsupported")
            .shows("the picture is smaller from the middle on"),
        mel("fields").coding(Coding::Fields).fails("source.unsupported").shows("coded as fields"),
        mel("mel-odd-height").cropped().shows("a height that is no multiple of four (conformance window)"),
    ];
    films.extend(colour());
    films.extend(timing());
    films
}

fn colour() -> Vec<FilmSpec> {
    let mel = |name| FilmSpec::new(name, Layers::Mel);
    vec![
        mel("mel-untagged")
            .grade(Grade::Untagged)
            .copy_fails("source.unsupported")
            .shows("a base layer without colour tags: encode writes them, copy cannot"),
        mel("base-hlg")
            .grade(Grade::Hlg)
            .fails("source.unsupported")
            .shows("profile 7 RPUs over an HLG base layer"),
        mel("base-bt709")
            .grade(Grade::Bt709)
            .fails("source.unsupported")
            .shows("profile 7 RPUs over a BT.709 base layer"),
        mel("light-in-container")
            .light(Light::Container)
            .shows("HDR10 values in the container's Colour element only"),
        mel("light-no-cll").light(Light::NoCll).shows("no MaxCLL anywhere: none may be invented"),
        mel("mel-hdr10plus").hdr10plus().shows("HDR10+ on every picture, too"),
    ]
}

fn timing() -> Vec<FilmSpec> {
    let mel = |name| FilmSpec::new(name, Layers::Mel);
    vec![
        mel("mel-24").timing(Timing::Rate(24, 1)).shows("24 frames per second"),
        mel("mel-25").timing(Timing::Rate(25, 1)).shows("25 frames per second"),
        mel("mel-2997").timing(Timing::Rate(30_000, 1001)).shows("30000/1001 frames per second"),
        mel("mel-vfr").timing(Timing::Variable).shows("24000/1001 and 30000/1001 by turns"),
        mel("mel-rounded")
            .timing(Timing::Rounded)
            .shows("timestamps in whole milliseconds, no frame duration in the container"),
        mel("mel-offset").timing(Timing::StartsAt(84)).shows("the first picture comes 84 ms after zero"),
        mel("time-equal")
            .timing(Timing::StepsBack(1))
            .encode_fails("source.timestamps")
            .shows("a joint where two pictures have the same time (a frame doubled)"),
        mel("time-backwards")
            .timing(Timing::StepsBack(3))
            .encode_fails("source.timestamps")
            .shows("a joint where the clock steps back by three frames"),
    ]
}
