//! Whether a machine can do what its own recipe asks for, before any film.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::config::{Config, Decode};
use common::job::{Mode, Recipe};
use common::share::Reservations;

use super::stages::trial::{prove, standard};
use super::{Context, Progress, Proof, StageError, Stop, Toolbox, Watch, Watcher};

/// Longest silence of a test encode. The slowest preset takes a second for one of its frames at most.
const STALL: Duration = Duration::from_secs(120);

/// Nobody looks at the progress of a test.
pub(super) struct Unseen;

impl Watcher for Unseen {
    fn progress(&self, _: &Progress) {}
    fn notice(&self, _: &str) {}
}

/// The programs for the configured recipe are there, and if it asks for a chip, the chip works. What is asked of software is
/// left to the films, which bring recipes of their own.
///
/// # Errors
/// `tool.missing`, `encode.unsupported`, or what else [`try_encoder`] meets.
pub async fn able(tools: &Arc<Toolbox>, config: &Config) -> Result<(), StageError> {
    let recipe = &config.recipe;
    tools.encoder(recipe.encoder).await?;
    if recipe.mode == Mode::Encode && recipe.encoder.is_hardware() {
        try_encoder(tools, &config.scratch.path(), "ready", recipe).await?;
    }
    Ok(())
}

/// A test encode without a film. `purpose` is part of a folder's name in scratch.
///
/// # Errors
/// `encode.unsupported`, `encode.stream`, or what stands in the way of any test.
pub async fn try_encoder(
    tools: &Arc<Toolbox>,
    scratch: &Path,
    purpose: &str,
    recipe: &Recipe,
) -> Result<Proof, StageError> {
    let context = Context {
        tools: tools.clone(),
        watch: Watch { stall: STALL, grace: Duration::from_secs(5), log: None },
        decode: Decode::Off,
        space: Reservations::default(),
        watcher: Arc::new(Unseen),
        stop: Stop::default(),
    };
    let token = format!("{purpose}-{}", std::process::id());
    prove(&context, scratch, &token, recipe, &standard(recipe.encoder)).await
}

#[cfg(test)]
mod tests {
    use common::config::load;
    use common::job::FailureCode;

    use super::*;

    async fn of(settings: &[(&str, &str)]) -> (Result<(), StageError>, Arc<Toolbox>) {
        let scratch = tempfile::tempdir().unwrap();
        let scratch = ("scratch.dir", scratch.path().to_str().unwrap());
        let flags = settings.iter().chain([&scratch]).map(|(k, v)| ((*k).into(), (*v).into())).collect();
        let config = load(None, &flags).unwrap().config;
        let tools = Arc::new(Toolbox::new(config.tools.clone()));
        (able(&tools, &config).await, tools)
    }

    #[tokio::test]
    async fn a_worker_whose_chip_is_not_there_takes_no_films() {
        let (found, _) =
            of(&[("recipe.encoder", "vaapi"), ("tools.vaapi_device", "/nonexistent/renderD128")]).await;
        let error = found.unwrap_err();
        assert_eq!(error.code, FailureCode::EncodeUnsupported, "{error}");
        assert!(error.advice().contains("/nonexistent/renderD128"), "{}", error.advice());
        assert!(of(&[("recipe.encoder", "x265")]).await.0.is_ok());
    }

    #[tokio::test]
    async fn a_test_encode_of_software_is_right_and_remembered() {
        let (found, tools) = of(&[]).await;
        found.unwrap();
        let scratch = tempfile::tempdir().unwrap();
        let recipe = Recipe { preset: "ultrafast".into(), ..Recipe::default() };
        let proof = try_encoder(&tools, scratch.path(), "test", &recipe).await.unwrap();
        assert_eq!((proof.encoder, proof.frames), ("libx265", 40));
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0, "nothing stays behind");
        // A second look needs no disk any more.
        let gone = Path::new("/nonexistent/scratch");
        assert_eq!(try_encoder(&tools, gone, "test", &recipe).await.unwrap(), proof);
    }
}
