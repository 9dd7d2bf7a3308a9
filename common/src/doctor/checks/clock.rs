//! Do the clocks agree?

use std::time::{Duration, SystemTime};

use tokio::task::spawn_blocking;

use crate::doctor::{Check, Finding, Fleet, Level};
use crate::text::duration;

/// Off by more makes people misread the tables; nothing breaks.
const OFF: Duration = Duration::from_secs(60);
/// Off by more is no clock any more: certificates seem expired or not yet valid, and every date in a report is wrong.
const WRONG: Duration = Duration::from_secs(86_400);
/// The wall clock moved by more than this while it was looked at.
const JUMP: Duration = Duration::from_secs(2);

/// The clock of this machine against the share's and the broker's, and against the one that cannot be set.
pub const fn clock<W: AsRef<Fleet> + 'static>() -> Check<W> {
    Check {
        name: "clock",
        part: "share",
        about: "this machine's clock, the share's and the broker's agree, and it does not jump",
        needs: &["share-rights"],
        slow: false,
        worst: Level::Failed,
        look: |w| Box::pin(look(w.as_ref())),
    }
}

async fn look(fleet: &Fleet) -> Vec<Finding> {
    let share = fleet.share();
    let server = match spawn_blocking(move || share.now()).await {
        Ok(Ok(now)) => now,
        Ok(Err(e)) => return vec![e.into()],
        Err(e) => return vec![Finding::failed(format!("the check itself failed: {e}"), "please report it")],
    };
    let mut all = vec![compared("the share's", server)];
    if let Ok(Some(admin)) = fleet.admin()
        && let Ok(Some(broker)) = admin.clock().await
    {
        all.push(compared("the broker's", broker));
    }
    let (wall, steady) = fleet.began;
    let (wall, steady) = (wall.elapsed(), steady.elapsed());
    let moved = wall.map_or_else(|back| steady + back.duration(), |went| went.abs_diff(steady));
    if moved > JUMP {
        let hint = "`timedatectl` shows who sets it; RabbitMQ before 3.13 takes a film away when its clock jumps ahead";
        let text = format!("it jumped by {} within these {}", duration(moved), duration(steady));
        all.push(Finding::warning(text, hint));
    }
    all
}

fn compared(whose: &str, other: SystemTime) -> Finding {
    let off = SystemTime::now().duration_since(other).unwrap_or_else(|e| e.duration());
    let hint = "let both follow NTP: `timedatectl set-ntp true`; times in tables are off by that";
    let text = format!("it differs from {whose} by {}", duration(off));
    let finding = match off {
        _ if off > WRONG => Finding::failed(text, hint),
        _ if off > OFF => Finding::warning(text, hint),
        _ => Finding::ok(format!("it agrees with {whose}")),
    };
    finding.measured("off_s", off.as_secs())
}
