//! A whole film in miniature through the very programs, stages and disks that films go through: what a worker does when it is
//! not sure whether a failure was the film's or its own.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use common::config::Config;
use common::job::{Encoder, FailureCode, Mode, Recipe};
use common::share::{FileError, Reservations};

use super::able::Unseen;
use super::blocking::uninterrupted;
use super::stages::trial::{prove, standard};
use super::{Alone, Context, FilmTask, Label, Publishing, Stage, StageError, Stop, Toolbox, Watch, run};
use crate::workspace::Workspace;

/// A second of a made-up film, 640x360, Profile 7 with a minimal enhancement layer: the first 24 frames of
/// `make-library --only mel-closed-gop --frames 72` after `mkvmerge -A -S -M -T --split frames:24`.
const FILM: &[u8] = include_bytes!("selftest/film.mkv");

/// Longest silence of a program over it. The slowest preset takes a second for one frame of the test encode.
const STALL: Duration = Duration::from_secs(120);
const GRACE: Duration = Duration::from_secs(5);

/// Tests of this process, for names.
static TESTS: AtomicU32 = AtomicU32::new(0);

/// Looks for the programs anew, makes a test encode with the recipe as it is, and then converts the film in miniature with
/// it: prescan, encode or copy, mux, proof and publishing, all within scratch. Gives the programs, as they were found now.
///
/// Software encoders take the miniature with their fastest preset: the test is about the machine. A recipe whose further
/// options spoil the encode is the recipe's fault, so the test goes on without them.
///
/// # Errors
/// Whatever is wrong with this machine, or `shutdown` by `stop`.
pub async fn self_test(config: &Config, recipe: &Recipe, stop: &Stop) -> Result<Arc<Toolbox>, StageError> {
    let tools = Arc::new(Toolbox::new(config.tools.clone()).with_backend(config.dovi.backend));
    let context = Context {
        tools: tools.clone(),
        watch: Watch { stall: STALL, grace: GRACE, log: None },
        decode: config.verify.decode,
        space: Reservations::default(),
        watcher: Arc::new(Unseen),
        stop: stop.clone(),
    };
    let token = format!("{}-{}-self-test", std::process::id(), TESTS.fetch_add(1, Ordering::Relaxed));
    let scratch = config.scratch.path();
    let recipe = recipe_that_works(&context, &scratch, &token, recipe).await?;

    let place = {
        let (scratch, token) = (scratch, token.clone());
        uninterrupted(Stage::Preflight, move || furnish(&scratch, &token)).await?
    };
    let task = FilmTask {
        source: place.dir().join("self-test.mkv"),
        target: place.dir().join("self-test [DV8].mkv"),
        publishing: Publishing::default(),
        scratch: place.dir().to_owned(),
        expected: None,
        recipe,
        token,
        dead: Vec::new(),
        label: Label::default(),
    };
    run(&context, task, Arc::new(Alone { certificate: None })).await?;
    Ok(tools)
}

/// The recipe for the miniature, after the test encode.
async fn recipe_that_works(
    context: &Context,
    scratch: &Path,
    token: &str,
    recipe: &Recipe,
) -> Result<Recipe, StageError> {
    let mut recipe = recipe.clone();
    if recipe.mode == Mode::Encode {
        match prove(context, scratch, token, &recipe, &standard(recipe.encoder)).await {
            Ok(_) => {}
            Err(e) if e.code == FailureCode::EncodeStream => {
                recipe.x265_params.clear();
                recipe.encoder_args.clear();
            }
            Err(e) => return Err(e),
        }
    }
    if recipe.encoder == Encoder::X265 {
        recipe.preset = "ultrafast".into();
    }
    Ok(recipe)
}

/// A folder with the film in it, removed when dropped.
fn furnish(scratch: &Path, token: &str) -> Result<Workspace, StageError> {
    let failed = |e| StageError::file(Stage::Preflight, e);
    let place =
        Workspace::create(scratch, token).map_err(|e| failed(FileError::new("create", &e.dir, e.source)))?;
    let film = place.dir().join("self-test.mkv");
    fs::write(&film, FILM).map_err(|e| failed(FileError::new("write", &film, e)))?;
    Ok(place)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use common::config::load;

    use super::*;

    fn config(scratch: &Path, settings: &[(&str, &str)]) -> Config {
        let scratch = ("scratch.dir", scratch.to_str().unwrap());
        let flags = settings.iter().chain([&scratch]).map(|(k, v)| ((*k).into(), (*v).into())).collect();
        load(None, &flags).unwrap().config
    }

    #[tokio::test]
    async fn a_healthy_machine_passes_in_both_modes_and_nothing_stays() {
        let scratch = tempfile::tempdir().unwrap();
        let config = config(scratch.path(), &[("recipe.preset", "ultrafast")]);
        for mode in [Mode::Encode, Mode::Copy] {
            let recipe = Recipe { mode, ..config.recipe.clone() };
            let tools = self_test(&config, &recipe, &Stop::default()).await.unwrap();
            assert!(tools.mkvmerge().await.is_ok());
        }
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_recipe_that_spoils_its_encode_does_not_make_the_machine_ill() {
        let scratch = tempfile::tempdir().unwrap();
        let config = config(scratch.path(), &[("recipe.preset", "ultrafast")]);
        let spoiled = Recipe { x265_params: vec!["colorprim=bt709".into()], ..config.recipe.clone() };
        self_test(&config, &spoiled, &Stop::default()).await.unwrap();
    }

    #[tokio::test]
    async fn an_encoder_that_fails_only_over_films_is_found() {
        let scratch = tempfile::tempdir().unwrap();
        let script = scratch.path().join("ffmpeg");
        let text = "#!/bin/sh\ncase \"$*\" in *lavfi*) ;; *'-f hevc pipe:1'*) echo 'out of cheese' >&2; exit 3;; esac\n\
            exec ffmpeg \"$@\"\n";
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let settings = [("recipe.preset", "ultrafast"), ("tools.ffmpeg", script.to_str().unwrap())];
        let config = config(scratch.path(), &settings);
        let error = self_test(&config, &config.recipe, &Stop::default()).await.unwrap_err();
        assert_eq!((error.code, error.stage), (FailureCode::EncodeFailed, Stage::Encode), "{error}");
        assert!(error.message.contains("out of cheese"), "{error}");
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1, "only the script stays");
    }
}
