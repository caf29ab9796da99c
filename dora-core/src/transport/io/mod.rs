//! What both ends read, write and wait with.

pub(super) mod alarm;
pub(super) mod inbox;
pub(super) mod outbox;
pub(super) mod tcp;
