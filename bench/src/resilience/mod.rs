//! What becomes of calls while instances fail, are killed, and are restarted.

mod counted;
pub(crate) mod failing;
pub(crate) mod killed;
mod paced;
pub(crate) mod rolling;
