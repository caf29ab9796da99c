//! All names that generated code uses. Not for anyone else.

pub use bytes;
pub use prost_types;
pub use serde;
pub use tower;

pub use crate::call::BoxFuture;
pub use crate::call::method::{Method, ServiceDescriptor};
pub use crate::call::mode::Mode;
pub use crate::call::mount::Mount;
pub use crate::call::priority::Priority;
pub use crate::call::request::{IntoRequest, Request};
pub use crate::call::response::Response;
pub use crate::call::slot::BoxSlot;
pub use crate::call::status::Status;
pub use crate::pack::mapped::{Enum, Enumeration, Fields, Mapped, Plain, ReadField, Reading, WriteFields};
pub use crate::stub::awaited::{Deferred, NoResult};
pub use crate::stub::batch::Batch;
pub use crate::stub::call::Call;
pub use crate::stub::caller::Caller;
pub use crate::stub::layered::{Layered, Methods};
pub use crate::stub::mock::{Expectations, IntoAnswer, Mock};
pub use crate::stub::serve::{call_in, dispatch, slot, unary, unimplemented, unknown_method};
pub use crate::transport::client::channel::Channel;

/// prost, as generated messages call it: with Dora's way of reading and writing strings.
pub mod prost {
    pub use ::prost::*;

    /// How fields are read and written.
    pub mod encoding {
        pub use ::prost::encoding::*;

        /// Fields that are strings.
        pub mod string {
            pub use ::prost::encoding::string::{encode_repeated, encoded_len, encoded_len_repeated};

            pub use crate::pack::text::{encode, merge, merge_repeated};
        }
    }
}
