//! Large films in little time: a few seconds are encoded once, and their closed GOPs are repeated with new RPUs.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use dovi::annexb::write_nal;
use dovi::au::{AccessUnit, AuReader};

use crate::films::{FilmSpec, Layers};
use crate::tool;

/// Frames that are encoded; two closed GOPs.
const CLIP_FRAMES: u64 = 48;
/// Header of NAL type 63 in front of every EL NAL unit.
const EL_HEADER: [u8; 2] = [0x7E, 0x01];

/// How heavy films are made.
#[derive(Debug, Clone, Copy)]
pub struct Weight {
    /// Size of the base layer in pixels; the enhancement layer has half.
    pub size: (u32, u32),
    /// Strength of the noise over the picture, which decides the bytes of a frame.
    pub noise: u32,
}

impl Weight {
    /// About 140 KB a frame, 27 Mbit/s (measured): a disc at the lower end. The work on a coded frame depends on its bytes
    /// and not on its pixels, so 1080p serves and encodes four times as fast.
    pub const DISC: Self = Self { size: (1920, 1080), noise: 13 };
    /// A few KB a frame, for trying the harness itself.
    pub const LIGHT: Self = Self { size: (320, 180), noise: 4 };
}

/// The coded pictures of both layers, to be repeated.
pub struct Clip {
    dir: PathBuf,
    layers: Layers,
    bl: Vec<(u64, AccessUnit)>,
    el: Vec<(u64, AccessUnit)>,
}

impl Clip {
    /// Encodes the layers with ffmpeg and x265 in `dir`.
    ///
    /// # Errors
    /// A tool is missing or failed.
    pub fn encode(dir: &Path, layers: Layers, weight: Weight) -> Result<Self> {
        let (w, h) = weight.size;
        let card = format!(
            "testsrc2=size={w}x{h}:rate=24000/1001,format=yuv420p10le,noise=all_seed=7:alls={}:allf=t+u",
            weight.noise
        );
        let residual = format!(
            "color=c=gray:size={}x{}:rate=24000/1001,format=yuv420p10le{}",
            w / 2,
            h / 2,
            if layers == Layers::Mel { "" } else { ",noise=all_seed=5:alls=40:allf=t+u" }
        );
        let hdr = "aud=1:crf=18:hdr10=1:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:range=limited:\
                   chromaloc=2:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):\
                   max-cll=1000,400";
        let bl = pictures(&dir.join("bl.hevc"), &card, hdr)?;
        let el =
            if layers.has_el() { pictures(&dir.join("el.hevc"), &residual, "crf=20")? } else { Vec::new() };
        let same = el.is_empty() || bl.iter().map(|p| p.0).eq(el.iter().map(|p| p.0));
        ensure!(same, "the layers differ in structure");
        Ok(Self { dir: dir.to_owned(), layers, bl, el })
    }

    /// Writes a film of `repeats` times the clip, with sound and subtitles, to `path`. Every frame has an RPU of its own.
    /// Gives the number of frames.
    ///
    /// # Errors
    /// A tool failed or the disk is full.
    pub fn film(&self, path: &Path, repeats: u64) -> Result<u64> {
        let frames = repeats * CLIP_FRAMES;
        let stream = self.dir.join("film.hevc");
        self.stream(&stream, repeats)?;
        let (flac, ac3) = self.sound(frames)?;
        let srt = self.dir.join("film.srt");
        std::fs::write(&srt, subtitles(frames))?;
        let mut mux = tool::command("mkvmerge");
        mux.args(["--quiet", "--deterministic", "bench", "--title", "Bench", "--output"]).arg(path);
        mux.args(["--default-duration", "0:24000/1001p", "--language", "0:en"]).arg(&stream);
        mux.args(["--language", "0:en", "--track-name", "0:Lossless"]).arg(&flac);
        mux.args(["--language", "0:fr", "--track-name", "0:Surround"]).arg(&ac3);
        mux.args(["--language", "0:en"]).arg(&srt);
        tool::run_accepting(&mut mux, &[0, 1])?;
        for part in [stream, flac, ac3, srt] {
            std::fs::remove_file(part)?;
        }
        Ok(frames)
    }

