//! The numbers that PHP Dora-RPC puts into `code`, and how they map to [`Code`].
//!
//! Source: Dora-RPC's `Const.php`.
//!
#![doc = include_str!("php_errors.md")]

use crate::generation::Generation;

use super::code::Code;

/// Success.
pub const OK: i64 = 0;
/// An async call was accepted.
pub const ACCEPTED: i64 = 100_001;
/// The packet's `type` is not known.
pub const UNKNOWN_TYPE: i64 = 100_002;
/// The packet has no calls, or does not decode.
pub const NO_CALLS: i64 = 100_003;
/// HTTP: a parameter is missing.
pub const WRONG_PARAMETER: i64 = 100_004;
/// The CRC does not match.
pub const SIGNATURE: i64 = 100_005;
/// The body is packed in no known, or no allowed, way.
pub const UNKNOWN_PACKING: i64 = 100_006;
/// The length field is wrong.
pub const WRONG_LENGTH: i64 = 100_007;
/// The guid is wrong.
pub const WRONG_GUID: i64 = 100_008;
/// No answer in time.
pub const TIMEOUT: i64 = 100_009;
/// No server can be connected.
pub const NO_SERVER: i64 = 100_010;
/// The control command is not known.
pub const UNKNOWN_COMMAND: i64 = 100_011;
/// The connection went before the async result came.
pub const RESULT_LOST: i64 = 100_012;
/// The client was asked for an unknown mode.
pub const UNKNOWN_MODE: i64 = 100_099;
/// The answer's guid is not the request's.
pub const FOREIGN_GUID: i64 = 100_100;

/// The `msg` of a success.
pub const OK_MESSAGE: &str = "OK";
/// The `msg` of [`ACCEPTED`].
pub const ACCEPTED_MESSAGE: &str = "transfer success.已经成功投递";
/// The `msg` of [`UNKNOWN_TYPE`].
pub const UNKNOWN_TYPE_MESSAGE: &str = "unknow task type.未知类型任务";
/// The `msg` of [`NO_CALLS`].
pub const NO_CALLS_MESSAGE: &str = "param api is empty";
/// Message of [`WRONG_PARAMETER`], and on the HTTP door of [`NO_CALLS`] too.
pub const WRONG_PARAMETER_MESSAGE: &str = "Parameter was not set or wrong";
/// The `msg` of [`SIGNATURE`].
pub const SIGNATURE_MESSAGE: &str = "Signed check error!";
/// The `msg` of [`UNKNOWN_PACKING`].
pub const UNKNOWN_PACKING_MESSAGE: &str = "packet type wrong";
/// The `msg` of [`WRONG_LENGTH`].
pub const WRONG_LENGTH_MESSAGE: &str = "packet length invalid 包长度非法";
/// The `msg` of [`UNKNOWN_COMMAND`].
pub const UNKNOWN_COMMAND_MESSAGE: &str = "unknow cmd";

/// Where the canonical codes stand among the raw ones: `100200 + number`.
///
/// Dora's own numbers end at 100100 and business codes are the application's,
/// so a range of its own lets a [`Code`] cross a PHP wire and be told on the
/// other end from an exception that happens to have code 5.
pub const CANONICAL: i64 = 100_200;

/// The raw code that stands for `code`.
#[must_use]
pub fn from_code(code: Code) -> i64 {
    CANONICAL + i64::from(code.number())
}

/// [`SIGNATURE`] as [`Generation::Bare`] says it; later the number meant
/// [`NO_SERVER`], which a client says to itself.
pub const BARE_SIGNATURE: i64 = 100_010;

/// What a server of `generation` says when the CRC does not match.
#[must_use]
pub const fn signature(generation: Generation) -> i64 {
    match generation {
        Generation::Bare => BARE_SIGNATURE,
        Generation::Guid | Generation::Plain => SIGNATURE,
    }
}

/// The canonical code of what a server of `generation` refuses a packet with.
#[must_use]
pub fn refusal(generation: Generation, raw: i64) -> Code {
    match generation {
        Generation::Bare if raw == BARE_SIGNATURE => to_code(SIGNATURE),
        _ => to_code(raw),
    }
}

/// The canonical code of a raw one. A code that is the application's own is
/// [`Code::Unknown`].
#[must_use]
pub fn to_code(raw: i64) -> Code {
    match raw {
        UNKNOWN_TYPE | UNKNOWN_COMMAND => Code::Unimplemented,
        NO_CALLS | WRONG_PARAMETER | UNKNOWN_PACKING | WRONG_LENGTH | WRONG_GUID | UNKNOWN_MODE => {
            Code::InvalidArgument
        }
        SIGNATURE | FOREIGN_GUID => Code::DataLoss,
        TIMEOUT => Code::DeadlineExceeded,
        NO_SERVER | RESULT_LOST => Code::Unavailable,
        _ => raw.checked_sub(CANONICAL).and_then(Code::from_number).unwrap_or(Code::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_means_what_it_meant_in_its_generation() {
        assert_eq!(signature(Generation::Bare), 100_010);
        assert_eq!(signature(Generation::Plain), 100_005);
        assert_eq!(refusal(Generation::Bare, 100_010), Code::DataLoss);
        assert_eq!(refusal(Generation::Guid, 100_010), Code::Unavailable);
        assert_eq!(refusal(Generation::Bare, 100_002), Code::Unimplemented);
    }

    #[test]
    fn canonical_codes_survive_the_way_through_raw_ones() {
        for number in 1..=16 {
            let code = Code::from_number(number).expect("16 codes");
            assert_eq!(to_code(from_code(code)), code);
        }
        assert_eq!(to_code(5), Code::Unknown, "a PHP exception with code 5 is not a NotFound");
        assert_eq!(to_code(i64::MIN), Code::Unknown);
    }
}
