//! A second of generated pictures through the encoder of a recipe, judged as a film is judged.
//!
//! What an encoder lists says little about the chip and the driver behind it, so none is used before it has shown a stream
//! that is right. The arguments are those of the film, made by the same code.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use common::job::{Encoder, FailureCode, Recipe, ToolReport};
use common::process::{Progress as Count, Stdout, Supervision, run};
use common::share::FileError;
use dovi::au::AuReader;
use dovi::inject::{InjectError, InjectPlan, RpuByDisplay, inject};
use dovi::order::Method;
use dovi::rpu::neutral_p81;
use dovi::sei::{self, Cll, Mdcv, SeiNal};
use tokio_util::sync::CancellationToken;

use super::decode::checksummed;
use super::encode::through;
use crate::pipeline::blocking::blocking;
use crate::pipeline::encoder::{Features, hint, settings};
use crate::pipeline::{Context, Ffmpeg, FilmTask, Picture, Plan, Stage, StageError};
use crate::tools::ffmpeg::{DecodeArgs, EncodeArgs, Input, ProgressParser, is_complaint};
use crate::workspace::Workspace;

/// Frames of a test: more than one and a half seconds, and more than any encoder looks ahead by default.
const FRAMES: u32 = 40;

/// What a test encode showed.
#[derive(Debug, Clone, PartialEq)]
pub struct Proof {
    /// ffmpeg's name of the encoder.
    pub encoder: &'static str,
    /// The best choice that works here.
    pub features: Features,
    /// Frames encoded.
    pub frames: u32,
    /// Seconds it took, with all checks.
    pub seconds: f64,
    /// How the frames' display order was proven.
    pub order: Method,
}

/// Why a test encode was not good enough.
struct Refusal {
    why: String,
    tool: Option<Box<ToolReport>>,
}

impl From<String> for Refusal {
    fn from(why: String) -> Self {
        Self { why, tool: None }
    }
}

/// The pictures of a test before anything is known of the film: a height that is no multiple of 16, so that cropping is
/// seen too, and more than one key frame. Chips want a certain size, software is only slower with it.
pub fn standard(encoder: Encoder) -> Picture {
    let (width, height) = if encoder.is_hardware() { (640, 360) } else { (320, 180) };
    Picture {
        width,
        height,
        chroma_loc: Some(2),
        mdcv: Some(Mdcv {
            primaries_gbr: [(13250, 34500), (7500, 3000), (34000, 16000)],
            white: (15635, 16450),
            max_luminance: 10_000_000,
            min_luminance: 1,
        }),
        cll: Some(Cll { max_cll: 1000, max_fall: 400 }),
        keyint: 16,
    }
}

/// The proof for the recipe's encoder on this machine, as far as it can be had without the film.
pub async fn before_film(context: &Context, task: &FilmTask) -> Result<Proof, StageError> {
    prove(context, &task.scratch, &task.token, &task.recipe, &standard(task.recipe.encoder)).await
}

/// The proof for this very film: chips have limits of size, which software does not have.
pub async fn for_film(context: &Context, task: &FilmTask, plan: &Plan) -> Result<Proof, StageError> {
    if task.recipe.encoder.is_hardware() {
        prove(context, &task.scratch, &task.token, &task.recipe, &plan.picture).await
    } else {
        before_film(context, task).await
    }
}

/// Encodes, injects and decodes a second of pictures with the recipe's encoder. A success is remembered by the toolbox; a
/// failure is not, since a driver may come back.
///
/// # Errors
/// `encode.unsupported`, or `encode.stream` where the encoder works and only the recipe's further options spoil it; and
/// whatever stands in the way of any test at all: a missing ffmpeg, a full scratch disk, a stop.
pub async fn prove(
    context: &Context,
    scratch: &Path,
    token: &str,
    recipe: &Recipe,
    picture: &Picture,
) -> Result<Proof, StageError> {
    // Everything that the encoder is told.
    let told = (&recipe.preset, recipe.crf, &recipe.x265_params, &recipe.encoder_args, picture);
    let key = format!("{told:?} {:?}", context.decode);
    let cell = context.tools.proof(recipe.encoder, key);
    let bench = Bench { context, scratch, token, picture };
    Ok(cell.get_or_try_init(|| test(&bench, recipe)).await?.clone())
}

