//! Calls that are signed with a secret of both ends (HMAC-SHA256).
//!
//! A call is signed, and not the frame that it goes in: at a layer, the method, its mode, its
//! metadata and its packed parameter are there, and what is signed there holds over every
//! carrier, through proxies, in batches, and in this process. What a layer does not see, the
//! guid and the time that is left, is not signed; nor are answers.

mod canonical;
pub mod key;
mod replay;
pub mod sign;
pub mod verify;
