//! How servers announce themselves, and how clients find them.
//!
//! A `Target` (feature `discovery`) is a line that names where instances are: Redis, a file, a list. What
//! such a line cannot say, a type of your own can: [`Discover`] and [`Register`] have two
//! methods each that must be written.

pub use dora_core::discovery::directory::Directory;
pub use dora_core::discovery::discover::{Discover, Listing};
pub use dora_core::discovery::list::FixedList;
pub use dora_core::discovery::record::{DEFAULT_GROUP, InstanceRecord, RecordError, can};
pub use dora_core::discovery::register::{DEFAULT_LEASE, Register, Registries, Standing};
pub use dora_core::discovery::watch::{DirectoryStatus, RegistryStatus, Watch};

#[cfg(feature = "discovery")]
pub use dora_discovery::dns::Dns;
#[cfg(feature = "discovery")]
pub use dora_discovery::error::TargetError;
#[cfg(feature = "etcd")]
pub use dora_discovery::etcd::{Etcd, EtcdDiscover, EtcdError, EtcdRegister};
#[cfg(feature = "discovery")]
pub use dora_discovery::json;
#[cfg(feature = "discovery")]
pub use dora_discovery::monitor::{Monitor, MonitorError};
#[cfg(feature = "discovery")]
pub use dora_discovery::target::Target;
