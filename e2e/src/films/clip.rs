//! Encodes the layers of a film: test pictures with their own number painted in, by ffmpeg and libx265.

use std::path::Path;

use anyhow::{Result, ensure};

use super::packets::{self, Packet};
use super::spec::{GOP, Gop, LEADING};
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
    /// The base layer: a moving test card, HDR10.
    Hdr10,
    /// The base layer: the same card in BT.709, 8 bit.
    Sdr,
    /// An enhancement layer without content.
    Gray,
    /// An enhancement layer full of residual.
    Noise,
}

/// A coded layer, before RPUs and container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Clip {
    pub picture: Picture,
    pub gop: Gop,
    pub frames: u64,
    pub width: u32,
    pub height: u32,
    pub letterbox: u32,
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
            Picture::Hdr10 | Picture::Sdr => {
                let inner = height - 2 * letterbox;
                let card = format!("testsrc2=size={width}x{inner}:rate=24000/1001");
                let bars = format!("pad={width}:{height}:0:{letterbox}:black");
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
        let open = u8::from(self.gop != Gop::Closed);
        // One frame thread and no pools: the same bits on every machine, and the structure both layers share.
        let structure = format!(
            "log-level=error:frame-threads=1:keyint={GOP}:min-keyint={GOP}:scenecut=0:b-adapt=0:bframes=4:\
             open-gop={open}:repeat-headers=1:annexb=1:info=0"
        );
        let hdr = format!(
            "hdr10=1:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:range=limited:chromaloc=2:\
             master-display={MASTER_DISPLAY}:max-cll={MAX_CLL}"
        );
        match self.picture {
            Picture::Hdr10 => format!("{structure}:aud=1:crf=18:{hdr}"),
            Picture::Sdr => {
                format!("{structure}:crf=20:colorprim=bt709:transfer=bt709:colormatrix=bt709:range=limited")
            }
            Picture::Gray => format!("{structure}:crf=30"),
            Picture::Noise => format!("{structure}:crf=24"),
        }
    }
}

/// Side of the squares the frame number is painted with, in pixels.
pub(super) fn number_cell(width: u32) -> u32 {
    (width / 40) & !1
}