async fn test(bench: &Bench<'_>, recipe: &Recipe) -> Result<Proof, StageError> {
    let picture = bench.picture;
    let refusal = match bench.best_of(recipe).await? {
        Ok(proof) => {
            tracing::info!(
                encoder = proof.encoder, features = ?proof.features, width = picture.width,
                height = picture.height, seconds = proof.seconds, "the test encode is right"
            );
            return Ok(proof);
        }
        Err(refusal) => refusal,
    };
    let bare = Recipe { x265_params: Vec::new(), encoder_args: Vec::new(), ..recipe.clone() };
    if bare != *recipe && bench.best_of(&bare).await?.is_ok() {
        let (key, further) = match recipe.encoder {
            Encoder::X265 => ("recipe.x265_params", &recipe.x265_params),
            _ => ("recipe.encoder_args", &recipe.encoder_args),
        };
        let message = format!("{key} ({}) spoils the encode: {}", further.join(", "), refusal.why);
        let hint = format!("Correct {key}; without it this encoder works.");
        return Err(error(FailureCode::EncodeStream, message, refusal).hint(hint));
    }
    let name = recipe.encoder.name();
    let message = format!("the encoder {name} does not work here: {}", refusal.why);
    let hint = hint(recipe.encoder, bench.context.tools.vaapi_device());
    Err(error(FailureCode::EncodeUnsupported, message, refusal).hint(hint))
}

fn error(code: FailureCode, message: String, refusal: Refusal) -> StageError {
    StageError { tool: refusal.tool, ..StageError::new(Stage::Preflight, code, message) }
}

struct Bench<'a> {
    context: &'a Context,
    scratch: &'a Path,
    token: &'a str,
    picture: &'a Picture,
}

impl Bench<'_> {
    /// The first set of features that works; otherwise what was wrong with the first, and with the next if that is another.
    async fn best_of(&self, recipe: &Recipe) -> Result<Result<Proof, Refusal>, StageError> {
        let mut wrong: Option<Refusal> = None;
        for features in Features::of(recipe.encoder) {
            match self.once(recipe, *features).await? {
                Ok(proof) => return Ok(Ok(proof)),
                Err(next) => match &mut wrong {
                    Some(first) if first.why != next.why => {
                        first.why = format!("{}; without B-frames: {}", first.why, next.why);
                    }
                    Some(_) => {}
                    None => wrong = Some(next),
                },
            }
        }
        Ok(Err(wrong.unwrap_or_else(|| "there is nothing to try".to_owned().into())))
    }

    async fn once(&self, recipe: &Recipe, features: Features) -> Result<Result<Proof, Refusal>, StageError> {
        let began = Instant::now();
        let tool = match self.context.tools.encoder(recipe.encoder).await {
            Ok(tool) => tool,
            Err(e) if e.code == FailureCode::EncodeUnsupported => return Ok(Err(e.message.into())),
            Err(e) => return Err(e),
        };
        let recipe = checksummed(self.context.decode, recipe);
        let encoder = settings(&recipe, self.picture, features, self.context.tools.vaapi_device());
        let name = encoder.name();
        let (width, height) = (self.picture.width, self.picture.height);
        let input = Input::Test { width, height, frames: FRAMES };
        let args = EncodeArgs { ffmpeg: tool.ffmpeg.path.clone(), input, encoder };
        let command = match args.command(&tool.ffmpeg.can, tool.options) {
            Ok(command) => command,
            Err(e) => return Ok(Err(e.to_string().into())),
        };
        let workspace = Workspace::create(self.scratch, &format!("{}-test", self.token))
            .map_err(|e| StageError::file(Stage::Preflight, FileError::new("create", &e.dir, e.source)))?;
        let path = workspace.video();
        let injected = {
            let (picture, path) = (self.picture.clone(), path.clone());
            through(self.context, &command, move |stream, count| put_in(stream, &picture, &path, count)).await
        };
        let order = match injected {
            Ok((order, exit)) => match exit.stderr_tail.lines().find_map(|l| refused_option(l, &recipe)) {
                Some(why) => return Ok(Err(why.into())),
                None => order,
            },
            Err(e) if is_the_encoders(e.code) => return Ok(Err(refusal(name, e))),
            Err(e) => return Err(e),
        };
        let seen = {
            let (picture, path) = (self.picture.clone(), path.clone());
            let stop = &self.context.stop;
            blocking(Stage::Preflight, stop, move || Ok(key_frames(&path, &picture))).await?
        };
        if let Err(why) = seen {
            return Ok(Err(why.into()));
        }
        if let Some(why) = self.decode(tool.ffmpeg, &path).await? {
            return Ok(Err(why.into()));
        }
        let seconds = began.elapsed().as_secs_f64();
        Ok(Ok(Proof { encoder: name, features, frames: FRAMES, seconds, order }))
    }

    /// What the decoder finds wrong with it.
    async fn decode(&self, ffmpeg: &Ffmpeg, path: &Path) -> Result<Option<String>, StageError> {
        let args = DecodeArgs { ffmpeg: ffmpeg.path.clone(), file: path.to_owned(), video_position: 0 };
        let (count, own, decoded) = (Count::new(), CancellationToken::new(), Arc::new(Mutex::new(0)));
        let lines = {
            let (mut parser, count, decoded) = (ProgressParser::default(), count.clone(), decoded.clone());
            Stdout::lines(move |line| {
                if let Some(update) = parser.line(line) {
                    count.set(update.frames);
                    *decoded.lock().unwrap_or_else(PoisonError::into_inner) = update.frames;
                }
            })
        };
        let watch = Supervision { stdout: lines, ..self.context.supervision(&count, &own) };
        let exit = run(&args.command(&ffmpeg.can), watch)
            .await
            .map_err(|e| StageError::spawn(Stage::Preflight, e))?;
        self.context.stop.check(Stage::Preflight)?;
        let decoded = *decoded.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match exit.stderr_tail.lines().find(|l| is_complaint(l)) {
            Some(line) => Some(format!("the decoder complains about the test encode: {line}")),
            None if !exit.success() => Some(format!("the test encode cannot be decoded: ffmpeg {exit}")),
            None if decoded != u64::from(FRAMES) => {
                Some(format!("{decoded} frames of the test encode can be decoded, not {FRAMES}"))
            }
            None => None,
        })
    }
}

