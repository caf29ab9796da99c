//! The Dora frame, without sockets or clocks: bytes in, frames out, and back.
//!
//! Facts: every integer is big-endian; `len` counts all that follows it.
//!
//! | generation | unsigned | signed |
//! | --- | --- | --- |
//! | `Guid` (2017-01 and newer) | `u32 len` `guid[32]` `body` | `u32 len` `u32 crc` `guid[32]` `body` |
//! | `Plain` (0.4.x, and 2015 to mid 2016) | `u32 len` `body` | `u32 len` `u32 crc` `body` |

pub mod checksum;
pub mod decoder;
pub mod encoder;
pub mod error;
pub mod header;
pub mod notice;
