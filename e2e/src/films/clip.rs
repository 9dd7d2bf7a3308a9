//! Encodes the layers of a film: test pictures with their own number painted in, by ffmpeg and libx265.

use std::path::Path;

use anyhow::{Result, ensure};

use super::packets::{self, Packet};
use super::spec::{Coding, FilmRecipe, GOP, Gop, Grade, LEADING, Layers, Light};
use crate::tool;

/// Bits of the frame number painted into each picture.
pub(super) const NUMBER_BITS: u32 = 16;

/// HDR10 mastering display (P3-D65, 1000 nits) in x265's order G, B, R; units 0.00002 and 0.0001 cd/m2.
pub(super) const MASTER_DISPLAY: &str =
    "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)";
/// MaxCLL and MaxFALL of the base layer in cd/m2.
pub(super) const MAX_CLL: &str = "1000,400";

/// What a layer shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Picture {
    /// A moving test card with the frame's number, 10 bit, tagged like this.
    Card(Grade, Light),
    /// The same card in BT.709, 8 bit.
    Sdr,
    /// An enhancement layer without content.
    Gray,
    /// An enhancement layer full of residual.
    Noise,
}

impl Picture {
    /// The picture of a film's base layer.
    pub(super) fn of_base(recipe: &FilmRecipe) -> Self {
        match recipe.layers {
            Layers::Sdr => Self::Sdr,
            // Level 6 is no part of the clip.
            _ if recipe.light == Light::OtherInLevel6 => Self::Card(recipe.grade, Light::Sei),
            _ => Self::Card(recipe.grade, recipe.light),
        }
    }
}

/// A coded layer, before RPUs and container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Clip {
    pub picture: Picture,
    pub gop: Gop,
    pub coding: Coding,
    pub frames: u64,
    pub width: u32,
    pub height: u32,
    pub letterbox: u32,
    pub imax: bool,
}

impl Clip {
    /// Encodes into `dir` and reads the packets back, in decode order, display indices counted from zero.
    pub(super) fn encode(&self, dir: &Path) -> Result<Vec<Packet>> {
        // A stream that begins with a CRA is one whose first GOP was cut off, save its successor's leading pictures.
        let cut = if self.gop == Gop::OpenFromCra { GOP - LEADING } else { 0 };
        let stem = "clip";
        let mut command = tool::ffmpeg();
        command.current_dir(dir).args(["-f", "lavfi", "-i", &self.source(cut)]);
        command.args(["-map", "0:v", "-frames:v", &(self.frames + cut).to_string()]);
        command.args(["-pix_fmt", if self.picture == Picture::Sdr { "yuv420p" } else { "yuv420p10le" }]);
        command.args(["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", &self.parameters()]);
        command.args(["-f", "tee", &packets::tee(stem)]);
        tool::run(&mut command)?;
        let mut coded = packets::read(dir, stem)?;
        ensure!(coded.len() as u64 == self.frames + cut, "{} packets for {self:?}", coded.len());
        if cut > 0 {
            // CRA is NAL type 21. Everything before the second key frame goes, in decode order.
            let is_cra = |p: &Packet| packets::nals(&p.bytes).iter().any(|n| packets::nal_type(n) == 21);
            let first = coded.iter().position(is_cra);
            coded.drain(..first.unwrap_or_default());
            ensure!(coded.len() as u64 == self.frames, "{} packets left of {self:?}", coded.len());
        }
        packets::rank(&mut coded)?;
        Ok(coded)
    }

