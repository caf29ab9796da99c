//! What becomes of calls while instances fail, are killed, are restarted, and have too much to do.

mod counted;
pub(crate) mod failing;
pub(crate) mod killed;
pub(crate) mod overload;
mod paced;
pub(crate) mod rolling;
