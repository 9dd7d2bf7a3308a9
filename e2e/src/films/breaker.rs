//! Breaks finished films in one place each: with mkvtoolnix, or byte by byte.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use dolby_vision::rpu::dovi_rpu::DoviRpu;
use serde_json::Value;

use super::packets;
use crate::tool;

const START_CODE: [u8; 4] = [0, 0, 0, 1];
/// NAL types (H.265 table 7-1, and the two of Dolby Vision).
const PREFIX_SEI: u8 = 39;
const RPU: u8 = 62;
/// SEI payload type of the light level (H.265 D.3.35).
const CONTENT_LIGHT: u8 = 144;
/// SEI payload type of HDR10+ (ITU-T T.35).
const T35: u8 = 4;
/// Bytes that are looked for in a film to find a track's payload: enough to be unique.
const SAMPLE: usize = 48;

/// One coded picture.
#[derive(Debug, Clone)]
pub struct Picture {
    /// Its NAL units.
    pub nals: Vec<Vec<u8>>,
    /// Display index.
    pub display: u64,
}

impl Picture {
    /// Place of the RPU among the NAL units.
    fn rpu_at(&self) -> Option<usize> {
        self.nals.iter().position(|n| packets::nal_type(n) == RPU)
    }

    /// A picture that no other refers to: an odd-one-out of the sub-layer non-reference types (H.265 table 7-1).
    pub fn is_disposable(&self) -> bool {
        let slice = self.nals.iter().map(|n| packets::nal_type(n)).find(|ty| *ty < 32);
        slice.is_some_and(|ty| ty < 16 && ty.is_multiple_of(2))
    }

    /// The RPU.
    pub fn rpu(&self) -> Option<&Vec<u8>> {
        self.rpu_at().map(|at| &self.nals[at])
    }

    /// Puts another RPU in the place of its own.
    pub fn set_rpu(&mut self, rpu: Vec<u8>) {
        if let Some(at) = self.rpu_at() {
            self.nals[at] = rpu;
        }
    }

    /// Adds the RPU once more.
    pub fn double_rpu(&mut self) {
        self.nals.extend(self.rpu().cloned());
    }

    /// Puts the RPU before everything else of its kind: no longer last.
    pub fn rpu_first(&mut self) {
        if let Some(at) = self.rpu_at() {
            let rpu = self.nals.remove(at);
            let first_slice = self.nals.iter().position(|n| packets::nal_type(n) < 32).unwrap_or(0);
            self.nals.insert(first_slice + 1, rpu);
            // What stands behind it: a suffix SEI with an unregistered message of 16 zero-free bytes.
            let mut sei = vec![0x50, 0x01, 5, 16];
            sei.extend([0xAB; 16]);
            sei.push(0x80);
            self.nals.push(sei);
        }
    }

    /// Adds a NAL unit of an enhancement layer before the RPU.
    pub fn add_el(&mut self) {
        let at = self.rpu_at().unwrap_or(self.nals.len());
        self.nals.insert(at, vec![0x7E, 0x01, 0x02, 0x01, 0xAF, 0x80]);
    }

    /// Gives the RPU another active area.
    ///
    /// # Errors
    /// There is no RPU, or it cannot be read.
    pub fn set_active_area(&mut self, offsets: [u16; 4]) -> Result<()> {
        let mut rpu = DoviRpu::parse_unspec62_nalu(self.rpu().context("an RPU")?)?;
        let [left, right, top, bottom] = offsets;
        rpu.set_active_area_offsets(left, right, top, bottom)?;
        self.set_rpu(rpu.write_hevc_unspec62_nalu()?);
        Ok(())
    }

    /// Takes out the SEI NAL units whose first message is the light level.
    pub fn drop_light_level(&mut self) {
        self.nals.retain(|n| !is_sei(n, CONTENT_LIGHT));
    }

    /// Takes out the HDR10+ message.
    pub fn drop_hdr10plus(&mut self) {
        self.nals.retain(|n| !is_sei(n, T35));
    }
}