    /// The lavfi graph. Picture `n` of the film shows the number `n`, also where `cut` pictures come before.
    fn source(&self, cut: u64) -> String {
        let Self { width, height, letterbox, .. } = *self;
        match self.picture {
            Picture::Gray => format!("color=c=gray:size={width}x{height}:rate=24000/1001"),
            Picture::Noise => format!(
                "color=c=gray:size={width}x{height}:rate=24000/1001,format=yuv420p,noise=all_seed=7:alls=24:allf=t+u"
            ),
            Picture::Card(..) | Picture::Sdr => {
                let inner = height - 2 * letterbox;
                let (card, bars) = if self.imax {
                    let card = format!("testsrc2=size={width}x{height}:rate=24000/1001");
                    let bar = |y: u32| {
                        let there = format!("not(mod(floor(n/{GOP}),2))");
                        format!(
                            "drawbox=x=0:y={y}:w={width}:h={letterbox}:color=black:t=fill:enable='{there}'"
                        )
                    };
                    (card, format!("{},{}", bar(0), bar(height - letterbox)))
                } else {
                    let card = format!("testsrc2=size={width}x{inner}:rate=24000/1001");
                    (card, format!("pad={width}:{height}:0:{letterbox}:black"))
                };
                let cell = number_cell(width);
                let black =
                    format!("drawbox=x=0:y={letterbox}:w={}:h={cell}:color=black:t=fill", cell * NUMBER_BITS);
                let bits = (0..NUMBER_BITS).map(|bit| {
                    let x = bit * cell;
                    // Pictures that will be cut off have negative numbers; nobody reads them.
                    let enable = format!("gte(n,{cut})*bitand(max(n-{cut},0),{})", 1u32 << bit);
                    format!(
                        "drawbox=x={x}:y={letterbox}:w={cell}:h={cell}:color=white:t=fill:enable='{enable}'"
                    )
                });
                let graph: Vec<String> = [card, bars, black].into_iter().chain(bits).collect();
                graph.join(",")
            }
        }
    }

    fn parameters(&self) -> String {
        let open = u8::from(!matches!(self.gop, Gop::Closed | Gop::Radl));
        // One frame thread and no pools: the same bits on every machine, and the structure both layers share.
        let mut all = format!(
            "log-level=error:frame-threads=1:keyint={GOP}:min-keyint={GOP}:scenecut=0:b-adapt=0:bframes=4:\
             open-gop={open}:repeat-headers=1:annexb=1:info=0"
        );
        if self.gop == Gop::Radl {
            all.push_str(":radl=3");
        }
        all.push_str(match self.coding {
            Coding::TemporalLayers => ":temporal-layers=1",
            // Slices are made of whole rows of coding tree units, of which a small picture has few large ones.
            Coding::Slices => ":slices=3:ctu=16",
            Coding::Fields => ":interlace=tff",
            Coding::NewParameters => ":ctu=32:max-tu-size=16:log2-max-poc-lsb=6",
            Coding::Plain | Coding::NoAud | Coding::NewSize => "",
        });
        let coding = match self.picture {
            Picture::Card(..) => format!(":aud={}:crf=18", u8::from(self.coding != Coding::NoAud)),
            Picture::Sdr => ":crf=20".to_owned(),
            Picture::Gray => ":crf=30".to_owned(),
            Picture::Noise => ":crf=24".to_owned(),
        };
        all + &coding + &self.colour()
    }

    /// Colour tags and HDR10 values.
    fn colour(&self) -> String {
        let tags = |primaries: &str, transfer: &str, matrix: &str| {
            format!(":colorprim={primaries}:transfer={transfer}:colormatrix={matrix}:range=limited")
        };
        let Picture::Card(grade, light) = self.picture else {
            return if self.picture == Picture::Sdr {
                tags("bt709", "bt709", "bt709")
            } else {
                String::new()
            };
        };
        let tags = match grade {
            Grade::Pq => tags("bt2020", "smpte2084", "bt2020nc") + ":chromaloc=2",
            Grade::Hlg => tags("bt2020", "arib-std-b67", "bt2020nc") + ":chromaloc=2",
            Grade::Bt709 => tags("bt709", "bt709", "bt709"),
            Grade::Untagged => String::new(),
        };
        let light = match light {
            // hdr10=1 writes a CLL message of zeros where there is none.
            _ if matches!(grade, Grade::Hlg | Grade::Bt709) => String::new(),
            Light::Container => String::new(),
            Light::NoCll => format!(":master-display={MASTER_DISPLAY}"),
            Light::Sei | Light::OtherInLevel6 => {
                format!(":hdr10=1:master-display={MASTER_DISPLAY}:max-cll={MAX_CLL}")
            }
        };
        tags + &light
    }
}

/// Side of the squares the frame number is painted with, in pixels.
pub(super) fn number_cell(width: u32) -> u32 {
    (width / 40) & !1
}
