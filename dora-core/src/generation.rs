//! The generations of Dora-RPC that are in production.

/// A generation of Dora-RPC: what its frames, its words and its answers look like.
///
/// | | header | `type` | a call's result in an answer |
/// | --- | --- | --- | --- |
/// | `Guid` | with a guid | `W_S` .. | a packet of its own: guid, code, msg, data |
/// | `Plain` | without | `W_S` .. | a packet of its own: code, msg, data |
/// | `Bare` | without | `SSS` .. | the bare value; an exception is code, msg, data |
///
/// A server tells them per packet. A client is told which one its server is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Generation {
    /// Since January 2017.
    #[default]
    Guid,
    /// The 0.4.x releases, June to December 2016.
    Plain,
    /// 2015 to June 2016, and DoraPhalcon's own copy. It has no deferred results.
    Bare,
}

impl Generation {
    /// Whether the header of its frames holds a guid.
    #[must_use]
    pub const fn has_guid(self) -> bool {
        matches!(self, Self::Guid)
    }
}