fn is_sei(nal: &[u8], payload_type: u8) -> bool {
    packets::nal_type(nal) == PREFIX_SEI && nal.get(2) == Some(&payload_type)
}

/// A finished film and a folder for what is made of it.
#[derive(Debug, Clone)]
pub struct Breaker {
    good: PathBuf,
    dir: PathBuf,
}

impl Breaker {
    /// Makes its folder.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new(good: &Path, dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
        Ok(Self { good: good.to_owned(), dir: dir.to_owned() })
    }

    /// Where the broken film lies.
    pub fn broken(&self) -> PathBuf {
        self.dir.join("broken.mkv")
    }

    /// The film's pictures in decode order.
    ///
    /// # Errors
    /// ffmpeg cannot read it.
    pub fn pictures(&self) -> Result<Vec<Picture>> {
        let mut command = tool::ffmpeg();
        command.current_dir(&self.dir).args(["-copyts", "-i"]).arg(tool::file_url(&self.good));
        command.args(["-map", "0:v:0", "-c", "copy", "-bsf:v", "hevc_mp4toannexb", "-f", "tee"]);
        tool::run(command.arg(packets::tee("stream")))?;
        let mut read = packets::read(&self.dir, "stream")?;
        packets::rank(&mut read)?;
        let nals = |p: &packets::Packet| packets::nals(&p.bytes).into_iter().map(<[u8]>::to_vec).collect();
        Ok(read.iter().map(|p| Picture { nals: nals(p), display: p.display }).collect())
    }

    /// Puts pictures together with everything else of the film, at so many frames per second.
    ///
    /// # Errors
    /// mkvmerge failed.
    pub fn remux(&self, pictures: &[Picture], rate: &str) -> Result<PathBuf> {
        let stream = self.dir.join("video.hevc");
        let nals = pictures.iter().flat_map(|p| &p.nals);
        let bytes: Vec<u8> = nals.flat_map(|nal| START_CODE.iter().chain(nal).copied()).collect();
        fs::write(&stream, bytes).context("the stream")?;
        let film = identify(&self.good)?;
        let track = film["tracks"]
            .as_array()
            .and_then(|all| all.iter().find(|t| t["type"] == "video"))
            .context("a video track")?;
        let p = &track["properties"];
        let mut args: Vec<OsString> = vec!["--output".into(), self.broken().into()];
        for (option, key) in OPTIONS {
            let value = match &p[key] {
                Value::String(text) => text.clone(),
                Value::Bool(yes) => if *yes { "yes" } else { "no" }.into(),
                _ => continue,
            };
            args.extend([option.into(), format!("0:{value}").into()]);
        }
        args.extend(["--default-duration".into(), format!("0:{rate}p").into()]);
        args.extend([stream.into(), "--no-video".into(), self.good.clone().into()]);
        tool::run_accepting(tool::command("mkvmerge").args(args), &[0, 1])?;
        Ok(self.broken())
    }

    /// Runs mkvmerge on the film with these options for it as the only source.
    ///
    /// # Errors
    /// mkvmerge failed.
    pub fn merge(&self, options: &[&str]) -> Result<PathBuf> {
        let mut command = tool::command("mkvmerge");
        command.arg("--output").arg(self.broken()).args(options).arg(&self.good);
        tool::run_accepting(&mut command, &[0, 1])?;
        Ok(self.broken())
    }

    /// Runs mkvpropedit on a copy of the film, or on the one that is broken already.
    ///
    /// # Errors
    /// mkvpropedit failed.
    pub fn edit(&self, options: &[&str]) -> Result<PathBuf> {
        if !self.broken().exists() {
            fs::copy(&self.good, self.broken()).context("a copy")?;
        }
        tool::run(tool::command("mkvpropedit").arg(self.broken()).args(options))?;
        Ok(self.broken())
    }

    /// Writes a film whose bytes were changed; there must be a difference and no change in length.
    ///
    /// # Errors
    /// Nothing changed, or a file cannot be written.
    pub fn patch(&self, change: impl FnOnce(&mut [u8])) -> Result<PathBuf> {
        let good = fs::read(&self.good).context("the film")?;
        let mut bytes = good.clone();
        change(&mut bytes);
        ensure!(bytes != good, "the patch changes nothing");
        fs::write(self.broken(), bytes).context("the broken film")?;
        Ok(self.broken())
    }

    /// Replaces the only place of `old` by `new`, which is as long.
    ///
    /// # Errors
    /// As [`Self::patch`]; or `old` is nowhere or twice.
    pub fn replace(&self, old: &[u8], new: &[u8]) -> Result<PathBuf> {
        let bytes = fs::read(&self.good).context("the film")?;
        let at = only(&bytes, old)?;
        self.patch(|bytes| bytes[at..at + new.len()].copy_from_slice(new))
    }

    /// Flips a bit in the middle of what `payload` holds, wherever that is in the film.
    ///
    /// # Errors
    /// As [`Self::replace`].
    pub fn flip(&self, payload: &[u8]) -> Result<PathBuf> {
        let start = payload.len().saturating_sub(SAMPLE) / 2;
        let old = payload.get(start..start + SAMPLE).context("a payload of some size")?;
        let mut new = old.to_vec();
        new[SAMPLE / 2] ^= 0x10;
        self.replace(old, &new)
    }

    /// A track as mkvextract writes it, by mkvmerge's id.
    ///
    /// # Errors
    /// mkvextract failed.
    pub fn track(&self, id: u64) -> Result<Vec<u8>> {
        self.extract("tracks", id)
    }

    /// An attached file, by mkvmerge's id.
    ///
    /// # Errors
    /// mkvextract failed.
    pub fn attachment(&self, id: u64) -> Result<Vec<u8>> {
        self.extract("attachments", id)
    }

    fn extract(&self, what: &str, id: u64) -> Result<Vec<u8>> {
        let to = self.dir.join("extracted");
        let mut spec = OsString::from(format!("{id}:"));
        spec.push(&to);
        tool::run(tool::command("mkvextract").arg(&self.good).arg(what).arg(spec))?;
        fs::read(&to).context("what was extracted")
    }

    /// The chapters as XML, changed and written back.
    ///
    /// # Errors
    /// A tool failed.
    pub fn chapters(&self, change: impl FnOnce(&str) -> String) -> Result<PathBuf> {
        let xml = self.dir.join("chapters.xml");
        tool::run(tool::command("mkvextract").arg(&self.good).arg("chapters").arg(&xml))?;
        let text = fs::read_to_string(&xml).context("chapters")?;
        fs::write(&xml, change(&text)).context("chapters")?;
        self.edit(&["--chapters", &xml.to_string_lossy()])
    }

    /// mkvmerge's word on the film.
    ///
    /// # Errors
    /// mkvmerge failed.
    pub fn identify(&self) -> Result<Value> {
        identify(&self.good)
    }
}

/// mkvmerge's options for a track and the properties that hold their values.
const OPTIONS: [(&str, &str); 11] = [
    ("--track-name", "track_name"),
    ("--language", "language_ietf"),
    ("--default-track-flag", "default_track"),
    ("--forced-display-flag", "forced_track"),
    ("--track-enabled-flag", "enabled_track"),
    ("--original-flag", "flag_original"),
    ("--commentary-flag", "flag_commentary"),
    ("--hearing-impaired-flag", "flag_hearing_impaired"),
    ("--display-dimensions", "display_dimensions"),
    ("--cropping", "cropping"),
    ("--text-descriptions-flag", "flag_text_descriptions"),
];

fn identify(film: &Path) -> Result<Value> {
    tool::run_json(tool::command("mkvmerge").arg("-J").arg(film))
}

fn only(bytes: &[u8], pattern: &[u8]) -> Result<usize> {
    let first = pattern.first().context("a pattern")?;
    let starts = bytes.iter().enumerate().filter(|(_, b)| *b == first).map(|(i, _)| i);
    let found: Vec<usize> = starts.filter(|i| bytes[*i..].starts_with(pattern)).collect();
    ensure!(found.len() == 1, "the pattern is in {} places", found.len());
    Ok(found[0])
}