/// Failures that tell of the encoder, and not of this process, its disks or a person.
fn is_the_encoders(code: FailureCode) -> bool {
    use FailureCode as C;
    matches!(
        code,
        C::EncodeFailed | C::EncodeFrames | C::EncodeStream | C::AlignOrder | C::ToolKilled | C::ToolStalled
    )
}

/// ffmpeg's last line only says that it gave up; the reason is in the first line of the encoder or of the device.
fn refusal(encoder: &str, e: StageError) -> Refusal {
    let tail = e.tool.as_ref().map(|t| t.tail.as_slice()).unwrap_or_default();
    let own = [format!("[{encoder} @"), "[AVHWDeviceContext @".to_owned()];
    let reason = tail.iter().find(|l| own.iter().any(|o| l.starts_with(o))).and_then(|l| l.split_once("] "));
    let why = match reason {
        Some((_, reason)) if matches!(e.code, FailureCode::EncodeFailed) => reason.trim().to_owned(),
        _ => e.message,
    };
    Refusal { why, tool: e.tool }
}

/// What ffmpeg says of one of the recipe's own x265 options that it does not know or whose value it cannot read: it leaves the option
/// away and goes on (measured).
fn refused_option(line: &str, recipe: &Recipe) -> Option<String> {
    let (_, said) = line.split_once("] ")?;
    let rest =
        ["Unknown option: ", "Invalid value for "].iter().find_map(|start| said.strip_prefix(start))?;
    let name = rest.split([':', '.']).next()?.trim();
    let keys = recipe.x265_params.iter().flat_map(|p| p.split(':')).filter_map(|p| p.split('=').next());
    keys.into_iter().any(|k| k == name).then(|| said.trim_end_matches('.').to_owned())
}

/// The same RPU for every frame.
struct Same(Vec<u8>);

impl RpuByDisplay for Same {
    fn rpu(&self, display: u64) -> Option<&[u8]> {
        (display < u64::from(FRAMES)).then_some(&self.0)
    }
}