    /// The elementary stream: per access unit the base layer, the enhancement layer wrapped in type 63, the RPU last.
    fn stream(&self, path: &Path, repeats: u64) -> Result<()> {
        let rpus = FilmSpec::new("bench", self.layers).frames(repeats * CLIP_FRAMES).recipe.rpus()?;
        let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
        let mut wrapped = Vec::new();
        for repeat in 0..repeats {
            for (at, (display, unit)) in self.bl.iter().enumerate() {
                out.write_all(unit.bytes())?;
                for (_, nal) in self.el.get(at).iter().flat_map(|(_, el)| el.nals()) {
                    wrapped.clear();
                    wrapped.extend_from_slice(&EL_HEADER);
                    wrapped.extend_from_slice(nal);
                    write_nal(&mut out, &wrapped)?;
                }
                let rpu = usize::try_from(repeat * CLIP_FRAMES + display).ok().and_then(|i| rpus.get(i));
                write_nal(&mut out, rpu.context("an RPU for every frame")?)?;
            }
        }
        out.flush()?;
        Ok(())
    }

    /// Lossless sound of about 7 Mbit/s, and a lossy track: the share that sound has on discs.
    fn sound(&self, frames: u64) -> Result<(PathBuf, PathBuf)> {
        let (flac, ac3) = (self.dir.join("film.flac"), self.dir.join("film.ac3"));
        let seconds = format!("{}", frames * 1001 / 24000 + 1);
        let mut sound = tool::ffmpeg();
        sound.args([
            "-f",
            "lavfi",
            "-i",
            &format!("anoisesrc=seed=11:amplitude=0.6:sample_rate=48000:d={seconds}"),
        ]);
        sound.args(["-map", "0:a", "-af", "pan=6c|c0=c0|c1=-1*c0|c2=c0|c3=c0|c4=c0|c5=c0", "-c:a", "flac"]);
        sound.args(["-compression_level", "0", "-sample_fmt", "s32"]).arg(tool::file_url(&flac));
        sound.args(["-map", "0:a", "-ac", "2", "-c:a", "ac3", "-b:a", "640k"]).arg(tool::file_url(&ac3));
        tool::run(&mut sound)?;
        Ok((flac, ac3))
    }
}

/// Encodes a lavfi graph and gives its access units in decode order, each with its display index.
fn pictures(path: &Path, graph: &str, settings: &str) -> Result<Vec<(u64, AccessUnit)>> {
    let mut encode = tool::ffmpeg();
    encode.args(["-f", "lavfi", "-i", graph, "-frames:v", &CLIP_FRAMES.to_string()]);
    encode.args(["-pix_fmt", "yuv420p10le", "-c:v", "libx265", "-preset", "ultrafast", "-x265-params"]);
    encode.arg(format!(
        "log-level=error:keyint=24:min-keyint=24:scenecut=0:b-adapt=0:bframes=4:open-gop=0:repeat-headers=1:\
         annexb=1:info=0:{settings}"
    ));
    encode.args(["-f", "hevc"]).arg(tool::file_url(path));
    tool::run(&mut encode)?;
    let mut reader = AuReader::new(File::open(path)?);
    let mut units = Vec::new();
    while let Some(unit) = reader.next_au()? {
        units.push(unit);
    }
    std::fs::remove_file(path)?;
    ensure!(units.len() as u64 == CLIP_FRAMES, "{} pictures instead of {CLIP_FRAMES}", units.len());
    let mut order: Vec<_> = units.iter().map(|u| (u.picture.cvs, u.picture.poc)).collect();
    order.sort_unstable();
    let rank = |u: &AccessUnit| order.partition_point(|o| *o < (u.picture.cvs, u.picture.poc)) as u64;
    Ok(units.into_iter().map(|u| (rank(&u), u)).collect())
}

fn subtitles(frames: u64) -> String {
    let time = |s: u64, ms: u64| format!("{:02}:{:02}:{:02},{ms:03}", s / 3600, s / 60 % 60, s % 60);
    (0..frames / 24)
        .map(|s| {
            format!("{}\n{} --> {}\nThe light is out again. ({s})\n\n", s + 1, time(s, 100), time(s, 900))
        })
        .collect()
}
