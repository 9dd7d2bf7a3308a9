//! One file per stage.

pub(super) mod copy;
pub(super) mod decode;
pub(super) mod encode;
pub(super) mod external;
pub(super) mod mux;
pub(super) mod preflight;
pub(super) mod prescan;
pub(super) mod publish;
pub(super) mod trial;
pub(super) mod verify;