/// What is done to a film's stream, with RPUs that change nothing. Blocks.
fn put_in(
    stream: &mut impl std::io::Read,
    picture: &Picture,
    path: &Path,
    count: &Count,
) -> Result<Method, InjectError> {
    let rpus = Same(neutral_p81().map_err(|e| InjectError::Output(std::io::Error::other(e)))?);
    let plan = InjectPlan {
        rpus: &rpus,
        frames: FRAMES.into(),
        mdcv: picture.mdcv,
        cll: picture.cll,
        hdr10plus: None,
        expect: picture.expectation(),
    };
    let file = File::options().write(true).create_new(true).open(path).map_err(InjectError::Output)?;
    let mut out = BufWriter::new(file);
    let report = inject(stream, &mut out, &plan, &mut |frames| count.set(frames))?;
    out.flush().map_err(InjectError::Output)?;
    Ok(report.reordered_by)
}

/// Looks whether there are key frames as often as asked for, each with the HDR10 metadata. Blocks.
fn key_frames(path: &Path, picture: &Picture) -> Result<(), String> {
    let unreadable = |e: &dyn std::fmt::Display| format!("the test encode cannot be read back: {e}");
    let file = File::open(path).map_err(|e| unreadable(&e))?;
    let mut reader = AuReader::new(BufReader::new(file));
    let wanted: Vec<(u32, Vec<u8>)> = [
        picture.mdcv.map(|m| (sei::MASTERING_DISPLAY, m.to_payload())),
        picture.cll.map(|c| (sei::CONTENT_LIGHT, c.to_payload())),
    ]
    .into_iter()
    .flatten()
    .collect();
    let mut keys = 0;
    while let Some(unit) = reader.next_au().map_err(|e| unreadable(&e))? {
        if !unit.picture.nal_type.is_irap() {
            continue;
        }
        keys += 1;
        let read: Vec<SeiNal> = unit.nals().filter_map(|(_, nal)| SeiNal::read(nal)).collect();
        let has = |(ty, payload): &(u32, Vec<u8>)| {
            read.iter().flat_map(SeiNal::messages).any(|m| m.ty == *ty && m.payload == payload.as_slice())
        };
        if !wanted.iter().all(has) {
            return Err(format!("key frame {keys} of the test encode lacks HDR10 metadata"));
        }
    }
    let least = FRAMES.div_ceil(picture.keyint.max(1));
    if keys < least {
        return Err(format!("the test encode has {keys} key frames, at least {least} were asked for"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_options_of_the_recipe_are_its_fault() {
        let recipe =
            Recipe { x265_params: vec!["aq-mod=3".into(), "aq-mode=many".into()], ..Recipe::default() };
        let why = |line: &str| refused_option(line, &recipe);
        assert_eq!(why("[libx265 @ 0x56] Unknown option: aq-mod.").unwrap(), "Unknown option: aq-mod");
        assert_eq!(
            why("[libx265 @ 0x56] Invalid value for aq-mode: many.").unwrap(),
            "Invalid value for aq-mode: many"
        );
        assert_eq!(why("[libx265 @ 0x56] Unknown option: hash."), None);
        assert_eq!(why("x265 [warning]: halving the quality"), None);
    }

    #[test]
    fn the_reason_is_in_the_words_of_the_encoder() {
        let report = |code, tail: &[&str]| {
            let mut e = StageError::new(Stage::Encode, code, "ffmpeg exited with code 1");
            e.tool = Some(Box::new(ToolReport {
                command: "ffmpeg".into(),
                outcome: "exited with code 1".into(),
                tail: tail.iter().map(|l| (*l).to_owned()).collect(),
            }));
            refusal("hevc_nvenc", e).why
        };
        let printed = [
            "[testsrc2 @ 0x1] something",
            "[hevc_nvenc @ 0x563c] Cannot load libcuda.so.1",
            "Error initializing output stream 0:0",
        ];
        let code = FailureCode::EncodeFailed;
        assert_eq!(report(code, &printed), "Cannot load libcuda.so.1");
        assert_eq!(report(code, &["Conversion failed!"]), "ffmpeg exited with code 1");
        assert_eq!(report(FailureCode::EncodeStream, &printed), "ffmpeg exited with code 1");
    }
}
