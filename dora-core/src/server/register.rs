//! A server that registries know.

use std::fmt;

use crate::call::method::ServiceDescriptor;
use crate::call::packer::Packer;
use crate::discovery::lease::Announcements;
use crate::discovery::record::{InstanceRecord, can};
use crate::discovery::register::Registries;
use crate::transport::io::address::{Address, AddressError};
use crate::transport::server::advertise::advertised;
use crate::transport::server::config::SessionConfig;

use super::{ServeError, Server};

/// Where a server is announced, and what it says of itself.
#[derive(Default)]
pub(super) struct Registration {
    registries: Vec<Registries>,
    advertised: Option<Result<Address, AddressError>>,
    describe: Option<Box<Describe>>,
}

type Describe = dyn FnOnce(InstanceRecord) -> InstanceRecord + Send + Sync;

/// A server that shall be registered, and where it is reached is not known.
#[derive(Debug, thiserror::Error)]
#[error("it is not known where others reach this server ({reason}): say `.advertise(\"10.0.2.15:9567\")`")]
pub struct UnknownAddress {
    reason: String,
}

impl<L> Server<L> {
    /// Announces this server there while it serves: a target of `dora::discovery`, or
    /// whatever can [`Register`](crate::discovery::register::Register). Said several times,
    /// at all of them. Default: nowhere.
    ///
    /// It is announced when it listens, and withdrawn before it drains. A registry that
    /// fails keeps nobody from being served: it is told again every second. A server that is
    /// served without a listener ([`connections`](Self::connections)) is not announced.
    pub fn register(mut self, registries: impl Into<Registries>) -> Self {
        self.registration.registries.push(registries.into());
        self
    }

    /// Where others reach it, for registries. Default: where it listens; if that is all
    /// addresses of the machine (`0.0.0.0`), the one that the default route leaves from.
    pub fn advertise(mut self, address: impl TryInto<Address, Error: Into<AddressError>>) -> Self {
        self.registration.advertised = Some(address.try_into().map_err(Into::into));
        self
    }

    /// What registries are told of it, when the rest is known: groups, weight, zone,
    /// metadata.
    ///
    /// ```
    /// let server = dora::Server::builder()
    ///     .instance(|record| record.with_group("shop").with_weight(2).with_zone("eu-1a"));
    /// # drop(server);
    /// ```
    pub fn instance(
        mut self,
        describe: impl FnOnce(InstanceRecord) -> InstanceRecord + Send + Sync + 'static,
    ) -> Self {
        self.registration.describe = Some(Box::new(describe));
        self
    }
}

impl Registration {
    /// The announcements of a server that listens on `bound`.
    pub(super) fn announcements(
        self,
        bound: Option<Address>,
        session: &SessionConfig,
        tls: bool,
        services: impl Iterator<Item = &'static ServiceDescriptor>,
    ) -> Result<Announcements, ServeError> {
        if self.registries.is_empty() {
            return Ok(Announcements::default());
        }
        let address = match (self.advertised, bound) {
            (Some(address), _) => address?,
            (None, Some(bound)) => advertised(&bound).map_err(|error| UnknownAddress {
                reason: format!("it listens on {bound}, and no route leaves: {error}"),
            })?,
            (None, None) => {
                let reason = "its connections come from no listener with an address".to_owned();
                return Err(UnknownAddress { reason }.into());
            }
        };
        let mut record = InstanceRecord::new(address.to_string());
        for service in services {
            record = record.with_service(service.name(), service.version());
            record.groups.extend(service.group().map(str::to_owned));
        }
        for packer in [Packer::Php, Packer::Json, Packer::Protobuf] {
            if session.packers.contains(packer) {
                record = record.with_ability(packer.to_string());
            }
        }
        for (is, word) in [(session.salt.is_some(), can::SIGNED), (tls, can::TLS)] {
            if is {
                record = record.with_ability(word);
            }
        }
        if let Some(describe) = self.describe {
            record = describe(record);
        }
        Ok(Announcements::new(self.registries, &record)?)
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration").field("registries", &self.registries).finish_non_exhaustive()
    }
}
