//! Everything in a film that is not its picture: sound, subtitles, chapters, tags and a cover.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::spec::{ExtraVideo, FilmRecipe, Sound};
use crate::tool;

const CHAPTERS: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<Chapters><EditionEntry><EditionUID>77001</EditionUID>
<ChapterAtom><ChapterUID>77011</ChapterUID><ChapterTimeStart>00:00:00.000000000</ChapterTimeStart>
<ChapterDisplay><ChapterString>Opening</ChapterString><ChapterLanguage>eng</ChapterLanguage></ChapterDisplay></ChapterAtom>
<ChapterAtom><ChapterUID>77012</ChapterUID><ChapterTimeStart>00:00:01.500000000</ChapterTimeStart>
<ChapterDisplay><ChapterString>Fähre &amp; Hafen</ChapterString><ChapterLanguage>ger</ChapterLanguage></ChapterDisplay></ChapterAtom>
<ChapterAtom><ChapterUID>77013</ChapterUID><ChapterTimeStart>00:00:02.750000000</ChapterTimeStart>
<ChapterDisplay><ChapterString>Credits</ChapterString><ChapterLanguage>eng</ChapterLanguage></ChapterDisplay></ChapterAtom>
</EditionEntry></Chapters>
"#;

const TAGS: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<Tags><Tag><Targets><TargetTypeValue>50</TargetTypeValue></Targets>
<Simple><Name>DIRECTOR</Name><String>Ada Quill</String></Simple>
<Simple><Name>DATE_RELEASED</Name><String>2019</String></Simple>
<Simple><Name>SYNOPSIS</Name><String>A ferry, two keepers &amp; a light that won’t go out.</String></Simple>
</Tag></Tags>
"#;

/// The files mkvmerge adds to a film.
#[derive(Debug, Clone)]
pub(super) struct Extras {
    pub ac3: PathBuf,
    pub flac: PathBuf,
    pub english: PathBuf,
    pub portuguese: PathBuf,
    pub chapters: PathBuf,
    pub tags: PathBuf,
    pub cover: PathBuf,
    /// A further video track.
    pub video: Option<PathBuf>,
    /// A TrueHD track.
    pub truehd: Option<PathBuf>,
}

impl Extras {
    /// Makes them in `dir` for a film of that many frames at 24000/1001.
    pub(super) fn make(dir: &Path, frames: u64) -> Result<Self> {
        let ms = frames * 1001 / 24;
        let extras = Self {
            ac3: dir.join("surround.ac3"),
            flac: dir.join("commentary.flac"),
            english: dir.join("en.srt"),
            portuguese: dir.join("pt.srt"),
            chapters: dir.join("chapters.xml"),
            tags: dir.join("tags.xml"),
            cover: dir.join("cover.png"),
            video: None,
            truehd: None,
        };
        let seconds = format!("{}.{:03}", ms / 1000, ms % 1000);
        let mut sound = tool::ffmpeg();
        sound.args([
            "-f",
            "lavfi",
            "-i",
            &format!("sine=frequency=330:beep_factor=4:sample_rate=48000:d={seconds}"),
        ]);
        sound.args([
            "-f",
            "lavfi",
            "-i",
            &format!("anoisesrc=seed=11:amplitude=0.1:sample_rate=48000:d={seconds}"),
        ]);
        sound.args(["-map", "0:a", "-ac", "6", "-c:a", "ac3", "-b:a", "384k", "-flags", "+bitexact"]);
        sound.arg(tool::file_url(&extras.ac3));
        sound.args(["-map", "1:a", "-ac", "2", "-c:a", "flac", "-sample_fmt", "s16", "-flags", "+bitexact"]);
        sound.arg(tool::file_url(&extras.flac));
        tool::run(&mut sound)?;
        let mut cover = tool::ffmpeg();
        cover.args(["-f", "lavfi", "-i", "testsrc2=size=200x300", "-frames:v", "1", "-flags", "+bitexact"]);
        cover.arg(tool::file_url(&extras.cover));
        tool::run(&mut cover)?;
        fs::write(&extras.english, subtitles(ms, "The light is out again."))?;
        fs::write(&extras.portuguese, subtitles(ms, "A luz apagou-se outra vez. — Não!"))?;
        fs::write(&extras.chapters, CHAPTERS)?;
        fs::write(&extras.tags, TAGS)?;
        Ok(extras)
    }
}

impl Extras {
    /// Adds what this film has besides, made in `dir`.
    pub(super) fn with(mut self, recipe: &FilmRecipe, dir: &Path) -> Result<Self> {
        let rate = "rate=24000/1001";
        let (file, source, codec) = match recipe.extra {
            ExtraVideo::None => ("", String::new(), &[][..]),
            ExtraVideo::CoverFirst => {
                ("cover.mkv", "testsrc2=size=200x300".to_owned(), &["-c:v", "mjpeg"][..])
            }
            ExtraVideo::Avc => {
                ("extra.mkv", format!("mandelbrot=size=192x108:{rate}"), &["-c:v", "libx264"][..])
            }
            ExtraVideo::Hevc => ("extra.mkv", format!("mandelbrot=size=192x108:{rate}"), &HEVC[..]),
            ExtraVideo::Rival => {
                let size = format!("mandelbrot=size={}x{}:{rate}", recipe.width, recipe.height);
                ("rival.mkv", size, &HEVC[..])
            }
        };
        if !file.is_empty() {
            let frames = if recipe.extra == ExtraVideo::CoverFirst { 1 } else { recipe.frames.min(48) };
            let path = dir.join(file);
            let mut command = tool::ffmpeg();
            command.args(["-f", "lavfi", "-i", &source, "-frames:v", &frames.to_string()]).args(codec);
            command.args([
                "-pix_fmt",
                if recipe.extra == ExtraVideo::CoverFirst { "yuvj420p" } else { "yuv420p" },
            ]);
            tool::run(
                command.args(["-flags", "+bitexact", "-fflags", "+bitexact"]).arg(tool::file_url(&path)),
            )?;
            self.video = Some(path);
        }
        if recipe.sound == Sound::TrueHdGap {
            let path = dir.join("lossless.thd");
            let mut command = tool::ffmpeg();
            let tone =
                format!("sine=frequency=220:sample_rate=48000:d={}", recipe.frames as f64 / 24.0 - 0.25);
            command.args(["-f", "lavfi", "-i", &tone, "-ac", "2", "-c:a", "truehd", "-strict", "-2"]);
            tool::run(command.arg(tool::file_url(&path)))?;
            self.truehd = Some(path);
        }
        Ok(self)
    }
}

/// A small, quick HEVC encode.
const HEVC: [&str; 6] =
    ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error:frame-threads=1"];

/// One line a second, 0.8 s long.
fn subtitles(ms: u64, line: &str) -> String {
    let time = |ms: u64| {
        let (s, ms) = (ms / 1000, ms % 1000);
        format!("{:02}:{:02}:{:02},{ms:03}", s / 3600, s / 60 % 60, s % 60)
    };
    (0..ms / 1000)
        .map(|n| {
            format!("{}\n{} --> {}\n{line} ({n})\n\n", n + 1, time(n * 1000 + 100), time(n * 1000 + 900))
        })
        .collect()
}
